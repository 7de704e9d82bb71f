/**
 * The head of an HTTP/1.1 request (RFC 9112), as far as a registry's clients send it: a path, header fields, and the
 * length of the body. Strict: what two readers could read in two ways is refused.
 */

const LONGEST_HEAD_BYTES = 16 * 1024;
const MOST_FIELDS = 100;
const END_OF_HEAD = "\r\n\r\n";

/** Of all others `Request` would make a GET, or one whose answer has another form. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]);
const REQUEST_LINE = /^([A-Z]{1,16}) (\/[\x21-\x7e]*) HTTP\/1\.([0-9])$/;
/** RFC 9110 section 5.5; no folded lines, no space before the colon. */
const FIELD_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

export interface RequestHead {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Headers;
  /** Bytes of the body. */
  readonly bodyBytes: number;
  /** Whether the client waits for `100 Continue` before it sends the body. */
  readonly expectsContinue: boolean;
  /** Whether the client closes after the answer. */
  readonly closes: boolean;
}

export type DecodedHead =
  | { readonly kind: "head"; readonly head: RequestHead; readonly lengthBytes: number }
  | { readonly kind: "incomplete" }
  /** `status` is what to answer. */
  | { readonly kind: "refused"; readonly status: number };

/** Reads the head at the start of `bytes`, which may go on with a body. */
export function decodeRequestHead(bytes: Uint8Array): DecodedHead {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, LONGEST_HEAD_BYTES));
  const end = buffer.indexOf(END_OF_HEAD, 0, "latin1");
  if (end < 0) return bytes.length < LONGEST_HEAD_BYTES ? { kind: "incomplete" } : refused(431);
  const [requestLine = "", ...lines] = buffer.toString("latin1", 0, end).split("\r\n");
  const request = REQUEST_LINE.exec(requestLine);
  if (!request) return refused(400);
  if (request[3] !== "1") return refused(505);
  if (!METHODS.has(request[1]!)) return refused(501);
  const headers = readFields(lines);
  if (!headers?.has("host")) return refused(400);
  if (headers.has("transfer-encoding")) return refused(411);
  const bodyBytes = readLength(headers.get("content-length"));
  if (bodyBytes === undefined) return refused(400);
  const head: RequestHead = {
    method: request[1]!,
    target: request[2]!,
    headers,
    bodyBytes,
    expectsContinue: headers.get("expect")?.toLowerCase() === "100-continue",
    closes: headers.get("connection")?.toLowerCase() === "close",
  };
  return { kind: "head", head, lengthBytes: end + END_OF_HEAD.length };
}

function readFields(lines: readonly string[]): Headers | undefined {
  if (lines.length > MOST_FIELDS) return undefined;
  const headers = new Headers();
  for (const line of lines) {
    const field = FIELD_LINE.exec(line);
    if (!field) return undefined;
    headers.append(field[1]!, field[2]!.trim());
  }
  return headers;
}

/** 0 where none is given; `undefined` for what is no length, several that differ included. */
function readLength(text: string | null): number | undefined {
  if (text === null) return 0;
  const [first = "", ...others] = text.split(",").map((each) => each.trim());
  return /^[0-9]{1,15}$/.test(first) && others.every((other) => other === first) ? Number(first) : undefined;
}

function refused(status: number): DecodedHead {
  return { kind: "refused", status };
}
