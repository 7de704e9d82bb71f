import { expect, test } from "bun:test";
import { tcpHeaderLength } from "../../src/wire/tcp.ts";

test("a TCP header is as long as it says, from 20 to 60 bytes, where that is there", () => {
  const bytes = new Uint8Array(100);
  const cases: [dataOffset: number, availableBytes: number, expected: number][] = [
    [0, 100, 0],
    [4, 100, 0],
    [5, 19, 0],
    [5, 20, 20],
    [8, 31, 0],
    [8, 32, 32],
    [15, 90, 60],
    [15, 59, 0],
  ];
  for (const [dataOffset, availableBytes, expected] of cases) {
    bytes[10 + 12] = (dataOffset << 4) | 0x0f;
    expect([dataOffset, availableBytes, tcpHeaderLength(bytes, 10, availableBytes)]).toEqual([
      dataOffset,
      availableBytes,
      expected,
    ]);
  }
});
