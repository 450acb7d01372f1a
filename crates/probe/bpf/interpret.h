/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Writes the event of a system call as data/syscalls.tbl describes it: one step per parameter. A new kind of
 * parameter is a case here and a word in build/plans.rs.
 */
#ifndef LANNER_INTERPRET_H
#define LANNER_INTERPRET_H

#include "arguments.h"
#include "convert.h"
#include "fds.h"
#include "message.h"
#include "net.h"
#include "sockets.h"
#include "output.h"
#include "quota.h"
#include "same.h"
#include "sockopt.h"

/* What a number is made from; an unreadable one is 0. */
static __always_inline u64 source_of(struct scratch *s, const struct param *p, bool *missing)
{
	u64 at, value = 0;
	u32 half = 0;

	*missing = false;
	switch (p->source) {
	case SOURCE_RET:
		return s->ret;
	case SOURCE_ZERO:
		return 0;
	case SOURCE_MOVED:
		return s->ret > 0 ? s->ret : 0;
	case SOURCE_NR:
		return s->compat ? ia32_native[s->nr & (NUMBERS - 1)] : s->nr;
	case SOURCE_ID:
		return s->compat ? ia32_ids[s->nr & (NUMBERS - 1)] : native_ids[s->nr & (NUMBERS - 1)];
	}
	at = p->source < 6 ? s->args[bounded(p->source, 7)] : 0;
	if (!p->size)
		return at;
	if (p->size == WORD_SIZED) {
		at += p->offset * (s->compat ? 4 : 8);
		if (!s->compat) {
			*missing = bpf_probe_read_user(&value, 8, (void *)at) != 0;
			return value;
		}
		*missing = bpf_probe_read_user(&half, 4, (void *)at) != 0;
		/* a limit that is none has all bits set in either ABI */
		return half == ~0u ? ~0ull : half;
	}
	at += p->offset;
	if (p->size == 8) {
		*missing = bpf_probe_read_user(&value, 8, (void *)at) != 0;
		return value;
	}
	*missing = bpf_probe_read_user(&half, 4, (void *)at) != 0;
	return half;
}

static __always_inline s64 argument(struct scratch *s, u32 i)
{
	/* bounded once more, for a compiler may compare other bits than it counts by */
	return i < 6 ? s->args[bounded(i, 7)] : 0;
}

/* A socket's both ends, where the call got far enough to have them. */
static __always_inline void put_tuple_of(struct scratch *s, const struct param *p)
{
	s64 fd = p->source == SOURCE_RET ? s->ret : (s32)argument(s, p->source);
	bool done = s->ret >= 0 || (s->type == EV_SOCKET_CONNECT_X && s->ret == -EINPROGRESS);

	if (!done) {
		put_empty(s);
		return;
	}
	/* an address without a length is none */
	put_tuple(fd, p->what, p->size && argument(s, p->offset + 1) ? argument(s, p->offset) : 0);
}

/* As much as moved; of a write that failed, what was to be written. */
static __always_inline void put_data(struct scratch *s, const struct param *p)
{
	u64 len = s->ret > 0 ? s->ret : p->offset < 6 ? argument(s, p->offset) : 0;

	put_user_data(argument(s, p->source), len);
}

/* The data or the size of parts; what is read into them is there only if something was. */
static __always_inline void put_parts_of(struct scratch *s, const struct param *p)
{
	u64 parts = argument(s, p->source), count = argument(s, p->offset);

	if (p->what == PARTS_SIZE)
		put_u32(s, parts_size(parts, count));
	else if (s->ret > 0)
		put_parts(parts, count, s->ret);
	else if (p->what == PARTS_OUT)
		put_parts(parts, count, snaplen);
	else
		put_empty(s);
}

static __always_inline void put_ptrace(struct scratch *s, u32 what)
{
	u64 request = s->args[0], value = s->args[3];
	u8 *to = cursor(s);

	if (what == PTRACE_ADDR || s->ret < 0) {
		to[0] = 0; /* variant: 64-bit number */
		*(u64 *)(to + 1) = s->ret < 0 ? 0 : s->args[2];
		end_param(s, 9);
		return;
	}
	/* cont 7, singlestep 9, detach 17, syscall 24: a signal */
	if (request == 7 || request == 9 || request == 17 || request == 24) {
		to[0] = 1; /* variant: signal */
		to[1] = value;
		end_param(s, 2);
		return;
	}
	/* the three peeks put the word that they read at `data` */
	if (request >= 1 && request <= 3)
		bpf_probe_read_user(&value, sizeof(value), (void *)s->args[3]);
	to[0] = 0;
	*(u64 *)(to + 1) = value;
	end_param(s, 9);
}

