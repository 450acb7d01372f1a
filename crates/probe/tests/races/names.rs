//! Names of files.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use lanner_event::prefilter::{Interest, Keep, PathTest, Prefilter, States};
use lanner_event::{EventBuf, EventType, types as t};

use crate::support::call::{Arg::N, Arg::P, call};
use crate::support::text;
use crate::{OnDrop, Place, ROUNDS, Rewritten, either, rewrite, rounds, some_rounds, watch};

/// Two files of which one is removed by a call with an argument before the name and one behind it.
fn removed(path: &str, ty: EventType, remove: impl Fn(i64) -> i64) {
    let both = [format!("{path}a"), format!("{path}b")];
    let name = Rewritten::path(path);
    let told = rounds(ty, || {
        both.iter().for_each(|path| std::fs::write(path, "").unwrap());
        assert_eq!(remove(name.at()), 0);
        either(!Path::new(&both[0]).exists())
    });
    let Some(told) = told else { return };
    told.succeeded();
    told.check(|event| text(event, if ty == t::SYSCALL_UNLINK_2_X { "path" } else { "name" }).unwrap());
}

#[test]
fn what_is_removed() {
    let place = Place::new("unlink");
    let unlink = |name| call(libc::SYS_unlink, &[N(name)]);
    removed(&format!("{}/", place.0), t::SYSCALL_UNLINK_2_X, unlink);
    let unlinkat = |name| call(libc::SYS_unlinkat, &[N(-100), N(name), N(0)]);
    removed(&format!("{}/", place.0), t::SYSCALL_UNLINKAT_2_X, unlinkat);
    // longer than what is kept beside a thread
    let long = format!("{}/{}", place.0, "n".repeat(200));
    removed(&long, t::SYSCALL_UNLINK_2_X, unlink);
}

/// Directories are made, of which one may be removed again at once.
#[test]
fn what_is_made() {
    let place = Place::new("mkdir");
    let path = format!("{}/", place.0);
    let name = Rewritten::path(&path);
    let told = rounds(t::SYSCALL_MKDIR_2_X, || {
        assert_eq!(call(libc::SYS_mkdir, &[N(name.at()), N(0o700)]), 0);
        let is_a = std::fs::remove_dir(format!("{path}a")).is_ok();
        assert!(is_a || std::fs::remove_dir(format!("{path}b")).is_ok());
        either(is_a)
    });
    let Some(told) = told else { return };
    told.succeeded();
    told.check_text("path");
}

#[test]
fn whose_mode_is_changed() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new("chmod");
    let path = format!("{}/", place.0);
    let mode = |letter| std::fs::metadata(format!("{path}{letter}")).unwrap().permissions().mode() & 0o777;
    "ab".chars().for_each(|letter| std::fs::write(format!("{path}{letter}"), "").unwrap());
    let name = Rewritten::path(&path);
    let told = rounds(t::SYSCALL_CHMOD_X, || {
        let before = [mode('a'), mode('b')];
        // one that neither of them has
        let asked = (0o400..=0o402).find(|mode| !before.contains(mode)).unwrap();
        assert_eq!(call(libc::SYS_chmod, &[N(name.at()), N(asked.into())]), 0);
        either(mode('a') == asked)
    });
    let Some(told) = told else { return };
    told.succeeded();
    told.check_text("filename");
}

#[test]
fn what_is_opened() {
    let place = Place::new("open");
    let path = format!("{}/", place.0);
    "ab".chars().for_each(|letter| std::fs::write(format!("{path}{letter}"), "").unwrap());
    let name = Rewritten::path(&path);
    let told = rounds(t::SYSCALL_OPEN_X, || {
        let fd = call(libc::SYS_open, &[N(name.at()), N(0)]);
        let opened = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        call(libc::SYS_close, &[N(fd)]);
        either(opened.to_str().unwrap().ends_with('a'))
    });
    let Some(told) = told else { return };
    told.check_text("name");
}

