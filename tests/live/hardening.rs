//! What a watching lanner has given up, and that it can do its work all the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::watch::{Turn, Watch};

/// The value behind a name in a thread's status.
fn status(task: &Path, name: &str) -> String {
    let status = fs::read_to_string(task.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap().trim().to_owned()
}

/// Waits until a file holds a text so many times.
fn wait_for(file: &Path, text: &str, times: usize) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let found = fs::read_to_string(file).unwrap_or_default();
        if found.matches(text).count() >= times {
            return;
        }
        assert!(Instant::now() < end, "{} has not {times} times {text}: {found}", file.display());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn every_thread_has_given_up_what_it_does_not_need_and_all_works() {
    let Some(_turn) = Turn::take() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, program) = (folder.path().join("file"), folder.path().join("program"));
    let mut watch = Watch::start(&format!(
        "file_output: {{enabled: true, keep_alive: true, filename: {}}}\n\
         program_output: {{enabled: true, keep_alive: false, program: 'cat >>{}'}}\n\
         webserver: {{enabled: true, listen_port: 18765, listen_address: 127.0.0.1}}",
        file.display(),
        program.display()
    ));
    let attack = || drop(std::process::Command::new("cat").arg("/etc/shadow").output().unwrap());
    attack();
    watch.alert(&["cat /etc/shadow"]);
    // BPF 39, PERFMON 38, SYS_PTRACE 19, NET_BIND_SERVICE 10, DAC_READ_SEARCH 2, DAC_OVERRIDE 1.
    let may: u64 = [39, 38, 19, 10, 2, 1].iter().map(|bit| 1u64 << bit).sum();
    let tasks: Vec<_> = fs::read_dir(format!("/proc/{}/task", watch.pid())).unwrap().collect();
    assert!(tasks.len() > 3);
    for task in tasks.into_iter().map(|task| task.unwrap().path()) {
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            let held = u64::from_str_radix(&status(&task, set), 16).unwrap();
            assert_eq!(held & !may, 0, "{}: {set} {held:x}", task.display());
        }
        assert_eq!((status(&task, "NoNewPrivs"), status(&task, "Seccomp")), ("1".into(), "2".into()));
    }
    wait_for(&file, "/etc/shadow", 1);
    wait_for(&program, "/etc/shadow", 1);
    // Files are opened anew, rules and settings read again, programs started again.
    fs::rename(&file, folder.path().join("rotated")).unwrap();
    watch.signal(Signal::SIGUSR1);
    watch.signal(Signal::SIGHUP);
    thread::sleep(Duration::from_millis(700));
    attack();
    wait_for(&file, "/etc/shadow", 1);
    wait_for(&program, "/etc/shadow", 2);
    assert!(watch.alerts_with(&["hot restart failure"]).is_empty());
    watch.stop();
}

/// The nice value of a thread; none if it has ended.
fn nice(task: &Path) -> Option<i32> {
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    let behind_name = stat.rsplit_once(')').unwrap().1;
    Some(behind_name.split_whitespace().nth(16).unwrap().parse().unwrap())
}

#[test]
fn only_the_thread_that_judges_goes_ahead_of_others() {
    let Some(_turn) = Turn::take() else { return };
    let folder = tempfile::tempdir().unwrap();
    let settings = "lanner: {nice: -2}";
    let watch = Watch::start(settings);
    let tasks = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", watch.pid())).unwrap();
        let (judge, others): (Vec<_>, Vec<_>) =
            tasks.map(|task| task.unwrap().path()).partition(|task| task.ends_with(watch.pid().to_string()));
        (nice(&judge[0]).unwrap(), others)
    };
    // a thread may have ended since
    let values = |tasks: &[PathBuf]| tasks.iter().filter_map(|task| nice(task)).collect::<Vec<_>>();
    let own = nice(Path::new("/proc/thread-self")).unwrap();
    let (judge, before) = tasks();
    if own != 0 || judge == 0 {
        return lanner_testbed::skipped(&"nice values may not be lowered here, or are");
    }
    let others = values(&before);
    assert!(judge == -2 && others.len() > 2 && others.iter().all(|nice| *nice == 0), "{judge} {others:?}");
    // an output that comes with a reload has a thread of its own
    let file = folder.path().join("alerts");
    let output = format!("file_output: {{enabled: true, filename: {}}}", file.display());
    fs::write(watch.folder().join("falco.yaml"), format!("{settings}\n{output}\n")).unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while tasks().1.iter().all(|task| before.contains(task)) {
        assert!(Instant::now() < end, "no thread has come");
        thread::sleep(Duration::from_millis(20));
    }
    let (judge, others) = tasks();
    let others = values(&others);
    assert!(judge == -2 && others.iter().all(|nice| *nice == 0), "{judge} {others:?}");
    watch.stop();
}
