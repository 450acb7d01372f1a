/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Programs of points that few ask for: the beginning of calls, signals, the scheduler. Each is attached only
 * while one of its events is wanted.
 */
#ifndef LANNER_POINTS_H
#define LANNER_POINTS_H

#include "interpret.h"

/* The plan of what is told at the beginning of each call, plus one; 0: nothing. */
u16 native_entries[NUMBERS] = {};
u16 ia32_entries[NUMBERS] = {};
u16 socketcall_entries[SOCKETCALLS_ROOM] = {};

SEC("tp_btf/sys_enter")
int on_enter(u64 *ctx)
{
	struct pt_regs *regs = recorded ? regs_of_caller() : CALLED_WITH(struct pt_regs *, ctx, 0);
	u32 called = number_of(regs), plan;
	u64 nr = bounded(called, NUMBERS - 1);
	bool compat = is_compat(this_task());
	struct scratch *s;

	plan = compat ? ia32_entries[nr] : native_entries[nr];
	if (!plan || nr != called || skipped())
		return 0;
	s = get_scratch();
	if (!s)
		return 0;
	s->compat = compat;
	s->nr = nr;
	/* nothing has been opened yet */
	s->file_known = 1;
	s->file = 0;
	s->ret = -1;
	s->asked_from = 0;
	s->tid = tid_of(this_task());
	read_args(s, regs);
	if (plan == PLAN_SOCKETCALL)
		plan = socketcall_entries[unpack_socketcall(s)];
	if (!plan || plan > PLANS)
		return 0;
	s->plan = plan - 1;
	write_event();
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempted, struct task_struct *leaving, struct task_struct *coming)
{
	struct task_struct *prev = untyped(leaving), *next = untyped(coming);
	struct scratch *s = get_scratch();

	if (!s) {
		count_lost(EV_SCHEDSWITCH_6_E, LOST_NO_BUFFER);
		return 0;
	}
	begin(s, EV_SCHEDSWITCH_6_E);
	put_u64(s, BPF_CORE_READ(next, pid));
	put_u64(s, BPF_CORE_READ(prev, maj_flt));
	put_u64(s, BPF_CORE_READ(prev, min_flt));
	put_memory(s, BPF_CORE_READ(prev, mm));
	submit();
	return 0;
}

#define SIGHUP 1
#define SIGINT 2
#define SIGQUIT 3
#define SIGKILL 9
#define SIGTERM 15
#define SIGCHLD 17
#define SIGTSTP 20
#define SIGRTMIN 32
#define SIGRTMAX 64

/* Whether a signal's information begins with the process that sent it. */
static __always_inline bool has_sender(int signal, int code)
{
	switch (signal) {
	case SIGKILL:
	case SIGCHLD:
		return true;
	case SIGHUP:
	case SIGINT:
	case SIGQUIT:
	case SIGTERM:
	case SIGTSTP:
		return code <= 0;
	}
	return signal >= SIGRTMIN && signal <= SIGRTMAX;
}

SEC("tp_btf/signal_deliver")
int BPF_PROG(on_signal, int signal, struct kernel_siginfo *info)
{
	struct scratch *s;
	s32 sender = 0, code = 0;

	if (skipped())
		return 0;
	s = get_scratch();
	if (!s) {
		count_lost(EV_SIGNALDELIVER_E, LOST_NO_BUFFER);
		return 0;
	}
	bpf_probe_read_kernel(&code, sizeof(code), (void *)info + bpf_core_field_offset(struct kernel_siginfo, si_code));
	if (has_sender(signal, code))
		bpf_probe_read_kernel(&sender, sizeof(sender),
				      (void *)info + bpf_core_field_offset(struct kernel_siginfo, _sifields));
	begin(s, EV_SIGNALDELIVER_E);
	put_u64(s, (s64)sender);
	put_u64(s, (u32)bpf_get_current_pid_tgid());
	put_u8(s, signal);
	submit();
	return 0;
}

#endif
