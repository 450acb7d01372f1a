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

SEC("tp_btf/cgroup_mkdir")
int on_cgroup(void *ctx)
{
	u64 word = 1;

	bpf_ringbuf_output(&new_cgroups, &word, sizeof(word), BPF_RB_FORCE_WAKEUP);
	return 0;
}

#endif
