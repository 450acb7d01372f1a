//! `lanner record` on this very kernel: what it writes, `lanner replay` tells as if it happened now, and sysdig
//! reads.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use lanner_testbed::{API_CLIENT_IMAGE, bed_or_skip};

use crate::watch::{Turn, Watch};

/// A recording under way.
struct Recording {
    process: Child,
    errors: BufReader<std::process::ChildStderr>,
}

impl Recording {
    /// Starts it and waits until everything is recorded.
    fn start(file: &Path, options: &[&str]) -> Recording {
        let mut process = Command::new(env!("CARGO_BIN_EXE_lanner"))
            .args(["record", "--duration", "60", "-o"])
            .arg(file)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        assert!(line.starts_with("recording to "), "{line}");
        Recording { process, errors }
    }

    /// Ends it as Ctrl-C does; its last words.
    fn stop(mut self) -> String {
        kill(Pid::from_raw(self.process.id() as i32), Signal::SIGINT).unwrap();
        self.end()
    }

    fn end(&mut self) -> String {
        let status = self.process.wait().unwrap();
        let told: Vec<String> = self.errors.by_ref().lines().map_while(Result::ok).collect();
        assert!(status.success(), "{status}: {told:?}");
        std::io::read_to_string(self.process.stdout.take().unwrap()).unwrap()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).stdin(Stdio::null()).output().unwrap()
}

