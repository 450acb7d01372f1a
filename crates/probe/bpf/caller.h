/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Reading a short text of the caller's memory by plain loads. The kernel has the machine's memory mapped as a whole;
 * where in it a page of the caller's lies stands in the caller's page tables (arch/x86/include/asm/pgtable_types.h).
 * To follow these costs a sixth of what the helper does, which opens the caller's memory for reading and waits until
 * all that is under way has ended.
 *
 * A page can be moved, and page tables given back, while they are read. But before the kernel gives either to another
 * use, it has every CPU forget where they were, and counts how often it had to (arch/x86/mm/tlb.c, tlb_gen): if that
 * is the same afterwards, what was read is the caller's. Plain loads give 0 where nothing is. Whenever anything is
 * other than expected, the helper reads. Most paths lie in the page that one was read from last, whose place is known
 * as long as nothing had to be forgotten.
 */
#ifndef LANNER_CALLER_H
#define LANNER_CALLER_H

#include "copies.h"
#include "fds.h"
#include "sockets.h"

/* Where the kernel has all memory mapped; 0: not known, or not to be used. */
u64 direct_map = 0;
/* Whether page tables have five levels. */
u8 five_levels = 0;

#define PAGE_SIZE (1ull << PAGE_SHIFT)
#define TOP_OF_CALLERS 0x00007fffffffefffull /* what lies above, with five levels, is left to the helper */
#define PRESENT 1
#define HUGE 0x80
#define FRAME 0x000ffffffffff000ull
#define TEXT_WORDS 32

/* The entry for an address of the caller's in a table, each entry of which stands for 1 << `shift` bytes. */
static __always_inline u64 entry_of(u64 table, u64 user, u32 shift)
{
	return load_word(table + ((user >> shift & 511) << 3));
}

/* Where the byte lies in the mapping of all memory, if that begins at `base`; 0 if it isn't there. */
static __always_inline u64 place_of(u64 table, u64 base, u64 user, bool five)
{
	u64 entry;

	if (user > TOP_OF_CALLERS)
		return 0;
	if (five) {
		entry = entry_of(table, user, 48);
		if (!(entry & PRESENT))
			return 0;
		table = base + (entry & FRAME);
	}
	entry = entry_of(table, user, 39);
	if (!(entry & PRESENT))
		return 0;
	/* a quarter, half and 1 GB, 2 MB, 4 kB */
	for (u32 shift = 30; shift > PAGE_SHIFT; shift -= 9) {
		u64 within = (1ull << shift) - 1;

		entry = entry_of(base + (entry & FRAME), user, shift);
		if (!(entry & PRESENT))
			return 0;
		if (entry & HUGE)
			return base + (entry & FRAME & ~within) + (user & within);
	}
	entry = entry_of(base + (entry & FRAME), user, PAGE_SHIFT);
	return entry & PRESENT ? base + (entry & FRAME) + (user & (PAGE_SIZE - 1)) : 0;
}

#if defined(__TARGET_ARCH_x86)
#define HAS_FLUSHES bpf_core_field_exists(struct mm_struct, context)

/* The page tables; not as the pointer that they are, with which the verifier lets nobody reckon. */
static __always_inline u64 tables_of(struct mm_struct *memory)
{
	return load_word((u64)__builtin_preserve_access_index(&memory->pgd));
}

/* How often CPUs had to forget where memory lies in the machine; read each time. */
static __always_inline u64 flushes_of(struct mm_struct *memory)
{
	u64 count;

	barrier();
	count = memory->context.tlb_gen.counter;
	barrier();
	return count;
}

/* Whether the page is the one that was read last, and lies where it did. */
static __always_inline bool is_page_known(struct scratch *s, u64 memory, u64 flushes, u64 user)
{
	return s->page_user == (user & ~(PAGE_SIZE - 1)) && s->page_flushes == flushes && s->page_of == memory;
}

/*
 * Reads a text into `asked`, as bpf_probe_read_user_str would; 0 if it must be read by that. What lies in the
 * buffer behind the text's end is the caller's too.
 */
static __always_inline long read_mapped(struct scratch *s, u64 user)
{
	struct mm_struct *mm;
	u64 place, base = direct_map, memory, flushes;
	u8 *to = &s->asked[ASKED_START];
	u32 within = user & (PAGE_SIZE - 1), room = PAGE_SIZE - within;

	if (!can_cast || !HAS_FLUSHES || !base)
		return 0;
	mm = AS(task_struct, s->task)->mm;
	memory = mm->context.ctx_id;
	flushes = flushes_of(mm);
	if (is_page_known(s, memory, flushes, user))
		place = s->page_place + within;
	else
		place = place_of(tables_of(mm), base, user, five_levels);
	if (!place)
		return 0;
	s->asked_len = 0;
	for (u32 i = 0; i < TEXT_WORDS; i++) {
		u32 at = i * 8;
		u64 word, ends;

		barrier_var(at);
		if (at + 8 > room)
			return 0;
		word = load_word(place + at);
		*(u64 *)(to + at) = word;
		ends = zeros(word);
		if (ends) {
			s->asked_len = at + bytes_to_first(ends);
			break;
		}
	}
	if (flushes_of(mm) != flushes)
		return 0;
	s->page_of = memory;
	s->page_flushes = flushes;
	s->page_user = user - within;
	s->page_place = place - within;
	/* in memory, so that the verifier takes what the loop's rounds find for one */
	return *(volatile u32 *)&s->asked_len;
}

#else
static __always_inline long read_mapped(struct scratch *s, u64 user)
{
	return 0;
}
#endif

/* Reads the name at an address of the caller's memory into `asked`; as bpf_probe_read_user_str. */
static __always_inline long read_asked(struct scratch *s, u64 user, u32 older)
{
	u8 *to = &s->asked[ASKED_START];
	u64 copy = can_keep ? copy_at(user, older) : 0;
	long n;

	if (copy)
		return bpf_probe_read_kernel_str(to, ASKED_MOST + 2, (void *)copy);
	n = read_mapped(s, user);
	return n ? n : bpf_probe_read_user_str(to, ASKED_MOST + 2, (void *)user);
}

/*
 * Run by the loader, for one guess after the other: whether all memory is mapped `args[2]` GB below the GB that the
 * loader's own page tables are in. It is if the loader's memory at `args[0]` is `args[1]` by way of it.
 */
SEC("?raw_tp")
int find_direct_map(u64 *args)
{
#if defined(__TARGET_ARCH_x86)
	u64 table, base, place, five = args[3];

	if (!can_cast)
		return 0;
	regs_behind = (u64)plain(regs_of_caller()) - (u64)followed(bpf_get_current_task_btf())->stack;
	if (!HAS_FLUSHES)
		return 0;
	table = tables_of(followed(bpf_get_current_task_btf())->mm);
	base = (table & ~((1ull << 30) - 1)) - (args[2] << 30);
	place = place_of(table, base, args[0], five);
	if (!place || load_word(place) != args[1])
		return 0;
	/* while it is at it */
	find_kept(&kept_near, (u64)plain(&near_fds));
	find_kept(&kept_far, (u64)plain(&far_fds));
	find_kept(&kept_sockets, (u64)plain(&told_sockets));
	direct_map = base;
	five_levels = five;
	return 1;
#else
	return 0;
#endif
}

#endif
