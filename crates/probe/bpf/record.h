/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a program at a tracepoint is given: what the kernel calls the tracepoint with or, where `recorded`, what it
 * writes down there for perf. Since 7.0 only the latter is done without another thread taking the CPU meanwhile (its
 * include/trace/perf.h); a program that is stopped for another thread is left out for that one, whatever it does.
 */
#ifndef LANNER_RECORD_H
#define LANNER_RECORD_H

#include "peek.h"

/* Set before loading. */
const volatile u8 recorded = 0;

/* Since 6.2; in programs at records since 6.12. */
extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *task) __ksym __weak;

/*
 * What the tracepoint was called with, by its place there. The verifier wants each loaded from a place that stands in the
 * instruction; a compiler would choose the place first and then load.
 */
#define CALLED_WITH(type, ctx, place)                                                                          \
	({                                                                                                     \
		u64 __value;                                                                                   \
		asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(__value) : "r"(ctx), "i"((place) * 8));           \
		(type)__value;                                                                                 \
	})

/* A field of the record that a program was given. */
#define RECORD_READ(record, type, field)                                                                       \
	({                                                                                                     \
		typeof(((struct trace_event_raw_##type *)0)->field) __value = 0;                               \
		bpf_probe_read_kernel(&__value, sizeof(__value),                                               \
				      (void *)(record) + bpf_core_field_offset(struct trace_event_raw_##type, field)); \
		__value;                                                                                       \
	})

/* The thread that a record names by its id. It is to be released. */
#define RECORDED_TASK(record, type, field) bpf_task_from_pid(RECORD_READ(record, type, field))

/* Whether the kernel tells where a thread's registers are: since 5.15. */
#define HAS_REGS bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)

/* The registers of the current thread's call, or NULL. */
static __always_inline struct pt_regs *regs_of_caller(void)
{
	return HAS_REGS ? (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf()) : NULL;
}

/* How far behind the beginning of a thread's stack in the kernel its call's registers lie; 0: not known. */
u64 regs_behind = 0;

/* The same as above with less effort, for the hottest of all programs. Only where HAS_REGS. */
static __always_inline struct pt_regs *regs_of_current(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 behind = regs_behind;

	if (!can_cast)
		return (struct pt_regs *)bpf_task_pt_regs(task);
	/* numbers, so that the verifier finds the same thing either way */
	return AS(pt_regs, behind ? (u64)task->stack + behind : bpf_task_pt_regs(task));
}

#endif
