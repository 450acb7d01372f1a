//! `lanner doctor` on this very machine, with and without privileges.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::stage::Stage;

const NOBODY: u32 = 65534;

fn parsed(output: &Output) -> Value {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(err, "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let able = report["able"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!able)), "{report}");
    report
}

fn mark<'a>(report: &'a Value, name: &str) -> &'a str {
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["name"] == name).unwrap();
    finding["mark"].as_str().unwrap()
}

/// What the doctor says of the probe is what a run finds.
#[test]
fn the_doctor_and_a_run_agree() {
    let stage = Stage::new();
    let report = parsed(&stage.command(&["doctor", "--json"]).output().unwrap());
    let run = stage.run(&["run", "--duration", "1", "--quiet"]);
    assert_eq!(mark(&report, "lanner's probe") == "ok", run.code == 0, "{report}\n{}", run.shown());
}

#[test]
fn the_report_for_people_fits_a_terminal() {
    let run = Stage::new().run(&["doctor"]);
    assert!(run.out.starts_with("lanner ") && run.out.contains(" on stage\n"), "{}", run.out);
    for section in ["kernel", "privileges", "attachments", "limits", "runtimes"] {
        assert!(run.out.contains(&format!("\n{section}\n")), "{}", run.out);
    }
    for line in run.out.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn without_privileges_it_says_so_and_ends_with_1() {
    let stage = Stage::new();
    let mut command = stage.command(&["doctor", "--json"]);
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        // `nobody` must be able to reach the executable
        std::fs::set_permissions(stage.path("."), std::fs::Permissions::from_mode(0o755)).unwrap();
        let copy = stage.path("lanner");
        std::fs::copy(env!("CARGO_BIN_EXE_lanner"), &copy).unwrap();
        command = stage.command_of(&copy, &["doctor", "--json"]);
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    let report = parsed(&output);
    assert_eq!(output.status.code(), Some(1), "{report}");
    for name in ["CAP_BPF", "CAP_PERFMON", "lanner's probe", "tp_btf/sys_exit"] {
        assert_eq!(mark(&report, name), "bad", "{name}: {report}");
    }
}

/// A socket that takes connections and never says a word, and one whose owner is gone.
#[test]
fn a_runtime_that_hangs_is_told_and_does_not_hang_the_doctor() {
    let stage = Stage::new();
    let place = |name: &str| {
        let folder = stage.path("root/run").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder.join(format!("{name}.sock"))
    };
    let _hangs = UnixListener::bind(place("crio")).unwrap();
    drop(UnixListener::bind(place("containerd")).unwrap());
    let begin = Instant::now();
    let mut command = stage.command(&["doctor", "--json"]);
    let report = parsed(&command.env("HOST_ROOT", stage.path("root")).output().unwrap());
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!((mark(&report, "crio"), mark(&report, "containerd")), ("warn", "warn"), "{report}");
}

#[test]
fn settings_that_are_missing_are_one_message() {
    let run = Stage::new().run(&["doctor", "-c", "no.yaml"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.shown());
    assert!(run.err.starts_with("lanner: ") && run.err.contains("no.yaml"), "{}", run.err);
}
