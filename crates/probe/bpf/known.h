/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who makes a call, without asking for it. A helper costs as much as all else that most calls come to, for on many
 * processors the kernel has each return from a function mispredicted, so that nobody else's prediction is followed
 * (Documentation/admin-guide/hw-vuln/srso.rst).
 *
 * The registers of a call lie at the top of the thread's own stack in the kernel, which no other thread has before this
 * one has ended. So as long as no thread has ended anywhere, a call whose registers lie where those of the one before did
 * on this CPU is by the same thread.
 */
#ifndef LANNER_KNOWN_H
#define LANNER_KNOWN_H

#include "call.h"
#include "exit.h"
#include "fds.h"

/* Looks at the current thread, whose registers lie at `regs`; its address. Only where HAS_NOTES_AT_HAND. */
static __noinline u64 meet_caller(u64 regs)
{
	struct task_struct *task = followed(bpf_get_current_task_btf()), *main = task->group_leader;
	struct scratch *s = get_scratch();
	u64 so_far = *(volatile u64 *)&ended;

	if (!s)
		return 0;
	/* in this order, should another thread come between */
	*(volatile u64 *)&s->caller.regs = 0;
	s->caller.task = (u64)task;
	s->caller.main = (u64)main;
	s->caller.notes = kept_with(main, &kept_near);
	s->caller.far_notes = kept_with(main, &kept_far);
	s->caller.sockets = kept_with(main, &kept_sockets);
	s->caller.ended = so_far;
	if (ends_told)
		*(volatile u64 *)&s->caller.regs = regs;
	return (u64)task;
}

/* The current thread. */
static __always_inline struct task_struct *known_caller(struct scratch *s, struct pt_regs *regs)
{
	u64 task = s->caller.task;

	if (unusual(s->caller.regs != (u64)regs || s->caller.ended != *(volatile u64 *)&ended))
		task = meet_caller((u64)regs);
	return AS(task_struct, task);
}

/* What is noted of an fd of its process, or NOT_AT_HAND. */
static __always_inline u64 note_of_caller(struct scratch *s, u64 fd)
{
	u64 notes = s->caller.notes;

	if (unusual(fd >= NEAR_FDS)) {
		notes = fd < HIDDEN_MOST ? s->caller.far_notes : 0;
		/* what may be noted first by this call is to be found at the next */
		if (!notes)
			s->caller.regs = 0;
	}
	return usual(notes && has_table_of_process(s)) ? load_byte(notes + fd) : NOT_AT_HAND;
}

#endif
