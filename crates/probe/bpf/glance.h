/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What most calls come to that are wanted at all: opens and closes of files that no rule asks for. It is found out in as
 * few instructions as can be: each way that is not the usual one leads to where all is looked at.
 */
#ifndef LANNER_GLANCE_H
#define LANNER_GLANCE_H

#include "known.h"
#include "sieve.h"

/* Whether the caller's new fd is of a plain file and noted as one that nobody was told of. */
static __always_inline bool is_hidden_plain_fd(struct scratch *s, struct task_struct *task, s64 fd)
{
	return says_hidden(note_of_caller(s, fd)) && is_plain(mode_at_hand(task, fd));
}

/*
 * Whether an open matters to no rule and nobody need be told of it, as of nearly all, by its registers and by what was
 * decided of its path lately.
 */
static __always_inline bool open_is_settled(struct scratch *s, struct task_struct *task, const struct sieve *sieve,
					    u64 plan, struct pt_regs *regs, s64 ret)
{
	bool beneath = sieve->path_args[0] == 2;
	u64 user = first_arg(regs, false), flags = second_arg(regs, false), third = third_arg(regs, false);
	u64 number, state, lately = 0;

	/* loaded, not chosen among: compilers would reckon with where they are */
	barrier_var(user);
	barrier_var(third);
	if (beneath) {
		user = flags;
		flags = third;
	}
	number = bounded(sieve->fixed | state_of_plain_flags(flags) | (ret >= 0 ? STATE_SUCCESS : 0), 31);
	state = 1ull << number;
	if (unusual(flags & O_TMPFILE_PART || sieve->whatever & state))
		return false;
	if (usual(sieve->paths & state)) {
		lately = seen_lately(s, task, plan, user, number);
		if (unusual(!lately))
			return false;
	}
	if (usual(!(lately & SEEN_MATTERS) && (ret < 0 || is_hidden_plain_fd(s, task, ret))))
		return true;
	if (lately)
		s->lately = lately;
	return false;
}

/* Whether nobody need be told of a close. */
static __always_inline bool close_is_settled(struct scratch *s, struct task_struct *task, u32 fd, s64 ret)
{
	u64 known;

	if (unusual(ret < 0))
		return true;
	known = note_of_caller(s, fd);
	return usual(says_hidden(known)) || (known != NOT_NOTED && closes_unseen(task, (s32)fd));
}

/*
 * Whether the end of a call needs no more than a glance, as of most calls that are wanted at all: it opens or closes a
 * file that matters to no rule, and nobody need be told. Nothing is written down of the call.
 */
static __always_inline bool is_settled(struct scratch *s, struct task_struct *task, u64 plan, struct pt_regs *regs,
				       s64 ret)
{
	const struct sieve *sieve = &sieves[bounded(plan, PLANS_ROOM - 1)];

	barrier_var(sieve);
	if (!HAS_NOTES_AT_HAND) {
		never();
		return sieve->used == USED_BY_CLOSES && (ret < 0 || closes_unseen(task, (s32)first_arg(regs, false)));
	}
	if (sieve->used == USED_BY_CLOSES)
		return close_is_settled(s, task, (u32)first_arg(regs, false), ret);
	return sieve->used == USED_BY_OPENS && open_is_settled(s, task, sieve, plan, regs, ret);
}

#endif
