//! Conversions of flags and enumerations: `data/conversions.tbl`.

use lanner_event::{FlagName, flag_sets};

use crate::{Error, lines};

/// How the steps of a conversion are used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bits,
    Values,
    Keep,
}

/// One flag: what of the kernel's number must be met, and what it becomes.
pub struct Step {
    pub mask: u64,
    pub value: u64,
    pub result: u64,
}

/// One set.
pub struct Conversion {
    pub name: String,
    pub kind: Kind,
    /// The result of `values` that meets nothing; the mask of `keep`.
    pub fallback: u64,
    pub steps: Vec<Step>,
}

/// The flag names of a set of the event table, found through a parameter that has them.
fn table(name: &str) -> Option<&'static [FlagName]> {
    flag_sets::ALL.iter().find(|(set, _)| *set == name).map(|(_, flags)| *flags)
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Reads the table for an architecture.
pub fn read(arch: &str) -> Result<Vec<Conversion>, Error> {
    let mut sets: Vec<(Conversion, Option<&'static [FlagName]>)> = Vec::new();
    for (n, line) in lines("conversions.tbl")? {
        let bad = |why: &str| -> Error { format!("data/conversions.tbl:{n}: {why}: {line}").into() };
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["set", name, kind, rest @ ..] = &words[..] {
            let source = rest.iter().find(|w| !w.contains('=')).unwrap_or(name);
            let flags = table(source);
            let kind = match *kind {
                "bits" => Kind::Bits,
                "values" => Kind::Values,
                "keep" => Kind::Keep,
                _ => return Err(bad("no such kind")),
            };
            let fallback = match rest.iter().find_map(|w| w.strip_prefix("default=")) {
                Some(flag) => {
                    flags
                        .and_then(|f| f.iter().find(|f| f.name == flag))
                        .ok_or_else(|| bad("the event table lacks the default"))?
                        .value
                }
                None => 0,
            };
            sets.push((Conversion { name: (*name).into(), kind, fallback, steps: Vec::new() }, flags));
            continue;
        }
        let (set, flags) = sets.last_mut().ok_or_else(|| bad("no set before it"))?;
        if set.kind == Kind::Keep {
            set.fallback = number(words[0]).ok_or_else(|| bad("no mask"))?;
            continue;
        }
        let here = words.iter().find_map(|w| w.strip_prefix(&format!("{arch}=")));
        let [flag, usual, ..] = &words[..] else { return Err(bad("not understood")) };
        let (value, mask) = match here.unwrap_or(usual).split_once('/') {
            Some((value, mask)) => (number(value), number(mask)),
            None => {
                let value = number(here.unwrap_or(usual));
                (value, if set.kind == Kind::Bits { value } else { Some(u64::MAX) })
            }
        };
        let named = flags.and_then(|f| f.iter().find(|f| f.name == *flag)).map(|f| f.value);
        let result = named.or_else(|| number(flag)).ok_or_else(|| bad("the event table lacks this flag"))?;
        let (Some(value), Some(mask)) = (value, mask) else { return Err(bad("no number")) };
        set.steps.push(Step { mask, value, result });
    }
    Ok(sets.into_iter().map(|(set, _)| set).collect())
}
