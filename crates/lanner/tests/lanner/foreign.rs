//! Plugins in shared objects: captures with their events, and what is counted of them.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lanner_capture::{HostRecord, Snapshot, Writer};
use lanner_event::{EventBuf, types};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::operations::{Running, ask, get};
use crate::plugins::{RULES, build, deleted};
use crate::stage::Stage;

/// A capture with three events of a plugin and one that was sent beside them.
fn capture_of_a_plugin() -> Vec<u8> {
    let snapshot =
        Snapshot { host: Some(HostRecord { cpus: 1, ..HostRecord::default() }), ..Snapshot::default() };
    let mut writer = Writer::new(Vec::new(), &snapshot).unwrap();
    let ts = |nth: u64| 1_700_000_000_000_000_000 + nth;
    let id = 999u32.to_ne_bytes();
    for nth in 1..4 {
        let payload = format!("{{\"n\":{nth}}}");
        let event = EventBuf::new(ts(nth), -1, 0, types::PLUGINEVENT_E, &[&id, payload.as_bytes()]).unwrap();
        writer.write(&event.event().unwrap()).unwrap();
    }
    let sent = EventBuf::new(ts(9), -1, 0, types::ASYNCEVENT_E, &[&id, b"tick\0", b"tock"]).unwrap();
    writer.write(&sent.event().unwrap()).unwrap();
    writer.finish().unwrap()
}

