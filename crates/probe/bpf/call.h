/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The number and the arguments of a system call, by architecture and ABI. */
#ifndef LANNER_CALL_H
#define LANNER_CALL_H

#include "record.h"
#include "task.h"

/* Whether the kernel hands out the current thread to be followed by plain loads: since 5.11. */
#define HAS_THIS_TASK bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)

/* It, or NULL. Not to be compared with NULL: older verifiers would follow that branch too. */
static __always_inline struct task_struct *this_task(void)
{
	if (HAS_THIS_TASK)
		return bpf_get_current_task_btf();
	never();
	return NULL;
}

/* The ids of what this_task gives: by loads, where that can be, which cost less than the helper. */
static __always_inline u32 tid_of(struct task_struct *task)
{
	return HAS_THIS_TASK ? (u32)task->pid : (u32)bpf_get_current_pid_tgid();
}

static __always_inline u32 pid_of_process(struct task_struct *task)
{
	return HAS_THIS_TASK ? (u32)task->tgid : (u32)(bpf_get_current_pid_tgid() >> 32);
}

#if defined(__TARGET_ARCH_x86)
static __always_inline u32 called_number(u64 number)
{
	return (u32)number & ~0x40000000u; /* the x32 ABI's mark */
}

static __always_inline u32 number_of(struct pt_regs *regs)
{
	return called_number(regs->orig_ax);
}

static __always_inline s64 result_of(struct pt_regs *regs)
{
	return regs->ax;
}

static __always_inline bool is_compat(struct task_struct *task)
{
	if (HAS_THIS_TASK)
		return task->thread_info.status & TS_COMPAT;
	return BPF_CORE_READ(current_task(), thread_info.status) & TS_COMPAT;
}

static __always_inline bool is_compat_task(struct task_struct *task)
{
	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}

static __always_inline u64 first_arg(struct pt_regs *regs, bool compat)
{
	return compat ? (u32)regs->bx : regs->di;
}

static __always_inline u64 second_arg(struct pt_regs *regs, bool compat)
{
	return compat ? (u32)regs->cx : regs->si;
}

static __always_inline u64 third_arg(struct pt_regs *regs, bool compat)
{
	return compat ? (u32)regs->dx : regs->dx;
}

static __always_inline u64 fourth_arg(struct pt_regs *regs, bool compat)
{
	return compat ? (u32)regs->si : regs->r10;
}

static __always_inline void read_args(struct scratch *s, struct pt_regs *regs)
{
	if (s->compat) {
		s->args[0] = (u32)regs->bx;
		s->args[1] = (u32)regs->cx;
		s->args[2] = (u32)regs->dx;
		s->args[3] = (u32)regs->si;
		s->args[4] = (u32)regs->di;
		s->args[5] = (u32)regs->bp;
		return;
	}
	s->args[0] = regs->di;
	s->args[1] = regs->si;
	s->args[2] = regs->dx;
	s->args[3] = regs->r10;
	s->args[4] = regs->r8;
	s->args[5] = regs->r9;
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline u32 called_number(u64 number)
{
	return number;
}

static __always_inline u32 number_of(struct pt_regs *regs)
{
	return (u32)regs->syscallno;
}

static __always_inline s64 result_of(struct pt_regs *regs)
{
	return regs->regs[0];
}

static __always_inline bool is_compat(struct task_struct *task)
{
	return BPF_CORE_READ(current_task(), thread_info.flags) & (1 << 22);
}

static __always_inline bool is_compat_task(struct task_struct *task)
{
	return BPF_CORE_READ(task, thread_info.flags) & (1 << 22);
}

static __always_inline u64 first_arg(struct pt_regs *regs, bool compat)
{
	return regs->orig_x0;
}

static __always_inline u64 second_arg(struct pt_regs *regs, bool compat)
{
	return regs->regs[1];
}

static __always_inline u64 third_arg(struct pt_regs *regs, bool compat)
{
	return regs->regs[2];
}

static __always_inline u64 fourth_arg(struct pt_regs *regs, bool compat)
{
	return regs->regs[3];
}

static __always_inline void read_args(struct scratch *s, struct pt_regs *regs)
{
	s->args[0] = regs->orig_x0;
	s->args[1] = regs->regs[1];
	s->args[2] = regs->regs[2];
	s->args[3] = regs->regs[3];
	s->args[4] = regs->regs[4];
	s->args[5] = regs->regs[5];
}
#endif

#endif
