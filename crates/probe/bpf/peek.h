/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Reading the kernel's memory. Since 6.2 a program may say what an address points to and then follow it by plain
 * loads, which give 0 where nothing is: each costs less than a nanosecond, reading by a helper twenty.
 */
#ifndef LANNER_PEEK_H
#define LANNER_PEEK_H

#include "kernel.h"
#include "tables.h"

/* Whether the kernel lets a program say so; set before loading. */
const volatile u8 can_cast = 0;

extern void *bpf_rdonly_cast(const void *address, u32 type) __ksym __weak;

/* What is at an address, for plain loads. The loader puts the kernel's number of the type in the place of CAST_*. */
#define AS(type, address) ((struct type *)bpf_rdonly_cast((const void *)(address), CAST_##type))

/* Types of the kernel that begin with a number, by which any address can be read as one. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct rb_node {
	unsigned long __rb_parent_color;
};
struct seqcount {
	unsigned int sequence;
};
struct sockaddr {
	u16 sa_family;
};
struct bpf_insn {
	u8 code;
};
#pragma clang attribute pop

/*
 * Stands in a branch that the verifier finds never taken where the kernel has what is asked for. It removes none that goes
 * where another does, so that this one goes to an instruction of its own, which does nothing.
 */
static __always_inline void never(void)
{
	asm volatile("goto +0");
}

/* The word at an address, where programs may say what that points to. */
static __always_inline u64 load_word(u64 address)
{
	return AS(rb_node, address)->__rb_parent_color;
}

static __always_inline u8 load_byte(u64 address)
{
	return AS(bpf_insn, address)->code;
}

/* The words from an address on, of which the first dozen can be loaded there: as many as a thread's registers are. */
static __always_inline const u64 *load_words(u64 address)
{
	return (const u64 *)AS(pt_regs, address);
}

/* Reads `size` bytes of the kernel's memory; 0 unless that failed. */
static __always_inline long peek(void *to, u32 size, const void *from)
{
	if (size == 8 && can_cast) {
		*(u64 *)to = load_word((u64)from);
		return 0;
	}
	if (size == 4 && can_cast) {
		*(u32 *)to = AS(seqcount, from)->sequence;
		return 0;
	}
	if (size == 2 && can_cast) {
		*(u16 *)to = AS(sockaddr, from)->sa_family;
		return 0;
	}
	return bpf_probe_read_kernel(to, size, from);
}

/* What BPF_CORE_READ is made of. */
#undef bpf_core_read
#define bpf_core_read(to, size, from) peek(to, size, (const void *)__builtin_preserve_access_index(from))

#endif
