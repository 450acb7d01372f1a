//! Fields of the thread that caused an event, its process and its ancestors.

use lanner_event::types;
use lanner_machine::{TextList, Thread};

use super::capabilities::capabilities;
use super::names::type_name;
use super::path;
use crate::field::Arg;
use crate::scratch::Buffer;
use crate::table::Process;
use crate::{Context, Value};

/// How far up `proc.aenv[NAME]` looks.
const ENV_ANCESTORS: usize = 20;

pub(crate) fn extract<'a>(id: Process, arg: &Arg, cx: &Context<'a>) -> Option<Value<'a>> {
    match id {
        Process::ThreadTid => return process_id(cx.subject.tid),
        Process::ThreadExectime => return Some(Value::Unsigned(cx.meta.exec_time)),
        _ => {}
    }
    let thread = cx.thread()?;
    own(id, arg, cx, thread)
        .or_else(|| leader(id, cx, thread))
        .or_else(|| lineage(id, arg, cx, thread))
        .or_else(|| resources(id, cx, thread))
}

/// Whether a field may have another value in a condition than in an output.
pub(crate) fn has_operand(id: Process) -> bool {
    use Process as P;
    matches!(id, P::ProcAname | P::ProcAexe | P::ProcAexepath | P::ProcAcmdline | P::ProcApid | P::ProcAenv)
}

/// The value in a condition, for those fields that have another one there.
pub(crate) fn operand<'a>(id: Process, arg: &Arg, cx: &Context<'a>) -> Option<Value<'a>> {
    let each: fn(&Context<'a>, &'a Thread) -> Value<'a> = match (id, arg) {
        (Process::ProcAname, Arg::None) => |_, t| Value::Text(&t.comm),
        (Process::ProcAexe, Arg::None) => |_, t| Value::Text(&t.exe),
        (Process::ProcAexepath, Arg::None) => |_, t| Value::Text(&t.executable.path),
        (Process::ProcAcmdline, Arg::None) => |cx, t| Value::Text(command_line(cx, t)),
        (Process::ProcApid, Arg::None) => |_, t| Value::Signed(t.pid),
        (Process::ProcAenv, Arg::None | Arg::Index(_)) => |cx, t| Value::Text(joined(cx, cx.machine.env(t))),
        _ => return None,
    };
    let Some(main) = cx.thread().and_then(|t| cx.machine.main_thread(t)) else { return Some(Value::Absent) };
    let mut values = cx.scratch.value_buffer();
    values.extend(cx.machine.ancestors(main).map(|ancestor| each(cx, ancestor)));
    Some(Value::Any(values.into_bump_slice()))
}

