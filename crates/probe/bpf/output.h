/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Handing finished events to the agent, and counting those that are lost. */
#ifndef LANNER_OUTPUT_H
#define LANNER_OUTPUT_H

#include "event.h"

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* set by the loader */
};

/* The ring of each CPU; several CPUs may have the same. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1); /* one per possible CPU, set by the loader */
	__type(key, u32);
	__type(value, u32);
	__array(values, struct ring);
} rings SEC(".maps");

/* In the order of LostReason::ALL. */
enum lost_reason {
	LOST_RING_FULL,
	LOST_TOO_LARGE,
	LOST_NO_BUFFER,
	LOST_NO_PROGRAM,
	LOST_REASONS,
};

struct lost {
	u64 by_reason[LOST_REASONS];
};

/* For each CPU those of each type. Shared with the agent (see BPF_F_MMAPABLE). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EVENT_COUNT); /* for each possible CPU, set by the loader */
	__type(key, u32);
	__type(value, struct lost);
} lost_map SEC(".maps");

/* Unread bytes of a ring from which on the agent is woken before its time. */
u64 wakeup_bytes = 0;

/*
 * Unread bytes of a ring from which on it is kept for those who write little, and from which on for vital events
 * alone: a flood fills neither.
 */
u64 fair_bytes = 0;
u64 reserve_bytes = 0;
/* Bytes that the processes of one place may write to a ring's fair part in FAIR_PERIOD. */
u64 share_bytes = 0;

#define FAIR_PERIOD 1000000000ull /* nanoseconds */
#define SENDERS 1024	      /* a power of two; processes of one place share what they may write */

struct sender {
	u64 since, bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SENDERS);
	__type(key, u32);
	__type(value, struct sender);
} senders SEC(".maps");

/*
 * Whether the current process writes more than its share, `len` bytes more at `now`. While the fair part is full,
 * nobody gets a new share for long.
 */
static __always_inline bool floods(u64 now, u64 len, bool full)
{
	u32 place = ((u32)(bpf_get_current_pid_tgid() >> 32) * 0x9e3779b1u) >> 22;
	struct sender *sender = bpf_map_lookup_elem(&senders, &place);

	if (!sender)
		return false;
	if (now - sender->since > (full ? 60 * FAIR_PERIOD : FAIR_PERIOD)) {
		sender->since = now;
		sender->bytes = 0;
	}
	sender->bytes += len;
	return sender->bytes > share_bytes;
}

/* Whether an event finds room in a ring that has so much unread. */
static __always_inline bool has_room(struct scratch *s, u64 unread, u64 len)
{
	if (unread < fair_bytes / 2 || vital[s->type < EVENT_COUNT ? s->type : 0])
		return true;
	if (unread >= reserve_bytes)
		return false;
	return !floods(*(u64 *)&s->data[0], len, unread >= fair_bytes) || unread < fair_bytes;
}

static __always_inline void count_lost(u32 type, enum lost_reason reason)
{
	u32 place = bpf_get_smp_processor_id() * EVENT_COUNT + type;
	struct lost *lost = type < EVENT_COUNT ? bpf_map_lookup_elem(&lost_map, &place) : NULL;

	if (lost)
		lost->by_reason[reason] += 1;
}

/*
 * Whether to ask how much of the ring is unread before `len` bytes are written. Not while there is surely less than the
 * agent is woken for; other CPUs may write to the same ring, each as much without asking.
 */
static __always_inline bool must_look(struct scratch *s, u32 len)
{
	s->unread += len;
	s->unchecked += len;
	return s->over || s->unread >= wakeup_bytes || s->unchecked >= wakeup_bytes / 16;
}

/* Hands over the event that has been written; false if it is lost. */
static __always_inline bool hand_over(struct scratch *s)
{
	u32 cpu = bpf_get_smp_processor_id();
	void *ring;
	u64 flags, unread, len;

	if (s->pos >= EVENT_MAX) {
		count_lost(s->type, LOST_TOO_LARGE);
		return false;
	}
	*(u32 *)&s->data[16] = s->pos;
	/* behind the event, where its reader does not look: the CPU */
	*(u32 *)cursor(s) = cpu;
	len = bounded(s->pos, EVENT_MAX - 1) + 4;
	ring = bpf_map_lookup_elem(&rings, &cpu);
	if (!ring) {
		count_lost(s->type, LOST_NO_BUFFER);
		return false;
	}
	flags = BPF_RB_NO_WAKEUP;
	if (must_look(s, len)) {
		unread = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);
		/* one wakeup when the mark is passed: the agent looks by itself every few milliseconds */
		if (!s->over && unread + len >= wakeup_bytes)
			flags = BPF_RB_FORCE_WAKEUP;
		s->over = unread + len >= wakeup_bytes;
		s->unread = unread + len;
		s->unchecked = 0;
		if (!has_room(s, unread, len)) {
			count_lost(s->type, LOST_RING_FULL);
			return false;
		}
	}
	if (bpf_ringbuf_output(ring, s->data, len, flags)) {
		count_lost(s->type, LOST_RING_FULL);
		return false;
	}
	return true;
}

__noinline int submit(void)
{
	struct scratch *s = get_scratch();

	return s && hand_over(s);
}

#endif
