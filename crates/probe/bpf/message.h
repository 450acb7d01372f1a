/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The message headers of sendmsg, recvmsg, sendmmsg and recvmmsg. */
#ifndef LANNER_MESSAGE_H
#define LANNER_MESSAGE_H

#include "net.h"
#include "parts.h"

struct message {
	u64 name, parts, count, control, control_len;
};

/* Where the caller has the address that a message of his names, or 0. */
static __always_inline u64 name_of_message(u64 base, bool compat)
{
	/* an address without a length is none */
	return (u32)word_at(base, 1, compat) ? word_at(base, 0, compat) : 0;
}

/* name, namelen (a word with its padding), iov, iovlen, control, controllen: six words on either ABI */
static __always_inline bool read_message(struct scratch *s, struct message *m)
{
	u64 base = s->message;
	u8 probe;

	if (bpf_probe_read_user(&probe, 1, (void *)base))
		return false;
	m->name = name_of_message(base, s->compat);
	m->parts = word_at(base, 2, s->compat);
	m->count = word_at(base, 3, s->compat);
	m->control = word_at(base, 4, s->compat);
	m->control_len = word_at(base, 5, s->compat);
	return true;
}

/* Whether the call takes several messages; of one that moved none there is none to be shown. */
static __always_inline bool takes_several(u32 type)
{
	return type == EV_SOCKET_SENDMMSG_X || type == EV_SOCKET_RECVMMSG_X;
}

static __always_inline bool receives(u32 type)
{
	return type == EV_SOCKET_RECVMSG_X || type == EV_SOCKET_RECVMMSG_X;
}

__noinline int put_message(u32 what)
{
	struct scratch *s = get_scratch();
	struct message m = {};
	bool read;

	if (!s)
		return 0;
	read = s->message && read_message(s, &m);
	if (what == MSG_SIZE) {
		if (read || takes_several(s->type))
			put_u32(s, parts_size(m.parts, m.count));
		else
			put_empty(s);
		return 0;
	}
	if (s->ret < 0 && (what != MSG_DATA || receives(s->type)))
		put_empty(s);
	else if ((what == MSG_OUT || what == MSG_IN) && (read || !takes_several(s->type)))
		put_tuple(s->uring ? (s64)s->args[0] : (s32)s->args[0], what == MSG_OUT ? DIRECTION_OUT : DIRECTION_IN, m.name);
	else if (!read)
		put_empty(s);
	else if (what == MSG_DATA)
		put_parts(m.parts, m.count, s->ret > 0 || receives(s->type) ? s->ret : snaplen);
	else
		put_user_bytes(m.control, m.control_len);
	return 0;
}

#endif
