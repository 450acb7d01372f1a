/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What a thread is: ids, credentials, cgroups, memory, executable. */
#ifndef LANNER_TASK_H
#define LANNER_TASK_H

#include "event.h"
#include "path.h"

enum { PID_OF_THREAD, PID_OF_PROCESS, PID_OF_GROUP, PID_OF_SESSION };
enum { CAP_DAC_OVERRIDE = 1, CAP_FOWNER = 3 };

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

/*
 * A pointer as a plain number. The verifier follows pointers that a program is handed, and does not let them
 * into functions that take numbers; what was read back from memory is a number.
 */
static __always_inline void *plain(const void *pointer)
{
	void *number = NULL;

	bpf_probe_read_kernel(&number, sizeof(number), &pointer);
	return number;
}

static __always_inline struct task_struct *untyped(struct task_struct *task)
{
	return plain(task);
}

static __always_inline struct pid *pid_of(struct task_struct *task, int what)
{
	struct pid *pid = NULL;

	if (what == PID_OF_THREAD)
		return BPF_CORE_READ(task, thread_pid);
	bpf_probe_read_kernel(&pid, sizeof(pid), &BPF_CORE_READ(task, signal)->pids[what]);
	return pid;
}

/* The id as the thread's own pid namespace has it. */
static __always_inline s32 inner_id(struct pid *pid)
{
	struct upid own = {};

	if (!pid)
		return 0;
	bpf_probe_read_kernel(&own.nr, sizeof(own.nr), &pid->numbers[BPF_CORE_READ(pid, level)].nr);
	return own.nr;
}

/* The id as the host has it. */
static __always_inline s32 outer_id(struct pid *pid)
{
	return pid ? BPF_CORE_READ(pid, numbers[0].nr) : 0;
}

static __always_inline struct pid_namespace *pid_namespace_of(struct pid *pid)
{
	struct pid_namespace *ns = NULL;

	if (pid)
		bpf_probe_read_kernel(&ns, sizeof(ns), &pid->numbers[BPF_CORE_READ(pid, level)].ns);
	return ns;
}

/* When the first process of the thread's pid namespace began, in nanoseconds since boot. */
static __always_inline u64 pid_namespace_start(struct task_struct *task)
{
	struct pid_namespace *ns = pid_namespace_of(pid_of(task, PID_OF_PROCESS));

	return ns ? BPF_CORE_READ(ns, child_reaper, start_time) : 0;
}

static __always_inline u64 raw_caps(struct task_struct *task, int what)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);
	const struct kernel_cap_struct *caps;
	u64 value = 0;

	caps = what == CAPS_INHERITABLE ? &cred->cap_inheritable
	       : what == CAPS_PERMITTED ? &cred->cap_permitted
					: &cred->cap_effective;
	/* two 32-bit words in order and one 64-bit word are the same bytes */
	bpf_probe_read_kernel(&value, sizeof(value), caps);
	return value;
}

/* One of a thread's ids, as the host counts them. */
static __always_inline u32 cred_id(struct task_struct *task, int what)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);

	switch (what) {
	case CRED_UID:
		return BPF_CORE_READ(cred, uid.val);
	case CRED_EUID:
		return BPF_CORE_READ(cred, euid.val);
	case CRED_SUID:
		return BPF_CORE_READ(cred, suid.val);
	case CRED_GID:
		return BPF_CORE_READ(cred, gid.val);
	case CRED_EGID:
		return BPF_CORE_READ(cred, egid.val);
	}
	return BPF_CORE_READ(cred, sgid.val);
}

