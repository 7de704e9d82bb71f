/**
 * Rules: which routing table a packet is looked up in, asked in the order of their priorities.
 *
 *     struct fib_rule_hdr, 12 bytes:   0  u8  family               4  u8   table, if it fits 8 bits; FRA_TABLE counts
 *                                      1  u8  destination length   7  u8   action
 *                                      2  u8  source length        8  u32  flags
 *                                      3  u8  type of service
 */

import {
  type Attributes,
  decodeAttributes,
  encodeAttribute,
  encodeTextAttribute,
  encodeU8Attribute,
  encodeU32Attribute,
  joinBytes,
  readAddress,
  readText,
  readU8,
  readU32,
  viewOf,
} from "./attribute.ts";
import { familyOfVersion, type IpVersion, type NetlinkPrefix, versionOfFamily } from "./ip-prefix.ts";
import { type NetlinkMessage, NLM_F_CREATE, NLM_F_EXCL } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

/** linux/rtnetlink.h */
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const RTM_GETRULE = 34;

/** linux/fib_rules.h */
const FRA_DST = 1;
const FRA_SRC = 2;
const FRA_IIFNAME = 3;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_SUPPRESS_PREFIXLEN = 14;
const FRA_TABLE = 15;
const FRA_FWMASK = 16;
const FRA_OIFNAME = 17;
const FRA_PROTOCOL = 21;
const FIB_RULE_INVERT = 0x2;
/** FRA_SUPPRESS_PREFIXLEN of a rule that suppresses nothing. */
const SUPPRESS_NOTHING = 0xffffffff;

const FIB_RULE_HDR_BYTES = 12;
const DESTINATION_LENGTH_OFFSET = 1;
const SOURCE_LENGTH_OFFSET = 2;
const TABLE_OFFSET = 4;
const ACTION_OFFSET = 7;
const FLAGS_OFFSET = 8;

const ACTION_NUMBERS = {
  /** Look in the table. */
  table: 1,
  /** Drop. */
  blackhole: 6,
  /** Refuse with ICMP "network unreachable". */
  unreachable: 7,
  /** Refuse with ICMP "administratively prohibited". */
  prohibit: 8,
} as const;

export type RuleAction = keyof typeof ACTION_NUMBERS;

const ACTION_BY_NUMBER = new Map<number, RuleAction>(
  Object.entries(ACTION_NUMBERS).map(([name, number]) => [number, name as RuleAction]),
);

/** A rule of the kernel; what is absent it does not ask about. */
export interface Rule {
  readonly version: IpVersion;
  /** 0 is asked first. */
  readonly priority: number;
  readonly action: RuleAction;
  /** 0 if the action is another than `"table"`. */
  readonly table: number;
  /** The rule is for packets to which the rest does not apply (`not`). */
  readonly invert: boolean;
  readonly source?: NetlinkPrefix;
  readonly destination?: NetlinkPrefix;
  /** The firewall mark, of which the bits of `markMask` count. */
  readonly mark?: number;
  readonly markMask?: number;
  /** The interface's name that the packet came by; `"lo"`: it was made here. */
  readonly inputInterface?: string;
  /** The interface's name that the sending socket is bound to. */
  readonly outputInterface?: string;
  /** A route found in the table counts only if its prefix is longer than this; 0: a default route does not. */
  readonly suppressPrefixLength?: number;
  /** Who made it; as `Route.protocol`. */
  readonly protocol?: number;
}

/** A rule to add, or to delete. */
export interface RuleSpecification extends Partial<Rule> {
  readonly version: IpVersion;
}

/** In the order of their priorities, IPv4 before IPv6. */
export function listRules(netlink: NetlinkSocket, version?: IpVersion): Rule[] {
  const versions = version === undefined ? ([4, 6] as const) : [version];
  return versions.flatMap((each) => {
    const header = new Uint8Array(FIB_RULE_HDR_BYTES);
    header[0] = familyOfVersion(each);
    return netlink.dump(RTM_GETRULE, header, "list routing rules").flatMap((message) => decodeRule(message) ?? []);
  });
}

/** Without a priority the kernel takes one before all but the first. @throws SystemError EEXIST, EPERM */
export function addRule(netlink: NetlinkSocket, rule: RuleSpecification): void {
  const operation = `add a routing rule of IPv${rule.version} with priority ${rule.priority ?? "of the kernel's choice"}`;
  netlink.request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, encodeRule({ action: "table", ...rule }), operation);
}

