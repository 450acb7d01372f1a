//! The blocks that a capture is made of. Each is framed by its type, its length, and its length again.

use lanner_event::HEADER_LEN;

/// Bytes of a block's type and length.
pub(crate) const HEAD_LEN: usize = 8;
/// Bytes of a block's frame: the head, and the length at its end.
pub(crate) const FRAME_LEN: usize = HEAD_LEN + 4;
/// Type of a section header, the same in both byte orders.
pub(crate) const SECTION: u32 = 0x0A0D_0D0A;
/// The number in a section header that tells the byte order.
pub(crate) const BYTE_ORDER: u32 = 0x1A2B_3C4D;
/// The format's version that is written: 1.2.
pub(crate) const VERSION: (u16, u16) = (1, 2);

/// The flag of an event that only tells of a change of state.
pub(crate) const STATE_ONLY: u32 = 1;
/// The flag of an event that only repeats one of today in the form of old: lanner's own, which others pass over.
pub(crate) const REPEATS: u32 = 1 << 24;
/// The flag of an event that tells what was learnt of a container from elsewhere; lanner's own too.
pub(crate) const LEARNT: u32 = 1 << 25;

/// Block types that are written.
pub(crate) mod written {
    pub const HOST: u32 = 0x201;
    pub const THREADS: u32 = 0x215;
    pub const FDS: u32 = 0x218;
    pub const INTERFACES: u32 = 0x219;
    pub const USERS: u32 = 0x220;
    pub const EVENT: u32 = 0x216;
    pub const LARGE_EVENT: u32 = 0x221;
    pub const EVENT_FLAGS: u32 = 0x217;
    pub const LARGE_EVENT_FLAGS: u32 = 0x222;
}

/// How an event stands in its block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EventForm {
    /// 32 bits of flags stand before the event.
    pub flags: bool,
    /// The event's header says how many parameters it has.
    pub counted: bool,
}

/// The form that today's events have if nothing is said about them.
pub(crate) const PLAIN: EventForm = EventForm { flags: false, counted: true };

impl EventForm {
    /// Where the event begins in its block.
    pub const fn offset(self) -> usize {
        HEAD_LEN + 2 + if self.flags { 4 } else { 0 }
    }

    /// The least that the block can be long.
    pub const fn least(self) -> usize {
        self.offset() + HEADER_LEN - if self.counted { 0 } else { 4 } + 4
    }
}

/// What a block holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Section,
    Host,
    /// Threads; the layout's version.
    Threads(u8),
    /// Fds of a thread; entries say their length.
    Fds {
        sized: bool,
    },
    /// Network interfaces; entries say their length.
    Interfaces {
        sized: bool,
    },
    /// Users and groups; entries say their length.
    Users {
        sized: bool,
    },
    Event(EventForm),
    Unknown,
}

/// What a block's type says. Numbers with the highest bit set come from before the format was published.
#[inline]
pub(crate) fn kind(block_type: u32) -> Kind {
    let event = |flags, counted| Kind::Event(EventForm { flags, counted });
    match block_type {
        0x216 | 0x221 => event(false, true),
        0x217 | 0x222 => event(true, true),
        0x204 | 0x8010_ABCD => event(false, false),
        0x208 => event(true, false),
        SECTION => Kind::Section,
        0x201 | 0x8002_ABCD => Kind::Host,
        0x202 | 0x8000_ABCD => Kind::Threads(1),
        0x207 | 0x8013_ABCD => Kind::Threads(2),
        0x209 | 0x8014_ABCD => Kind::Threads(3),
        0x210..=0x215 => Kind::Threads(4 + (block_type - 0x210) as u8),
        0x203 | 0x8001_ABCD => Kind::Fds { sized: false },
        0x218 => Kind::Fds { sized: true },
        0x205 | 0x8011_ABCD => Kind::Interfaces { sized: false },
        0x219 => Kind::Interfaces { sized: true },
        0x206 | 0x8012_ABCD => Kind::Users { sized: false },
        0x220 => Kind::Users { sized: true },
        _ => Kind::Unknown,
    }
}
