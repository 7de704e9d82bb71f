/** What a member answers to a peer's request. It keeps nothing of the conversation: who asks leads it. */

import type { NodeId } from "../../trust/identity.ts";
import { type PeerAnswer, type PeerRequest, type RecordNumber, type Standing, takeBatch } from "./message.ts";
import type { NewsShelf } from "./shelf.ts";

export interface AnswerEvents {
  /** The peer stands there. */
  onStanding(peer: NodeId, standing: Standing): void;
  /** It brought news, which it knows, so. */
  onNews(peer: NodeId): void;
  /** It brought statements that were none. */
  onNoNews(peer: NodeId): void;
}

/** `undefined` where the request makes no sense: who sent it is hung up on. */
export function answerRequest(
  shelf: NewsShelf,
  peer: NodeId,
  request: PeerRequest,
  events: AnswerEvents,
): PeerAnswer | undefined {
  switch (request.kind) {
    case "compare":
      events.onStanding(peer, request.standing);
      return standingOf(shelf);
    case "want-statements": {
      const run = shelf.runTo(request.of, request.locator);
      if (!run) return undefined;
      const statements = takeBatch(run.statements, (bytes) => bytes.length);
      return { kind: "statements", after: run.after, statements, more: statements.length < run.statements.length };
    }
    case "give-statements":
      if (shelf.takeStatements(request)) events.onNews(peer);
      else events.onNoNews(peer);
      return standingOf(shelf);
    case "want-records":
      return recordsBeyond(shelf, request.known);
    case "give-records":
      if (shelf.takeRecords(request.records)) events.onNews(peer);
      return standingOf(shelf);
    case "want-box": {
      const box = shelf.boxFor(peer);
      return box && { kind: "box", box };
    }
  }
}

function standingOf(shelf: NewsShelf): PeerAnswer {
  return { kind: "standing", standing: shelf.standing() };
}

/** The records that the peer has not or has older ones of, as many as fit, and the ids of those that it has newer ones of. */
function recordsBeyond(shelf: NewsShelf, known: readonly RecordNumber[]): PeerAnswer {
  const theirs = new Map(known.map(({ nodeId, number }) => [nodeId, number]));
  const ours = shelf.recordNumbers();
  const newer = ours.filter(({ nodeId, number }) => number > (theirs.get(nodeId) ?? 0));
  const records = takeBatch(shelf.records(newer.map(({ nodeId }) => nodeId)), ({ sealed }) => sealed.length);
  const numbers = new Map(ours.map(({ nodeId, number }) => [nodeId, number]));
  const wanted = known.filter(({ nodeId, number }) => number > (numbers.get(nodeId) ?? 0)).map(({ nodeId }) => nodeId);
  return { kind: "records", records, wanted };
}
