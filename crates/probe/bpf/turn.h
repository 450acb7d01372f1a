/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who tells the end of a call while programs are attached to functions or taken from them: each call once.
 *
 * At its function a call leaves a mark with its thread, and at sys_exit it is told if there is none. A mark holds the
 * number of the change, so that one of an earlier change, to which no sys_exit came, counts for nothing.
 */
#ifndef LANNER_TURN_H
#define LANNER_TURN_H

#include "call.h"

/* The lower two bits of `turn`; above them is the number of the change. */
enum {
	TELLS_SYS_EXIT,	 /* it alone */
	TELLS_FUNCTION,	 /* sys_exit, if it is attached, nothing */
	TELLS_AND_MARKS, /* as before, but marks are made and taken away */
	TELLS_BOTH,	 /* the function, or else sys_exit */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} turn SEC(".maps");

/* The change at whose function the thread's call has been told. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u32);
} told SEC(".maps");

#define UNDER_WAY_MOST 65536

/* Threads in a call that may have begun before a program was at its function; the round in which that was seen. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, UNDER_WAY_MOST);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, u32);
} under_way SEC(".maps");

/* The only key of such maps. */
const volatile u32 first = 0;
/* Whether programs may ever be attached to functions; set before loading. */
const volatile u8 can_change = 0;

/* Whether the end of the current thread's call is to be told here. */
static __always_inline bool is_turn(bool at_function)
{
	u32 now, *state, *mark, tid;

	if (!can_change || !can_hide)
		return !at_function;
	state = bpf_map_lookup_elem(&turn, (const void *)&first);
	if (!state)
		return !at_function;
	now = *(volatile u32 *)state;
	if ((now & 3) <= TELLS_FUNCTION)
		return at_function == ((now & 3) == TELLS_FUNCTION);
	if (at_function) {
		mark = bpf_task_storage_get(&told, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!mark)
			return (now & 3) == TELLS_AND_MARKS;
		*mark = now >> 2;
		return true;
	}
	tid = bpf_get_current_pid_tgid();
	bpf_map_delete_elem(&under_way, &tid);
	mark = bpf_task_storage_get(&told, bpf_get_current_task_btf(), 0, 0);
	if (!mark || *mark != now >> 2)
		return (now & 3) == TELLS_BOTH;
	*mark = 0;
	return false;
}

/* The round of looking for them; the first notes threads, the others only whether they are where they were. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} rounds SEC(".maps");

SEC("?iter/task")
int see_under_way(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct pt_regs *regs;
	u32 called, plan = 0, tid, key = 0, *seen, *round = bpf_map_lookup_elem(&rounds, &key);
	u64 nr;

	if (!task || !round || !HAS_REGS)
		return 0;
	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	called = number_of(regs);
	nr = bounded(called, NUMBERS - 1);
	if (nr == called)
		plan = plan_wanted(wanted[nr], is_compat_task(task));
	tid = BPF_CORE_READ(task, pid);
	seen = bpf_map_lookup_elem(&under_way, &tid);
	if (!plan && seen)
		bpf_map_delete_elem(&under_way, &tid);
	else if (seen)
		*seen = *round;
	else if (plan && *round == 1)
		bpf_map_update_elem(&under_way, &tid, round, BPF_ANY);
	return 0;
}

#endif
