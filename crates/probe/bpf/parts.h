/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The data of reads and writes, in one piece or in parts. */
#ifndef LANNER_PARTS_H
#define LANNER_PARTS_H

#include "event.h"

#define PARTS_SHOWN 32 /* parts of a read, a write or a message that are looked at */
#define CHUNK 4096     /* bytes that are read at once; a power of two */
#define CHUNKS 16

/* Bytes that are shown of what is read or written; set by the loader. */
u32 snaplen = 0;

/* The word at `index` of an array of words as long as the caller's ABI has them. */
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

/* Reads up to a chunk of user memory to `s->at` behind the cursor. */
static __always_inline bool read_chunk(struct scratch *s, u64 from, u64 len)
{
	void *to = &s->data[bounded(s->pos + s->at, EVENT_MAX - 1)];

	return bpf_probe_read_user(to, bounded(len, 2 * CHUNK - 1), (void *)from) == 0;
}

/* Goes on with data in one piece; 0 when it has all or as much as can be had. */
__noinline int put_next_chunk(u64 from, u64 len)
{
	struct scratch *s = get_scratch();
	u64 n;

	if (!s || s->at >= len)
		return 0;
	n = len - s->at;
	if (n > CHUNK)
		n = CHUNK;
	if (!read_chunk(s, from + s->at, n)) {
		count_unreadable();
		return 0;
	}
	s->at += n;
	return s->at < len;
}

/* `len` bytes of user memory, or as many of them as are shown. */
__noinline int put_user_data(u64 from, u64 len)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	if (len > snaplen)
		len = snaplen;
	if (!from)
		len = 0;
	s->at = 0;
	for (u32 i = 0; i < CHUNKS; i++) {
		if (!put_next_chunk(from, len))
			break;
	}
	end_param(s, s->at);
	return 0;
}

/* The length of a part. */
__noinline u64 part_size(u64 parts, u32 part)
{
	struct scratch *s = get_scratch();

	return s ? word_at(parts, 2 * part + 1, s->compat) : 0;
}

/* What the parts together hold: each is an address and a length. */
__noinline u64 parts_size(u64 parts, u64 count)
{
	u64 size = 0;

	for (u32 i = 0; i < PARTS_SHOWN; i++) {
		if (i >= count)
			break;
		size += part_size(parts, i);
	}
	return size;
}

/* Goes on with the data of parts; 0 when it has all or as much as can be had. */
__noinline int put_next_part(u64 parts, u64 count, u64 want)
{
	struct scratch *s = get_scratch();
	u64 from, len, n;

	if (!s || s->part >= count || s->part >= PARTS_SHOWN || s->at >= want)
		return 0;
	from = word_at(parts, 2 * s->part, s->compat);
	len = word_at(parts, 2 * s->part + 1, s->compat);
	n = len - s->part_done;
	if (n > want - s->at)
		n = want - s->at;
	if (n > CHUNK)
		n = CHUNK;
	if (n && !read_chunk(s, from + s->part_done, n)) {
		count_unreadable();
		return 0;
	}
	s->at += n;
	s->part_done += n;
	if (s->part_done >= len) {
		s->part += 1;
		s->part_done = 0;
	}
	return 1;
}

/* The parts' data, one behind the other, but no more than `want` bytes or than are shown. */
__noinline int put_parts(u64 parts, u64 count, u64 want)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	if (want > snaplen)
		want = snaplen;
	s->at = 0;
	s->part = 0;
	s->part_done = 0;
	for (u32 i = 0; i < PARTS_SHOWN + CHUNKS; i++) {
		if (!put_next_part(parts, count, want))
			break;
	}
	end_param(s, s->at);
	return 0;
}

#endif
