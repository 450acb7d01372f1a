//! Prints what the probe sees, for a few seconds or until interrupted:
//! `cargo run -p lanner-probe --example watch -- [--snapshot] [--self] [--fexit] [SECONDS] [EVENT NAME...]`

use std::time::{Duration, Instant};

use lanner_event::{EVENTS, Event, ParamType};
use lanner_probe::{CallPoint, EventSet, Probe, ProbeError, ProbeOptions};

fn value(event: &Event<'_>, index: usize) -> String {
    use ParamType as T;
    let bytes = event.param(index).unwrap_or_default();
    match event.info.params[index].ty {
        T::Charbuf | T::Fspath | T::Fsrelpath | T::Bytebuf | T::Charbufarray => {
            String::from_utf8_lossy(bytes).replace('\0', " ").trim_end().to_string()
        }
        T::Sockaddr | T::Socktuple | T::Dyn => format!("{bytes:02x?}"),
        _ => match *bytes {
            [] => "<NA>".into(),
            [a] => a.to_string(),
            [a, b] => u16::from_ne_bytes([a, b]).to_string(),
            [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]).to_string(),
            _ => event.i64(index).unwrap_or_default().to_string(),
        },
    }
}

fn print(event: &Event<'_>) {
    let params: Vec<String> = (0..event.param_count().min(event.info.params.len()))
        .map(|i| format!("{}={}", event.info.params[i].name, value(event, i)))
        .collect();
    println!("{} {} cpu{} {} {}", event.ts, event.tid, event.cpu, event.info.symbol, params.join(" "));
}

fn main() -> Result<(), ProbeError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| args.iter().any(|a| a == name);
    let seconds = args.iter().find_map(|a| a.parse().ok());
    let names: Vec<&String> =
        args.iter().filter(|a| !a.starts_with('-') && a.parse::<u64>().is_err()).collect();
    let events: EventSet = EVENTS
        .iter()
        .filter(|e| if names.is_empty() { e.name != "syscall" } else { names.iter().any(|n| **n == e.name) })
        .map(|e| e.code)
        .collect();
    let start = Instant::now();
    let calls = if flag("--fexit") { CallPoint::Fexit } else { CallPoint::Auto };
    let options = ProbeOptions { events, include_self: flag("--self"), calls, ..ProbeOptions::default() };
    let mut probe = Probe::open(options)?;
    eprintln!("opened in {:?}: {:?}", start.elapsed(), probe.attachment());
    if flag("--snapshot") {
        let start = Instant::now();
        let stats = probe.snapshot(&mut |event| print(event))?;
        eprintln!("{stats:?} in {:?}", start.elapsed());
    }
    let end = seconds.map(|s| Instant::now() + Duration::from_secs(s));
    while end.is_none_or(|end| Instant::now() < end) {
        probe.poll(Duration::from_millis(200), &mut |event| print(event))?;
    }
    eprintln!("lost: {:?}", probe.lost());
    let start = Instant::now();
    drop(probe);
    eprintln!("closed in {:?}", start.elapsed());
    Ok(())
}
