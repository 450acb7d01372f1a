/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The programs that keep the kernel's own copies (copies.h), at functions through which all of them go: names when
 * the kernel gives them back at the end of its work (putname), other texts and addresses when it has read them.
 */
#ifndef LANNER_KEEP_H
#define LANNER_KEEP_H

#include "copies.h"

#define IS_ERROR(value) ((u64)(value) >= (u64)-4095)

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

/* Keeps a text of which the original stands at `user`. */
__noinline int keep_copy(u64 user, u64 from)
{
	struct copies *kept = copies_to_fill(KEEPS_NAMES);
	long len = COPY_SHORT;
	u32 place;

	if (!kept)
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

SEC("?fentry/putname")
int BPF_PROG(on_putname, struct filename *name)
{
	/* a name of the kernel's own has no original */
	if (IS_ERROR(name) || !name->uptr)
		return 0;
	/* the auditor's, who gives them back after the call's end */
	if (bpf_core_field_exists(name->refcnt) && name->aname && name->refcnt.counter == 1)
		return 0;
	keep_copy((u64)name->uptr, (u64)name->name);
	return 0;
}

SEC("?fexit/strndup_user")
int BPF_PROG(on_strndup_user, const char *user, long most, char *copy)
{
	if (copy && !IS_ERROR(copy))
		keep_copy((u64)user, (u64)copy);
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
SEC("?fentry/move_addr_to_user")
int BPF_PROG(on_sender, void *address, int len, void *user, int *user_len)
{
	struct copies *kept;
	u32 place;

	if (len <= 0 || copy_address(address, len, KEEPS_SENDER))
		return 0;
	kept = copies_to_fill(KEEPS_SENDERS);
	place = kept ? place_of_message((u64)user_len) : MESSAGES_SHOWN;
	if (!kept || place >= MESSAGES_SHOWN)
		return 0;
	if (kept->messages <= place)
		kept->messages = place + 1;
	copy_message_address(kept, place, address, len);
	return 0;
}

/* Each message of a call that sends several, with an address or without. */
SEC("?fentry/____sys_sendmsg")
int BPF_PROG(on_message, struct socket *socket, struct msghdr *message)
{
	struct copies *kept = copies_to_fill(KEEPS_MESSAGES);
	u32 place;

	if (!kept || kept->messages >= MESSAGES_SHOWN)
		return 0;
	place = kept->messages;
	kept->messages += 1;
	copy_message_address(kept, place, message->msg_name, message->msg_namelen);
	return 0;
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

#endif
