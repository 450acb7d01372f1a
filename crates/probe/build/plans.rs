//! How each system call becomes an event: `data/syscalls.tbl`.

use std::fmt::Write as _;

use lanner_event::{Direction, EVENTS, EventFlag, EventInfo, ParamInfo, ParamType};

use crate::conversions::Conversion;
use crate::numbers::{Call, NUMBERS, OPERATIONS, SOCKETCALLS};
use crate::{Error, lines};

/// Kinds of parameters, as the BPF side numbers them.
pub const KINDS: [&str; 35] = [
    "num",
    "int",
    "str",
    "data",
    "openflags",
    "openmode",
    "creatflags",
    "dev",
    "ino",
    "retpath",
    "sockaddr",
    "tuple",
    "queue",
    "pipeino",
    "sockptr",
    "caps",
    "mountflags",
    "ptrace",
    "prctl",
    "msg",
    "memory",
    "sockopt",
    "parts",
    "split",
    "joined",
    "pages",
    "time",
    "time64",
    "pollfds",
    "quota",
    "sem",
    "fsconfig",
    "keyctl",
    "cred",
    "memname",
];

/// Programs that write an event, as the BPF side numbers them.
pub const PROGRAMS: [&str; 3] = ["interpret", "clone", "execve"];

/// Sources of a number beyond the arguments 0 to 5.
pub const SOURCES: [&str; 5] = ["ret", "zero", "id", "nr", "moved"];

/// Words behind a kind, as the BPF side numbers them.
pub const WORDS: [(&str, &[&str]); 14] = [
    ("queue", &["pct", "len", "max"]),
    ("sockptr", &["source", "peer"]),
    ("caps", &["inheritable", "permitted", "effective"]),
    ("ptrace", &["addr", "data"]),
    ("prctl", &["str", "int"]),
    ("msg", &["data", "size", "out", "in", "control"]),
    ("memory", &["size", "resident", "swapped"]),
    ("sockopt", &["name", "value"]),
    ("direction", &["in", "out"]),
    ("parts", &["in", "out", "size"]),
    (
        "quota",
        &[
            "blockhard",
            "blocksoft",
            "space",
            "inodehard",
            "inodesoft",
            "blocktime",
            "inodetime",
            "blockgrace",
            "inodegrace",
            "flags",
            "formatout",
            "cmd",
            "type",
            "id",
            "format",
            "file",
        ],
    ),
    ("sem", &["number0", "op0", "flags0", "number1", "op1", "flags1", "value"]),
    ("fsconfig", &["bytes", "text"]),
    ("cred", &["uid", "euid", "suid", "gid", "egid", "sgid"]),
];

/// Says of a number in memory that it is as long as a word of the caller's ABI.
pub const WORD: usize = 1;

/// Most parameters of a plan.
pub const PLAN_PARAMS: usize = 18;

/// One parameter, as `struct param` of the BPF side has it.
#[derive(Default)]
pub struct Param {
    pub kind: usize,
    pub source: usize,
    pub offset: usize,
    pub size: usize,
    pub set: usize,
    pub width: usize,
    pub what: usize,
}

/// How one call becomes one event.
pub struct Plan {
    pub call: String,
    pub event: &'static EventInfo,
    pub program: usize,
    pub params: Vec<Param>,
}

impl Plan {
    /// Whether the call's result is a file that has a path: the event says where it lies.
    pub fn opens(&self) -> bool {
        KINDS
            .iter()
            .position(|kind| *kind == "dev")
            .is_some_and(|dev| self.params.iter().any(|p| p.kind == dev))
    }

    /// The arguments, plus one, that are fds; 0: none.
    pub fn fds(&self) -> [usize; 2] {
        let is_fd = |info: &ParamInfo| info.ty == ParamType::Fd;
        let used = self.event.params.iter().zip(&self.params).skip(1);
        let used = used.filter(|(info, param)| is_fd(info) && param.source < 6 && param.size == 0);
        let mut arguments = used.map(|(_, param)| param.source + 1);
        [arguments.next().unwrap_or(0), arguments.next().unwrap_or(0)]
    }

