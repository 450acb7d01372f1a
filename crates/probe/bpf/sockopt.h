/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Values of socket options. */
#ifndef LANNER_SOCKOPT_H
#define LANNER_SOCKOPT_H

#include "message.h"

/* What the first byte of a value says that it is. */
enum { VALUE_BYTES, VALUE_ERROR, VALUE_U32, VALUE_U64, VALUE_TIME };

#define SOL_SOCKET 1
#define SO_ERROR 4
#define SO_LINGER 13
#define SO_PEERCRED 17
#define SO_RCVTIMEO 20
#define SO_SNDTIMEO 21
#define SO_ATTACH_FILTER 26
#define SO_PEERNAME 28
#define SO_INCOMING_CPU 49
#define SO_COOKIE 57
#define SO_RCVTIMEO_NEW 66
#define SO_SNDTIMEO_NEW 67

static __always_inline u32 kind_of_option(u64 level, u64 name)
{
	if (level != SOL_SOCKET)
		return VALUE_BYTES;
	switch (name) {
	case SO_ERROR:
		return VALUE_ERROR;
	case SO_RCVTIMEO:
	case SO_SNDTIMEO:
	case SO_RCVTIMEO_NEW:
	case SO_SNDTIMEO_NEW:
		return VALUE_TIME;
	case SO_COOKIE:
		return VALUE_U64;
	case SO_LINGER:
	case SO_PEERCRED:
	case SO_ATTACH_FILTER:
	case SO_PEERNAME:
		return VALUE_BYTES;
	}
	return name <= SO_INCOMING_CPU ? VALUE_U32 : VALUE_BYTES;
}

static __always_inline u64 option_len(struct scratch *s)
{
	u32 len = 0;

	if (s->type != EV_SOCKET_GETSOCKOPT_X)
		return (u16)s->args[4];
	bpf_probe_read_user(&len, sizeof(len), (void *)s->args[4]);
	return len;
}

/* One byte that says what the value is, then the value. */
__noinline int put_sockopt(void)
{
	struct scratch *s = get_scratch();
	u64 from, value = 0, len;
	u32 kind;
	u8 *to;

	if (!s)
		return 0;
	from = s->args[3];
	kind = kind_of_option(s->args[1], s->args[2]);
	to = cursor(s);
	to[0] = kind;
	switch (kind) {
	case VALUE_ERROR:
		bpf_probe_read_user(&value, 4, (void *)from);
		*(s64 *)(to + 1) = -(s64)(s32)value;
		end_param(s, 9);
		return 0;
	case VALUE_U32:
		bpf_probe_read_user(&value, 4, (void *)from);
		*(u32 *)(to + 1) = value;
		end_param(s, 5);
		return 0;
	case VALUE_U64:
		bpf_probe_read_user(&value, 8, (void *)from);
		*(u64 *)(to + 1) = value;
		end_param(s, 9);
		return 0;
	case VALUE_TIME:
		*(u64 *)(to + 1) =
			word_at(from, 0, s->compat) * 1000000000ull + word_at(from, 1, s->compat) * 1000;
		end_param(s, 9);
		return 0;
	}
	len = option_len(s);
	if (len > TEXT_MAX)
		len = TEXT_MAX;
	if (!from || !len || bpf_probe_read_user(to + 1, bounded(len, 2 * TEXT_MAX - 1), (void *)from))
		len = 0;
	end_param(s, len + 1);
	return 0;
}

#endif
