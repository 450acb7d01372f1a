//! What is dropped because the process is known to be in no container.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lanner_event::prefilter::{Interest, Keep, Prefilter};
use lanner_event::types as t;
use lanner_probe::KnownCgroup;

use crate::support::call::{Arg::N, Arg::P, call};
use crate::support::{Watch, text};
use crate::{TYPES, close, open, told, told_of_all, watch};

/// Where cgroups can be made. `None` if controllers are in hierarchies of their own, by which nothing is decided.
fn tree() -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let has_controllers =
        |line: &&str| line.split(':').nth(1).is_some_and(|of| !of.is_empty() && !of.starts_with("name="));
    if let Some(line) = own.lines().find(has_controllers) {
        eprintln!("skipped: this machine's cgroups are not of version 2 alone: {line}");
        return None;
    }
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let words = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mounted = words.filter(|words| words[2] == "cgroup2").map(|words| PathBuf::from(words[1])).next();
    Some(mounted.unwrap_or_else(|| {
        let point = std::env::temp_dir().join("lanner-hosts");
        fs::create_dir_all(&point).unwrap();
        let target = CString::new(point.to_str().unwrap()).unwrap();
        let args = [P(b"cgroup2\0"), P(target.as_bytes_with_nul()), P(b"cgroup2\0"), N(0), N(0)];
        // two at one place do no harm
        assert_eq!(call(libc::SYS_mount, &args), 0, "no cgroups can be mounted");
        point
    }))
}

/// The cgroup of this process.
fn own(tree: &Path) -> PathBuf {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let path = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    tree.join(path)
}

/// A cgroup, as long as this lives.
struct Group(PathBuf);

