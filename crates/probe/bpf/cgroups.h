/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Word that a cgroup has come into being: a container that is about to run has one before anything else is
 * written about it.
 */
#ifndef LANNER_CGROUPS_H
#define LANNER_CGROUPS_H

#include "event.h"

/* As small as a ring can be; the loader makes a page of it. When it is full, there is word enough. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} new_cgroups SEC(".maps");

/* How often one has. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} cgroups_made SEC(".maps");

SEC("tp_btf/cgroup_mkdir")
int on_cgroup(void *ctx)
{
	u64 word = 1, *made;
	u32 zero = 0;

	made = bpf_map_lookup_elem(&cgroups_made, &zero);
	if (made)
		__sync_fetch_and_add(made, 1);
	bpf_ringbuf_output(&new_cgroups, &word, sizeof(word), BPF_RB_FORCE_WAKEUP);
	return 0;
}

#endif
