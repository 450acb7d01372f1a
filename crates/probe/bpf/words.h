/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Eight bytes at once. */
#ifndef LANNER_WORDS_H
#define LANNER_WORDS_H

#include "kernel.h"

/*
 * What the compiler lays out one behind the other: the usual way through the hottest program, in as few lines of the
 * processor's cache as can be.
 */
#define usual(condition) __builtin_expect(!!(condition), 1)
#define unusual(condition) __builtin_expect(!!(condition), 0)

#define EVERY(byte) (0x0101010101010101ull * (byte))

/* The highest bit of each byte that is 0. */
static __always_inline u64 zeros(u64 word)
{
	return ~(((word & EVERY(0x7f)) + EVERY(0x7f)) | word | EVERY(0x7f));
}

/* All bits if it is 0, else none; without a branch, because the verifier follows both sides of each. */
static __always_inline u64 all_if_zero(u64 value)
{
	u64 negative = -value;

	/* compilers would make a branch of it again */
	asm volatile("" : "+r"(negative));
	return ((value | negative) >> 63) - 1;
}

/* Up to the first 0 and with it; `zeros` of the word. */
static __always_inline u32 bytes_to_first(u64 zeros)
{
	return (((zeros & -zeros) - 1) & EVERY(1)) * EVERY(1) >> 56;
}

#endif
