//! Every field of a kernel's event, live, against what the system itself says of the same process and file.

mod known;
mod shown;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::poll::{PollFd, PollFlags};
use serde_json::{Value, json};

use crate::watch::{Turn, Watch};
use known::{ABSENT, FALSE, IN_PART, NUMBERS, TRUE};
use shown::Shown;

/// A field and what it has to be.
type Wanted = Vec<(&'static str, Value)>;

/// Fields of time and of what goes on meanwhile, with the bounds that their numbers keep.
type Bounds = Vec<(&'static str, f64, f64)>;

/// A scene: what is done, the rule that finds it, and what is said of it.
struct Scene {
    name: &'static str,
    condition: String,
    fields: Vec<&'static str>,
}

impl Scene {
    fn rule(&self) -> String {
        let fields: Vec<String> = self.fields.iter().map(|field| format!("%{field}")).collect();
        let (name, condition, output) = (self.name, &self.condition, fields.join(" "));
        format!(
            "- rule: {name}\n  desc: d\n  condition: {condition}\n  output: {}\n  priority: INFO\n",
            json!(output)
        )
    }
}

/// Starts lanner with the scenes' rules.
fn watch(scenes: &[&Scene]) -> (Watch, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    fs::write(&rules, scenes.iter().map(|scene| scene.rule()).collect::<String>()).unwrap();
    let watch = Watch::start(&format!(
        "json_output: true\nbase_syscalls: {{all: true}}\nrules_files: [{}]",
        rules.display()
    ));
    (watch, folder)
}

/// The fields of the first alert of a scene.
fn told(watch: &mut Watch, scene: &Scene) -> BTreeMap<String, Value> {
    let line = watch.alert(&[&format!("\"rule\":\"{}\"", scene.name)]);
    let alert: Value = serde_json::from_str(&line).unwrap();
    serde_json::from_value(alert["output_fields"].clone()).unwrap()
}

/// Holds what was told against what is known; says all that differs.
fn hold(told: &BTreeMap<String, Value>, wanted: Wanted, bounds: Bounds) {
    let mut wrong = Vec::new();
    for (field, value) in wanted {
        let got = told.get(field).unwrap_or(&Value::Null);
        if *got != value {
            wrong.push(format!("{field}: {got}, but it is {value}"));
        }
    }
    for (field, least, most) in bounds {
        let got = told.get(field).unwrap_or(&Value::Null);
        if got.as_f64().is_none_or(|number| number < least || number > most) {
            wrong.push(format!("{field}: {got}, but it is between {least} and {most}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A shell that leads a session of its own, opens the mark at its fd 3, and waits.
fn opener(mark: &Path) -> Child {
    let script = format!("exec 3<>{}; read line", mark.display());
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", &script]).env_clear().env("PATH", "/usr/bin:/bin").env("LANNER_FIELD", "x y");
    command.current_dir(mark.parent().unwrap());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The syscall-side fields that an output can name without an argument, but for those of containers.
fn listed() -> Vec<&'static str> {
    let rows = lanner_fields::field_rows(Some("syscall".into()));
    let shown =
        rows.iter().filter(|row| !row.filter_only && !row.argument.required && row.class != "container");
    shown
        .filter(|row| !row.name.starts_with("json.") && !row.name.starts_with("jevt."))
        .map(|row| row.name)
        .collect()
}

#[test]
fn every_field_of_an_opening_is_what_the_system_says() {
    let Some(_turn) = Turn::take() else { return };
    let place = tempfile::tempdir().unwrap();
    let mark = place.path().canonicalize().unwrap().join("lanner-fields-mark");
    let with_argument = [
        "evt.arg.flags",
        "evt.arg[0]",
        "evt.rawarg.flags",
        "evt.abspath.src",
        "fd.types[3]",
        "proc.args[0]",
        "proc.aname[1]",
        "proc.aname[99]",
        "proc.apid[1]",
        "proc.env[LANNER_FIELD]",
        "proc.env[NONE]",
        "thread.cgroup.cpu",
    ];
    let fields: Vec<&str> = listed().into_iter().chain(with_argument).collect();
    let condition = format!("evt.type = openat and fd.name = {} and proc.name = sh", mark.display());
    let scene = Scene { name: "Opened", condition, fields };
    let (mut watch, _rules) = watch(&[&scene]);
    let mut child = opener(&mark);
    let told = told(&mut watch, &scene);
    let (shown, parent) = (Shown::of(child.id()), Shown::of(std::process::id()));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1e9;

    let mut wanted = known::of_process(&shown, &parent);
    wanted.extend(known::of_file(&mark));
    wanted.extend(ABSENT.map(|field| (field, Value::Null)));
    wanted.extend(FALSE.map(|field| (field, json!(false))));
    wanted.extend(TRUE.map(|field| (field, json!(true))));
    wanted.extend(NUMBERS.map(|(field, number)| (field, json!(number))));
    let bounds = known::bounds(&shown, &parent, now);
    let checked = |field: &&str| {
        let known = wanted.iter().map(|(name, _)| name).chain(bounds.iter().map(|(name, ..)| name));
        known.chain(&IN_PART).any(|name| name == field)
    };
    let unchecked: Vec<&str> = scene.fields.iter().copied().filter(|field| !checked(field)).collect();
    assert!(unchecked.is_empty(), "fields of which nothing is known here: {unchecked:?}");
    hold(&told, wanted, bounds);
    known::parts(&shown, &parent, &told);
    drop(child.stdin.take());
    child.wait().unwrap();
    watch.stop();
}

#[test]
fn fields_of_other_calls_are_what_was_done() {
    let Some(_turn) = Turn::take() else { return };
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().canonicalize().unwrap().join(name);
    let (from, to, missing) = (at("lanner-from"), at("lanner-to"), at("lanner-none"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let own = format!("proc.pid = {}", std::process::id());
    let scene = |name, condition: String, fields: &[&'static str]| Scene {
        name,
        condition: format!("{condition} and {own}"),
        fields: fields.to_vec(),
    };
    let sockets = [
        "fd.cip",
        "fd.sip",
        "fd.lip",
        "fd.rip",
        "fd.cport",
        "fd.sport",
        "fd.lport",
        "fd.rport",
        "fd.l4proto",
        "fd.sockfamily",
        "fd.type",
        "fd.name",
        "fd.connected",
        "fd.cproto",
    ];
    // Fields that only a condition may have: either side, and networks.
    let networks =
        ["fd.net", "fd.cnet", "fd.snet", "fd.lnet", "fd.rnet"].map(|f| format!(" and {f} = 127.0.0.0/8"));
    let sides =
        format!(" and fd.port = {port} and fd.proto = {port} and fd.ip = 127.0.0.1{}", networks.concat());
    let scenes = [
        scene("Connected", format!("evt.type = connect and fd.sport = {port}{sides}"), &sockets),
        scene(
            "Renamed",
            format!("evt.type in (rename, renameat, renameat2) and fs.path.target = {}", to.display()),
            &["fs.path.source", "fs.path.sourceraw", "fs.path.target", "fs.path.targetraw", "evt.failed"],
        ),
        scene(
            "Read",
            format!("evt.type in (read, pread) and fd.name = {}", from.display()),
            &[
                "evt.buffer",
                "evt.buflen",
                "evt.is_io",
                "evt.is_io_read",
                "evt.is_io_write",
                "evt.io_dir",
                "evt.rawres",
            ],
        ),
        scene(
            "Written",
            format!("evt.type = write and fd.name = {}", from.display()),
            &["evt.buffer", "evt.buflen", "evt.is_io_read", "evt.is_io_write", "evt.io_dir"],
        ),
        scene(
            "Missing",
            format!(
                "evt.type in (open, openat) and evt.failed = true and fs.path.name = {}",
                missing.display()
            ),
            &["evt.res", "evt.rawres", "evt.failed", "evt.count.error", "evt.count.error.file", "fd.num"],
        ),
        scene(
            "Polled",
            format!("evt.type in (poll, ppoll) and fdlist.sports intersects ({port})"),
            &["fdlist.nums", "fdlist.sips", "fdlist.cips", "fdlist.sports", "fdlist.cports", "evt.is_wait"],
        ),
        scene(
            "Ran",
            "evt.type = switch and thread.exectime > 1000000".to_owned(),
            &["thread.exectime", "thread.totexectime"],
        ),
    ];
    let (mut watch, _rules) = watch(&scenes.each_ref());

    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let client_port = client.local_addr().unwrap().port();
    let mut server = listener.accept().unwrap().0;
    File::create(&from).unwrap().write_all(b"known text").unwrap();
    let mut text = String::new();
    File::open(&from).unwrap().read_to_string(&mut text).unwrap();
    fs::rename(&from, &to).unwrap();
    File::open(&missing).unwrap_err();
    server.write_all(b"x").unwrap();
    let mut waits = [PollFd::new(client.as_fd(), PollFlags::POLLIN)];
    assert_eq!(nix::poll::poll(&mut waits, 1000u16), Ok(1));
    client.read_exact(&mut [0]).unwrap();
    let busy = Instant::now();
    while busy.elapsed() < Duration::from_millis(300) {
        std::hint::black_box(busy);
    }
    std::thread::sleep(Duration::from_millis(1));

    let tuple = format!("127.0.0.1:{client_port}->127.0.0.1:{port}");
    let address = |field| (field, json!("127.0.0.1"));
    let known: [(usize, Wanted); 6] = [
        (
            0,
            vec![
                address("fd.cip"),
                address("fd.sip"),
                address("fd.lip"),
                address("fd.rip"),
                ("fd.cport", json!(client_port)),
                ("fd.lport", json!(client_port)),
                ("fd.sport", json!(port)),
                ("fd.rport", json!(port)),
                ("fd.l4proto", json!("tcp")),
                ("fd.sockfamily", json!("ip")),
                ("fd.type", json!("ipv4")),
                ("fd.name", json!(tuple)),
                ("fd.connected", json!(true)),
                ("fd.cproto", json!(client_port.to_string())),
            ],
        ),
        (
            1,
            vec![
                ("fs.path.source", json!(from)),
                ("fs.path.sourceraw", json!(from)),
                ("fs.path.target", json!(to)),
                ("fs.path.targetraw", json!(to)),
                ("evt.failed", json!(false)),
            ],
        ),
        (
            2,
            vec![
                ("evt.buffer", json!("known text")),
                ("evt.buflen", json!(10)),
                ("evt.is_io", json!(true)),
                ("evt.is_io_read", json!(true)),
                ("evt.is_io_write", json!(false)),
                ("evt.io_dir", json!("read")),
                ("evt.rawres", json!(10)),
            ],
        ),
        (
            3,
            vec![
                ("evt.buffer", json!("known text")),
                ("evt.buflen", json!(10)),
                ("evt.is_io_read", json!(false)),
                ("evt.is_io_write", json!(true)),
                ("evt.io_dir", json!("write")),
            ],
        ),
        (
            4,
            vec![
                ("evt.res", json!("ENOENT")),
                ("evt.rawres", json!(-2)),
                ("evt.failed", json!(true)),
                ("evt.count.error", json!(1)),
                ("evt.count.error.file", json!(1)),
                ("fd.num", json!(-1)),
            ],
        ),
        (
            5,
            vec![
                ("fdlist.nums", json!(client.as_raw_fd().to_string())),
                ("fdlist.sips", json!("127.0.0.1")),
                ("fdlist.cips", json!("127.0.0.1")),
                ("fdlist.sports", json!(port.to_string())),
                ("fdlist.cports", json!(client_port.to_string())),
                ("evt.is_wait", json!(true)),
            ],
        ),
    ];
    let mut wrong = Vec::new();
    for (n, wanted) in known {
        let told = told(&mut watch, &scenes[n]);
        for (field, value) in wanted {
            if told.get(field) != Some(&value) {
                wrong.push(format!("{}: {field}: {:?}, but it is {value}", scenes[n].name, told.get(field)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let ran = told(&mut watch, &scenes[6]);
    hold(&ran, Vec::new(), vec![("thread.exectime", 1e6, 2e10), ("thread.totexectime", 1e6, 2e10)]);
    watch.stop();
}
