/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The programs that keep the kernel's own copies (copies.h), at functions through which all of them go: names when
 * the kernel gives them back at the end of its work (putname), other texts and addresses when it has read them.
 *
 * There are two of most, with one body: for the kernel's call at the function (fentry, fexit), and for a kprobe at its
 * beginning. The former costs less; from the latter nobody can take the CPU, and with it the buffer below. No kprobe is at
 * the end of a function: the kernel keeps few places for those who are in one, which threads that sleep there use up.
 */
#ifndef LANNER_KEEP_H
#define LANNER_KEEP_H

#include "copies.h"

#define IS_ERROR(value) ((u64)(value) >= (u64)-4095)

/* A field, by a plain load where the verifier knows what is at the address: not at a kprobe. */
#define FIELD(known, from, field) ((known) ? (from)->field : BPF_CORE_READ(from, field))

/* Where the registers that a kprobe is given have a function's arguments. */
#if defined(__TARGET_ARCH_x86)
enum { FIRST = 14, SECOND = 13, THIRD = 12, FOURTH = 11 };
#elif defined(__TARGET_ARCH_arm64)
enum { FIRST = 0, SECOND = 1, THIRD = 2, FOURTH = 3 };
#endif

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct long_name);
} long_name_buffer SEC(".maps");

