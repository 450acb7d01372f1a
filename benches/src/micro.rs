//! The parts of the event path one by one, over events that are made here. Each figure is a multiple of a plain
//! scan over the same bytes, measured in the same run.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context as _, Result};
use lanner_capture::{Reader, Snapshot, ThreadRecord, Writer};
use lanner_engine::{Catalog, Engine, EngineOptions, Memory};
use lanner_event::{Event, EventBuf, EventType, types};
use lanner_fields::{Context, EventMeta, Scratch};
use lanner_machine::{Machine, Subject, Thread};
use lanner_rules::{LoadOptions, SourceText, load};

/// Events that are looked at in a turn: 1,000 opens, each followed by reads and a close.
const OPENS: usize = 1_000;
const READS: usize = 2;
/// Turns of which the quickest counts.
const TURNS: usize = 25;
const TID: i64 = 7;

/// Comparisons, one of each kind. Nothing is remembered of `fs.path.name`, which is the event's own; what is of
/// `fd.name` shows in the last one.
const PREDICATES: &[(&str, &str)] = &[
    ("=", "fs.path.name = /etc/shadow"),
    ("in, 8 items", "fs.path.name in (/a, /b, /c/d, /etc/e, /etc/f, /usr/g, /usr/h, /etc/shadow)"),
    ("startswith", "fs.path.name startswith /etc/"),
    ("contains", "fs.path.name contains shadow"),
    (
        "five contains",
        "(fs.path.name contains ab1 or fs.path.name contains cd2 or fs.path.name contains ef3 \
                       or fs.path.name contains gh4 or fs.path.name contains ij5)",
    ),
    ("glob", "fs.path.name glob /home/*/.ssh/*"),
    ("pmatch", "fs.path.name pmatch (/etc, /home/me/.ssh, /usr/lib/ssl)"),
    ("regex", "fs.path.name regex '/(etc|home)/.*shadow[0-9]+'"),
    ("number", "evt.rawres < 0"),
    ("contains, of a command line, remembered", "proc.cmdline contains shadow"),
    ("contains, of fd.name, remembered", "fd.name contains shadow"),
];

/// Measures and prints.
///
/// # Errors
/// When events or rules that are made here are refused.
pub fn run() -> Result<()> {
    let events = events()?;
    let bytes: usize = events.iter().map(|event| event.as_bytes().len()).sum();
    let scan = quickest(|| events.iter().map(|event| scan(event.as_bytes())).sum::<u64>());
    println!(
        "{:<60} {:>8}",
        format!("parts of the path, {} events, {bytes} bytes", events.len()),
        "to a scan"
    );
    let row = |name: &str, seconds: f64| println!("{name:<60} {:>8.1}", seconds / scan);
    row("decode: two parameters", quickest(|| decode(&events)));
    let capture = capture(&events)?;
    row("read from a capture", quickest(|| read(&capture)));
    row("state update", {
        let mut machine = machine();
        quickest(|| events.iter().map(|event| apply(&mut machine, event)).sum::<u64>())
    });
    for (name, condition) in PREDICATES {
        row(&format!("comparison at opens: {name}"), evaluate(&events, &rule(condition))?);
    }
    row("graph: lanner's own rules", evaluate(&events, &own_rules()?)?);
    Ok(())
}

