//! What is known of the opening of a file beforehand, and what the system says of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Value, json};

use super::shown::{Shown, account, link};
use super::{Bounds, Wanted};

/// Fields of the opening that have no value, as in Falco.
pub const ABSENT: [&str; 40] = [
    "evt.pluginname",
    "evt.plugininfo",
    "evt.asynctype",
    "evt.buffer",
    "evt.buflen",
    "evt.io_dir",
    "evt.count.error.net",
    "evt.count.error.memory",
    "evt.count.error.other",
    "thread.cpu",
    "thread.cpu.user",
    "thread.cpu.system",
    "fd.cip",
    "fd.sip",
    "fd.lip",
    "fd.rip",
    "fd.cport",
    "fd.sport",
    "fd.lport",
    "fd.rport",
    "fd.cproto",
    "fd.sproto",
    "fd.lproto",
    "fd.rproto",
    "fd.sockfamily",
    "fd.cip.name",
    "fd.sip.name",
    "fd.lip.name",
    "fd.rip.name",
    "fs.path.source",
    "fs.path.sourceraw",
    "fs.path.target",
    "fs.path.targetraw",
    "fdlist.nums",
    "fdlist.names",
    "fdlist.cips",
    "fdlist.sips",
    "fdlist.cports",
    "fdlist.sports",
    "proc.aname[99]",
];

/// Those that are false.
pub const FALSE: [&str; 14] = [
    "evt.is_async",
    "evt.failed",
    "evt.is_io",
    "evt.is_io_read",
    "evt.is_io_write",
    "evt.is_wait",
    "evt.is_syslog",
    "evt.is_open_exec",
    "evt.is_io_uring",
    "proc.is_exe_from_memfd",
    "fd.is_server",
    "fd.connected",
    "fd.is_upper_layer",
    "fd.is_lower_layer",
];

/// Those that are true.
pub const TRUE: [&str; 9] = [
    "evt.is_open_read",
    "evt.is_open_write",
    "evt.is_open_create",
    "proc.is_sid_leader",
    "proc.is_pgid_leader",
    "proc.is_vpgid_leader",
    "proc.is_exe_writable",
    "thread.ismain",
    "fd.name_changed",
];

/// Numbers of the opening that are none of the others.
pub const NUMBERS: [(&str, i64); 12] = [
    ("evt.count", 1),
    ("evt.count.exit", 1),
    ("evt.count.error", 0),
    ("evt.count.error.file", 0),
    ("evt.rawres", 3),
    ("fd.num", 3),
    ("proc.nthreads", 1),
    ("proc.nchilds", 0),
    ("proc.cmdnargs", 2),
    ("proc.vmswap", 0),
    ("thread.exectime", 0),
    ("thread.totexectime", 0),
];

/// What is known of the opening process and its parent, the test.
pub fn of_process(child: &Shown, parent: &Shown) -> Wanted {
    let (arguments, own) = (child.arguments(), parent.arguments());
    let file = fs::metadata(child.exe()).unwrap();
    let time = |seconds: i64, ns: i64| json!(seconds * 1_000_000_000 + ns);
    let line = |comm: &str, arguments: &[String]| {
        std::iter::once(comm.to_owned()).chain(arguments[1..].iter().cloned()).collect::<Vec<_>>().join(" ")
    };
    let mut wanted: Wanted = vec![
        ("proc.exe", json!(arguments[0])),
        ("proc.exepath", json!(child.exe())),
        ("proc.name", json!(child.comm())),
        ("proc.args", json!(arguments[1..].join(" "))),
        ("proc.args[0]", json!(arguments[1])),
        ("proc.cmdline", json!(line(&child.comm(), &arguments))),
        ("proc.exeline", json!(arguments.join(" "))),
        ("proc.cmdlenargs", json!(arguments[1..].iter().map(String::len).sum::<usize>())),
        ("proc.env[LANNER_FIELD]", json!("x y")),
        ("proc.cwd", json!(format!("{}/", link(format!("/proc/{}/cwd", child.pid)).trim_end_matches('/')))),
        ("proc.env[NONE]", json!("")),
        ("fd.uid", json!(format!("{}3", child.pid))),
        ("proc.tty", json!(child.stat[3])),
        ("proc.pexe", json!(own[0])),
        ("proc.pexepath", json!(parent.exe())),
        ("proc.pname", json!(parent.comm())),
        ("proc.aname[1]", json!(parent.comm())),
        ("proc.pcmdline", json!(line(&parent.comm(), &own))),
        ("proc.exe_ino", json!(file.ino())),
        ("proc.exe_ino.ctime", time(file.ctime(), file.ctime_nsec())),
        ("proc.exe_ino.mtime", time(file.mtime(), file.mtime_nsec())),
        ("user.uid", json!(0)),
        ("user.name", json!("root")),
        ("user.homedir", account("/etc/passwd", 5)),
        ("user.shell", account("/etc/passwd", 6)),
        ("group.gid", json!(0)),
        ("group.name", json!("root")),
        ("user.loginuid", json!(child.text("loginuid").trim().parse::<u32>().unwrap() as i32)),
        ("thread.cgroup.cpu", child.cgroup("cpu").map_or(Value::Null, Value::from)),
    ];
    if changed_in_namespace(child).is_none() {
        wanted.push(("proc.exe_ino.ctime_duration_pidns_start", Value::Null));
    }
    let leader =
        ["proc.sname", "proc.pgid.name", "proc.vpgid.name"].map(|field| (field, json!(child.comm())));
    let exes = ["proc.sid.exe", "proc.pgid.exe", "proc.vpgid.exe"].map(|field| (field, json!(arguments[0])));
    let paths = ["proc.sid.exepath", "proc.pgid.exepath", "proc.vpgid.exepath"]
        .map(|field| (field, json!(child.exe())));
    let numbers =
        ["proc.pid", "thread.tid", "proc.sid", "proc.pgid", "proc.apid"].map(|f| (f, json!(child.pid)));
    let parents = ["proc.ppid", "proc.apid[1]"].map(|field| (field, json!(parent.pid)));
    // The test stands in the namespace of `/proc`, which need not be the host's.
    let ids = ["proc.vpid", "thread.vtid", "proc.vpgid"].map(|field| (field, json!(child.pid)));
    wanted.extend([("proc.pvpid", json!(parent.pid))]);
    wanted.extend(leader.into_iter().chain(exes).chain(paths).chain(numbers).chain(ids));
    wanted.extend(parents);
    wanted
}