/** Deletes the first rule that is like `rule` in all that it names. @throws SystemError ENOENT: there is none */
export function deleteRule(netlink: NetlinkSocket, rule: RuleSpecification): void {
  const operation = `delete a routing rule of IPv${rule.version} with priority ${rule.priority ?? "any"}`;
  netlink.request(RTM_DELRULE, 0, encodeRule(rule), operation);
}

function encodeRule(rule: RuleSpecification): Uint8Array {
  const { table = 0, source, destination } = rule;
  const header = new Uint8Array(FIB_RULE_HDR_BYTES);
  header[0] = familyOfVersion(rule.version);
  header[DESTINATION_LENGTH_OFFSET] = destination?.lengthBits ?? 0;
  header[SOURCE_LENGTH_OFFSET] = source?.lengthBits ?? 0;
  header[TABLE_OFFSET] = table <= 0xff ? table : 0;
  header[ACTION_OFFSET] = rule.action === undefined ? 0 : ACTION_NUMBERS[rule.action];
  viewOf(header).setUint32(FLAGS_OFFSET, rule.invert ? FIB_RULE_INVERT : 0, true);
  const number = (type: number, value: number | undefined) =>
    value === undefined ? [] : [encodeU32Attribute(type, value)];
  const text = (type: number, value: string | undefined) =>
    value === undefined ? [] : [encodeTextAttribute(type, value)];
  const address = (type: number, prefix: NetlinkPrefix | undefined) =>
    prefix === undefined ? [] : [encodeAttribute(type, prefix.address)];
  return joinBytes(
    header,
    ...number(FRA_TABLE, table === 0 ? undefined : table),
    ...number(FRA_PRIORITY, rule.priority),
    ...number(FRA_FWMARK, rule.mark),
    ...number(FRA_FWMASK, rule.markMask),
    ...number(FRA_SUPPRESS_PREFIXLEN, rule.suppressPrefixLength),
    ...text(FRA_IIFNAME, rule.inputInterface),
    ...text(FRA_OIFNAME, rule.outputInterface),
    ...address(FRA_SRC, source),
    ...address(FRA_DST, destination),
    ...(rule.protocol === undefined ? [] : [encodeU8Attribute(FRA_PROTOCOL, rule.protocol)]),
  );
}

/** The rule that an RTM_NEWRULE tells of, `undefined` if it is another message, malformed, or of an unknown action. */
export function decodeRule({ type, body }: NetlinkMessage): Rule | undefined {
  if (type !== RTM_NEWRULE || body.length < FIB_RULE_HDR_BYTES) return undefined;
  const attributes = decodeAttributes(body.subarray(FIB_RULE_HDR_BYTES));
  const version = versionOfFamily(body[0]!);
  const action = ACTION_BY_NUMBER.get(body[ACTION_OFFSET]!);
  if (attributes === undefined || version === undefined || action === undefined) return undefined;
  const mark = readU32(attributes, FRA_FWMARK);
  const markMask = readU32(attributes, FRA_FWMASK);
  const suppressed = readU32(attributes, FRA_SUPPRESS_PREFIXLEN);
  return {
    version,
    priority: readU32(attributes, FRA_PRIORITY) ?? 0,
    action,
    table: readU32(attributes, FRA_TABLE) ?? body[TABLE_OFFSET]!,
    invert: (viewOf(body).getUint32(FLAGS_OFFSET, true) & FIB_RULE_INVERT) !== 0,
    ...present("source", readPrefix(attributes, FRA_SRC, body[SOURCE_LENGTH_OFFSET]!)),
    ...present("destination", readPrefix(attributes, FRA_DST, body[DESTINATION_LENGTH_OFFSET]!)),
    ...present("mark", markMask === undefined ? mark : (mark ?? 0)),
    ...present("markMask", markMask),
    ...present("inputInterface", readText(attributes, FRA_IIFNAME)),
    ...present("outputInterface", readText(attributes, FRA_OIFNAME)),
    ...present("suppressPrefixLength", suppressed === SUPPRESS_NOTHING ? undefined : suppressed),
    ...present("protocol", readU8(attributes, FRA_PROTOCOL)),
  };
}

function readPrefix(attributes: Attributes, type: number, lengthBits: number): NetlinkPrefix | undefined {
  const address = readAddress(attributes, type);
  return address && { address, lengthBits };
}

function present<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { [K in Key]?: Value };
}
