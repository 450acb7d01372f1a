//! Outputs, web server, metrics and captures of rules, as a Falco deployment sets them up, and what is said when
//! one of them can't be had.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::stage::{RULES, Run, Stage};

const CONFIG: &str = "\
stdout_output: {enabled: true}
log_stderr: true
log_syslog: false
engine: {kind: replay, replay: {capture_file: c.scap}}
rules_files: [r.yaml]
";

fn stage() -> Stage {
    Stage::new().with("r.yaml", RULES).with("falco.yaml", CONFIG).with_capture()
}

/// A run with `-o` assignments.
fn with(stage: &Stage, assignments: &[&str]) -> Run {
    stage.run(&arguments(assignments))
}

fn arguments<'a>(assignments: &[&'a str]) -> Vec<&'a str> {
    let options = assignments.iter().flat_map(|assignment| ["-o", assignment]);
    ["falco", "-c", "falco.yaml"].into_iter().chain(options).collect()
}

/// Both alerts of the capture are on standard output.
fn all_alerts(run: &Run) -> bool {
    run.out.contains("/etc/hostname") && run.out.contains("/etc/shadow")
}

/// A path of the host that only one test at a time may use, if nobody else does.
struct Daemon(UnixDatagram);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = std::fs::remove_file("/dev/log");
    }
}

#[test]
fn alerts_and_log_reach_a_syslog_daemon() {
    if Path::new("/dev/log").exists() {
        println!("skipped: this host has a syslog daemon of its own");
        return;
    }
    let Ok(socket) = UnixDatagram::bind("/dev/log") else {
        println!("skipped: /dev/log can't be made here");
        return;
    };
    let daemon = Daemon(socket);
    daemon.0.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let stage = stage();
    let falco = stage.path("falco");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lanner"), &falco).unwrap();
    let args = ["-c", "falco.yaml", "-o", "syslog_output.enabled=true", "-o", "log_syslog=true"];
    let ended = stage.command_of(&falco, &args).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let mut buffer = [0; 4096];
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.contains("/etc/shadow")) {
        let n = daemon.0.recv(&mut buffer).unwrap();
        lines.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
    }
    let of = |text: &str| lines.iter().find(|line| line.contains(text)).unwrap();
    // User facility: 1 × 8 and the priority.
    assert!(of("Falco version").starts_with("<14>") && of("Falco version").contains(" falco: Falco version"));
    assert!(of("/etc/shadow").starts_with("<12>") && of("/etc/shadow").contains(" falco: "), "{lines:?}");
    assert!(of("/etc/shadow").contains(": Warning shadow opened"), "{lines:?}");
}

#[test]
fn without_a_daemon_other_outputs_go_on_and_it_is_said() {
    if Path::new("/dev/log").exists() {
        println!("skipped: this host has a syslog daemon");
        return;
    }
    let run = with(&stage(), &["syslog_output.enabled=true"]);
    // Another test may have made one meanwhile.
    let said =
        run.err.contains("syslog output: 1 alert lost so far: syslog output: cannot write to /dev/log");
    assert!(run.code == 0 && all_alerts(&run) && (said || Path::new("/dev/log").exists()), "{}", run.shown());
}

