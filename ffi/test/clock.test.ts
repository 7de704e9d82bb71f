import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { boottimeMs, monotonicMs } from "../src/index.ts";

test("the clock goes on and never back", () => {
  const startMs = monotonicMs();
  let lastMs = startMs;
  while (lastMs - startMs < 5) {
    const nowMs = monotonicMs();
    expect(nowMs).toBeGreaterThanOrEqual(lastMs);
    lastMs = nowMs;
  }
});

test("its rate is that of performance.now()", () => {
  const startMs = performance.now();
  const offsetMs = monotonicMs() - startMs;
  while (performance.now() - startMs < 20) {}
  expect(Math.abs(monotonicMs() - performance.now() - offsetMs)).toBeLessThan(5);
});

test("a Worker's time lies between two of ours", async () => {
  const worker = new Worker(new URL("./child/clock.worker.ts", import.meta.url).href);
  const next = () =>
    new Promise<number>((resolve) => {
      worker.onmessage = (event) => resolve(event.data);
    });
  const ready = next();
  await ready;
  for (let round = 0; round < 20; round += 1) {
    const answer = next();
    const beforeMs = monotonicMs();
    worker.postMessage("now?");
    const thereMs = await answer;
    expect(thereMs).toBeGreaterThan(beforeMs);
    expect(monotonicMs()).toBeGreaterThan(thereMs);
  }
  worker.terminate();
});

test("boot time is what /proc/uptime tells, and no less than the monotonic clock", () => {
  const uptimeMs = Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]) * 1000;
  expect(Math.abs(boottimeMs() - uptimeMs)).toBeLessThan(1000);
  expect(boottimeMs()).toBeGreaterThanOrEqual(monotonicMs() - 1000);
});
