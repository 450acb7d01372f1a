//! Turns the tables in `data/` into static Rust data, so that what an event is stands in one place.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

type Error = Box<dyn std::error::Error>;

struct Param {
    name: String,
    ty: String,
    fmt: String,
    flags: Option<String>,
    variants: Vec<String>,
}

struct Event {
    code: u16,
    symbol: String,
    name: String,
    dir: String,
    categories: Vec<String>,
    flags: Vec<String>,
    params: Vec<Param>,
}

fn main() -> Result<(), Error> {
    for file in ["events", "descriptions", "flags", "syscalls", "numbers"] {
        println!("cargo:rerun-if-changed=data/{file}.tbl");
    }
    let events = read_events()?;
    let mut out = String::new();
    write_flag_sets(&mut out)?;
    write_events(&mut out, &events)?;
    write_descriptions(&mut out, &events)?;
    write_codes(&mut out, &events)?;
    write_params(&mut out, &events)?;
    write_syscalls(&mut out)?;
    write_native(&mut out)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("table.rs"), out)?;
    Ok(())
}

/// The lines of a table that say something, with their numbers.
fn lines(file: &str) -> Result<Vec<(usize, String)>, Error> {
    let text = fs::read_to_string(format!("data/{file}.tbl"))?;
    Ok(text
        .lines()
        .enumerate()
        .map(|(n, l)| (n + 1, l.to_string()))
        .filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'))
        .collect())
}

fn read_events() -> Result<Vec<Event>, Error> {
    let mut events: Vec<Event> = Vec::new();
    for (n, line) in lines("events")? {
        let words: Vec<&str> = line.split_whitespace().collect();
        let bad = || format!("data/events.tbl:{n}: not understood: {line}");
        if words[0] == "event" {
            let [_, code, symbol, name, dir, categories, flags @ ..] = &words[..] else {
                return Err(bad().into());
            };
            let code: u16 = code.parse()?;
            if usize::from(code) != events.len() {
                return Err(format!("data/events.tbl:{n}: code {code} is out of order").into());
            }
            events.push(Event {
                code,
                symbol: (*symbol).into(),
                name: (*name).into(),
                dir: (*dir).into(),
                categories: categories.split('+').map(Into::into).collect(),
                flags: flags.iter().map(|f| (*f).into()).collect(),
                params: Vec::new(),
            });
            continue;
        }
        let [name, ty, fmt, rest @ ..] = &words[..] else { return Err(bad().into()) };
        let event = events.last_mut().ok_or_else(bad)?;
        event.params.push(Param {
            name: (*name).into(),
            ty: (*ty).into(),
            fmt: (*fmt).into(),
            flags: rest.iter().find_map(|w| w.strip_prefix('=')).map(Into::into),
            variants: rest
                .iter()
                .find_map(|w| w.strip_prefix("variants="))
                .map(|types| types.split(',').map(Into::into).collect())
                .unwrap_or_default(),
        });
    }
    Ok(events)
}

fn write_flag_sets(out: &mut String) -> Result<(), Error> {
    let mut sets: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
    let mut current = String::new();
    for (n, line) in lines("flags")? {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("set"), Some(name)) => current = name.to_string(),
            (Some(name), Some(value)) => {
                let entry = (name.to_string(), value.parse()?);
                sets.entry(current.clone()).or_default().push(entry);
            }
            _ => return Err(format!("data/flags.tbl:{n}: not understood: {line}").into()),
        }
    }
    writeln!(out, "/// Sets of flag names.\npub mod flag_sets {{\nuse super::FlagName;")?;
    for (name, values) in &sets {
        writeln!(
            out,
            "/// Names of the set `{name}`.\npub static {}: &[FlagName] = &[",
            name.to_uppercase()
        )?;
        for (flag, value) in values {
            writeln!(out, "FlagName {{ name: {flag:?}, value: {value} }},")?;
        }
        writeln!(out, "];")?;
    }
    writeln!(out, "/// Every set with its name.\npub static ALL: &[(&str, &[FlagName])] = &[")?;
    for name in sets.keys() {
        writeln!(out, "({name:?}, {}),", name.to_uppercase())?;
    }
    writeln!(out, "];\n}}")?;
    Ok(())
}

/// `uses_fd` → `UsesFd`.
fn camel(word: &str) -> String {
    word.split('_')
        .map(|part| {
            let mut chars = part.chars();
            chars.next().map_or(String::new(), |c| c.to_ascii_uppercase().to_string() + chars.as_str())
        })
        .collect()
}

