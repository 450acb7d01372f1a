//! Names of files.

use std::path::Path;

use lanner_event::prefilter::{Interest, Keep, PathTest, Prefilter, States};
use lanner_event::{EventBuf, EventType, types as t};

use crate::calls::{Call, LINK, OPEN, RENAME, SYMLINK, TwoNames, UNLINK, UNLINKAT};
use crate::support::call::{Arg::N, Arg::P, call};
use crate::support::{self, Watch, flag, number, text};
use crate::{Place, ROUNDS, Rewritten, either, rounds, some_rounds, watch};

/// Two files of which one is removed.
fn removed(path: &str, remove: &Call) {
    let both = [format!("{path}a"), format!("{path}b")];
    let name = Rewritten::path(path);
    let told = rounds(remove.ty, || {
        both.iter().for_each(|path| std::fs::write(path, "").unwrap());
        assert_eq!(remove.make(N(name.at()), &[0]), 0);
        either(!Path::new(&both[0]).exists())
    });
    let Some(told) = told else { return };
    told.succeeded();
    told.check_text(remove.param);
}

#[test]
fn what_is_removed() {
    let place = Place::new("unlink");
    removed(&format!("{}/", place.0), &UNLINK);
    removed(&format!("{}/", place.0), &UNLINKAT);
    // longer than what is kept beside a thread
    let long = format!("{}/{}", place.0, "n".repeat(200));
    removed(&long, &UNLINK);
}

#[test]
fn what_is_opened() {
    let place = Place::new("open");
    let path = format!("{}/", place.0);
    "ab".chars().for_each(|letter| std::fs::write(format!("{path}{letter}"), "").unwrap());
    let name = Rewritten::path(&path);
    let told = rounds(OPEN.ty, || {
        let fd = OPEN.make(N(name.at()), &[0]);
        let opened = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        call(libc::SYS_close, &[N(fd)]);
        either(opened.to_str().unwrap().ends_with('a'))
    });
    let Some(told) = told else { return };
    told.check_text(OPEN.param);
}

/// `openat2` has its flags in memory; what a file was opened for is the file's own.
#[test]
fn what_a_file_is_opened_for() {
    let place = Place::new("how");
    let path = format!("{}/file\0", place.0);
    std::fs::write(path.trim_end_matches('\0'), "").unwrap();
    let [reading, writing] = [libc::O_RDONLY, libc::O_WRONLY].map(|flags| flags as u8);
    let how = Rewritten::new(&[0; 24], 0, [reading, writing]);
    let told = rounds(t::SYSCALL_OPENAT2_X, || {
        let fd = call(libc::SYS_openat2, &[N(-100), P(path.as_bytes()), N(how.at()), N(24)]);
        let flags = call(libc::SYS_fcntl, &[N(fd), N(libc::F_GETFL.into())]);
        call(libc::SYS_close, &[N(fd)]);
        either(flags & i64::from(libc::O_ACCMODE) == i64::from(libc::O_RDONLY))
    });
    let Some(told) = told else { return };
    let [a, b] = ["O_RDONLY", "O_WRONLY"].map(|name| flag(t::SYSCALL_OPENAT2_X, "flags", name));
    for (event, happened) in &told.rounds {
        let told = number(&event.event().unwrap(), "flags").unwrap() & (a | b);
        assert_eq!(told, if *happened == 'a' { a } else { b });
    }
}

