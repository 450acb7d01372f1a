//! Taking values asks the allocator for nothing, once scratch memory has grown to its size.

#![allow(clippy::unwrap_used, reason = "a test may end so")]

mod world;

use std::hint::black_box;

use lanner_event::types;
use lanner_fields::{Context, Term, table};
use world::{WORKER, World, c};

/// The fields, and a few terms over them, each with how often taking its value allocated.
fn allocating(cx: &Context<'_>, terms: &[Term]) -> Vec<String> {
    let mut found = Vec::new();
    for term in terms {
        let made = allocation_counter::measure(|| {
            black_box((term.operand(cx), term.value(cx)));
        });
        if made.count_total > 0 {
            found.push(format!(
                "{term}: {} ({:?}, {:?})",
                made.count_total,
                term.operand(cx),
                term.value(cx)
            ));
        }
    }
    found
}

#[test]
fn values_are_taken_without_allocation() {
    let fields = table().iter().filter(|f| f.has_source("syscall") && !f.argument.required);
    let mut terms: Vec<Term> = fields.map(|f| Term::field("syscall", f.name, None).unwrap()).collect();
    for (name, argument) in [
        ("evt.arg.flags", None),
        ("evt.rawarg.name", None),
        ("evt.arg", Some("2")),
        ("proc.aname", Some("2")),
        ("proc.env", Some("HOME")),
        ("container.mount", Some("^/var")),
    ] {
        terms.push(Term::field("syscall", name, argument).unwrap());
    }
    let name = Term::field("syscall", "proc.name", None).unwrap();
    terms.push(Term::apply("toupper", vec![name], None).unwrap());
    let mut world = World::new();
    let flags = 1u32.to_ne_bytes();
    let params: [&[u8]; 7] =
        [&3i64.to_ne_bytes(), &4i64.to_ne_bytes(), &c("../a"), &flags, &flags, &flags, &9u64.to_ne_bytes()];
    for round in 0..4 {
        let found = world.on(WORKER, types::SYSCALL_OPENAT_2_X, &params, |cx| allocating(cx, &terms));
        // The first rounds may let scratch memory grow, and the regular expression build its tables.
        if round >= 2 {
            assert!(found.is_empty(), "round {round}: {found:#?}");
        }
    }
}
