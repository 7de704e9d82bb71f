/** `Bun.udpSocket` over a descriptor made elsewhere: it works and is untyped. */

export interface AdoptedUdpSocket {
  send(data: Uint8Array, port: number, address: string): boolean;
  close(): void;
}

export interface AdoptedUdpHandlers {
  data(socket: AdoptedUdpSocket, data: Uint8Array, port: number, address: string): void;
  error(error: unknown): void;
}

/** Takes over `fd`, a bound UDP socket of this thread's own: closing the result closes it. */
export function adoptUdpSocket(fd: number, handlers: AdoptedUdpHandlers): Promise<AdoptedUdpSocket> {
  const udpSocket = Bun.udpSocket as unknown as (options: {
    fd: number;
    socket: AdoptedUdpHandlers;
  }) => Promise<AdoptedUdpSocket>;
  return udpSocket({ fd, socket: handlers });
}
