//! What is dropped by the name of the process.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use lanner_event::prefilter::{CALLERS, EXCEPTED_NAME, Interest, Keep, OTHER_NAME, Prefilter, THERE};
use lanner_event::types as t;

use crate::support::call::{Arg::N, Arg::P, call};
use crate::support::{Watch, text};
use crate::{TYPES, close, open, told, told_of_all, watch};

const FILE: &str = "/etc/hostname";

/// What this thread is called.
pub fn own() -> Vec<u8> {
    let name = std::fs::read("/proc/thread-self/comm").unwrap();
    name.strip_suffix(b"\n").unwrap().to_vec()
}

fn call_oneself(name: &str) {
    let name = [name.as_bytes(), b"\0"].concat();
    assert_eq!(call(libc::SYS_prctl, &[N(libc::PR_SET_NAME.into()), P(&name)]), 0);
}

/// Opens matter if a process of the name makes them.
fn asks_for(name: &str) -> Prefilter {
    let opens = (Interest::all(), Keep::Opens);
    Prefilter {
        types: [(t::SYSCALL_OPENAT_2_X, opens), (t::SYSCALL_CLOSE_X, (Interest::default(), Keep::Closes))]
            .into(),
        names: [name.as_bytes().into()].into(),
        callers: [(t::SYSCALL_OPENAT_2_X, by_kind([OTHER_NAME, OTHER_NAME + THERE]))].into(),
        ..Prefilter::default()
    }
}

/// Opens matter unless a process of the name makes them.
fn excepts(name: &str) -> Prefilter {
    let asked = asks_for("asked");
    Prefilter {
        callers: [(t::SYSCALL_OPENAT_2_X, by_kind([EXCEPTED_NAME, EXCEPTED_NAME + THERE]))].into(),
        excepted: [(t::SYSCALL_OPENAT_2_X, [name.as_bytes().into()].into())].into(),
        ..asked
    }
}

/// Everything is asked of all kinds of callers but two.
fn by_kind(of_whom_nothing: [usize; 2]) -> [Interest; CALLERS - 1] {
    std::array::from_fn(|at| match of_whom_nothing.contains(&(at + 1)) {
        true => Interest::default(),
        false => Interest::all(),
    })
}

/// Whether it is told that this thread opens a file: each time, for while another test begins a thread, the process's fds
/// are taken for those of several, of which every open is told.
fn is_told(watch: &mut Watch) -> bool {
    let is_told_once = |watch: &mut Watch| {
        told(watch);
        close(open(FILE, libc::O_RDONLY));
        told(watch).iter().any(|event| event.event().unwrap().ty() == t::SYSCALL_OPENAT_2_X)
    };
    (0..3).all(|_| is_told_once(watch))
}

/// A probe that tells of opens by processes of the name alone.
fn watch_for(name: &str) -> Option<Watch> {
    let mut watch = watch(&[&TYPES[..], &[t::SYSCALL_EXECVE_19_X, t::SYSCALL_CLONE_20_X]].concat())?;
    watch.probe.snapshot(&mut |_| {}).unwrap();
    watch.probe.update_prefilter(&asks_for(name));
    Some(watch)
}

#[test]
fn a_thread_is_known_by_the_name_that_it_began_with() {
    let Some(mut watch) = watch_for("asked") else { return };
    let watch = &mut watch;
    let first = String::from_utf8(own()).unwrap();
    assert!(!is_told(watch));
    call_oneself("asked");
    assert!(!is_told(watch), "nobody but the kernel knows that it has the name");
    std::thread::scope(|scope| {
        let begun = scope.spawn(|| {
            assert_eq!(own(), b"asked");
            let told = [is_told(watch), (call_oneself("other"), is_told(watch)).1];
            let child = std::thread::scope(|scope| scope.spawn(|| is_told(watch)).join().unwrap());
            (told, child)
        });
        assert_eq!(begun.join().unwrap(), ([true, true], false), "known as asked, and its child as other");
    });
    watch.probe.update_prefilter(&asks_for(&first));
    assert!(is_told(watch), "{first} is asked for now");
    watch.probe.update_prefilter(&asks_for(&first[1..]));
    assert!(!is_told(watch), "that is another");
    watch.probe.update_prefilter(&excepts(&first));
    assert!(!is_told(watch), "{first} is excepted now");
    watch.probe.update_prefilter(&excepts("other"));
    call_oneself("other");
    assert!(is_told(watch), "known as {first} as before");
}