static __always_inline void put_prctl(struct scratch *s, u32 what)
{
	/* set name 15, get name 16 have a text; get child subreaper 37 points to its answer */
	bool text = s->args[0] == 15 || s->args[0] == 16;
	s32 answer = 0;

	if (what == PRCTL_STR) {
		if (text)
			put_thread_name();
		else
			put_empty(s);
		return;
	}
	if (s->args[0] == 37) {
		bpf_probe_read_user(&answer, sizeof(answer), (void *)s->args[1]);
		put_u64(s, (s64)answer);
		return;
	}
	put_u64(s, text ? 0 : s->args[1]);
}

static __always_inline u64 pipe_inode(struct scratch *s)
{
	s32 fd = -1;

	if (s->ret < 0 || bpf_probe_read_user(&fd, sizeof(fd), (void *)s->args[0]))
		return 0;
	return inode_of(file_of_fd(fd));
}

static __always_inline u64 pair_end(struct scratch *s, u32 what)
{
	s32 fd = -1;

	if (s->ret < 0 || bpf_probe_read_user(&fd, sizeof(fd), (void *)s->args[3]))
		return 0;
	return pair_address(fd, what);
}

/* What became of an id: in a user namespace the number that is asked for is the namespace's own. */
static __always_inline u32 changed_id(struct scratch *s, const struct param *p)
{
	u32 asked = argument(s, p->source);

	return s->ret < 0 || asked == (u32)-1 ? asked : cred_id(current_task(), p->what);
}

static __always_inline u64 without_magic(u32 flags)
{
	return (flags & 0xffff0000) == 0xc0ed0000 ? flags & 0xffff : flags;
}

static __always_inline void put_number_of(struct scratch *s, const struct param *p)
{
	bool missing;
	u64 value = source_of(s, p, &missing);

	if (p->kind == KIND_INT) {
		bool narrow = p->source != SOURCE_RET && (!p->size || p->size == 4);

		/* what a failed call left in memory is no fd and no limit */
		if (p->size && ((missing && narrow) || s->ret < 0))
			value = -1;
		if (narrow)
			value = (u64)(s64)(s32)value;
	}
	if (p->set)
		value = convert(p->set, (u32)value);
	put_number(s, value, p->width);
}

#define FLAGS_THAT_STAY (3 | O_TMPFILE | O_SYNC)

/* The flags of an open that has them in the caller's memory: what the opened file still has of them is its own. */
static __always_inline u64 flags_of_opened(struct scratch *s, struct file *file, u64 asked)
{
	u64 flags = BPF_CORE_READ(file, f_flags) & FLAGS_THAT_STAY;

	if (closes_on_exec(current_task(), s->ret))
		flags |= O_CLOEXEC;
	if (BPF_CORE_READ(file, f_mode) & FMODE_CREATED)
		flags |= O_CREAT;
	return flags | (asked & ~(u64)(FLAGS_THAT_STAY | O_CLOEXEC));
}

/* Whether the flags of an open are those that were converted last: most files are opened as the one before was. */
static __always_inline bool flags_are_made(struct scratch *s, u64 flags)
{
	return s->flags_of == (u64)(u32)flags + 1;
}

static __always_inline void put_open_flags(struct scratch *s, const struct param *p)
{
	bool missing;

	s->open_flags = source_of(s, p, &missing);
	if (p->size && s->ret >= 0 && returned_file(s))
		s->open_flags = flags_of_opened(s, returned_file(s), s->open_flags);
	if (!flags_are_made(s, s->open_flags)) {
		s->flags_made = convert(SET_OPEN_FLAGS, (u32)s->open_flags);
		s->flags_of = (u64)(u32)s->open_flags + 1;
	}
	put_u32(s, s->flags_made | open_file_flags(returned_file(s)));
}

/* Whether the flags of an open that were told last create a file. */
static __always_inline bool creates(struct scratch *s)
{
	return (s->open_flags & O_CREAT) || (s->open_flags & O_TMPFILE) == O_TMPFILE;
}

