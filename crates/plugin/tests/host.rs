//! Plugins in C, built here, by Falco's plugin API.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lanner_event::{Event, EventBuf, types};
use lanner_fields::{Context, EventMeta, Field, Foreign, Scratch, Value};
use lanner_machine::{Endpoint, Ends, Fd, FdKind, L4Proto, Machine, Thread};
use lanner_plugin::host::{Crew, load};
use lanner_plugin::{Capability, EventSource, Given, Settings};

/// Builds a test plugin for a version of the API.
fn build(name: &str, api: &str) -> String {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/c");
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("lib{name}-{api}.so"));
    // Built aside, so that tests that run meanwhile never load half of it.
    let part = out.with_extension(format!("{:?}", std::thread::current().id()));
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", &format!("-DAPI=\"{api}\""), "-o"])
        .arg(&part)
        .arg(here.join(format!("{name}.c")))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::rename(&part, &out).unwrap();
    out.display().to_string()
}

type Said = Arc<Mutex<Vec<String>>>;

fn crew(names: &[&str], source: &str, init_config: &str) -> Result<(Crew, Said), String> {
    let said = Said::default();
    let tell = {
        let said = Arc::clone(&said);
        Arc::new(move |severity: u32, text: &str| said.lock().unwrap().push(format!("{severity} {text}")))
    };
    let settings = Settings { init_config: init_config.into(), ..Settings::default() };
    let load = |name: &&str| (load(&build(name, "3.12.0")).unwrap().0, settings.clone());
    let plugins: Vec<_> = names.iter().map(load).collect();
    Crew::start(&plugins, source, tell).map(|crew| (crew, said)).map_err(|error| error.to_string())
}

fn all(source: &mut dyn EventSource) -> Result<Vec<(u32, String)>, String> {
    let mut seen = Vec::new();
    let mut take = |event: &Event<'_>| {
        assert_ne!(event.ts, u64::MAX);
        seen.push((event.u32(0).unwrap(), String::from_utf8(event.param(1).unwrap().to_vec()).unwrap()));
    };
    while source.give(Duration::from_millis(10), &mut take).map_err(|error| error.to_string())? != Given::End
    {
    }
    Ok(seen)
}

#[test]
fn a_plugin_says_what_it_is() {
    let plugin = load(&build("source", "3.12.0")).unwrap().0;
    assert_eq!((plugin.name.as_str(), plugin.version.as_str()), ("test_source", "1.2.3"));
    assert_eq!((plugin.id, plugin.source.as_str()), (999, "test_events"));
    assert_eq!(plugin.capabilities, [Capability::Sourcing]);
    let parse = load(&build("parse", "3.12.0")).unwrap().0;
    assert_eq!(parse.capabilities, [Capability::Extraction, Capability::Parsing]);
    let both = load(&build("async", "3.12.0")).unwrap().0;
    assert_eq!(both.capabilities, [Capability::Async, Capability::Listening]);
    assert!(both.schema.as_ref().unwrap().contains("mode"));
}

#[test]
fn plugins_for_this_version_of_the_api_and_those_before_are_taken() {
    for api in ["3.12.0", "3.11.0", "3.10.0", "3.0.0"] {
        assert_eq!(load(&build("source", api)).unwrap().0.api_version, api);
    }
    for api in ["3.13.0", "2.0.0", "4.0.0"] {
        let error = load(&build("source", api)).err().unwrap().to_string();
        assert!(
            error.ends_with(&format!("needs version {api} of the plugin API, offered is 3.12.0")),
            "{error}"
        );
    }
}

#[test]
fn a_source_gives_events_until_its_end() {
    let (crew, said) = crew(&["source"], "test_events", "").unwrap();
    let mut source = crew.open("test_source", "three", &Arc::default()).unwrap();
    let want: Vec<_> = (1..=3).map(|n| (999, format!("{{\"n\":{n}}}"))).collect();
    assert_eq!(crew.progress(), None);
    assert_eq!(all(&mut *source).unwrap(), want);
    assert_eq!(crew.progress(), Some(1.0));
    assert_eq!(*said.lock().unwrap(), ["6 test_source: hello"]);
    assert!(crew.params("test_source").contains("three events"));
    let mut waiting = crew.open("test_source", "wait", &Arc::default()).unwrap();
    assert_eq!(waiting.give(Duration::ZERO, &mut |_| {}).unwrap(), Given::Nothing);
}

