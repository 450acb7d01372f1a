/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the socket is that a call is about, and whether user space knows its ends.
 *
 * Data that goes over a stream of TCP tells user space nothing new once it has been told of both ends: of any
 * exchange after that, none is needed. It is noted by the number of the fd, the socket and its ends, so that it counts
 * for no other socket that the number comes to mean, nor for one that is connected anew. Likewise of datagrams, as long as
 * they go from one end of a connected socket to the other by an fd of which that was told when it was connected: what goes
 * to an address of its own, or comes from anywhere, may change what user space takes for the ends, and it takes a copy of an
 * fd for what that was before (lanner_machine's sockets.rs).
 */
#ifndef LANNER_SOCKETS_H
#define LANNER_SOCKETS_H

#include "fds.h"
#include "message.h"

#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define EINPROGRESS 115
#define FACTOR 0x9e3779b97f4a7c15ull
#define SOCKETS_NOTED 64 /* a power of two; those of one place take turns */

/* In the order of lanner_event's SocketClass. Of the first ones that of IPv6 comes right behind that of IPv4. */
enum {
	SOCKET_UNKNOWN,
	SOCKET_TCP4,
	SOCKET_TCP6,
	SOCKET_UDP4,
	SOCKET_UDP6,
	SOCKET_OTHER4,
	SOCKET_OTHER6,
	SOCKET_UNIX,
	SOCKET_NETLINK,
	SOCKET_OTHER,
	/* Whose ends no rule asks for, by UNASKED_*: 1, 2 or both. */
	SOCKET_TCP_ELSEWHERE,
	SOCKET_TCP_OTHER_PORTS,
	SOCKET_TCP_UNASKED,
	SOCKET_UDP_ELSEWHERE,
	SOCKET_UDP_OTHER_PORTS,
	SOCKET_UDP_UNASKED,
};

enum { UNASKED_ADDRESSES = 1, UNASKED_PORTS = 2 };

#define BY_DATA 1 /* in `ends`: data told of them. Of datagrams alone they are noted without it, when they are connected */

struct told_socket {
	u64 which, ends;
};

struct told_sockets {
	struct told_socket by_fd[SOCKETS_NOTED];
};

/* Of a process: sockets of whose ends user space was told. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct told_sockets);
} told_sockets SEC(".maps");

struct address {
	u64 high, low;
};

/*
 * Networks that rules ask for, a bit for the hash of each, as lanner_event's Addresses has them, and which bits of an
 * address count: a mask for each length, and how many there are. Likewise ports, a bit for each, and whether there are any.
 */
u64 addresses[ADDRESS_WORDS] = {};
struct address address_masks[ADDRESS_LENGTHS] = {};
u32 address_lengths = 0;
u64 ports[PORT_WORDS] = {};
u8 by_port = 0;

static __always_inline u64 mix(u64 hash, u64 word)
{
	hash = (hash ^ word) * FACTOR;
	return hash ^ hash >> 32;
}

/* How often what is asked for has changed; at least 1 where a sieve is used. */
u32 generation = 0;

/* Whether data may have gone with the handshake, so that what is sent says where to. */
static __always_inline bool is_fast_open(struct sock *sk)
{
	struct tcp_sock *tcp = (void *)sk;

	return BPF_CORE_READ_BITFIELD_PROBED(tcp, syn_fastopen) || BPF_CORE_READ_BITFIELD_PROBED(tcp, fastopen_connect);
}

/* Whether rules ask for an IPv6 address; a function of its own, so that the verifier looks at it once. */
__noinline int is_asked_address(u64 high, u64 low)
{
	for (u32 i = 0; i < ADDRESS_LENGTHS && i < address_lengths; i++) {
		const struct address *mask = &address_masks[i];
		u64 hash = mix(mix(i, low & mask->low), high & mask->high);

		if (addresses[bounded(hash >> 59, ADDRESS_WORDS - 1)] >> (hash >> 53 & 63) & 1)
			return 1;
	}
	return 0;
}

static __always_inline bool is_unspecified(const struct in6_addr *from)
{
	struct address address = {};

	bpf_probe_read_kernel(&address, sizeof(address), from);
	return !(address.high | address.low);
}

static __always_inline bool is_asked_ipv6(const struct in6_addr *from)
{
	struct address address = {};

	bpf_probe_read_kernel(&address, sizeof(address), from);
	return is_asked_address(address.high, address.low);
}

/* An IPv4 address, as it lies in an IPv6 one. */
static __always_inline bool is_asked_ipv4(u32 address)
{
	return is_asked_address(0, (u64)address << 32 | 0xffff0000);
}

static __always_inline bool is_asked_port(u16 port)
{
	return ports[bounded(port >> 6, PORT_WORDS - 1)] >> (port & 63) & 1;
}

/* Whether no rule asks for the address of either end. */
static __always_inline bool is_elsewhere(struct sock *sk, bool v6)
{
	if (v6)
		return !is_asked_ipv6(&sk->__sk_common.skc_v6_daddr) && !is_asked_ipv6(&sk->__sk_common.skc_v6_rcv_saddr);
	return !is_asked_ipv4(BPF_CORE_READ(sk, __sk_common.skc_daddr)) &&
	       !is_asked_ipv4(BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
}

/*
 * What of the socket's two ends no rule asks for, as UNASKED_*; nothing if it has no two ends. Of a connect that failed, they
 * need not be those that it was given. A stream that is over may have lost its own port: 0 counts as asked for.
 */
static __always_inline u32 unasked_of(struct scratch *s, struct sock *sk, bool v6)
{
	u16 port = BPF_CORE_READ(sk, __sk_common.skc_dport);
	u32 unasked = 0;

	if (!port || (s->ret < 0 && plan_of(s)->type == EV_SOCKET_CONNECT_X))
		return 0;
	if (address_lengths && is_elsewhere(sk, v6))
		unasked |= UNASKED_ADDRESSES;
	if (by_port && !is_asked_port(swap16(port)) && !is_asked_port(BPF_CORE_READ(sk, __sk_common.skc_num)))
		unasked |= UNASKED_PORTS;
	return unasked;
}

/* Whether the call sends to an address that it names itself; as is_named finds it of a datagram. */
static __always_inline bool names_address(struct scratch *s)
{
	u64 user;

	switch (plan_of(s)->type) {
	case EV_SOCKET_SENDTO_X:
		user = s->args[5] ? s->args[4] : 0;
		break;
	case EV_SOCKET_SENDMSG_X:
		user = name_of_message(s->args[1], s->compat);
		break;
	case EV_SOCKET_SENDMMSG_X:
		return true; /* each message may have its own */
	default:
		return false;
	}
	return can_keep && keeping ? address_copy() : user;
}

/*
 * Whether the socket's own ends are all that a datagram tells: it is connected, and the call names no address
 * (is_named). Without an address of its own, user space looks for one.
 */
static __always_inline bool goes_between_ends(struct scratch *s, struct sock *sk, bool v6)
{
	if (!BPF_CORE_READ(sk, __sk_common.skc_dport))
		return false;
	if (!v6 && !BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr))
		return false;
	if (v6 && is_unspecified(&sk->__sk_common.skc_v6_rcv_saddr))
		return false;
	return !names_address(s);
}

/* Finds what the socket is of which the call has the fd. */
__noinline int find_socket(void)
{
	struct scratch *s = get_scratch();
	struct file *file;
	struct sock *sk;
	u16 family, kind, protocol;
	u32 class = SOCKET_OTHER4, elsewhere = 0, unasked = 0;
	bool v6;

	if (!s)
		return 0;
	if (can_cast)
		file = file_of_followed(AS(task_struct, s->task), s->socket_fd);
	else
		file = file_of_fd(s->socket_fd);
	sk = sock_of_file(file);
	s->socket_file = (u64)file;
	s->socket = (u64)sk;
	s->socket_class = SOCKET_UNKNOWN;
	s->ends_told = 0;
	if (!sk)
		return 0;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6) {
		s->socket_class = family == AF_UNIX ? SOCKET_UNIX : family == AF_NETLINK ? SOCKET_NETLINK : SOCKET_OTHER;
		return 0;
	}
	kind = BPF_CORE_READ(sk, sk_type);
	protocol = BPF_CORE_READ(sk, sk_protocol);
	v6 = family == AF_INET6;
	if (kind == SOCK_STREAM && protocol == IPPROTO_TCP && !is_fast_open(sk)) {
		class = SOCKET_TCP4;
		elsewhere = SOCKET_TCP_ELSEWHERE;
		s->ends_told = 1;
	} else if (kind == SOCK_DGRAM && protocol == IPPROTO_UDP) {
		class = SOCKET_UDP4;
		elsewhere = SOCKET_UDP_ELSEWHERE;
		s->ends_told = goes_between_ends(s, sk, v6);
	}
	if (s->ends_told && (address_lengths || by_port))
		unasked = unasked_of(s, sk, v6);
	s->socket_v6 = v6;
	s->socket_class = unasked ? elsewhere + unasked - UNASKED_ADDRESSES : class + v6;
	return 0;
}

