/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What an open file is. */
#ifndef LANNER_FILE_H
#define LANNER_FILE_H

#include "task.h"

/* The current thread's open file of that number, or NULL. */
static __always_inline struct file *file_of_fd(s64 fd)
{
	struct fdtable *table;
	struct file **files, *file = NULL;

	if (fd < 0)
		return NULL;
	table = BPF_CORE_READ(current_task(), files, fdt);
	if (!table || fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), &files[fd]);
	return file;
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