static __always_inline void put_open_mode(struct scratch *s, const struct param *p)
{
	bool missing;
	u64 mode = source_of(s, p, &missing);

	put_u32(s, creates(s) ? mode & 07777 : 0);
}

#define ASKED_WORDS 8 /* longer paths are copied by a helper */

/* The path that was looked at, as it was then: reading it once more costs more and may give another one. */
__noinline int put_asked(void)
{
	struct scratch *s = get_scratch();
	u32 len;
	u8 *to;

	if (!s)
		return 0;
	len = bounded(s->asked_len, ASKED_MOST) + 1;
	to = cursor(s);
	if (len > 8 * ASKED_WORDS) {
		bpf_probe_read_kernel(to, len, &s->asked[ASKED_START]);
	} else {
		for (u32 i = 0; i < ASKED_WORDS; i++) {
			if (8 * i > *(volatile u32 *)&s->asked_len)
				break;
			*(u64 *)(to + 8 * i) = *(u64 *)&s->asked[ASKED_START + 8 * i];
		}
	}
	end_param(s, len);
	s->asked_told = 1;
	return 0;
}

/*
 * Whether another name of the call, which stands at the same address, was kept after this one: names that belong to scopes
 * are given back in the reverse order of the arguments, others as `what` says.
 */
static __always_inline u32 is_older(struct scratch *s, const struct param *p)
{
	if (!p->offset || argument(s, p->offset - 1) != argument(s, p->source))
		return 0;
	return NAMES_HAVE_SCOPES ? p->source >= p->offset : p->what;
}

/* The flags of an open that are as they were made last, and what the file adds to them. */
__noinline int put_made_flags(void)
{
	struct scratch *s = get_scratch();

	if (s)
		put_u32(s, s->flags_made | open_file_flags((struct file *)s->file));
	return 0;
}

/*
 * Writes one of the parameters that most events consist of, without the cost of a function; false if it is another.
 * What stands here is checked in each round of a loop: what branches is a function of its own.
 */
static __always_inline bool put_plain(struct scratch *s, const struct param *p)
{
	u64 value;

	switch (p->kind) {
	case KIND_NUM:
	case KIND_INT:
		if (p->size || p->set || p->source > SOURCE_RET)
			return false;
		value = p->source < 6 ? s->args[p->source] : s->ret;
		if (p->kind == KIND_INT && p->source < 6)
			value = (s64)(s32)value;
		put_number(s, value, p->width);
		return true;
	case KIND_STR:
		if (!s->asked_from || s->asked_from != argument(s, p->source) || is_older(s, p))
			return false;
		put_asked();
		return true;
	case KIND_OPENFLAGS:
		value = argument(s, p->source);
		if (p->size || !s->file_known || !flags_are_made(s, value))
			return false;
		s->open_flags = value;
		put_made_flags();
		return true;
	case KIND_OPENMODE:
		if (creates(s))
			return false;
		put_u32(s, 0);
		return true;
	case KIND_DEV:
		if (s->file_known)
			put_u32(s, device_of((struct file *)s->file));
		return s->file_known;
	case KIND_INO:
		if (s->file_known)
			put_u64(s, inode_of((struct file *)s->file));
		return s->file_known;
	}
	return false;
}

