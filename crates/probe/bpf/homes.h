/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * In which cgroup user space knows a thread to be: the one that it was told with when it began, ran a program, or was
 * listed in the snapshot. It may have been moved since, of which user space doesn't hear. The id of a cgroup (kernfs_node's)
 * is given once; no id is 0.
 */
#ifndef LANNER_HOMES_H
#define LANNER_HOMES_H

#include "task.h"

#define HOMES_MOST 32768 /* threads of which it is kept */

enum {
	HOME_OF_RUNTIME = 1, /* it was told with a name that runc gives its own processes */
	HOME_DOUBTED = 2,    /* the cgroup, or one that it is in, may be a container's whatever its name */
};

struct home {
	u64 cgroup; /* 0: it isn't certain which */
	u64 start; /* of the thread, because its number comes again */
	u64 what; /* bits of the above */
};

/* By thread; made by the loader for both objects. All of its memory is there from the beginning, as older kernels want it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HOMES_MOST);
	__type(key, u32);
	__type(value, struct home);
} homes SEC(".maps");

static __always_inline struct home *home_of(struct task_struct *task)
{
	u32 tid = BPF_CORE_READ(task, pid);
	struct home *home = bpf_map_lookup_elem(&homes, &tid);

	return home && home->start == BPF_CORE_READ(task, start_boottime) ? home : NULL;
}

/*
 * Keeps that a thread has been told with a cgroup. Until the snapshot has been read (`settled`), user space may go by
 * this or by what the thread is told with once more: only what is the same both times is certain.
 */
static __always_inline void keep_home(struct scratch *s, struct task_struct *task, u64 cgroup, u64 doubted, bool settled)
{
	u64 start = BPF_CORE_READ(task, start_boottime);
	struct home home = { .cgroup = cgroup, .start = start, .what = doubted | s->told_of_runtime }, *kept;
	u32 tid = BPF_CORE_READ(task, pid);

	if (!bpf_map_update_elem(&homes, &tid, &home, BPF_NOEXIST))
		return;
	kept = bpf_map_lookup_elem(&homes, &tid);
	if (!kept)
		return;
	if (settled || kept->start != start)
		*kept = home;
	else if (kept->cgroup != cgroup)
		kept->cgroup = 0;
	kept->what |= home.what;
}

#ifndef LANNER_ITERATORS

#include "names.h"

#define DOUBTED_MOST 16384
#define ROOT_CGROUP 1

/* Whether it is kept where threads are: as long as the snapshot is not yet read, only if that keeps it too. */
u8 homes_kept = 0;

/*
 * Cgroups that may be containers' to user space although their names don't say so: a runtime that is used by itself was in
 * one when it became another program (lanner_machine's bare.rs).
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, DOUBTED_MOST);
	__type(key, u64);
	__type(value, u8);
} doubted_cgroups SEC(".maps");

/* How often something could not be kept by which it is known where a thread is: if ever, of none it is. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} homes_unsure SEC(".maps");

/*
 * Ids of cgroups that are the host's or, with a mark, containers', written by the loader: each at one of the CGROUP_PROBES
 * places from its own on.
 */
#define OF_CONTAINER (1ull << 63)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, KNOWN_CGROUPS);
	__type(key, u32);
	__type(value, u64);
} known_cgroups SEC(".maps");

