/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Writing an event: a work buffer per CPU, in which one parameter is put behind the other.
 *
 * An event that outgrows EVENT_MAX is not cut but counted as lost: `put` never writes behind the buffer's
 * end, it only goes on counting.
 */
#ifndef LANNER_EVENT_H
#define LANNER_EVENT_H

#include "peek.h"
#include "tables.h"

#define EVENT_MAX 0x10000 /* a power of two */
#define TEXT_MAX 4096	  /* longest path, text or argument list; a power of two */
#define HEADER_LEN 26

#define ADDRESS_MAX 128
#define MESSAGES_SHOWN 256 /* of one call */

/* An operation of io_uring: what it was given, as the arguments of the call that it stands for. */
struct operation {
	u64 args[6];
	u64 tid, ring, user_data;
	u32 plan, opcode;
	u32 slot;     /* of the ring's own table, plus one; 0: the result is a descriptor */
	u32 texts;    /* bit by bit, which arguments are texts */
	u32 address;  /* which argument is an address; 0: none */
	u32 repeated; /* stored under the ring too, because it may be completed more than once */
	u8 bytes[ADDRESS_MAX];
};

#define CGROUP_DEPTH 16 /* components of a cgroup's path; a power of two */
#define CGROUPS_KEPT 1024 /* a power of two; a longer text is written anew each time */
#define ASKED_MOST 255 /* longer paths are not looked at but let through */
#define ASKED_START 16 /* zeros before, so that the 16 bytes before any path's end can be read */
#define SEEN 256       /* a power of two */
#define SEEN_WORDS 7

/* What was decided of a path. */
struct seen {
	u64 what; /* for what, and whether it matters; see sieve.h */
	u64 path[SEEN_WORDS];
};

/* The thread whose call ended last; see known.h. */
struct caller {
	u64 regs;  /* where its registers lie; 0: none is known */
	u64 ended; /* how many threads had ended when it was looked at */
	u64 task, main; /* it, and its process' first thread */
	/* where it is noted what user space knows of the process' fds (fds.h), and of its sockets; 0: nowhere yet */
	u64 notes, far_notes, sockets;
};

struct scratch {
	struct caller caller;
	u64 args[6];
	s64 ret;
	u64 open_flags; /* the raw flags that `openmode` depends on */
	u64 file;	/* the open file that the call returned, once `file_known` */
	u32 file_known;
	u32 nr;
	u32 plan;
	u32 compat;
	u32 pos;   /* where the next parameter goes */
	u32 count; /* parameters written so far */
	u32 type;
	/*
	 * Where a loop is in a text that it builds. In memory, because the verifier would otherwise look at a
	 * loop's every round anew for every value that it may have.
	 */
	u32 at;
	u64 dentry, mount; /* where in the tree of files the path is that is built */
	/* the names of the cgroup whose path is built, from its own up, and how many are still to be written */
	u64 cgroup_names[CGROUP_DEPTH];
	u32 cgroup_depth;
	u32 part;      /* of what is read or written in parts: the part */
	u64 part_done; /* and how much of it has been read */
	u64 message;   /* the message header that is looked at, or 0 */
	u32 messages;
	u32 message_number; /* its place among them */
	u32 extras;	 /* parameters behind those of the event table */
	u32 uring;	 /* an operation of io_uring is told, whose texts and addresses are in kernel memory */
	u64 tid;	 /* who made the call or submitted the operation */
	u64 own_file;	 /* the file that it works on */
	s64 own_fd;	 /* and its descriptor */
	struct operation operation;
	u64 socket;	  /* that the call is about, by sockets.h */
	u64 socket_file;  /* its open file */
	s64 socket_fd;	  /* and its fd */
	u32 socket_class; /* and what it is, where that was asked for */
	u32 socket_v6;
	u32 ends_told; /* its own two ends are what the call tells */
	u64 found[CALLERS / 2], unclean, slashes; /* of a path, by sieve.h */
	u64 unread;	    /* bytes of the ring that are unread at most, if nobody else writes to it */
	u32 unchecked;	    /* bytes written since it was looked how many are */
	u32 over;	    /* more are than the agent is woken for */
	/* of which set of cgroups the text is kept that was written last, and of which cgroup it is */
	u64 cgroups_of, cgroup_id;
	u32 cgroups_len;
	u32 cgroups_plain; /* those that are looked at are one and the same */
	/* of the thread that is told: its cgroup, 0 if that isn't all that the text says; the node of that; what runc calls itself */
	u64 told_cgroup, told_node;
	u32 told_of_runtime;
	u64 task;	    /* the caller, where programs can follow it */
	/* the page that a path was read from last: whose, after how many flushes, where the caller has it, where it lies */
	u64 page_of, page_flushes, page_user, page_place;
	u64 asked_from;	    /* where the call has the path that was looked at last; 0: none was */
	u64 lately;	    /* what was decided of the call's path before, if that is known; see seen.h */
	u32 asked_len;	    /* without its NUL */
	u32 revealed;	    /* the call closes an fd that was told of */
	u32 asked_told;	    /* the event that is written says what was asked for */
	u64 flags_of;	    /* one more than the flags of an open that were converted last */
	u32 flags_made;	    /* and what they are in the event table */
	u8 asked[ASKED_START + ASKED_MOST + 9] __attribute__((aligned(8)));
	struct seen seen[SEEN];
	u8 cgroups[CGROUPS_KEPT];
	u8 data[EVENT_MAX + 2 * TEXT_MAX];
	u8 path[3 * TEXT_MAX]; /* where a path is built from its end */
} __attribute__((aligned(64)));

