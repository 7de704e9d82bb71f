/**
 * Numbers of the socket interface, as the kernel's headers spell them. x86_64 and aarch64 agree on all of them
 * (asm-generic/socket.h, linux/socket.h, linux/in.h, linux/in6.h, linux/udp.h).
 */

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_BROADCAST = 6;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const SO_BINDTODEVICE = 25;
/** As SO_SNDBUF without the limit of net.core.wmem_max; needs CAP_NET_ADMIN. */
export const SO_SNDBUFFORCE = 32;
/** As SO_RCVBUF without the limit of net.core.rmem_max; needs CAP_NET_ADMIN. */
export const SO_RCVBUFFORCE = 33;
/** The mark that rules and nftables see; needs CAP_NET_ADMIN, or since kernel 5.17 CAP_NET_RAW. */
export const SO_MARK = 36;

export const IPPROTO_IP = 0;
export const IP_TOS = 1;
/** Asks for the address that a datagram was sent to, and says which one to send from. */
export const IP_PKTINFO = 8;
export const IP_MTU_DISCOVER = 10;
export const IP_RECVERR = 11;
/** Of a connected socket: the MTU of its path, as far as the kernel knows it. */
export const IP_MTU = 14;
/** Values of IP_MTU_DISCOVER and IPV6_MTU_DISCOVER. */
export const IP_PMTUDISC_DONT = 0;
export const IP_PMTUDISC_DO = 2;
export const IP_PMTUDISC_PROBE = 3;

export const IPPROTO_IPV6 = 41;
export const IPV6_MTU_DISCOVER = 23;
/** As IP_MTU. */
export const IPV6_MTU = 24;
export const IPV6_V6ONLY = 26;
/** Asks for IPV6_PKTINFO with each datagram. */
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;

/** Also the level of UDP's options, SOL_UDP. */
export const IPPROTO_UDP = 17;
/** Size of the datagrams that one large send is cut into. */
export const UDP_SEGMENT = 103;
/** Asks for runs of equal datagrams to be received as one. */
export const UDP_GRO = 104;

/** How many datagrams every kernel cuts a send with UDP_SEGMENT into; newer ones take 128. */
export const UDP_MAX_SEGMENTS = 64;
/** The largest payload of a UDP datagram over IPv4. */
export const UDP_MAX_PAYLOAD_BYTES = 65_507;

export const MSG_PEEK = 0x2;
export const MSG_CTRUNC = 0x8;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