static __always_inline u32 terminal_of(struct task_struct *task)
{
	struct tty_struct *tty = BPF_CORE_READ(task, signal, tty);
	struct tty_driver *driver;
	u32 major, minor;

	if (!tty)
		return 0;
	driver = BPF_CORE_READ(tty, driver);
	if (!driver)
		return 0;
	major = BPF_CORE_READ(driver, major);
	minor = BPF_CORE_READ(driver, minor_start) + BPF_CORE_READ(tty, index);
	return (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
}

static __always_inline u32 login_user(struct task_struct *task)
{
	return bpf_core_field_exists(task->loginuid) ? BPF_CORE_READ(task, loginuid.val) : (u32)-1;
}

static __always_inline u64 fd_limit(struct task_struct *task)
{
	return BPF_CORE_READ(task, signal, rlim[RLIMIT_NOFILE].rlim_cur);
}

static __always_inline u64 kilobytes(s64 pages)
{
	return pages > 0 ? (u64)pages << (PAGE_SHIFT - 10) : 0;
}


/* Kilobytes of memory. The kernel's counters: file 0, anonymous 1, swapped 2, shared 3. */
static __always_inline u32 memory_of(struct mm_struct *mm, int what)
{
	struct mm_struct___6_2 *v6_2 = (void *)mm;

	if (!mm)
		return 0;
	if (what == MEMORY_SIZE)
		return kilobytes(BPF_CORE_READ(mm, total_vm));
	/* the index must be a literal: where an element stands depends on the kernel's type */
	if (bpf_core_type_exists(struct mm_rss_stat)) {
		if (what == MEMORY_SWAPPED)
			return kilobytes(BPF_CORE_READ(mm, rss_stat.count[2].counter));
		return kilobytes(BPF_CORE_READ(mm, rss_stat.count[0].counter) +
				 BPF_CORE_READ(mm, rss_stat.count[1].counter) +
				 BPF_CORE_READ(mm, rss_stat.count[3].counter));
	}
	if (what == MEMORY_SWAPPED)
		return kilobytes(BPF_CORE_READ(v6_2, rss_stat[2].count));
	return kilobytes(BPF_CORE_READ(v6_2, rss_stat[0].count) + BPF_CORE_READ(v6_2, rss_stat[1].count) +
			 BPF_CORE_READ(v6_2, rss_stat[3].count));
}

/* vm_size, vm_rss, vm_swap */
static __always_inline void put_memory(struct scratch *s, struct mm_struct *mm)
{
	put_u32(s, memory_of(mm, MEMORY_SIZE));
	put_u32(s, memory_of(mm, MEMORY_RESIDENT));
	put_u32(s, memory_of(mm, MEMORY_SWAPPED));
}

/* `name` and `=`, which are `name_len` long: what the kernel calls the subsystem (its SUBSYS macros) is what its id is made of. */
static __always_inline u32 append_cgroup(struct scratch *s, struct css_set *set, u32 id, const char *name, u32 name_len,
					 u32 len, u64 *built, u32 *path_len)
{
	struct cgroup_subsys_state *state = NULL;
	struct cgroup *cgroup, *unified;

	peek(&state, sizeof(state), &set->subsys[id & 15]);
	if (!state)
		return len;
	cgroup = BPF_CORE_READ(state, cgroup);
	unified = BPF_CORE_READ(set, dfl_cgrp);
	/* In the unified hierarchy a controller may be off further down; membership is what counts. */
	if (unified && BPF_CORE_READ(unified, root) == BPF_CORE_READ(cgroup, root))
		cgroup = unified;
	else
		s->cgroups_plain = 0;
	if (*built != (u64)cgroup) {
		*path_len = build_cgroup_path((u64)cgroup);
		*built = (u64)cgroup;
	}
	__builtin_memcpy(&s->data[bounded(s->pos + len, EVENT_MAX - 1)], name, name_len);
	len += name_len;
	/* as short as the root's is */
	if (*path_len <= 8)
		*(u64 *)&s->data[bounded(s->pos + len, EVENT_MAX - 1)] = *(u64 *)s->path;
	else
		bpf_probe_read_kernel(&s->data[bounded(s->pos + len, EVENT_MAX - 1)],
				      bounded(*path_len, 2 * TEXT_MAX - 1), s->path);
	return len + *path_len;
}

#define APPEND_CGROUP(name)                                                                            \
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, name##_cgrp_id))                          \
		len = append_cgroup(s, set, bpf_core_enum_value(enum cgroup_subsys_id, name##_cgrp_id), \
				    #name "=", sizeof(#name), len, &built, &path_len)

/*
 * The thread's cgroups: `subsystem=path` and NUL, one after the other. What was written last is kept if all are the one
 * of the unified hierarchy, where nothing can be given another name.
 */
__noinline int put_cgroups(u64 task)
{
	struct scratch *s = get_scratch();
	struct kernfs_node *node;
	struct css_set *set;
	u64 built = 0, id;
	u32 path_len = 0, len = 0;

	if (!s)
		return 0;
	set = BPF_CORE_READ((struct task_struct *)task, cgroups);
	node = BPF_CORE_READ(set, dfl_cgrp, kn);
	id = BPF_CORE_READ(node, id);
	s->told_node = (u64)node;
	if (s->cgroups_of == (u64)set && s->cgroup_id == id) {
		len = bounded(s->cgroups_len, CGROUPS_KEPT - 1);
		bpf_probe_read_kernel(&s->data[bounded(s->pos, EVENT_MAX - 1)], len, s->cgroups);
		end_param(s, len);
		s->told_cgroup = len ? id : 0;
		return 0;
	}
	s->cgroups_plain = 1;
	APPEND_CGROUP(cpuset);
	APPEND_CGROUP(cpu);
	APPEND_CGROUP(cpuacct);
	APPEND_CGROUP(io);
	APPEND_CGROUP(memory);
	s->cgroups_of = 0;
	if (s->cgroups_plain && len < CGROUPS_KEPT) {
		s->cgroups_len = len;
		s->cgroup_id = id;
		bpf_probe_read_kernel(s->cgroups, bounded(len, CGROUPS_KEPT - 1), &s->data[bounded(s->pos, EVENT_MAX - 1)]);
		s->cgroups_of = (u64)set;
	}
	s->told_cgroup = s->cgroups_plain && len ? id : 0;
	end_param(s, len);
	return 0;
}

#define RUNC_INIT 0x5b3a636e7572ull /* runc:[ */

/* The name of a thread. */
static __always_inline void put_comm(struct scratch *s, struct task_struct *task)
{
	u32 at = s->pos;

	put_kernel_text((u64)&task->comm);
	s->told_of_runtime = (*(u64 *)&s->data[bounded(at, EVENT_MAX - 1)] & 0xffffffffffffull) == RUNC_INIT;
}

static __always_inline bool in_group(const struct cred *cred, u32 gid)
{
	struct group_info *info = BPF_CORE_READ(cred, group_info);
	u32 n = info ? BPF_CORE_READ(info, ngroups) : 0;

	for (u32 i = 0; i < 64; i++) {
		u32 one = 0;

		if (i >= n)
			break;
		bpf_probe_read_kernel(&one, sizeof(one), &info->gid[i]);
		if (one == gid)
			return true;
	}
	return false;
}

static __always_inline bool mapped(struct uid_gid_map *map, u32 id)
{
	u32 n = BPF_CORE_READ(map, nr_extents);

	/* with more than five extents the map is a tree; take the id for mapped */
	if (n > 5)
		return true;
	for (u32 i = 0; i < 5; i++) {
		struct uid_gid_extent extent = {};

		if (i >= n)
			break;
		bpf_probe_read_kernel(&extent, sizeof(extent), &map->extent[i]);
		if (id >= extent.lower_first && id - extent.lower_first < extent.count)
			return true;
	}
	return false;
}

/* Whether the thread could write to the file that it executes (ACLs are not looked at). */
__noinline int may_write(u64 task_at, u64 inode_at)
{
	struct task_struct *task = (void *)task_at;
	struct inode *inode = (void *)inode_at;
	const struct cred *cred = BPF_CORE_READ(task, cred);
	u32 mode = BPF_CORE_READ(inode, i_mode), kind = mode & S_IFMT;
	u32 uid = BPF_CORE_READ(inode, i_uid.val), gid = BPF_CORE_READ(inode, i_gid.val);
	struct user_namespace *ns;
	u64 caps;

	if ((BPF_CORE_READ(inode, i_sb, s_flags) & 1) &&
	    (kind == S_IFREG || kind == S_IFDIR || kind == S_IFLNK))
		return 0; /* read-only file system */
	if (BPF_CORE_READ(inode, i_flags) & 8)
		return 0; /* immutable */
	if (uid == (u32)-1 || gid == (u32)-1)
		return 0;
	if (BPF_CORE_READ(cred, fsuid.val) == uid)
		return 1;
	if (BPF_CORE_READ(cred, fsgid.val) == gid || in_group(cred, gid))
		mode >>= 3;
	if (mode & 2)
		return 1;
	caps = raw_caps(task, CAPS_EFFECTIVE);
	ns = BPF_CORE_READ(cred, user_ns);
	if (!ns || !(caps & (1ull << CAP_DAC_OVERRIDE | 1ull << CAP_FOWNER)))
		return 0;
	if (!mapped(&ns->uid_map, uid))
		return 0;
	return (caps & 1ull << CAP_FOWNER) || mapped(&ns->gid_map, gid);
}

enum { LAYER_NONE, LAYER_LOWER, LAYER_UPPER };

/* In which layer of an overlay file system a file lies. */
static __always_inline int overlay_layer(struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry), *upper = NULL;
	void *inode;

	if (BPF_CORE_READ(dentry, d_sb, s_magic) != OVERLAYFS_MAGIC)
		return LAYER_NONE;
	/* struct ovl_inode: the inode, then the upper dentry; modules' BTF need not be there */
	inode = BPF_CORE_READ(dentry, d_inode);
	bpf_probe_read_kernel(&upper, sizeof(upper), inode + bpf_core_type_size(struct inode));
	return upper && BPF_CORE_READ(upper, d_inode, i_ino) ? LAYER_UPPER : LAYER_LOWER;
}

static __always_inline bool is_memfd(struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	char name[8] = {};

	if (!dentry || BPF_CORE_READ(dentry, d_parent) != dentry)
		return false;
	bpf_probe_read_kernel(name, 6, BPF_CORE_READ(dentry, d_name.name));
	return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' && name[4] == 'd' &&
	       name[5] == ':';
}

/* The event table's flags of the executable; `file` may be 0. */
__noinline int exe_flags(u64 task, u64 file_at)
{
	struct file *file = (void *)file_at;
	int flags = 0, layer;

	if (!file)
		return 0;
	if (may_write(task, (u64)BPF_CORE_READ(file, f_inode)))
		flags |= FLAG_EXECVE_FLAGS_EXE_WRITABLE;
	layer = overlay_layer(file);
	if (layer == LAYER_UPPER)
		flags |= FLAG_EXECVE_FLAGS_EXE_UPPER_LAYER;
	if (layer == LAYER_LOWER)
		flags |= FLAG_EXECVE_FLAGS_EXE_LOWER_LAYER;
	if (is_memfd(file))
		flags |= FLAG_EXECVE_FLAGS_EXE_FROM_MEMFD;
	return flags;
}

/* Since 6.13 the highest bit of an inode's nanoseconds is a mark of its own. */
static __always_inline u64 nanoseconds(s64 seconds, u32 rest)
{
	return seconds < 0 ? 0 : seconds * 1000000000ull + (rest & 0x7fffffff);
}

/* inode number, change time and modification time */
static __always_inline void put_inode_times(struct scratch *s, struct inode *inode)
{
	struct inode___6_6 *v6_6 = (void *)inode;
	struct inode___6_7 *v6_7 = (void *)inode;
	struct inode___6_11 *v6_11 = (void *)inode;
	u64 ctime, mtime;

	if (bpf_core_field_exists(inode->i_ctime))
		ctime = nanoseconds(BPF_CORE_READ(inode, i_ctime.tv_sec), BPF_CORE_READ(inode, i_ctime.tv_nsec));
	else if (bpf_core_field_exists(v6_6->__i_ctime))
		ctime = nanoseconds(BPF_CORE_READ(v6_6, __i_ctime.tv_sec),
				    BPF_CORE_READ(v6_6, __i_ctime.tv_nsec));
	else
		ctime = nanoseconds(BPF_CORE_READ(v6_11, i_ctime_sec), BPF_CORE_READ(v6_11, i_ctime_nsec));
	if (bpf_core_field_exists(inode->i_mtime))
		mtime = nanoseconds(BPF_CORE_READ(inode, i_mtime.tv_sec), BPF_CORE_READ(inode, i_mtime.tv_nsec));
	else if (bpf_core_field_exists(v6_7->__i_mtime))
		mtime = nanoseconds(BPF_CORE_READ(v6_7, __i_mtime.tv_sec),
				    BPF_CORE_READ(v6_7, __i_mtime.tv_nsec));
	else
		mtime = nanoseconds(BPF_CORE_READ(v6_11, i_mtime_sec), BPF_CORE_READ(v6_11, i_mtime_nsec));
	put_u64(s, inode ? BPF_CORE_READ(inode, i_ino) : 0);
	put_u64(s, ctime);
	put_u64(s, mtime);
}

/* Whether a task's fd is closed by a new program. */
static __always_inline bool closes_on_exec(struct task_struct *task, s64 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	unsigned long *bits = table ? BPF_CORE_READ(table, close_on_exec) : NULL;
	u64 word = 0;

	if (!bits || fd < 0)
		return false;
	bpf_probe_read_kernel(&word, sizeof(word), &bits[fd >> 6]);
	return word >> (fd & 63) & 1;
}

#endif
