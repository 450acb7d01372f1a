/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What most calls come to that are wanted at all: opens and closes of files that no rule asks for. It is found out
 * before anything is written down of the call, in as few instructions as can be.
 */
#ifndef LANNER_GLANCE_H
#define LANNER_GLANCE_H

#include "sieve.h"

enum { TO_BE_LOOKED_AT, NOT_WANTED, CLOSES_TOLD };

/*
 * What an open comes to that matters to no rule, as nearly all do, from registers and what was seen lately. `lately`: what
 * was decided of its path, if that is known.
 */
static __always_inline u32 glance_at_open(struct task_struct *task, const struct sieve *sieve, u32 plan,
					  struct pt_regs *regs, s64 ret, u64 *lately)
{
	bool beneath = sieve->path_args[0] == 2;
	u64 user = beneath ? second_arg(regs, false) : first_arg(regs, false);
	u64 flags = beneath ? third_arg(regs, false) : second_arg(regs, false);
	u32 number = (sieve->fixed | state_of_flags(flags) | (ret >= 0 ? STATE_SUCCESS : 0)) & 31, state = 1u << number;
	struct scratch *s;

	if (!can_cast || sieve->whatever & state)
		return TO_BE_LOOKED_AT;
	if (sieve->paths & state) {
		s = get_scratch();
		if (!s)
			return TO_BE_LOOKED_AT;
		*lately = seen_lately(s, task, plan, user, number);
		if (!*lately || decided(*lately) & MATTERS)
			return TO_BE_LOOKED_AT;
	}
	return ret < 0 || hide_plain_fd(task, ret) ? NOT_WANTED : TO_BE_LOOKED_AT;
}

/*
 * Of a call that opens or closes a file and matters to no rule, whether anybody need be told. It is asked before anything
 * is written down of the call, because most calls that are wanted at all are of these.
 */
static __always_inline u32 glance(struct task_struct *task, u32 plan, struct pt_regs *regs, bool compat, s64 ret, u64 *lately)
{
	const struct sieve *sieve = &sieves[bounded(plan, PLANS_ROOM - 1)];

	barrier_var(sieve);
	if (sieve->used == USED_BY_CLOSES)
		return ret < 0 || closes_unseen(task, (s32)first_arg(regs, compat)) ? NOT_WANTED : CLOSES_TOLD;
	if (sieve->used == USED_BY_OPENS && !compat)
		return glance_at_open(task, sieve, plan, regs, ret, lately);
	return TO_BE_LOOKED_AT;
}

#endif
