//! What else names stand for: what is made, changed, entered or mounted.

use lanner_event::{Event, types as t};

use crate::calls::{CHDIR, CHMOD, CHOWN, MKDIR, MKNOD, UMOUNT};
use crate::support::call::{Arg::N, Arg::P, call};
use crate::support::text;
use crate::{Place, ROUNDS, Rewritten, either, rounds, some_rounds};

/// `FSCONFIG_SET_STRING` (include/uapi/linux/mount.h).
const SET_STRING: i64 = 1;

/// Directories are made, of which one may be removed again at once.
#[test]
fn what_is_made() {
    let place = Place::new("mkdir");
    let path = format!("{}/", place.0);
    let name = Rewritten::path(&path);
    let told = rounds(MKDIR.ty, || {
        assert_eq!(MKDIR.make(N(name.at()), &[0o700]), 0);
        let is_a = std::fs::remove_dir(format!("{path}a")).is_ok();
        assert!(is_a || std::fs::remove_dir(format!("{path}b")).is_ok());
        either(is_a)
    });
    let Some(told) = told else { return };
    told.succeeded();
    told.check_text(MKDIR.param);
}

#[test]
fn what_node_is_made() {
    let place = Place::new("mknod");
    let path = format!("{}/", place.0);
    let name = Rewritten::path(&path);
    let told = rounds(MKNOD.ty, || {
        assert_eq!(MKNOD.make(N(name.at()), &[i64::from(libc::S_IFIFO | 0o600), 0]), 0);
        let is_a = std::fs::remove_file(format!("{path}a")).is_ok();
        assert!(is_a || std::fs::remove_file(format!("{path}b")).is_ok());
        either(is_a)
    });
    let Some(told) = told else { return };
    told.succeeded();
    told.check_text(MKNOD.param);
}

#[test]
fn whose_mode_is_changed() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new("chmod");
    let path = format!("{}/", place.0);
    let mode = |letter| std::fs::metadata(format!("{path}{letter}")).unwrap().permissions().mode() & 0o777;
    "ab".chars().for_each(|letter| std::fs::write(format!("{path}{letter}"), "").unwrap());
    let name = Rewritten::path(&path);
    let told = rounds(CHMOD.ty, || {
        let before = [mode('a'), mode('b')];
        // one that neither of them has
        let asked = (0o400..=0o402).find(|mode| !before.contains(mode)).unwrap();
        assert_eq!(CHMOD.make(N(name.at()), &[asked.into()]), 0);
        either(mode('a') == asked)
    });
    let Some(told) = told else { return };
    told.succeeded();
    told.check_text(CHMOD.param);
}

#[test]
fn whose_owner_is_changed() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new("chown");
    let path = format!("{}/", place.0);
    let owner = |letter| std::fs::metadata(format!("{path}{letter}")).unwrap().uid();
    "ab".chars().for_each(|letter| std::fs::write(format!("{path}{letter}"), "").unwrap());
    let name = Rewritten::path(&path);
    let told = rounds(CHOWN.ty, || {
        let before = [owner('a'), owner('b')];
        let asked = (1..=3).find(|uid| !before.contains(uid)).unwrap();
        assert_eq!(CHOWN.make(N(name.at()), &[asked.into(), -1, 0]), 0);
        either(owner('a') == asked)
    });
    let Some(told) = told else { return };
    told.succeeded();
    told.check_text(CHOWN.param);
}

#[test]
fn what_directory_is_entered() {
    let place = Place::new("chdir");
    // this thread's directory is its own
    assert_eq!(call(libc::SYS_unshare, &[N(libc::CLONE_FS.into())]), 0);
    let path = format!("{}/", place.0);
    "ab".chars().for_each(|letter| std::fs::create_dir(format!("{path}{letter}")).unwrap());
    let name = Rewritten::path(&path);
    let told = rounds(CHDIR.ty, || {
        assert_eq!(CHDIR.make(N(name.at()), &[]), 0);
        either(std::fs::read_link("/proc/thread-self/cwd").unwrap().ends_with("a"))
    });
    let Some(told) = told else { return };
    told.succeeded();
    told.check_text(CHDIR.param);
}

/// Gives this thread mounts of its own.
fn mount_apart() {
    assert_eq!(call(libc::SYS_unshare, &[N(libc::CLONE_NEWNS.into())]), 0);
    let private = i64::try_from(libc::MS_REC | libc::MS_PRIVATE).unwrap();
    assert_eq!(call(libc::SYS_mount, &[N(0), P(b"/\0"), N(0), N(private), N(0)]), 0);
}

/// What is mounted, and where: the source is a mere name here.
#[test]
fn what_is_mounted() {
    let place = Place::new("mount");
    mount_apart();
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

/// A file system that is to be mounted is asked for something, of which one letter is rewritten: by one letter it does it.
fn configured(
    letters: [u8; 2],
    ask: impl Fn(i64, i64) -> i64,
    told: impl Fn(&Event<'_>) -> Option<String>,
    done: &str,
) {
    let word = Rewritten::new(&[&letters[..1], &done.as_bytes()[1..], b"\0"].concat(), 0, letters);
    let fd = call(libc::SYS_fsopen, &[P(b"tmpfs\0"), N(0)]);
    assert!(fd >= 0);
    let all = rounds(t::SYSCALL_FSCONFIG_X, || either(ask(fd, word.at()) == 0));
    call(libc::SYS_close, &[N(fd)]);
    let Some(all) = all else { return };
    all.check(|event| either(told(event).as_deref() == Some(done)).into());
}

#[test]
fn what_a_file_system_is_asked_for() {
    let ask = |fd, key| call(libc::SYS_fsconfig, &[N(fd), N(SET_STRING), N(key), P(b"1\0"), N(0)]);
    configured(*b"ux", ask, |event| text(event, "key"), "uid");
    let ask = |fd, value| call(libc::SYS_fsconfig, &[N(fd), N(SET_STRING), P(b"uid\0"), N(value), N(0)]);
    // of what failed no text is told
    configured(*b"1x", ask, |event| text(event, "value_charbuf"), "1");
}

#[test]
fn what_is_unmounted() {
    let place = Place::new("umount");
    mount_apart();
    let path = format!("{}/", place.0);
    let mount = |letter| {
        let target = format!("{path}{letter}\0");
        let args = [P(b"tmpfs\0"), P(target.as_bytes()), P(b"tmpfs\0"), N(0), N(0)];
        assert_eq!(call(libc::SYS_mount, &args), 0);
    };
    for letter in "ab".chars() {
        std::fs::create_dir(format!("{path}{letter}")).unwrap();
        mount(letter);
    }
    let name = Rewritten::path(&path);
    let told = some_rounds(ROUNDS / 10, UMOUNT.ty, || {
        assert_eq!(UMOUNT.make(N(name.at()), &[0]), 0);
        let mounts = std::fs::read_to_string("/proc/thread-self/mounts").unwrap();
        let gone = "ab".chars().find(|letter| !mounts.contains(&format!("{path}{letter} "))).unwrap();
        mount(gone);
        gone
    });
    "ab".chars().for_each(|letter| {
        UMOUNT.make(P(format!("{path}{letter}\0").as_bytes()), &[0]);
    });
    let Some(told) = told else { return };
    told.succeeded();
    told.check_text(UMOUNT.param);
}