/// How long the first process of the pid namespace had run when a process's executable was changed last, ns; `None`: it hadn't
/// begun.
fn changed_in_namespace(child: &Shown) -> Option<f64> {
    let file = fs::metadata(child.exe()).unwrap();
    let changed = file.ctime() as f64 * 1e9 + file.ctime_nsec() as f64;
    Some(changed - Shown::of(1).start()).filter(|since| *since >= 0.0)
}

/// What is known of the file that is opened.
pub fn of_file(mark: &Path) -> Wanted {
    let file = fs::metadata(mark).unwrap();
    let (major, minor) = (nix::sys::stat::major(file.dev()), nix::sys::stat::minor(file.dev()));
    // As the kernel numbers devices within itself.
    let dev = format!("{:X}", major << 8 | minor);
    let path = mark.to_str().unwrap();
    let (folder, name) = path.rsplit_once('/').unwrap();
    let flags = "O_CREAT|O_RDWR|O_F_CREATED";
    let args = format!(
        "fd=3(<f>{path}) dirfd=-100(AT_FDCWD) name={path} flags=16391({flags}) mode=0666 dev={dev} ino={}",
        file.ino()
    );
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let mut wanted: Wanted = vec![
        ("evt.type", json!("openat")),
        ("syscall.type", json!("openat")),
        ("evt.category", json!("file")),
        ("evt.source", json!("syscall")),
        ("evt.hostname", json!(host.trim())),
        ("evt.args", json!(args)),
        ("evt.info", json!(args)),
        ("evt.arg.flags", json!(flags)),
        ("evt.arg[0]", json!(format!("<f>{path}"))),
        ("evt.rawarg.flags", json!("4007")),
        ("evt.res", json!("SUCCESS")),
        ("fd.type", json!("file")),
        ("fd.typechar", json!("f")),
        ("fd.types[3]", json!(["file"])),
        ("fd.directory", json!(folder)),
        ("fd.filename", json!(name)),
        ("fd.containername", json!(format!(":{path}"))),
        ("fd.containerdirectory", json!(format!(":{folder}"))),
        ("fd.l4proto", json!("<NA>")),
        ("fd.dev", json!(dev)),
        ("fd.dev.major", json!(major)),
        ("fd.dev.minor", json!(minor)),
        ("fd.ino", json!(file.ino())),
        ("proc.stdin.type", json!("pipe")),
        ("proc.stdout.type", json!("file")),
        ("proc.stdout.name", json!("/dev/null")),
        ("proc.stderr.type", json!("file")),
        ("proc.stderr.name", json!("/dev/null")),
    ];
    let paths = [
        "fd.name",
        "fd.nameraw",
        "fd.path.resolved",
        "fs.path.name",
        "fs.path.nameraw",
        "fs.path.resolved",
        "evt.abspath",
        "evt.abspath.src",
    ];
    wanted.extend(paths.map(|field| (field, json!(path))));
    wanted
}

