/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The message header of sendmsg and recvmsg. */
#ifndef LANNER_MESSAGE_H
#define LANNER_MESSAGE_H

#include "net.h"

#define IOV_SHOWN 16 /* parts of a message that are looked at */

enum { MSG_DATA, MSG_SIZE, MSG_OUT, MSG_IN, MSG_CONTROL };

struct message {
	u64 name, parts, count, control, control_len;
};

static __always_inline u64 word_at(u64 base, u32 index, bool compat)
{
	u64 value = 0;
	u32 half = 0;

	if (!compat) {
		bpf_probe_read_user(&value, 8, (void *)(base + index * 8));
		return value;
	}
	bpf_probe_read_user(&half, 4, (void *)(base + index * 4));
	return half;
}

/* name, namelen (a word with its padding), iov, iovlen, control, controllen: six words on either ABI */
static __always_inline bool read_message(struct scratch *s, struct message *m)
{
	u64 base = s->args[1];
	u8 probe;

	if (bpf_probe_read_user(&probe, 1, (void *)base))
		return false;
	m->name = word_at(base, 0, s->compat);
	m->parts = word_at(base, 2, s->compat);
	m->count = word_at(base, 3, s->compat);
	m->control = word_at(base, 4, s->compat);
	m->control_len = word_at(base, 5, s->compat);
	return true;
}

static __always_inline u32 message_size(struct scratch *s, struct message *m)
{
	u64 size = 0;

	for (u32 i = 0; i < IOV_SHOWN; i++) {
		if (i >= m->count)
			break;
		size += word_at(m->parts, 2 * i + 1, s->compat);
	}
	return size;
}

static __always_inline void put_message_data(struct scratch *s, struct message *m)
{
	u32 want = s->ret >= 0 && s->ret < DATA_MAX ? s->ret : DATA_MAX;

	s->at = 0;
	for (u32 i = 0; i < IOV_SHOWN; i++) {
		u64 n;

		if (i >= m->count || s->at >= want)
			break;
		n = word_at(m->parts, 2 * i + 1, s->compat);
		if (n > want - s->at)
			n = want - s->at;
		if (!n)
			continue;
		if (bpf_probe_read_user(&s->data[bounded(s->pos + s->at, EVENT_MAX - 1)], bounded(n, 127),
					(void *)word_at(m->parts, 2 * i, s->compat)))
			break;
		s->at += n;
	}
	end_param(s, s->at);
}

__noinline int put_message(u32 what)
{
	struct scratch *s = get_scratch();
	struct message m = {};
	bool read;

	if (!s)
		return 0;
	read = read_message(s, &m);
	if (what == MSG_SIZE) {
		if (read)
			put_u32(s, message_size(s, &m));
		else
			put_empty(s);
		return 0;
	}
	if (!read || (s->ret < 0 && what != MSG_DATA) || (s->ret < 0 && s->type == EV_SOCKET_RECVMSG_X)) {
		put_empty(s);
		return 0;
	}
	if (what == MSG_DATA)
		put_message_data(s, &m);
	else if (what == MSG_CONTROL)
		put_user_bytes(m.control, m.control_len);
	else
		put_tuple((s32)s->args[0], what == MSG_OUT ? TUPLE_OUT : TUPLE_IN, m.name);
	return 0;
}

#endif
