/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Drops events that matter to nobody before they are written. The decision is that of lanner_event::prefilter,
 * bit for bit; only what the machine needs is decided here alone, because it takes the kernel's own objects.
 */
#ifndef LANNER_SIEVE_H
#define LANNER_SIEVE_H

#include "fds.h"
#include "homes.h"
#include "names.h"
#include "seen.h"
#include "sockets.h"

#define STATE_SUCCESS 1
#define STATE_READS 2
#define STATE_WRITES 4
#define STATE_CREATES 8
#define STATE_TRUNCATES 16
/* By the lowest two bits of an open's flags, four bits for each. */
#define ACCESS_STATES (STATE_READS | STATE_WRITES << 4 | (STATE_READS | STATE_WRITES) << 8)

#define PATH_SEARCHED 128 /* longer ones are not searched for four bytes but let through */
#define PATH_WORDS 32
#define SOCKET_RETURNED 255 /* in place of an argument: the call's result */

enum {
	KEEP_ALL,
	KEEP_NOTHING,
	KEEP_SUCCESSES,
	KEEP_OPENS,
	KEEP_CLOSES,
	KEEP_FD_COMMANDS,
	KEEP_CONNECTS,
	KEEP_CONNECTS_BUT_UNIX,
	KEEP_ACCEPTS_BUT_UNIX,
	KEEP_EXCHANGES,
	KEEP_EXCHANGES_BUT_UNIX,
};
enum { TEST_EXACT = 1, TEST_PREFIX, TEST_SUFFIX, TEST_GRAM, TEST_NAME, TEST_TOP_LEVEL };

struct sieve {
	u32 whatever; /* states in which an event matters whatever its path */
	u32 paths;    /* states in which it may because of a path */
	u32 starts;   /* states in which the path's start may be the reason */
	u32 ends;     /* states in which its end may */
	u32 grams;    /* states in which four bytes anywhere in it may */
	u16 salt;
	u8 used; /* one of USED_* */
	u8 keep;
	u8 fixed;	  /* bits of every state */
	u8 flags_arg;	  /* the argument with an open's flags, plus one */
	u8 path_args[2];  /* arguments that are paths, plus one */
	u8 prefixes;	  /* lengths of prefixes that are asked for: bit 0 for 4, then 8, 12, 16, 24, 32 bytes */
	u8 suffixes;	  /* lengths of suffixes that are asked for: bit 0 for one byte */
	u8 socket_arg;	  /* the argument with a socket's fd, plus one, or SOCKET_RETURNED */
	u8 choice;	  /* of `choices`, plus one: how values of an argument are told apart */
};

/* Of closes no rule asks for; of opens the path and the flags are the first two arguments, or those behind a directory. */
enum { NOT_USED, USED, USED_BY_CLOSES, USED_BY_OPENS };

_Static_assert(CALLERS == 6, "of each number of kinds there is something below");
_Static_assert(sizeof(struct sieve) == 32, "two fit into a cache line");

struct slot {
	u64 key;
	u64 states[CALLERS / 2]; /* in halves: see `MATTERS`; of a name what is asked of it, and its second word */
};

/* An argument of which values are told apart: from `first` on, `classes` has the class of each, 0 of any above. */
struct choice {
	u16 first, len;
	u8 param; /* which parameter of the plan it is */
	u8 unused[3];
};

/* By plan. */
struct sieve sieves[PLANS_ROOM] __attribute__((aligned(64))) = {};
/* States in which an event matters whatever its path, by who made the call. */
u32 of_callers[PLANS_ROOM][CALLERS] __attribute__((aligned(64))) = {};
/* Classes of names of which less is asked. */
u64 excepted[PLANS_ROOM] __attribute__((aligned(64))) = {};
/* Whether where the caller is decides if that is in a container, instead of if it is in none. */
u8 of_containers[PLANS_ROOM] = {};
struct choice choices[CHOICES] __attribute__((aligned(64))) = {};
u8 classes[CLASSES] __attribute__((aligned(64))) = {};
struct slot slots[SLOTS] __attribute__((aligned(64))) = {};
u64 grams[GRAM_WORDS] = {};
/* A bit for each key in `slots`: nearly all that isn't there is settled by one look. */
u64 known[KNOWN_WORDS] __attribute__((aligned(64))) = {};

static __always_inline bool is_known(u64 key)
{
	return known[bounded(key >> 38, KNOWN_WORDS - 1)] >> (key >> 32 & 63) & 1;
}

/* Adds the states that the table has for a key; a function of its own, so that the verifier looks at it once. */
__noinline int find_states(u64 key)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	for (u32 i = 0; i < SLOT_PROBES; i++) {
		const struct slot *slot = &slots[bounded(key + i, SLOTS - 1)];

		s->found[0] |= slot->states[0] & all_if_zero(slot->key ^ key);
		s->found[1] |= slot->states[1] & all_if_zero(slot->key ^ key);
		s->found[2] |= slot->states[2] & all_if_zero(slot->key ^ key);
	}
	return 0;
}