/// Seconds of the quickest of many turns.
fn quickest<T>(mut turn: impl FnMut() -> T) -> f64 {
    let times = (0..TURNS).map(|_| {
        let begin = Instant::now();
        black_box(turn());
        begin.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

/// Looks at each byte.
fn scan(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(black_box(*byte))).sum()
}

fn events() -> Result<Vec<EventBuf>> {
    let mut events = Vec::new();
    let mut time = 1_700_000_000_000_000_000;
    let mut add = |ty: EventType, params: &[&[u8]]| -> Result<()> {
        time += 1_000;
        events.push(EventBuf::new(time, TID, 0, ty, params)?);
        Ok(())
    };
    let (fd, done, none) = (5_i64.to_ne_bytes(), 0_i64.to_ne_bytes(), 0_u32.to_ne_bytes());
    for at in 0..OPENS {
        let name = format!("/usr/share/doc/package-{}/file-{at}.txt\0", at / 20);
        let flags = 1_u32.to_ne_bytes();
        let cwd = (-100_i64).to_ne_bytes();
        add(
            types::SYSCALL_OPENAT_2_X,
            &[&fd, &cwd, name.as_bytes(), &flags, &none, &none, &(at as u64).to_ne_bytes()],
        )?;
        for _ in 0..READS {
            let size = 4096_u32.to_ne_bytes();
            add(types::SYSCALL_READ_X, &[&64_i64.to_ne_bytes(), &[b'x'; 64], &fd, &size])?;
        }
        add(types::SYSCALL_CLOSE_X, &[&done, &fd])?;
    }
    Ok(events)
}

fn decode(events: &[EventBuf]) -> u64 {
    let looked_at = events.iter().filter_map(|event| Event::decode(event.as_bytes(), 0).ok());
    looked_at.map(|event| event.u64(0).unwrap_or(0) ^ event.u64(1).unwrap_or(0)).fold(0, u64::wrapping_add)
}

fn capture(events: &[EventBuf]) -> Result<Vec<u8>> {
    let thread = ThreadRecord { tid: TID, pid: TID, comm: b"bench".to_vec(), ..ThreadRecord::default() };
    let mut writer = Writer::new(Vec::new(), &Snapshot { threads: vec![thread], ..Snapshot::default() })?;
    for event in events {
        writer.write(&event.event().context("an event that was made here")?)?;
    }
    Ok(writer.finish()?)
}

fn read(capture: &[u8]) -> u64 {
    let Ok(mut reader) = Reader::new(std::io::Cursor::new(capture.to_vec())) else { return 0 };
    let mut count = 0;
    while let Ok(Some(event)) = reader.next() {
        count += event.ts & 1;
    }
    count
}

fn machine() -> Machine {
    let mut machine = Machine::default();
    let mut thread = Thread { tid: TID, pid: TID, ptid: 1, vtid: TID, vpid: TID, ..Thread::default() };
    (thread.comm, thread.exe) = ("bench".into(), "/usr/bin/bench".into());
    thread.args = ["--shade", "of", "meaning"].into_iter().collect();
    machine.add_thread(thread);
    machine
}

fn apply(machine: &mut Machine, event: &EventBuf) -> u64 {
    let Ok(event) = Event::decode(event.as_bytes(), 0) else { return 0 };
    let subject = machine.apply(&event);
    u64::from(subject.fd.is_some())
}

fn rule(condition: &str) -> String {
    format!(
        "- rule: r\n  desc: d\n  output: o\n  priority: INFO\n  condition: >\n    evt.type = openat and {condition}\n"
    )
}

fn own_rules() -> Result<String> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let mut files: Vec<_> = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    files.iter().map(|file| Ok(std::fs::read_to_string(file)?)).collect()
}

/// Seconds of evaluation alone: what a walk over the events takes with it less what it takes without.
fn evaluate(events: &[EventBuf], rules: &str) -> Result<f64> {
    let text = SourceText::from_bytes("bench", rules.as_bytes().to_vec());
    let loaded = load(&[text], &Catalog::new(["syscall"]), &LoadOptions::default());
    let engine = Engine::build(&loaded.rules, EngineOptions::default())?;
    let (mut memory, mut hits) = (Memory::default(), Vec::new());
    let with = quickest(|| {
        walk(events, |cx| {
            hits.clear();
            engine.process(&mut memory, cx, &mut hits);
        })
    });
    Ok((with - quickest(|| walk(events, |_| ()))).max(0.0))
}

fn walk(events: &[EventBuf], mut see: impl FnMut(&Context<'_>)) {
    let (mut machine, mut scratch, meta) = (machine(), Scratch::new(), EventMeta::default());
    for event in events {
        let Ok(event) = Event::decode(event.as_bytes(), 0) else { continue };
        let subject: Subject = machine.apply(&event);
        see(&Context { event: &event, machine: &machine, subject: &subject, meta: &meta, scratch: &scratch });
        scratch.reset();
    }
}