#ifdef LANNER_ITERATORS
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch);
} scratch_map SEC(".maps");
#else
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* one per possible CPU, set by the loader */
	__type(key, u32);
	__type(value, struct scratch);
} scratch_map SEC(".maps");
#endif

/*
 * Behind the parameters of the event table an event may have two of our own: "lanner" and a byte of flags, then
 * what the kernel made of the path (crates/event/src/extra.rs).
 */
#define EXTRA_MARK 0x0072656e6e616cull
#define EXTRA_IO_URING (1ull << 56)
#define EXTRA_COPIED (2ull << 56)
#define EXTRA_AS_ASKED (4ull << 56) /* in place of the path: it is the one that was asked for */
#define EXTRA_ON_EXEC (8ull << 56)  /* a new program closes the fd */
#define EXTRA_ENDED (16ull << 56)   /* the thread has ended, and others of its process live */

/* Nanoseconds between 1970 and boot. */
u64 boot_time = 0;

/* Makes the verifier see that `value` is at most `mask`; the compiler must not reason it away. */
#define bounded(value, mask)                                  \
	({                                                    \
		u64 __v = (value);                            \
		asm volatile("%0 &= %1" : "+r"(__v) : "i"(mask)); \
		__v;                                          \
	})

static __always_inline struct scratch *get_scratch(void)
{
#ifdef LANNER_ITERATORS
	u32 key = 0;
#else
	u32 key = bpf_get_smp_processor_id();
#endif
	return bpf_map_lookup_elem(&scratch_map, &key);
}

static __always_inline const struct plan *plan_of(struct scratch *s)
{
	return &plans[bounded(s->plan, PLANS_ROOM - 1)];
}

/* Where a parameter of at most 2 * TEXT_MAX bytes may be written. */
static __always_inline u8 *cursor(struct scratch *s)
{
	return &s->data[bounded(s->pos, EVENT_MAX - 1)];
}

static __always_inline void begin_at(struct scratch *s, u32 type, u64 time, u64 tid)
{
	u32 count = (type < EVENT_COUNT ? param_counts[type] : 0) + s->extras;

	*(u64 *)&s->data[0] = time;
	*(u64 *)&s->data[8] = tid;
	*(u16 *)&s->data[20] = type;
	*(u32 *)&s->data[22] = count;
	s->pos = HEADER_LEN + 2 * count;
	s->count = 0;
	s->type = type;
}

static __always_inline void begin(struct scratch *s, u32 type)
{
	begin_at(s, type, boot_time + bpf_ktime_get_boot_ns(), s->uring ? s->tid : (u32)bpf_get_current_pid_tgid());
}

/* Says that the parameter written at the cursor has `len` bytes. */
static __always_inline void end_param(struct scratch *s, u32 len)
{
	u32 i = bounded(s->count, 63);

	*(u16 *)&s->data[HEADER_LEN + 2 * i] = len;
	s->count = i + 1;
	s->pos += len;
}

static __always_inline void put_empty(struct scratch *s)
{
	end_param(s, 0);
}

static __always_inline void put_u64(struct scratch *s, u64 value)
{
	*(u64 *)cursor(s) = value;
	end_param(s, 8);
}

static __always_inline void put_u32(struct scratch *s, u32 value)
{
	*(u32 *)cursor(s) = value;
	end_param(s, 4);
}

static __always_inline void put_u16(struct scratch *s, u16 value)
{
	*(u16 *)cursor(s) = value;
	end_param(s, 2);
}

static __always_inline void put_u8(struct scratch *s, u8 value)
{
	*cursor(s) = value;
	end_param(s, 1);
}

/* A number of `width` bytes; the bytes above it are overwritten by what follows. */
static __always_inline void put_number(struct scratch *s, u64 value, u32 width)
{
	*(u64 *)cursor(s) = value;
	end_param(s, width);
}

/* Parameters of user memory that could not be read. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} unreadable SEC(".maps");

static __always_inline void count_unreadable(void)
{
	u32 key = 0;
	u64 *n = bpf_map_lookup_elem(&unreadable, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
}

/* Text from the kernel's memory. */
__noinline int put_kernel_text(u64 from)
{
	struct scratch *s = get_scratch();
	long n = 0;

	if (!s)
		return 0;
	if (from)
		n = bpf_probe_read_kernel_str(cursor(s), TEXT_MAX, (void *)from);
	end_param(s, n > 0 ? n : 0);
	return 0;
}

/* Text from user memory. */
__noinline int put_user_text(u64 from)
{
	struct scratch *s = get_scratch();
	long n = 0;

	if (!s)
		return 0;
	if (from) {
		n = bpf_probe_read_user_str(cursor(s), TEXT_MAX, (void *)from);
		if (n < 0)
			count_unreadable();
	}
	end_param(s, n > 0 ? n : 0);
	return 0;
}

/* Bytes from user memory. */
__noinline int put_user_bytes(u64 from, u64 len)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	if (len > TEXT_MAX)
		len = TEXT_MAX;
	if (from && len && bpf_probe_read_user(cursor(s), bounded(len, 2 * TEXT_MAX - 1), (void *)from)) {
		count_unreadable();
		len = 0;
	}
	end_param(s, from ? len : 0);
	return 0;
}

#endif
