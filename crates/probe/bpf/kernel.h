/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The kernel's types as far as the programs use them. Only names and types matter: where a field stands is
 * read from the running kernel's BTF when a program is loaded. A name with three underscores (`inode___6_11`)
 * is the same type as another range of kernels has it.
 */
#ifndef LANNER_KERNEL_H
#define LANNER_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef __u16 __sum16;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef _Bool bool;
typedef int pid_t;
enum { false = 0, true = 1 };

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_F_NO_PREALLOC = 1,
	/*
	 * Read by way of shared memory. While a process asks for a map's value, the kernel calls no program by record on its
	 * CPU, whoever runs there meanwhile (bpf_disable_instrumentation, in its include/linux/bpf.h).
	 */
	BPF_F_MMAPABLE = 1024,
};

enum bpf_func_id {
	BPF_FUNC_get_current_task_btf = 158,
	BPF_FUNC_task_pt_regs = 175,
};

enum {
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
};

enum {
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
};

enum {
	BPF_RB_AVAIL_DATA = 0,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long bp, bx, r10, r9, r8, ax, cx, dx, si, di, orig_ax;
};
struct thread_info {
	unsigned long flags;
	u32 status;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	u64 regs[31];
	u64 orig_x0;
	s32 syscallno;
};
struct thread_info {
	unsigned long flags;
};
#endif

typedef struct {
	u32 val;
} kuid_t, kgid_t;

struct list_head {
	struct list_head *next, *prev;
};

struct qstr {
	u32 len;
	const unsigned char *name;
};

struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};

struct super_block {
	u32 s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
};

struct inode {
	u16 i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	unsigned int i_flags;
	struct super_block *i_sb;
	unsigned long i_ino;
	struct timespec64 i_ctime, i_mtime;
};

/* 6.6: __i_ctime; 6.7: __i_mtime */
struct inode___6_6 {
	struct timespec64 __i_ctime;
};
struct inode___6_7 {
	struct timespec64 __i_mtime;
};
struct inode___6_11 {
	s64 i_ctime_sec, i_mtime_sec;
	u32 i_ctime_nsec, i_mtime_nsec;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	int mnt_id;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	u32 f_mode;
	unsigned int f_flags;
	void *private_data;
	struct inode *f_inode;
	struct path f_path;
};

struct fdtable {
	unsigned long *close_on_exec;
	unsigned long *open_fds;
	unsigned int max_fds;
	struct file **fd;
};

typedef struct {
	int counter;
} atomic_t;

struct files_struct {
	atomic_t count;
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root, pwd;
};

struct percpu_counter {
	s64 count;
};

typedef struct {
	s64 counter;
} atomic_long_t;

struct mm_rss_stat {
	atomic_long_t count[4];
};

typedef struct {
	s64 counter;
} atomic64_t;

/* x86: no other has its number, and how often CPUs had to forget where its memory is */
typedef struct {
	u64 ctx_id;
	atomic64_t tlb_gen;
} mm_context_t;

struct mm_struct {
	void *pgd;
	mm_context_t context;
	unsigned long total_vm;
	unsigned long arg_start, arg_end, env_start, env_end;
	struct file *exe_file;
	struct mm_rss_stat rss_stat;
};

struct mm_struct___6_2 {
	struct percpu_counter rss_stat[4];
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct pid_namespace {
	unsigned int level;
	struct task_struct *child_reaper;
};

struct nsproxy {
	void *uts_ns, *ipc_ns, *mnt_ns, *net_ns, *cgroup_ns;
	struct pid_namespace *pid_ns_for_children;
};

struct rlimit {
	unsigned long rlim_cur;
};

struct tty_driver {
	int major, minor_start;
};

struct tty_struct {
	int index;
	struct tty_driver *driver;
};

struct signal_struct {
	atomic_t live;
	int nr_threads;
	struct pid *pids[4];
	struct list_head thread_head;
	struct tty_struct *tty;
	struct rlimit rlim[16];
	unsigned int is_child_subreaper : 1;
	unsigned int has_child_subreaper : 1;
};

/* before 6.3 two words `cap`, since then one `val` */
struct kernel_cap_struct {
	u32 cap[2];
};

struct kernel_cap___6_3 {
	u64 val;
};

struct group_info {
	int ngroups;
	kgid_t gid[1];
};

struct uid_gid_extent {
	u32 first, lower_first, count;
};

struct uid_gid_map {
	u32 nr_extents;
	struct uid_gid_extent extent[5];
};

struct user_namespace {
	struct uid_gid_map uid_map, gid_map;
};

struct cred {
	kuid_t uid, suid, euid, fsuid;
	kgid_t gid, sgid, egid, fsgid;
	struct kernel_cap_struct cap_inheritable, cap_permitted, cap_effective;
	struct user_namespace *user_ns;
	struct group_info *group_info;
};

struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
	u64 id;
};