/// What the thread itself tells.
fn own<'a>(id: Process, arg: &Arg, cx: &Context<'a>, thread: &'a Thread) -> Option<Value<'a>> {
    let executable = &thread.executable;
    let text = |text: &'a [u8]| Some(Value::Text(text));
    let truth = |truth| Some(Value::Bool(truth));
    let time = |ns: u64| (ns != 0).then_some(Value::Unsigned(ns));
    let id_if_set = |id: i64| (id != -1).then_some(Value::Signed(id));
    match id {
        Process::ProcExe => text(&thread.exe),
        Process::ProcExepath => text(&executable.path),
        Process::ProcName => text(&thread.comm),
        Process::ProcArgs => match arg {
            Arg::Index(at) => {
                text(usize::try_from(*at).ok().and_then(|at| thread.args.get(at)).unwrap_or(b""))
            }
            _ => text(joined(cx, &thread.args)),
        },
        Process::ProcCmdline => text(command_line(cx, thread)),
        Process::ProcCmdnargs => Some(Value::Unsigned(thread.args.len() as u64)),
        Process::ProcCmdlenargs => {
            Some(Value::Unsigned(thread.args.iter().map(<[u8]>::len).sum::<usize>() as u64))
        }
        Process::ProcExeline => text(cx.scratch.concat(&[&thread.exe, b" ", joined(cx, &thread.args)])),
        Process::ProcEnv => match arg {
            Arg::Key(name) => text(variable(cx.machine.env(thread), name)),
            _ => text(joined(cx, cx.machine.env(thread))),
        },
        Process::ProcCwd => text(path::cwd(cx, thread)),
        Process::ProcTty => Some(Value::Unsigned(thread.tty.into())),
        Process::ProcPid => process_id(thread.pid),
        Process::ProcVpid => id_if_set(thread.vpid),
        Process::ThreadVtid => id_if_set(thread.vtid),
        Process::ProcSid => Some(Value::Signed(thread.sid)),
        Process::ProcVpgid => Some(Value::Signed(thread.vpgid)),
        Process::ProcPgid => Some(Value::Signed(thread.pgid)),
        Process::ProcDuration => time(thread.clone_ts).map(|_| since(cx, thread.clone_ts)),
        Process::ProcPidTs => time(thread.clone_ts),
        Process::ProcIsExeWritable => truth(executable.writable),
        Process::ProcIsExeUpperLayer => truth(executable.upper_layer),
        Process::ProcIsExeLowerLayer => truth(executable.lower_layer),
        Process::ProcIsExeFromMemfd => truth(executable.from_memfd),
        Process::ProcIsSidLeader => truth(thread.sid == thread.vpid),
        Process::ProcIsVpgidLeader => truth(thread.vpgid == thread.vpid),
        Process::ProcIsPgidLeader => truth(thread.pgid == thread.pid),
        Process::ProcExeIno => (executable.ino != 0).then_some(Value::Signed(executable.ino as i64)),
        Process::ProcExeInoCtime => time(executable.ctime),
        Process::ProcExeInoMtime => time(executable.mtime),
        Process::ProcExeInoCtimeDurationProcStart => time(executable.ctime_to_clone),
        Process::ProcExeInoCtimeDurationPidnsStart => time(executable.pidns_start_to_ctime),
        Process::ProcPidnsInitStartTs => time(thread.pidns_init_start_ts),
        Process::ThreadCapPermitted => text(capabilities(cx, thread.capabilities.permitted)),
        Process::ThreadCapInheritable => text(capabilities(cx, thread.capabilities.inheritable)),
        Process::ThreadCapEffective => text(capabilities(cx, thread.capabilities.effective)),
        Process::ThreadIsmain => truth(thread.is_main()),
        Process::ThreadCgroups => text(cgroups(cx, thread)?),
        Process::ThreadCgroup => match arg {
            Arg::Key(name) => text(controllers(thread).find(|(n, _)| *n == name.as_bytes())?.1),
            _ => None,
        },
        _ => None,
    }
}

/// What the leaders of the thread's session and process groups tell; nothing of one that isn't known is an
/// empty text.
fn leader<'a>(id: Process, cx: &Context<'a>, thread: &'a Thread) -> Option<Value<'a>> {
    let (group, is_virtual): (fn(&Thread) -> i64, bool) = match id {
        Process::ProcSname | Process::ProcSidExe | Process::ProcSidExepath => (|t| t.sid, true),
        Process::ProcVpgidName | Process::ProcVpgidExe | Process::ProcVpgidExepath => (|t| t.vpgid, true),
        Process::ProcPgidName | Process::ProcPgidExe | Process::ProcPgidExepath => (|t| t.pgid, false),
        _ => return None,
    };
    let oldest = oldest_of(cx, thread, group, is_virtual);
    let part: fn(&Thread) -> &[u8] = match id {
        Process::ProcSname | Process::ProcVpgidName | Process::ProcPgidName => |t| &t.comm,
        Process::ProcSidExe | Process::ProcVpgidExe | Process::ProcPgidExe => |t| &t.exe,
        _ => |t| &t.executable.path,
    };
    Some(Value::Text(oldest.map_or(b"", part)))
}

/// The leader of a group, or the oldest ancestor of an unbroken line that is in it. Ids of a pid namespace
/// of its own say nothing about the host's threads.
fn oldest_of<'a>(
    cx: &Context<'a>,
    thread: &'a Thread,
    group: fn(&Thread) -> i64,
    is_virtual: bool,
) -> Option<&'a Thread> {
    let id = group(thread);
    if id == -1 {
        return None;
    }
    let leader = if is_virtual && thread.in_pid_namespace() { None } else { cx.machine.thread(id) };
    leader.or_else(|| cx.machine.ancestors(thread).take_while(|t| group(t) == id).last())
}