static __always_inline bool is_udp(struct scratch *s)
{
	return s->socket_class == SOCKET_UDP4 || s->socket_class == SOCKET_UDP6 || s->socket_class >= SOCKET_UDP_ELSEWHERE;
}

/*
 * Both ends of a stream as one number; 0 if it has no other end. Of datagrams user space was told all in between only as
 * long as nothing else was asked for.
 */
static __always_inline u64 ends_of(struct scratch *s)
{
	struct sock *sk = (void *)s->socket;
	bool v6 = s->socket_v6;
	u64 words[4] = {}, hash;
	u16 port = BPF_CORE_READ(sk, __sk_common.skc_dport);

	if (!port)
		return 0;
	hash = mix((u64)sk, (u64)port << 16 | BPF_CORE_READ(sk, __sk_common.skc_num));
	if (is_udp(s))
		hash = mix(hash, *(volatile u32 *)&generation);
	if (!v6)
		return mix(hash, (u64)BPF_CORE_READ(sk, __sk_common.skc_daddr) << 32 |
					 BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr)) | BY_DATA;
	bpf_probe_read_kernel(&words[0], 16, &sk->__sk_common.skc_v6_daddr);
	bpf_probe_read_kernel(&words[2], 16, &sk->__sk_common.skc_v6_rcv_saddr);
	for (u32 i = 0; i < 4; i++)
		hash = mix(hash, words[i]);
	return hash | BY_DATA;
}