static __always_inline void find_anew(struct scratch *s)
{
	s->found[0] = 0;
	s->found[1] = 0;
	s->found[2] = 0;
}

static __always_inline void find_test(u64 hash, u32 test, u32 len)
{
	u64 key = mix(hash, (u64)test << 32 | len);

	if (is_known(key))
		find_states(key);
}

static __always_inline u64 bytes_that_are(u64 word, u8 byte)
{
	return zeros(word ^ EVERY(byte));
}

static __always_inline u64 ends_name(u64 word)
{
	return bytes_that_are(word, '/') | zeros(word);
}

/* Not 0 if in the 8 bytes from `at` on one of the slashes begins a component that is empty, `.` or `..`. */
static __always_inline u64 unclean(const u8 *at, u64 slashes)
{
	u64 one = *(u64 *)(at + 1), two = *(u64 *)(at + 2), three = *(u64 *)(at + 3);
	u64 dots = bytes_that_are(one, '.');

	return slashes & (ends_name(one) | (dots & (ends_name(two) | (bytes_that_are(two, '.') & ends_name(three)))));
}

/* Looks for the four bytes that begin at each of eight places; a function of its own, so that the verifier looks at it once. */
__noinline int find_grams(u64 seed, u32 from)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	for (u32 i = 0; i < 8; i++) {
		u32 at = bounded(from, PATH_SEARCHED - 1) + i, four, bit;

		if (at + 4 > path_len(s))
			break;
		four = *(u32 *)&s->asked[ASKED_START + at];
		bit = (four * (u32)FACTOR) >> 20;
		if (grams[bit >> 6 & (GRAM_WORDS - 1)] >> (bit & 63) & 1)
			find_test(mix(seed, four), TEST_GRAM, 0);
	}
	return 0;
}

/*
 * Finds the states that an event with the path that was asked for matters in; false if that can't be told. What a loop
 * finds is kept in memory, see `struct scratch`.
 */
static __always_inline bool find_states_of_path(struct scratch *s, const struct sieve *sieve, u32 state)
{
	u64 seed = sieve->salt, hash = seed, word, all = (u64)state << 32 | state;
	u32 prefixes = sieve->starts & state ? sieve->prefixes : 0;
	u8 *path = &s->asked[ASKED_START];

	find_anew(s);
	s->unclean = 0;
	s->slashes = 0;
	for (u32 i = 0; i < PATH_WORDS; i++) {
		u32 at = i * 8;
		u64 slashes;

		/* later compilers would count by a number that has more in it, which the verifier adds to no pointer */
		barrier_var(at);
		if (at >= path_len(s))
			break;
		word = *(u64 *)(path + at);
		slashes = bytes_that_are(word, '/');
		s->slashes |= i ? slashes : slashes & ~0xffull;
		/* `.` and `/` differ in the lowest bit alone; a slash at the end is looked for below */
		slashes &= bytes_that_are(*(u64 *)(path + at + 1) | EVERY(1), '/');
		s->unclean |= unclean(path + at, slashes);
		/* no start that is asked for has a NUL in it, so what lies behind the path's end does no harm */
		if (i < 2 && prefixes & 1 << (2 * i))
			find_test(mix(hash, (u32)word), TEST_PREFIX, at + 4);
		hash = mix(hash, word);
		if (i < 4 && prefixes & (i < 2 ? 2 << (2 * i) : 4 << i))
			find_test(hash, TEST_PREFIX, at + 8);
	}
	/* the path's last 8 bytes */
	word = *(u64 *)(s->asked + ASKED_START - 8 + path_len(s));
	if (s->unclean || word >> 56 == '/')
		return false;
	find_test(hash, TEST_EXACT, path_len(s));
	if (!s->slashes)
		find_test(seed, TEST_TOP_LEVEL, 0);
	for (u32 i = 0; i < 8 && sieve->ends & state; i++) {
		if (sieve->suffixes >> i & 1 && i < path_len(s))
			find_test(mix(seed, word >> (56 - 8 * i)), TEST_SUFFIX, i + 1);
	}
	if (!(sieve->grams & state) || (s->found[0] & s->found[1] & s->found[2] & all) == all)
		return true;
	if (path_len(s) > PATH_SEARCHED)
		return false;
	for (u32 at = 0; at < PATH_SEARCHED; at += 8) {
		if (at + 4 > path_len(s))
			break;
		find_grams(seed, at);
	}
	return true;
}

