/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The kernel's own copies of the names and the address that a call was given. They are kept, with the thread, when
 * the kernel has made them (keep.h), and used when the call's event is written, so that another thread that
 * rewrites the caller's memory meanwhile forges nothing. Where there is none, the caller's memory is read.
 *
 * A copy is found by where its original stands. The newest is right: an older one may be left from what the thread did
 * between two calls, as finishing operations of io_uring. What a call has left is forgotten at its end. Since 7.0 a name
 * of the kernel's doesn't say where its original stands. It belongs to a scope of the kernel's code, so that the one that
 * is given back is the last that was made, and where originals stand is noted when names are made.
 */
#ifndef LANNER_COPIES_H
#define LANNER_COPIES_H

#include "call.h"

#ifdef LANNER_ITERATORS
/* the snapshot looks at no call */
enum { can_keep = 0, keeping = 0 };

static __always_inline u64 address_copy(void)
{
	return 0;
}

static __always_inline u32 address_copy_len(struct scratch *s)
{
	return 0;
}
#else

#define COPIES 4       /* names of one call; a power of two */
#define COPIES_SHORT 2 /* of them beside the others, if they are short */
#define COPY_SHORT 128
#define COPIES_LONG 16384 /* of all threads at once */
#define NAMES_HELD 8	  /* names that the kernel has at once, with its own; a power of two */

#define MESSAGE_COPIES 4096 /* addresses of single messages, of all threads at once */

#define KEEPS_FD 0x80 /* of a socketcall, whose plan isn't known before its end */

#define COMPAT_CALL 0x80000000u

/* With what the kernel puts before it, 512 bytes. */
struct copies {
	u32 call;	 /* its number and ABI */
	u32 epoch;	 /* see below */
	u32 count;	 /* names that have been kept, of which the last COPIES are there */
	s32 fd;		 /* of a socketcall */
	u16 messages;	 /* up to which of the call's messages some are kept */
	u8 longs;	 /* bit by bit: this one is among the long ones */
	u8 address_len;	 /* 0: there is none */
	u16 fd_known;
	u16 held;	   /* names that the kernel has made and not given back */
	u64 users[COPIES]; /* where the originals stand */
	char names[COPIES_SHORT][COPY_SHORT];
	u8 address[ADDRESS_MAX]; /* of a call that is given names, where the originals of those held stand: none is given both */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct copies);
} copies SEC(".maps");

/* Whether it is so: since 7.0. */
#define NAMES_HAVE_SCOPES !bpf_core_field_exists(struct filename, uptr)

struct long_key {
	u64 thread, place;
};

struct long_name {
	char bytes[TEXT_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, COPIES_LONG);
	__type(key, struct long_key);
	__type(value, struct long_name);
} long_names SEC(".maps");

struct message_address {
	u8 bytes[ADDRESS_MAX];
};

/* By thread and the message's place among those of one call. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MESSAGE_COPIES);
	__type(key, struct long_key);
	__type(value, struct message_address);
} message_addresses SEC(".maps");

/* Whether the kernel lets programs be where the copies are made; set before loading. */
const volatile u8 can_keep = 0;
/* Whether they are there. */
u8 keeping = 0;
/* Changed when a call is no longer wanted, after whose end nobody forgets: what was kept before counts for nothing. */
u32 epoch = 0;

static __always_inline u32 call_of(u32 nr, bool compat)
{
	return nr | (compat ? COMPAT_CALL : 0);
}

/* What has been kept for the current thread's call, or NULL. */
static __always_inline struct copies *copies_of(u32 nr, bool compat)
{
	struct copies *kept;

	if (!can_keep || !keeping)
		return NULL;
	kept = bpf_task_storage_get(&copies, bpf_get_current_task_btf(), 0, 0);
	return kept && kept->call == call_of(nr, compat) && kept->epoch == epoch ? kept : NULL;
}

/*
 * The address of the copy of a name, or 0. `older`: of two whose originals stand at one address not the last that was
 * kept, but the one before.
 */
