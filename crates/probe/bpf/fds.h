/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What user space knows of the fds of a process: which were opened without anybody being told, and which were closed
 * so. Before an event that uses such an fd, what it is now is told.
 *
 * A note may outlive its fd, as when a new program closes some, and stays when nobody is told of a close: whatever
 * makes an fd that is told ends it. A process for which nothing is noted has no such fds, and nothing is left out in fd
 * tables that processes share.
 */
#ifndef LANNER_FDS_H
#define LANNER_FDS_H

#include "file.h"
#include "output.h"
#include "words.h"

#define HIDDEN_MOST 1024 /* a power of two */
#define NEAR_FDS 64	 /* as many as one word has bits */

/* What fcntl does. */
enum { COMMAND_DUPFD = 0, COMMAND_SETFD = 2, COMMAND_DUPFD_CLOEXEC = 1030 };

/* Whether the call is one of fcntl that makes an fd. */
static __always_inline bool copies_fd(struct scratch *s)
{
	return (u32)s->args[1] == COMMAND_DUPFD || (u32)s->args[1] == COMMAND_DUPFD_CLOEXEC;
}

/* What is noted of an fd. */
enum {
	NOT_NOTED, /* what user space takes it for, if for anything, is true */
	HIDDEN,	   /* it takes it for nothing, or for a plain file that it is no longer */
	TOLD,	   /* a plain file or a directory, and user space was told so when it got the number */
	UNSURE,	   /* any of these */
};
#define KNOWLEDGE 3 /* the bits of the above */
/* Set beside HIDDEN: user space takes it for nothing, which is true once it is closed. */
#define UNHEARD_OF 4

static __always_inline bool says_hidden(u32 note)
{
	return (note & KNOWLEDGE) == HIDDEN;
}

/*
 * A byte for each fd, so that threads that open and close at once don't undo each other's notes. The first ones have a place
 * of their own, for most processes have no others, and what is small is made and inherited for less.
 */
struct near_notes {
	u8 fds[NEAR_FDS] __attribute__((aligned(8)));
};

struct far_notes {
	u8 fds[HIDDEN_MOST] __attribute__((aligned(8))); /* those of the first are not used */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct near_notes);
} near_fds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct far_notes);
} far_fds SEC(".maps");

/* Whether the kernel has such maps for these programs; set before loading. */
const volatile u8 can_hide = 0;
/* Whether any fd has been hidden yet. */
u8 hiding = 0;

#define NEAR_WORDS (NEAR_FDS / 8)
#define FAR_WORDS (HIDDEN_MOST / 8)
#define ALL_UNSURE (0x0101010101010101ull * UNSURE)

/* Standard input, output and error are looked at without being used: of them no close is left out. */
#define STANDARD_FDS 3

/* Where the kernel has a map of what is kept with threads, 0: not known; and where a thread's storage has its part of it. */
struct kept {
	u64 map, place;
};

/* Of notes, and of sockets; see sockets.h. */
struct kept kept_near = {};
struct kept kept_far = {};
struct kept kept_sockets = {};

/* Whether the kernel has of a thread's memory what is looked at here. */
#define HAS_STORAGE                                                        \
	(bpf_core_field_exists(struct task_struct, bpf_storage) &&         \
	 bpf_core_field_exists(struct bpf_local_storage, cache) &&         \
	 bpf_core_field_exists(struct bpf_local_storage_map, cache_idx) && \
	 bpf_core_field_exists(struct bpf_local_storage_data, data))

/* Run once for each map by the loader. */
static __always_inline void find_kept(struct kept *kept, u64 address)
{
	struct bpf_local_storage_map *map = (void *)address;
	u64 part;

	if (!HAS_STORAGE)
		return;
	part = BPF_CORE_READ(map, cache_idx) & 15;
	kept->place = bpf_core_field_offset(struct bpf_local_storage, cache) + 8 * part;
	kept->map = address;
}

#define NOT_AT_HAND 0xff
#define STORAGE_MOST 0xfff /* more than a thread's storage is long, for the verifier */