/* Where to keep a copy for the call that the current thread is in, or NULL if nobody wants it. */
static __always_inline struct copies *copies_to_fill(u32 what)
{
	struct task_struct *task;
	struct pt_regs *regs;
	struct copies *kept;
	u32 called, plan, call;
	bool compat;
	u64 nr;

	if (!can_keep || !HAS_REGS)
		return NULL;
	task = bpf_get_current_task_btf();
	if (task->flags & PF_KTHREAD)
		return NULL;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	called = number_of(regs);
	nr = bounded(called, NUMBERS - 1);
	if (nr != called || !wanted[nr])
		return NULL;
	compat = is_compat(task);
	plan = plan_wanted(wanted[nr], compat);
	if (plan == PLAN_SOCKETCALL ? what == KEEPS_NAMES
				    : !plan || !(plans[bounded(plan - 1, PLANS_ROOM - 1)].keeps & what))
		return NULL;
	if (skipped())
		return NULL;
	kept = bpf_task_storage_get(&copies, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	call = call_of(nr, compat);
	if (kept && (kept->call != call || kept->epoch != epoch)) {
		if (kept->messages)
			forget_messages(kept->messages);
		kept->call = call;
		kept->epoch = epoch;
		kept->count = 0;
		kept->held = 0;
		kept->messages = 0;
		kept->address_len = 0;
		kept->fd_known = 0;
	}
	return kept;
}

static __always_inline bool keep_long(struct copies *kept, u32 place, u64 from)
{
	struct long_key key = { .thread = (u64)current_task(), .place = place };
	u32 zero = 0;
	struct long_name *buffer = bpf_map_lookup_elem(&long_name_buffer, &zero);

	if (!buffer || bpf_probe_read_kernel_str(buffer->bytes, TEXT_MAX, (void *)from) <= 0 ||
	    bpf_map_update_elem(&long_names, &key, buffer, BPF_ANY))
		return false;
	kept->longs |= 1 << place;
	return true;
}

/* Notes that the kernel makes a name, of which the original stands at `user`; 0: it is its own. */
static __always_inline int hold_name(u64 user)
{
	struct copies *kept = copies_to_fill(KEEPS_NAMES);

	if (!kept)
		return 0;
	if (kept->held < NAMES_HELD)
		((u64 *)kept->address)[kept->held & (NAMES_HELD - 1)] = user;
	kept->held += 1;
	return 0;
}

/* Where the original of the name stands that the kernel gives back; 0: nobody knows, or it has none. */
static __always_inline u64 let_go_of_name(struct copies *kept)
{
	if (!kept->held)
		return 0;
	kept->held -= 1;
	return kept->held < NAMES_HELD ? ((u64 *)kept->address)[kept->held & (NAMES_HELD - 1)] : 0;
}

/* Keeps a text of which the original stands at `user`; 0: it is the name that is given back, if one was made. */
__noinline int keep_copy(u64 user, u64 from)
{
	struct copies *kept = copies_to_fill(KEEPS_NAMES);
	long len = COPY_SHORT;
	u32 place;

	if (!kept)
		return 0;
	user = user ?: let_go_of_name(kept);
	if (!user || !from)
		return 0;
	place = kept->count & (COPIES - 1);
	if (place < COPIES_SHORT)
		len = bpf_probe_read_kernel_str(kept->names[place & (COPIES_SHORT - 1)], COPY_SHORT, (void *)from);
	if (len <= 0)
		return 0;
	if (len < COPY_SHORT)
		kept->longs &= ~(1u << place);
	else if (!keep_long(kept, place, from))
		return 0;
	kept->users[place] = user;
	kept->count += 1;
	return 1;
}

/* How many hold a name. */
static __always_inline int holders(struct filename *name, bool known)
{
	struct filename___plain *plain = (struct filename___plain *)name;

	if (bpf_core_field_exists(name->refcnt))
		return FIELD(known, name, refcnt.counter);
	return FIELD(known, plain, refcnt);
}

static __always_inline int name_given_back(struct filename *name, bool known)
{
	/* of one that couldn't be made there is nothing but that it was begun */
	bool made = !IS_ERROR(name);
	u64 user = 0;

	if (!name)
		return 0;
	if (!NAMES_HAVE_SCOPES) {
		user = made ? (u64)FIELD(known, name, uptr) : 0;
		/* a name of the kernel's own has no original */
		if (!user)
			return 0;
	}
	/* the auditor's, who gives them back after the call's end */
	if (made && FIELD(known, name, aname) && holders(name, known) == 1)
		return 0;
	keep_copy(user, made ? (u64)FIELD(known, name, name) : 0);
	return 0;
}

SEC("?fentry/putname")
int BPF_PROG(on_putname, struct filename *name)
{
	return name_given_back(name, true);
}

SEC("?kprobe")
int kprobe_putname(u64 *ctx)
{
	return name_given_back(CALLED_WITH(struct filename *, ctx, FIRST), false);
}

/* At do_getname, where since 7.0 nothing else says where originals stand. */
SEC("?kprobe")
int kprobe_name(u64 *ctx)
{
	return hold_name(CALLED_WITH(u64, ctx, FIRST));
}

/* At do_getname_kernel, for names of the kernel's own are given back like others. */
SEC("?kprobe")
int kprobe_own_name(u64 *ctx)
{
	return hold_name(0);
}

SEC("?fexit/strndup_user")
int BPF_PROG(on_strndup_user, const char *user, long most, char *copy)
{
	if (copy && !IS_ERROR(copy))
		keep_copy((u64)user, (u64)copy);
	return 0;
}

/* At security_sb_mount: the source and the type, whose originals are the call's first argument and its third. */
SEC("?kprobe")
int kprobe_mount(u64 *ctx)
{
	u64 source = CALLED_WITH(u64, ctx, FIRST), type = CALLED_WITH(u64, ctx, THIRD);
	struct pt_regs *regs = regs_of_caller();
	bool compat;

	if (!regs)
		return 0;
	compat = is_compat(this_task());
	if (source && first_arg(regs, compat))
		keep_copy(first_arg(regs, compat), source);
	if (type && third_arg(regs, compat))
		keep_copy(third_arg(regs, compat), type);
	return 0;
}

/* At vfs_parse_fs_param, where others come by, too: the key that is fsconfig's third argument, a text that is its fourth. */
SEC("?kprobe")
int kprobe_fsconfig(u64 *ctx)
{
	struct fs_parameter *param = CALLED_WITH(struct fs_parameter *, ctx, SECOND);
	struct pt_regs *regs = regs_of_caller();
	bool compat;

	if (!regs || number_of(regs) != NR_FSCONFIG)
		return 0;
	compat = is_compat(this_task());
	if (third_arg(regs, compat))
		keep_copy(third_arg(regs, compat), (u64)BPF_CORE_READ(param, key));
	if ((u32)second_arg(regs, compat) == FSCONFIG_SET_STRING && fourth_arg(regs, compat))
		keep_copy(fourth_arg(regs, compat), (u64)BPF_CORE_READ(param, string));
	return 0;
}

/* Keeps an address of the kernel's; false if nobody wants it. */
static __always_inline bool copy_address(void *address, s32 len, u32 what)
{
	struct copies *kept;

	if (len <= 0)
		return false;
	kept = copies_to_fill(what);
	if (!kept)
		return false;
	__builtin_memset(kept->address, 0, sizeof(kept->address));
	if (len >= ADDRESS_MAX)
		len = ADDRESS_MAX - 1;
	kept->address_len = bpf_probe_read_kernel(kept->address, bounded(len, ADDRESS_MAX - 1), plain(address)) ? 0 : len;
	return true;
}

/* Keeps the address of one of a call's messages. */
static __always_inline void copy_message_address(struct copies *kept, u32 place, void *from, s32 len)
{
	struct long_key key = { .thread = (u64)current_task(), .place = place };
	struct message_address address = {};

	if (!from || len <= 0)
		return;
	if (len >= ADDRESS_MAX)
		len = ADDRESS_MAX - 1;
	if (!bpf_probe_read_kernel(address.bytes, bounded(len, ADDRESS_MAX - 1), plain(from)))
		bpf_map_update_elem(&message_addresses, &key, &address, BPF_ANY);
}

SEC("?fexit/move_addr_to_kernel")
int BPF_PROG(on_address, void *user, int len, void *copy, int failed)
{
	if (!failed)
		copy_address(copy, len, KEEPS_ADDRESS);
	return 0;
}

/* An address that a socket is asked to act on. Those that the kernel has for itself, as below another, have no file. */
static __always_inline int address_used(struct socket *socket, void *address, s32 len)
{
	if (address && BPF_CORE_READ(socket, file))
		copy_address(address, len, KEEPS_ADDRESS);
	return 0;
}

/* At the security modules' hooks for bind and connect. */
SEC("?kprobe")
int kprobe_address(u64 *ctx)
{
	return address_used(CALLED_WITH(struct socket *, ctx, FIRST), CALLED_WITH(void *, ctx, SECOND),
			    (s32)CALLED_WITH(u64, ctx, THIRD));
}

/* At the one for messages. */
SEC("?kprobe")
int kprobe_address_of_message(u64 *ctx)
{
	struct msghdr *message = CALLED_WITH(struct msghdr *, ctx, SECOND);

	return address_used(CALLED_WITH(struct socket *, ctx, FIRST), BPF_CORE_READ(message, msg_name),
			    BPF_CORE_READ(message, msg_namelen));
}

/*
 * Which of the messages of recvmmsg it is whose header has the length of its address there, which stands behind the
 * header's first word; MESSAGES_SHOWN if none that is told.
 */
static __always_inline u32 place_of_message(u64 len_at)
{
	struct task_struct *task = bpf_get_current_task_btf();
	bool compat = is_compat(task);
	u64 word = compat ? 4 : 8, header = 8 * word;
	u64 behind;

	if (!HAS_REGS)
		return MESSAGES_SHOWN;
	behind = len_at - second_arg((struct pt_regs *)bpf_task_pt_regs(task), compat) - word;
	if (behind >= MESSAGES_SHOWN * header || behind & (header - 1))
		return MESSAGES_SHOWN;
	return compat ? behind / 32 : behind / 64;
}

/* Whom a message came from; the caller's memory gets no more of it than it has room for. */
static __always_inline int sender_told(void *address, s32 len, u64 user_len)
{
	struct copies *kept;
	u32 place;

	if (len <= 0 || copy_address(address, len, KEEPS_SENDER))
		return 0;
	kept = copies_to_fill(KEEPS_SENDERS);
	place = kept ? place_of_message(user_len) : MESSAGES_SHOWN;
	if (!kept || place >= MESSAGES_SHOWN)
		return 0;
	if (kept->messages <= place)
		kept->messages = place + 1;
	copy_message_address(kept, place, address, len);
	return 0;
}

SEC("?fentry/move_addr_to_user")
int BPF_PROG(on_sender, void *address, int len, void *user, int *user_len)
{
	return sender_told(address, len, (u64)user_len);
}

SEC("?kprobe")
int kprobe_sender(u64 *ctx)
{
	return sender_told(CALLED_WITH(void *, ctx, FIRST), (s32)CALLED_WITH(u64, ctx, SECOND),
			   CALLED_WITH(u64, ctx, FOURTH));
}

/* Each message of a call that sends several, with an address or without. */
static __always_inline int message_sent(struct msghdr *message, bool known)
{
	struct copies *kept = copies_to_fill(KEEPS_MESSAGES);
	u32 place;

	if (!kept || kept->messages >= MESSAGES_SHOWN)
		return 0;
	place = kept->messages;
	kept->messages += 1;
	copy_message_address(kept, place, FIELD(known, message, msg_name), FIELD(known, message, msg_namelen));
	return 0;
}

SEC("?fentry/____sys_sendmsg")
int BPF_PROG(on_message, struct socket *socket, struct msghdr *message)
{
	return message_sent(message, true);
}

SEC("?kprobe")
int kprobe_message(u64 *ctx)
{
	return message_sent(CALLED_WITH(struct msghdr *, ctx, SECOND), false);
}

/*
 * The fd of a 32-bit socketcall, whose arguments are a block of the caller's memory. The kernel serves plain calls by
 * the same functions; these have theirs in registers.
 */
static __always_inline int keep_fd(s32 fd)
{
	struct copies *kept;

	if (!can_keep || !is_compat(this_task()))
		return 0;
	kept = copies_to_fill(KEEPS_FD);
	if (kept) {
		kept->fd = fd;
		kept->fd_known = 1;
	}
	return 0;
}

SEC("?fentry/__sys_bind")
int BPF_PROG(on_bind, int fd)
{
	return keep_fd(fd);
}

SEC("?fentry/__sys_connect")
int BPF_PROG(on_connect, int fd)
{
	return keep_fd(fd);
}

SEC("?fentry/__sys_sendto")
int BPF_PROG(on_sendto, int fd)
{
	return keep_fd(fd);
}

SEC("?fentry/__sys_sendmsg")
int BPF_PROG(on_sendmsg, int fd)
{
	return keep_fd(fd);
}

/* At each of these. */
SEC("?kprobe")
int kprobe_fd(u64 *ctx)
{
	return keep_fd((s32)CALLED_WITH(u64, ctx, FIRST));
}

#endif