__noinline u64 copy_at(u64 user, u32 older)
{
	struct scratch *s = get_scratch();
	struct copies *kept;

	kept = s ? copies_of(s->nr, s->compat) : NULL;
	if (!kept || !user)
		return 0;
	for (u32 i = 0; i < COPIES; i++) {
		u32 place = (kept->count - 1 - i) & (COPIES - 1);
		struct long_key key = { .thread = (u64)current_task(), .place = place };

		if (i >= kept->count)
			break;
		if (kept->users[place] != user)
			continue;
		if (older) {
			older = 0;
			continue;
		}
		if (kept->longs & 1 << place)
			return (u64)plain(bpf_map_lookup_elem(&long_names, &key));
		return (u64)plain(kept->names[place & (COPIES_SHORT - 1)]);
	}
	return 0;
}

/* What is kept for the call, if its address is. */
static __always_inline struct copies *address_kept(struct scratch *s)
{
	struct copies *kept;

	if (s->uring || !(plan_of(s)->keeps & (KEEPS_ADDRESS | KEEPS_SENDER)))
		return NULL;
	kept = copies_of(s->nr, s->compat);
	return kept && kept->address_len ? kept : NULL;
}

/* The same of the message that is told. */
static __always_inline u64 message_address_copy(struct scratch *s)
{
	struct long_key key = { .thread = (u64)current_task(), .place = s->message_number };
	struct copies *kept = copies_of(s->nr, s->compat);

	if (!kept || s->message_number >= kept->messages)
		return 0;
	return (u64)plain(bpf_map_lookup_elem(&message_addresses, &key));
}

/* The address of the copy of the call's address, or 0. */
__noinline u64 address_copy(void)
{
	struct scratch *s = get_scratch();
	struct copies *kept;

	if (!s)
		return 0;
	if (plan_of(s)->keeps & (KEEPS_MESSAGES | KEEPS_SENDERS))
		return message_address_copy(s);
	kept = address_kept(s);
	return kept ? (u64)plain(kept->address) : 0;
}

/* How long that is, or 0. */
static __always_inline u32 address_copy_len(struct scratch *s)
{
	struct copies *kept = can_keep ? address_kept(s) : NULL;

	return kept ? kept->address_len : 0;
}

/* The fd of a socketcall that has ended, or what the caller's memory says. */
static __always_inline s32 fd_copy(u32 nr, bool compat, s32 user)
{
	struct copies *kept = copies_of(nr, compat);

	if (!kept || !kept->fd_known)
		return user;
	/* the plan of the call behind it may be one for which nothing is forgotten */
	kept->fd_known = 0;
	return kept->fd;
}

/* The name at an address of the caller's memory. */
static __always_inline void put_name(struct scratch *s, u64 user, u32 older)
{
	u64 copy = can_keep && (plan_of(s)->keeps & KEEPS_NAMES) ? copy_at(user, older) : 0;

	if (copy)
		put_kernel_text(copy);
	else
		put_user_text(user);
}

/* Forgets the addresses of a call's messages. */
__noinline int forget_messages(u64 count)
{
	struct long_key key = { .thread = (u64)current_task() };

	/* kernels before 6.8 look at functions that nobody calls, too, and the map isn't there then */
	if (!can_keep)
		return 0;
	for (u32 i = 0; i < MESSAGES_SHOWN; i++) {
		if (i >= count)
			break;
		key.place = i;
		bpf_map_delete_elem(&message_addresses, &key);
	}
	return 0;
}

/* Forgets all that was kept for the current thread. */
__noinline int forget_copies(void)
{
	struct copies *kept;

	if (!can_keep)
		return 0;
	kept = bpf_task_storage_get(&copies, bpf_get_current_task_btf(), 0, 0);
	if (!kept)
		return 0;
	if (kept->messages)
		forget_messages(kept->messages);
	kept->messages = 0;
	kept->count = 0;
	kept->held = 0;
	kept->address_len = 0;
	kept->fd_known = 0;
	if (!kept->longs)
		return 0;
	for (u32 i = 0; i < COPIES; i++) {
		struct long_key key = { .thread = (u64)current_task(), .place = i };

		if (kept->longs & 1 << i)
			bpf_map_delete_elem(&long_names, &key);
	}
	kept->longs = 0;
	return 0;
}

/* The same at the end of a call for whose plan something may have been kept. */
static __always_inline void end_copies(u64 plan)
{
	/* read only where it may be 1 */
	if (!can_keep || !*(volatile u8 *)&keeping)
		return;
	/* of a socketcall that isn't looked at it is not known what it is */
	if (plan == PLAN_SOCKETCALL - 1 || plans[bounded(plan, PLANS_ROOM - 1)].keeps)
		forget_copies();
}

#endif
#endif