#[test]
fn a_server_that_is_not_there_delays_nothing_for_long_and_its_losses_are_said() {
    let begin = Instant::now();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http_output.url=http://{closed}/");
    let run = with(&stage(), &["http_output.enabled=true", &url, "output_timeout=300"]);
    assert!(run.code == 0 && all_alerts(&run), "{}", run.shown());
    assert!(run.err.contains(&format!("http output: cannot post to http://{closed}/: ")), "{}", run.err);
    assert!(run.err.contains("http output: 1 alert lost so far"), "{}", run.err);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

/// A program's output may be lanner's own.
#[test]
fn in_a_replay_outputs_take_alerts_in_step() {
    let run =
        with(&stage(), &["program_output.enabled=true", "program_output.program=cat", "rule_matching=all"]);
    let alerts: Vec<&str> = run.out.lines().filter(|line| line.contains(" | file=")).collect();
    assert!(alerts.len() == 6 && alerts.chunks(2).all(|pair| pair[0] == pair[1]), "{}", run.shown());
}

#[test]
fn files_and_programs_that_take_nothing_are_named_and_other_outputs_go_on() {
    let file = "file_output.enabled=true";
    let program = "program_output.enabled=true";
    for (output, setting, wanted) in [
        (
            file,
            "file_output.filename=/nowhere/alerts",
            "file output: cannot open /nowhere/alerts: No such file",
        ),
        (file, "file_output.filename=.", "file output: cannot open .: Is a directory"),
        (file, "file_output.filename=/dev/full", "file output: cannot write to /dev/full: No space left"),
        (
            program,
            "program_output.program=/nowhere/x",
            "program output: cannot write to '/nowhere/x': the shell can't start the program (exit code 127)",
        ),
    ] {
        let run = with(&stage(), &[output, setting, "output_timeout=300"]);
        let lost = format!("{} output: 1 alert lost so far", output.split('_').next().unwrap());
        let told = run.err.contains(wanted) && run.err.contains(&lost);
        assert!(run.code == 0 && all_alerts(&run) && told, "{setting}: {}", run.shown());
    }
}

#[test]
fn certificates_that_cannot_be_used_are_named_with_their_settings() {
    let base = ["http_output.enabled=true", "http_output.url=https://127.0.0.1:1/", "output_timeout=100"];
    for (setting, wanted) in [
        ("http_output.ca_cert=/nowhere/ca.pem", "http_output.ca_cert: cannot use /nowhere/ca.pem: No such"),
        (
            "http_output.ca_bundle=r.yaml",
            "http_output.ca_bundle: cannot use r.yaml: no certificate in PEM form",
        ),
        ("http_output.ca_path=/nowhere", "http_output.ca_path: cannot use /nowhere: No such"),
        ("http_output.mtls=true", "http_output.client_cert: cannot use /etc/ssl/certs/client.crt: No such"),
    ] {
        let insecure =
            if setting.contains("mtls") { "http_output.insecure=true" } else { "json_output=false" };
        let run = with(&stage(), &[&base[..], &[setting, insecure]].concat());
        // As in Falco, an output that can't work is no reason not to watch.
        assert!(run.code == 0 && all_alerts(&run) && run.err.contains(wanted), "{}", run.shown());
    }
}

#[test]
fn what_the_web_server_or_metrics_cannot_be_ends_the_run_with_the_setting_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("webserver.listen_port={}", taken.local_addr().unwrap().port());
    let web = ["engine.kind=nodriver", "webserver.enabled=true", "webserver.listen_address=127.0.0.1"];
    for (settings, wanted) in [
        (&[&port[..]][..], "webserver.listen_port: cannot listen on 127.0.0.1:"),
        (
            &[
                "webserver.listen_port=0",
                "webserver.ssl_enabled=true",
                "webserver.ssl_certificate=/nowhere.pem",
            ],
            "webserver.ssl_certificate: cannot use /nowhere.pem: No such",
        ),
        (&["webserver.listen_address=here"], "webserver listen address \"here\" is not a valid IP address"),
        (&["metrics.enabled=true", "metrics.interval=soon"], "Metrics interval must have a minimum value"),
        (&["metrics.enabled=true", "metrics.interval=1s"], "Metrics are enabled with no output configured"),
        (&["capture.mode=some"], "capture.mode 'some' is not a valid mode."),
        (&["syscall_event_timeouts.max_consecutives=0"], "must be an unsigned integer > 0"),
        (&["libs_logger.severity=loud"], "Unknown sinsp log severity loud"),
    ] {
        let run = with(&stage(), &[&web[..], settings].concat());
        assert!(run.code == 1 && run.err.contains(wanted), "{wanted}: {}", run.shown());
    }
}

