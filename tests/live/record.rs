//! `lanner record` on this very kernel: what it writes, `lanner replay` tells as if it happened now, and sysdig
//! reads.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::watch::Turn;

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
        ("gzip", vec!["--gzip", "--all-calls"]),
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

#[test]
fn sysdig_reads_it_and_shows_the_same_processes_and_files() {
    let Some(place) = Place::take() else { return };
    if Command::new("sysdig").arg("--version").output().is_err() {
        lanner_testbed::skipped(&"sysdig is not installed");
        return;
    }
    let file = place.path("a.scap");
    let recording = Recording::start(&file, &[]);
    act();
    recording.stop();
    let format = "%proc.name %proc.pid %fd.name";
    let filter = "fd.name = /etc/shadow and evt.type = read and evt.dir = <";
    let read = run("sysdig", &["-r", file.to_str().unwrap(), "-p", format, filter]);
    assert!(read.status.success(), "{read:?}");
    let shown = String::from_utf8_lossy(&read.stdout).into_owned();
    let line = shown.lines().next().unwrap_or_else(|| panic!("sysdig shows no read"));
    assert!(line.starts_with("cat ") && line.ends_with(" /etc/shadow"), "{shown}");
    let all = run("sysdig", &["-r", file.to_str().unwrap()]);
    assert!(all.status.success(), "{}", all.status);
}
