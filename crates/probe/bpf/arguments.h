/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Arguments that need a closer look: times, lists of polled fds, semaphores, keys, names, file system settings. */
#ifndef LANNER_ARGUMENTS_H
#define LANNER_ARGUMENTS_H

#include "convert.h"
#include "copies.h"
#include "file.h"
#include "parts.h"

#define POLLED_SHOWN 16 /* entries of a list of polled fds that are shown */
#define PAGE_SHIFT_OF_MMAP2 12
#define SETVAL 16

/* Nanoseconds of a time in user memory, whose two numbers are words or, if `wide`, 64 bits each. */
static __always_inline u64 time_at(struct scratch *s, u64 at, bool wide)
{
	bool compat = s->compat && !wide;

	return word_at(at, 0, compat) * 1000000000ull + word_at(at, 1, compat);
}

/*
 * A 64-bit number that a 32-bit call has in two registers, the lower half first; 32-bit Arm wants the first of
 * them to be an even one, which shows in calls that the C library does not make with two words itself.
 */
static __always_inline u64 split_number(struct scratch *s, u32 at)
{
	u32 i = at < 4 ? at : 4;

	if (!s->compat)
		return s->args[bounded(i, 7)];
#if defined(__TARGET_ARCH_arm64)
	if ((i & 1) && (s->type == EV_SYSCALL_PREAD_X || s->type == EV_SYSCALL_PWRITE_X))
		i = i < 4 ? i + 1 : 4;
#endif
	return (u32)s->args[bounded(i, 7)] | s->args[bounded(i + 1, 7)] << 32;
}

/* pollfd: fd, asked events, returned events. Shown: how many, then of each the fd and the returned events. */
__noinline int put_polled(u64 list, u64 count)
{
	struct scratch *s = get_scratch();
	u32 shown = count < POLLED_SHOWN ? count : POLLED_SHOWN;
	u8 probe;

	if (!s)
		return 0;
	if (!list || bpf_probe_read_user(&probe, 1, (void *)list))
		shown = 0;
	*(u16 *)cursor(s) = shown;
	s->at = 2;
	for (u32 i = 0; i < POLLED_SHOWN; i++) {
		struct {
			s32 fd;
			u16 asked, returned;
		} entry = {};
		u8 *to = &s->data[bounded(s->pos + s->at, EVENT_MAX - 1)];

		if (i >= shown)
			break;
		bpf_probe_read_user(&entry, sizeof(entry), (void *)(list + i * sizeof(entry)));
		*(s64 *)to = entry.fd;
		*(u16 *)(to + 8) = convert(SET_POLL_EVENTS, entry.returned);
		s->at += 10;
	}
	end_param(s, s->at);
	return 0;
}

/* The first two operations of semop, six bytes each: number, operation, flags. Zero where the call failed. */
static __always_inline u64 semaphore(struct scratch *s, u32 what)
{
	u32 operation = what >= SEM_NUMBER1, field = what - (operation ? SEM_NUMBER1 : SEM_NUMBER0);
	u16 value = 0;

	if (what == SEM_VALUE)
		return (s->args[2] & ~0x100ull) == SETVAL ? (u32)s->args[3] : 0;
	if (s->ret || operation >= (u32)s->args[2])
		return 0;
	bpf_probe_read_user(&value, sizeof(value), (void *)(s->args[1] + 6 * operation + 2 * field));
	return field == 2 ? convert(SET_SEMOP_FLAGS, value) : value;
}

/* fsconfig's value: text for commands 1, 3, 4, bytes of a given length for 2. */
static __always_inline void put_fsconfig(struct scratch *s, u32 what)
{
	u32 command = s->args[1];
	bool text = command == 1 || command == 3 || command == 4;

	if (s->ret >= 0 && what == FSCONFIG_TEXT && text)
		put_name(s, s->args[3], 0);
	else if (s->ret >= 0 && what == FSCONFIG_BYTES && command == 2)
		put_user_bytes(s->args[3], (u32)s->args[4]);
	else
		put_empty(s);
}