/// Times of the opening, and what only its kernel knows.
pub fn bounds(child: &Shown, parent: &Shown, now: f64) -> Bounds {
    let cpus = std::thread::available_parallelism().unwrap().get() as f64;
    // Between two looks at the clock this thread may have to wait for its turn.
    let (minute, jiffy) = (60e9, 1e9);
    let open = fs::read_dir(format!("/proc/{}/fd", child.pid)).unwrap().count() as f64;
    let ages = |field, start: f64| (field, 0.0, now - start + minute);
    let file = fs::metadata(child.exe()).unwrap();
    let changed = file.ctime() as f64 * 1e9 + file.ctime_nsec() as f64;
    let mut bounds: Bounds = vec![
        ("evt.num", 1.0, 1e12),
        ("evt.cpu", 0.0, cpus - 1.0),
        ("evt.deltatime", 0.0, minute),
        ("evt.deltatime.s", 0.0, 60.0),
        ("evt.deltatime.ns", 0.0, 1e9),
        ("evt.reltime", 0.0, minute),
        ("evt.reltime.s", 0.0, 60.0),
        ("evt.reltime.ns", 0.0, 1e9),
        ("evt.rawtime.s", now / 1e9 - 60.0, now / 1e9 + 60.0),
        ("evt.rawtime.ns", 0.0, 1e9),
        ("proc.pid.ts", child.start() - jiffy, child.start() + jiffy),
        // Where the parent's event of a clone comes before the child's, the thread that called is the parent, as in Falco.
        ("proc.ppid.ts", parent.start() - jiffy, child.start() + jiffy),
        ages("proc.duration", child.start()),
        ages("proc.ppid.duration", parent.start()),
        (
            "proc.exe_ino.ctime_duration_proc_start",
            child.start() - changed - jiffy,
            child.start() - changed + jiffy,
        ),
        ("proc.pidns_init_start_ts", 0.0, child.start()),
        // The snapshot's events tell only of files whether an exec closes them, so others that were there before may be
        // counted still.
        ("proc.fdopencount", open, open + 64.0),
        ("proc.fdlimit", 4.0, 2e9),
        ("proc.fdusage", 0.0, 100.0),
        ("proc.vmsize", 1.0, 1e6),
        ("proc.vmrss", 0.0, 1e6),
        ("thread.vmsize", 1.0, 1e6),
        ("thread.vmrss", 0.0, 1e6),
        ("thread.pfmajor", 0.0, 1e6),
        ("thread.pfminor", 1.0, 1e6),
    ];
    if let Some(since) = changed_in_namespace(child) {
        bounds.push(("proc.exe_ino.ctime_duration_pidns_start", since - jiffy, since + jiffy));
    }
    let times =
        ["evt.time", "evt.time.s", "evt.time.iso8601", "evt.datetime", "evt.datetime.s", "evt.rawtime"];
    bounds.extend(times.map(|field| (field, now - minute, now + minute)));
    bounds
}

/// Fields whose text is only known in part, with the part.
pub fn parts(child: &Shown, parent: &Shown, now_told: &BTreeMap<String, Value>) {
    let text = |field: &str| match now_told.get(field) {
        Some(Value::String(text)) => text.clone(),
        other => other.map(Value::to_string).unwrap_or_default(),
    };
    // The first of all ancestors is the thread that forked; by number, as above, each is its process' first thread.
    let thread = fs::read_to_string("/proc/thread-self/comm").unwrap().trim_end().to_owned();
    let begins = [
        ("proc.aname", thread.clone()),
        ("proc.aexe", parent.arguments()[0].clone()),
        ("proc.aexepath", parent.exe()),
        ("proc.acmdline", thread),
    ];
    for (field, part) in begins {
        assert!(text(field).starts_with(&part), "{field}: {}", text(field));
    }
    for (field, part) in [
        ("proc.env", "LANNER_FIELD=x y"),
        ("proc.aenv", "LANNER_FIELD=x y"),
        ("thread.cgroups", "/"),
        ("fd.types", "pipe"),
        ("fd.types", "file"),
        ("proc.stdin.name", ""),
        ("user.loginname", ""),
        ("proc.loginshellid", ""),
        ("proc.aargs", ""),
    ] {
        assert!(now_told.contains_key(field) && text(field).contains(part), "{field}: {}", text(field));
    }
    for (field, set) in [
        ("thread.cap_permitted", "CapPrm:"),
        ("thread.cap_effective", "CapEff:"),
        ("thread.cap_inheritable", "CapInh:"),
    ] {
        assert_eq!(
            text(field).split_whitespace().count(),
            child.capabilities(set),
            "{field}: {}",
            text(field)
        );
    }
    // Where the executable lies on an overlay, it is in one of its layers.
    let overlay = nix::sys::statfs::statfs(Path::new(&child.exe())).unwrap().filesystem_type()
        == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC;
    let layers = ["proc.is_exe_upper_layer", "proc.is_exe_lower_layer"].map(|field| now_told[field] == true);
    assert_eq!(layers[0] || layers[1], overlay);
}

/// The fields of which `parts` speaks.
pub const IN_PART: [&str; 18] = [
    "proc.aname",
    "proc.aexe",
    "proc.aexepath",
    "proc.acmdline",
    "proc.env",
    "proc.aenv",
    "proc.aargs",
    "thread.cgroups",
    "fd.types",
    "proc.stdin.name",
    "user.loginname",
    "proc.loginshellid",
    "thread.cap_permitted",
    "thread.cap_effective",
    "thread.cap_inheritable",
    "proc.is_exe_upper_layer",
    "proc.is_exe_lower_layer",
    "evt.abspath",
];
