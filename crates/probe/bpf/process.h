/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Threads that begin, execute and end. */
#ifndef LANNER_PROCESS_H
#define LANNER_PROCESS_H

#include "convert.h"
#include "copies.h"
#include "fds.h"
#include "names.h"
#include "homes.h"
#include "output.h"
#include "task.h"

#define ARGS_SHOWN 64 /* arguments of a failed exec that are looked at */

/* The executable's name and the arguments behind it, from the memory of the current process. */
__noinline int put_exe_and_args(void)
{
	struct scratch *s = get_scratch();
	struct mm_struct *mm = BPF_CORE_READ(current_task(), mm);
	u64 start, end;
	long n;

	if (!s)
		return 0;
	if (!mm) {
		put_empty(s);
		put_empty(s);
		return 0;
	}
	start = BPF_CORE_READ(mm, arg_start);
	end = BPF_CORE_READ(mm, arg_end);
	n = bpf_probe_read_user_str(cursor(s), TEXT_MAX, (void *)start);
	if (n < 0) {
		count_unreadable();
		n = 0;
	}
	end_param(s, n);
	start += n;
	end = end > start ? end - start : 0;
	if (n && end) {
		/* the argument list as a whole is at most TEXT_MAX long */
		u64 room = TEXT_MAX - (n & (TEXT_MAX - 1));

		put_user_bytes(start, end > room ? room : end);
		if (end > room)
			s->data[bounded(s->pos - 1, EVENT_MAX - 1)] = 0;
		return 0;
	}
	put_empty(s);
	return 0;
}

/* The environment of the current process. */
__noinline int put_environment(void)
{
	struct scratch *s = get_scratch();
	struct mm_struct *mm = BPF_CORE_READ(current_task(), mm);
	u64 start, len;

	if (!s)
		return 0;
	if (!mm) {
		put_empty(s);
		return 0;
	}
	start = BPF_CORE_READ(mm, env_start);
	len = BPF_CORE_READ(mm, env_end) - start;
	put_user_bytes(start, len);
	if (len > TEXT_MAX)
		s->data[bounded(s->pos - 1, EVENT_MAX - 1)] = 0;
	return 0;
}

/* The pointer at `index` of an array in user memory. */
static __always_inline u64 pointer_at(struct scratch *s, u64 array, u32 index)
{
	u64 at = 0;
	u32 half = 0;

	if (!s->compat) {
		bpf_probe_read_user(&at, 8, (void *)(array + 8 * index));
		return at;
	}
	bpf_probe_read_user(&half, 4, (void *)(array + 4 * index));
	return half;
}

/* The text that the first pointer of an array points to; without an array, the empty text. */
__noinline int put_first_text(u64 array)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	if (!array) {
		put_u8(s, 0);
		return 0;
	}
	return put_user_text(pointer_at(s, array, 0));
}

/* Goes on with the text at a place of such an array; 0: it was the last. */
__noinline int put_next_text(u64 array, u32 place)
{
	struct scratch *s = get_scratch();
	u64 at;
	long n;

	if (!s || !array || s->at >= TEXT_MAX)
		return 0;
	at = pointer_at(s, array, place);
	if (!at)
		return 0;
	n = bpf_probe_read_user_str(&s->data[bounded(s->pos + s->at, EVENT_MAX - 1)], TEXT_MAX, (void *)at);
	if (n <= 0)
		return 0;
	s->at += n;
	return 1;
}

/* Texts that an array of pointers in user memory points to, from `first` on. */
__noinline int put_pointed_texts(u64 array, u32 first)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	s->at = 0;
	for (u32 i = 0; i < ARGS_SHOWN; i++) {
		if (!put_next_text(array, first + i))
			break;
	}
	if (s->at > TEXT_MAX) {
		s->at = TEXT_MAX;
		s->data[bounded(s->pos + s->at - 1, EVENT_MAX - 1)] = 0;
	}
	end_param(s, s->at);
	return 0;
}

/* tid, pid, ptid */
static __always_inline void put_ids(struct scratch *s, struct task_struct *task)
{
	put_u64(s, BPF_CORE_READ(task, pid));
	put_u64(s, BPF_CORE_READ(task, tgid));
	put_u64(s, BPF_CORE_READ(task, real_parent, pid));
}

