//! The static description of every event type; its data stands in `data/*.tbl`.

/// Number of an event type, as captures store it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EventType(pub u16);

impl EventType {
    /// The description of this type, if it is one that the table knows.
    #[inline]
    pub fn info(self) -> Option<&'static EventInfo> {
        EVENTS.get(usize::from(self.0))
    }
}

/// Whether an event tells of the beginning or of the end of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Before the call (or an event that has no end).
    Enter,
    /// After the call, with its result.
    Exit,
}

macro_rules! bit_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }
        impl $name {
            /// All of them, in table order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];
            /// This one's bit in a set.
            pub const fn bit(self) -> u32 { 1 << self as u8 }
            /// The name, as the tables and Falco's output spell it.
            pub const fn as_str(self) -> &'static str { match self { $($name::$variant => $text,)* } }
        }
    };
}

bit_enum! {
    /// What kind of activity an event belongs to.
    Category {
        /// A system call.
        Syscall = "syscall",
        /// A kernel tracepoint.
        Tracepoint = "tracepoint",
        /// An event of a plugin.
        Plugin = "plugin",
        /// An event about the capture itself.
        Metaevent = "metaevent",
        /// A snapshot event of a BPF iterator.
        Iter = "iter",
        /// Not classified.
        Unknown = "unknown",
        /// None of the others.
        Other = "other",
        /// Opening and naming files.
        File = "file",
        /// Sockets.
        Net = "net",
        /// Pipes, eventfd and the like.
        Ipc = "ipc",
        /// Waiting for I/O.
        Wait = "wait",
        /// Signals.
        Signal = "signal",
        /// Sleeping.
        Sleep = "sleep",
        /// Clocks and timers.
        Time = "time",
        /// Processes.
        Process = "process",
        /// The scheduler.
        Scheduler = "scheduler",
        /// Memory maps.
        Memory = "memory",
        /// Users and groups.
        User = "user",
        /// The whole system.
        System = "system",
        /// Reading from an fd.
        IoRead = "io_read",
        /// Writing to an fd.
        IoWrite = "io_write",
        /// Other work on an fd.
        IoOther = "io_other",
        /// Internal to the engine.
        Internal = "internal",
    }
}

bit_enum! {
    /// What the engine must know of an event type.
    EventFlag {
        /// A new fd comes of it.
        CreatesFd = "creates_fd",
        /// It works on an fd.
        UsesFd = "uses_fd",
        /// It closes an fd.
        DestroysFd = "destroys_fd",
        /// It reads from an fd.
        ReadsFromFd = "reads_from_fd",
        /// It writes to an fd.
        WritesToFd = "writes_to_fd",
        /// It changes the state of the machine.
        ModifiesState = "modifies_state",
        /// It may wait.
        Waits = "waits",
        /// It leaves parsing state alone.
        Skipparsereset = "skipparsereset",
        /// Parameter lengths are 32 bits wide.
        LargePayload = "large_payload",
        /// Today's sources no longer write it.
        OldVersion = "old_version",
        /// Old forms of it are upgraded when a capture is read.
        ConverterManaged = "converter_managed",
        /// Never written.
        Unused = "unused",
    }
}

/// The type of a parameter's bytes. Numbers are in the byte order of the machine that wrote them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ParamType {
    /// 16-bit signed.
    Int16,
    /// 32-bit signed.
    Int32,
    /// 64-bit signed.
    Int64,
    /// 8-bit unsigned.
    Uint8,
    /// 16-bit unsigned.
    Uint16,
    /// 32-bit unsigned.
    Uint32,
    /// 64-bit unsigned.
    Uint64,
    /// Text with a closing NUL.
    Charbuf,
    /// Bytes.
    Bytebuf,
    /// 64-bit result: negative values are error numbers.
    Errno,
    /// One byte of address family, then the address.
    Sockaddr,
    /// One byte of address family, then both ends.
    Socktuple,
    /// 64-bit file descriptor.
    Fd,
    /// 32-bit file descriptor.
    Fd32,
    /// 64-bit process id.
    Pid,
    /// 32-bit process id.
    Pid32,
    /// 16-bit count, then (64-bit fd, 16-bit flags) each.
    Fdlist,
    /// A path with a closing NUL, relative to the working directory.
    Fspath,
    /// A path with a closing NUL, relative to a directory fd.
    Fsrelpath,
    /// 16-bit system call number of `SYSCALL_NAMES`.
    Syscallid,
    /// 8-bit signal number.
    Sigtype,
    /// 64-bit nanoseconds.
    Reltime,
    /// 64-bit nanoseconds since 1970.
    Abstime,
    /// 16-bit port.
    Port,
    /// 4-byte IPv4 address.
    Ipv4addr,
    /// 16-byte IPv6 address.
    Ipv6addr,
    /// One byte that says which variant, then that variant.
    Dyn,
    /// 8-bit flags.
    Flags8,
    /// 16-bit flags.
    Flags16,
    /// 32-bit flags.
    Flags32,
    /// 8-bit enumeration.
    Enumflags8,
    /// 16-bit enumeration.
    Enumflags16,
    /// 32-bit enumeration.
    Enumflags32,
    /// 32-bit user id.
    Uid,
    /// 32-bit group id.
    Gid,
    /// 32-bit lower half of a signal set.
    Sigset,
    /// Texts, each with a closing NUL.
    Charbufarray,
    /// Pairs of texts, each with a closing NUL.
    CharbufPairArray,
    /// 32-bit file mode.
    Mode,
}