/* What was found for a state, by `MATTERS`. */
static __always_inline u32 found_for(struct scratch *s, u32 number)
{
	u64 first = s->found[0] >> number, second = s->found[1] >> number, third = s->found[2] >> number;

	return (first & 1) | (first >> 31 & 2) | (second & 1) << 2 | (second >> 29 & 8) | (third & 1) << 4 |
	       (third >> 27 & 32);
}

/*
 * Whether an event with this path matters in this state, by `MATTERS`; so it does if that can't be told. Most paths are
 * asked for again and again, so that what was decided is remembered until something else is asked for. A function of its
 * own, so that the verifier looks at its loops once.
 */
__noinline int path_matters(u64 from, u32 number, u32 older)
{
	struct scratch *s = get_scratch();
	const struct sieve *sieve;
	u32 state = 1u << (number &= 31);
	struct seen *seen;
	u64 what;
	long n;

	if (!s)
		return MATTERS_OF_ALL;
	n = read_asked(s, from, older);
	/* unreadable, empty, too long */
	if (n <= 1 || n > ASKED_MOST + 1)
		return MATTERS_OF_ALL;
	s->asked_len = n - 1;
	/* so that no word of the path has anything behind its end */
	*(u64 *)&s->asked[ASKED_START + path_len(s)] = 0;
	s->asked_from = older ? 0 : from;
	if (s->asked[ASKED_START] != '/')
		return MATTERS_OF_ALL;
	/* read before what is asked for is, so that what is remembered is never newer than what it was decided by */
	what = seen_for(s->plan, path_len(s), number);
	seen = seen_place(s, hash_of_asked(s));
	if ((seen->what & ~(u64)SEEN_DECIDED) == what && is_seen(s, seen))
		return decided(seen->what);
	sieve = &sieves[bounded(s->plan, PLANS_ROOM - 1)];
	what |= to_be_seen(find_states_of_path(s, sieve, state) ? found_for(s, number) : MATTERS_OF_ALL);
	if (path_len(s) < 8 * SEEN_WORDS)
		note_seen(s, seen, what);
	return decided(what);
}

/* Which kind of name user space knows the current thread by: OTHER_NAME, EXCEPTED_NAME, or 0 if neither is certain. */
static __always_inline u32 kind_of_name(struct scratch *s)
{
	struct task_struct *task = current_task();
	struct name_before *before;
	struct name name;
	u64 *lost;

	if (!names_told)
		return 0;
	lost = count_of_lost_names();
	if (!lost || *lost)
		return 0;
	/* in this order: a new name comes after the old one is kept */
	name = name_now(task);
	before = name_before(task);
	if (before) {
		if (before->unsure)
			return 0;
		name = before->name;
	}
	find_anew(s);
	find_test(mix(mix(0, name.words[0]), name.words[1]), TEST_NAME, 0);
	if (s->found[1] != name.words[1])
		return OTHER_NAME;
	if (s->found[0] & excepted[bounded(s->plan, PLANS_ROOM - 1)])
		return EXCEPTED_NAME;
	return s->found[0] >> NAME_ASKED_BIT ? 0 : OTHER_NAME;
}

/* The class of the value that the call was given, as the event has it. */
static __always_inline u32 class_of_argument(struct scratch *s, u32 number)
{
	const struct choice *choice = &choices[bounded(number, CHOICES - 1)];
	const struct param *p;
	u32 i = choice->param;
	u64 value;

	if (i >= PLAN_PARAMS)
		return 0;
	p = &plan_of(s)->params[i];
	value = convert(p->set, argument(s, p->source));
	return value < choice->len ? classes[bounded(choice->first + value, CLASSES - 1)] : 0;
}

/* What an open's flags say of its state, but for O_TMPFILE. */
static __always_inline u64 state_of_plain_flags(u64 flags)
{
	u64 state = ACCESS_STATES >> 4 * (flags & 3) & 0xf;

	state |= flags / (O_CREAT / STATE_CREATES) & STATE_CREATES;
	return state | (flags / (O_TRUNC / STATE_TRUNCATES) & STATE_TRUNCATES);
}

static __always_inline u32 state_of_flags(u64 flags)
{
	u32 state = state_of_plain_flags(flags);

	return (flags & O_TMPFILE) == O_TMPFILE ? state | STATE_CREATES : state;
}

static __always_inline u8 state_of(struct scratch *s, const struct sieve *sieve)
{
	u8 state = sieve->fixed | (s->ret >= 0 ? STATE_SUCCESS : 0);

	if (sieve->socket_arg) {
		s->socket_fd = sieve->socket_arg == SOCKET_RETURNED ? s->ret : (s32)s->args[(sieve->socket_arg - 1) & 3];
		find_socket();
		return state | bounded(s->socket_class, 15) << 1;
	}
	if (sieve->flags_arg) {
		state |= state_of_flags(s->args[(sieve->flags_arg - 1) & 3]);
	} else if (sieve->choice) {
		state |= (class_of_argument(s, sieve->choice - 1) & 15) << 1;
	}
	return state;
}