/* cwd, fdlimit, faults, memory, comm, cgroups */
__noinline int put_state(u64 at)
{
	struct scratch *s = get_scratch();
	struct task_struct *task = (void *)at;
	struct fs_struct *fs;

	if (!s)
		return 0;
	fs = BPF_CORE_READ(task, fs);
	put_path(fs ? (u64)&fs->pwd : 0);
	put_u64(s, fd_limit(task));
	put_u64(s, BPF_CORE_READ(task, maj_flt));
	put_u64(s, BPF_CORE_READ(task, min_flt));
	put_memory(s, BPF_CORE_READ(task, mm));
	put_comm(s, task);
	put_cgroups(at);
	return 0;
}

static __always_inline bool inside_pid_namespace(struct task_struct *task)
{
	struct pid_namespace *ns = pid_namespace_of(pid_of(task, PID_OF_THREAD));

	return ns && BPF_CORE_READ(ns, level) != 0;
}

/* flags, uid, gid, vtid, vpid, pidns_init_start_ts */
__noinline int put_clone_end(u64 at, u32 flags)
{
	struct scratch *s = get_scratch();
	struct task_struct *task = (void *)at;

	if (!s)
		return 0;
	put_u32(s, flags);
	put_u32(s, BPF_CORE_READ(task, cred, euid.val));
	put_u32(s, BPF_CORE_READ(task, cred, egid.val));
	put_u64(s, (s64)inner_id(pid_of(task, PID_OF_THREAD)));
	put_u64(s, (s64)inner_id(pid_of(task, PID_OF_PROCESS)));
	put_u64(s, pid_namespace_start(task));
	return 0;
}

/* The flags that a call of the clone family has, in the kernel's numbers. */
static __always_inline u64 asked_clone_flags(struct scratch *s)
{
	u64 flags = 0;

	if (s->type == EV_SYSCALL_CLONE_20_X)
		return s->args[0];
	if (s->type == EV_SYSCALL_VFORK_20_X)
		return 0x4100; /* CLONE_VFORK | CLONE_VM */
	if (s->type == EV_SYSCALL_CLONE3_X)
		bpf_probe_read_user(&flags, sizeof(flags), (void *)s->args[0]);
	return flags;
}

/* Whether the children's side is told. */
u8 births_told = 0;
/* Whether nobody wants to hear of a child from its parent too. */
u8 births_once = 0;

/* The parent's side of clone, clone3, fork and vfork; the child's is on_fork. */
SEC("tp_btf/sys_exit")
int clone(void *ctx)
{
	struct scratch *s = get_scratch();
	struct task_struct *task = current_task();
	struct pid_namespace *own, *children;
	u32 flags;

	if (!s || s->ret == 0)
		return 0;
	if (births_once && (s->ret < 0 || (births_told && want_fork)))
		return 0;
	begin(s, plan_of(s)->type);
	put_u64(s, s->ret);
	if (s->ret > 0) {
		put_exe_and_args();
	} else {
		put_empty(s);
		put_empty(s);
	}
	put_ids(s, task);
	put_state((u64)task);
	flags = convert(SET_CLONE_FLAGS, (u32)asked_clone_flags(s));
	own = pid_namespace_of(pid_of(task, PID_OF_THREAD));
	children = BPF_CORE_READ(task, nsproxy, pid_ns_for_children);
	if (own != children || inside_pid_namespace(task))
		flags |= FLAG_CLONE_FLAGS_CLONE_CHILD_IN_PIDNS;
	put_clone_end((u64)task, flags);
	submit();
	return 0;
}

static __always_inline u32 shared(bool same, u32 flag)
{
	return same ? flag : 0;
}

/* What parent and child share, by the kernel's own pointers. */
static __always_inline u32 kinship(struct task_struct *parent, struct task_struct *child)
{
	u32 flags = 0;

	if (BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid))
		flags |= FLAG_CLONE_FLAGS_CLONE_THREAD | FLAG_CLONE_FLAGS_CLONE_SIGHAND |
			 FLAG_CLONE_FLAGS_CLONE_VM;
	flags |= shared(BPF_CORE_READ(child, files) == BPF_CORE_READ(parent, files),
			FLAG_CLONE_FLAGS_CLONE_FILES);
	flags |= shared(BPF_CORE_READ(child, fs) == BPF_CORE_READ(parent, fs), FLAG_CLONE_FLAGS_CLONE_FS);
	flags |= shared(BPF_CORE_READ(child, mm) == BPF_CORE_READ(parent, mm), FLAG_CLONE_FLAGS_CLONE_VM);
	flags |= shared(BPF_CORE_READ(child, sighand) == BPF_CORE_READ(parent, sighand),
			FLAG_CLONE_FLAGS_CLONE_SIGHAND);
	flags |= shared(BPF_CORE_READ(child, real_parent) != parent &&
				BPF_CORE_READ(child, real_parent) == BPF_CORE_READ(parent, real_parent),
			FLAG_CLONE_FLAGS_CLONE_PARENT);
	flags |= shared(inside_pid_namespace(child), FLAG_CLONE_FLAGS_CLONE_CHILD_IN_PIDNS);
	return flags;
}

