//! What the programs ask the kernel's types for.

use std::fmt::Write as _;
use std::path::Path;

use crate::Error;
use crate::btf::Types;

/// Types that programs say an address points to, by the number that the kernel has for them. The loader writes these
/// numbers in the place of `CAST_*`.
const CASTS: [&str; 6] = ["task_struct", "rb_node", "seqcount", "sockaddr", "bpf_insn", "pt_regs"];

/// No other constant of the programs is like them.
const CAST: u32 = 0x7cad_0000;

/// Their names for the programs.
pub fn header() -> String {
    let lines = (CAST..).zip(CASTS).map(|(value, name)| format!("#define CAST_{name} {value:#x}\n"));
    lines.collect()
}

/// The same for the loader, and the names of all types that compiled objects may ask for.
pub fn rust(objects: &[&Path]) -> Result<String, Error> {
    let mut names = Vec::new();
    for object in objects {
        let types = types_of(&std::fs::read(object)?).ok_or_else(|| format!("{object:?} has no types"))?;
        names.extend(types.askable().map(|(_, name)| String::from_utf8_lossy(name).into_owned()));
    }
    names.sort_unstable();
    names.dedup();
    let mut out = String::new();
    writeln!(
        out,
        "/// What programs may ask the kernel's types for.\npub static ASKED_FOR: [&str; {}] = {names:?};",
        names.len()
    )?;
    let casts: Vec<(u32, &str)> = (CAST..).zip(CASTS).collect();
    writeln!(
        out,
        "/// What stands in programs for the number of a type of the kernel, and its name.\n\
         pub static CASTS: [(u32, &str); {}] = {casts:?};",
        casts.len()
    )?;
    Ok(out)
}

/// The section of types of a compiled object (ELF, 64 bits, of this machine's byte order).
fn types_of(object: &[u8]) -> Option<Types> {
    let number = |at: usize, size: usize| {
        let bytes = object.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0usize, |n, byte| n << 8 | usize::from(*byte)))
    };
    let (sections, size) = (number(0x28, 8)?, number(0x3a, 2)?);
    let section = |n: usize| sections + n * size;
    let names = number(section(number(0x3e, 2)?) + 0x18, 8)?;
    let found = (0..number(0x3c, 2)?).map(section).find(|at| {
        let name = number(*at, 4).and_then(|name| object.get(names + name..));
        name.is_some_and(|name| name.starts_with(b".BTF\0"))
    })?;
    let (begin, len) = (number(found + 0x18, 8)?, number(found + 0x20, 8)?);
    Types::parse(object.get(begin..begin + len)?.to_vec())
}
