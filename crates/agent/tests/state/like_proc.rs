//! Processes that ran before, that begin, and that have children.

use std::process::Command;
use std::time::Duration;

use lanner_machine::{Machine, Thread};
use lanner_probe::SnapshotSource;

use crate::{Host, differences, shell};

#[test]
fn the_state_of_processes_is_what_proc_says() {
    compare(SnapshotSource::Iterators);
    compare(SnapshotSource::Proc);
}

fn compare(source: SnapshotSource) {
    let Some(mut host) = Host::attach(source) else { return };
    let early = shell("cd /usr; exec 5</etc/hostname; A=early exec sleep 60.731");
    std::thread::sleep(Duration::from_millis(300));
    host.snapshot();
    let plain = shell("cd /usr/./lib; exec 6<../../etc/hostname 7<&6; B=plain exec sleep 61.731");
    let nested = shell("cd /; (cd /tmp && exec sleep 62.731) & exec 8>>/dev/null; wait");
    let mut children = [early, plain, nested];
    let sleep = |t: &&Thread| t.args.get(0).is_some_and(|a| a.ends_with(b".731")) && &*t.comm == b"sleep";
    // Three programs run as `sleep`.
    host.follow(|_| false, |machine: &Machine| machine.threads().filter(sleep).count() == 3);
    let ours = |thread: &&Thread| {
        let of = |pid: i64| children.iter().any(|c| i64::from(c.id()) == pid);
        thread.is_main() && (of(thread.pid) || of(thread.ptid))
    };
    let threads: Vec<_> = host.machine.threads().filter(ours).collect();
    let different: Vec<_> = threads.iter().flat_map(|thread| differences(&host.machine, thread)).collect();
    let nested = threads.iter().find(|t| i64::from(children[2].id()) == t.ptid).map(|t| t.pid);
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    if let Some(pid) = nested {
        Command::new("/bin/kill").arg(pid.to_string()).status().unwrap();
    }
    assert_eq!(threads.len(), 4, "three shells' programs and one's child");
    assert!(different.is_empty(), "{source:?}: {different:#?}");
}
