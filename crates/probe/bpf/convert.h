/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The kernel's flags and enumerations as the event table numbers them. */
#ifndef LANNER_CONVERT_H
#define LANNER_CONVERT_H

#include "event.h"
#include "words.h"

/* `set` is the index of a conversion; 0 leaves the value as it is. */
__noinline u64 convert(u32 set, u64 value)
{
	const struct conversion *c = &conversions[bounded(set, CONVERSIONS_ROOM - 1)];
	u64 out = 0, one = all_if_zero(c->kind ^ CONVERT_VALUES), done = 0;

	if (!set)
		return value;
	if (c->kind == CONVERT_KEEP)
		return value & c->fallback;
	for (u32 i = 0; i < CONVERSION_LONGEST; i++) {
		const struct step *step = &steps[bounded(c->first + i, CONVERSION_STEPS_ROOM - 1)];
		u64 fits;

		if (i >= c->count)
			break;
		/* without a branch, because the verifier would follow both sides of each in every round */
		fits = all_if_zero((value & step->mask) ^ step->match) & ~done;
		out |= step->result & fits;
		/* of values the first that fits counts */
		done |= fits & one;
	}
	return out | (c->fallback & one & ~done);
}

#endif