/// What ancestors tell.
fn lineage<'a>(id: Process, arg: &Arg, cx: &Context<'a>, thread: &'a Thread) -> Option<Value<'a>> {
    let machine = cx.machine;
    let nth = |n| ancestor(cx, thread, n);
    let text = |text: &'a [u8]| Some(Value::Text(text));
    let each = |part: fn(&Context<'a>, &'a Thread) -> &'a [u8]| match arg {
        Arg::Index(n) => text(part(cx, nth(*n)?)),
        _ => text(of_all_ancestors(cx, machine.main_thread(thread)?, part)?),
    };
    match id {
        Process::ProcPexe => text(&nth(1)?.exe),
        Process::ProcPexepath => text(&nth(1)?.executable.path),
        Process::ProcPname => text(&nth(1)?.comm),
        Process::ProcPcmdline => text(command_line(cx, nth(1)?)),
        Process::ProcPpid => process_id(nth(1)?.pid),
        Process::ProcApid => match arg {
            Arg::Index(n) => process_id(nth(*n)?.pid),
            _ => process_id(nth(0)?.pid),
        },
        Process::ProcAname => each(|_, t| &t.comm),
        Process::ProcAexe => each(|_, t| &t.exe),
        Process::ProcAexepath => each(|_, t| &t.executable.path),
        Process::ProcAcmdline => each(command_line),
        Process::ProcAargs => each(|cx, t| joined(cx, &t.args)),
        Process::ProcAenv => ancestor_env(arg, cx, thread),
        Process::ProcPvpid => Some(Value::Signed(machine.parent(thread)?.vpid)),
        Process::ProcPpidTs => Some(Value::Unsigned(machine.parent(thread)?.clone_ts)),
        // Where the parent's start isn't known, Falco goes on to the number of open fds; rules and users
        // have always seen that number.
        Process::ProcPpidDuration => match nth(1)?.clone_ts {
            0 => Some(Value::Unsigned(open_fds(cx, thread))),
            start => Some(since(cx, start)),
        },
        Process::ProcLoginshellid => {
            let main = machine.main_thread(thread)?;
            let oldest =
                std::iter::once(main).chain(machine.ancestors(main)).filter(|t| t.comm.ends_with(b"sh"));
            Some(Value::Signed(oldest.last()?.pid))
        }
        _ => None,
    }
}

/// What the process uses.
fn resources<'a>(id: Process, cx: &Context<'a>, thread: &'a Thread) -> Option<Value<'a>> {
    let number = |number: u64| Some(Value::Unsigned(number));
    let of_main = |number: u32| Some(Value::Unsigned(if thread.is_main() { number.into() } else { 0 }));
    let main = cx.machine.main_thread(thread);
    let limit = main.map_or(0, |m| m.fdlimit);
    match id {
        Process::ProcFdopencount => number(open_fds(cx, thread)),
        Process::ProcFdlimit => Some(Value::Signed(limit)),
        Process::ProcFdusage if limit <= 0 => Some(Value::Double(0.0)),
        Process::ProcFdusage => {
            Some(Value::Double((open_fds(cx, thread) as f64 * 100.0 / limit as f64).min(100.0)))
        }
        Process::ProcVmsize => number(thread.vm_size.into()),
        Process::ProcVmrss => number(thread.vm_rss.into()),
        Process::ProcVmswap => number(thread.vm_swap.into()),
        Process::ThreadVmsize => of_main(thread.vm_size),
        Process::ThreadVmrss => of_main(thread.vm_rss),
        Process::ThreadPfmajor => number(thread.pf_major),
        Process::ThreadPfminor => number(thread.pf_minor),
        Process::ThreadTotexectime => number(cx.meta.total_exec_time),
        Process::ProcNthreads => number(cx.machine.thread_count(thread) as u64),
        Process::ProcNchilds => {
            let leader = usize::from(main.is_some_and(|m| !m.dead));
            number(cx.machine.thread_count(thread).saturating_sub(leader) as u64)
        }
        // Only the samples of old captures have it. They count from the sample before, which isn't kept.
        Process::ThreadCpu | Process::ThreadCpuUser | Process::ThreadCpuSystem => {
            (cx.event.ty() == types::PROCINFO_E).then_some(Value::Double(0.0))
        }
        Process::ProcStdinType => standard(cx, thread, 0, |fd| type_name(fd).as_bytes()),
        Process::ProcStdoutType => standard(cx, thread, 1, |fd| type_name(fd).as_bytes()),
        Process::ProcStderrType => standard(cx, thread, 2, |fd| type_name(fd).as_bytes()),
        Process::ProcStdinName => standard(cx, thread, 0, |fd| &fd.name),
        Process::ProcStdoutName => standard(cx, thread, 1, |fd| &fd.name),
        Process::ProcStderrName => standard(cx, thread, 2, |fd| &fd.name),
        _ => None,
    }
}

fn standard<'a>(
    cx: &Context<'a>,
    thread: &Thread,
    num: i64,
    part: fn(&'a lanner_machine::Fd) -> &'a [u8],
) -> Option<Value<'a>> {
    Some(Value::Text(part(cx.machine.fd(thread.tid, num)?)))
}