/// Opens of one of the two files matter: none of them is taken for one of the other.
#[test]
fn what_is_opened_of_what_matters() {
    let place = Place::new("sieve");
    let path = format!("{}/", place.0);
    "ab".chars().for_each(|letter| std::fs::write(format!("{path}{letter}"), "").unwrap());
    let Some(mut watch) = watch(OPEN.ty) else { return };
    watch.follow(&[OPEN.ty, t::SYSCALL_MUNLOCKALL_X]);
    let mattering = PathTest::Exact(format!("{path}a").into_bytes().into());
    let opens = Interest { whatever: States::NONE, paths: [(mattering, States::ALL)].into() };
    let mut prefilter = Prefilter::default();
    prefilter.types.insert(OPEN.ty, (opens, Keep::Nothing));
    watch.probe.update_prefilter(&prefilter);
    let name = Rewritten::path(&path);
    let happened = (0..ROUNDS).filter(|_| {
        let fd = OPEN.make(N(name.at()), &[0]);
        let opened = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        call(libc::SYS_close, &[N(fd)]);
        opened.to_str().unwrap().ends_with('a')
    });
    let happened = happened.count();
    call(libc::SYS_munlockall, &[]);
    let tid = support::call::gettid();
    let own = |events: &[EventBuf], ty| {
        let events = events.iter().map(|event| event.event().unwrap());
        events.filter(|event| event.tid == tid && event.ty() == ty).count()
    };
    let events = watch.events_until(|events| own(events, t::SYSCALL_MUNLOCKALL_X) == 1);
    let told = own(&events, OPEN.ty);
    println!("{told} told of {happened} opens");
    assert!(watch.probe.attachment().no_copies.is_some() || told == happened);
    watch.probe.update_prefilter(&Prefilter::default());
}

#[test]
fn what_is_renamed() {
    let place = Place::new("rename");
    let path = format!("{}/", place.0);
    let both = [format!("{path}a"), format!("{path}b")];
    let (name, other) = (Rewritten::path(&path), format!("{path}other\0"));
    let told = rounds(RENAME.ty, || {
        both.iter().for_each(|path| std::fs::write(path, "").unwrap());
        assert_eq!(RENAME.make(name.at(), other.as_ptr() as i64), 0);
        either(!Path::new(&both[0]).exists())
    });
    let Some(told) = told else { return };
    told.succeeded();
    for (event, _) in &told.rounds {
        assert_eq!(text(&event.event().unwrap(), "newpath").as_deref(), Some(other.trim_end_matches('\0')));
    }
    told.check_text("oldpath");
}

/// Both names stand at one address: what they were is seen if the thread came between the kernel's readings.
fn both_at_one_address(act: &TwoNames) {
    let TwoNames { ty, params, .. } = *act;
    let place = Place::new(&format!("both-{}", ty.0));
    let path = format!("{}/", place.0);
    let both = [format!("{path}a"), format!("{path}b")];
    let name = Rewritten::path(&path);
    let told = some_rounds(6 * ROUNDS, ty, || {
        both.iter().for_each(|path| drop(std::fs::remove_file(path)));
        if ty != SYMLINK.ty {
            std::fs::write(&both[0], "a").unwrap();
            if ty == RENAME.ty {
                std::fs::write(&both[1], "b").unwrap();
            }
        }
        act.make(name.at(), name.at());
        match ty {
            // which of the two is left, with what was in the other
            ty if ty == RENAME.ty => match [0, 1].map(|i| std::fs::read_to_string(&both[i]).ok()) {
                [None, Some(_)] => '>',
                [Some(_), None] => '<',
                _ => '=',
            },
            ty if ty == LINK.ty => {
                if Path::new(&both[1]).exists() {
                    '>'
                } else {
                    '='
                }
            }
            _ => match [0, 1].map(|i| std::fs::read_link(&both[i]).ok()) {
                [None, Some(target)] if target.ends_with("a") => '>',
                [Some(target), None] if target.ends_with("b") => '<',
                _ => '=',
            },
        }
    });
    let Some(told) = told else { return };
    let mut apart = 0;
    for (event, happened) in told.rounds.iter().filter(|(_, happened)| *happened != '=') {
        let event = event.event().unwrap();
        let [old, new] = params.map(|param| text(&event, param).unwrap());
        apart += 1;
        let expected = if *happened == '>' { ["a", "b"] } else { ["b", "a"] };
        assert!(
            !told.safe || (old.ends_with(expected[0]) && new.ends_with(expected[1])),
            "{happened} {old} {new}"
        );
    }
    println!("{apart} of {} calls got two names from one address", told.rounds.len());
}

#[test]
fn two_names_at_one_address() {
    [RENAME, LINK, SYMLINK].iter().for_each(both_at_one_address);
}

