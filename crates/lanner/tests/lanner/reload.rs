//! Rules that go away and come back while it runs: the old ones go on meanwhile, and it is said.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::stage::{RULES, Stage};

const ONE: &str =
    "- rule: One more\n  desc: d\n  condition: evt.type = unlink\n  output: o\n  priority: INFO\n";

/// A run that looks at no events, and what it says.
struct Running {
    process: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(stage: &Stage, rules: &str) -> Running {
        let settings = format!(
            "engine: {{kind: nodriver}}\nstdout_output: {{enabled: true}}\nlog_stderr: true\nlog_syslog: false\n\
             lanner: {{hardening: none}}\nrules_files: {rules}\n"
        );
        fs::write(stage.path("falco.yaml"), settings).unwrap();
        let mut command = stage.command(&["falco", "-c", "falco.yaml"]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let errors = process.stderr.take().unwrap();
        std::thread::spawn(move || {
            BufReader::new(errors).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let running = Running { process, lines };
        running.says("will be opened with no driver");
        running
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id() as i32), signal).unwrap();
    }

    /// Waits for a line of its log.
    fn says(&self, part: &str) -> String {
        let end = Instant::now() + Duration::from_secs(30);
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("never said: {part}; but:\n{}", seen.join("\n")),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_folder_that_is_removed_keeps_its_rules_until_it_is_back() {
    let stage = Stage::new().with("r.yaml", RULES);
    let folder = stage.path("more");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.yaml"), ONE).unwrap();
    let running = Running::start(&stage, "[r.yaml, more]");
    fs::remove_dir_all(&folder).unwrap();
    running
        .says("Not reloaded, the old rules go on: more: rules came from here, and there are none any more");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.yaml"), ONE).unwrap();
    running.says("Reloaded: 3 rules");
    // One of several files may go: that is how rules are removed.
    fs::write(folder.join("b.yaml"), ONE.replace("One", "Two")).unwrap();
    running.says("Reloaded: 4 rules");
    fs::remove_file(folder.join("a.yaml")).unwrap();
    running.says("Reloaded: 3 rules");
    fs::remove_file(folder.join("b.yaml")).unwrap();
    running.says("Not reloaded");
    // Settings that no longer name it mean it.
    let settings = fs::read_to_string(stage.path("falco.yaml")).unwrap();
    fs::write(stage.path("falco.yaml"), settings.replace("[r.yaml, more]", "[r.yaml]")).unwrap();
    running.says("Reloaded: 2 rules");
}

/// The folder for a user's rules that packages make.
#[test]
fn a_folder_that_never_had_rules_holds_up_no_reload() {
    let stage = Stage::new().with("r.yaml", RULES);
    fs::create_dir(stage.path("more")).unwrap();
    let running = Running::start(&stage, "[r.yaml, more]");
    fs::write(stage.path("r.yaml"), format!("{RULES}{ONE}")).unwrap();
    running.says("Reloaded: 3 rules");
}

/// As Kubernetes mounts a ConfigMap, whose folder is also replaced as a whole.
#[test]
fn a_link_that_is_swapped_broken_and_mended_is_followed() {
    let stage = Stage::new();
    let version = |name: &str, rules: &str| {
        fs::create_dir(stage.path(name)).unwrap();
        fs::write(stage.path(name).join("r.yaml"), rules).unwrap();
    };
    let swap = |to: &str| {
        symlink(to, stage.path("link_tmp")).unwrap();
        fs::rename(stage.path("link_tmp"), stage.path("link")).unwrap();
    };
    version("one", RULES);
    swap("one");
    let running = Running::start(&stage, "[link]");
    version("two", &format!("{RULES}{ONE}"));
    swap("two");
    running.says("Reloaded: 3 rules");
    swap("nowhere");
    running.says("Not reloaded, the old rules go on: link: rules came from here");
    swap("one");
    running.says("Reloaded: 2 rules");
    fs::remove_file(stage.path("link")).unwrap();
    running.says("Not reloaded");
    version("link", ONE);
    running.says("Reloaded: 1 rules");
}

#[test]
fn what_was_named_and_is_mended_or_comes_is_noticed() {
    let stage = Stage::new().with("r.yaml", RULES);
    let running = Running::start(&stage, "[r.yaml, later.yaml]");
    fs::write(stage.path("later.yaml"), ONE).unwrap();
    running.says("Reloaded: 3 rules");
    // A file that only the refused settings name.
    fs::write(stage.path("new.yaml"), "- rule: [broken").unwrap();
    let settings = fs::read_to_string(stage.path("falco.yaml")).unwrap();
    write_at_once(&stage.path("falco.yaml"), &settings.replace("later.yaml", "new.yaml"));
    running.says("Not reloaded");
    fs::write(stage.path("new.yaml"), ONE.replace("One", "New")).unwrap();
    running.says("Reloaded: 3 rules");
}

/// What logrotate and operators do, where no events come either.
#[test]
fn files_are_opened_anew_and_outputs_replaced_without_events_too() {
    let stage = Stage::new().with("r.yaml", RULES);
    let metrics = "metrics: {enabled: true, interval: 200ms, output_rule: true}";
    let to = |file: &str| {
        format!("[r.yaml]\n{metrics}\nfile_output: {{enabled: true, keep_alive: true, filename: {file}}}")
    };
    let running = Running::start(&stage, &to("alerts"));
    let holds = |file: &str, text: &str| {
        let end = Instant::now() + Duration::from_secs(30);
        while !fs::read_to_string(stage.path(file)).is_ok_and(|all| all.contains(text)) {
            assert!(Instant::now() < end, "{file} has no {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    holds("alerts", "Falco metrics snapshot");
    fs::rename(stage.path("alerts"), stage.path("alerts.1")).unwrap();
    running.signal(Signal::SIGUSR1);
    running.says("SIGUSR1 received, reopening outputs...");
    holds("alerts", "Falco metrics snapshot");
    write_at_once(&stage.path("r.yaml"), "- rule: [broken");
    holds("alerts", "Falco internal: hot restart failure");
    write_at_once(&stage.path("r.yaml"), RULES);
    running.says("Reloaded");
    let settings = fs::read_to_string(stage.path("falco.yaml")).unwrap();
    write_at_once(&stage.path("falco.yaml"), &settings.replace("filename: alerts", "filename: others"));
    holds("others", "Falco metrics snapshot");
}

/// Puts a file in another one's place, so that nobody reads half of it.
fn write_at_once(path: &Path, text: &str) {
    let beside = path.with_extension("tmp");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}