    /// What the kernel's own copies are kept of, bit by bit: names (1), an address (2), those of several messages (4),
    /// the address that a message came from (8), those that several messages came from (16).
    pub fn keeps(&self) -> usize {
        if self.event.direction == Direction::Enter || self.call.starts_with("uring:") {
            return 0;
        }
        let [out, from] = ["out", "in"].map(|way| (word("direction", way).ok(), word("msg", way).ok()));
        let kept = self.params.iter().map(|param| match KINDS[param.kind] {
            "str" => 1,
            "sockaddr" => 2,
            "tuple" if param.size == 1 && Some(param.what) == out.0 => 2,
            "tuple" if param.size == 1 && Some(param.what) == from.0 => 8,
            "msg" if Some(param.what) == out.1 => {
                if self.call == "sendmmsg" {
                    4
                } else {
                    2
                }
            }
            "msg" if Some(param.what) == from.1 => {
                if self.call == "recvmsg" {
                    8
                } else {
                    16
                }
            }
            _ => 0,
        });
        let runs = PROGRAMS[self.program] == "execve";
        kept.fold(usize::from(runs), |all, one| all | one)
    }

    /// What fds the call makes, as the BPF side numbers it: 0 none, 1 the one that it returns, 2 two that stand where
    /// argument 0 points to, 3 two where argument 3 does.
    pub fn makes(&self) -> usize {
        let returned = self.event.params.first().is_some_and(|info| info.ty == ParamType::Fd);
        match self.call.as_str() {
            // at its beginning a call has made nothing
            _ if self.event.direction == Direction::Enter => 0,
            "pipe" | "pipe2" => 2,
            "socketpair" => 3,
            _ if returned || self.event.has(EventFlag::CreatesFd) => 1,
            _ => 0,
        }
    }
}

fn position(words: &[&str], word: &str) -> Result<usize, Error> {
    words
        .iter()
        .position(|w| *w == word)
        .ok_or_else(|| format!("{word} is none of {}", words.join(", ")).into())
}

fn word(kind: &str, text: &str) -> Result<usize, Error> {
    let (_, words) = WORDS.iter().find(|(k, _)| *k == kind).ok_or("no words")?;
    position(words, text)
}

/// An argument's number, or what stands for the result.
fn source(text: &str, param: &mut Param) -> Result<(), Error> {
    if let Some(memory) = text.strip_prefix('*') {
        let (argument, place) = memory.split_once('+').ok_or("no offset")?;
        let (offset, size) = place.split_once('/').ok_or("no size")?;
        param.source = argument.parse()?;
        param.offset = offset.parse()?;
        param.size = if size == "w" { WORD } else { size.parse()? };
    } else if let Ok(argument) = text.parse::<usize>() {
        param.source = argument;
    } else {
        param.source = 6 + position(&SOURCES, text)?;
    }
    Ok(())
}

/// Bytes of a number of that type.
fn width(info: &ParamInfo) -> Option<usize> {
    use ParamType as T;
    match info.ty {
        T::Uint8 | T::Flags8 | T::Enumflags8 | T::Sigtype => Some(1),
        T::Int16 | T::Uint16 | T::Flags16 | T::Enumflags16 | T::Syscallid | T::Port => Some(2),
        T::Int32 | T::Uint32 | T::Flags32 | T::Enumflags32 | T::Uid | T::Gid | T::Sigset | T::Mode => Some(4),
        T::Int64 | T::Uint64 | T::Errno | T::Fd | T::Pid | T::Reltime | T::Abstime => Some(8),
        _ => None,
    }
}

/// Whether a kind writes what the type of the event table wants.
fn fits(kind: &str, info: &ParamInfo) -> bool {
    use ParamType as T;
    match kind {
        "num" | "int" | "queue" => width(info).is_some(),
        "str" | "retpath" | "memname" => matches!(info.ty, T::Charbuf | T::Fspath | T::Fsrelpath),
        "data" => info.ty == T::Bytebuf,
        "openflags" | "mountflags" | "openmode" | "dev" | "memory" => width(info) == Some(4),
        "creatflags" => width(info) == Some(2),
        "ino" | "pipeino" | "sockptr" | "caps" => width(info) == Some(8),
        "sockaddr" => info.ty == T::Sockaddr,
        "tuple" => info.ty == T::Socktuple,
        "ptrace" => info.ty == T::Dyn,
        "sockopt" => info.ty == T::Dyn || width(info) == Some(1),
        "prctl" => matches!(info.ty, T::Charbuf | T::Int64),
        "parts" => info.ty == T::Bytebuf || width(info) == Some(4),
        "split" | "joined" | "pages" | "time" | "time64" => width(info) == Some(8),
        "pollfds" => info.ty == T::Fdlist,
        "quota" => info.ty == T::Charbuf || width(info).is_some(),
        "cred" => matches!(info.ty, T::Uid | T::Gid),
        "sem" => matches!(width(info), Some(2 | 4)),
        "fsconfig" => matches!(info.ty, T::Charbuf | T::Bytebuf),
        "keyctl" => info.ty == T::Dyn,
        "msg" => matches!(info.ty, T::Bytebuf | T::Socktuple | T::Uint32),
        _ => false,
    }
}