impl ParamType {
    /// How many bytes a parameter of this type has when it is there; `None` when its length varies.
    pub const fn fixed_len(self) -> Option<usize> {
        use ParamType as T;
        Some(match self {
            T::Uint8 | T::Sigtype | T::Flags8 | T::Enumflags8 => 1,
            T::Int16 | T::Uint16 | T::Syscallid | T::Port | T::Flags16 | T::Enumflags16 => 2,
            T::Int32 | T::Uint32 | T::Fd32 | T::Pid32 | T::Ipv4addr | T::Flags32 | T::Enumflags32 => 4,
            T::Uid | T::Gid | T::Sigset | T::Mode => 4,
            T::Int64 | T::Uint64 | T::Errno | T::Fd | T::Pid | T::Reltime | T::Abstime => 8,
            T::Ipv6addr => 16,
            T::Charbuf | T::Fspath | T::Fsrelpath | T::Bytebuf | T::Sockaddr | T::Socktuple | T::Fdlist => {
                return None;
            }
            T::Charbufarray | T::CharbufPairArray | T::Dyn => return None,
        })
    }
}

/// How a number is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParamFormat {
    /// No preference.
    Na,
    /// Decimal.
    Dec,
    /// Hexadecimal.
    Hex,
    /// Ten digits, zero padded.
    #[allow(dead_code, reason = "a format of the table's language that no event uses today")]
    PaddedDec10,
    /// Octal.
    Oct,
}

/// A name of a flag's or an enumeration's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlagName {
    /// The name.
    pub name: &'static str,
    /// The bits or the value.
    pub value: u64,
}

/// One parameter of an event type.
#[derive(Debug)]
pub struct ParamInfo {
    /// Its name in rules: `evt.arg.NAME`.
    pub name: &'static str,
    /// What its bytes are.
    pub ty: ParamType,
    /// How it is printed.
    pub format: ParamFormat,
    /// Names of its values, in printing order.
    pub flags: &'static [FlagName],
    /// For `Dyn`: the type of each variant.
    pub variants: &'static [ParamType],
}

/// One event type.
#[derive(Debug)]
pub struct EventInfo {
    /// Its number.
    pub code: EventType,
    /// Its unique symbol, such as `SYSCALL_OPENAT_2_X`.
    pub symbol: &'static str,
    /// Its name in rules (`evt.type`), shared by versions and directions.
    pub name: &'static str,
    /// Beginning or end.
    pub direction: Direction,
    /// Bits of [`Category`].
    pub categories: u32,
    /// Bits of [`EventFlag`].
    pub flags: u32,
    /// Its parameters.
    pub params: &'static [ParamInfo],
}

impl EventInfo {
    /// What such an event tells, in one sentence; empty for a name that only old captures have.
    pub fn description(&self) -> &'static str {
        let place = DESCRIPTIONS.binary_search_by(|(name, _)| name.cmp(&self.name));
        place.map_or("", |place| DESCRIPTIONS[place].1)
    }

    /// Whether the type has a flag.
    pub const fn has(&self, flag: EventFlag) -> bool {
        self.flags & flag.bit() != 0
    }

    /// Whether the type belongs to a category.
    pub const fn is(&self, category: Category) -> bool {
        self.categories & category.bit() != 0
    }
}

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// The name of a system call by the kernel's own number on this architecture.
pub fn native_syscall_name(number: u16) -> Option<&'static str> {
    let at = NATIVE_SYSCALLS.binary_search_by_key(&number, |call| call.0).ok()?;
    Some(NATIVE_SYSCALLS[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_positions_and_symbols_are_unique() {
        let mut seen = std::collections::HashSet::new();
        for (i, e) in EVENTS.iter().enumerate() {
            assert_eq!(usize::from(e.code.0), i);
            assert!(seen.insert(e.symbol), "{} twice", e.symbol);
        }
        assert_eq!(EVENTS.len(), 454);
    }

    #[test]
    fn known_types_have_the_shape_that_captures_rely_on() {
        let open = types::SYSCALL_OPENAT_2_X.info().unwrap();
        assert_eq!((open.name, open.direction), ("openat", Direction::Exit));
        assert_eq!(params::syscall_openat_2_x::NAME, 2);
        assert!(open.has(EventFlag::CreatesFd) && open.is(Category::File));
        assert_eq!(open.params[3].flags.iter().find(|f| f.name == "O_CREAT").unwrap().value, 4);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn calls_have_the_numbers_that_the_kernel_gives_them() {
        assert_eq!(native_syscall_name(0), Some("read"));
        assert_eq!(native_syscall_name(221), Some("fadvise64"));
        assert_eq!(native_syscall_name(60_000), None);
    }
}
