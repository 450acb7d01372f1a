//! The kernel's functions of system calls: `data/functions.tbl`.

use std::fmt::Write as _;

use crate::numbers::{Call, NUMBERS};
use crate::{Error, lines};

/// Writes the table for an architecture: one for which it isn't known has no lines.
pub fn rust(out: &mut String, arch: &str, calls: &[Call]) -> Result<(), Error> {
    let mut rows = Vec::new();
    for (n, line) in lines("functions.tbl")? {
        let mut words = line.split_whitespace();
        let understood = (words.next(), words.next().and_then(|w| w.parse::<usize>().ok()));
        let (Some(abi @ ("x64" | "ia32")), Some(number)) = understood else {
            return Err(format!("functions.tbl:{n}: not understood: {line}").into());
        };
        let functions: Vec<&str> = words.collect();
        let of = |call: &Call| if abi == "ia32" { &call.ia32 } else { &call.native }.contains(&number);
        if arch == "x86_64" && (functions.is_empty() || number >= NUMBERS || !calls.iter().any(of)) {
            return Err(format!("functions.tbl:{n}: no function, or no call: {line}").into());
        }
        rows.push(format!("({}, {number}, &{functions:?}),", abi == "ia32"));
    }
    if arch != "x86_64" {
        rows.clear();
    }
    writeln!(
        out,
        "/// Functions that are not called as their call is: whether of 32-bit calls, the number, the names.\n\
         pub static FUNCTIONS: [(bool, usize, &[&str]); {}] = [\n{}\n];",
        rows.len(),
        rows.join("\n")
    )?;
    Ok(())
}