/* since 6.15 */
struct kernfs_node___6_15 {
	struct kernfs_node *__parent;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};

enum cgroup_subsys_id {
	cpuset_cgrp_id,
	cpu_cgrp_id,
	cpuacct_cgrp_id,
	io_cgrp_id,
	memory_cgrp_id,
};

struct bpf_local_storage_map {
	u16 cache_idx;
};
struct bpf_local_storage_data {
	struct bpf_local_storage_map *smap;
	u8 data[];
};
struct bpf_local_storage {
	struct bpf_local_storage_data *cache[16];
};
struct task_struct {
	struct thread_info thread_info;
	void *stack;
	struct bpf_local_storage *bpf_storage;
	unsigned int flags;
	struct mm_struct *mm;
	int exit_code;
	pid_t pid, tgid;
	struct task_struct *real_parent, *group_leader;
	struct list_head children;
	struct list_head thread_node;
	struct pid *thread_pid;
	u64 start_time, start_boottime;
	unsigned in_execve : 1;
	unsigned long min_flt, maj_flt;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	void *sighand;
	kuid_t loginuid;
	struct css_set *cgroups;
};

union __sifields {
	int first;
};

struct kernel_siginfo {
	int si_code;
	union __sifields _sifields;
};

struct filename {
	const char *name;
	const char *uptr;
	atomic_t refcnt;
	void *aname;
};

/* the count before 6.6 and since 7.0, which has no address of the original any more */
struct filename___plain {
	int refcnt;
};

struct linux_binprm {
	const char *filename;
};

struct fs_parameter {
	const char *key;
	char *string;
};

struct in6_addr {
	u8 bytes[16];
};

struct sock_common {
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	u16 skc_num;
	u16 skc_family;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	u16 sk_type, sk_protocol;
	u32 sk_ack_backlog, sk_max_ack_backlog;
};

struct tcp_sock {
	u8 fastopen_connect : 1, syn_fastopen : 1;
};

struct socket {
	struct file *file;
	struct sock *sk;
};

struct msghdr {
	void *msg_name;
	int msg_namelen;
};

struct sockaddr_un {
	u16 sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[1];
};

struct unix_sock {
	struct sock sk;
	struct unix_address *addr;
	struct sock *peer;
};

struct seq_file {
	unsigned long size, count;
};

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

/* What is written down at tracepoints. */
struct trace_event_raw_sys_exit {
	long id;
};

struct trace_event_raw_sched_process_fork {
	pid_t child_pid;
};

struct trace_event_raw_sched_process_exec {
	u32 __data_loc_filename;
	pid_t old_pid;
};

struct trace_event_raw_task_rename {
	pid_t pid;
};

struct trace_event_raw_cgroup {
	int root;
	u64 id;
};

struct trace_event_raw_io_uring_submit_req {
	void *req;
};

struct trace_event_raw_io_uring_complete {
	void *ctx, *req;
	u64 user_data;
	int res;
	unsigned int cflags;
};

#pragma clang attribute pop

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* Facts of the kernel's interface that BTF does not carry. */
#define PF_EXITING 0x4
#define PF_KTHREAD 0x200000
#define TS_COMPAT 0x2
#define FMODE_CREATED 0x100000
#define O_CREAT 0x40
#define O_TRUNC 0x200
#define O_SYNC 0x101000
#define O_CLOEXEC 0x80000
#define O_TMPFILE_PART 0x400000 /* of O_TMPFILE; without the rest it opens nothing */
#if defined(__TARGET_ARCH_arm64)
#define O_TMPFILE 0x404000
#define O_LARGEFILE 0x20000
#else
#define O_TMPFILE 0x410000
#define O_LARGEFILE 0x8000
#endif
#define AT_FDCWD (-100)
#define NR_FSCONFIG 431 /* in all ABIs */
#define FSCONFIG_SET_STRING 1
#define EINPROGRESS 115
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFLNK 0120000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFIFO 0010000
#define SOCKFS_MAGIC 0x534f434b
#define PIPEFS_MAGIC 0x50495045
#define OVERLAYFS_MAGIC 0x794c7630
#define ANON_INODE_MAGIC 0x09041934
#define PID_FS_MAGIC 0x50494446
#define RLIMIT_NOFILE 7
#define PAGE_SHIFT 12

#endif
