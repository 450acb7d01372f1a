/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Operations that io_uring carries out, told as the calls that they stand for.
 *
 * What an operation was given is copied when it is submitted, from the kernel's own request (a path or an address
 * that it has read is its copy, not the caller's memory), and told when it is completed, with its result. Who
 * completes it may be another thread than who submitted it.
 *
 * A file of a ring's own table has no descriptor; it is told as FIXED_FDS + its place in that table.
 */
#ifndef LANNER_URING_H
#define LANNER_URING_H

#include "interpret.h"

#define OPERATIONS 64
#define OPERATIONS_MOST 65536 /* under way at once */
#define URING_TEXT 4000	      /* with what the map keeps beside it, a page */

#define FIXED_FDS 0x40000000
#define UNKNOWN_FD 0x7fffffff
#define ANY_SLOT 0xffffffff

#define FAMILY_MOST 63 /* no address family has a higher number */
#define IORING_SETUP_SQPOLL 2
#define REQ_F_FIXED_FILE 1
#define REQ_F_CQE_SKIP (1 << 6)
#define IORING_CQE_F_MORE 2

/* linux/io_uring.h, enum io_uring_op */
enum {
	OP_READV = 1,
	OP_WRITEV = 2,
	OP_READ_FIXED = 4,
	OP_WRITE_FIXED = 5,
	OP_SENDMSG = 9,
	OP_RECVMSG = 10,
	OP_ACCEPT = 13,
	OP_CONNECT = 16,
	OP_OPENAT = 18,
	OP_CLOSE = 19,
	OP_READ = 22,
	OP_WRITE = 23,
	OP_SEND = 26,
	OP_RECV = 27,
	OP_OPENAT2 = 28,
	OP_SPLICE = 30,
	OP_SHUTDOWN = 34,
	OP_RENAMEAT = 35,
	OP_UNLINKAT = 36,
	OP_MKDIRAT = 37,
	OP_SYMLINKAT = 38,
	OP_LINKAT = 39,
	OP_SOCKET = 45,
	OP_SEND_ZC = 47,
	OP_SENDMSG_ZC = 48,
	OP_BIND = 56,
	OP_LISTEN = 57,
	OP_READV_FIXED = 60,
	OP_WRITEV_FIXED = 61,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct io_cqe {
	u64 user_data;
	s32 res;
	int fd;
};
struct io_uring_cqe {
	u64 user_data;
	s32 res;
	u32 flags;
};
struct io_ring_ctx {
	unsigned int flags;
};
struct io_cmd_data {
	struct file *file;
};
struct io_kiocb {
	struct file *file;
	struct io_cmd_data cmd; /* since 6.0: what an operation was given, in a structure of its own */
	u8 opcode;
	u64 flags;
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
	void *async_data;
};
struct open_how {
	u64 flags, mode, resolve;
};
struct io_open {
	int dfd;
	u32 file_slot;
	struct filename *filename;
	struct open_how how;
};
struct io_close {
	int fd;
	u32 file_slot;
};
struct io_unlink {
	int dfd, flags;
	struct filename *filename;
};
struct io_rename {
	int old_dfd, new_dfd, flags;
	struct filename *oldpath, *newpath;
};
struct io_mkdir {
	int dfd;
	u16 mode;
	struct filename *filename;
};
struct io_link {
	int old_dfd, new_dfd, flags;
	struct filename *oldpath, *newpath;
};
/* Since 7.0 such a structure stands where the pointer in it did. */
struct delayed_filename {
	struct filename *__incomplete_filename;
};
struct io_open___delayed {
	struct delayed_filename filename;
};
struct io_unlink___delayed {
	struct delayed_filename filename;
};
struct io_rename___delayed {
	struct delayed_filename oldpath, newpath;
};
struct io_mkdir___delayed {
	struct delayed_filename filename;
};
struct io_link___delayed {
	struct delayed_filename oldpath, newpath;
};
struct io_connect {
	void *addr;
	int addr_len;
};
struct io_accept {
	int flags;
	u32 file_slot;
};
struct io_sr_msg {
	void *buf;
	int len;
	unsigned int msg_flags;
};
struct io_socket {
	int domain, type, protocol;
	u32 file_slot;
};
struct io_bind {
	int addr_len;
};
struct io_listen {
	int backlog;
};
struct io_shutdown {
	int how;
};
struct io_rw {
	u64 addr;
	u32 len;
};
struct io_splice {
	u64 len;
	int splice_fd_in;
	unsigned int flags;
};
struct __kernel_sockaddr_storage {
	u16 ss_family;
};
struct io_async_msghdr {
	struct __kernel_sockaddr_storage addr;
};

#pragma clang attribute pop

/* For each operation, its plan plus one; 0: not wanted. */
u16 operation_plans[OPERATIONS] = {};
/* Whether the completion's tracepoint has numbers where later kernels have a pointer. */
const volatile u8 completion_by_value = 0;

struct operation_key {
	u64 owner; /* a request, or a ring */
	u64 which; /* 0 or a text of the request, or the ring's user's name for the request */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OPERATIONS_MOST);
	__type(key, struct operation_key);
	__type(value, struct operation);
} operations SEC(".maps");