#[test]
fn names_of_every_length_are_known() {
    let Some(mut watch) = watch_for("asked") else { return };
    let watch = &mut watch;
    for len in 1..=15 {
        // something longer before it, of which older kernels leave the end
        call_oneself("fifteen-letters");
        let name = &"abcdefghijklmno"[..len];
        call_oneself(name);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(own(), name.as_bytes());
                let (longer, shorter) = (format!("{name}p"), &name[1..]);
                let told = [name, &longer, shorter, &name[..len - 1]].map(|asked| {
                    watch.probe.update_prefilter(&asks_for(asked));
                    is_told(watch)
                });
                assert_eq!(told, [true, false, false, false], "{name}");
                let told = [name, &longer, shorter, &name[..len - 1]].map(|excepted| {
                    watch.probe.update_prefilter(&excepts(excepted));
                    is_told(watch)
                });
                assert_eq!(told, [false, true, true, true], "{name}");
            });
        });
    }
}

#[test]
fn before_the_snapshot_a_new_name_leaves_doubt() {
    let Some(mut watch) = watch(&[&TYPES[..], &[t::SYSCALL_EXECVE_19_X]].concat()) else { return };
    let watch = &mut watch;
    watch.probe.update_prefilter(&asks_for("asked"));
    assert!(!is_told(watch));
    watch.probe.update_prefilter(&excepts(std::str::from_utf8(&own()).unwrap()));
    assert!(!is_told(watch));
    call_oneself("other");
    assert!(is_told(watch));
    watch.probe.update_prefilter(&asks_for("asked"));
    assert!(is_told(watch));
    watch.probe.snapshot(&mut |_| {}).unwrap();
    assert!(is_told(watch), "the snapshot may have had either");
}

/// Whether it is told that a script of this name opens the file `mark` beside it.
fn script_is_told(watch: &mut Watch, name: &str, script: &str) -> bool {
    let dir = std::env::temp_dir().join(format!("lanner-names-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (program, mark) = (dir.join(name), dir.join("mark"));
    std::fs::write(&mark, "").unwrap();
    std::fs::write(&program, format!("#!/bin/sh\n{}\n", script.replace("mark", mark.to_str().unwrap())))
        .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    told(watch);
    assert!(Command::new(&program).status().unwrap().success());
    let events = told_of_all(watch);
    std::fs::remove_dir_all(&dir).unwrap();
    let opens = events.iter().map(|event| event.event().unwrap()).filter(|e| e.ty() == t::SYSCALL_OPENAT_2_X);
    opens.into_iter().any(|event| text(&event, "name").as_deref() == mark.to_str())
}

#[test]
fn a_program_is_known_by_the_name_that_it_was_run_by() {
    let Some(mut watch) = watch_for("asked") else { return };
    for (name, script, told) in [
        ("other", ": < mark", false),
        ("asked", ": < mark", true),
        ("asked", "printf other > /proc/$$/comm && : < mark", true),
        ("other", "printf asked > /proc/$$/comm && : < mark", false),
        // a child has the name that its parent has at that moment
        ("asked", "printf other > /proc/$$/comm && ( : < mark ) && true", false),
        ("other", "printf asked > /proc/$$/comm && ( : < mark ) && true", true),
        // and a program its own, whatever the process was called before
        ("asked", "printf other > /proc/$$/comm && exec cat mark", false),
    ] {
        assert_eq!(script_is_told(&mut watch, name, script), told, "{name}: {script}");
    }
}