#[test]
fn a_captures_events_are_those_of_the_plugin_that_is_loaded() {
    let stage = Stage::new();
    ["source", "extract", "async"].iter().for_each(|name| build(&stage, name));
    let plugin = |name: &str, more: &str| {
        let library = stage.path(&format!("lib{name}.so")).display().to_string();
        format!("- {{name: test_{name}, library_path: {library}{more}}}\n")
    };
    let plugins = plugin("source", ", open_params: refuse")
        + &plugin("extract", "")
        + &plugin("async", ", init_config: {mode: x}");
    let config = format!(
        "stdout_output: {{enabled: true}}\nlog_stderr: true\nlog_level: warning\nrules_files: [r.yaml]\nplugins_isolation: \
         process\nengine: {{kind: replay, replay: {{capture_file: p.scap}}}}\nplugins:\n- {{name: json, library_path: \
         libjson.so}}\n{plugins}"
    );
    let rules = "\
- rule: Number
  desc: d
  condition: json.value[/n] > 1 and test.number > 1
  output: 'n=%json.value[/n] %test.number %evt.plugininfo by %evt.pluginname of %evt.source'
  priority: NOTICE
  source: test_events
- rule: Sent
  desc: d
  condition: evt.asynctype = tick
  output: 'sent %test.number over %evt.source'
  priority: NOTICE
  source: test_events
";
    std::fs::write(stage.path("p.scap"), capture_of_a_plugin()).unwrap();
    let stage = stage.with("falco.yaml", &config).with("r.yaml", rules);
    let run = stage.run(&["falco", "-c", "falco.yaml"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let told: Vec<_> = run.out.lines().filter_map(|line| line.split_once(": Notice ")).map(|l| l.1).collect();
    let want = [
        "n=2 2 event 2 of test_events by test_source of test_events",
        "n=3 3 event 3 of test_events by test_source of test_events",
        "sent 4 over test_events",
    ];
    assert_eq!(told, want, "{}", run.shown());
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn sources_and_plugins_are_counted_for_prometheus() {
    let stage = Stage::new();
    ["source", "async"].iter().for_each(|name| build(&stage, name));
    let library = |name: &str| stage.path(&format!("lib{name}.so")).display().to_string();
    let (port, hook) = (free_port(), free_port());
    let config = format!(
        "log_stderr: false\nstdout_output: {{enabled: true}}\nplugins:\n- {{name: k8saudit, library_path: libk8saudit.so, init_config: {{webhookMaxBatchSize: \
         4096}}, open_params: 'http://127.0.0.1:{hook}/k8s-audit'}}\n- {{name: json, library_path: libjson.so}}\n- {{name: \
         test_source, library_path: {}, open_params: slow}}\n- {{name: test_async, library_path: {}, \
         init_config: {{mode: x}}}}\nmetrics: {{enabled: true, interval: 200ms, output_file: m.jsonl, \
         plugins_metrics_enabled: true}}\nwebserver: {{enabled: true, listen_address: 127.0.0.1, listen_port: {port}, \
         prometheus_metrics_enabled: true}}\n",
        library("source"),
        library("async")
    );
    let stage = stage.with("falco.yaml", &config).with("r.yaml", RULES);
    let sources = ["--enable-source", "k8s_audit", "--enable-source", "test_events"];
    let mut command = stage.command(&[&["falco", "-c", "falco.yaml", "-r", "r.yaml"][..], &sources].concat());
    let _running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let large = "x".repeat(5000);
    for (body, status) in [(&deleted()[..], 200), ("nonsense", 400), (&large, 413), (&deleted(), 200)] {
        let kind = "POST /k8s-audit HTTP/1.1\r\nContent-Type: application/json";
        let answer = ask(hook, &format!("{kind}\r\nContent-Length: {}", body.len()), body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    let want = [
        "lanner_source_taken_total{source=\"k8s_audit\"} 2",
        "lanner_source_refused_total{source=\"k8s_audit\",reason=\"malformed\"} 1",
        "lanner_source_refused_total{source=\"k8s_audit\",reason=\"too_large\"} 1",
        "lanner_source_refused_total{source=\"k8s_audit\",reason=\"full\"} 0",
        "lanner_source_taken_total{source=\"test_events\"} 1\n",
        "# TYPE lanner_source_progress_ratio gauge\n",
        "lanner_source_progress_ratio{source=\"test_events\"} 0.3333",
        "# TYPE falcosecurity_plugins_turns counter\n",
        "falcosecurity_plugins_turns{raw_name=\"turns\",plugin=\"test_async\"} ",
        "# TYPE falcosecurity_plugins_refused gauge\n",
        "falcosecurity_plugins_refused{raw_name=\"refused\",plugin=\"test_async\"} ",
    ];
    let begin = Instant::now();
    let missing = loop {
        let page = get(port, "/metrics");
        let missing: Vec<_> = want.iter().filter(|line| !page.contains(**line)).copied().collect();
        if missing.is_empty() || begin.elapsed() > Duration::from_secs(20) {
            break (missing, page);
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(missing.0.is_empty(), "missing {:?} in\n{}", missing.0, missing.1);
}

#[test]
fn a_reload_gives_plugins_their_other_settings() {
    let stage = Stage::new();
    ["source", "async"].iter().for_each(|name| build(&stage, name));
    let library = |name: &str| stage.path(&format!("lib{name}.so")).display().to_string();
    let config = |source: &str, mode: &str| {
        format!(
            "stdout_output: {{enabled: true}}\nlog_stderr: true\nlog_level: info\nplugins:\n- {{name: test_source, \
             library_path: {}, init_config: '{source}', open_params: slow}}\n- {{name: test_async, library_path: {}, \
             init_config: {{mode: {mode}}}}}\n- {{name: json, library_path: libjson.so}}\n",
            library("source"),
            library("async"),
        )
    };
    let write = |text: &str| std::fs::write(stage.path("falco.yaml"), text).unwrap();
    write(&config("a", "x"));
    std::fs::write(stage.path("r.yaml"), RULES).unwrap();
    let arguments =
        ["falco", "-c", "falco.yaml", "-r", "r.yaml", "--enable-source", "test_events", "-M", "60"];
    let mut command = stage.command(&arguments);
    let mut running = Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let process = Pid::from_raw(running.0.id() as i32);
    let mut lines = BufReader::new(running.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut told = |part: &str| lines.any(|line| line.contains(part));
    assert!(told("Opening 'test_events' source with plugin 'test_source'"));
    // By then it is ready to be told to read its files again, one that is still being written too.
    write("log_stderr: true\nlog_level: info\n");
    kill(process, Signal::SIGHUP).unwrap();
    assert!(told("Reloaded"));
    for (mode, wanted) in [
        ("other", "plugin 'test_async' has its new settings"),
        (
            "refuse",
            "plugin 'test_async': refuses its new settings: still told to refuse; it goes on with its old ones",
        ),
    ] {
        write(&config("a", mode));
        kill(process, Signal::SIGHUP).unwrap();
        assert!(told(wanted), "{mode}");
    }
    write(&config("b", "refuse"));
    kill(process, Signal::SIGHUP).unwrap();
    assert!(told("plugin 'test_source': takes no new settings; it goes on with its old ones"));
}
