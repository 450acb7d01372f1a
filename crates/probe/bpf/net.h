/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Socket addresses and both ends of a socket. */
#ifndef LANNER_NET_H
#define LANNER_NET_H

#include "copies.h"
#include "file.h"

#define UNIX_PATH_MAX 108

static __always_inline u16 swap16(u16 value)
{
	return __builtin_bswap16(value);
}

static __always_inline struct sock *sock_of_file(struct file *file)
{
	struct socket *socket;

	if (!file || BPF_CORE_READ(file, f_inode, i_sb, s_magic) != SOCKFS_MAGIC)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return socket ? BPF_CORE_READ(socket, sk) : NULL;
}

/* Appends raw bytes at `*len` behind the cursor. */
static __always_inline void add8(struct scratch *s, u32 *len, u8 value)
{
	s->data[bounded(s->pos + *len, EVENT_MAX - 1)] = value;
	*len += 1;
}

static __always_inline void add16(struct scratch *s, u32 *len, u16 value)
{
	*(u16 *)&s->data[bounded(s->pos + *len, EVENT_MAX - 1)] = value;
	*len += 2;
}

static __always_inline void add32(struct scratch *s, u32 *len, u32 value)
{
	*(u32 *)&s->data[bounded(s->pos + *len, EVENT_MAX - 1)] = value;
	*len += 4;
}

static __always_inline void add64(struct scratch *s, u32 *len, u64 value)
{
	*(u64 *)&s->data[bounded(s->pos + *len, EVENT_MAX - 1)] = value;
	*len += 8;
}

static __always_inline void add_in6(struct scratch *s, u32 *len, const struct in6_addr *from)
{
	bpf_probe_read_kernel(&s->data[bounded(s->pos + *len, EVENT_MAX - 1)], 16, from);
	*len += 16;
}

/* Appends a unix path of at most `max` bytes, and a NUL; an abstract name loses its leading NUL. */
static __always_inline void add_unix_path(struct scratch *s, u32 *len, const char *from, u32 max)
{
	u8 *to = &s->data[bounded(s->pos + *len, EVENT_MAX - 1)];
	char first = 0;
	long n = 0;

	if (from) {
		bpf_probe_read_kernel(&first, 1, from);
		/* of an abstract name one byte is gone, and behind it nothing of it is left to read */
		if (!first)
			max--;
		n = bpf_probe_read_kernel_str(to, bounded(max, 127) + 1, first ? from : from + 1);
	}
	if (n <= 0) {
		*to = 0;
		n = 1;
	}
	*len += n;
}

/* Reads a socket address that the caller gave. */
static __always_inline bool read_address(struct scratch *s, void *to, u32 size, u64 from)
{
	u64 copy = s->uring ? from : can_keep ? address_copy() : 0;

	if (copy)
		return bpf_probe_read_kernel(to, size, (void *)copy) == 0;
	return bpf_probe_read_user(to, size, (void *)from) == 0;
}

/* A socket address that user memory holds. */
__noinline int put_sockaddr(u64 from, u64 size)
{
	struct scratch *s = get_scratch();
	u8 *raw;
	u32 len = 0;
	u16 family;

	if (!s)
		return 0;
	raw = s->path;
	if (address_copy_len(s))
		size = address_copy_len(s);
	size &= 0xffff;
	if (size > 128)
		size = 128;
	__builtin_memset(raw, 0, 136);
	if (size < 2 || (!from && !address_copy()) || !read_address(s, raw, bounded(size, 255), from)) {
		put_empty(s);
		return 0;
	}
	family = *(u16 *)raw;
	if (family == AF_INET) {
		add8(s, &len, AF_INET);
		add32(s, &len, *(u32 *)(raw + 4));
		add16(s, &len, swap16(*(u16 *)(raw + 2)));
	} else if (family == AF_INET6) {
		add8(s, &len, AF_INET6);
		add64(s, &len, *(u64 *)(raw + 8));
		add64(s, &len, *(u64 *)(raw + 16));
		add16(s, &len, swap16(*(u16 *)(raw + 2)));
	} else if (family == AF_UNIX) {
		add8(s, &len, AF_UNIX);
		add_unix_path(s, &len, (char *)raw + 2, UNIX_PATH_MAX);
	}
	end_param(s, len);
	return 0;
}

/* The path that a unix socket is bound to, appended. */
static __always_inline void add_bound_path(struct scratch *s, u32 *len, struct unix_sock *sock)
{
	struct unix_address *address = sock ? BPF_CORE_READ(sock, addr) : NULL;
	s32 size = address ? BPF_CORE_READ(address, len) - 2 : 0;

	/* the kernel's copy is no longer than its length says, and abstract names have no NUL */
	if (size <= 0 || size > UNIX_PATH_MAX) {
		add8(s, len, 0);
		return;
	}
	add_unix_path(s, len, address->name[0].sun_path, size);
}

struct ends {
	u32 direction;
	u32 named; /* the message went to the address that the caller gave, whatever the socket is connected to */
	u64 user_address; /* where the kernel has no remote end: the address that the caller gave, 0: none */
};

/* Whether a message is sent to an address of its own, as sockets that are connected let it, unless they are streams. */
static __always_inline bool is_named(struct scratch *s, struct sock *sk, struct ends *ends)
{
	u16 kind = BPF_CORE_READ(sk, sk_type);

	if (s->uring || ends->direction != DIRECTION_OUT || s->type == EV_SOCKET_CONNECT_X ||
	    (kind != SOCK_DGRAM && kind != SOCK_RAW))
		return false;
	return can_keep && keeping ? address_copy() : ends->user_address;
}

