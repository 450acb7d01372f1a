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

	if (!can_keep || !bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
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
	plan = plan_wanted(nr, compat);
	if (plan == PLAN_SOCKETCALL ? what == KEEPS_NAMES
				    : !plan || !(plans[bounded(plan - 1, PLANS_ROOM - 1)].keeps & what))
		return NULL;
	if (skipped())
		return NULL;
	kept = bpf_task_storage_get(&copies, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	call = call_of(nr, compat);
	if (kept && (kept->call != call || kept->epoch != epoch)) {
		kept->call = call;
		kept->epoch = epoch;
		kept->count = 0;
		kept->messages = 0;
		kept->address_len = 0;
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

/* Keeps an address of the kernel's. */
static __always_inline int copy_address(void *address, s32 len, u32 what)
{
	struct copies *kept;

	if (len <= 0)
		return 0;
	kept = copies_to_fill(what);
	if (!kept)
		return 0;
	__builtin_memset(kept->address, 0, sizeof(kept->address));
	if (len >= ADDRESS_MAX)
		len = ADDRESS_MAX - 1;
	kept->address_len = bpf_probe_read_kernel(kept->address, bounded(len, ADDRESS_MAX - 1), plain(address)) ? 0 : len;
	return 0;
}

SEC("?fexit/move_addr_to_kernel")
int BPF_PROG(on_address, void *user, int len, void *copy, int failed)
{
	return failed ? 0 : copy_address(copy, len, KEEPS_ADDRESS);
}

/* Whom a message came from; the caller's memory gets no more of it than it has room for. */
SEC("?fentry/move_addr_to_user")
int BPF_PROG(on_sender, void *address, int len)
{
	return copy_address(address, len, KEEPS_SENDER);
}

/* Each message of a call that sends several, with an address or without. */
SEC("?fentry/____sys_sendmsg")
int BPF_PROG(on_message, struct socket *socket, struct msghdr *message)
{
	struct copies *kept = copies_to_fill(KEEPS_MESSAGES);
	struct long_key key = { .thread = (u64)current_task() };
	struct message_address address = {};
	s32 len;

	if (!kept || kept->messages >= MESSAGES_SHOWN)
		return 0;
	key.place = kept->messages;
	kept->messages += 1;
	len = message->msg_namelen;
	if (!message->msg_name || len <= 0) {
		/* of a call after whose end nobody forgot */
		bpf_map_delete_elem(&message_addresses, &key);
		return 0;
	}
	if (len >= ADDRESS_MAX)
		len = ADDRESS_MAX - 1;
	if (!bpf_probe_read_kernel(address.bytes, bounded(len, ADDRESS_MAX - 1), plain(message->msg_name)))
		bpf_map_update_elem(&message_addresses, &key, &address, BPF_ANY);
	return 0;
}

#endif