/* Writes the parameter at `index` of the plan. */
__noinline int put_param(u32 index)
{
	struct scratch *s = get_scratch();
	const struct param *p;
	u64 i = bounded(index, 31);

	if (!s || i >= PLAN_PARAMS)
		return 0;
	p = &plan_of(s)->params[i];
	switch (p->kind) {
	case KIND_NUM:
	case KIND_INT:
		put_number_of(s, p);
		break;
	case KIND_STR:
		if (s->uring)
			put_kernel_text(argument(s, p->source));
		else
			put_name(s, argument(s, p->source), is_older(s, p));
		break;
	case KIND_MEMNAME:
		put_memory_name();
		break;
	case KIND_DATA:
		put_data(s, p);
		break;
	case KIND_OPENFLAGS:
		put_open_flags(s, p);
		break;
	case KIND_OPENMODE:
		put_open_mode(s, p);
		break;
	case KIND_CREATFLAGS:
		put_u16(s, created_file_layer(returned_file(s)));
		break;
	case KIND_DEV:
		put_u32(s, device_of(returned_file(s)));
		break;
	case KIND_INO:
		put_u64(s, inode_of(returned_file(s)));
		break;
	case KIND_RETPATH:
		put_path(path_of_file(returned_file(s)));
		break;
	case KIND_SOCKADDR:
		put_sockaddr(argument(s, p->source), argument(s, p->offset));
		break;
	case KIND_TUPLE:
		put_tuple_of(s, p);
		break;
	case KIND_QUEUE:
		put_number(s, s->ret >= 0 ? backlog(s, s->uring ? (s64)s->args[0] : (s32)s->args[0], p->what) : 0, p->width);
		break;
	case KIND_PIPEINO:
		put_u64(s, pipe_inode(s));
		break;
	case KIND_SOCKPTR:
		put_u64(s, pair_end(s, p->what));
		break;
	case KIND_CAPS:
		put_u64(s, raw_caps(current_task(), p->what));
		break;
	case KIND_CRED:
		put_u32(s, changed_id(s, p));
		break;
	case KIND_MOUNTFLAGS:
		put_u32(s, without_magic(argument(s, p->source)));
		break;
	case KIND_PTRACE:
		put_ptrace(s, p->what);
		break;
	case KIND_PRCTL:
		put_prctl(s, p->what);
		break;
	case KIND_MEMORY:
		put_u32(s, memory_of(BPF_CORE_READ(current_task(), mm), p->what));
		break;
	case KIND_SOCKOPT:
		if (p->what == SOCKOPT_NAME)
			put_u8(s, s->args[1] == SOL_SOCKET ? convert(SET_SOCKOPT_NAME, (u32)s->args[2]) : 0);
		else
			put_sockopt();
		break;
	case KIND_MSG:
		put_message(p->what);
		break;
	case KIND_PARTS:
		put_parts_of(s, p);
		break;
	case KIND_SPLIT:
		put_u64(s, split_number(s, p->source));
		break;
	case KIND_JOINED:
		put_u64(s, argument(s, p->source) << 32 | (u32)argument(s, p->offset));
		break;
	case KIND_PAGES:
		put_u64(s, (u64)argument(s, p->source) << PAGE_SHIFT_OF_MMAP2);
		break;
	case KIND_TIME:
	case KIND_TIME64:
		put_u64(s, time_at(s, argument(s, p->source), p->kind == KIND_TIME64));
		break;
	case KIND_POLLFDS:
		put_polled(argument(s, p->source), (u32)argument(s, p->offset));
		break;
	case KIND_QUOTA:
		put_quota(p->what, p->width);
		break;
	case KIND_SEM:
		put_number(s, semaphore(s, p->what), p->width);
		break;
	case KIND_FSCONFIG:
		put_fsconfig(s, p->what);
		break;
	case KIND_KEYCTL:
		put_key_argument(p->source);
		break;
	default:
		put_empty(s);
	}
	return 0;
}

/* Whether somebody asks what the kernel made of a path. */
u8 want_resolved = 0;

/* Whether beginnings of calls are told. */
u8 want_beginnings = 0;

/* Whether the call's first name or its address is the kernel's copy; asked for where its beginning is told too. */
__noinline u32 is_copied(void)
{
	struct scratch *s = get_scratch();

	if (!s || !can_keep || s->uring)
		return 0;
	if (plan_of(s)->keeps & KEEPS_ADDRESS)
		return address_copy() != 0;
	for (u32 i = 0; i < PLAN_PARAMS && plan_of(s)->keeps; i++) {
		const struct param *p = &plan_of(s)->params[i];

		if (i >= plan_of(s)->count)
			break;
		if (p->kind == KIND_STR)
			return copy_at(argument(s, p->source), is_older(s, p)) != 0;
	}
	return 0;
}

/* Few events have more parameters; of those behind them each is written by a function, which is checked once. */
#define PLAIN_PARAMS 7