/* Reads an IPv6 address, or an IPv4 one as such. */
static __always_inline void read_ipv6(struct scratch *s, u8 *raw, u64 from)
{
	u32 ipv4;

	__builtin_memset(raw, 0, 24);
	if (!read_address(s, raw, 24, from))
		read_address(s, raw, 16, from);
	if (*(u16 *)raw != AF_INET)
		return;
	ipv4 = *(u32 *)(raw + 4);
	*(u64 *)(raw + 8) = 0;
	*(u32 *)(raw + 16) = 0xffff0000;
	*(u32 *)(raw + 20) = ipv4;
}

static __always_inline void add_ipv4(struct scratch *s, u32 *len, struct sock *sk, struct ends *ends)
{
	u32 local = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr), remote = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	u16 local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	u16 remote_port = swap16(BPF_CORE_READ(sk, __sk_common.skc_dport));

	if ((ends->named || !remote_port) && ends->user_address) {
		u8 raw[8] = {};

		read_address(s, raw, sizeof(raw), ends->user_address);
		remote = *(u32 *)(raw + 4);
		remote_port = swap16(*(u16 *)(raw + 2));
	}
	add8(s, len, AF_INET);
	add32(s, len, ends->direction == DIRECTION_OUT ? local : remote);
	add16(s, len, ends->direction == DIRECTION_OUT ? local_port : remote_port);
	add32(s, len, ends->direction == DIRECTION_OUT ? remote : local);
	add16(s, len, ends->direction == DIRECTION_OUT ? remote_port : local_port);
}

static __always_inline void add_ipv6(struct scratch *s, u32 *len, struct sock *sk, struct ends *ends)
{
	const struct in6_addr *local = &sk->__sk_common.skc_v6_rcv_saddr;
	const struct in6_addr *remote = &sk->__sk_common.skc_v6_daddr;
	u16 local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	u16 remote_port = swap16(BPF_CORE_READ(sk, __sk_common.skc_dport));

	if ((ends->named || !remote_port) && ends->user_address) {
		u8 *raw = s->path;

		read_ipv6(s, raw, ends->user_address);
		remote = (void *)(raw + 8);
		remote_port = swap16(*(u16 *)(raw + 2));
	}
	add8(s, len, AF_INET6);
	add_in6(s, len, ends->direction == DIRECTION_OUT ? local : remote);
	add16(s, len, ends->direction == DIRECTION_OUT ? local_port : remote_port);
	add_in6(s, len, ends->direction == DIRECTION_OUT ? remote : local);
	add16(s, len, ends->direction == DIRECTION_OUT ? remote_port : local_port);
}

static __always_inline void add_unix(struct scratch *s, u32 *len, struct sock *sk, struct ends *ends)
{
	struct unix_sock *own = (void *)sk;
	struct unix_sock *peer = ends->named ? NULL : (void *)BPF_CORE_READ(own, peer);

	add8(s, len, AF_UNIX);
	if (ends->direction == DIRECTION_IN) {
		add64(s, len, (u64)own);
		add64(s, len, (u64)peer);
		add_bound_path(s, len, own);
		return;
	}
	add64(s, len, (u64)peer);
	add64(s, len, (u64)own);
	if (!peer && ends->user_address) {
		__builtin_memset(s->path, 0, 112);
		read_address(s, s->path, 110, ends->user_address);
		add_unix_path(s, len, (char *)s->path + 2, UNIX_PATH_MAX);
		return;
	}
	add_bound_path(s, len, peer);
}

/* Both ends of the socket that `fd` is. */
__noinline int put_tuple(s64 fd, u32 direction, u64 user_address)
{
	struct scratch *s = get_scratch();
	struct ends ends = { .direction = direction, .user_address = user_address };
	struct sock *sk;
	u32 len = 0;
	u16 family;

	if (!s)
		return 0;
	/* where the address stands may be forged, too */
	if (can_keep && !user_address)
		ends.user_address = address_copy();
	sk = sock_of_file(file_of_argument(s, fd));
	if (!sk) {
		put_empty(s);
		return 0;
	}
	ends.named = is_named(s, sk, &ends);
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family == AF_INET)
		add_ipv4(s, &len, sk, &ends);
	else if (family == AF_INET6)
		add_ipv6(s, &len, sk, &ends);
	else if (family == AF_UNIX)
		add_unix(s, &len, sk, &ends);
	end_param(s, len);
	return 0;
}

/* The backlog of a listening socket. */
static __always_inline u32 backlog(struct scratch *s, s64 fd, int what)
{
	struct sock *sk = sock_of_file(file_of_argument(s, fd));
	u64 length, max;

	if (!sk)
		return 0;
	length = BPF_CORE_READ(sk, sk_ack_backlog);
	max = BPF_CORE_READ(sk, sk_max_ack_backlog);
	return what == QUEUE_LEN ? length : what == QUEUE_MAX ? max : max ? length * 100 / max : 0;
}

static __always_inline u64 pair_address(s64 fd, int what)
{
	struct sock *sk = sock_of_file(file_of_fd(fd));

	if (!sk || BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX)
		return 0;
	return what == SOCKPTR_SOURCE ? (u64)sk : (u64)BPF_CORE_READ((struct unix_sock *)sk, peer);
}

#endif
