// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* What runs already: every thread and every open file, by the kernel's iterators. */
#define LANNER_ITERATORS

#include "net.h"
#include "convert.h"
#include "homes.h"

/* The process that reads the iterator, as the kernel numbers it: the loader's own id. */
u32 reader_pid = 0;
/* Records that were too large for the kernel's buffer. */
u64 dropped = 0;

/* An iterator's record names process and thread at once. */
static __always_inline u64 both_ids(struct task_struct *task)
{
	return (u64)BPF_CORE_READ(task, tgid) << 32 | BPF_CORE_READ(task, pid);
}

/* Writes the finished record; 1 asks the kernel to come again when its buffer is empty. */
static __always_inline int hand_over(struct scratch *s, struct seq_file *seq)
{
	u64 size = BPF_CORE_READ(seq, size), used = BPF_CORE_READ(seq, count);

	/* one that does not even fit into an empty buffer would be asked for again for ever */
	if (s->pos >= EVENT_MAX || (!used && s->pos >= size)) {
		dropped += 1;
		return 0;
	}
	*(u32 *)&s->data[16] = s->pos;
	return bpf_seq_write(seq, s->data, bounded(s->pos, EVENT_MAX - 1)) < 0;
}

/* A list of texts in the memory of another process. */
static __always_inline void put_task_bytes(struct scratch *s, struct task_struct *task, u64 from, u64 to)
{
	u64 len = to > from ? to - from : 0;

	if (len > TEXT_MAX)
		len = TEXT_MAX;
	len = bounded(len, 2 * TEXT_MAX - 1);
	if (len && bpf_copy_from_user_task(cursor(s), len, (void *)from, task, 0))
		len = 0;
	if (len)
		s->data[bounded(s->pos + len - 1, EVENT_MAX - 1)] = 0;
	end_param(s, len);
}

/* From fdlimit to exe_ino_mtime. */
__noinline int put_credentials(u64 at)
{
	struct scratch *s = get_scratch();
	struct task_struct *task = (void *)at;
	struct file *exe;

	if (!s)
		return 0;
	put_u64(s, fd_limit(task));
	put_u32(s, BPF_CORE_READ(task, cred, euid.val));
	put_u32(s, BPF_CORE_READ(task, cred, egid.val));
	put_u64(s, raw_caps(task, CAPS_PERMITTED));
	put_u64(s, raw_caps(task, CAPS_EFFECTIVE));
	put_u64(s, raw_caps(task, CAPS_INHERITABLE));
	exe = BPF_CORE_READ(task, mm, exe_file);
	put_inode_times(s, exe ? BPF_CORE_READ(exe, f_inode) : NULL);
	return 0;
}

/* From vm_size to loginuid. */
__noinline int put_rest(u64 at)
{
	struct scratch *s = get_scratch();
	struct task_struct *task = (void *)at;
	struct fs_struct *fs;

	if (!s)
		return 0;
	put_memory(s, BPF_CORE_READ(task, mm));
	put_u64(s, BPF_CORE_READ(task, maj_flt));
	put_u64(s, BPF_CORE_READ(task, min_flt));
	put_u32(s, inner_id(pid_of(task, PID_OF_PROCESS)));
	put_u32(s, inner_id(pid_of(task, PID_OF_THREAD)));
	put_u64(s, pid_namespace_start(task));
	put_cgroups(at);
	fs = BPF_CORE_READ(task, fs);
	put_path(fs ? (u64)&fs->root : 0);
	put_u64(s, boot_time + BPF_CORE_READ(task, start_boottime));
	put_u32(s, terminal_of(task));
	put_u32(s, login_user(task));
	return 0;
}

/* Whether an ended thread is its process' first, which stands for the process as long as others live. */
static __always_inline bool is_left_behind(struct task_struct *task)
{
	return BPF_CORE_READ(task, pid) == BPF_CORE_READ(task, tgid) && BPF_CORE_READ(task, signal, live.counter) > 0;
}

