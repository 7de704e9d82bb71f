import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeFd, dupFd, fsyncPath, lockFile, O_RDWR, openFd } from "../src/index.ts";

function withFolder(action: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "bun-ffi-tun-"));
  try {
    action(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a lock belongs to one open file until its last descriptor is closed", () => {
  withFolder((folder) => {
    const path = join(folder, "lock");
    writeFileSync(path, "");
    const first = openFd(path, O_RDWR);
    const second = openFd(path, O_RDWR);
    expect(lockFile(first)).toBe(true);
    expect(lockFile(first)).toBe(true);
    expect(lockFile(second)).toBe(false);
    const duplicate = dupFd(first);
    closeFd(first);
    expect(lockFile(second)).toBe(false);
    closeFd(duplicate);
    expect(lockFile(second)).toBe(true);
    closeFd(second);
    expect(() => lockFile(second)).toThrow("EBADF");
  });
});

test("files and folders are made durable; what is not there is an error", () => {
  withFolder((folder) => {
    writeFileSync(join(folder, "file"), "contents");
    fsyncPath(join(folder, "file"));
    fsyncPath(folder);
    expect(() => fsyncPath(join(folder, "none"))).toThrow("ENOENT");
  });
});