/* Writes the whole event of the plan and hands it over; 0 if it is lost. */
__noinline int write_event(void)
{
	struct scratch *s = get_scratch();
	bool as_asked = false;
	u32 count, copied;

	if (!s)
		return 0;
	s->asked_told = 0;
	copied = want_beginnings && is_copied();
	s->extras = s->uring || copied;
	if (want_resolved && s->ret >= 0 && plan_of(s)->opens && has_returned_file())
		s->extras = 2;
	begin_at(s, plan_of(s)->type, boot_time + bpf_ktime_get_boot_ns(), s->tid);
	count = plan_of(s)->count;
	for (u32 i = 0; i < PLAIN_PARAMS; i++) {
		if (i >= count)
			break;
		if (!put_plain(s, &plan_of(s)->params[i]))
			put_param(i);
	}
	for (u32 i = PLAIN_PARAMS; i < PLAN_PARAMS; i++) {
		if (i >= count)
			break;
		put_param(i);
	}
	if (s->extras > 1)
		as_asked = s->asked_told && lies_where_asked(s->file);
	if (s->extras)
		put_u64(s, EXTRA_MARK | (s->uring ? EXTRA_IO_URING : 0) | (copied ? EXTRA_COPIED : 0) |
				   (as_asked ? EXTRA_AS_ASKED : 0));
	if (s->extras > 1)
		put_path(as_asked ? 0 : path_of_file((struct file *)s->file));
	s->extras = 0;
	return hand_over(s);
}

/* The event of one of a call's messages. */
__noinline int write_one_message(u32 i)
{
	struct scratch *s = get_scratch();
	u32 moved = 0;

	if (!s)
		return 0;
	s->message_number = i;
	/* the header and behind it, with padding, how much moved */
	s->message = s->args[1] + i * (s->compat ? 32 : 64);
	bpf_probe_read_user(&moved, sizeof(moved), (void *)(s->message + (s->compat ? 28 : 56)));
	s->ret = moved;
	return write_event();
}

/* A call that moves several messages: an event for each, or one if it moved none. */
static __always_inline void write_messages(struct scratch *s)
{
	s->messages = s->ret > 0 ? s->ret : 0;
	s->message = 0;
	if (!s->messages)
		write_event();
	for (u32 i = 0; i < MESSAGES_SHOWN; i++) {
		if (i >= s->messages)
			break;
		write_one_message(i);
	}
}

/* Writes what an fd is: a plain file or a directory, or, if it has no name, neither. */
static __always_inline void write_file(struct scratch *s, s32 fd, struct file *file, bool directory)
{
	u32 flags = 0, mount_id = 0;
	bool on_exec = file && closes_on_exec(current_task(), fd);
	struct mount *mount;

	s->extras = directory && on_exec;
	begin(s, directory ? EV_ITER_TASK_FILE_DIRECTORY_E : EV_ITER_TASK_FILE_REGULAR_E);
	put_u32(s, fd);
	put_path(path_of_file(file));
	if (file && !directory) {
		mount = (void *)BPF_CORE_READ(file, f_path.mnt) - bpf_core_field_offset(struct mount, mnt);
		mount_id = BPF_CORE_READ(mount, mnt_id);
		flags = convert(SET_OPEN_FLAGS, BPF_CORE_READ(file, f_flags)) |
			(on_exec ? FLAG_OPEN_FLAGS_O_CLOEXEC : 0);
	}
	if (!directory) {
		put_u32(s, flags);
		put_u32(s, mount_id);
	}
	put_u64(s, inode_of(file));
	if (s->extras)
		put_u64(s, EXTRA_MARK | EXTRA_ON_EXEC);
	s->extras = 0;
}

/* Tells what an fd is that the current thread uses, if user space doesn't know. */
__noinline int tell_file(s32 fd)
{
	struct scratch *s = get_scratch();
	struct file *file;
	u32 mode = 0, known;
	u8 *note;

	if (!s || !can_hide)
		return 0;
	known = note_at_hand(followed(bpf_get_current_task_btf()), fd);
	if (known == NOT_NOTED || known == TOLD)
		return 0;
	note = note_of(fd);
	if (!note || (!says_hidden(*note) && *note != UNSURE))
		return 0;
	file = file_of_number(fd);
	if (file)
		mode = BPF_CORE_READ(file, f_inode, i_mode);
	else if (*note == UNSURE && plan_of(s)->type == EV_SYSCALL_CLOSE_X)
		return 0; /* it may have been what it was taken for */
	if (!can_be_told(mode))
		file = NULL;
	write_file(s, fd, file, (mode & S_IFMT) == S_IFDIR);
	if (!submit())
		return 0;
	*note = file && fd >= STANDARD_FDS ? TOLD : NOT_NOTED;
	return 1;
}