/// Opens of one of the two files matter: none of them is taken for one of the other.
#[test]
fn what_is_opened_of_what_matters() {
    let place = Place::new("sieve");
    let path = format!("{}/", place.0);
    "ab".chars().for_each(|letter| std::fs::write(format!("{path}{letter}"), "").unwrap());
    let Some(mut watch) = watch(t::SYSCALL_OPEN_X) else { return };
    watch.follow(&[t::SYSCALL_OPEN_X, t::SYSCALL_MUNLOCKALL_X]);
    let mattering = PathTest::Exact(format!("{path}a").into_bytes().into());
    let opens = Interest { whatever: States::NONE, paths: [(mattering, States::ALL)].into() };
    let mut prefilter = Prefilter::default();
    prefilter.types.insert(t::SYSCALL_OPEN_X, (opens, Keep::Nothing));
    watch.probe.update_prefilter(&prefilter);
    let name = Rewritten::path(&path);
    let happened = (0..ROUNDS).filter(|_| {
        let fd = call(libc::SYS_open, &[N(name.at()), N(0)]);
        let opened = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        call(libc::SYS_close, &[N(fd)]);
        opened.to_str().unwrap().ends_with('a')
    });
    let happened = happened.count();
    call(libc::SYS_munlockall, &[]);
    let tid = crate::support::call::gettid();
    let own = |events: &[EventBuf], ty| {
        let events = events.iter().map(|event| event.event().unwrap());
        events.filter(|event| event.tid == tid && event.ty() == ty).count()
    };
    let events = watch.events_until(|events| own(events, t::SYSCALL_MUNLOCKALL_X) == 1);
    let told = own(&events, t::SYSCALL_OPEN_X);
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
    let told = rounds(t::SYSCALL_RENAME_X, || {
        both.iter().for_each(|path| std::fs::write(path, "").unwrap());
        assert_eq!(call(libc::SYS_rename, &[N(name.at()), P(other.as_bytes())]), 0);
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
fn both_at_one_address(ty: EventType, number_of_call: i64, params: [&str; 2]) {
    let place = Place::new(&format!("both-{number_of_call}"));
    let path = format!("{}/", place.0);
    let both = [format!("{path}a"), format!("{path}b")];
    let name = Rewritten::path(&path);
    let told = some_rounds(6 * ROUNDS, ty, || {
        both.iter().for_each(|path| drop(std::fs::remove_file(path)));
        if ty != t::SYSCALL_SYMLINK_X {
            std::fs::write(&both[0], "a").unwrap();
            if ty == t::SYSCALL_RENAME_X {
                std::fs::write(&both[1], "b").unwrap();
            }
        }
        call(number_of_call, &[N(name.at()), N(name.at())]);
        match ty {
            // which of the two is left, with what was in the other
            t::SYSCALL_RENAME_X => match [0, 1].map(|i| std::fs::read_to_string(&both[i]).ok()) {
                [None, Some(_)] => '>',
                [Some(_), None] => '<',
                _ => '=',
            },
            t::SYSCALL_LINK_2_X => {
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
    both_at_one_address(t::SYSCALL_RENAME_X, libc::SYS_rename, ["oldpath", "newpath"]);
    both_at_one_address(t::SYSCALL_LINK_2_X, libc::SYS_link, ["oldpath", "newpath"]);
    both_at_one_address(t::SYSCALL_SYMLINK_X, libc::SYS_symlink, ["target", "linkpath"]);
}

/// What is mounted, and where: the source is a mere name here.
#[test]
fn what_is_mounted() {
    let place = Place::new("mount");
    // what this thread mounts is its own
    assert_eq!(call(libc::SYS_unshare, &[N(libc::CLONE_NEWNS.into())]), 0);
    let private = i64::try_from(libc::MS_REC | libc::MS_PRIVATE).unwrap();
    assert_eq!(call(libc::SYS_mount, &[N(0), P(b"/\0"), N(0), N(private), N(0)]), 0);
    let path = format!("{}/", place.0);
    "ab".chars().for_each(|letter| std::fs::create_dir(format!("{path}{letter}")).unwrap());
    let (source, target) = (Rewritten::path("source-"), Rewritten::path(&path));
    let mut sources = Vec::new();
    let told = some_rounds(ROUNDS / 10, t::SYSCALL_MOUNT_X, || {
        let kind = P(b"tmpfs\0");
        assert_eq!(call(libc::SYS_mount, &[N(source.at()), N(target.at()), kind, N(0), N(0)]), 0);
        let mounts = std::fs::read_to_string("/proc/thread-self/mounts").unwrap();
        let mount = mounts.lines().last().unwrap().split(' ').collect::<Vec<_>>();
        sources.push(mount[0].chars().last().unwrap());
        assert_eq!(call(libc::SYS_umount2, &[P(format!("{}\0", mount[1]).as_bytes()), N(0)]), 0);
        mount[1].chars().last().unwrap()
    });
    let Some(mut told) = told else { return };
    told.succeeded();
    told.check_text("dir");
    told.rounds.iter_mut().zip(sources).for_each(|((_, happened), source)| *happened = source);
    told.check_text("dev");
    assert!(
        told.rounds
            .iter()
            .all(|(event, _)| text(&event.event().unwrap(), "type").as_deref() == Some("tmpfs"))
    );
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
    let place = Place::new("compat");
    let path = format!("{}/", place.0);
    let low = crate::support::call::Low::new(format!("{path}a\0").as_bytes());
    let both = [format!("{path}a"), format!("{path}b")];
    let done = AtomicBool::new(false);
    let told = std::thread::scope(|scope| {
        let letter = low.byte(path.len());
        // even if an assertion fails
        let _end = OnDrop(&done);
        scope.spawn(|| rewrite(letter, *b"ab", &done));
        rounds(t::SYSCALL_UNLINK_2_X, || {
            both.iter().for_each(|path| std::fs::write(path, "").unwrap());
            assert_eq!(crate::support::call::call32(10, [low.at(), 0, 0, 0]), 0);
            either(!Path::new(&both[0]).exists())
        })
    });
    let Some(told) = told else { return };
    told.succeeded();
    told.check_text("path");
}