fn param(text: &str, info: &ParamInfo, conversions: &[Conversion]) -> Result<Param, Error> {
    let (text, set) = text.split_once('=').map_or((text, None), |(text, set)| (text, Some(set)));
    let mut parts = text.split(':');
    let kind = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let mut param =
        Param { kind: position(&KINDS, kind)?, width: width(info).unwrap_or(0), ..Param::default() };
    if !fits(kind, info) {
        return Err(format!("{kind} is no {:?} as the event table has it", info.ty).into());
    }
    if let Some(set) = set {
        let found = conversions.iter().position(|c| c.name == set);
        param.set = 1 + found.ok_or_else(|| format!("data/conversions.tbl has no set {set}"))?;
    }
    match (kind, &rest[..]) {
        (
            "num" | "int" | "openflags" | "openmode" | "mountflags" | "split" | "pages" | "time" | "time64"
            | "keyctl",
            [from],
        ) => source(from, &mut param)?,
        ("str", [from, other @ ..]) => {
            source(from, &mut param)?;
            if let [other] = other {
                param.offset = 1 + other.parse::<usize>()?;
            }
        }
        ("joined" | "pollfds", [first, second]) => {
            param.source = first.parse()?;
            param.offset = second.parse()?;
        }
        ("cred", [what, from]) => {
            param.what = word(kind, what)?;
            param.source = from.parse()?;
        }
        ("parts", [what, pointer, count]) => {
            param.what = word(kind, what)?;
            param.source = pointer.parse()?;
            param.offset = count.parse()?;
        }
        ("data" | "sockaddr", [pointer, length]) => {
            param.source = pointer.parse()?;
            param.offset = if *length == "ret" { 6 } else { length.parse()? };
        }
        ("tuple", [fd, direction, address @ ..]) => {
            source(fd, &mut param)?;
            param.what = word("direction", direction)?;
            if let [address] = address {
                param.size = 1;
                param.offset = address.parse()?;
            }
        }
        (
            "queue" | "sockptr" | "caps" | "ptrace" | "prctl" | "msg" | "memory" | "sockopt" | "quota"
            | "sem" | "fsconfig",
            [what],
        ) => param.what = word(kind, what)?,
        ("creatflags" | "dev" | "ino" | "retpath" | "pipeino" | "memname", []) => {}
        _ => return Err(format!("{text}: wrong arguments").into()),
    }
    Ok(param)
}

/// Has each of two texts know the other, and the one that is kept first that it is.
fn pair_texts(params: &mut [Param]) -> Result<(), Error> {
    let text = position(&KINDS, "str")?;
    for first in 0..params.len() {
        let (source, other) = (params[first].source, params[first].offset);
        let is_other = |param: &Param| param.kind == text && param.source + 1 == other && param.offset == 0;
        if params[first].kind != text || other == 0 {
            continue;
        }
        if let Some(second) = params.iter_mut().find(|param| is_other(param)) {
            second.offset = source + 1;
            params[first].what = 1;
        }
    }
    Ok(())
}

/// Reads the table.
pub fn read(conversions: &[Conversion]) -> Result<Vec<Plan>, Error> {
    let mut plans = Vec::new();
    for (n, line) in lines("syscalls.tbl")? {
        let place = |why: &dyn std::fmt::Display| -> Error { format!("data/syscalls.tbl:{n}: {why}").into() };
        let words: Vec<&str> = line.split_whitespace().collect();
        let [call, symbol, texts @ ..] = &words[..] else { return Err(place(&"not understood")) };
        let event = EVENTS.iter().find(|e| e.symbol == *symbol).ok_or_else(|| place(&"no such event"))?;
        let mut plan = Plan { call: (*call).into(), event, program: 0, params: Vec::new() };
        let program = texts.first().and_then(|text| text.strip_prefix("program:"));
        if let Some(program) = program {
            plan.program = position(&PROGRAMS, program).map_err(|e| place(&e))?;
        } else if texts.len() != event.params.len() || texts.len() > PLAN_PARAMS {
            return Err(place(&format!("{} has {} parameters", event.symbol, event.params.len())));
        } else {
            for (text, info) in texts.iter().zip(event.params) {
                plan.params
                    .push(param(text, info, conversions).map_err(|e| place(&format!("{}: {e}", info.name)))?);
            }
        }
        pair_texts(&mut plan.params).map_err(|e| place(&e))?;
        plans.push(plan);
    }
    Ok(plans)
}

