//! The tables as a C header for the BPF side.

use std::fmt::Write as _;

use lanner_event::{EVENTS, flag_sets, prefilter};

use crate::Error;
use crate::conversions::{Conversion, Kind};
use crate::numbers::{Call, NUMBERS, SOCKETCALLS};
use crate::plans::{KINDS, PLAN_PARAMS, PROGRAMS, Plan, SOURCES, WORD, WORDS};

/// Sets of flags whose values the BPF side names.
const NAMED_SETS: [&str; 7] = [
    "open_flags",
    "clone_flags",
    "execve_flags",
    "creat_creat_flags",
    "task_file_anon_inode_fd_type",
    "quotactl_cmd",
    "quotactl_quota_fmt",
];

const TYPES: &str = "
struct param { unsigned char kind, source, offset, size, set, width, what; };
struct plan { unsigned short type; unsigned char program, count, opens, makes, keeps, fds[2]; struct param params[PLAN_PARAMS]; };
enum { KEEPS_NAMES = 1, KEEPS_ADDRESS = 2, KEEPS_MESSAGES = 4, KEEPS_SENDER = 8, KEEPS_SENDERS = 16 };
enum { MAKES_NONE, MAKES_FD, MAKES_PIPE, MAKES_PAIR };
enum { CONVERT_BITS, CONVERT_VALUES, CONVERT_KEEP };
struct conversion { unsigned short kind, first, count; unsigned long long fallback; };
struct step { unsigned long long mask, match, result; };
";

fn define(out: &mut String, name: &str, value: impl std::fmt::Display) {
    // writing to a String does not fail
    let _ = writeln!(out, "#define {name} {value}");
}

/// The whole header. Arrays that the BPF side indexes by a number it computed have a power of two of places, so
/// that a mask keeps the index in bounds.
pub fn write(plans: &[Plan], conversions: &[Conversion], calls: &[Call]) -> Result<String, Error> {
    let mut out = String::from("/* Made by build.rs from the event table and from data/. */\n#pragma once\n");
    let steps: usize = conversions.iter().map(|c| c.steps.len()).sum();
    let longest = conversions.iter().map(|c| c.steps.len()).max().unwrap_or(0);
    for (name, value) in [
        ("EVENT_COUNT", EVENTS.len()),
        ("PLANS", plans.len()),
        ("PLANS_ROOM", plans.len().next_power_of_two()),
        ("PLAN_PARAMS", PLAN_PARAMS),
        ("PLAN_SOCKETCALL", plans.len() + 1),
        ("PROGRAMS", PROGRAMS.len()),
        ("PROGRAM_ENTRY", PROGRAMS.len()),
        ("WORD_SIZED", WORD),
        ("NUMBERS", NUMBERS),
        ("SOCKETCALLS_ROOM", SOCKETCALLS.len().next_power_of_two()),
        ("CONVERSIONS_ROOM", (conversions.len() + 1).next_power_of_two()),
        ("CONVERSION_STEPS_ROOM", steps.next_power_of_two()),
        ("CONVERSION_LONGEST", longest),
        ("SLOTS", prefilter::TABLE),
        ("CHOICES", prefilter::CHOICES),
        ("ADDRESS_WORDS", prefilter::ADDRESS_WORDS),
        ("ADDRESS_LENGTHS", prefilter::ADDRESS_LENGTHS.len()),
        ("PORT_WORDS", prefilter::PORT_WORDS),
        ("CLASSES", prefilter::CLASSES),
        ("SLOT_PROBES", prefilter::PROBES),
        ("CALLERS", prefilter::CALLERS),
        ("OTHER_NAME", prefilter::OTHER_NAME),
        ("EXCEPTED_NAME", prefilter::EXCEPTED_NAME),
        ("THERE", prefilter::THERE),
        ("NAME_ASKED_BIT", prefilter::ASKED.trailing_zeros() as usize),
        ("KNOWN_CGROUPS", prefilter::KNOWN_CGROUPS),
        ("CGROUP_PROBES", prefilter::CGROUP_PROBES),
        ("GRAM_WORDS", prefilter::GRAM_WORDS),
        ("KNOWN_WORDS", prefilter::KNOWN_WORDS),
    ] {
        define(&mut out, name, value);
    }
    for event in EVENTS.iter().filter(|e| e.symbol.ends_with("_X") || e.symbol.ends_with("_E")) {
        define(&mut out, &format!("EV_{}", event.symbol), event.code.0);
    }
    for (prefix, words, first) in
        [("KIND", &KINDS[..], 0), ("PROGRAM", &PROGRAMS[..], 0), ("SOURCE", &SOURCES[..], 6)]
    {
        for (i, word) in words.iter().enumerate() {
            define(&mut out, &format!("{prefix}_{}", word.to_uppercase()), first + i);
        }
    }
    for (kind, words) in WORDS {
        for (i, word) in words.iter().enumerate() {
            define(&mut out, &format!("{}_{}", kind.to_uppercase(), word.to_uppercase()), i);
        }
    }
    for (i, conversion) in conversions.iter().enumerate() {
        define(&mut out, &format!("SET_{}", conversion.name.to_uppercase()), i + 1);
    }
    for (set, flags) in flag_sets::ALL.iter().filter(|(set, _)| NAMED_SETS.contains(set)) {
        for flag in *flags {
            define(&mut out, &format!("FLAG_{}_{}", set.to_uppercase(), flag.name), flag.value);
        }
    }
    out.push_str(TYPES);
    write_events(&mut out)?;
    write_plans(&mut out, plans)?;
    write_conversions(&mut out, conversions)?;
    write_numbers(&mut out, calls)?;
    Ok(out)
}

