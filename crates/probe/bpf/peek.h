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
#pragma clang attribute pop

/* Reads `size` bytes of the kernel's memory; 0 unless that failed. */
static __always_inline long peek(void *to, u32 size, const void *from)
{
	if (can_cast && size == 8) {
		*(u64 *)to = AS(rb_node, from)->__rb_parent_color;
		return 0;
	}
	if (can_cast && size == 4) {
		*(u32 *)to = AS(seqcount, from)->sequence;
		return 0;
	}
	if (can_cast && size == 2) {
		*(u16 *)to = AS(sockaddr, from)->sa_family;
		return 0;
	}
	return bpf_probe_read_kernel(to, size, from);
}

/* What BPF_CORE_READ is made of. */
#undef bpf_core_read
#define bpf_core_read(to, size, from) peek(to, size, (const void *)__builtin_preserve_access_index(from))

#endif