/// The plan of what is told at the end of a call, or at its beginning: its index plus one.
fn plan_of(plans: &[Plan], call: &str, direction: Direction) -> Option<usize> {
    plans.iter().position(|p| p.call == call && p.event.direction == direction).map(|i| i + 1)
}

/// The tables for the Rust side.
pub fn rust(plans: &[Plan], calls: &[Call], conversions: &[Conversion]) -> Result<String, Error> {
    let mut out = String::new();
    writeln!(
        out,
        "/// The event of each plan, in the order of the BPF side.\npub static PLANS: [EventType; {}] = [",
        plans.len()
    )?;
    for plan in plans {
        writeln!(out, "EventType({}), // {}", plan.event.code.0, plan.call)?;
    }
    writeln!(out, "];")?;
    writeln!(
        out,
        "/// Each plan's parameters that are fds and other whole numbers, texts or open flags, with the argument that has them.\n\
         pub static PLACES: [&[(usize, u8)]; {}] = [",
        plans.len()
    )?;
    for plan in plans {
        let told = |param: &&Param| {
            matches!(KINDS[param.kind], "int" | "num" | "str" | "openflags") && param.size == 0
        };
        let places = plan.params.iter().enumerate().filter(|(_, param)| told(param) && param.source < 6);
        let places: Vec<(usize, usize)> = places.map(|(i, param)| (i, param.source)).collect();
        writeln!(out, "&{places:?},")?;
    }
    writeln!(out, "];")?;
    let keeps: Vec<usize> = plans.iter().map(Plan::keeps).collect();
    writeln!(
        out,
        "/// What the kernel's own copies are kept of for each plan, see `Plan::keeps` of build/plans.rs.\n\
         pub static KEEPS: [u8; {}] = {keeps:?};",
        plans.len()
    )?;
    let generic = plan_of(plans, "*", Direction::Exit).unwrap_or(0);
    writeln!(out, "/// The plan of calls without their own, plus one.\npub const GENERIC: u16 = {generic};")?;
    writeln!(
        out,
        "/// Every system call of this architecture.\npub static CALLS: [Call; {}] = [",
        calls.len()
    )?;
    for call in calls {
        // a 32-bit socketcall is seen through: its plan is the one behind the last
        let (plan, entry) = match call.name.as_str() {
            "socketcall" => (plans.len() + 1, plans.len() + 1),
            name => (
                plan_of(plans, name, Direction::Exit).unwrap_or(generic),
                plan_of(plans, name, Direction::Enter).unwrap_or(0),
            ),
        };
        writeln!(
            out,
            "Call {{ name: {:?}, plan: {plan}, entry: {entry}, native: &{:?}, ia32: &{:?} }},",
            call.name, call.native, call.ia32
        )?;
    }
    writeln!(out, "];")?;
    for (name, direction) in [("PLANS", Direction::Exit), ("ENTRIES", Direction::Enter)] {
        let of = |call: &&str| plan_of(plans, call, direction).unwrap_or(0);
        let behind: Vec<usize> = SOCKETCALLS.iter().map(of).collect();
        writeln!(
            out,
            "/// Plans of the calls behind `socketcall`.\npub static SOCKETCALL_{name}: [u16; {}] = {behind:?};",
            SOCKETCALLS.len()
        )?;
    }
    let of = |name: &&str| plan_of(plans, &format!("uring:{name}"), Direction::Exit).unwrap_or(0);
    let operations: Vec<usize> = OPERATIONS.iter().map(of).collect();
    writeln!(
        out,
        "/// Plans of the operations of io_uring, by their numbers.\npub static OPERATION_PLANS: [u16; {}] = {operations:?};",
        OPERATIONS.len()
    )?;
    writeln!(
        out,
        "/// Names of the operations.\n#[cfg(test)]\npub static OPERATION_NAMES: [&str; {}] = {OPERATIONS:?};",
        OPERATIONS.len()
    )?;
    let open =
        conversions.iter().find(|c| c.name == "open_flags").ok_or("data/conversions.tbl lacks open_flags")?;
    writeln!(
        out,
        "/// Open flags: mask, what is met under it, what it becomes.\nstatic OPEN_FLAGS: &[(u64, u64, u64)] = &["
    )?;
    for step in &open.steps {
        writeln!(out, "({}, {}, {}),", step.mask, step.value, step.result)?;
    }
    writeln!(out, "];")?;
    writeln!(out, "/// Length of the tables by number.\npub const NUMBERS: usize = {NUMBERS};")?;
    Ok(out)
}