/* Namespaces that the child does not have in common with its parent. */
static __always_inline u32 new_namespaces(struct task_struct *parent, struct task_struct *child)
{
	struct nsproxy *old = BPF_CORE_READ(parent, nsproxy), *new = BPF_CORE_READ(child, nsproxy);
	u32 flags = 0;

	flags |= shared(BPF_CORE_READ(parent, cred, user_ns) != BPF_CORE_READ(child, cred, user_ns),
			FLAG_CLONE_FLAGS_CLONE_NEWUSER);
	if (!old || !new || old == new)
		return flags;
	flags |= shared(BPF_CORE_READ(old, uts_ns) != BPF_CORE_READ(new, uts_ns), FLAG_CLONE_FLAGS_CLONE_NEWUTS);
	flags |= shared(BPF_CORE_READ(old, ipc_ns) != BPF_CORE_READ(new, ipc_ns), FLAG_CLONE_FLAGS_CLONE_NEWIPC);
	flags |= shared(BPF_CORE_READ(old, mnt_ns) != BPF_CORE_READ(new, mnt_ns), FLAG_CLONE_FLAGS_CLONE_NEWNS);
	flags |= shared(BPF_CORE_READ(old, net_ns) != BPF_CORE_READ(new, net_ns), FLAG_CLONE_FLAGS_CLONE_NEWNET);
	flags |= shared(BPF_CORE_READ(old, cgroup_ns) != BPF_CORE_READ(new, cgroup_ns),
			FLAG_CLONE_FLAGS_CLONE_NEWCGROUP);
	flags |= shared(BPF_CORE_READ(old, pid_ns_for_children) != BPF_CORE_READ(new, pid_ns_for_children),
			FLAG_CLONE_FLAGS_CLONE_NEWPID);
	return flags;
}

/*
 * Reads the call that the current thread is in, as on_syscall does at its end; says the type of its event if
 * it is one of the clone family. Kernels before 5.15 do not tell.
 */
static __always_inline u32 forking_call(struct scratch *s, struct task_struct *parent)
{
	struct pt_regs *regs;
	const struct plan *plan;
	u64 nr;

	if (!HAS_REGS || BPF_CORE_READ(parent, flags) & PF_KTHREAD)
		return 0;
	regs = regs_of_caller();
	nr = bounded(number_of(regs), NUMBERS - 1);
	s->compat = is_compat(this_task());
	s->plan = plan_wanted(wanted[nr], s->compat) - 1;
	plan = plan_of(s);
	read_args(s, regs);
	return plan->program == PROGRAM_CLONE ? plan->type : 0;
}

static __always_inline void tell_birth(struct task_struct *parent, struct task_struct *child)
{
	struct scratch *s;
	u32 type, flags;

	if (!want_fork || BPF_CORE_READ(child, flags) & PF_KTHREAD || skipped())
		return;
	s = get_scratch();
	if (!s) {
		count_lost(EV_SYSCALL_CLONE_20_X, LOST_NO_BUFFER);
		return;
	}
	type = forking_call(s, parent);
	begin_at(s, type ? type : EV_SYSCALL_CLONE_20_X, boot_time + bpf_ktime_get_boot_ns(),
		 BPF_CORE_READ(child, pid));
	put_u64(s, 0);
	put_exe_and_args();
	put_ids(s, child);
	put_state((u64)child);
	flags = kinship(parent, child) | new_namespaces(parent, child);
	/* those of clone stand in a register, those of clone3 in memory that may have changed */
	if (type && type != EV_SYSCALL_CLONE3_X)
		flags |= convert(SET_CLONE_FLAGS, (u32)asked_clone_flags(s));
	put_clone_end((u64)child, flags);
	doubt_name(child);
	tell_home(s, child, submit());
}

/*
 * The child's side: written while the parent is still in its call, so that it comes before everything that
 * the child does.
 */
