import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMinitailError } from "../../src/base/errors.ts";
import { hideSecrets, readSecret } from "../../src/cli/secret-flags.ts";

describe("hiding secrets among the arguments", () => {
  test.each([
    ["up --secret abc", "up --secret ***"],
    ["up --secret=abc --name a", "up --secret=*** --name a"],
    ["up --join mt1:abc", "up --join ***"],
    ["up mt1:abc", "up ***"],
    ["up --jion=mt1:abc", "up --jion=***"],
    ["up --token a=b", "up --token ***"],
    ["up --token=a=b", "up --token=***"],
    ["up --registry redis://user:word@host/0", "up --registry ***"],
    ["up --registry=rediss://:word@host", "up --registry=***"],
    ["node approve abcd-efgh-ijkl-mnop --yes", "node approve *** --yes"],
    ["node approve --yes ABCDEFGHIJKLMNOP", "node approve --yes ***"],
  ])("%s", (line, shown) => expect(hideSecrets(line.split(" "))?.join(" ")).toBe(shown));

  test.each([
    "up",
    "up --secret",
    "up --secret file:/x",
    "up --secret=file:/x",
    "up --join --detach",
    "up --registry https://host:7411/#pin=abc",
    "status --json",
  ])("%s has none", (line) => expect(hideSecrets(line.split(" "))).toBeUndefined());

  test("a secret of several lines", () => expect(hideSecrets(["up", "--secret=a\nb"])).toEqual(["up", "--secret=***"]));
});

describe("secrets from files", () => {
  let folder = "";
  const warnings: string[] = [];
  const read = (value: string) => readSecret("secret", value, (message) => warnings.push(message));

  beforeAll(() => {
    folder = mkdtempSync(join(existsSync(tmpdir()) ? tmpdir() : "/dev/shm", "minitail-secret-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const file = (name: string, text: string, mode: number) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };

  test("a value without file: is the secret", () => expect(read("abc")).toBe("abc"));

  test("the file's text without the line end", () => {
    expect(read(`file:${file("private", "abc def\n", 0o600)}`)).toBe("abc def");
    expect(warnings).toEqual([]);
  });

  test("others can read it: a warning", () => {
    const path = file("public", "abc\n", 0o644);
    expect(read(`file:${path}`)).toBe("abc");
    expect(warnings.splice(0)).toEqual([`others can read ${path}; chmod 600 ${path}`]);
  });

  test.each([
    ["empty", "\n", "is empty"],
    ["absent", undefined, "absent for --secret: no such file or directory"],
  ])("%s: an error", (name, text, message) => {
    const path = text === undefined ? join(folder, name) : file(name, text, 0o600);
    expect(() => read(`file:${path}`)).toThrow(message);
    try {
      read(`file:${path}`);
    } catch (error) {
      expect(isMinitailError(error, "usage")).toBe(true);
    }
  });
});