struct operation_text {
	char bytes[URING_TEXT];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OPERATIONS_MOST);
	__type(key, struct operation_key);
	__type(value, struct operation_text);
} operation_texts SEC(".maps");

/* The kernel's copy of a path that an operation was given. */
#define NAME_IN(operation, request, field)                                                                            \
	(bpf_core_type_exists(struct delayed_filename)                                                                \
		 ? BPF_CORE_READ((struct operation##___delayed *)(request), field.__incomplete_filename)              \
		 : BPF_CORE_READ((struct operation *)(request), field))

/* Keeps it as argument `i`. */
static __always_inline void keep_text(struct scratch *s, struct operation *o, u64 req, u32 i, struct filename *from)
{
	struct operation_key key = { .owner = req, .which = i };
	const char *name = from ? BPF_CORE_READ(from, name) : NULL;

	o->args[i] = 0;
	if (!name || bpf_probe_read_kernel_str(s->path, URING_TEXT, name) <= 0)
		return;
	if (bpf_map_update_elem(&operation_texts, &key, s->path, BPF_ANY) == 0)
		o->texts |= 1 << i;
	else
		count_unreadable();
}

/* Keeps an address as argument `i`: the kernel's copy, where it makes one so early, or the caller's. */
static __always_inline void keep_address(struct operation *o, struct io_kiocb *req, u32 i, u64 user, u32 len)
{
	u64 copied = (u64)BPF_CORE_READ(req, async_data);
	u16 family = 0;

	o->address = i;
	o->args[i + 1] = len;
	if (bpf_core_type_exists(struct io_bind) && copied) {
		/* alone, or within a message's header, which begins with a pointer */
		bpf_probe_read_kernel(&family, sizeof(family), (void *)copied);
		if (!family || family > FAMILY_MOST)
			copied += bpf_core_field_offset(struct io_async_msghdr, addr);
		bpf_probe_read_kernel(o->bytes, sizeof(o->bytes), (void *)copied);
		return;
	}
	/* sockaddr_storage is never longer, but what follows a short address may not be there */
	if (len >= ADDRESS_MAX)
		len = ADDRESS_MAX - 1;
	if (user && bpf_probe_read_user(o->bytes, bounded(len, ADDRESS_MAX - 1), (void *)user))
		count_unreadable();
}

/* A descriptor of the request: the process's, or of the ring's own table. */
static __always_inline s64 operation_fd(struct io_kiocb *req)
{
	s32 fd = BPF_CORE_READ(req, cqe.fd);

	return (BPF_CORE_READ(req, flags) & REQ_F_FIXED_FILE) ? FIXED_FDS + (u32)fd : fd;
}

static __always_inline void keep_names(struct scratch *s, struct operation *o, struct io_kiocb *req)
{
	struct io_unlink *unlink = (void *)req;
	struct io_rename *rename = (void *)req;
	struct io_mkdir *mkdir = (void *)req;
	struct io_link *link = (void *)req;

	switch (o->opcode) {
	case OP_UNLINKAT:
		o->args[0] = (s64)BPF_CORE_READ(unlink, dfd);
		keep_text(s, o, (u64)req, 1, NAME_IN(io_unlink, req, filename));
		o->args[2] = BPF_CORE_READ(unlink, flags);
		break;
	case OP_RENAMEAT:
		o->args[0] = (s64)BPF_CORE_READ(rename, old_dfd);
		keep_text(s, o, (u64)req, 1, NAME_IN(io_rename, req, oldpath));
		o->args[2] = (s64)BPF_CORE_READ(rename, new_dfd);
		keep_text(s, o, (u64)req, 3, NAME_IN(io_rename, req, newpath));
		o->args[4] = BPF_CORE_READ(rename, flags);
		break;
	case OP_MKDIRAT:
		o->args[0] = (s64)BPF_CORE_READ(mkdir, dfd);
		keep_text(s, o, (u64)req, 1, NAME_IN(io_mkdir, req, filename));
		o->args[2] = BPF_CORE_READ(mkdir, mode);
		break;
	case OP_SYMLINKAT:
		keep_text(s, o, (u64)req, 0, NAME_IN(io_link, req, oldpath));
		o->args[1] = (s64)BPF_CORE_READ(link, new_dfd);
		keep_text(s, o, (u64)req, 2, NAME_IN(io_link, req, newpath));
		break;
	case OP_LINKAT:
		o->args[0] = (s64)BPF_CORE_READ(link, old_dfd);
		keep_text(s, o, (u64)req, 1, NAME_IN(io_link, req, oldpath));
		o->args[2] = (s64)BPF_CORE_READ(link, new_dfd);
		keep_text(s, o, (u64)req, 3, NAME_IN(io_link, req, newpath));
		o->args[4] = BPF_CORE_READ(link, flags);
		break;
	}
}

static __always_inline void keep_files(struct scratch *s, struct operation *o, struct io_kiocb *req)
{
	struct io_open *open = (void *)req;
	struct io_close *close = (void *)req;
	struct io_rw *rw = (void *)req;
	struct io_splice *splice = (void *)req;
	u32 slot;

	switch (o->opcode) {
	case OP_OPENAT:
	case OP_OPENAT2:
		o->args[0] = (s64)BPF_CORE_READ(open, dfd);
		keep_text(s, o, (u64)req, 1, NAME_IN(io_open, req, filename));
		/* the kernel sets O_LARGEFILE by itself, as it does for a 64-bit openat after its arguments were read */
		o->args[2] = BPF_CORE_READ(open, how.flags) & ~(u64)O_LARGEFILE;
		o->args[3] = BPF_CORE_READ(open, how.mode);
		o->args[4] = BPF_CORE_READ(open, how.resolve);
		o->slot = BPF_CORE_READ(open, file_slot);
		break;
	case OP_CLOSE:
		slot = BPF_CORE_READ(close, file_slot);
		o->args[0] = slot ? FIXED_FDS + slot - 1 : (s64)BPF_CORE_READ(close, fd);
		break;
	case OP_READ:
	case OP_WRITE:
	case OP_READ_FIXED:
	case OP_WRITE_FIXED:
	case OP_READV:
	case OP_WRITEV:
	case OP_READV_FIXED:
	case OP_WRITEV_FIXED:
		o->args[1] = BPF_CORE_READ(rw, addr);
		o->args[2] = BPF_CORE_READ(rw, len);
		break;
	case OP_SPLICE:
		o->args[1] = o->args[0];
		o->args[0] = (s64)BPF_CORE_READ(splice, splice_fd_in);
		o->args[2] = BPF_CORE_READ(splice, len);
		o->args[3] = BPF_CORE_READ(splice, flags);
		break;
	}
}

static __always_inline void keep_sockets(struct operation *o, struct io_kiocb *req)
{
	struct io_connect *connect = (void *)req;
	struct io_accept *accept = (void *)req;
	struct io_sr_msg *message = (void *)req;
	struct io_socket *socket = (void *)req;
	struct io_bind *bind = (void *)req;
	struct io_listen *listen = (void *)req;
	struct io_shutdown *shutdown = (void *)req;

	switch (o->opcode) {
	case OP_CONNECT:
		keep_address(o, req, 1, (u64)BPF_CORE_READ(connect, addr), BPF_CORE_READ(connect, addr_len));
		break;
	case OP_BIND:
		if (bpf_core_type_exists(struct io_bind))
			keep_address(o, req, 1, 0, BPF_CORE_READ(bind, addr_len));
		break;
	case OP_ACCEPT:
		o->args[3] = BPF_CORE_READ(accept, flags);
		o->slot = BPF_CORE_READ(accept, file_slot);
		o->repeated = 1;
		break;
	case OP_RECV:
	case OP_RECVMSG:
		o->repeated = 1;
		/* fall through */
	case OP_SEND:
	case OP_SENDMSG:
	case OP_SEND_ZC:
	case OP_SENDMSG_ZC:
		o->args[1] = (u64)BPF_CORE_READ(message, buf);
		o->args[2] = BPF_CORE_READ(message, len);
		break;
	case OP_SOCKET:
		if (bpf_core_type_exists(struct io_socket)) {
			o->args[0] = BPF_CORE_READ(socket, domain);
			o->args[1] = BPF_CORE_READ(socket, type);
			o->args[2] = BPF_CORE_READ(socket, protocol);
			o->slot = BPF_CORE_READ(socket, file_slot);
		}
		break;
	case OP_LISTEN:
		if (bpf_core_type_exists(struct io_listen))
			o->args[1] = BPF_CORE_READ(listen, backlog);
		break;
	case OP_SHUTDOWN:
		o->args[1] = BPF_CORE_READ(shutdown, how);
		break;
	}
}

/* Writes the event of an operation with its result. */
__noinline int tell_operation(u64 req, s32 result)
{
	struct scratch *s = get_scratch();
	struct operation *o;
	bool told;
	u32 i;

	if (!s)
		return 0;
	o = &s->operation;
	for (i = 0; i < 6; i++)
		s->args[i] = o->args[i];
	for (i = 0; i < 4; i++) {
		struct operation_key key = { .owner = req, .which = i };

		if (o->texts & (1 << i))
			s->args[i] = (u64)bpf_map_lookup_elem(&operation_texts, &key);
	}
	if (o->address)
		s->args[1] = (u64)o->bytes;
	s->ret = result;
	s->compat = 0;
	s->file_known = 0;
	if (o->slot && result >= 0) {
		s->ret = FIXED_FDS + (o->slot == ANY_SLOT ? (u32)result : o->slot - 1);
		s->file_known = 1;
		s->file = 0;
	}
	s->own_fd = o->args[0];
	s->own_file = (u64)BPF_CORE_READ((struct io_kiocb *)req, file);
	s->message = o->args[1];
	s->plan = o->plan;
	s->tid = o->tid;
	s->uring = 1;
	s->asked_from = 0;
	s->revealed = 0;
	if (can_hide && hiding)
		tell_fds(s, plan_of(s));
	told = write_event();
	if (can_hide && hiding)
		note_fds(s, plan_of(s), told);
	s->uring = 0;
	return 0;
}

SEC("tp_btf/io_uring_submit_req")
int on_submit(u64 *ctx)
{
	struct io_kiocb *req = recorded ? RECORD_READ(ctx, io_uring_submit_req, req) : plain(CALLED_WITH(void *, ctx, 0));
	struct operation_key key = { .owner = (u64)req };
	struct operation *o;
	struct scratch *s;
	u64 opcode;
	u32 plan;

	if (!bpf_core_field_exists(req->cmd))
		return 0;
	opcode = BPF_CORE_READ(req, opcode);
	plan = operation_plans[bounded(opcode, OPERATIONS - 1)];
	if (!plan || plan > PLANS || skipped())
		return 0;
	s = get_scratch();
	if (!s)
		return 0;
	o = &s->operation;
	__builtin_memset(o, 0, sizeof(*o));
	o->plan = plan - 1;
	o->opcode = opcode;
	o->ring = (u64)BPF_CORE_READ(req, ctx);
	o->user_data = BPF_CORE_READ(req, cqe.user_data);
	/* the thread that polls for submissions is the kernel's: the process it works for has submitted them */
	o->tid = BPF_CORE_READ(req, ctx, flags) & IORING_SETUP_SQPOLL ? bpf_get_current_pid_tgid() >> 32
								      : (u32)bpf_get_current_pid_tgid();
	o->args[0] = operation_fd(req);
	keep_names(s, o, req);
	keep_files(s, o, req);
	keep_sockets(o, req);
	if (bpf_map_update_elem(&operations, &key, o, BPF_ANY)) {
		s->plan = o->plan;
		count_lost(plan_of(s)->type, LOST_NO_BUFFER);
		return 0;
	}
	if (o->repeated) {
		key.owner = o->ring;
		key.which = o->user_data;
		bpf_map_update_elem(&operations, &key, o, BPF_ANY);
	}
	/* its success will not be told */
	if (BPF_CORE_READ(req, flags) & REQ_F_CQE_SKIP)
		tell_operation((u64)req, o->opcode == OP_OPENAT || o->opcode == OP_OPENAT2 ||
						 o->opcode == OP_ACCEPT || o->opcode == OP_SOCKET
					 ? UNKNOWN_FD
					 : 0);
	return 0;
}

/* What has been kept of an operation is no longer needed. */
static __always_inline void forget_operation(struct scratch *s, u64 req)
{
	struct operation *o = &s->operation;
	struct operation_key key = { .owner = req };

	bpf_map_delete_elem(&operations, &key);
	for (u32 i = 0; i < 4; i++) {
		key.which = i;
		if (o->texts & (1 << i))
			bpf_map_delete_elem(&operation_texts, &key);
	}
	if (o->repeated) {
		key.owner = o->ring;
		key.which = o->user_data;
		bpf_map_delete_elem(&operations, &key);
	}
}

static __always_inline void complete(u64 ring, u64 req, u64 user_data, s32 result, u32 flags)
{
	struct operation_key key = { .owner = req ? req : ring, .which = req ? 0 : user_data };
	struct operation *found = bpf_map_lookup_elem(&operations, &key);
	struct scratch *s;

	if (!found)
		return;
	s = get_scratch();
	if (!s) {
		count_lost(plans[bounded(found->plan, PLANS_ROOM - 1)].type, LOST_NO_BUFFER);
		return;
	}
	__builtin_memcpy(&s->operation, found, sizeof(s->operation));
	tell_operation(req, result);
	if (req && !(flags & IORING_CQE_F_MORE))
		forget_operation(s, req);
}

/* A completion, as a program is told of it. */
struct completion {
	u64 ring, req, user_data;
	s32 result;
	u32 flags;
};

static __always_inline struct completion completion_told(u64 *ctx)
{
	struct io_uring_cqe *cqe;
	u64 ring, req;

	if (recorded)
		return (struct completion){ (u64)RECORD_READ(ctx, io_uring_complete, ctx),
					    (u64)RECORD_READ(ctx, io_uring_complete, req),
					    RECORD_READ(ctx, io_uring_complete, user_data),
					    RECORD_READ(ctx, io_uring_complete, res),
					    RECORD_READ(ctx, io_uring_complete, cflags) };
	ring = (u64)plain(CALLED_WITH(void *, ctx, 0));
	req = (u64)plain(CALLED_WITH(void *, ctx, 1));
	if (completion_by_value)
		return (struct completion){ ring, req, CALLED_WITH(u64, ctx, 2), CALLED_WITH(s32, ctx, 3),
					    CALLED_WITH(u32, ctx, 4) };
	cqe = plain(CALLED_WITH(void *, ctx, 2));
	return (struct completion){ ring, req, BPF_CORE_READ(cqe, user_data), BPF_CORE_READ(cqe, res),
				    BPF_CORE_READ(cqe, flags) };
}

SEC("tp_btf/io_uring_complete")
int on_complete(u64 *ctx)
{
	struct completion told = completion_told(ctx);

	complete(told.ring, told.req, told.user_data, told.result, told.flags);
	return 0;
}

#endif
