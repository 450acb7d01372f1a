//! A folder of its own for each test, the executable run in it, and a small capture.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lanner_capture::{HostRecord, Snapshot, ThreadRecord, UserRecord, Writer};
use lanner_event::{EventBuf, types};

/// What a run printed and how it ended.
pub struct Run {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Run {
    fn of(output: &Output) -> Run {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Run { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// All of it as one text, for snapshots.
    pub fn shown(&self) -> String {
        format!("exit code {}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err)
    }
}

/// A folder, and the executable run in it.
pub struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    /// An empty folder.
    pub fn new() -> Stage {
        Stage { dir: tempfile::tempdir().unwrap() }
    }

    /// Adds a file.
    pub fn with(self, name: &str, text: &str) -> Stage {
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    /// Adds the capture `c.scap`.
    pub fn with_capture(self) -> Stage {
        std::fs::write(self.path("c.scap"), capture()).unwrap();
        self
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The executable with arguments, ready to be started in the folder.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_lanner")), args)
    }

    /// The same with a copy of the executable.
    pub fn command_of(&self, executable: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(executable);
        command.args(args).current_dir(self.dir.path());
        command.env("TZ", "UTC").env("FALCO_HOSTNAME", "stage").env_remove("HOST_ROOT").env("COLUMNS", "100");
        command
    }

    /// Runs the executable to its end.
    pub fn run(&self, args: &[&str]) -> Run {
        Run::of(&self.command(args).output().unwrap())
    }
}

/// Rules that the capture fires: one at its first file, two at its second.
pub const RULES: &str = "\
- list: secrets
  items: [/etc/shadow]

- macro: opens
  condition: evt.type in (open, openat) and fd.num >= 0

- rule: Shadow read
  desc: A program opened the shadow file.
  condition: opens and fd.name in (secrets)
  output: shadow opened | file=%fd.name by=%proc.name user=%user.name
  priority: WARNING
  tags: [filesystem, host]

- rule: Any open
  desc: A program opened a file.
  condition: opens
  output: opened | file=%fd.name by=%proc.name
  priority: INFO
";

/// `cat` opens /etc/hostname and /etc/shadow, a second apart.
fn capture() -> Vec<u8> {
    let cat = ThreadRecord {
        tid: 42,
        pid: 42,
        ptid: 1,
        vtid: 42,
        vpid: 42,
        comm: b"cat".to_vec(),
        exe: b"cat".to_vec(),
        exe_path: b"/usr/bin/cat".to_vec(),
        args: b"/etc/shadow\0".to_vec(),
        cwd: b"/root/".to_vec(),
        ..ThreadRecord::default()
    };
    let snapshot = Snapshot {
        host: Some(HostRecord { cpus: 2, ..HostRecord::default() }),
        users: vec![UserRecord { uid: 0, gid: 0, name: b"root".to_vec(), ..UserRecord::default() }],
        threads: vec![cat],
        ..Snapshot::default()
    };
    let mut writer = Writer::new(Vec::new(), &snapshot).unwrap();
    for (second, (fd, name)) in [(3_i64, "/etc/hostname\0"), (4, "/etc/shadow\0")].into_iter().enumerate() {
        let ts = 1_700_000_000_000_000_000 + second as u64 * 1_000_000_000;
        let at_fdcwd = (-100_i64).to_ne_bytes();
        let params: [&[u8]; 7] = [
            &fd.to_ne_bytes(),
            &at_fdcwd,
            name.as_bytes(),
            &1_u32.to_ne_bytes(),
            &0_u32.to_ne_bytes(),
            &0_u32.to_ne_bytes(),
            &7_u64.to_ne_bytes(),
        ];
        let event = EventBuf::new(ts, 42, 0, types::SYSCALL_OPENAT_2_X, &params).unwrap();
        writer.write(&event.event().unwrap()).unwrap();
    }
    writer.finish().unwrap()
}
