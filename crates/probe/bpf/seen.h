/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What was decided of paths lately. Most are asked for again and again, so that it is remembered until something else is
 * asked for.
 */
#ifndef LANNER_SEEN_H
#define LANNER_SEEN_H

#include "caller.h"
#include "sockets.h"

/*
 * Whether an event matters, a bit for each kind of callers (lanner_event::prefilter): whoever made the call, if that was a
 * process of a name that no rule asks for, if it was of one of which less is asked; and the same if it was one where less is
 * asked for (in no container or, by the plan, in one). An event that doesn't matter at all may have the others.
 */
enum { MATTERS = 1, MATTERS_OF_THERE = 1 << THERE, MATTERS_OF_ALL = (1 << CALLERS) - 1 };

/* Read from memory each time, so that the verifier takes all that were found for one. */
static __always_inline u32 path_len(struct scratch *s)
{
	return bounded(*(volatile u32 *)&s->asked_len, ASKED_MOST);
}

/* Bits of what is remembered that say what was decided. */
#define SEEN_MATTERS 1
#define SEEN_CALLERS_SHIFT 23 /* of all but the first */
#define SEEN_DECIDED (SEEN_MATTERS | (u64)(MATTERS_OF_ALL & ~MATTERS) << SEEN_CALLERS_SHIFT)
/* And of what length the path is. */
#define SEEN_LEN_SHIFT 16
#define SEEN_LEN (0xffull << SEEN_LEN_SHIFT)

static __always_inline u32 decided(u64 what)
{
	return (what & SEEN_MATTERS) | (what >> SEEN_CALLERS_SHIFT & MATTERS_OF_ALL & ~MATTERS);
}

/* The same, as it is remembered. */
static __always_inline u64 to_be_seen(u64 matters)
{
	return (matters & MATTERS) | (matters & ~MATTERS) << SEEN_CALLERS_SHIFT;
}

/* What is remembered has eight bits for each; two plans or lengths that look alike would hide what matters. */
_Static_assert(PLANS_ROOM <= 256 && ASKED_MOST < 256, "widen the plan's and the length's part of `what`");

/* Spreads what is remembered, in as few instructions as can be: paths are compared anyway. */
static __always_inline u64 spread(u64 hash, u64 word)
{
	return (hash + word) * FACTOR;
}

/* Where it is remembered what was decided of a path with this hash, by `spread`. */
static __always_inline struct seen *seen_place(struct scratch *s, u64 hash)
{
	return &s->seen[bounded(hash >> 56, SEEN - 1)];
}

/* Of the path that was asked for, up to the word that its NUL is in, without what lies behind it. */
static __always_inline u64 hash_of_asked(struct scratch *s)
{
	u64 hash = s->plan;
	u8 *path = &s->asked[ASKED_START];

	for (u32 i = 0; i < SEEN_WORDS; i++) {
		u32 at = i * 8;

		if (at > path_len(s))
			break;
		hash = spread(hash, *(u64 *)(path + at));
	}
	return hash;
}

/* For what something is remembered: a path of this length, a plan, a state, and what is asked for now. */
static __always_inline u64 seen_for(u64 plan, u64 len, u64 number)
{
	return (u64)*(volatile u32 *)&generation << 32 | len << SEEN_LEN_SHIFT | plan << 8 | number << 1;
}

/* Whether it is this very path that was seen. What lies behind its end is no part of it. */
static __always_inline bool is_seen(struct scratch *s, const struct seen *seen)
{
	u8 *path = &s->asked[ASKED_START];

	for (u32 i = 0; i < SEEN_WORDS; i++) {
		u32 at = i * 8;

		if (at > path_len(s))
			break;
		if (*(u64 *)(path + at) != seen->path[i])
			return false;
	}
	return true;
}

static __always_inline void note_seen(struct scratch *s, struct seen *seen, u64 what)
{
	u8 *path = &s->asked[ASKED_START];

	for (u32 i = 0; i < SEEN_WORDS; i++) {
		u32 at = i * 8;

		if (at > path_len(s))
			break;
		seen->path[i] = *(u64 *)(path + at);
	}
	seen->what = what;
}

#if defined(__TARGET_ARCH_x86)
_Static_assert(SEEN_WORDS == 7, "all of them are to be compared below");

/* The words up to the one at `last`, which has the NUL in it. */
static __always_inline bool differs(const struct seen *seen, const u64 *asked, u64 last, u64 i)
{
	return unusual(i <= last && asked[i] != seen->path[i]);
}

/*
 * What was decided of a path that was seen lately and lies in the page that one was read from last, as most do, in few
 * instructions: without a loop, and without a function. 0: it is to be looked at by `path_matters`.
 */
static __always_inline u64 seen_lately(struct scratch *s, struct task_struct *task, u64 plan, u64 user, u64 number)
{
	u64 within = user & (PAGE_SIZE - 1), hash = plan, flushes, last;
	u64 *asked = (u64 *)&s->asked[ASKED_START];
	struct mm_struct *mm = task->mm;
	const struct seen *seen;
	const u64 *words;

	if (unusual((can_keep && *(volatile u8 *)&keeping) || within > PAGE_SIZE - 8 * SEEN_WORDS))
		return 0;
	flushes = flushes_of(mm);
	if (unusual(!is_page_known(s, mm->context.ctx_id, flushes, user)))
		return 0;
	words = load_words(s->page_place + within);
#pragma unroll
	for (last = 0; last < SEEN_WORDS; last++) {
		u64 word = words[last], ends = zeros(word);

		if (ends) {
			asked[last] = before_first(word, ends);
			hash = spread(hash, asked[last]);
			break;
		}
		asked[last] = word;
		hash = spread(hash, word);
	}
	/* else compilers keep of each word whether it is one of the path's */
	barrier_var(last);
	if (unusual(last >= SEEN_WORDS))
		return 0;
	seen = seen_place(s, hash);
	barrier_var(seen);
	if (unusual(flushes_of(mm) != flushes ||
		    (seen->what ^ seen_for(plan, 0, number)) & ~(SEEN_DECIDED | SEEN_LEN)))
		return 0;
	/* written out, because not all compilers unroll it */
	if (differs(seen, asked, last, 0) || differs(seen, asked, last, 1) || differs(seen, asked, last, 2) ||
	    differs(seen, asked, last, 3) || differs(seen, asked, last, 4) || differs(seen, asked, last, 5) ||
	    differs(seen, asked, last, 6))
		return 0;
	return seen->what;
}
#else
static __always_inline u64 seen_lately(struct scratch *s, struct task_struct *task, u64 plan, u64 user, u64 number)
{
	return 0;
}
#endif

#endif