/// A thread or process id; some sources hide theirs behind numbers that no kernel gives.
fn process_id(id: i64) -> Option<Value<'static>> {
    (-1..=i64::from(u32::MAX)).contains(&id).then_some(Value::Signed(id))
}

fn since(cx: &Context<'_>, start: u64) -> Value<'static> {
    Value::Unsigned(cx.event.ts.wrapping_sub(start))
}

fn open_fds(cx: &Context<'_>, thread: &Thread) -> u64 {
    cx.machine.fd_count(thread) as u64
}

/// The `n`th ancestor process; the thread's own process for 0.
fn ancestor<'a>(cx: &Context<'a>, thread: &'a Thread, n: u64) -> Option<&'a Thread> {
    let mut main = cx.machine.main_thread(thread)?;
    for _ in 0..n {
        main = cx.machine.main_thread(cx.machine.parent(main)?)?;
    }
    Some(main)
}

fn of_all_ancestors<'a>(
    cx: &Context<'a>,
    main: &'a Thread,
    part: fn(&Context<'a>, &'a Thread) -> &'a [u8],
) -> Option<&'a [u8]> {
    let mut out = cx.scratch.buffer();
    for ancestor in cx.machine.ancestors(main) {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(part(cx, ancestor));
    }
    (!out.is_empty()).then(|| out.into_bump_slice())
}

fn ancestor_env<'a>(arg: &Arg, cx: &Context<'a>, thread: &'a Thread) -> Option<Value<'a>> {
    let machine = cx.machine;
    let text = |text: &'a [u8]| Some(Value::Text(text));
    let Some(main) = machine.main_thread(thread) else { return text(b"") };
    match arg {
        Arg::Key(name) => {
            let parents = std::iter::successors(machine.parent(main), |t| machine.parent(t));
            let values = parents.take(ENV_ANCESTORS).map(|t| variable(machine.env(t), name));
            text(values.into_iter().find(|value| !value.is_empty()).unwrap_or(b""))
        }
        Arg::Index(n) if *n > 0 => {
            let mut ancestor = main;
            for _ in 0..*n {
                ancestor = machine.parent(ancestor)?;
            }
            text(joined(cx, machine.env(ancestor)))
        }
        _ => text(joined(cx, machine.env(thread))),
    }
}

/// The value of an environment variable without spaces around it; empty if there is none.
fn variable<'a>(env: &'a TextList, name: &str) -> &'a [u8] {
    let value = env.iter().find_map(|item| {
        let value = item.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        (!value.is_empty()).then_some(value)
    });
    let value = value.unwrap_or(b"");
    let start = value.iter().position(|&b| b != b' ').unwrap_or(value.len());
    let end = value.iter().rposition(|&b| b != b' ').map_or(start, |last| last + 1);
    &value[start..end]
}

fn push_joined(list: &TextList, out: &mut Buffer<'_, u8>) {
    for (i, item) in list.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(item);
    }
}

/// All texts of a list with spaces between.
fn joined<'a>(cx: &Context<'a>, list: &'a TextList) -> &'a [u8] {
    let mut out = cx.scratch.buffer();
    out.reserve(list.as_joined().len());
    push_joined(list, &mut out);
    out.into_bump_slice()
}

/// Name and arguments with spaces between.
fn command_line<'a>(cx: &Context<'a>, thread: &'a Thread) -> &'a [u8] {
    if thread.args.is_empty() {
        return &thread.comm;
    }
    let mut out = cx.scratch.buffer();
    out.reserve(thread.comm.len() + 1 + thread.args.as_joined().len());
    out.extend_from_slice(&thread.comm);
    out.push(b' ');
    push_joined(&thread.args, &mut out);
    out.into_bump_slice()
}

/// The thread's cgroups: names of the controllers as cgroup v1 has them, and paths.
fn controllers(thread: &Thread) -> impl Iterator<Item = (&[u8], &[u8])> {
    thread.cgroups.iter().map_while(|item| {
        let (name, path) = item.split_at(memchr::memchr(b'=', item)?);
        let name = name.strip_suffix(b"_cgroup").unwrap_or(name);
        let name: &[u8] = match name {
            b"perf" => b"perf_event",
            b"mem" => b"memory",
            b"io" => b"blkio",
            other => other,
        };
        Some((name, &path[1..]))
    })
}

fn cgroups<'a>(cx: &Context<'a>, thread: &'a Thread) -> Option<&'a [u8]> {
    let mut out = cx.scratch.buffer();
    for (name, path) in controllers(thread) {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(path);
    }
    (!out.is_empty()).then(|| out.into_bump_slice())
}
