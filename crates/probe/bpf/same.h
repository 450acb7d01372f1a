/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Whether a file lies where it was asked for: then an event need not say twice where. */
#ifndef LANNER_SAME_H
#define LANNER_SAME_H

#include "file.h"

#define SAME_DEPTH 16 /* components and mounts of a path that is compared */
#define SAME_WORDS 4  /* of a component's name */

/* Whether the last `len` bytes before `at` of the path that was looked at are this name, behind a slash. */
static __always_inline bool ends_with_name(struct scratch *s, u32 at, u32 len, u64 name)
{
	u32 start = at - len;

	if (!len || len >= at || len > 8 * SAME_WORDS || s->asked[ASKED_START + bounded(start - 1, ASKED_MOST)] != '/')
		return false;
	for (u32 i = 0; i < SAME_WORDS; i++) {
		u32 done = i * 8;
		u64 one, other;

		if (done >= len)
			break;
		peek(&one, sizeof(one), (const void *)(name + done));
		other = *(u64 *)&s->asked[ASKED_START + bounded(start + done, ASKED_MOST)];
		if (len - done >= 8 ? one != other : (one ^ other) << (64 - 8 * (len - done)))
			return false;
	}
	return true;
}

enum { DIFFERS, GOES_ON, IS_SAME };

/* Holds the name at the place in the tree of files against the end of what is left of the path, and goes up. */
static __always_inline int go_up(struct scratch *s)
{
	struct dentry *dentry = (void *)s->dentry, *parent;
	struct mount *mount = (void *)s->mount, *above;
	u32 at = bounded(*(volatile u32 *)&s->at, ASKED_MOST), len;

	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		above = BPF_CORE_READ(mount, mnt_parent);
		if (above == mount || !above)
			return at ? DIFFERS : IS_SAME;
		s->dentry = (u64)BPF_CORE_READ(mount, mnt_mountpoint);
		s->mount = (u64)above;
		return GOES_ON;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	len = BPF_CORE_READ(dentry, d_name.len);
	if (parent == dentry || !ends_with_name(s, at, len, (u64)BPF_CORE_READ(dentry, d_name.name)))
		return DIFFERS;
	s->at = at - len - 1;
	s->dentry = (u64)parent;
	return GOES_ON;
}

/* Four times, which is enough for most files; not as a loop, for older kernels don't take that which it would become. */
__noinline int go_up_often(void)
{
	struct scratch *s = get_scratch();
	int found = s && can_cast ? GOES_ON : DIFFERS;

#pragma unroll
	for (u32 i = 0; i < 4; i++) {
		if (found != GOES_ON)
			return found;
		found = go_up(s);
	}
	return found;
}

/*
 * Whether put_path would write of a file what was asked for. Only by plain loads, as building the path costs little
 * more than comparing it by helpers.
 */
__noinline int lies_where_asked(u64 file)
{
	struct scratch *s = get_scratch();
	const struct path *path = (void *)(file + bpf_core_field_offset(struct file, f_path));
	int found = GOES_ON;

	if (!s || !can_cast || !file)
		return 0;
	s->dentry = (u64)BPF_CORE_READ(path, dentry);
	s->mount = (u64)BPF_CORE_READ(path, mnt) - bpf_core_field_offset(struct mount, mnt);
	s->at = s->asked_len;
	for (u32 i = 0; i < SAME_DEPTH / 4 && found == GOES_ON; i++)
		found = go_up_often();
	return found == IS_SAME;
}

#endif
