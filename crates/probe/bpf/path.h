/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Paths of the kernel's own objects: directories, files, cgroups. */
#ifndef LANNER_PATH_H
#define LANNER_PATH_H

#include "event.h"

#define PATH_DEPTH 64 /* components of a path; more are cut at the front */
#define NAME_LEN 255
#define PATH_END (2 * TEXT_MAX) /* the path is built backwards from here in scratch.path */

/* Puts the text from `at` to the closing NUL at PATH_END - 1. */
static __always_inline void put_built_path(struct scratch *s, u32 at)
{
	u32 len = PATH_END - at;

	if (len > TEXT_MAX)
		len = TEXT_MAX;
	bpf_probe_read_kernel(cursor(s), bounded(len, 2 * TEXT_MAX - 1),
			      &s->path[bounded(PATH_END - len, 2 * TEXT_MAX - 1)]);
	end_param(s, len);
}

/* Puts the name before what there is of a path, or goes over to the mount above; 0 at the root. */
__noinline int put_component(void)
{
	struct scratch *s = get_scratch();
	struct dentry *dentry, *parent;
	struct mount *mount, *above;
	u32 len;

	if (!s)
		return 0;
	dentry = (void *)s->dentry;
	mount = (void *)s->mount;
	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		above = BPF_CORE_READ(mount, mnt_parent);
		if (above == mount || !above)
			return 0;
		s->dentry = (u64)BPF_CORE_READ(mount, mnt_mountpoint);
		s->mount = (u64)above;
		return 1;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	if (parent == dentry || !parent)
		return 0;
	len = bounded(BPF_CORE_READ(dentry, d_name.len), NAME_LEN);
	if (s->at < PATH_END - TEXT_MAX + NAME_LEN + 1)
		return 0;
	s->at -= len;
	bpf_probe_read_kernel(&s->path[bounded(s->at, 2 * TEXT_MAX - 1)], len, BPF_CORE_READ(dentry, d_name.name));
	s->at -= 1;
	s->path[bounded(s->at, 2 * TEXT_MAX - 1)] = '/';
	s->dentry = (u64)parent;
	return 1;
}

/*
 * A path as the root of its mount namespace sees it, from a `struct path` at `path`. Without a component,
 * the name of the root itself: that is how a memfd is called.
 */
__noinline int put_path(u64 path)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	if (!path) {
		put_empty(s);
		return 0;
	}
	s->dentry = (u64)BPF_CORE_READ((struct path *)path, dentry);
	s->mount = (u64)BPF_CORE_READ((struct path *)path, mnt) - bpf_core_field_offset(struct mount, mnt);
	s->path[PATH_END - 1] = 0;
	s->at = PATH_END - 1;
	for (int i = 0; i < PATH_DEPTH; i++) {
		if (!put_component())
			break;
	}
	if (s->at == PATH_END - 1) {
		struct dentry *last = (void *)s->dentry;
		const unsigned char *own = BPF_CORE_READ(last, d_name.name);
		char first = 0;

		bpf_probe_read_kernel(&first, 1, own);
		if (first && first != '/')
			return put_kernel_text((u64)own);
		s->at -= 1;
		s->path[bounded(s->at, 2 * TEXT_MAX - 1)] = '/';
	}
	put_built_path(s, s->at);
	return 0;
}

/* The address of a file's `struct path`, or 0. */
static __always_inline u64 path_of_file(struct file *file)
{
	return file ? (u64)file + bpf_core_field_offset(struct file, f_path) : 0;
}

/* The node above; NULL: it is the root. */
static __always_inline struct kernfs_node *parent_of_node(struct kernfs_node *node)
{
	if (bpf_core_field_exists(node->parent))
		return BPF_CORE_READ(node, parent);
	return BPF_CORE_READ((struct kernfs_node___6_15 *)node, __parent);
}

/* Builds a cgroup's path in scratch.path; says where it begins, as index, or 0. */
__noinline int build_cgroup_path(u64 cgroup)
{
	struct scratch *s = get_scratch();
	struct kernfs_node *node;

	if (!s)
		return 0;
	s->at = 0;
	s->cgroup_depth = 0;
	node = BPF_CORE_READ((struct cgroup *)cgroup, kn);
	for (int i = 0; i < CGROUP_DEPTH; i++) {
		struct kernfs_node *parent;

		if (!node)
			break;
		parent = parent_of_node(node);
		if (!parent)
			break;
		s->cgroup_names[i] = (u64)BPF_CORE_READ(node, name);
		s->cgroup_depth = i + 1;
		node = parent;
	}
	for (int i = 0; i < CGROUP_DEPTH; i++) {
		u32 left = *(volatile u32 *)&s->cgroup_depth;
		long n;

		if (!left || s->at > TEXT_MAX - NAME_LEN - 2)
			break;
		s->cgroup_depth = left -= 1;
		s->path[bounded(s->at, TEXT_MAX - 1)] = '/';
		n = bpf_probe_read_kernel_str(&s->path[bounded(s->at + 1, TEXT_MAX - 1)], NAME_LEN + 1,
					      (void *)s->cgroup_names[bounded(left, CGROUP_DEPTH - 1)]);
		if (n <= 1)
			break;
		s->at += n;
	}
	if (!s->at) {
		s->path[0] = '/';
		s->at = 1;
	}
	s->path[bounded(s->at, TEXT_MAX - 1)] = 0;
	return s->at + 1;
}

#endif