SEC("tp_btf/sched_process_fork")
int on_fork(u64 *ctx)
{
	struct task_struct *child = recorded ? RECORDED_TASK(ctx, sched_process_fork, child_pid)
					     : CALLED_WITH(struct task_struct *, ctx, 1);

	if (recorded && !child) {
		count_lost(EV_SYSCALL_CLONE_20_X, LOST_NO_BUFFER);
		return 0;
	}
	if (can_hide && hiding && child->pid == child->tgid)
		inherit_notes(child);
	tell_birth(current_task(), untyped(child));
	if (recorded)
		bpf_task_release(child);
	return 0;
}

/* tty, vpgid, loginuid, flags, capabilities, inode and times, uid, trusted_exepath, pgid, gid */
__noinline int put_exec_end(u64 at)
{
	struct scratch *s = get_scratch();
	struct task_struct *task = (void *)at;
	struct file *file;
	struct inode *inode;

	if (!s)
		return 0;
	file = BPF_CORE_READ(task, mm, exe_file);
	inode = file ? BPF_CORE_READ(file, f_inode) : NULL;
	put_u32(s, terminal_of(task));
	put_u64(s, (s64)inner_id(pid_of(task, PID_OF_GROUP)));
	put_u32(s, login_user(task));
	put_u32(s, exe_flags(at, (u64)file));
	put_u64(s, raw_caps(task, CAPS_INHERITABLE));
	put_u64(s, raw_caps(task, CAPS_PERMITTED));
	put_u64(s, raw_caps(task, CAPS_EFFECTIVE));
	put_inode_times(s, inode);
	put_u32(s, BPF_CORE_READ(task, cred, euid.val));
	put_path(path_of_file(file));
	put_u64(s, (s64)outer_id(pid_of(task, PID_OF_GROUP)));
	put_u32(s, BPF_CORE_READ(task, cred, egid.val));
	return 0;
}

SEC("tp_btf/sched_process_exec")
int on_exec(u64 *ctx)
{
	struct task_struct *executing = recorded ? bpf_get_current_task_btf() : CALLED_WITH(struct task_struct *, ctx, 0);
	pid_t old_pid = recorded ? RECORD_READ(ctx, sched_process_exec, old_pid) : CALLED_WITH(pid_t, ctx, 1);
	struct task_struct *task = untyped(executing);
	struct scratch *s;
	u64 doubted;

	/* what is noted is gone with the first thread, whose place another has taken */
	if (can_hide && hiding && old_pid != executing->pid)
		doubt_all();
	forget_name(executing->pid);
	if (old_pid != executing->pid) {
		forget_name(old_pid);
		forget_home(old_pid);
	}
	if (!want_exec || skipped())
		return 0;
	s = get_scratch();
	if (!s) {
		count_lost(EV_SYSCALL_EXECVE_19_X, LOST_NO_BUFFER);
		return 0;
	}
	doubted = doubt_home(task, inside_pid_namespace(task));
	begin(s, EV_SYSCALL_EXECVE_19_X);
	put_u64(s, 0);
	put_exe_and_args();
	put_ids(s, task);
	put_state((u64)task);
	/* it was moved in between */
	if (doubted && doubted != s->told_cgroup)
		count_unsure_home();
	put_environment();
	put_exec_end((u64)task);
	/* of a text a record says in the lower half of a number where in it that is */
	put_kernel_text(recorded ? (u64)plain(ctx) + (u16)RECORD_READ(ctx, sched_process_exec, __data_loc_filename)
				 : (u64)BPF_CORE_READ(CALLED_WITH(struct linux_binprm *, ctx, 2), filename));
	tell_home(s, task, submit());
	return 0;
}

/* An execve or execveat that failed; the successful ones are on_exec's. */
SEC("tp_btf/sys_exit")
int execve(void *ctx)
{
	struct scratch *s = get_scratch();
	struct task_struct *task = current_task();
	bool at;
	u32 first;

	if (!s)
		return 0;
	if (s->ret >= 0) {
		end_copies(s->plan);
		return 0;
	}
	at = plan_of(s)->type == EV_SYSCALL_EXECVEAT_X;
	first = at ? 2 : 1;
	begin(s, plan_of(s)->type);
	put_u64(s, s->ret);
	put_first_text(s->args[first & 3]);
	put_pointed_texts(s->args[first & 3], 1);
	put_ids(s, task);
	put_state((u64)task);
	put_pointed_texts(s->args[(first + 1) & 3], 0);
	put_exec_end((u64)task);
	if (!at)
		put_name(s, s->args[0], 0);
	submit();
	end_copies(s->plan);
	return 0;
}

#endif