/*
 * How many arguments each keyctl command has behind itself, and which of them are texts: bit 0 says so of the
 * first. Commands from include/uapi/linux/keyctl.h, in order.
 */
static const struct {
	u8 count, texts;
} key_commands[64] = {
	{ 2, 0 }, { 1, 1 }, { 3, 0 }, { 1, 0 },	 { 3, 0 },  /* get id, join session, update, revoke, chown */
	{ 2, 0 }, { 3, 0 }, { 1, 0 }, { 2, 0 },	 { 2, 0 },  /* setperm, describe, clear, link, unlink */
	{ 4, 6 }, { 3, 0 }, { 4, 0 }, { 3, 0 },	 { 1, 0 },  /* search, read, instantiate, negate, reqkey keyring */
	{ 2, 0 }, { 1, 0 }, { 3, 0 }, { 0, 0 },	 { 4, 0 },  /* timeout, assume, get security, to parent, reject */
	{ 4, 0 }, { 1, 0 }, { 2, 0 }, { 4, 0 },	 { 3, 4 },  /* instantiate iov, invalidate, persistent, dh, query */
	{ 4, 2 }, { 4, 2 }, { 4, 2 }, { 4, 2 },	 { 3, 6 },  /* encrypt, decrypt, sign, verify, restrict */
	{ 4, 0 }, { 2, 0 }, { 3, 0 },			    /* move, capabilities, watch */
};

/* One of keyctl's arguments, which says of itself that it is a number (0) or a text (1). */
__noinline int put_key_argument(u32 argument)
{
	struct scratch *s = get_scratch();
	u64 at = bounded(argument, 7), value;
	u32 i = at - 1, command;
	bool text, given;
	u8 *to;

	if (!s || at >= 6)
		return 0;
	value = s->args[at];
	command = s->args[0] < 64 ? s->args[0] : 63;
	given = i < key_commands[command].count;
	text = key_commands[command].texts & (1 << i);
	to = cursor(s);
	to[0] = text;
	if (text) {
		long n = bpf_probe_read_user_str(to + 1, TEXT_MAX, (void *)value);

		end_param(s, n > 0 ? n + 1 : 1);
		return 0;
	}
	*(u64 *)(to + 1) = given ? value : 0;
	end_param(s, 9);
	return 0;
}

/* Before the name of a file in memory the kernel puts "memfd:". */
#define MEMORY_MARK_LEN 6

/* What memfd_create was asked to call a file: the open file's own name, or, if there is none, what the caller says. */
__noinline int put_memory_name(void)
{
	struct scratch *s = get_scratch();
	struct file *file;

	if (!s)
		return 0;
	file = s->ret >= 0 ? returned_file(s) : NULL;
	if (file && is_memfd(file))
		put_kernel_text((u64)BPF_CORE_READ(file, f_path.dentry, d_name.name) + MEMORY_MARK_LEN);
	else
		put_user_text(s->args[0]);
	return 0;
}

#define COMM_LEN 16

/* Whether a name begins as the one that the kernel cut. */
static __always_inline bool begins_as(const u8 *name, const char *cut)
{
	for (u32 i = 0; i < COMM_LEN - 1; i++) {
		if (name[i] != (u8)cut[i])
			return false;
		if (!cut[i])
			break;
	}
	return true;
}

/*
 * The name that prctl set or told. The thread bears the first 15 bytes of it; where the caller's memory begins
 * otherwise, another thread has rewritten it, and the thread's own name is told.
 */
__noinline int put_thread_name(void)
{
	struct scratch *s = get_scratch();
	char own[COMM_LEN] = {};
	long n;

	if (!s)
		return 0;
	if (s->ret < 0) {
		put_user_text(s->args[1]);
		return 0;
	}
	bpf_get_current_comm(own, sizeof(own));
	n = bpf_probe_read_user_str(s->path, TEXT_MAX, (void *)s->args[1]);
	if (n <= 0 || !begins_as(s->path, own))
		__builtin_memcpy(s->path, own, sizeof(own));
	put_kernel_text((u64)plain(s->path));
	return 0;
}

#endif
