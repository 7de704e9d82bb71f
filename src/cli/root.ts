/** Every command there is, in the groups that `help` shows. Each is loaded when it is called. */

import { type CommandDef, defineCommand } from "citty";
import { declareCommandGroup } from "./declare.ts";

type Load = () => Promise<CommandDef>;

interface CommandGroup {
  readonly title: string;
  readonly commands: Readonly<Record<string, Load>>;
}

const key: Load = async () =>
  declareCommandGroup("key", "join keys", {
    create: async () => (await import("./commands/key-create.ts")).default,
    list: async () => (await import("./commands/key-list.ts")).default,
    revoke: async () => (await import("./commands/key-revoke.ts")).default,
  });

const node: Load = async () =>
  declareCommandGroup("node", "the machines of the network", {
    list: async () => (await import("./commands/node-list.ts")).default,
    approve: async () => (await import("./commands/node-approve.ts")).default,
    remove: async () => (await import("./commands/node-remove.ts")).default,
    expire: async () => (await import("./commands/node-expire.ts")).default,
    renew: async () => (await import("./commands/node-renew.ts")).default,
    rename: async () => (await import("./commands/node-rename.ts")).default,
    "free-name": async () => (await import("./commands/node-free-name.ts")).default,
    "rotate-key": async () => (await import("./commands/node-rotate-key.ts")).default,
  });

const lock: Load = async () =>
  declareCommandGroup("lock", "who may decide who belongs", {
    status: async () => (await import("./commands/lock-status.ts")).default,
    log: async () => (await import("./commands/lock-log.ts")).default,
    add: async () => (await import("./commands/lock-add.ts")).default,
    remove: async () => (await import("./commands/lock-remove.ts")).default,
    settle: async () => (await import("./commands/lock-settle.ts")).default,
  });

const secret: Load = async () =>
  declareCommandGroup("secret", "the shared secret", {
    create: async () => (await import("./commands/secret-create.ts")).default,
    retire: async () => (await import("./commands/secret-retire.ts")).default,
  });

const registry: Load = async () =>
  declareCommandGroup("registry", "the registry: serve one, look at ours", {
    serve: async () => (await import("./commands/registry-serve.ts")).default,
    status: async () => (await import("./commands/registry-status.ts")).default,
    backup: async () => (await import("./commands/registry-backup.ts")).default,
    move: async () => (await import("./commands/registry-move.ts")).default,
  });

export const commandGroups: readonly CommandGroup[] = [
  {
    title: "Running",
    commands: {
      up: async () => (await import("./commands/up.ts")).default,
      down: async () => (await import("./commands/down.ts")).default,
      logout: async () => (await import("./commands/logout.ts")).default,
      wireguard: async () => (await import("./commands/wireguard.ts")).default,
    },
  },
  {
    title: "Looking",
    commands: {
      status: async () => (await import("./commands/status.ts")).default,
      ip: async () => (await import("./commands/ip.ts")).default,
      ping: async () => (await import("./commands/ping.ts")).default,
      metrics: async () => (await import("./commands/metrics.ts")).default,
      selftest: async () => (await import("./commands/selftest.ts")).default,
      version: async () => (await import("./commands/version.ts")).default,
      help: async () => (await import("./commands/help.ts")).default,
    },
  },
  { title: "Deciding", commands: { key, node, lock, secret } },
  { title: "Services", commands: { registry } },
];

export const rootCommand: CommandDef = defineCommand({
  meta: { name: "minitail", description: "a private mesh network in one file" },
  subCommands: Object.assign({}, ...commandGroups.map((group) => group.commands)) as Record<string, Load>,
});