/// A run in the background, ended with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The answer to a request, once a server is there.
pub fn get(port: u16, path: &str) -> String {
    ask(port, &format!("GET {path} HTTP/1.1"), "")
}

/// The same for a request of any kind, of which the first lines are given.
pub fn ask(port: u16, request: &str, body: &str) -> String {
    let begin = Instant::now();
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            write!(stream, "{request}\r\nHost: x\r\nConnection: close\r\n\r\n{body}").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            return answer;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "nothing answers");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_web_server_shows_health_versions_and_metrics() {
    let stage = stage();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = [
        "engine.kind=nodriver",
        "webserver.enabled=true",
        "webserver.listen_address=127.0.0.1",
        &format!("webserver.listen_port={port}"),
        "webserver.prometheus_metrics_enabled=true",
        "webserver.k8s_healthz_endpoint=/well",
        "metrics.enabled=true",
        "metrics.interval=200ms",
        "metrics.output_file=m.jsonl",
    ];
    let mut command: Command = stage.command(&arguments(&settings));
    let running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let health = get(port, "/well");
    assert!(
        health.starts_with("HTTP/1.1 200 OK\r\n") && health.ends_with("{\"status\": \"ok\"}"),
        "{health}"
    );
    let versions = get(port, "/versions");
    assert!(versions.contains("\"engine_version_semver\"") && versions.contains("application/json"));
    let metrics = get(port, "/metrics");
    assert!(metrics.contains("content-type: text/plain; version=0.0.4\r\n"), "{metrics}");
    assert!(metrics.contains("falcosecurity_scap_engine_name_info{engine_name=\"nodriver\""), "{metrics}");
    assert!(
        metrics.contains("falcosecurity_falco_sha256_rules_files_info{file_name=\"r.yaml\""),
        "{metrics}"
    );
    assert!(get(port, "/healthz").starts_with("HTTP/1.1 404"));
    let begin = Instant::now();
    while !std::fs::read_to_string(stage.path("m.jsonl")).is_ok_and(|text| text.contains("\"sample\":2")) {
        assert!(begin.elapsed() < Duration::from_secs(20), "no second snapshot was written");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(running);
}

#[test]
fn a_rule_starts_a_capture_that_can_be_replayed() {
    let rules = format!("{RULES}\n- rule: Shadow read\n  capture: true\n  override: {{capture: replace}}\n");
    let stage = stage().with("r.yaml", &rules);
    let prefix = format!("capture.path_prefix={}", stage.path("falco").display());
    let run = with(&stage, &["capture.enabled=true", &prefix, "rule_matching=all"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(run.err.contains("Capture is enabled in mode 'rules'. Capturing events to"), "{}", run.err);
    let name = "falco_01700000001000000000_00000000000000000002.scap";
    assert!(stage.path(name).exists(), "{}", run.err);
    let replayed = with(&stage, &[&format!("engine.replay.capture_file={name}")]);
    let alert = "21.000000000: Warning shadow opened | file=/etc/shadow by=cat user=root";
    assert!(replayed.code == 0 && replayed.out.contains(alert), "{}", replayed.shown());
    assert!(!replayed.out.contains("/etc/hostname"), "that was before");
    let nowhere =
        with(&stage, &["capture.enabled=true", "capture.path_prefix=/nowhere/x", "rule_matching=all"]);
    assert!(
        nowhere.code == 1 && nowhere.err.contains("capture.path_prefix: can't write"),
        "{}",
        nowhere.shown()
    );
}

/// lanner's own rules don't take the place of rules that someone chose and that are gone.
#[test]
fn chosen_rules_that_are_gone_are_not_replaced_by_our_own() {
    let stage = Stage::new().with("falco.yaml", "rules_files: [gone.yaml]\n");
    let run = stage.run(&["run", "--config", "falco.yaml", "--duration", "1"]);
    assert_eq!(run.code, 1, "{}", run.shown());
    assert!(run.err.contains("gone.yaml: rules_files names it, but there is no such file"), "{}", run.err);
}