#[test]
fn a_source_that_fails_is_named() {
    let (crew, _) = crew(&["source"], "test_events", "").unwrap();
    let opened = crew.open("test_source", "refuse", &Arc::default()).err().unwrap().to_string();
    assert_eq!(opened, "plugin 'test_source': can't open its source: no such thing");
    let said = |how: &str| all(&mut *crew.open("test_source", how, &Arc::default()).unwrap()).unwrap_err();
    assert_eq!(said("fail"), "plugin 'test_source' has failed: the wire is cut");
    let broken = "plugin 'test_source' gives a broken event: an event has the plugin number 7, not 999";
    assert_eq!(said("broken"), broken);
}

#[test]
fn a_source_that_hangs_is_named() {
    let (crew, said) = crew(&["source"], "test_events", "").unwrap();
    let mut source = crew.open("test_source", "hang", &Arc::default()).unwrap();
    // It never comes back; the process ends all the same.
    std::thread::spawn(move || source.give(Duration::ZERO, &mut |_| {}).map(drop));
    std::mem::forget(crew);
    let end = Instant::now() + Duration::from_secs(30);
    while !said
        .lock()
        .unwrap()
        .iter()
        .any(|line| line.contains("'test_source' hangs: it has been in next_batch for"))
    {
        assert!(Instant::now() < end, "{:?}", said.lock().unwrap());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Set in the process of its own in which the plugin crashes.
const CRASHES: &str = "LANNER_TEST_PLUGIN_CRASHES";

#[test]
fn a_plugin_that_crashes_is_named() {
    if std::env::var_os(CRASHES).is_some() {
        let (crew, _) = crew(&["source"], "test_events", "").unwrap();
        panic!("it came back: {:?}", all(&mut *crew.open("test_source", "crash", &Arc::default()).unwrap()));
    }
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_plugin_that_crashes_is_named", "--nocapture"])
        .env(CRASHES, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && text.contains("lanner: plugin 'test_source' has crashed"), "{text}");
    assert!(!text.contains("it came back"), "{text}");
}

/// A machine with a thread that closes files.
fn host() -> (Machine, EventBuf) {
    let mut machine = Machine::default();
    machine.add_thread(Thread { tid: 42, pid: 42, comm: "cat".into(), ..Thread::unknown(42) });
    let close =
        EventBuf::new(7, 42, 0, types::SYSCALL_CLOSE_X, &[&0i64.to_ne_bytes(), &3i64.to_ne_bytes()]).unwrap();
    (machine, close)
}

/// What a loop knows of an event of the kernel's.
fn meta(num: u64) -> EventMeta {
    EventMeta { num, source: "syscall", ..EventMeta::default() }
}

fn values(
    crew: Arc<Crew>,
    source: &'static str,
    machine: &mut Machine,
    event: &Event<'_>,
    fields: &[&str],
) -> Vec<String> {
    let subject = machine.apply(event);
    let plugin = "test_source";
    let meta = EventMeta { num: 5, source, plugin, foreign: Foreign(Some(crew)), ..EventMeta::default() };
    let scratch = Scratch::new();
    let cx = Context { event, machine, subject: &subject, meta: &meta, scratch: &scratch };
    let show = |name: &&str| {
        let (bare, argument) = match name.split_once('[') {
            Some((bare, argument)) => (bare, argument.strip_suffix(']')),
            None => (*name, None),
        };
        show(&Field::resolve(source, bare, argument).unwrap().extract(&cx))
    };
    fields.iter().map(show).collect()
}

fn show(value: &Value<'_>) -> String {
    match value {
        Value::Absent => "-".to_owned(),
        Value::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
        Value::Unsigned(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Ip(ip) => ip.to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fields_of_a_plugin_are_like_any_other() {
    let (crew, _) = crew(&["source", "extract"], "syscall", "").unwrap();
    let (mut machine, close) = host();
    let fields = [
        "test.number",
        "test.text[key/x]",
        "test.list",
        "test.list[1]",
        "test.ip",
        "test.truth",
        "test.comm",
        "test.none",
    ];
    let got = values(Arc::new(crew), "syscall", &mut machine, &close.event().unwrap(), &fields);
    assert_eq!(got, ["5", "key/x", "[a, b]", "[one]", "10.0.0.7", "true", "cat of 1", "-"]);
    assert!(Field::resolve("k8s_audit", "test.ip", None).unwrap_err().to_string().contains("test.ip"));
    assert!(Field::resolve("syscall", "test.text", None).is_err(), "it needs its argument");
    let mut vocabulary = lanner_fields::Vocabulary::from("test_events").fields();
    assert!(vocabulary.any(|field| field.name == "test.list"));
}

#[test]
fn an_event_is_summed_up_by_the_plugin_that_made_it() {
    let (crew, _) = crew(&["source", "extract"], "test_events", "").unwrap();
    let id = 999u32.to_ne_bytes();
    let event = EventBuf::new(1, -1, 0, types::PLUGINEVENT_E, &[&id, b"payload"]).unwrap();
    let fields = ["evt.plugininfo", "evt.pluginname", "test.number"];
    let got =
        values(Arc::new(crew), "test_events", &mut Machine::default(), &event.event().unwrap(), &fields);
    assert_eq!(got, ["event 5 of test_events", "test_source", "5"]);
}

#[test]
fn a_plugin_keeps_what_it_saw_with_the_threads() {
    let (crew, _) = crew(&["parse"], "syscall", "").unwrap();
    assert!(crew.parses());
    assert_eq!(crew.parse_types(), Some(vec![types::SYSCALL_CLOSE_X.0]));
    let (mut machine, close) = host();
    let event = close.event().unwrap();
    for _ in 0..3 {
        machine.apply(&event);
        crew.parse(&event, &meta(1), &machine).unwrap();
    }
    let error = crew.parse(&event, &meta(9), &Machine::default()).unwrap_err().to_string();
    assert_eq!(error, "plugin 'test_parse': can't parse event 9: no thread 42");
    crew.sweep(&machine);
    let crew = Arc::new(crew);
    let fields = ["test.seen", "test.total"];
    assert_eq!(values(Arc::clone(&crew), "syscall", &mut machine, &event, &fields), ["3", "4"]);
    crew.sweep(&Machine::default());
    assert_eq!(
        values(crew, "syscall", &mut machine, &event, &fields),
        ["0", "4"],
        "the thread was forgotten"
    );
}

#[test]
fn a_plugin_sends_events_while_it_is_listened_to() {
    let (crew, _) = crew(&["source", "async"], "test_events", r#"{"mode":"x"}"#).unwrap();
    crew.begin(&Machine::default()).unwrap();
    let mut seen = Vec::new();
    let end = Instant::now() + Duration::from_secs(20);
    while seen.len() < 3 {
        assert!(Instant::now() < end, "{seen:?}");
        crew.sent(&mut |event| {
            assert_ne!(event.ts, u64::MAX);
            let text = |nth| String::from_utf8(event.text(nth).unwrap_or_default().to_vec()).unwrap();
            seen.push((event.ty(), event.u32(0), text(1)));
        });
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(seen[0], (types::ASYNCEVENT_E, Some(999), "tick".to_owned()));
    let metrics = crew.metrics();
    let (name, metrics) = metrics.iter().find(|(name, _)| *name == "test_async").unwrap();
    assert_eq!((*name, metrics[0].name.as_str(), metrics[0].monotonic), ("test_async", "turns", true));
    assert!(metrics[0].value >= 3.0, "{metrics:?}");
    let values: Vec<_> = metrics[1..].iter().map(|metric| metric.value).collect();
    assert_eq!(values, [1.0, 1.0, 1.0, 0.0], "{metrics:?}");
    assert_eq!(crew.lost(), 0);
    crew.end(&Machine::default());
    crew.end(&Machine::default());
    let metrics = crew.metrics();
    let ended = metrics.iter().find(|(name, _)| *name == "test_async").unwrap().1[4].clone();
    assert_eq!((ended.name.as_str(), ended.value), ("ended", 1.0), "once, and with no handler left");
}

#[test]
fn settings_are_held_against_the_plugins_schema_and_its_own_will() {
    let said = |config: &str| crew(&["async"], "syscall", config).err().unwrap();
    assert_eq!(said(r#"{"mode":1}"#), "plugin 'test_async': init_config.mode: must be of type string");
    assert_eq!(said(r#"{"mode":"refuse"}"#), "plugin 'test_async': can't be initialised: told to refuse");
}

#[test]
fn other_settings_are_given_while_it_runs() {
    let (crew, _) = crew(&["async", "source"], "syscall", r#"{"mode":"x"}"#).unwrap();
    assert!(load(&build("async", "3.12.0")).unwrap().0.takes_config());
    assert!(crew.configure("test_async", r#"{"mode":"y"}"#).unwrap());
    assert!(!crew.configure("somebody_else", "").unwrap());
    let said = |config: &str| crew.configure("test_async", config).unwrap_err().to_string();
    let refused = "plugin 'test_async': refuses its new settings: still told to refuse";
    assert_eq!(said(r#"{"mode":"refuse"}"#), refused);
    assert_eq!(said(r#"{"mode":1}"#), "plugin 'test_async': init_config.mode: must be of type string");
}

#[test]
fn a_plugin_tells_of_its_state_where_a_capture_begins() {
    let (crew, said) = crew(&["async"], "syscall", r#"{"mode":"x"}"#).unwrap();
    crew.configure("test_async", r#"{"mode":"y"}"#).unwrap();
    let told = crew.dump(&Machine::default());
    assert_eq!((told.len(), said.lock().unwrap().len()), (1, 0));
    let event = told[0].event().unwrap();
    assert_eq!((event.ty(), event.u32(0), event.text(1)), (types::ASYNCEVENT_E, Some(0), Some(&b"tick"[..])));
    assert_eq!(event.param(2), Some(&br#"{"mode":"y"}"#[..]));
    assert!(event.ts != u64::MAX);
}

#[test]
fn tables_inside_of_entries_are_read() {
    let (crew, _) = crew(&["inner"], "syscall", "").unwrap();
    let (mut machine, close) = host();
    let list = |items: &[&str]| items.iter().collect::<lanner_machine::TextList>();
    machine.add_thread(Thread {
        tid: 42,
        pid: 42,
        ptid: 1,
        vtid: 42,
        args: list(&["-n", "x"]),
        env: list(&["A=1"]),
        cgroups: list(&["cpu=/a", "memory=/b"]),
        ..Thread::unknown(42)
    });
    let address = |last, port| Endpoint { ip: [10, 0, 0, last].into(), port };
    let ends = Ends::Ip { source: address(1, 40_000), dest: Some(address(2, 443)) };
    let socket = || Fd { num: 3, kind: FdKind::Ipv4, ends, l4: L4Proto::Tcp, ..Fd::default() };
    machine.add_fd(42, socket());
    machine.add_fd(42, Fd { num: 4, kind: FdKind::File, name: "/f".into(), ..Fd::default() });
    crew.begin(&machine).unwrap();
    let event = close.event().unwrap();
    let crew = Arc::new(crew);
    let told = |machine: &mut Machine| {
        crew.parse(&event, &meta(1), machine).unwrap();
        values(Arc::clone(&crew), "syscall", machine, &event, &["inner.text"]).remove(0)
    };
    let lists = "-n,x,A=1,cpu,memory,/a,/b, begun 1";
    let fd = "10.0.0.1:40000->10.0.0.2:443 kind 3 port 443";
    assert_eq!(told(&mut machine), format!("{fd} mark 0 of 2; {lists}"));
    crew.sweep(&machine);
    // The event that was shown has closed the fd: what was kept for it doesn't belong to the next one of its number.
    machine.apply(&event);
    crew.sweep(&machine);
    machine.add_fd(42, socket());
    assert_eq!(told(&mut machine), format!("{fd} mark 0 of 2; {lists}"));
}

#[test]
fn an_fd_keeps_what_a_plugin_has_noted() {
    let (crew, _) = crew(&["inner"], "syscall", "").unwrap();
    let (mut machine, _) = host();
    machine.add_fd(42, Fd { num: 3, kind: FdKind::File, name: "/f".into(), ..Fd::default() });
    let read =
        EventBuf::new(7, 42, 0, types::SYSCALL_FSTAT_X, &[&0i64.to_ne_bytes(), &3i64.to_ne_bytes()]).unwrap();
    let event = read.event().unwrap();
    for _ in 0..3 {
        crew.parse(&event, &meta(1), &machine).unwrap();
        crew.sweep(&machine);
    }
    let got = values(Arc::new(crew), "syscall", &mut machine, &event, &["inner.text"]);
    assert_eq!(got, ["/f kind 16 port 0 mark 2 of 1;  begun 0"]);
}

#[test]
fn a_table_of_the_first_version_has_no_extended_functions() {
    let (crew, _) = crew(&["old"], "syscall", "").unwrap();
    let (mut machine, close) = host();
    let got = values(Arc::new(crew), "syscall", &mut machine, &close.event().unwrap(), &["old.total"]);
    assert_eq!(got, ["7"]);
}

#[test]
fn events_of_a_capture_are_shown_to_the_plugins_of_their_source() {
    let plugins = ["source", "extract", "async"].map(|name| {
        let settings = Settings { init_config: "{}".into(), ..Settings::default() };
        (load(&build(name, "3.12.0")).unwrap().0, settings)
    });
    let crew = Crew::for_capture(&plugins, Arc::new(|_, _: &str| {})).unwrap();
    assert_eq!(crew.maker(999), Some(("test_events", "test_source")));
    assert_eq!((crew.maker(0), crew.maker(5)), (None, None));
    crew.begin(&Machine::default()).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(crew.sent(&mut |_| {}), 0, "what was sent is in the capture");
    let id = 999u32.to_ne_bytes();
    let event = EventBuf::new(1, -1, 0, types::PLUGINEVENT_E, &[&id, b"payload"]).unwrap();
    let fields = ["evt.plugininfo", "test.number"];
    let got =
        values(Arc::new(crew), "test_events", &mut Machine::default(), &event.event().unwrap(), &fields);
    assert_eq!(got, ["event 5 of test_events", "5"]);
}