/* Tells what the fds are that the call uses. */
static __always_inline void tell_fds(struct scratch *s, const struct plan *plan)
{
	/* known already of a close; AT_FDCWD and such are none */
	if (s->revealed)
		return;
	for (u32 i = 0; i < 2; i++) {
		s32 fd = plan->fds[i] ? argument(s, plan->fds[i] - 1) : -1;

		if (fd >= 0)
			tell_file(fd);
	}
}

static __always_inline bool makes_copy(u32 type)
{
	return type == EV_SYSCALL_FCNTL_X || type == EV_SYSCALL_DUP_1_X || type == EV_SYSCALL_DUP2_X ||
	       type == EV_SYSCALL_DUP3_X;
}

/* What user space knows of the fd that the call returned. */
static __always_inline u32 knowledge_of(struct scratch *s, const struct plan *plan)
{
	struct file *file = NULL;

	/* it takes it for what it takes the other process's fd for */
	if (plan->type == EV_SYSCALL_PIDFD_GETFD_X)
		return UNSURE;
	if (s->ret < STANDARD_FDS)
		return NOT_NOTED;
	if (plan->opens && s->file_known)
		file = (struct file *)s->file;
	else if (makes_copy(plan->type))
		file = file_of_number(s->ret);
	return file && can_be_told(BPF_CORE_READ(file, f_inode, i_mode)) ? TOLD : NOT_NOTED;
}

/* Whether a call that may have made an fd has. */
static __always_inline bool made_fd(struct scratch *s, const struct plan *plan)
{
	return s->ret >= 0 && (plan->type != EV_SYSCALL_FCNTL_X || copies_fd(s));
}

/* Notes of an fd of which an event says what it is now, or, if it is lost, doesn't. */
__noinline int note_made(s32 fd, u32 told, u32 what)
{
	if (!can_hide)
		return 0;
	if (!told)
		return note_fd(fd, HIDDEN);
	if (what == NOT_NOTED || !note_fd(fd, what))
		reveal_fd(followed(bpf_get_current_task_btf()), fd);
	return 0;
}

/* Notes what user space knows of fds after the call's event, which was handed over or lost. */
static __always_inline void note_fds(struct scratch *s, const struct plan *plan, bool told)
{
	s32 made[2] = {-1, -1};

	if (plan->makes == MAKES_FD) {
		if (made_fd(s, plan)) {
			note_made(s->ret, told, knowledge_of(s, plan));
			/* what user space takes a copy for is what it takes the original for */
			if (!plan->opens)
				forget_socket(s->ret);
		}
		return;
	}
	if (s->ret < 0)
		return;
	if (plan->makes) {
		bpf_probe_read_user(made, sizeof(made), (void *)s->args[plan->makes == MAKES_PIPE ? 0 : 3]);
		note_made(made[0], told, NOT_NOTED);
		note_made(made[1], told, NOT_NOTED);
	} else if (plan->type == EV_SYSCALL_CLOSE_X) {
		forget_socket(s->args[0]);
		if (!told)
			note_made(s->args[0], told, NOT_NOTED);
	}
}

/*
 * Whether user space knows both ends of a stream after such an event, even if it knew nothing before. Connecting and
 * receiving alone tell it nothing of an fd that it doesn't know; of datagrams both connecting and sending is needed.
 */
static __always_inline bool tells_whole_socket(struct scratch *s, u32 type)
{
	return (type == EV_SOCKET_CONNECT_X && is_udp(s)) || type == EV_SOCKET_SENDTO_X || type == EV_SOCKET_SENDMSG_X || type == EV_SOCKET_SEND_X ||
	       type == EV_SOCKET_ACCEPT_5_X || type == EV_SOCKET_ACCEPT4_6_X;
}

SEC("tp_btf/sys_exit")
int interpret(void *ctx)
{
	struct scratch *s = get_scratch();
	bool told;

	if (!s)
		return 0;
	if (can_hide && hiding)
		tell_fds(s, plan_of(s));
	/* what user space takes for the ends afterwards isn't known here */
	if (is_udp(s) && !s->ends_told)
		forget_socket(s->socket_fd);
	if (takes_several(plan_of(s)->type)) {
		write_messages(s);
		end_copies(s->plan);
		return 0;
	}
	s->message = s->args[1];
	told = write_event();
	if (can_hide && hiding)
		note_fds(s, plan_of(s), told);
	if (told && s->ret >= 0 && tells_whole_socket(s, plan_of(s)->type))
		note_socket();
	end_copies(s->plan);
	return 0;
}

#endif
