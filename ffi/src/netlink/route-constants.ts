/** Numbers of the kernel's routing (linux/rtnetlink.h), as `/etc/iproute2` names them. */

/** Tables. Any number of 32 bits is one; these have names. */
export const TABLE_DEFAULT = 253;
export const TABLE_MAIN = 254;
export const TABLE_LOCAL = 255;

/** How far away the destination is: the larger the nearer. */
export const SCOPE_UNIVERSE = 0;
export const SCOPE_LINK = 253;
export const SCOPE_HOST = 254;
/** Nowhere. When deleting: whichever scope. */
export const SCOPE_NOWHERE = 255;

/** Who made a route. Programs may use numbers from 5 up as their own. */
export const PROTOCOL_UNSPECIFIED = 0;
export const PROTOCOL_KERNEL = 2;
export const PROTOCOL_BOOT = 3;
export const PROTOCOL_STATIC = 4;
