// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The programs that watch the running kernel.
 *
 * on_syscall runs at the end of every system call of the host, so it decides in a few instructions whether
 * anyone wants the call; what is wanted goes on in another program by a tail call.
 */
#include "event.h"
#include "output.h"

/* For each number the plan of the native call, plus one, and above 16 bits that of the 32-bit call; 0: not wanted. */
u32 wanted[NUMBERS] = {};
/* The plans of the calls that the 32-bit socketcall stands for. */
u16 socketcall_plans[SOCKETCALLS_ROOM] = {};
u8 want_exec = 0;
u8 want_fork = 0;
u8 want_exit = 0;
/* Calls that failed are not wanted; set before loading. */
const volatile u8 drop_failed = 0;
/* Processes whose events are not wanted. */
u32 skip_pids[8] = {};
u32 skip_count = 0;

/* The plan of a call, plus one; 0: not wanted. */
static __always_inline u64 plan_wanted(u64 wanted, bool compat)
{
	return wanted >> (compat ? 16 : 0) & 0xffff;
}

static __always_inline bool is_skipped(u32 pid)
{
	for (u32 i = 0; i < 8; i++) {
		if (i >= skip_count)
			return false;
		if (skip_pids[i] == pid)
			return true;
	}
	return false;
}

static __always_inline bool skipped(void)
{
	return is_skipped(bpf_get_current_pid_tgid() >> 32);
}

#include "call.h"
#include "exit.h"
#include "interpret.h"
#include "sieve.h"
#include "glance.h"
#include "process.h"

/* What a 32-bit socketcall stands for: its number in argument 0, its arguments behind argument 1. */
static __always_inline u64 unpack_socketcall(struct scratch *s)
{
	u32 call = s->args[0], args[6] = {};

	bpf_probe_read_user(args, sizeof(args), (void *)s->args[1]);
	for (int i = 0; i < 6; i++)
		s->args[i] = args[i];
	s->args[0] = (u32)fd_copy(s->nr, s->compat, args[0]);
	return bounded(call, SOCKETCALLS_ROOM - 1);
}

#include "points.h"
#include "keep.h"
#include "turn.h"
#include "uring.h"
#include "cgroups.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, PROGRAMS + 1); /* set by the loader; the last is what the small programs at functions call */
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} programs SEC(".maps");

/* The program that tells of a call that has ended, plus one; 0: nobody need be told. */
static __always_inline u32 program_for(struct scratch *s, struct task_struct *task, struct pt_regs *regs, u64 plan,
				       bool compat, s64 ret)
{
	u64 lately = s->lately;

	s->lately = 0;
	s->compat = compat;
	s->nr = number_of(regs);
	s->file_known = 0;
	s->asked_from = 0;
	s->socket_class = 0;
	s->ends_told = 0;
	s->revealed = 0;
	s->ret = compat ? (s32)ret : ret;
	read_args(s, regs);
	/* what may be noted first by this call is to be found at the next */
	if (!s->caller.notes)
		s->caller.regs = 0;
	if (drop_failed && s->ret < 0) {
		end_copies(plan - 1);
		return 0;
	}
	if (compat && plan == PLAN_SOCKETCALL) {
		/* of which it isn't known before what it is */
		plan = socketcall_plans[unpack_socketcall(s)];
		if (!plan || plan > PLANS) {
			if (can_keep && keeping)
				forget_copies();
			return 0;
		}
	}
	s->plan = plan - 1;
	s->tid = tid_of(task);
	if (can_cast)
		s->task = (u64)task;
	if (!passes(s, task, lately) || is_skipped(pid_of_process(task))) {
		end_copies(s->plan);
		return 0;
	}
	return plan_of(s)->program + 1;
}

/* The current thread, as it is found with the least effort. */
static __always_inline struct task_struct *who_called(struct scratch *s, struct pt_regs *regs)
{
	if (HAS_NOTES_AT_HAND)
		return known_caller(s, regs);
	never();
	return this_task();
}

/* Whether anyone wants the end of calls of a number, in either ABI. */
static __always_inline bool is_wanted(u64 called)
{
	u64 nr = bounded(called, NUMBERS - 1);

	return wanted[nr] && nr == called;
}

/* The end of a call; `ctx` is what the program was given. */
static __always_inline int end_of_call(void *ctx, struct pt_regs *regs, s64 ret, bool at_function)
{
	u64 called = number_of(regs), nr = bounded(called, NUMBERS - 1), plans_wanted = wanted[nr], plan;
	struct task_struct *task;
	struct scratch *s;
	u32 program;
	bool compat;

	if (!plans_wanted || nr != called)
		return 0;
	s = get_scratch();
	if (unusual(!s)) {
		count_lost(plans[bounded(plan_wanted(plans_wanted, false) - 1, PLANS_ROOM - 1)].type, LOST_NO_BUFFER);
		return 0;
	}
	task = who_called(s, regs);
	compat = is_compat(task);
	plan = plan_wanted(plans_wanted, compat);
	if (unusual(!plan || !is_turn(at_function)))
		return 0;
	if (usual(!compat && is_settled(s, task, plan - 1, regs, ret))) {
		end_copies(plan - 1);
		return 0;
	}
	program = program_for(s, task, regs, plan, compat, ret);
	if (!program)
		return 0;
	bpf_tail_call(ctx, &programs, program - 1);
	count_lost(plan_of(s)->type, LOST_NO_PROGRAM);
	return 0;
}

SEC("tp_btf/sys_exit")
int on_syscall(u64 *ctx)
{
	struct pt_regs *regs;

	if (!recorded) {
		regs = CALLED_WITH(struct pt_regs *, ctx, 0);
	} else {
		/* the registers are to be had from the thread, which takes longer */
		if (!is_wanted(called_number(((struct trace_event_raw_sys_exit *)ctx)->id)))
			return 0;
		regs = regs_of_current();
	}
	return end_of_call(ctx, regs, result_of(regs), false);
}

/*
 * The same at the end of the call's own function, for which the loader names one. It and what it calls are loaded
 * once for all functions of one prototype; at each function is a small program that does nothing but call it.
 */
SEC("?fexit")
int BPF_PROG(on_return, struct pt_regs *regs, long ret)
{
	return end_of_call(ctx, regs, ret, true);
}

/* Whether the kernel's function that filters calls takes an argument; set before loading. */
const volatile u8 filter_takes_one = 0;

/* A call that a filter (seccomp) did not let through to its function. Its result is already in the registers. */
SEC("?fexit")
int BPF_PROG(on_denied)
{
	struct pt_regs *regs;
	int verdict;

	/* two loads, for the verifier wants no computed place */
	if (filter_takes_one) {
		verdict = ctx[1];
		asm volatile("" : "+r"(verdict));
	} else {
		verdict = ctx[0];
	}
	if (verdict != -1 || !HAS_REGS)
		return 0;
	regs = regs_of_caller();
	return end_of_call(ctx, regs, result_of(regs), true);
}

char LICENSE[] SEC("license") = "GPL and additional rights";
