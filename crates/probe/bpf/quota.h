/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What quotactl is asked, and what it answers. */
#ifndef LANNER_QUOTA_H
#define LANNER_QUOTA_H

#include "convert.h"

/* struct if_dqblk and struct if_dqinfo of linux/quota.h, and which bit says that a field of them counts */
#define QUOTA_BLOCK_VALID 64
#define QUOTA_INFO_VALID 20

static __always_inline u32 quota_command(struct scratch *s)
{
	return convert(SET_QUOTACTL_CMD, (u32)s->args[0] >> 8);
}

static __always_inline u64 number_at(u64 at, u32 size)
{
	u64 value = 0;

	bpf_probe_read_user(&value, size & 15, (void *)at);
	return value;
}

/* A field of the structure at argument 3, if the command is one of `commands` and the field counts. */
static __always_inline u64 quota_field(struct scratch *s, u32 commands, u32 valid_at, u32 bit, u32 at, u32 size)
{
	if (!(quota_command(s) & commands) || !(number_at(s->args[3] + valid_at, 4) & bit))
		return 0;
	return number_at(s->args[3] + at, size);
}

static __always_inline u64 quota_block(struct scratch *s, u32 bit, u32 at)
{
	return quota_field(s, FLAG_QUOTACTL_CMD_Q_GETQUOTA | FLAG_QUOTACTL_CMD_Q_SETQUOTA, QUOTA_BLOCK_VALID, bit,
			   at, 8);
}

static __always_inline u64 quota_info(struct scratch *s, u32 bit, u32 at, u32 size)
{
	return quota_field(s, FLAG_QUOTACTL_CMD_Q_GETINFO | FLAG_QUOTACTL_CMD_Q_SETINFO, QUOTA_INFO_VALID, bit, at,
			   size);
}

/* A quota format, where the command is the one that has it. */
static __always_inline u64 quota_format(struct scratch *s, u32 command, u64 format)
{
	if (quota_command(s) != command)
		return FLAG_QUOTACTL_QUOTA_FMT_QFMT_NOT_USED;
	return convert(SET_QUOTACTL_QUOTA_FMT, (u32)format);
}

/* A user's or a group's id; other commands use the argument otherwise. */
static __always_inline u64 quota_id(struct scratch *s)
{
	u32 with_id = FLAG_QUOTACTL_CMD_Q_GETQUOTA | FLAG_QUOTACTL_CMD_Q_SETQUOTA | FLAG_QUOTACTL_CMD_Q_XGETQUOTA |
		      FLAG_QUOTACTL_CMD_Q_XSETQLIM;

	return quota_command(s) & with_id ? (u32)s->args[2] : 0;
}

static __always_inline u64 quota_value(struct scratch *s, u32 what)
{
	switch (what) {
	case QUOTA_BLOCKHARD:
		return quota_block(s, 1, 0);
	case QUOTA_BLOCKSOFT:
		return quota_block(s, 1, 8);
	case QUOTA_SPACE:
		return quota_block(s, 2, 16);
	case QUOTA_INODEHARD:
		return quota_block(s, 4, 24);
	case QUOTA_INODESOFT:
		return quota_block(s, 4, 32);
	case QUOTA_BLOCKTIME:
		return quota_block(s, 16, 48);
	case QUOTA_INODETIME:
		return quota_block(s, 32, 56);
	case QUOTA_BLOCKGRACE:
		return quota_info(s, 1, 0, 8);
	case QUOTA_INODEGRACE:
		return quota_info(s, 2, 8, 8);
	case QUOTA_FLAGS:
		return quota_info(s, 4, 16, 4);
	case QUOTA_FORMATOUT:
		return quota_format(s, FLAG_QUOTACTL_CMD_Q_GETFMT, number_at(s->args[3], 4));
	case QUOTA_CMD:
		return quota_command(s);
	case QUOTA_TYPE:
		return convert(SET_QUOTACTL_TYPE, (u32)s->args[0] & 0xff);
	case QUOTA_ID:
		return quota_id(s);
	}
	return quota_format(s, FLAG_QUOTACTL_CMD_Q_QUOTAON, s->args[2]);
}

__noinline int put_quota(u32 what, u32 width)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	if (what != QUOTA_FILE) {
		put_number(s, quota_value(s, what), width & 15);
		return 0;
	}
	if (quota_command(s) == FLAG_QUOTACTL_CMD_Q_QUOTAON)
		put_user_text(s->args[3]);
	else
		put_empty(s);
	return 0;
}

#endif