static __always_inline void count_unsure_home(void)
{
	u32 zero = 0;
	u64 *count = bpf_map_lookup_elem(&homes_unsure, &zero);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* Whether it is still worth keeping. */
static __always_inline bool keeps_homes(void)
{
	u32 zero = 0;
	u64 *unsure = bpf_map_lookup_elem(&homes_unsure, &zero);

	return homes_kept && unsure && !*unsure;
}

/* Whether a cgroup or one that it is in is doubted. */
__noinline int is_doubted(u64 at)
{
	struct kernfs_node *node = (void *)at;

	for (u32 i = 0; i <= CGROUP_DEPTH; i++) {
		u64 id;

		if (!node)
			return 0;
		id = BPF_CORE_READ(node, id);
		if (bpf_map_lookup_elem(&doubted_cgroups, &id))
			return 1;
		node = parent_of_node(node);
	}
	return 1;
}

/*
 * The thread is about to be told with a new program. If it may be a runtime's, its cgroup is doubted: before the event has
 * its time, so that whoever is told after it is told with that. Says which cgroup that is; 0: there is no doubt.
 */
static __always_inline u64 doubt_home(struct task_struct *task, bool inside_pid_namespace)
{
	struct home *home;
	u8 one = 1;
	u64 id;

	if (!keeps_homes())
		return 0;
	home = home_of(task);
	if (home && !(home->what & HOME_OF_RUNTIME) && !inside_pid_namespace)
		return 0;
	id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	/* the root has no name that user space could take for a container's */
	if (id != ROOT_CGROUP && !bpf_map_lookup_elem(&doubted_cgroups, &id) &&
	    bpf_map_update_elem(&doubted_cgroups, &id, &one, BPF_ANY))
		count_unsure_home();
	return id;
}

/* A thread has been told with the cgroups that were written last, or the event was lost. */
static __always_inline void tell_home(struct scratch *s, struct task_struct *task, bool is_told)
{
	u64 cgroup = is_told ? s->told_cgroup : 0;

	if (!keeps_homes())
		return;
	/* what other hierarchies say of containers isn't known here */
	if (!s->told_cgroup)
		count_unsure_home();
	keep_home(s, task, cgroup, cgroup && is_doubted(s->told_node) ? HOME_DOUBTED : 0, names_settled);
}

static __always_inline void forget_home(u32 tid)
{
	if (keeps_homes() && bpf_map_lookup_elem(&homes, &tid))
		bpf_map_delete_elem(&homes, &tid);
}

/* A thread ends. Its process' first stands for that as long as others live: one of these may take its place. */
static __always_inline void end_home(struct task_struct *task)
{
	u32 tid = BPF_CORE_READ(task, pid), main = BPF_CORE_READ(task, tgid);

	if (tid != main)
		forget_home(tid);
	if (BPF_CORE_READ(task, signal, live.counter) <= 0)
		forget_home(main);
}

/* Whether user space knows the current thread to be in no container or, with OF_CONTAINER, in one. */
__noinline int is_known_to_be(u64 where)
{
	struct home *home = keeps_homes() ? home_of(current_task()) : NULL;
	u64 word;

	if (!home || !home->cgroup || (!where && home->what & HOME_DOUBTED))
		return 0;
	word = home->cgroup | where;
	for (u32 i = 0; i < CGROUP_PROBES; i++) {
		u32 place = bounded((word * FACTOR >> 32) + i, KNOWN_CGROUPS - 1);
		u64 *listed = bpf_map_lookup_elem(&known_cgroups, &place);

		if (listed && *listed == word)
			return 1;
	}
	return 0;
}

/* A cgroup is gone. */
SEC("tp_btf/cgroup_rmdir")
int on_cgroup_end(u64 *ctx)
{
	struct cgroup *cgroup;
	u32 hierarchy;
	u64 id;

	if (recorded) {
		hierarchy = RECORD_READ(ctx, cgroup, root);
		id = RECORD_READ(ctx, cgroup, id);
	} else {
		cgroup = CALLED_WITH(struct cgroup *, ctx, 0);
		hierarchy = BPF_CORE_READ(cgroup, root, hierarchy_id);
		id = BPF_CORE_READ(cgroup, kn, id);
	}
	/* other hierarchies than the unified one have ids of their own */
	if (!hierarchy && bpf_map_lookup_elem(&doubted_cgroups, &id))
		bpf_map_delete_elem(&doubted_cgroups, &id);
	return 0;
}

#endif

#endif