fn array(out: &mut String, ty: &str, name: &str, len: &str, values: &[usize]) -> Result<(), Error> {
    let values: Vec<String> = values.iter().map(usize::to_string).collect();
    writeln!(out, "static const {ty} {name}[{len}] = {{ {} }};", values.join(", "))?;
    Ok(())
}

fn write_events(out: &mut String) -> Result<(), Error> {
    let counts: Vec<usize> = EVENTS.iter().map(|e| e.params.len()).collect();
    array(out, "unsigned char", "param_counts", "EVENT_COUNT", &counts)?;
    let vital: Vec<usize> = EVENTS.iter().map(|e| usize::from(e.is_vital())).collect();
    array(out, "unsigned char", "vital", "EVENT_COUNT", &vital)
}

fn write_plans(out: &mut String, plans: &[Plan]) -> Result<(), Error> {
    writeln!(out, "static const struct plan plans[PLANS_ROOM] = {{")?;
    for plan in plans {
        let opens = u8::from(plan.opens());
        let [one, two] = plan.fds();
        write!(
            out,
            "\t{{ {}, {}, {}, {opens}, {}, {}, {{ {one}, {two} }}, {{",
            plan.event.code.0,
            plan.program,
            plan.params.len(),
            plan.makes(),
            plan.keeps()
        )?;
        for p in &plan.params {
            write!(
                out,
                " {{ {}, {}, {}, {}, {}, {}, {} }},",
                p.kind, p.source, p.offset, p.size, p.set, p.width, p.what
            )?;
        }
        writeln!(out, " }} }}, /* {} */", plan.call)?;
    }
    writeln!(out, "}};")?;
    Ok(())
}

fn write_conversions(out: &mut String, conversions: &[Conversion]) -> Result<(), Error> {
    writeln!(
        out,
        "static const struct conversion conversions[CONVERSIONS_ROOM] = {{\n\t{{ 0 }}, /* none */"
    )?;
    let mut first = 0;
    for c in conversions {
        let kind = match c.kind {
            Kind::Bits => "CONVERT_BITS",
            Kind::Values => "CONVERT_VALUES",
            Kind::Keep => "CONVERT_KEEP",
        };
        writeln!(out, "\t{{ {kind}, {first}, {}, {} }}, /* {} */", c.steps.len(), c.fallback, c.name)?;
        first += c.steps.len();
    }
    writeln!(out, "}};\nstatic const struct step steps[CONVERSION_STEPS_ROOM] = {{")?;
    for step in conversions.iter().flat_map(|c| &c.steps) {
        writeln!(out, "\t{{ {}ull, {}ull, {}ull }},", step.mask, step.value, step.result)?;
    }
    writeln!(out, "}};")?;
    Ok(())
}

fn write_numbers(out: &mut String, calls: &[Call]) -> Result<(), Error> {
    let mut native = vec![0; NUMBERS];
    let mut ia32 = vec![0; NUMBERS];
    let mut ia32_native: Vec<usize> = (0..NUMBERS).collect();
    for call in calls {
        call.native.iter().for_each(|&n| native[n] = call.id());
        for &n in &call.ia32 {
            ia32[n] = call.id();
            ia32_native[n] = call.native.first().copied().unwrap_or(n);
        }
    }
    array(out, "unsigned short", "native_ids", "NUMBERS", &native)?;
    array(out, "unsigned short", "ia32_ids", "NUMBERS", &ia32)?;
    array(out, "unsigned short", "ia32_native", "NUMBERS", &ia32_native)
}
