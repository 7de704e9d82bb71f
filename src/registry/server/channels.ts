/** Subscribers of an embedded registry, each a stream of server-sent events as Upstash sends them. */

import { concatBytes, utf8 } from "../../base/bytes.ts";
import { READERS_SHARE } from "./admission.ts";
import type { MessageSink } from "./executor.ts";

/** Comments keep the connection from looking idle, and tell the client that it lives. */
const HEARTBEAT_MS = 30_000;
const HEARTBEAT = utf8(":\n\n");

/** A subscriber that has not read so many bytes is dropped: it reads what it missed when it comes back. */
const LONGEST_BACKLOG_BYTES = 64 * 1024;

/** A message goes out at once; those that follow it sooner than this go out together. Each is sent to all subscribers. */
const TOGETHER_MS = 25;
const TOGETHER_BYTES = 16 * 1024;

type Controller = ReadableStreamDefaultController<Uint8Array>;

export interface ChannelLimits {
  readonly subscribers: number;
  readonly subscribersPerClient: number;
}

/** Messages of a channel that go out together. */
interface Batch {
  readonly events: Uint8Array[];
  lengthBytes: number;
  readonly timer: Timer;
}

export class Channels implements MessageSink {
  readonly #subscribers = new Map<string, Set<Controller>>();
  /** Of channels that had a message within `TOGETHER_MS`. */
  readonly #batches = new Map<string, Batch>();
  readonly #clients = new Map<Controller, string>();
  readonly #countsOfClients = new Map<string, number>();
  /** Those who may not write. */
  readonly #readers = new Set<Controller>();
  readonly #limits: ChannelLimits;
  readonly #heartbeat: Timer;

  constructor(limits: ChannelLimits) {
    this.#limits = limits;
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.#heartbeat.unref();
  }

  /** All subscribers of all channels. */
  get count(): number {
    return this.#clients.size;
  }

  /** Those who do not write have a quarter of the room together. */
  hasRoomFor(client: string, mayWrite = true): boolean {
    const { subscribers, subscribersPerClient } = this.#limits;
    const isFull = this.count >= subscribers || (!mayWrite && this.#readers.size >= subscribers * READERS_SHARE);
    return !isFull && (this.#countsOfClients.get(client) ?? 0) < subscribersPerClient;
  }

  subscriberCount(channel: string): number {
    return this.#subscribers.get(channel)?.size ?? 0;
  }

  /** The event stream of a new subscriber of `channel`. */
  subscribe(channel: string, client: string, mayWrite = true): ReadableStream<Uint8Array> {
    let self: Controller;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          self = controller;
          this.#add(channel, controller, client);
          if (!mayWrite) this.#readers.add(controller);
          controller.enqueue(encodeEvent(`subscribe,${channel},1`));
        },
        cancel: () => this.#remove(channel, self),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: LONGEST_BACKLOG_BYTES }),
    );
  }

  publish(channel: string, message: string): void {
    if (!this.#subscribers.has(channel)) return;
    const event = encodeEvent(`message,${channel},${message}`);
    const batch = this.#batches.get(channel);
    if (batch) {
      batch.events.push(event);
      batch.lengthBytes += event.length;
      if (batch.lengthBytes >= TOGETHER_BYTES) this.#flush(channel);
    } else {
      this.#sendAll(channel, event);
      const timer = setTimeout(() => this.#flush(channel), TOGETHER_MS);
      this.#batches.set(channel, { events: [], lengthBytes: 0, timer });
    }
  }

  #flush(channel: string): void {
    const batch = this.#batches.get(channel);
    if (!batch) return;
    clearTimeout(batch.timer);
    this.#batches.delete(channel);
    if (batch.events.length === 0) return;
    this.#sendAll(channel, concatBytes(...batch.events));
    // The next ones wait for each other again.
    const timer = setTimeout(() => this.#flush(channel), TOGETHER_MS);
    this.#batches.set(channel, { events: [], lengthBytes: 0, timer });
  }

  #sendAll(channel: string, bytes: Uint8Array): void {
    for (const subscriber of [...(this.#subscribers.get(channel) ?? [])]) this.#send(channel, subscriber, bytes);
  }

  /** Ends every stream. */
  close(): void {
    clearInterval(this.#heartbeat);
    for (const { timer } of this.#batches.values()) clearTimeout(timer);
    this.#batches.clear();
    for (const [channel, subscribers] of [...this.#subscribers]) {
      for (const subscriber of [...subscribers]) {
        this.#remove(channel, subscriber);
        subscriber.close();
      }
    }
  }

  #beat(): void {
    for (const channel of [...this.#subscribers.keys()]) this.#sendAll(channel, HEARTBEAT);
  }

  #send(channel: string, subscriber: Controller, event: Uint8Array): void {
    if ((subscriber.desiredSize ?? 0) > 0) {
      subscriber.enqueue(event);
      return;
    }
    this.#remove(channel, subscriber);
    subscriber.error(new Error("the subscriber does not read"));
  }

  #add(channel: string, subscriber: Controller, client: string): void {
    // What was published before is not for the newcomer.
    this.#flush(channel);
    const subscribers = this.#subscribers.get(channel) ?? new Set();
    this.#subscribers.set(channel, subscribers.add(subscriber));
    this.#clients.set(subscriber, client);
    this.#countsOfClients.set(client, (this.#countsOfClients.get(client) ?? 0) + 1);
  }

  #remove(channel: string, subscriber: Controller): void {
    const subscribers = this.#subscribers.get(channel);
    if (!subscribers?.delete(subscriber)) return;
    if (subscribers.size === 0) this.#subscribers.delete(channel);
    const client = this.#clients.get(subscriber)!;
    this.#clients.delete(subscriber);
    this.#readers.delete(subscriber);
    const left = this.#countsOfClients.get(client)! - 1;
    if (left > 0) this.#countsOfClients.set(client, left);
    else this.#countsOfClients.delete(client);
  }
}

/** One event; a text of several lines becomes several `data` lines, which the reader joins again. */
function encodeEvent(text: string): Uint8Array {
  return utf8(
    `${text
      .split(/\r\n|\r|\n/)
      .map((line) => `data: ${line}`)
      .join("\n")}\n\n`,
  );
}
