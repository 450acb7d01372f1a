/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Which fds of a process were opened without anybody being told. Their close is not told either; before an event
 * that uses one, what it is, is told.
 *
 * A note may outlive its fd, as when a new program closes some: whatever makes an fd that is told ends it, and only
 * a plain file is ever told. A process for which nothing is noted has none, and nothing is hidden in fd tables that
 * processes share. Where what is hidden can't be known, all is taken to be.
 */
#ifndef LANNER_FDS_H
#define LANNER_FDS_H

#include "file.h"
#include "output.h"

#define HIDDEN_MOST 1024 /* a power of two */

struct hidden {
	/* not 0: hidden. A byte for each, so that threads that open and close at once don't undo each other's notes */
	u8 fds[HIDDEN_MOST] __attribute__((aligned(8)));
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct hidden);
} hidden_fds SEC(".maps");

/* Whether the kernel has such maps for these programs; set before loading. */
const volatile u8 can_hide = 0;
/* Whether any fd has been hidden yet. */
u8 hiding = 0;

#define HIDDEN_WORDS (HIDDEN_MOST / 8)

/* Takes every fd of the current thread for hidden. */
__noinline int hide_all(void)
{
	struct hidden *hidden;
	u64 *words;

	if (!can_hide)
		return 0;
	hidden = bpf_task_storage_get(&hidden_fds, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!hidden) {
		count_lost(EV_ITER_TASK_FILE_REGULAR_E, LOST_NO_BUFFER);
		return 0;
	}
	words = (u64 *)hidden->fds;
	for (u32 i = 0; i < HIDDEN_WORDS; i++)
		words[i] = ~0ull;
	return 1;
}

/*
 * Notes that nobody was told of the current process's new fd; false if that can't be noted. It is noted with the
 * first thread, for all that share its table: a copy of the table has the same fds.
 */
static __always_inline bool hide_fd(struct task_struct *task, s64 fd)
{
	struct task_struct *main, *seen;
	struct hidden *hidden;

	if (!can_hide || fd < 0 || fd >= HIDDEN_MOST)
		return false;
	seen = followed(task);
	/* other processes that have the table can close its fds unseen */
	if ((u64)seen->group_leader->files != (u64)seen->files || seen->files->count.counter > seen->signal->nr_threads)
		return false;
	main = task->group_leader;
	hidden = bpf_task_storage_get(&hidden_fds, main, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!hidden)
		return false;
	hidden->fds[bounded(fd, HIDDEN_MOST - 1)] = 1;
	return true;
}

/*
 * What is noted for the current thread's fds, or NULL. Of a thread that has left the table of its process, or whose
 * first thread has ended, it isn't known what was hidden before; nothing is afterwards.
 */
static __always_inline struct hidden *hidden_of(struct task_struct *task)
{
	struct task_struct *main = task->group_leader, *seen = followed(task);
	struct hidden *hidden;

	if ((u64)seen->group_leader->files == (u64)seen->files)
		return bpf_task_storage_get(&hidden_fds, main, 0, 0);
	hidden = bpf_task_storage_get(&hidden_fds, task, 0, 0);
	return hidden || !hide_all() ? hidden : bpf_task_storage_get(&hidden_fds, task, 0, 0);
}

/* Where it is noted whether an fd of the current process is hidden, if any is. */
static __always_inline u8 *hidden_note(struct task_struct *task, s64 fd)
{
	struct hidden *hidden;

	if (!can_hide || fd < 0 || fd >= HIDDEN_MOST)
		return NULL;
	hidden = hidden_of(task);
	return hidden ? &hidden->fds[bounded(fd, HIDDEN_MOST - 1)] : NULL;
}

static __always_inline bool is_hidden(struct task_struct *task, s64 fd)
{
	u8 *note = hidden_note(task, fd);

	return note && *note;
}

/* Forgets such a note; whether there was one. */
static __always_inline bool reveal_fd(struct task_struct *task, s64 fd)
{
	u8 *note = hidden_note(task, fd);

	if (!note || !*note)
		return false;
	*note = 0;
	return true;
}

/* A new process has its parent's fds, the hidden ones too; the current thread is the parent. */
static __always_inline void inherit_hidden(struct task_struct *child)
{
	struct hidden *old = hidden_of(bpf_get_current_task_btf()), *new;
	u64 any = 0, *from, *to;

	if (!old)
		return;
	from = (u64 *)old->fds;
	for (u32 i = 0; i < HIDDEN_WORDS; i++)
		any |= from[i];
	if (!any)
		return;
	new = bpf_task_storage_get(&hidden_fds, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!new) {
		count_lost(EV_ITER_TASK_FILE_REGULAR_E, LOST_NO_BUFFER);
		return;
	}
	to = (u64 *)new->fds;
	for (u32 i = 0; i < HIDDEN_WORDS; i++)
		to[i] = from[i];
}

/* The current thread's open file of that number, or NULL. */
static __always_inline struct file *file_of_number(s64 fd)
{
	struct file **files, *file = NULL;
	u32 len;

	if (fd < 0 || !table_of_current(&len, &files) || fd >= len)
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), &files[fd]);
	return file;
}

/* Whether the current thread's fd is closed by a new program. */
static __always_inline bool closes_on_exec(s64 fd)
{
	struct fdtable *table = BPF_CORE_READ(current_task(), files, fdt);
	unsigned long *bits = table ? BPF_CORE_READ(table, close_on_exec) : NULL;
	u64 word = 0;

	if (!bits || fd < 0)
		return false;
	bpf_probe_read_kernel(&word, sizeof(word), &bits[fd >> 6]);
	return word >> (fd & 63) & 1;
}

/* Whether a file of this mode is one that the snapshot tells as ITER_TASK_FILE_REGULAR: of these nothing is lost. */
static __always_inline bool is_plain(u32 mode)
{
	return (mode & S_IFMT) == S_IFREG || (mode & S_IFMT) == S_IFCHR;
}

/* Whether the current thread's open file of that number is a plain one. */
static __always_inline bool is_plain_fd(struct task_struct *task, s64 fd)
{
	struct fdtable *table;
	struct file *file;

	if (!can_cast) {
		file = file_of_number(fd);
		return file && is_plain(BPF_CORE_READ(file, f_inode, i_mode));
	}
	table = followed(task)->files->fdt;
	if (fd < 0 || fd >= table->max_fds)
		return false;
	bpf_core_read(&file, sizeof(file), &table->fd[fd]);
	return file && is_plain(BPF_CORE_READ(file, f_inode, i_mode));
}

#endif