/* Whether what is noted of an fd can be read by loads alone. */
#define HAS_NOTES_AT_HAND (can_cast && HAS_STORAGE)

/*
 * What a map keeps with a thread, by loads alone, as bpf_local_storage_lookup begins: helpers and what they call in turn
 * cost several times as much. 0: if anything is kept, it has to be asked for. Only where HAS_NOTES_AT_HAND.
 */
static __always_inline u64 kept_with(struct task_struct *thread, const struct kept *kept)
{
	u64 storage = (u64)thread->bpf_storage, data, map;

	data = load_word(storage + bounded(kept->place, STORAGE_MOST));
	map = load_word(data + bpf_core_field_offset(struct bpf_local_storage_data, smap));
	/* of nothing the loads give 0, which is not the map either */
	if (!storage || !kept->map || map != kept->map)
		return 0;
	return data + bpf_core_field_offset(struct bpf_local_storage_data, data);
}

/* Has no fd of the current thread taken for known. */
__noinline int doubt_all(void)
{
	struct near_notes *near;
	struct far_notes *far;

	if (!can_hide)
		return 0;
	/* in this order: where the first ones have notes, the others are taken to have been doubted too */
	far = bpf_task_storage_get(&far_fds, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	near = far ? bpf_task_storage_get(&near_fds, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE) : NULL;
	if (!near) {
		count_lost(EV_ITER_TASK_FILE_REGULAR_E, LOST_NO_BUFFER);
		return 0;
	}
	for (u32 i = 0; i < NEAR_WORDS; i++)
		((u64 *)near->fds)[i] = ALL_UNSURE;
	for (u32 i = 0; i < FAR_WORDS; i++)
		((u64 *)far->fds)[i] = ALL_UNSURE;
	return 1;
}

/* What is noted with a thread of an fd that has a note, or NULL. */
static __always_inline u8 *note_with(struct task_struct *thread, s64 fd, u64 flags)
{
	struct near_notes *near;
	struct far_notes *far;

	if (fd < NEAR_FDS) {
		near = bpf_task_storage_get(&near_fds, thread, 0, flags);
		return near ? &near->fds[bounded(fd, NEAR_FDS - 1)] : NULL;
	}
	far = bpf_task_storage_get(&far_fds, thread, 0, flags);
	return far ? &far->fds[bounded(fd, HIDDEN_MOST - 1)] : NULL;
}

/* Whether the caller, which is known (known.h), has the fds of its process. */
static __always_inline bool has_table_of_process(struct scratch *s)
{
	return usual(s->caller.task == s->caller.main) ||
	       (u64)AS(task_struct, s->caller.task)->files == (u64)AS(task_struct, s->caller.main)->files;
}

/* Whether a thread's fds are those of its process alone: other processes that have the table can close them unseen. */
static __always_inline bool has_own_table(struct task_struct *seen)
{
	struct files_struct *files = seen->files;

	return (u64)seen->group_leader->files == (u64)files && files->count.counter <= seen->signal->nr_threads;
}

/*
 * Where something is to be noted of the current process's fd; NULL if that can't be. It is noted with the first thread,
 * for all that share its table: a copy of the table has the same fds.
 */
static __always_inline u8 *note_to_make(s64 fd)
{
	struct task_struct *task;

	if (!can_hide || fd < 0 || fd >= HIDDEN_MOST)
		return NULL;
	task = bpf_get_current_task_btf();
	if (!has_own_table(followed(task)))
		return NULL;
	return note_with(task->group_leader, fd, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* Notes something of the current process's fd; false if that can't be. */
static __always_inline bool note_fd(s64 fd, u8 what)
{
	u8 *note = note_to_make(fd);

	if (note)
		*note = what;
	return note;
}

/* Notes that the current process has a new fd of which nobody is told; false if that can't be. */
static __always_inline bool hide_fd(s64 fd)
{
	u8 *note = note_to_make(fd);

	if (note && !says_hidden(*note))
		*note = *note == NOT_NOTED ? HIDDEN | UNHEARD_OF : HIDDEN;
	return note;
}

/*
 * Whether what is noted of the current thread's fds is so with its process' first. Of a thread that has left the table of
 * its process, or whose first thread has ended, it isn't known what was hidden before; nothing is afterwards, and that is
 * noted with itself.
 */
static __always_inline bool is_noted_with_first(struct task_struct *task)
{
	struct task_struct *seen = followed(task);

	if ((u64)seen->group_leader->files == (u64)seen->files)
		return true;
	if (!bpf_task_storage_get(&near_fds, task, 0, 0))
		doubt_all();
	return false;
}

/* What is noted of an fd of the current process, by loads alone; or NOT_AT_HAND. `seen` is the current thread. */
static __always_inline u32 note_at_hand(struct task_struct *seen, s64 fd)
{
	struct task_struct *main;
	u64 notes;

	if (!HAS_NOTES_AT_HAND || !kept_near.map || (u64)fd >= HIDDEN_MOST)
		return NOT_AT_HAND;
	main = seen->group_leader;
	if ((u64)main->files != (u64)seen->files)
		return NOT_AT_HAND;
	notes = kept_with(main, fd < NEAR_FDS ? &kept_near : &kept_far);
	if (notes)
		return load_byte(notes + fd);
	return main->bpf_storage ? NOT_AT_HAND : NOT_NOTED;
}

/* Where something may be noted of an fd of the current process, or NULL. */
static __always_inline u8 *note_of(s64 fd)
{
	struct task_struct *task;

	if (!can_hide || fd < 0 || fd >= HIDDEN_MOST)
		return NULL;
	task = bpf_get_current_task_btf();
	return is_noted_with_first(task) ? note_with(task->group_leader, fd, 0) : note_with(task, fd, 0);
}

/* Whether user space knows nothing true of an fd. */
static __always_inline bool is_hidden(struct task_struct *seen, s64 fd)
{
	u32 known = note_at_hand(seen, fd);
	u8 *note;

	if (known != NOT_AT_HAND)
		return says_hidden(known);
	note = note_of(fd);
	return note && says_hidden(*note);
}

/*
 * Whether nobody need be told that the current process's fd was closed, since user space doesn't know it or since
 * what is told of next under its number says that it is another.
 */
static __always_inline bool closes_unseen(struct task_struct *seen, s64 fd)
{
	u32 known = note_at_hand(seen, fd);
	u8 *note;

	if (says_hidden(known) || known == NOT_NOTED)
		return known;
	note = note_of(fd);
	if (!note || *note == NOT_NOTED)
		return false;
	if (!says_hidden(*note))
		*note = *note == UNSURE ? NOT_NOTED : HIDDEN;
	return *note;
}

/* Notes that user space knows what the current process's new fd is. */
static __always_inline void reveal_fd(struct task_struct *seen, s64 fd)
{
	u8 *note;

	if (note_at_hand(seen, fd) == NOT_NOTED)
		return;
	note = note_of(fd);
	if (note && *note)
		*note = NOT_NOTED;
}

/* Which of the first fds a thread has open, a bit for each. No table is smaller (NR_OPEN_DEFAULT). */
static __always_inline u64 open_fds(struct task_struct *thread)
{
	u64 bits = 0;

	peek(&bits, sizeof(bits), BPF_CORE_READ(thread, files, fdt, open_fds));
	return bits;
}

/*
 * What counts for a child of what is noted of eight fds of its parent: not that user space never heard of some, of which
 * the child has none (`open`: which it has). So most children have nothing noted, for what is noted of the parent is, as a
 * rule, of files that were closed when its program had begun.
 */
static __always_inline u64 heritage(u64 notes, u64 open)
{
	/* a byte for each bit */
	u64 closed = zeros((open & 0xff) * EVERY(1) & 0x8040201008040201ull) >> 7;

	return notes & ~((notes / UNHEARD_OF & closed) * 0xff);
}

/* Likewise of the first fds. Where both go on with one table, neither sees what the other does to it. */
static __always_inline void inherit_near(struct task_struct *child, struct near_notes *old, u64 open, bool one_table)
{
	u64 any = 0, *from = (u64 *)old->fds, *to;
	struct near_notes *new;

	for (u32 i = 0; i < NEAR_WORDS; i++)
		any |= heritage(from[i], open >> 8 * i);
	if (!any)
		return;
	new = bpf_task_storage_get(&near_fds, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!new) {
		count_lost(EV_ITER_TASK_FILE_REGULAR_E, LOST_NO_BUFFER);
		return;
	}
	to = (u64 *)new->fds;
	if (one_table) {
		for (u32 i = 0; i < NEAR_WORDS; i++)
			from[i] = to[i] = ALL_UNSURE;
		return;
	}
	for (u32 i = 0; i < NEAR_WORDS; i++)
		to[i] = heritage(from[i], open >> 8 * i);
}

/* Of the others all counts. */
static __always_inline void inherit_far(struct task_struct *child, struct far_notes *old, bool one_table)
{
	struct far_notes *new = bpf_task_storage_get(&far_fds, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!new) {
		count_lost(EV_ITER_TASK_FILE_REGULAR_E, LOST_NO_BUFFER);
		return;
	}
	if (!one_table) {
		bpf_probe_read_kernel(new, sizeof(*new), old);
		return;
	}
	for (u32 i = 0; i < FAR_WORDS; i++)
		((u64 *)old->fds)[i] = ((u64 *)new->fds)[i] = ALL_UNSURE;
}

/* A new process has its parent's fds, and what is noted of them; the current thread is the parent. */
static __always_inline void inherit_notes(struct task_struct *child)
{
	struct task_struct *parent = bpf_get_current_task_btf(), *first = parent;
	bool one_table = (u64)followed(child)->files == (u64)followed(parent)->files;
	struct near_notes *near;
	struct far_notes *far;

	if (is_noted_with_first(parent))
		first = parent->group_leader;
	near = bpf_task_storage_get(&near_fds, first, 0, 0);
	if (near)
		inherit_near(child, near, one_table ? ~0ull : open_fds(plain(child)), one_table);
	far = bpf_task_storage_get(&far_fds, first, 0, 0);
	if (far)
		inherit_far(child, far, one_table);
}

/* The current thread's open file of that number, or NULL. */
static __always_inline struct file *file_of_number(s64 fd)
{
	struct file **files, *file = NULL;
	u32 len;

	if (fd < 0 || !table_of_current(&len, &files) || fd >= len)
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), &files[fd]);
	return file;
}

/* Whether a file of this mode is one that the snapshot tells as ITER_TASK_FILE_REGULAR: of these nothing is lost. */
static __always_inline bool is_plain(u32 mode)
{
	return (mode & S_IFMT) == S_IFREG || (mode & S_IFMT) == S_IFCHR;
}

/* Whether a file of this mode is told of before it is used, if user space may take its fd for something else. */
static __always_inline bool can_be_told(u32 mode)
{
	return is_plain(mode) || (mode & S_IFMT) == S_IFDIR;
}

/* Whether the current thread's open file of that number is a plain one. */
static __always_inline bool is_plain_fd(s64 fd)
{
	struct file *file = file_of_number(fd);

	return file && is_plain(BPF_CORE_READ(file, f_inode, i_mode));
}

/*
 * The mode of the current thread's open file of that number, by loads alone: only where `can_cast`. `fd` is what the call
 * that ends here has returned, so its table has a place for it.
 */
static __always_inline u32 mode_at_hand(struct task_struct *seen, s64 fd)
{
	u64 file = load_word((u64)&seen->files->fdt->fd[fd]);
	struct inode *inode = (void *)load_word(file + bpf_core_field_offset(struct file, f_inode));

	return BPF_CORE_READ(inode, i_mode);
}

/* Notes that the current thread's new fd was opened unseen, if it is of a plain file; false if that isn't or can't be. */
static __always_inline bool hide_plain_fd(struct task_struct *seen, s64 fd)
{
	if (!can_cast)
		return is_plain_fd(fd) && hide_fd(fd);
	/* what was noted when the table was the process' own is doubted when it no longer is */
	return is_plain(mode_at_hand(seen, fd)) && (says_hidden(note_at_hand(seen, fd)) || hide_fd(fd));
}

#endif
