/** Which room of the house may import which, and from outside: the table of the architecture. */

export interface Room {
  /** Folder, or file, relative to the repository. */
  readonly path: string;
  /** Folders and files of `src` that it may import besides itself. */
  readonly rooms: readonly string[];
  /** Packages that it may import. */
  readonly packages: readonly string[];
  /** False where the machine's world is out of reach: only type imports of `node:` and `bun`. */
  readonly builtIns: boolean;
}

const FFI = "bun-ffi-tun";
const EVERYTHING = ["src"];

/** What the command line sees of the daemon. */
const DAEMON_SEAM = [
  "src/daemon/start.ts",
  "src/daemon/api.ts",
  "src/daemon/calls",
  "src/daemon/options.ts",
  "src/daemon/local-api-client.ts",
];

/** In the order of the architecture page. Type imports obey the table as well. */
export const ROOMS: readonly Room[] = [
  { path: "ffi", rooms: [], packages: [], builtIns: true },
  { path: "src/base", rooms: ["package.json"], packages: [], builtIns: true },
  { path: "src/wire", rooms: ["src/base"], packages: [], builtIns: false },
  {
    path: "src/crypto",
    rooms: ["src/base"],
    packages: [FFI, "@noble/ciphers", "@noble/curves", "@noble/hashes", "sodium-native"],
    builtIns: true,
  },
  { path: "src/wireguard", rooms: ["src/wire", "src/crypto", "src/base"], packages: [], builtIns: false },
  { path: "src/path", rooms: ["src/wire", "src/crypto", "src/base"], packages: [], builtIns: false },
  { path: "src/trust", rooms: ["src/crypto", "src/base"], packages: [], builtIns: false },
  { path: "src/registry", rooms: ["src/base"], packages: ["@upstash/redis", "@peculiar/x509"], builtIns: true },
  { path: "src/netmap", rooms: ["src/trust", "src/registry", "src/base"], packages: [], builtIns: true },
  { path: "src/policy", rooms: ["src/wire", "src/base"], packages: [], builtIns: false },
  { path: "src/dns", rooms: ["src/wire", "src/base"], packages: [], builtIns: false },
  { path: "src/relay", rooms: ["src/wire", "src/crypto", "src/base"], packages: [], builtIns: true },
  { path: "src/host", rooms: ["src/base"], packages: [FFI], builtIns: true },
  { path: "src/dataplane", rooms: ["src/crypto", "src/wire", "src/base"], packages: [FFI], builtIns: true },
  { path: "src/uapi", rooms: ["src/wireguard", "src/base"], packages: [], builtIns: true },
  { path: "src/services", rooms: ["src/netmap", "src/base"], packages: [], builtIns: true },
  { path: "src/daemon", rooms: EVERYTHING, packages: [FFI], builtIns: true },
  { path: "src/cli", rooms: ["src/base", ...DAEMON_SEAM], packages: ["citty", "consola"], builtIns: true },
  { path: "src/web", rooms: ["src/daemon/api.ts"], packages: [], builtIns: true },
  { path: "src/main.ts", rooms: ["src/cli", "src/dataplane/worker.ts"], packages: [FFI], builtIns: true },
];

/** Rooms that the daemon's room may not look into, though it composes all others. */
export const NOT_FOR_DAEMON = ["src/cli", "src/web"];

/** Of a pure room whose files still may not use anything of the world around, by name. */
export const WORLDLY_NAMES = [
  "setTimeout",
  "setInterval",
  "Date.now",
  "performance.now",
  "process.env",
  "fetch(",
  "Math.random",
];

/** Rooms that are told the time and never ask, and open nothing. */
export const PURE_ROOMS = ["src/wireguard", "src/path", "src/policy", "src/dns", "src/trust"];
