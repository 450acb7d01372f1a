//! Turns `data/fields.tbl` into static Rust data and, for each class, an enumeration of its fields, so that
//! an extractor that is missing is a compile error.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

type Error = Box<dyn std::error::Error>;

const TABLE: &str = "data/fields.tbl";

struct Class {
    name: String,
    set: String,
    sources: Vec<String>,
    until: String,
    plugin: Option<String>,
    loaded: bool,
    needs: String,
    about: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    ty: String,
    words: Vec<String>,
    argument: Option<String>,
    from: Option<String>,
    until: Option<String>,
    description: String,
}

fn main() -> Result<(), Error> {
    println!("cargo:rerun-if-changed={TABLE}");
    let classes = read()?;
    let mut out = String::new();
    write_sets(&mut out, &classes)?;
    write_classes(&mut out, &classes)?;
    write_fields(&mut out, &classes)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("fields.rs"), out)?;
    Ok(())
}

fn read() -> Result<Vec<Class>, Error> {
    let text = fs::read_to_string(TABLE)?;
    let mut classes: Vec<Class> = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let bad = || format!("{TABLE}:{}: not understood: {line}", n + 1);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(rest) = line.strip_prefix("class ") {
            classes.push(read_class(rest).ok_or_else(bad)?);
            continue;
        }
        let class = classes.last_mut().ok_or_else(bad)?;
        match line.strip_prefix("| ") {
            Some(about) => class.about = about.into(),
            None => class.fields.push(read_field(line).ok_or_else(bad)?),
        }
    }
    Ok(classes)
}

fn read_class(line: &str) -> Option<Class> {
    let mut words = line.split_whitespace();
    let name = words.next()?.to_string();
    let mut class = Class {
        set: name.clone(),
        name,
        sources: Vec::new(),
        until: "event".into(),
        plugin: None,
        loaded: false,
        needs: String::new(),
        about: String::new(),
        fields: Vec::new(),
    };
    for word in words {
        match word.split_once('=') {
            Some(("set", set)) => class.set = set.into(),
            Some(("sources", "any")) => {}
            Some(("sources", list)) => class.sources = list.split(',').map(Into::into).collect(),
            Some(("until", until)) => class.until = until.into(),
            Some(("plugin", plugin)) => class.plugin = Some(plugin.into()),
            Some(("needs", key)) => class.needs = key.into(),
            None if word == "loaded" => class.loaded = true,
            _ => return None,
        }
    }
    Some(class)
}

fn read_field(line: &str) -> Option<Field> {
    let (head, description) = line.split_once(" : ")?;
    let mut words = head.split_whitespace();
    let mut field = Field {
        name: words.next()?.into(),
        ty: words.next()?.into(),
        words: Vec::new(),
        argument: None,
        from: None,
        until: None,
        description: description.into(),
    };
    for word in words {
        match word.split_once('=') {
            Some(("arg", rule)) => field.argument = Some(rule.into()),
            Some(("until", until)) => field.until = Some(until.into()),
            Some(("from", from)) => field.from = Some(from.into()),
            None if ["list", "hex", "padded", "filter", "noval", "noapply", "old"].contains(&word) => {
                field.words.push(word.into());
            }
            _ => return None,
        }
    }
    Some(field)
}

/// `proc.exe_ino.ctime` → `ProcExeInoCtime`.
fn camel(word: &str) -> String {
    word.split(['_', '.'])
        .map(|part| {
            let mut chars = part.chars();
            chars.next().map_or(String::new(), |c| c.to_ascii_uppercase().to_string() + chars.as_str())
        })
        .collect()
}

fn write_sets(out: &mut String, classes: &[Class]) -> Result<(), Error> {
    let mut sets: BTreeMap<&str, Vec<&Field>> = BTreeMap::new();
    for class in classes {
        sets.entry(&class.set).or_default().extend(class.fields.iter().filter(|f| f.from.is_none()));
    }
    for (set, fields) in &sets {
        writeln!(out, "/// Fields of the set `{set}`.\n#[derive(Clone, Copy, PartialEq, Eq, Debug)]")?;
        writeln!(
            out,
            "#[allow(clippy::enum_variant_names, reason = \"generated: the whole name says it\")]"
        )?;
        writeln!(out, "pub(crate) enum {} {{", camel(set))?;
        for field in fields {
            writeln!(out, "{},", camel(&field.name))?;
        }
        writeln!(out, "}}")?;
    }
    writeln!(out, "/// Whose extractor a field is.\n#[derive(Clone, Copy, PartialEq, Eq, Debug)]")?;
    writeln!(out, "pub(crate) enum Extractor {{")?;
    for set in sets.keys() {
        writeln!(out, "{0}({0}),", camel(set))?;
    }
    writeln!(
        out,
        "/// A JSON payload that is read as the table says.\nRead(JsonRead),\n/// A plugin's field, by number.\nForeign(u32),\n}}"
    )?;
    Ok(())
}

