//! Word of new cgroups, by which containers that are about to run are known.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use support::call::{Arg::N, Arg::P, call};
use support::watch;

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
    let Some(mut watch) = watch(&[]) else { return };
    let Some(mut news) = watch.probe.new_cgroups() else {
        panic!("the kernel refused the program: {:?}", watch.probe.attachment().missing)
    };
    assert!(watch.probe.new_cgroups().is_none(), "handed out once");
    // other tests may make some, too
    news.take();
    let group =
        tree(&std::env::temp_dir().join("lanner-cgroups")).join(format!("lanner-{}", std::process::id()));
    fs::create_dir(&group).unwrap();
    let begin = Instant::now();
    while !news.take() {
        assert!(begin.elapsed() < Duration::from_secs(2), "no word");
        thread::sleep(Duration::from_millis(1));
    }
    fs::remove_dir(&group).unwrap();
    assert!(!news.take(), "its end is no news");
    drop(watch);
    fs::create_dir(&group).unwrap();
    fs::remove_dir(&group).unwrap();
    assert!(!news.take(), "the probe is gone");
}