impl Group {
    fn new(tree: &Path, name: &str) -> Group {
        let path = tree.join(format!("lanner-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Group(path)
    }

    fn id(&self) -> u64 {
        id(&self.0)
    }

    /// Moves whoever has this in a script there.
    fn enter(&self) -> String {
        enter(&self.0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn id(group: &Path) -> u64 {
    fs::metadata(group).unwrap().ino()
}

fn enter(group: &Path) -> String {
    format!("echo $$ > {}/cgroup.procs", group.display())
}

/// Opens matter if they are made in a container.
fn of_containers() -> Prefilter {
    let [all, none] = [Interest::all(), Interest::default()];
    Prefilter {
        types: [
            (t::SYSCALL_OPENAT_2_X, (all.clone(), Keep::Opens)),
            (t::SYSCALL_CLOSE_X, (none.clone(), Keep::Closes)),
        ]
        .into(),
        callers: [(t::SYSCALL_OPENAT_2_X, [&all, &all, &none, &none, &none].map(Interest::clone))].into(),
        ..Prefilter::default()
    }
}

fn watch_containers() -> Option<Watch> {
    let mut watch = watch(&[&TYPES[..], &[t::SYSCALL_EXECVE_19_X, t::SYSCALL_CLONE_20_X]].concat())?;
    watch.probe.snapshot(&mut |_| {}).unwrap();
    watch.probe.update_prefilter(&of_containers());
    Some(watch)
}

/// Whether it is told that a script opens `$MARK`.
fn is_told(watch: &mut Watch, script: &str) -> bool {
    let mark = std::env::temp_dir().join(format!("lanner-hosts-{}-mark", std::process::id()));
    fs::write(&mark, "").unwrap();
    told(watch);
    let status = Command::new("sh").args(["-c", script]).env("MARK", &mark).status().unwrap();
    assert!(status.success(), "{script}");
    let events = told_of_all(watch);
    let opens = events.iter().map(|event| event.event().unwrap()).filter(|e| e.ty() == t::SYSCALL_OPENAT_2_X);
    opens.into_iter().any(|event| text(&event, "name").as_deref() == mark.to_str())
}

#[test]
fn processes_in_no_container_are_known_by_their_cgroups() {
    let Some(tree) = tree() else { return };
    let Some(mut watch) = watch_containers() else { return };
    let watch = &mut watch;
    let own = own(&tree);
    let opens = |watch: &mut Watch| {
        told(watch);
        close(open("/etc/hostname", libc::O_RDONLY));
        told(watch).iter().any(|event| event.event().unwrap().ty() == t::SYSCALL_OPENAT_2_X)
    };
    assert!(opens(watch) && is_told(watch, ": < $MARK"), "no cgroup is listed");
    assert!(watch.probe.known_cgroups().insert(KnownCgroup::Host(id(&own))));
    // what was there before the probe is known from the kernel's iterators alone
    assert_eq!(opens(watch), !watch.probe.attachment().iterators);
    assert!(!is_told(watch, ": < $MARK") && !is_told(watch, "exec cat $MARK"));
    std::thread::scope(|scope| scope.spawn(|| assert!(!opens(watch), "a thread")).join().unwrap());

    let container = Group::new(&tree, "container");
    let (leave, enter) = (enter(&own), container.enter());
    for (script, told) in [
        // who is moved is known to be where it was, until it runs a program
        (format!("{enter}; : < $MARK; {leave}"), false),
        (format!("{enter} && cat $MARK"), true),
        (format!("{enter} && (: < $MARK) && true"), true),
        (format!("{enter} && exec sh -c '{leave}; : < $MARK'"), true),
        (format!("{enter} && exec sh -c '{leave}; exec cat $MARK'"), false),
        (format!("{enter} && exec sh -c '{leave}; cat $MARK'"), false),
    ] {
        assert_eq!(is_told(watch, &script), told, "{script}");
    }

    let service = Group::new(&tree, "service");
    let script = format!("{} && exec cat $MARK", service.enter());
    assert!(is_told(watch, &script), "it isn't listed yet");
    assert!(watch.probe.known_cgroups().insert(KnownCgroup::Host(service.id())));
    assert!(!is_told(watch, &script));
    watch.probe.known_cgroups().remove(KnownCgroup::Host(service.id()));
    assert!(is_told(watch, &script));
    assert!(!watch.probe.known_cgroups().unsure());
}

/// Runs a program in a cgroup, in which something is done before.
fn run_in(group: &Path, first: fn()) {
    let procs = group.join("cgroup.procs");
    let mut command = Command::new("true");
    let enter = move || fs::write(&procs, "0").map(|()| first());
    // SAFETY: a file is written that nothing else of this process has open, and no lock is held that others have taken.
    let command = unsafe { command.pre_exec(enter) };
    assert!(command.status().unwrap().success());
}

/// Has another thread become the process, by running a program.
fn run_by_thread() {
    let run = || call(libc::SYS_execve, &[P(b"/bin/true\0"), N(0), N(0)]);
    assert_eq!(std::thread::spawn(run).join().unwrap(), 0);
}

#[test]
fn processes_in_containers_are_known_by_their_cgroups() {
    let Some(tree) = tree() else { return };
    let Some(mut watch) = watch_containers() else { return };
    let watch = &mut watch;
    let mut prefilter = of_containers();
    prefilter.of_containers.insert(t::SYSCALL_OPENAT_2_X);
    watch.probe.update_prefilter(&prefilter);
    let container = Group::new(&tree, "container");
    let (leave, enter) = (enter(&own(&tree)), container.enter());
    let run = format!("{enter} && exec cat $MARK");
    assert!(is_told(watch, &run), "it isn't listed yet");
    // neither is one of the host
    assert!(watch.probe.known_cgroups().insert(KnownCgroup::Host(container.id())));
    assert!(is_told(watch, &run));
    assert!(watch.probe.known_cgroups().insert(KnownCgroup::Container(container.id())));
    for (script, told) in [
        (run.clone(), false),
        (": < $MARK".into(), true),
        // who is moved is known to be where it was, until it runs a program
        (format!("{enter}; : < $MARK; {leave}"), true),
        (format!("{enter} && (: < $MARK) && true"), false),
        (format!("{enter} && exec sh -c '{leave}; : < $MARK'"), false),
        (format!("{enter} && exec sh -c '{leave}; exec cat $MARK'"), true),
    ] {
        assert_eq!(is_told(watch, &script), told, "{script}");
    }
    // whatever runtimes do in it, it is a container's
    run_in(&container.0, || {
        assert_eq!(call(libc::SYS_prctl, &[N(libc::PR_SET_NAME.into()), P(b"runc:[2:INIT]\0")]), 0);
    });
    assert!(!is_told(watch, &run));
    watch.probe.known_cgroups().remove(KnownCgroup::Container(container.id()));
    assert!(is_told(watch, &run));
    assert!(!watch.probe.known_cgroups().unsure());
}

#[test]
fn a_cgroup_that_a_runtime_may_have_taken_for_a_container_is_not_the_hosts() {
    let Some(tree) = tree() else { return };
    let Some(mut watch) = watch_containers() else { return };
    let watch = &mut watch;
    let script = |group: &Group| format!("{} && exec cat $MARK", group.enter());
    let listed = |watch: &Watch, name: &str| {
        let group = Group::new(&tree, name);
        assert!(watch.probe.known_cgroups().insert(KnownCgroup::Host(group.id())));
        group
    };
    let in_namespace = |group: &Path| {
        std::thread::scope(|scope| {
            let begun = scope.spawn(|| {
                assert_eq!(call(libc::SYS_unshare, &[N(libc::CLONE_NEWPID.into())]), 0);
                run_in(group, || ());
            });
            begun.join().unwrap();
        });
    };
    let by_name = |group: &Path| {
        std::thread::scope(|scope| {
            let begun = scope.spawn(|| {
                assert_eq!(call(libc::SYS_prctl, &[N(libc::PR_SET_NAME.into()), P(b"runc:[2:INIT]\0")]), 0);
                run_in(group, || ());
            });
            begun.join().unwrap();
        });
    };
    let plainly = |group: &Path| run_in(group, || ());
    let by_thread = |group: &Path| run_in(group, run_by_thread);
    for (name, run, told) in [
        ("plain", &plainly as &dyn Fn(&Path), false),
        ("thread", &by_thread, false),
        ("namespace", &in_namespace, true),
        ("name", &by_name, true),
    ] {
        let group = listed(watch, name);
        assert!(!is_told(watch, &script(&group)), "{name}");
        run(&group.0);
        assert_eq!(is_told(watch, &script(&group)), told, "{name}");
        // so is what is in it
        let below = Group(group.0.join("below"));
        fs::create_dir(&below.0).unwrap();
        assert!(watch.probe.known_cgroups().insert(KnownCgroup::Host(below.id())));
        assert_eq!(is_told(watch, &script(&below)), told, "below {name}");
        drop((below, group));
        // another of the same name is another
        let group = listed(watch, name);
        assert!(!is_told(watch, &script(&group)), "{name} anew");
    }
    assert!(!watch.probe.known_cgroups().unsure());
}