/* Where it is noted for an fd of the current process that user space knows its socket, or NULL. */
static __always_inline struct told_socket *place_of_socket(struct task_struct *task, s64 fd, u64 flags)
{
	struct told_sockets *told;

	if (!can_hide || fd < 0)
		return NULL;
	/* another table has other sockets under the same numbers */
	if ((u64)followed(task)->group_leader->files != (u64)followed(task)->files)
		return NULL;
	told = bpf_task_storage_get(&told_sockets, task->group_leader, 0, flags);
	return told ? &told->by_fd[bounded(fd, SOCKETS_NOTED - 1)] : NULL;
}

/* Which socket under which number the call is about. The number of its inode is no other socket's for a long time. */
static __always_inline u64 which_socket(struct scratch *s)
{
	struct file *file = (void *)s->socket_file;

	return (u64)BPF_CORE_READ(file, f_inode, i_ino) << 32 | (u32)s->socket_fd;
}

/* Notes that user space was told of both ends of the socket that the call is about. */
__noinline int note_socket(void)
{
	struct scratch *s = get_scratch();
	struct told_socket *told;
	u64 which, ends;

	if (!can_hide || !s || !s->ends_told)
		return 0;
	told = place_of_socket(bpf_get_current_task_btf(), s->socket_fd, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!told)
		return 0;
	which = which_socket(s);
	ends = ends_of(s);
	if (is_udp(s) && plan_of(s)->type == EV_SOCKET_CONNECT_X)
		ends &= ~(u64)BY_DATA;
	else if (is_udp(s) && (told->which != which || (told->ends | BY_DATA) != ends))
		return 0;
	told->which = which;
	told->ends = ends;
	return 1;
}

/* Notes that user space no longer takes the fd for what it was, or for something else. */
__noinline int forget_socket(s32 fd)
{
	struct told_socket *told;

	if (!can_hide)
		return 0;
	told = place_of_socket(bpf_get_current_task_btf(), fd, 0);
	if (told && (u32)told->which == (u32)fd)
		told->which = 0;
	return 0;
}

/* What user space was told of at the number of the call's socket. */
static __always_inline struct told_socket what_was_told(struct scratch *s)
{
	struct told_socket told = {}, *place;
	u64 kept = s->caller.sockets + sizeof(told) * (s->socket_fd & (SOCKETS_NOTED - 1));

	if (HAS_NOTES_AT_HAND && s->caller.sockets && has_table_of_process(s)) {
		told.which = load_word(kept + offsetof(struct told_socket, which));
		told.ends = load_word(kept + offsetof(struct told_socket, ends));
		return told;
	}
	if (!can_hide)
		return told;
	place = place_of_socket(bpf_get_current_task_btf(), s->socket_fd, 0);
	if (place) {
		told = *place;
		/* it is found with less effort at the next call */
		s->caller.regs = 0;
	}
	return told;
}

/* Whether what went over the socket may tell user space something of its ends. */
static __always_inline bool tells_ends(struct scratch *s, bool but_unix)
{
	struct told_socket told;

	if (s->socket_class == SOCKET_UNIX)
		return !but_unix;
	if (s->socket_class == SOCKET_NETLINK || s->socket_class == SOCKET_OTHER)
		return false;
	if (!s->ends_told)
		return true;
	told = what_was_told(s);
	return !told.ends || told.which != which_socket(s) || told.ends != ends_of(s);
}

#endif