fn write_classes(out: &mut String, classes: &[Class]) -> Result<(), Error> {
    writeln!(
        out,
        "/// The classes, in listing order.\npub(crate) static CLASSES: [ClassInfo; {}] = [",
        classes.len()
    )?;
    for c in classes {
        writeln!(
            out,
            "ClassInfo {{ name: {:?}, about: {:?}, sources: &{:?}, plugin: {:?}, loaded: {} }},",
            c.name, c.about, c.sources, c.plugin, c.loaded
        )?;
    }
    writeln!(out, "];")?;
    Ok(())
}

/// `exec+fd` → the set of both; a word that is no set is told by the compiler.
fn stability(words: &str) -> String {
    let words = words.split('+').filter(|w| *w != "never");
    let union = |word: &str| format!(".union(StableUntil::{})", word.to_uppercase());
    format!("StableUntil::from_bits(0){}", words.map(union).collect::<String>())
}

fn argument(rule: Option<&str>) -> Result<String, Error> {
    let Some(rule) = rule else { return Ok("Argument::NONE".into()) };
    let (forms, required) = match rule.strip_suffix('!') {
        Some(forms) => (forms, true),
        None => (rule.strip_suffix('?').ok_or_else(|| format!("{TABLE}: arg={rule}: no ? nor !"))?, false),
    };
    let has = |form| forms.split('|').any(|f| f == form);
    let (index, key, dot) = (has("index"), has("key"), has("dot"));
    Ok(format!("Argument {{ allowed: true, required: {required}, index: {index}, key: {key}, dot: {dot} }}"))
}

/// `get:/user/name` → how and where a payload is read.
fn json_read(class: &Class, from: &str) -> Result<String, Error> {
    let (mode, pointer) = from.split_once(":/").ok_or_else(|| format!("{TABLE}: from={from}: no pointer"))?;
    let path: Vec<String> = pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
    let (needs, mode) = (&class.needs, camel(mode));
    Ok(format!("Extractor::Read(JsonRead {{ needs: {needs:?}, mode: JsonMode::{mode}, path: &{path:?} }})"))
}

fn field_type(ty: &str) -> Result<&'static str, Error> {
    Ok(match ty {
        "text" => "Text",
        "bytes" => "Bytes",
        "bool" => "Bool",
        "double" => "Double",
        "dyn" => "Dynamic",
        "ip" => "Ip",
        "net" => "Net",
        "port" => "Port",
        "abstime" => "AbsTime",
        "reltime" => "RelTime",
        "i16" => "Int16",
        "i32" => "Int32",
        "i64" => "Int64",
        "u32" => "Uint32",
        "u64" => "Uint64",
        _ => return Err(format!("{TABLE}: type {ty} is not known").into()),
    })
}

fn write_fields(out: &mut String, classes: &[Class]) -> Result<(), Error> {
    let mut names: Vec<(&str, usize)> = Vec::new();
    let count: usize = classes.iter().map(|c| c.fields.len()).sum();
    writeln!(out, "/// The fields, in listing order.\npub(crate) static FIELDS: [FieldInfo; {count}] = [")?;
    for (nth, class) in classes.iter().enumerate() {
        for f in &class.fields {
            names.push((&f.name, names.len()));
            let has = |word: &str| f.words.iter().any(|w| w == word);
            let format = if has("hex") {
                "Hex"
            } else if has("padded") {
                "Padded"
            } else {
                "Plain"
            };
            let extractor = match &f.from {
                Some(from) => json_read(class, from)?,
                None => format!("Extractor::{0}({0}::{1})", camel(&class.set), camel(&f.name)),
            };
            writeln!(
                out,
                "FieldInfo {{ name: {:?}, class: &CLASSES[{nth}], ty: FieldType::{}, argument: {}, list: {}, \
                 description: {:?}, stable_until: {}, format: NumberFormat::{format}, filter_only: {}, \
                 right_side: {}, transformable: {}, deprecated: {}, extractor: {extractor} }},",
                f.name,
                field_type(&f.ty)?,
                argument(f.argument.as_deref())?,
                has("list"),
                f.description,
                stability(f.until.as_ref().unwrap_or(&class.until)),
                has("filter"),
                !has("noval"),
                !has("noapply"),
                has("old"),
            )?;
        }
    }
    writeln!(out, "];")?;
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|w| w[0].0 == w[1].0) {
        return Err(format!("{TABLE}: {} is there twice", twice[0].0).into());
    }
    let order: Vec<usize> = names.iter().map(|n| n.1).collect();
    writeln!(out, "/// Positions in `FIELDS` by name.\nstatic BY_NAME: [u16; {count}] = {order:?};")?;
    Ok(())
}
