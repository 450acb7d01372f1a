//! The bed makes what it promises, and leaves nothing behind.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use lanner_testbed::{API_CLIENT_IMAGE, Bed, bed_or_skip};

#[test]
fn a_pod_runs_and_a_shell_in_it_has_the_first_terminal() {
    let bed = bed_or_skip!();
    let pod = bed.pod("mysql-db-d5dc6b85d-77hrm").start().unwrap();
    let mysql = pod.container("mysql").start().unwrap();

    let answer = mysql.exec(&["echo", "hello"]).unwrap();
    assert_eq!((answer.stdout.as_slice(), answer.exit_code), (&b"hello\n"[..], 0));

    // One after the other: each is to have the first terminal of the container.
    for by_shim in [false, true] {
        let bash = ["bash", "-il"];
        let mut shell = if by_shim { mysql.exec_tty_by_shim(&bash) } else { mysql.exec_tty(&bash) }.unwrap();
        // Field 7 of stat is the terminal: 0x8800 is the first of a devpts.
        shell.line("read -r line < /proc/$$/stat; set -- $line; echo terminal=$7 comm=$2.").unwrap();
        shell.until("terminal=34816 comm=(bash).").unwrap();
        shell.line("exit 3").unwrap();
        assert_eq!(shell.wait().unwrap().code(), Some(3));
    }
}

#[test]
fn a_program_has_the_parent_it_is_given() {
    let bed = bed_or_skip!();
    let pod = bed.pod("recon").start().unwrap();
    let recon = pod.container("recon").image(API_CLIENT_IMAGE).start().unwrap();
    let answer = recon.exec(&["kube-recon", "kubectl", "get", "pods"]).unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "No resources found in default namespace.\n");
}

#[test]
fn nothing_is_left_of_a_bed() {
    let bed = bed_or_skip!();
    let pod = bed.pod("short").start().unwrap();
    let container = pod.container("short").start().unwrap();
    let folder = bed.place().dir().to_path_buf();
    let id = container.id().to_owned();
    let uid = pod.uid().to_owned();
    assert!(cgroups_named(&uid) > 0, "the pod has no cgroup where a kubelet would put it");
    drop(bed);
    assert!(!folder.exists());
    assert_eq!(cgroups_named(&uid), 0);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(folder.to_str().unwrap()));
    assert_eq!(processes_naming(&id), Vec::<String>::new());
}

#[test]
fn a_bed_of_a_killed_test_is_cleaned_up() {
    // A child that makes a bed and dies without a word, by way of this very test.
    if let Ok(report) = std::env::var("LANNER_BED_TO_ABANDON") {
        let Ok(bed) = Bed::start() else { std::process::exit(0) };
        let pod = bed.pod("abandoned").start().unwrap();
        let _container = pod.container("abandoned").start().unwrap();
        fs::write(report, bed.place().dir().to_str().unwrap()).unwrap();
        std::process::abort();
    }
    let report = tempfile::NamedTempFile::new().unwrap();
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_bed_of_a_killed_test_is_cleaned_up", "--nocapture"])
        .env("LANNER_BED_TO_ABANDON", report.path())
        .output()
        .unwrap();
    let folder = fs::read_to_string(report.path()).unwrap();
    if folder.is_empty() {
        return lanner_testbed::skipped(&"there can be no bed here");
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while Path::new(&folder).exists() {
        assert!(Instant::now() < deadline, "{folder} is still there");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&folder));
    assert_eq!(processes_naming(&folder), Vec::<String>::new());
}

fn cgroups_named(uid: &str) -> usize {
    fn walk(folder: &Path, uid: &str) -> usize {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders
            .map(|entry| {
                usize::from(entry.file_name().to_string_lossy().contains(uid)) + walk(&entry.path(), uid)
            })
            .sum()
    }
    walk(Path::new("/sys/fs/cgroup"), uid)
}

fn processes_naming(text: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let command_lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    command_lines
        .map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
        .filter(|line| line.contains(text))
        .collect()
}
