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

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_COUNT);
	__type(key, u32);
	__type(value, struct lost);
} lost_map SEC(".maps");

/* Unread bytes of a ring from which on the agent is woken before its time. */
u64 wakeup_bytes = 0;

static __always_inline void count_lost(u32 type, enum lost_reason reason)
{
	struct lost *lost = bpf_map_lookup_elem(&lost_map, &type);

	if (lost)
		lost->by_reason[reason] += 1;
}

__noinline int submit(void)
{
	struct scratch *s = get_scratch();
	u32 cpu = bpf_get_smp_processor_id();
	void *ring;
	u64 flags, unread, len;

	if (!s)
		return 0;
	if (s->pos >= EVENT_MAX) {
		count_lost(s->type, LOST_TOO_LARGE);
		return 0;
	}
	*(u32 *)&s->data[16] = s->pos;
	/* behind the event, where its reader does not look: the CPU */
	*(u32 *)cursor(s) = cpu;
	len = bounded(s->pos, EVENT_MAX - 1) + 4;
	ring = bpf_map_lookup_elem(&rings, &cpu);
	if (!ring) {
		count_lost(s->type, LOST_NO_BUFFER);
		return 0;
	}
	/* one wakeup when the mark is passed: the agent looks by itself every few milliseconds */
	unread = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);
	flags = unread < wakeup_bytes && unread + len >= wakeup_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
	if (bpf_ringbuf_output(ring, s->data, len, flags))
		count_lost(s->type, LOST_RING_FULL);
	return 0;
}

#endif