/// What `lanner replay` prints.
fn replay(file: &Path) -> String {
    let output = run(env!("CARGO_BIN_EXE_lanner"), &["replay", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn act() {
    assert!(run("cat", &["/etc/shadow"]).status.success());
}

/// The number behind a word of a closing line.
fn number(said: &str, word: &str) -> u64 {
    let rest = said.split(&format!("{word} ")).nth(1).unwrap_or_else(|| panic!("no `{word}` in {said}"));
    rest.split([',', '\n']).next().unwrap().trim().parse().unwrap()
}

struct Place {
    _turn: Turn,
    folder: tempfile::TempDir,
}

impl Place {
    fn take() -> Option<Place> {
        let _turn = Turn::take()?;
        Some(Place { _turn, folder: tempfile::tempdir().unwrap() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[test]
fn what_was_recorded_raises_the_alert_again() {
    let Some(place) = Place::take() else { return };
    for (name, options) in [
        ("plain", vec![]),
        ("gzip", vec!["--gzip", "--modern"]),
        ("filtered", vec!["--filter", "fd.name = /etc/shadow"]),
    ] {
        let file = place.path(name);
        let recording = Recording::start(&file, &options);
        act();
        let said = recording.stop();
        let events = number(&said, "events");
        assert!(events > 0 && number(&said, "lost") == 0, "{name}: {said}");
        let told = replay(&file);
        let alert = told.lines().find(|line| line.contains("file=/etc/shadow "));
        let alert = alert.unwrap_or_else(|| panic!("{name}: no alert:\n{told}"));
        assert!(alert.contains("command=cat /etc/shadow ") && alert.contains("user=root "), "{alert}");
        assert_eq!(number(&told, "events"), events, "{name}: {told}");
    }
}

#[test]
fn containers_have_their_names_and_users_in_the_replay() {
    let Some(place) = Place::take() else { return };
    let bed = bed_or_skip!();
    let old_pod = bed.pod("old-0").namespace("shop").start().unwrap();
    let old = old_pod.container("old").image(API_CLIENT_IMAGE).start().unwrap();
    let file = place.path("a.scap");
    // Both watch the same acts.
    let mut watch = Watch::with_bed(&bed, "");
    let config = watch.folder().join("falco.yaml");
    let recording = Recording::start(&file, &["--config", config.to_str().unwrap()]);
    old.exec(&["kube-recon", "kubectl", "top"]).unwrap();
    let new_pod = bed.pod("new-0").namespace("shop").start().unwrap();
    let command = ["kubectl", "delete", "pod", "x"];
    let new = new_pod.container("new").image(API_CLIENT_IMAGE).command(&command).start().unwrap();
    let live: Vec<String> = ["kubectl top", "kubectl delete pod x "].map(|act| watch.alert(&[act])).into();
    // So that the recording learns of the accounts too.
    std::thread::sleep(Duration::from_secs(1));
    recording.stop();
    let told = replay(&file);
    for line in &live {
        assert!(line.contains("k8s.ns=shop ") && line.contains("/kube-recon"), "{line}");
        // Each of the two has its own time of the same act.
        let without_time = |line: &str| line.split_once(' ').map(|(_, rest)| rest.to_owned());
        let same = |replayed: &str| without_time(replayed) == without_time(line);
        assert!(told.lines().any(same), "{line}\nis not in\n{told}");
    }
    drop((old, new));
    watch.stop();
}

#[test]
fn a_full_file_makes_room_for_the_next_and_each_is_whole() {
    let Some(place) = Place::take() else { return };
    let file = place.path("a.scap");
    let recording = Recording::start(&file, &["--size", "1", "--rotate", "2"]);
    let end = Instant::now() + Duration::from_secs(30);
    while !place.path("a.scap.1").exists() && Instant::now() < end {
        act();
    }
    recording.stop();
    let names = std::fs::read_dir(place.folder.path()).unwrap().count();
    assert_eq!(names, 2, "files");
    for name in ["a.scap", "a.scap.1"] {
        replay(&place.path(name));
    }
}

#[test]
fn a_full_file_without_rotation_ends_the_recording() {
    let Some(place) = Place::take() else { return };
    let file = place.path("a.scap");
    let mut recording = Recording::start(&file, &["--size", "1"]);
    act();
    assert_eq!(number(&recording.end(), "events"), 1);
}

/// What is recorded for sysdig: options, and what a shell does meanwhile in a folder of its own. `$PORT` listens.
const FOR_SYSDIG: [(&[&str], &str); 10] = [
    (&[], "cat /etc/shadow >/dev/null"),
    (&["--gzip"], "ls -la /etc >/dev/null"),
    (&[], "echo x >a; cat <a >b; cat b >>a"),
    (&["--gzip"], "cat /etc/passwd | sort | head -1 >c"),
    (&[], "find /etc -maxdepth 1 -type f -newer /etc/passwd >/dev/null"),
    (&[], "echo y >a; exec 5<a 6>&1; cat <&5; echo z >&6; exec 5<&- 6>&-"),
    (&[], "mkdir d; touch d/a; mv d/a d/b; cp d/b e; rm -r d; cat e"),
    (&["--size", "200000000", "--rotate", "2"], "exec 3<>/dev/tcp/127.0.0.1/$PORT; echo hi >&3; cat <&3"),
    (&[], "for i in 1 2 3; do /bin/true $i; (cat /etc/hostname); done"),
    (&["--filter", "evt.type in (read, write, close)"], "dd if=/etc/passwd of=f bs=64 2>/dev/null; cat f"),
];

/// Runs a script in a session of its own; the session's id.
fn session(script: &str, folder: &Path, port: u16) -> u32 {
    let shell = Command::new("setsid")
        .args(["bash", "-c", script])
        .current_dir(folder)
        .env("PORT", port.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    let mut shell = shell.unwrap();
    let id = shell.id();
    assert!(shell.wait().unwrap().success(), "{script}");
    id
}

/// One line of an event: when, thread, process, fd.
const SEEN: &str = "%evt.rawtime|%thread.tid|%evt.type|%proc.pid|%proc.name|%proc.cmdline|%fd.name|";

/// The events of a session as sysdig or lanner shows them, by time and thread.
fn by_moment(text: &str) -> BTreeMap<(String, String), Vec<String>> {
    let lines = text.lines().map(|line| line.splitn(8, '|').map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|parts| parts.len() == 8).map(|p| ((p[0].clone(), p[1].clone()), p[2..7].to_vec())).collect()
}

fn as_sysdig_sees(file: &Path, session: u32) -> BTreeMap<(String, String), Vec<String>> {
    let filter = format!("proc.sid = {session} and evt.dir = <");
    let read = run("sysdig", &["-r", file.to_str().unwrap(), "-p", &format!("*{SEEN}"), &filter]);
    assert!(read.status.success(), "{}: {}", read.status, String::from_utf8_lossy(&read.stderr));
    by_moment(&String::from_utf8_lossy(&read.stdout))
}

fn as_lanner_sees(file: &Path, session: u32) -> BTreeMap<(String, String), Vec<String>> {
    let rules = file.with_extension("yaml");
    let rule = format!(
        "- rule: all\n  desc: all\n  condition: proc.sid = {session}\n  output: \"|{SEEN}\"\n  priority: DEBUG\n"
    );
    std::fs::write(&rules, rule).unwrap();
    let args = ["replay", file.to_str().unwrap(), "-r", rules.to_str().unwrap()];
    let read = run(env!("CARGO_BIN_EXE_lanner"), &args);
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let shown = String::from_utf8_lossy(&read.stdout).into_owned();
    let lines: Vec<&str> = shown.lines().filter_map(|line| line.split_once('|')).map(|l| l.1).collect();
    by_moment(&lines.join("\n"))
}

#[test]
fn sysdig_shows_the_same_processes_and_fds_of_ten_recordings() {
    let Some(place) = Place::take() else { return };
    if Command::new("sysdig").arg("--version").output().is_err() {
        lanner_testbed::skipped(&"sysdig is not installed");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let greeted = stream.write_all(b"hello\n").and_then(|()| stream.shutdown(Shutdown::Write));
            // What it says is read, so that its end is no error.
            let _ = greeted.and_then(|()| stream.read_to_end(&mut Vec::new()));
        }
    });
    for (number, (options, script)) in FOR_SYSDIG.into_iter().enumerate() {
        let file = place.path(&format!("{number}.scap"));
        let folder = place.path(&number.to_string());
        std::fs::create_dir(&folder).unwrap();
        let recording = Recording::start(&file, options);
        let session = session(script, &folder, port);
        recording.stop();
        let (sysdig, lanner) = (as_sysdig_sees(&file, session), as_lanner_sees(&file, session));
        let (mut events, mut named, mut one_sided) = (0, 0, 0);
        for (moment, theirs) in &sysdig {
            let Some(ours) = lanner.get(moment) else { continue };
            events += 1;
            assert_eq!(theirs[..4], ours[..4], "{script}: {moment:?}");
            match [&*theirs[4], &*ours[4]] {
                // Calls that have an fd today only, such as mmap and unlinkat.
                ["<NA>" | "NULL", _] => {}
                [theirs, ours] if theirs == ours => named += usize::from(!ours.is_empty()),
                // It has two, and sysdig shows the other one.
                _ if ours[0] == "copy_file_range" => {}
                // To sysdig a failed connect names the socket, and exec closes nothing.
                [_, ""] => one_sided += 1,
                _ => panic!("{script}: {moment:?}: {theirs:?} {ours:?}"),
            }
        }
        assert!(events > 20 && named > 10, "{script}: {events} events in both, {named} with an fd's name");
        assert!(one_sided * 10 <= named, "{script}: {one_sided} names that only sysdig has");
    }
}
