/**
 * The codes of `errno=N` at the end of an answer: Linux's numbers, negative as wireguard-go writes them,
 * so that `wg` prints what they mean.
 */
export const UapiErrno = {
  none: 0,
  /** EPERM: the device is set up by its own program. */
  notPermitted: -1,
  /** EIO: the device could not do what was asked. */
  io: -5,
  /** EINVAL: an unknown key, or a value that is not one. */
  invalid: -22,
  /** ENOSPC: more peers or allowed IPs than there is room for. */
  noSpace: -28,
  /** EPROTO: a line that is not `key=value`. */
  protocol: -71,
  /** EADDRINUSE: another program has the listen port. */
  portInUse: -98,
} as const;

export type UapiErrno = (typeof UapiErrno)[keyof typeof UapiErrno];

/** The end of every answer. */
export function formatErrno(errno: UapiErrno): string {
  return `errno=${errno}\n\n`;
}
