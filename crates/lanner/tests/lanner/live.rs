//! This host, watched for real.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::stage::Stage;

const RULES: &str = "\
- rule: Marked file
  desc: A file of the test was opened.
  condition: evt.type in (open, openat) and fd.name endswith lanner-live-mark
  output: marked file | file=%fd.name by=%proc.name
  priority: WARNING
";

/// A file is opened while lanner runs: the alert comes at once, and SIGINT brings the summary.
#[test]
fn an_alert_and_a_clean_end() {
    let stage = Stage::new().with("r.yaml", RULES).with("lanner-live-mark", "");
    let mut child = stage
        .command(&["run", "--rules", "r.yaml", "--duration", "60"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut screen = String::new();
    while !screen.contains("\nwatching") {
        if err.read_line(&mut screen).unwrap() == 0 {
            child.wait().unwrap();
            assert!(screen.starts_with("lanner: "), "{screen}");
            println!("skipped: {}", screen.trim_start_matches("lanner: ").trim());
            return;
        }
    }
    for row in ["kernel", "attached", "rules", "runtimes"] {
        assert!(screen.contains(&format!("\n  {row} ")), "{screen}");
    }
    let begin = Instant::now();
    let status = std::process::Command::new("cat").arg(stage.path("lanner-live-mark")).status().unwrap();
    assert!(status.success());
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut alert = String::new();
    out.read_line(&mut alert).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10), "the alert took {:?}", begin.elapsed());
    let text = alert.split_once(": ").unwrap().1;
    let want = format!("Warning marked file | file={} by=cat", stage.path("lanner-live-mark").display());
    assert!(text.starts_with(&want), "{alert}");
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    let last = rest.lines().last().unwrap();
    assert!(last.starts_with("events ") && last.contains(", alerts 1, lost "), "{rest}");
    assert!(rest.contains("Warning       Marked file"), "{rest}");
}