fn write_events(out: &mut String, events: &[Event]) -> Result<(), Error> {
    writeln!(
        out,
        "/// Every event type, by its code.\npub static EVENTS: [EventInfo; {}] = [",
        events.len()
    )?;
    for e in events {
        let categories: Vec<String> =
            e.categories.iter().map(|c| format!("Category::{}.bit()", camel(c))).collect();
        let mut flags: Vec<String> =
            e.flags.iter().map(|f| format!("EventFlag::{}.bit()", camel(f))).collect();
        if flags.is_empty() {
            flags.push("0".into());
        }
        let dir = if e.dir == "enter" { "Enter" } else { "Exit" };
        writeln!(
            out,
            "EventInfo {{ code: EventType({}), symbol: {:?}, name: {:?}, direction: Direction::{dir}, categories: {}, flags: {}, params: &[",
            e.code,
            e.symbol,
            e.name,
            categories.join(" | "),
            flags.join(" | "),
        )?;
        for p in &e.params {
            let flags = p.flags.as_ref().map_or("&[]".into(), |f| format!("flag_sets::{}", f.to_uppercase()));
            let variants: Vec<String> =
                p.variants.iter().map(|v| format!("ParamType::{}", camel(v))).collect();
            writeln!(
                out,
                "ParamInfo {{ name: {:?}, ty: ParamType::{}, format: ParamFormat::{}, flags: {flags}, variants: &[{}] }},",
                p.name,
                camel(&p.ty),
                camel(&p.fmt),
                variants.join(", ")
            )?;
        }
        writeln!(out, "] }},")?;
    }
    writeln!(out, "];")?;
    Ok(())
}

fn write_descriptions(out: &mut String, events: &[Event]) -> Result<(), Error> {
    let mut texts = BTreeMap::new();
    for (n, line) in lines("descriptions")? {
        let (name, text) = line.split_once(" : ").ok_or(format!("data/descriptions.tbl:{n}: no text"))?;
        if !events.iter().any(|e| e.name == name) {
            return Err(format!("data/descriptions.tbl:{n}: no event is called {name}").into());
        }
        texts.insert(name.to_string(), text.to_string());
    }
    let is_past = |e: &Event| e.flags.iter().any(|flag| flag == "old_version" || flag == "unused");
    if let Some(e) = events.iter().find(|e| !is_past(e) && !texts.contains_key(&e.name)) {
        return Err(format!("data/descriptions.tbl: {} is missing", e.name).into());
    }
    writeln!(
        out,
        "/// What events tell, by name, in order.\npub(crate) static DESCRIPTIONS: &[(&str, &str)] = &["
    )?;
    for (name, text) in &texts {
        writeln!(out, "({name:?}, {text:?}),")?;
    }
    writeln!(out, "];")?;
    Ok(())
}

fn write_codes(out: &mut String, events: &[Event]) -> Result<(), Error> {
    writeln!(
        out,
        "/// The event types by symbol.\n#[allow(missing_docs, reason = \"generated: the symbol says it\")]\npub mod types {{\nuse super::EventType;"
    )?;
    for e in events {
        writeln!(out, "pub const {}: EventType = EventType({});", e.symbol, e.code)?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

fn write_params(out: &mut String, events: &[Event]) -> Result<(), Error> {
    writeln!(
        out,
        "/// Where each parameter stands: `params::syscall_open_x::NAME`.\n#[allow(missing_docs, reason = \"generated: the names say it\")]\npub mod params {{"
    )?;
    for e in events.iter().filter(|e| !e.params.is_empty()) {
        writeln!(out, "pub mod {} {{", e.symbol.to_lowercase())?;
        for (i, p) in e.params.iter().enumerate() {
            writeln!(out, "pub const {}: usize = {i};", p.name.to_uppercase())?;
        }
        writeln!(out, "}}")?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

fn write_syscalls(out: &mut String) -> Result<(), Error> {
    writeln!(
        out,
        "/// Names of system calls by the number that captures give them.\npub static SYSCALL_NAMES: &[&str] = &["
    )?;
    for (i, (n, line)) in lines("syscalls")?.into_iter().enumerate() {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [number, name] if number.parse() == Ok(i) => writeln!(out, "{name:?},")?,
            _ => return Err(format!("data/syscalls.tbl:{n}: not understood: {line}").into()),
        }
    }
    writeln!(out, "];")?;
    Ok(())
}

/// The kernel's own numbers, for the architecture that is built for.
fn write_native(out: &mut String) -> Result<(), Error> {
    let column = match env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86_64" => 1,
        "aarch64" => 3,
        _ => return Ok(writeln!(out, "static NATIVE_SYSCALLS: &[(u16, &str)] = &[];")?),
    };
    let mut calls: Vec<(u16, String)> = Vec::new();
    for (n, line) in lines("numbers")? {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, _, _, _, _] = words[..] else {
            return Err(format!("data/numbers.tbl:{n}: not understood: {line}").into());
        };
        for number in words[column].split(',').filter(|number| *number != "-") {
            calls.push((number.parse()?, name.into()));
        }
    }
    calls.sort();
    writeln!(out, "/// Names of system calls by the kernel's own numbers, in order of these.")?;
    writeln!(out, "static NATIVE_SYSCALLS: &[(u16, &str)] = &{calls:?};")?;
    Ok(())
}
