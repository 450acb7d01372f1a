/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The name by which user space knows the process of a call: the one that the kernel had for the thread when that began,
 * ran a program, or was listed in the snapshot. A thread may give itself another later, which user space doesn't hear
 * of; then the name before is kept here.
 */
#ifndef LANNER_NAMES_H
#define LANNER_NAMES_H

#include "caller.h"

#define RENAMED_MOST 65536 /* threads of which it is kept */

/* A name, with zeros behind it. */
struct name {
	u64 words[2];
};

struct name_before {
	struct name name;
	u64 start; /* of the thread, because its number comes again */
	u64 unsure; /* user space may have heard of a later one */
};

/* By thread. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, RENAMED_MOST);
	__type(key, u32);
	__type(value, struct name_before);
} names_before SEC(".maps");

/* Whether everything is attached that tells of names, here and to user space. */
u8 names_told = 0;
/* Whether the snapshot has been read. */
u8 names_settled = 0;
/* How many there was no room for. No variable: these are the loader's to write. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} names_lost SEC(".maps");

static __always_inline u64 *count_of_lost_names(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&names_lost, &zero);
}

/* What stands before the first 0; all of it if there is none. */
static __always_inline u64 before_first(u64 word, u64 zeros)
{
	return word & ((zeros & -zeros) - 1);
}

/* What the kernel has now; older ones leave something behind its end. */
static __always_inline struct name name_now(struct task_struct *task)
{
	struct name name = {};
	u64 ends;

	peek(&name.words[0], 8, (const void *)__builtin_preserve_access_index(&task->comm));
	peek(&name.words[1], 8, (const u8 *)__builtin_preserve_access_index(&task->comm) + 8);
	ends = zeros(name.words[0]);
	name.words[0] = before_first(name.words[0], ends);
	name.words[1] = ends ? 0 : before_first(name.words[1], zeros(name.words[1]));
	return name;
}

static __always_inline struct name_before *name_before(struct task_struct *task)
{
	u32 tid = BPF_CORE_READ(task, pid);
	struct name_before *before = bpf_map_lookup_elem(&names_before, &tid);

	return before && before->start == BPF_CORE_READ(task, start_boottime) ? before : NULL;
}

/* User space hears of a thread that begins: if that has had another name already, it isn't known of which. */
static __always_inline void doubt_name(struct task_struct *task)
{
	struct name_before *before = name_before(task);

	if (before)
		before->unsure = 1;
}

/* A thread runs another program, or ends. */
static __always_inline void forget_name(u32 tid)
{
	if (bpf_map_lookup_elem(&names_before, &tid))
		bpf_map_delete_elem(&names_before, &tid);
}

static __always_inline bool runs_program(struct task_struct *task)
{
	return bpf_core_field_exists(task->in_execve) && BPF_CORE_READ_BITFIELD_PROBED(task, in_execve);
}

static __always_inline void keep_name(struct task_struct *task)
{
	struct name_before before = { .unsure = !names_settled };
	u32 tid = BPF_CORE_READ(task, pid);
	u64 *lost;

	/* of programs user space hears */
	if (BPF_CORE_READ(task, flags) & PF_KTHREAD || (task == current_task() && runs_program(task)) ||
	    name_before(task))
		return;
	before.name = name_now(task);
	before.start = BPF_CORE_READ(task, start_boottime);
	if (bpf_map_update_elem(&names_before, &tid, &before, BPF_ANY)) {
		lost = count_of_lost_names();
		if (lost)
			*lost += 1;
	}
}

/* Run before the thread has its new name. */
SEC("tp_btf/task_rename")
int on_rename(u64 *ctx)
{
	struct task_struct *renamed = recorded ? RECORDED_TASK(ctx, task_rename, pid)
					       : CALLED_WITH(struct task_struct *, ctx, 0);

	if (recorded && !renamed)
		return 0;
	keep_name(untyped(renamed));
	if (recorded)
		bpf_task_release(renamed);
	return 0;
}

#endif