/// A name that the kernel has not looked at is what stands there, not one of the call before.
#[test]
fn nothing_is_left_of_the_call_before() {
    let Some(mut watch) = watch(t::SYSCALL_UNLINKAT_2_X) else { return };
    let mut name = *b"/nonexistent-lanner/a\0";
    let unlink = |name: &[u8], flags| call(libc::SYS_unlinkat, &[N(-100), P(name), N(flags)]);
    assert_eq!(unlink(&name, 0), -2);
    name[20] = b'b';
    // no such flag: nothing is read
    assert_eq!(unlink(&name, 0x4000), -22);
    let told: Vec<_> = watch.own(2).iter().map(|e| text(&e.event().unwrap(), "name").unwrap()).collect();
    assert_eq!(told, ["/nonexistent-lanner/a", "/nonexistent-lanner/b"]);
}

/// By the 32-bit gate.
#[cfg(target_arch = "x86_64")]
#[test]
fn what_a_32_bit_call_removes() {
    use crate::{OnDrop, rewrite};
    use std::sync::atomic::AtomicBool;

    let place = Place::new("compat");
    let path = format!("{}/", place.0);
    let low = support::call::Low::new(format!("{path}a\0").as_bytes());
    let both = [format!("{path}a"), format!("{path}b")];
    let done = AtomicBool::new(false);
    let told = std::thread::scope(|scope| {
        let letter = low.byte(path.len());
        // even if an assertion fails
        let _end = OnDrop(&done);
        scope.spawn(|| rewrite(letter, *b"ab", &done));
        rounds(t::SYSCALL_UNLINK_2_X, || {
            both.iter().for_each(|path| std::fs::write(path, "").unwrap());
            assert_eq!(support::call::call32(10, [low.at(), 0, 0, 0]), 0);
            either(!Path::new(&both[0]).exists())
        })
    });
    let Some(told) = told else { return };
    told.succeeded();
    told.check_text("path");
}

/// Where a call's beginning is told too, its end says whether its name is the kernel's copy.
#[test]
fn the_end_says_what_it_knows_better_than_the_beginning() {
    let name = b"/nonexistent-lanner\0";
    let beginning = EventType(OPEN.ty.0 - 1);
    let Some(mut watch) = support::watch(&[beginning, OPEN.ty]) else { return };
    let told = |watch: &mut Watch, types: &[EventType]| {
        watch.follow(types);
        assert_eq!(OPEN.make(P(name), &[0]), -2);
        let events = watch.own(types.len());
        assert_eq!(events.len(), types.len());
        events.iter().map(|event| event.event().unwrap().is_copied()).collect::<Vec<_>>()
    };
    let by_copies = watch.probe.attachment().no_copies.is_none();
    assert_eq!(told(&mut watch, &[beginning, OPEN.ty]), [false, by_copies]);
    assert_eq!(told(&mut watch, &[OPEN.ty]), [false]);
}

/// The name that a file in memory has, which nobody copies for the probe.
#[test]
fn what_a_file_in_memory_is_called() {
    let name = Rewritten::path("lanner-");
    let told = rounds(t::SYSCALL_MEMFD_CREATE_X, || {
        let fd = call(libc::SYS_memfd_create, &[N(name.at()), N(0)]);
        let link = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        call(libc::SYS_close, &[N(fd)]);
        either(link.to_str().unwrap().contains("lanner-a"))
    });
    let Some(told) = told else { return };
    assert_eq!(forged(&told, "name"), 0);
}

/// The name that a thread gives itself.
#[test]
fn what_a_thread_calls_itself() {
    let name = Rewritten::path("lanner-");
    let told = rounds(t::SYSCALL_PRCTL_X, || {
        assert_eq!(call(libc::SYS_prctl, &[N(15), N(name.at())]), 0);
        let own = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
        either(own.trim_end() == "lanner-a")
    });
    let Some(told) = told else { return };
    assert_eq!(forged(&told, "arg2_str"), 0);
}

/// How many of the names are not what happened.
fn forged(told: &crate::Told, param: &str) -> usize {
    let forged = |(event, happened): &&(EventBuf, char)| {
        !text(&event.event().unwrap(), param).unwrap().ends_with(*happened)
    };
    told.rounds.iter().filter(forged).count()
}
