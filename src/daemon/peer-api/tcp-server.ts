/**
 * The peer API on one of this machine's addresses inside the mesh.
 *
 * Who calls is known by its source address: what comes out of the tunnel with that address was sealed by
 * the member that holds it. The socket is bound to the interface, so that nothing else comes in; an
 * address that belongs to no member is hung up on before a byte is read.
 */

import { SO_BINDTODEVICE, SOL_SOCKET, setSocketOption } from "bun-ffi-tun";
import { utf8 } from "../../base/bytes.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import { formatAddress, type IpAddress, parseAddress, unmapAddress } from "../../base/ip.ts";
import { encodeFrame, FrameReader } from "./frame.ts";
import { LONGEST_CALL_MS, LONGEST_SILENCE_MS, MOST_CONNECTIONS, MOST_CONNECTIONS_PER_PEER } from "./limits.ts";
import type { AnswerRequest } from "./transport.ts";

export interface TcpServerOptions {
  readonly addresses: readonly IpAddress[];
  readonly port: number;
  /** The only interface that is listened on; any if `undefined`. */
  readonly interfaceName: string | undefined;
  readonly clock: Clock;
  isMember(address: IpAddress): boolean;
  readonly answer: AnswerRequest;
}

export interface TcpServer {
  /** Of the first address. */
  readonly port: number;
  stop(): void;
}

/** Throws what the system throws where an address or the port cannot be had. */
export function startTcpServer(options: TcpServerOptions): TcpServer {
  const connections = new Connections(options);
  const listeners: Bun.TCPSocketListener<Connection>[] = [];
  const stop = () => {
    for (const listener of listeners) listener.stop(true);
    connections.end();
  };
  try {
    for (const address of options.addresses) {
      const port = listeners[0]?.port ?? options.port;
      const listener = Bun.listen<Connection>({ hostname: formatAddress(address), port, socket: connections });
      listeners.push(listener);
      if (options.interfaceName !== undefined) bindToInterface(listener, options.interfaceName);
    }
  } catch (error) {
    stop();
    throw error;
  }
  return { port: listeners[0]!.port, stop };
}

/** What it accepts inherits that. Bun's types leave the descriptor out. */
function bindToInterface(listener: Bun.TCPSocketListener<Connection>, name: string): void {
  const { fd } = listener as Bun.TCPSocketListener<Connection> & { readonly fd: number };
  setSocketOption(fd, SOL_SOCKET, SO_BINDTODEVICE, utf8(`${name}\0`));
}

type Socket = Bun.Socket<Connection>;

/** All connections of a server, and how many each peer has. */
class Connections {
  readonly #options: TcpServerOptions;
  readonly #open = new Map<Socket, Connection>();
  readonly #perPeer = new Map<string, number>();

  constructor(options: TcpServerOptions) {
    this.#options = options;
  }

  readonly open = (socket: Socket): void => {
    const caller = parseAddress(socket.remoteAddress);
    const address = caller && unmapAddress(caller);
    if (!address || !this.#hasRoom(address) || !this.#options.isMember(address)) {
      socket.terminate();
      return;
    }
    const connection = new Connection(socket, address, this.#options);
    this.#open.set(socket, connection);
    this.#count(address, 1);
    socket.data = connection;
  };

  readonly data = (socket: Socket, bytes: Uint8Array): void => socket.data?.handleData(bytes);
  readonly drain = (socket: Socket): void => socket.data?.handleDrain();
  readonly end = (socket?: Socket): void => {
    if (socket) socket.data?.close();
    else for (const connection of this.#open.values()) connection.close();
  };
  readonly error = (socket: Socket): void => socket.data?.close();

  readonly close = (socket: Socket): void => {
    const connection = this.#open.get(socket);
    if (!connection) return;
    connection.handleClosed();
    this.#open.delete(socket);
    this.#count(connection.caller, -1);
  };

  #hasRoom(address: IpAddress): boolean {
    const count = this.#perPeer.get(formatAddress(address)) ?? 0;
    return this.#open.size < MOST_CONNECTIONS && count < MOST_CONNECTIONS_PER_PEER;
  }

  #count(address: IpAddress, change: number): void {
    const key = formatAddress(address);
    const count = (this.#perPeer.get(key) ?? 0) + change;
    if (count > 0) this.#perPeer.set(key, count);
    else this.#perPeer.delete(key);
  }
}

/** One peer's conversation: a request at a time, within its time. */
class Connection {
  readonly caller: IpAddress;
  readonly #socket: Socket;
  readonly #options: TcpServerOptions;
  readonly #frames = new FrameReader();
  readonly #deadline: Timer;
  #silence: Timer;
  #answering = false;
  #closed = false;
  #unsent: Uint8Array | undefined;

  constructor(socket: Socket, caller: IpAddress, options: TcpServerOptions) {
    this.#socket = socket;
    this.caller = caller;
    this.#options = options;
    this.#deadline = options.clock.after(LONGEST_CALL_MS, () => this.close());
    this.#silence = options.clock.after(LONGEST_SILENCE_MS, () => this.close());
  }

  handleData(bytes: Uint8Array): void {
    // Who sends on before it was answered is no peer of ours.
    const isEarly = this.#answering || this.#unsent !== undefined;
    const request = isEarly ? undefined : this.#frames.push(bytes);
    if (isEarly || this.#frames.failed) this.close();
    else if (request) void this.#answer(request);
  }

  handleDrain(): void {
    if (this.#unsent) this.#write(this.#unsent);
  }

  handleClosed(): void {
    this.#closed = true;
    this.#deadline.cancel();
    this.#silence.cancel();
  }

  close(): void {
    this.#socket.terminate();
  }

  async #answer(request: Uint8Array): Promise<void> {
    this.#answering = true;
    const answer = await this.#options.answer(this.caller, request);
    this.#answering = false;
    if (this.#closed) return;
    if (!answer) {
      this.close();
      return;
    }
    this.#silence.cancel();
    this.#silence = this.#options.clock.after(LONGEST_SILENCE_MS, () => this.close());
    this.#write(encodeFrame(answer));
  }

  #write(bytes: Uint8Array): void {
    const sentBytes = this.#socket.write(bytes);
    if (sentBytes < 0) this.close();
    else this.#unsent = sentBytes < bytes.length ? bytes.subarray(sentBytes) : undefined;
  }
}