/* What has ended is left out: nobody would tell of its end. */
SEC("iter.s/task")
int each_task(struct bpf_iter__task *ctx)
{
	struct task_struct *running = ctx->task, *task;
	struct seq_file *seq = ctx->meta->seq;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct file *exe;
	struct scratch *s;
	bool ended;

	if (!running)
		return 0;
	task = untyped(running);
	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 0;
	ended = BPF_CORE_READ(task, flags) & PF_EXITING;
	if (ended && !is_left_behind(task))
		return 0;
	s = get_scratch();
	if (!s)
		return 0;
	s->extras = ended;
	reader_pid = bpf_get_current_pid_tgid() >> 32;
	mm = BPF_CORE_READ(task, mm);
	exe = mm ? BPF_CORE_READ(mm, exe_file) : NULL;
	begin_at(s, EV_ITER_TASK_E, boot_time + bpf_ktime_get_boot_ns(), both_ids(task));
	put_u32(s, BPF_CORE_READ(task, real_parent, pid));
	put_u32(s, outer_id(pid_of(task, PID_OF_GROUP)));
	put_u32(s, inner_id(pid_of(task, PID_OF_GROUP)));
	put_u32(s, outer_id(pid_of(task, PID_OF_SESSION)));
	put_comm(s, task);
	put_task_bytes(s, running, mm ? BPF_CORE_READ(mm, arg_start) : 0, mm ? BPF_CORE_READ(mm, arg_end) : 0);
	put_path(path_of_file(exe));
	put_u32(s, exe_flags((u64)task, (u64)exe));
	put_task_bytes(s, running, mm ? BPF_CORE_READ(mm, env_start) : 0, mm ? BPF_CORE_READ(mm, env_end) : 0);
	fs = BPF_CORE_READ(task, fs);
	put_path(fs ? (u64)&fs->pwd : 0);
	put_credentials((u64)task);
	put_rest((u64)task);
	if (s->extras)
		put_u64(s, EXTRA_MARK | EXTRA_ENDED);
	if (hand_over(s, seq))
		return 1;
	keep_home(s, task, s->told_cgroup, 0, false);
	return 0;
}

static __always_inline void begin_file(struct scratch *s, u32 type, u64 ids, u32 fd)
{
	begin_at(s, type, boot_time + bpf_ktime_get_boot_ns(), ids);
	put_u32(s, fd);
}

/* The name of a file that is no path: a pipe, a memfd, an anonymous inode. */
static __always_inline void put_own_name(struct file *file)
{
	put_kernel_text((u64)BPF_CORE_READ(file, f_path.dentry, d_name.name));
}

__noinline int put_inet_socket(u64 sock, u64 ids, u32 fd, u64 ino)
{
	struct scratch *s = get_scratch();
	struct sock *sk = (void *)sock;

	if (!s)
		return 0;
	begin_file(s, EV_ITER_TASK_FILE_SOCKET_INET_E, ids, fd);
	put_u16(s, BPF_CORE_READ(sk, sk_type));
	put_u16(s, BPF_CORE_READ(sk, sk_protocol));
	put_u32(s, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
	put_u16(s, BPF_CORE_READ(sk, __sk_common.skc_num));
	put_u32(s, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	put_u16(s, swap16(BPF_CORE_READ(sk, __sk_common.skc_dport)));
	put_u64(s, ino);
	return 1;
}

static __always_inline void put_in6(struct scratch *s, const struct in6_addr *from)
{
	bpf_probe_read_kernel(cursor(s), 16, from);
	end_param(s, 16);
}

__noinline int put_inet6_socket(u64 sock, u64 ids, u32 fd, u64 ino)
{
	struct scratch *s = get_scratch();
	struct sock *sk = (void *)sock;

	if (!s)
		return 0;
	begin_file(s, EV_ITER_TASK_FILE_SOCKET_INET6_E, ids, fd);
	put_u16(s, BPF_CORE_READ(sk, sk_type));
	put_u16(s, BPF_CORE_READ(sk, sk_protocol));
	put_in6(s, &sk->__sk_common.skc_v6_rcv_saddr);
	put_u16(s, BPF_CORE_READ(sk, __sk_common.skc_num));
	put_in6(s, &sk->__sk_common.skc_v6_daddr);
	put_u16(s, swap16(BPF_CORE_READ(sk, __sk_common.skc_dport)));
	put_u64(s, ino);
	return 1;
}

/* A unix socket: the path that it or, for a connected one without, its peer is bound to. */
__noinline int put_unix_socket(u64 sock, u64 ids, u32 fd, u64 ino)
{
	struct scratch *s = get_scratch();
	struct unix_sock *sk = (void *)sock, *peer;
	u32 len = 0;

	if (!s)
		return 0;
	begin_file(s, EV_ITER_TASK_FILE_SOCKET_UNIX_E, ids, fd);
	put_u16(s, BPF_CORE_READ(sk, sk.sk_type));
	put_u16(s, BPF_CORE_READ(sk, sk.sk_protocol));
	put_u64(s, (u64)sk);
	peer = (void *)BPF_CORE_READ(sk, peer);
	add_bound_path(s, &len, BPF_CORE_READ(sk, addr) || !peer ? sk : peer);
	end_param(s, len);
	put_u64(s, ino);
	return 1;
}

__noinline int put_netlink_socket(u64 sock, u64 ids, u32 fd, u64 ino)
{
	struct scratch *s = get_scratch();
	struct sock *sk = (void *)sock;

	if (!s)
		return 0;
	begin_file(s, EV_ITER_TASK_FILE_SOCKET_NETLINK_E, ids, fd);
	put_u16(s, BPF_CORE_READ(sk, sk_type));
	put_u16(s, BPF_CORE_READ(sk, sk_protocol));
	put_u64(s, ino);
	return 1;
}

static __always_inline int put_socket(struct file *file, u64 ids, u32 fd, u64 ino)
{
	struct sock *sk = sock_of_file(file);

	if (!sk)
		return 0;
	switch (BPF_CORE_READ(sk, __sk_common.skc_family)) {
	case AF_INET:
		return put_inet_socket((u64)sk, ids, fd, ino);
	case AF_INET6:
		return put_inet6_socket((u64)sk, ids, fd, ino);
	case AF_UNIX:
		return put_unix_socket((u64)sk, ids, fd, ino);
	case AF_NETLINK:
		return put_netlink_socket((u64)sk, ids, fd, ino);
	}
	return 0;
}

/* Names of anonymous inodes; the order is that of the event table's numbers, from 1 on. */
static const char anon_names[13][16] = {
	"[eventfd]", "[eventpoll]", "inotify", "[signalfd]", "[timerfd]", "[io_uring]", "[userfaultfd]",
	"[pidfd]",   "bpf-map",	    "bpf-prog", "bpf_link", "bpf_iter",  "[perf_event]",
};

__noinline int anon_kind(u64 at)
{
	struct file *file = (void *)at;
	u64 name[2] = {};

	if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) == PID_FS_MAGIC)
		return FLAG_TASK_FILE_ANON_INODE_FD_TYPE_ANON_INODE_FD_TYPE_PIDFD;
	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	for (u32 i = 0; i < 13; i++) {
		const u64 *known = (const u64 *)anon_names[i];

		if (name[0] == known[0] && name[1] == known[1])
			return i + 1;
	}
	return FLAG_TASK_FILE_ANON_INODE_FD_TYPE_ANON_INODE_FD_TYPE_UNKNOWN;
}

