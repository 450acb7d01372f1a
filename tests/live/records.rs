//! Where lanner is called by records of tracepoints, as it is by itself on kernels that may stop programs elsewhere.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::watch::{Turn, Watch};

const MADE: &str = "\
- rule: Made
  desc: A marked directory was made.
  condition: evt.type in (mkdir, mkdirat) and evt.arg.path contains lanner-records-mark
  output: made %evt.arg.path by %proc.cmdline of %proc.pname
  priority: WARNING
";

const SIGNALLED: &str = "\
- rule: Signalled
  desc: A signal was delivered.
  condition: evt.type = signaldeliver and proc.name = sleep
  output: signalled %evt.arg.sig
  priority: WARNING
";

#[test]
fn records_tell_what_calls_tell_and_rules_can_be_changed() {
    let Some(_turn) = Turn::take() else { return };
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    fs::write(&rules, MADE).unwrap();
    let settings = format!("rules_files: [{}]\nlanner: {{attachment: records}}", rules.display());
    let mut watch = Watch::start(&settings);
    if watch.alerts_with(&["tracepoint/raw_syscalls/sys_exit"]).is_empty() {
        lanner_testbed::skipped(&"no tracefs here");
        return;
    }
    let path = folder.path().join("lanner-records-mark");
    let made = Command::new("sh").arg("-c").arg(format!("mkdir {}", path.display())).status().unwrap();
    assert!(made.success());
    watch.alert(&["made", "lanner-records-mark by mkdir"]);

    fs::write(&rules, format!("{MADE}{SIGNALLED}")).unwrap();
    watch.signal(Signal::SIGHUP);
    let end = Instant::now() + Duration::from_secs(10);
    while watch.alerts_with(&["signalled"]).is_empty() {
        assert!(Instant::now() < end, "the new rule never fired: {:?}", watch.seen);
        let mut sleeping = Command::new("sleep").arg("60").spawn().unwrap();
        thread::sleep(Duration::from_millis(50));
        kill(Pid::from_raw(sleeping.id() as i32), Signal::SIGTERM).unwrap();
        sleeping.wait().unwrap();
    }
    assert_eq!(watch.stop().lost, 0);
}
