//! Compiles the BPF programs, with a header made from the event table and from `data/`, so that no number of
//! an event, a flag or a system call is typed twice.

#[allow(dead_code, reason = "the loader uses the rest of it")]
#[path = "src/btf.rs"]
mod btf;
#[path = "build/conversions.rs"]
mod conversions;
#[path = "build/functions.rs"]
mod functions;
#[path = "build/header.rs"]
mod header;
#[path = "build/numbers.rs"]
mod numbers;
#[path = "build/plans.rs"]
mod plans;
#[path = "build/types.rs"]
mod types;

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use libbpf_cargo::SkeletonBuilder;

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Error> {
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-changed=data");
    println!("cargo:rerun-if-changed=../event/data/numbers.tbl");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=src/btf.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    let bpf_arch = match arch.as_str() {
        "x86_64" => "x86",
        "aarch64" => "arm64",
        other => return Err(format!("the probe's programs know x86_64 and aarch64, not {other}").into()),
    };
    let conversions = conversions::read(&arch)?;
    let numbers = numbers::read(&arch)?;
    let plans = plans::read(&conversions)?;
    let include = out.join("include");
    fs::create_dir_all(&include)?;
    fs::write(include.join("tables.h"), header::write(&plans, &conversions, &numbers)? + &types::header())?;
    let mut tables = plans::rust(&plans, &numbers, &conversions)?;
    functions::rust(&mut tables, &arch, &numbers)?;
    fs::write(out.join("plans.rs"), tables)?;
    let objects = ["probe", "snapshot"].map(|program| (program, out.join(format!("{program}.bpf.o"))));
    for (program, object) in &objects {
        SkeletonBuilder::new()
            .obj(object)
            .source(format!("bpf/{program}.bpf.c"))
            .clang_args([
                "-O2".into(),
                // not what later compilers take by themselves: of 32-bit operations older kernels lose track
                "-mcpu=v1".into(),
                "-g".into(),
                "-Wall".into(),
                "-Werror".into(),
                format!("-D__TARGET_ARCH_{bpf_arch}"),
                format!("-I{}", include.display()),
                "-Ibpf".into(),
            ])
            .build_and_generate(out.join(format!("{program}.skel.rs")))
            .map_err(|e| {
                format!(
                    "bpf/{program}.bpf.c: {e:?}\nthe BPF programs need clang 14 or later (apt install clang)"
                )
            })?;
    }
    fs::write(out.join("types.rs"), types::rust(&objects.each_ref().map(|(_, object)| object.as_path()))?)?;
    Ok(())
}

/// The lines of `data/FILE` that say something, with their numbers.
fn lines(file: &str) -> Result<Vec<(usize, String)>, Error> {
    let text = fs::read_to_string(format!("data/{file}"))?;
    Ok(text
        .lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line.to_string()))
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .collect())
}