static __always_inline int put_anon(struct scratch *s, struct file *file, u64 ids, u32 fd, u64 ino)
{
	u32 kind = anon_kind((u64)file);

	begin_file(s, EV_ITER_TASK_FILE_ANON_INODE_E, ids, fd);
	put_u8(s, kind);
	if (kind)
		put_empty(s);
	else
		put_own_name(file);
	put_u64(s, ino);
	return 1;
}

/* What the kernel has kept of the flags that a file was opened with may say otherwise of a new program than its fd. */
static __always_inline int put_plain(struct scratch *s, struct file *file, u64 ids, u32 fd, u64 ino)
{
	struct mount *mount = (void *)BPF_CORE_READ(file, f_path.mnt) - bpf_core_field_offset(struct mount, mnt);
	u32 flags = convert(SET_OPEN_FLAGS, BPF_CORE_READ(file, f_flags)) & ~FLAG_OPEN_FLAGS_O_CLOEXEC;

	if (s->extras)
		flags |= FLAG_OPEN_FLAGS_O_CLOEXEC;
	begin_file(s, EV_ITER_TASK_FILE_REGULAR_E, ids, fd);
	put_path(path_of_file(file));
	put_u32(s, flags);
	put_u32(s, BPF_CORE_READ(mount, mnt_id));
	put_u64(s, ino);
	return 1;
}

static __always_inline int put_file(struct scratch *s, struct file *file, u64 ids, u32 fd)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	u64 ino = BPF_CORE_READ(inode, i_ino), magic = BPF_CORE_READ(inode, i_sb, s_magic);
	u32 mode = BPF_CORE_READ(inode, i_mode) & S_IFMT;

	if (mode == S_IFSOCK)
		return put_socket(file, ids, fd, ino);
	if (magic == ANON_INODE_MAGIC || magic == PID_FS_MAGIC)
		return put_anon(s, file, ids, fd, ino);
	if (mode == S_IFIFO || mode == S_IFDIR || (mode == S_IFREG && is_memfd(file))) {
		begin_file(s,
			   mode == S_IFIFO  ? EV_ITER_TASK_FILE_PIPE_E
			   : mode == S_IFDIR ? EV_ITER_TASK_FILE_DIRECTORY_E
					     : EV_ITER_TASK_FILE_MEMFD_E,
			   ids, fd);
		if (mode == S_IFIFO && magic == PIPEFS_MAGIC)
			put_own_name(file);
		else
			put_path(path_of_file(file));
		put_u64(s, ino);
		return 1;
	}
	if (mode)
		return put_plain(s, file, ids, fd, ino);
	return 0;
}

SEC("iter/task_file")
int each_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *running = ctx->task, *task;
	struct file *open = ctx->file, *file;
	struct scratch *s;

	if (!running || !open)
		return 0;
	task = untyped(running);
	file = (struct file *)untyped((struct task_struct *)open);
	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 0;
	/* threads have their process's files */
	if (BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid))
		return 0;
	s = get_scratch();
	if (!s)
		return 0;
	s->extras = closes_on_exec(task, ctx->fd);
	if (!put_file(s, file, both_ids(task), ctx->fd))
		return 0;
	if (s->extras)
		put_u64(s, EXTRA_MARK | EXTRA_ON_EXEC);
	return hand_over(s, ctx->meta->seq);
}

char LICENSE[] SEC("license") = "GPL and additional rights";
