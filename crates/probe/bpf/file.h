/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What an open file is. */
#ifndef LANNER_FILE_H
#define LANNER_FILE_H

#include "task.h"

/*
 * A thread for plain loads. The verifier of later kernels searches all their types for the name of each step along a
 * pointer that it was handed itself, a millisecond each; of one that was cast it does not.
 */
static __always_inline struct task_struct *followed(struct task_struct *task)
{
	return can_cast ? AS(task_struct, task) : task;
}

/*
 * The current thread's table of open files. A typed pointer can be followed by plain loads, which cost a
 * fraction of what reading by a helper does; kernels before 5.11 give none.
 */
static __always_inline bool table_of_current(u32 *len, struct file ***files)
{
	struct fdtable *table;

	if (!can_cast && bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
		table = bpf_get_current_task_btf()->files->fdt;
		*len = table->max_fds;
		*files = table->fd;
		return true;
	}
	table = BPF_CORE_READ(current_task(), files, fdt);
	if (!table)
		return false;
	*len = BPF_CORE_READ(table, max_fds);
	*files = BPF_CORE_READ(table, fd);
	return true;
}

/*
 * The address of the current thread's open file of that number, or 0. A function of its own, because the
 * verifier looks up every step along a typed pointer by name, which takes it long.
 */
__noinline u64 open_file(s64 fd)
{
	struct file **files;
	u64 file = 0;
	u32 len;

	if (fd < 0 || !table_of_current(&len, &files) || fd >= len)
		return 0;
	peek(&file, sizeof(file), &files[fd]);
	return file;
}

/* The open file of that number of a thread that can be followed, or NULL. */
static __always_inline struct file *file_of_followed(struct task_struct *seen, s64 fd)
{
	struct fdtable *table = seen->files->fdt;
	struct file *file = NULL;

	if (fd < 0 || fd >= table->max_fds)
		return NULL;
	bpf_core_read(&file, sizeof(file), &table->fd[fd]);
	return file;
}

static __always_inline struct file *file_of_fd(s64 fd)
{
	return (struct file *)open_file(fd);
}

/* The file of a descriptor that a call or an operation of io_uring was given. */
static __always_inline struct file *file_of_argument(struct scratch *s, s64 fd)
{
	return s->uring && fd == s->own_fd ? (struct file *)s->own_file : file_of_fd(fd);
}

/* The open file that the call returned, or NULL. */
static __always_inline struct file *returned_file(struct scratch *s)
{
	if (!s->file_known) {
		s->file = (u64)file_of_fd(s->ret);
		s->file_known = 1;
	}
	return (struct file *)s->file;
}

/* Whether the call returned one, found with less effort if that can be. */
__noinline int has_returned_file(void)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	if (can_cast && !s->uring && !s->file_known) {
		s->file = (u64)file_of_followed(AS(task_struct, s->task), s->ret);
		s->file_known = 1;
	}
	return returned_file(s) != NULL;
}

/* A device number of the kernel as user space has it. */
static __always_inline u32 user_device(u32 dev)
{
	u32 major = dev >> 20, minor = dev & 0xfffff;

	return (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
}

static __always_inline u32 device_of(struct file *file)
{
	return file ? user_device(BPF_CORE_READ(file, f_inode, i_sb, s_dev)) : 0;
}

static __always_inline u64 inode_of(struct file *file)
{
	return file ? BPF_CORE_READ(file, f_inode, i_ino) : 0;
}

/* What the opened file adds to the flags that were asked for. */
static __always_inline u32 open_file_flags(struct file *file)
{
	u32 flags = 0;
	int layer;

	if (!file)
		return 0;
	if (BPF_CORE_READ(file, f_mode) & FMODE_CREATED)
		flags |= FLAG_OPEN_FLAGS_O_F_CREATED;
	layer = overlay_layer(file);
	if (layer == LAYER_UPPER)
		flags |= FLAG_OPEN_FLAGS_FD_UPPER_LAYER;
	if (layer == LAYER_LOWER)
		flags |= FLAG_OPEN_FLAGS_FD_LOWER_LAYER;
	return flags;
}

static __always_inline u16 created_file_layer(struct file *file)
{
	int layer = file ? overlay_layer(file) : LAYER_NONE;

	return layer == LAYER_UPPER   ? FLAG_CREAT_CREAT_FLAGS_FD_UPPER_LAYER_CREAT
	       : layer == LAYER_LOWER ? FLAG_CREAT_CREAT_FLAGS_FD_LOWER_LAYER_CREAT
				      : 0;
}

#endif
