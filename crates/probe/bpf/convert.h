/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The kernel's flags and enumerations as the event table numbers them. */
#ifndef LANNER_CONVERT_H
#define LANNER_CONVERT_H

#include "event.h"

/* `set` is the index of a conversion; 0 leaves the value as it is. */
__noinline u64 convert(u32 set, u64 value)
{
	const struct conversion *c = &conversions[bounded(set, CONVERSIONS_ROOM - 1)];
	u64 out = 0;

	if (!set)
		return value;
	if (c->kind == CONVERT_KEEP)
		return value & c->fallback;
	for (u32 i = 0; i < CONVERSION_LONGEST; i++) {
		const struct step *step = &steps[bounded(c->first + i, CONVERSION_STEPS_ROOM - 1)];

		if (i >= c->count)
			break;
		if ((value & step->mask) != step->match)
			continue;
		if (c->kind == CONVERT_VALUES)
			return step->result;
		out |= step->result;
	}
	return c->kind == CONVERT_VALUES ? c->fallback : out;
}

#endif
