/** Every command there is, in the groups that `help` shows. Each is loaded when it is called. */

import { type CommandDef, defineCommand } from "citty";

type Load = () => Promise<CommandDef>;

interface CommandGroup {
  readonly title: string;
  readonly commands: Readonly<Record<string, Load>>;
}

export const commandGroups: readonly CommandGroup[] = [
  {
    title: "Looking",
    commands: {
      selftest: async () => (await import("./commands/selftest.ts")).default,
      version: async () => (await import("./commands/version.ts")).default,
      help: async () => (await import("./commands/help.ts")).default,
    },
  },
];

export const rootCommand: CommandDef = defineCommand({
  meta: { name: "minitail", description: "a private mesh network in one file" },
  subCommands: Object.assign({}, ...commandGroups.map((group) => group.commands)) as Record<string, Load>,
});
