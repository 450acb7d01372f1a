//! The official rule files compile, where the compatibility data stands beside the repository.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::time::Instant;

use lanner_engine::{Catalog, Engine, EngineOptions};
use lanner_event::types;
use lanner_rules::{LoadOptions, SourceText, load};

const FILES: &[&str] = &["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];

#[test]
fn official_rules_compile() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/compat/rules");
    if !rules.exists() {
        eprintln!("skipped: there is no {}", rules.display());
        return;
    }
    let read = |name: &&str| SourceText::from_bytes(*name, std::fs::read(rules.join(name)).unwrap());
    let texts: Vec<SourceText> = FILES.iter().map(read).collect();
    let start = Instant::now();
    let loaded = load(&texts, &Catalog::new(["syscall"]), &LoadOptions::default());
    let errors: Vec<_> = loaded.report.files.iter().flat_map(|file| &file.errors).collect();
    assert!(errors.is_empty(), "{}", loaded.report.human_text());
    let mut set = loaded.rules;
    set.rules.iter_mut().for_each(|rule| rule.enabled = true);
    let took = start.elapsed();
    let engine = Engine::build(&set, EngineOptions::default()).unwrap();
    eprintln!("{} rules, loaded in {took:?}, built in {:?}", engine.rules().len(), start.elapsed() - took);
    assert!(engine.rules().len() > 80);
    let types = engine.event_types();
    assert!(types.contains(types::SYSCALL_EXECVE_19_X) && types.contains(types::SYSCALL_OPENAT_2_X));
    assert!(!types.contains(types::SYSCALL_READ_X) && !types.contains(types::GENERIC_X), "{types:?}");
}
