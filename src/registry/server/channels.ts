/** Subscribers of an embedded registry, each a stream of server-sent events as Upstash sends them. */

import { utf8 } from "../../base/bytes.ts";
import type { MessageSink } from "./executor.ts";

/** Comments keep the connection from looking idle, and tell the client that it lives. */
const HEARTBEAT_MS = 30_000;
const HEARTBEAT = utf8(":\n\n");

/** A subscriber that has not read so many bytes is dropped: it reads what it missed when it comes back. */
const LONGEST_BACKLOG_BYTES = 64 * 1024;

type Controller = ReadableStreamDefaultController<Uint8Array>;

export interface ChannelLimits {
  readonly subscribers: number;
  readonly subscribersPerClient: number;
}

export class Channels implements MessageSink {
  readonly #subscribers = new Map<string, Set<Controller>>();
  readonly #clients = new Map<Controller, string>();
  readonly #countsOfClients = new Map<string, number>();
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

  hasRoomFor(client: string): boolean {
    const { subscribers, subscribersPerClient } = this.#limits;
    return this.count < subscribers && (this.#countsOfClients.get(client) ?? 0) < subscribersPerClient;
  }

  subscriberCount(channel: string): number {
    return this.#subscribers.get(channel)?.size ?? 0;
  }

  /** The event stream of a new subscriber of `channel`. */
  subscribe(channel: string, client: string): ReadableStream<Uint8Array> {
    let self: Controller;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          self = controller;
          this.#add(channel, controller, client);
          controller.enqueue(encodeEvent(`subscribe,${channel},1`));
        },
        cancel: () => this.#remove(channel, self),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: LONGEST_BACKLOG_BYTES }),
    );
  }

  publish(channel: string, message: string): void {
    const event = encodeEvent(`message,${channel},${message}`);
    for (const subscriber of [...(this.#subscribers.get(channel) ?? [])]) this.#send(channel, subscriber, event);
  }

  /** Ends every stream. */
  close(): void {
    clearInterval(this.#heartbeat);
    for (const [channel, subscribers] of [...this.#subscribers]) {
      for (const subscriber of [...subscribers]) {
        this.#remove(channel, subscriber);
        subscriber.close();
      }
    }
  }

  #beat(): void {
    for (const [channel, subscribers] of [...this.#subscribers]) {
      for (const subscriber of [...subscribers]) this.#send(channel, subscriber, HEARTBEAT);
    }
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
