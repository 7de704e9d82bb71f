import { expect, test } from "bun:test";
import { ERRNO } from "bun-ffi-tun";
import { OffloadState } from "../../src/daemon/offload-state.ts";

const NOT_WANTED = { offload: "udp-gro", reason: "not wanted" } as const;

function make() {
  return new OffloadState(["tun-tso", "tun-tcp-gro", "udp-gso"], [NOT_WANTED]);
}

test("what is refused for all is in use no more, with the reason; once", () => {
  const state = make();
  const reason = state.handleRefusal("tun-tcp-gro", ERRNO.EINVAL, -1);
  expect(reason).toBe("the kernel refused it: EINVAL");
  state.handleRefusal("tun-tcp-gro", ERRNO.EINVAL, -1);
  expect(state.inUse).toEqual(["tun-tso", "udp-gso"]);
  expect(state.off).toEqual([
    { ...NOT_WANTED, slot: undefined },
    { offload: "tun-tcp-gro", reason, slot: undefined },
  ]);
});

test("what is refused on the way to one peer is in use for the others, until that way changes", () => {
  const state = make();
  for (const slot of [3, 4]) state.handleRefusal("udp-gso", ERRNO.EIO, slot);
  const offFor = () => state.off.filter(({ slot }) => slot !== undefined);
  const reason = "the way's device makes no checksums";
  expect(state.inUse).toContain("udp-gso");
  expect(offFor()).toEqual([
    { offload: "udp-gso", reason, slot: 3 },
    { offload: "udp-gso", reason, slot: 4 },
  ]);
  state.forget(3);
  expect(offFor()).toEqual([{ offload: "udp-gso", reason, slot: 4 }]);
  state.forgetPaths();
  expect(offFor()).toEqual([]);
});
