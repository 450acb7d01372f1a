//! Hosts on which files are opened and used by chance.

use std::collections::BTreeSet;

use lanner_agent::ruleset;
use lanner_event::{EventBuf, EventFlag, EventType, ParamType, types as t};
use lanner_machine::Thread;
use lanner_rules::SourceText;

use super::{Comparison, engine};

/// Numbers that look like chance.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len())]
    }
}

/// The fds of a process that are open.
type Open = BTreeSet<i64>;

/// An event of a thread that has these fds.
fn event(dice: &mut Dice, ts: u64, tid: i64, open: &mut Open) -> EventBuf {
    const TYPES: &[EventType] = &[
        t::SYSCALL_OPENAT_2_X,
        t::SYSCALL_OPENAT_2_X,
        t::SYSCALL_OPENAT_2_X,
        t::SYSCALL_OPEN_X,
        t::SYSCALL_CREAT_X,
        t::SYSCALL_CLOSE_X,
        t::SYSCALL_CLOSE_X,
        t::SYSCALL_DUP2_X,
        t::SYSCALL_FCHMOD_X,
        t::SYSCALL_FCHMODAT_X,
        t::SYSCALL_UNLINKAT_2_X,
        t::SYSCALL_MKDIRAT_X,
        t::SYSCALL_LINKAT_2_X,
        t::SYSCALL_RENAME_X,
        t::SOCKET_SOCKET_X,
        t::SYSCALL_FCHDIR_X,
    ];
    const PATHS: &[&str] = &[
        "/etc/shadow",
        "/etc/passwd",
        "/etc/../etc/shadow",
        "/usr/bin/ls",
        "/home/me/.bashrc",
        "/root/.bash_history",
        "/tmp/x",
        "x",
        "../etc/shadow",
        "/var/log/auth.log",
        "/top",
        "/",
        "",
    ];
    let ty = dice.of(TYPES);
    let info = ty.info().unwrap();
    let fd = dice.of(&[3i64, 4, 5, 6]);
    let fails = dice.roll(4) == 0 || info.has(EventFlag::UsesFd) && !open.contains(&fd);
    let free = (3..).find(|fd| !open.contains(fd)).unwrap();
    let result = match ty {
        _ if fails => -2,
        t::SYSCALL_DUP2_X => dice.of(&[3i64, 4, 5, 6, 7]),
        _ if info.has(EventFlag::CreatesFd) => free,
        _ => 0,
    };
    match ty {
        _ if fails => {}
        t::SYSCALL_CLOSE_X => drop(open.remove(&fd)),
        _ if info.has(EventFlag::CreatesFd) => drop(open.insert(result)),
        _ => {}
    }
    let params = info.params.iter().enumerate().map(|(at, param)| -> Vec<u8> {
        match param.ty {
            _ if at == 0 => result.to_ne_bytes().into(),
            ParamType::Fspath | ParamType::Fsrelpath | ParamType::Charbuf => {
                [dice.of(PATHS).as_bytes(), b"\0"].concat()
            }
            ParamType::Fd if param.name.contains("dir") && dice.roll(2) == 0 => {
                (-100i64).to_ne_bytes().into()
            }
            ParamType::Fd => fd.to_ne_bytes().into(),
            ParamType::Flags32 => dice.of(&[1u32, 2, 3, 6, 262, 1025]).to_ne_bytes().into(),
            ParamType::Mode => dice.of(&[0o644u32, 0o4755]).to_ne_bytes().into(),
            ParamType::Uint64 => 7u64.to_ne_bytes().into(),
            ParamType::Uint16 | ParamType::Flags16 => 0u16.to_ne_bytes().into(),
            _ => 0u32.to_ne_bytes().into(),
        }
    });
    let params: Vec<Vec<u8>> = params.collect();
    let params: Vec<&[u8]> = params.iter().map(Vec::as_slice).collect();
    EventBuf::new(ts, tid, 0, ty, &params).unwrap()
}

#[test]
fn random_hosts_give_the_same_alerts() {
    let by_name = SourceText::new(
        "names.yaml",
        "- rule: Named\n  desc: d\n  priority: INFO\n  output: \"%evt.type %fd.name\"\n  condition: >\n    \
         (evt.type in (openat, open, creat) and fd.num > 2 and proc.name in (tar, dog))\n    \
         or (evt.type = rename and not proc.name = dog)\n    \
         or (evt.type in (open, openat) and fd.directory = /)\n\
         - rule: In containers\n  desc: d\n  priority: INFO\n  output: \"%evt.type %fd.name %container.id\"\n  condition: >\n    \
         (evt.type in (openat, open, creat) and evt.is_open_write = true and container.id != host)\n    \
         or (evt.type = unlinkat and (proc.name = dog or container.id = web))\n    \
         or (evt.type in (fchmod, fchmodat) and not container.id = host)\n\
         - rule: On the host\n  desc: d\n  priority: INFO\n  output: \"%evt.type %fd.name\"\n  condition: >\n    \
         (evt.type in (openat, open) and evt.is_open_read = true and container.id = host and fd.name endswith x)\n    \
         or (evt.type = mkdirat and not container.id != host)\n    \
         or (evt.type = linkat and (container.id = host or proc.name = dog))\n\
         - rule: But some\n  desc: d\n  priority: INFO\n  output: \"%evt.type %fd.name\"\n  condition: >\n    \
         (evt.type in (openat, creat) and fd.num > 2 and fd.name contains o and not proc.name in (cat, fox))\n    \
         or (evt.type = fchmod and proc.name != dog)\n    \
         or (evt.type in (fchmodat, unlinkat) and not proc.name startswith d and container.id = host)\n",
    );
    let texts: Vec<SourceText> =
        ruleset::own_rules(&ruleset::catalog()).into_iter().chain([by_name]).collect();
    let own = engine(&texts);
    let (mut alerts, mut spared, mut closes, mut by_home, mut excepted) = (0, 0, 0, [0, 0], 0);
    for seed in 0..30 {
        let mut comparison = Comparison::new(&own);
        for watcher in [&mut comparison.whole, &mut comparison.spared] {
            for (tid, comm, container) in
                [(10, "cat", ""), (20, "dog", ""), (30, "cat", "web"), (40, "dog", "web")]
            {
                let thread = Thread {
                    pid: tid,
                    comm: comm.into(),
                    container: container.into(),
                    cwd: "/etc".into(),
                    ..Thread::unknown(tid)
                };
                watcher.machine.add_thread(thread);
            }
        }
        let mut dice = Dice(seed);
        let mut open = [const { Open::new() }; 4];
        for ts in 1..3000 {
            let which = dice.roll(4);
            let tid = [10, 20, 30, 40][which];
            comparison.see(&event(&mut dice, ts, tid, &mut open[which]).event().unwrap());
        }
        excepted += comparison.spared_by_name;
        by_home.iter_mut().zip(comparison.spared_by_home).for_each(|(all, of)| *all += of);
        let (a, s, c) = comparison.close(&format!("seed {seed}"));
        (alerts, spared, closes) = (alerts + a, spared + s, closes + c);
    }
    assert!(excepted > 1000, "{excepted} by names that rules except");
    assert!(by_home.iter().all(|spared| *spared > 1000), "on the host and in containers {by_home:?}");
    assert!(
        alerts > 1000 && spared > 1000 && closes > 100,
        "{alerts} alerts, {spared} spared, {closes} of them closes of what was told"
    );
}