/* Whether the machine needs an event that matters to no rule. */
static __always_inline bool is_kept(struct scratch *s, const struct sieve *sieve, struct task_struct *task)
{
	switch (sieve->keep) {
	case KEEP_NOTHING:
		return false;
	case KEEP_SUCCESSES:
		return s->ret >= 0;
	case KEEP_OPENS:
		return s->ret >= 0 && !hide_plain_fd(followed(task), s->ret);
	case KEEP_CLOSES:
		s->revealed = s->ret >= 0 && !closes_unseen(followed(task), (s32)s->args[0]);
		return s->revealed;
	case KEEP_CONNECTS:
	case KEEP_CONNECTS_BUT_UNIX:
		if (s->ret < 0 && s->ret != -EINPROGRESS)
			return false;
		return sieve->keep == KEEP_CONNECTS || s->socket_class != SOCKET_UNIX;
	case KEEP_ACCEPTS_BUT_UNIX:
		return s->ret >= 0 && !(s->socket_class == SOCKET_UNIX && hide_fd(s->ret));
	case KEEP_EXCHANGES:
	case KEEP_EXCHANGES_BUT_UNIX:
		return s->ret >= 0 && tells_ends(s, sieve->keep == KEEP_EXCHANGES_BUT_UNIX);
	case KEEP_FD_COMMANDS:
		if (s->ret < 0)
			return false;
		if ((u32)s->args[1] == COMMAND_SETFD)
			return !is_hidden(followed(task), (s32)s->args[0]);
		return copies_fd(s);
	}
	return true;
}

/* Whether an event with the paths that the call was given matters in this state, by `MATTERS`. */
static __always_inline u32 paths_matter(struct scratch *s, const struct sieve *sieve, u32 number, u64 lately)
{
	u64 first = s->args[(sieve->path_args[0] - 1) & 3], second;
	u32 matters = 0;

	if (sieve->path_args[0]) {
		matters = lately ? decided(lately) : path_matters(first, number, 0);
		if (lately) {
			s->asked_len = (lately & SEEN_LEN) >> SEEN_LEN_SHIFT;
			s->asked_from = first;
		}
	}
	if (sieve->path_args[1]) {
		second = s->args[(sieve->path_args[1] - 1) & 3];
		/* two at one address: both copies are looked at */
		matters |= path_matters(second, number, first == second);
	}
	return matters;
}

/* Whether the event matters whatever its path, by `MATTERS`. */
static __always_inline u32 matters_anyway(struct scratch *s, u32 number)
{
	const u32 *states = of_callers[bounded(s->plan, PLANS_ROOM - 1)];

	return (states[0] >> number & 1) | (states[1] >> number & 1) << 1 | (states[2] >> number & 1) << 2 |
	       (states[3] >> number & 1) << 3 | (states[4] >> number & 1) << 4 | (states[5] >> number & 1) << 5;
}

/* Of callers that are where less matters: OF_CONTAINER, or 0 for the host. */
static __always_inline u64 where_decides(struct scratch *s)
{
	return of_containers[bounded(s->plan, PLANS_ROOM - 1)] ? OF_CONTAINER : 0;
}

/* Whether an event that matters if anybody made the call does as it was: only what makes a difference is looked at. */
static __always_inline bool matters_of_caller(struct scratch *s, u32 matters)
{
	if (matters == MATTERS_OF_ALL)
		return true;
	if (((matters ^ matters >> OTHER_NAME) | (matters ^ matters >> EXCEPTED_NAME)) & (MATTERS | MATTERS_OF_THERE))
		matters >>= kind_of_name(s);
	return matters & MATTERS && (matters & MATTERS_OF_THERE || !is_known_to_be(where_decides(s)));
}

/* Whether the event of the call that has just ended is wanted. `lately`: what was decided of its path, if it is known. */
static __always_inline bool passes(struct scratch *s, struct task_struct *task, u64 lately)
{
	const struct sieve *sieve = &sieves[bounded(s->plan, PLANS_ROOM - 1)];
	u32 number, state, matters;

	/* else compilers find it anew each time that it is used */
	barrier_var(sieve);
	if (!sieve->used)
		return true;
	number = state_of(s, sieve) & 31;
	state = 1u << number;
	matters = matters_anyway(s, number);
	if (matters != MATTERS_OF_ALL && sieve->paths & state)
		matters |= paths_matter(s, sieve, number, lately);
	if (matters & MATTERS && matters_of_caller(s, matters))
		return true;
	return is_kept(s, sieve, task);
}

#endif
