//! Cgroups: word of new ones, by which containers that are about to run are known, and which a process is in.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lanner_event::types as t;
use support::call::{Arg::N, Arg::P, call};
use support::{text, texts, watch};

/// Held by each test: one's cgroups would be news to the other.
static ALONE: Mutex<()> = Mutex::new(());

/// Where cgroups can be made: where some are mounted, or where they are mounted for this test.
fn tree(mount_point: &Path) -> PathBuf {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let words = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mounted =
        words.filter(|words| words[2].starts_with("cgroup")).map(|words| PathBuf::from(words[1])).next();
    mounted.unwrap_or_else(|| {
        fs::create_dir_all(mount_point).unwrap();
        let target = CString::new(mount_point.to_str().unwrap()).unwrap();
        let args = [P(b"cgroup2\0"), P(target.as_bytes_with_nul()), P(b"cgroup2\0"), N(0), N(0)];
        assert_eq!(call(libc::SYS_mount, &args), 0, "no cgroups can be mounted");
        mount_point.to_path_buf()
    })
}

#[test]
fn each_new_cgroup_is_told_at_once_and_once() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut watch) = watch(&[]) else { return };
    let Some(mut news) = watch.probe.new_cgroups() else {
        panic!("the kernel refused the program: {:?}", watch.probe.attachment().missing)
    };
    assert!(watch.probe.new_cgroups().is_none(), "handed out once");
    let points = &watch.probe.attachment().points;
    assert!(
        points.iter().any(|point| point.ends_with("cgroup_rmdir")),
        "what is noted is forgotten: {points:?}"
    );
    let made = watch.probe.known_cgroups().made();
    // the machine may make some, too
    news.take();
    let group =
        tree(&std::env::temp_dir().join("lanner-cgroups")).join(format!("lanner-{}", std::process::id()));
    fs::create_dir(&group).unwrap();
    let begin = Instant::now();
    while !news.take() {
        assert!(begin.elapsed() < Duration::from_secs(2), "no word");
        thread::sleep(Duration::from_millis(1));
    }
    assert!(watch.probe.known_cgroups().made() > made);
    fs::remove_dir(&group).unwrap();
    assert!(!news.take(), "its end is no news");
    drop(watch);
    fs::create_dir(&group).unwrap();
    fs::remove_dir(&group).unwrap();
    assert!(!news.take(), "the probe is gone");
}

#[test]
fn a_program_is_told_with_the_cgroups_that_its_process_is_in() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut watch) = watch(&[t::SYSCALL_EXECVE_19_X]) else { return };
    let tree = tree(&std::env::temp_dir().join("lanner-cgroups"));
    let name = |which: &str| format!("lanner-in-{which}-{}", std::process::id());
    // one that is gone may leave its place in memory to the next
    for (which, stays) in [("a", true), ("b", true), ("a", false), ("b", false), ("c", false), ("d", false)] {
        let group = tree.join(name(which));
        fs::create_dir_all(&group).unwrap();
        let script = format!("echo $$ > {}/cgroup.procs && exec /bin/sleep 0", group.display());
        let mut child = Command::new("sh").args(["-c", &script]).spawn().unwrap();
        let pid = i64::from(child.id());
        assert!(child.wait().unwrap().success(), "{script}");
        let is_it = |event: &lanner_event::EventBuf| {
            let event = event.event().unwrap();
            event.tid == pid && text(&event, "comm").as_deref() == Some("sleep")
        };
        let events = watch.events_until(|events| events.iter().any(is_it));
        let event = events.iter().find(|event| is_it(event)).expect("the program is told");
        let told = texts(&event.event().unwrap(), "cgroups");
        assert!(told.iter().any(|one| one.ends_with(&format!("=/{}", name(which)))), "{which}: {told:?}");
        if !stays {
            fs::remove_dir(&group).unwrap();
        }
    }
}
