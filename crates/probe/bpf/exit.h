/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The end of a thread, and who inherits its children. */
#ifndef LANNER_EXIT_H
#define LANNER_EXIT_H

#include "copies.h"
#include "homes.h"
#include "names.h"
#include "output.h"
#include "task.h"

/* How many threads have ended. Not among the variables, which the loader writes as a whole. See known.h. */
u64 ended SEC(".data.ended") = 0;
/* Whether each is counted: not where runs of this program may be left out. */
u8 ends_told = 0;

#define THREADS_SEARCHED 32
#define ANCESTORS_SEARCHED 32

enum { REAPER_UNKNOWN = -1, REAPER_NONE = 0 };

/* A thread of the same process that goes on living. */
static __always_inline s32 living_thread(struct task_struct *task)
{
	struct list_head *head = &BPF_CORE_READ(task, signal)->thread_head;
	struct list_head *next = BPF_CORE_READ(head, next);

	for (int i = 0; i < THREADS_SEARCHED; i++) {
		struct task_struct *other;

		if (next == head || !next)
			return REAPER_NONE;
		other = (void *)next - bpf_core_field_offset(struct task_struct, thread_node);
		if (!(BPF_CORE_READ(other, flags) & PF_EXITING))
			return BPF_CORE_READ(other, pid);
		next = BPF_CORE_READ(next, next);
	}
	return REAPER_UNKNOWN;
}

__noinline int living_thread_of(u64 task)
{
	return living_thread((void *)task);
}

static __always_inline bool has_subreaper(struct task_struct *task)
{
	struct signal_struct *signal = BPF_CORE_READ(task, signal);

	return BPF_CORE_READ_BITFIELD_PROBED(signal, has_child_subreaper);
}

static __always_inline bool is_subreaper(struct task_struct *task)
{
	struct signal_struct *signal = BPF_CORE_READ(task, signal);

	return BPF_CORE_READ_BITFIELD_PROBED(signal, is_child_subreaper);
}

/* The thread that the children of a dying one are handed to: the kernel's find_new_reaper. */
__noinline int reaper_of(u64 at)
{
	struct task_struct *task = (void *)at, *reaper, *ancestor;
	struct pid_namespace *ns;
	u32 level;
	s32 heir = living_thread_of(at);

	if (heir != REAPER_NONE)
		return heir;
	ns = pid_namespace_of(pid_of(task, PID_OF_THREAD));
	reaper = ns ? BPF_CORE_READ(ns, child_reaper) : NULL;
	if (!reaper || reaper == task)
		return REAPER_NONE;
	if (!has_subreaper(task))
		return BPF_CORE_READ(reaper, pid);
	level = BPF_CORE_READ(task, thread_pid, level);
	ancestor = BPF_CORE_READ(task, real_parent);
	for (int i = 0; i < ANCESTORS_SEARCHED; i++) {
		if (ancestor == reaper || BPF_CORE_READ(ancestor, thread_pid, level) != level)
			return BPF_CORE_READ(reaper, pid);
		if (is_subreaper(ancestor)) {
			heir = living_thread_of((u64)ancestor);
			if (heir != REAPER_NONE)
				return heir;
		}
		ancestor = BPF_CORE_READ(ancestor, real_parent);
	}
	return REAPER_UNKNOWN;
}

SEC("tp_btf/sched_process_exit")
int on_exit(u64 *ctx)
{
	struct task_struct *ending = recorded ? bpf_get_current_task_btf() : CALLED_WITH(struct task_struct *, ctx, 0);
	struct task_struct *task = untyped(ending);
	struct list_head *children;
	struct scratch *s;
	s32 code, reaper = REAPER_NONE;
	u8 signal;

	__sync_fetch_and_add(&ended, 1);
	if (can_keep && keeping)
		forget_copies();
	forget_name(ending->pid);
	end_home(task);
	if (!want_exit || BPF_CORE_READ(task, flags) & PF_KTHREAD || skipped())
		return 0;
	s = get_scratch();
	if (!s) {
		count_lost(EV_PROCEXIT_1_E, LOST_NO_BUFFER);
		return 0;
	}
	code = BPF_CORE_READ(task, exit_code);
	signal = code & 0x7f;
	children = &task->children;
	if (BPF_CORE_READ(children, next) != children)
		reaper = reaper_of((u64)task);
	begin(s, EV_PROCEXIT_1_E);
	put_u64(s, (s64)code);
	put_u64(s, (code >> 8) & 0xff);
	put_u8(s, signal == 0x7f ? 0 : signal);
	put_u8(s, (code & 0x80) != 0);
	put_u64(s, (s64)reaper);
	submit();
	return 0;
}

#endif
