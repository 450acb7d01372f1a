//! Random rules on random events: the engine and the plain evaluation agree.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "world/plain.rs"]
mod plain;

#[path = "world/mod.rs"]
mod world;

use std::sync::Arc;

use lanner_alert::Priority;
use lanner_engine::{Engine, EngineOptions, Explainer, Matching, Memory, Tuning};
use lanner_fields::Scratch;
use lanner_filter::{Expr, ExprKind, parse};
use lanner_rules::{Place, Rule, RuleSet};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use world::{Picked, World};

/// A comparison, as text: the fields of each kind, how they can be compared, and with what.
fn check() -> impl Strategy<Value = String> {
    let join = |(field, rest): (&str, String)| format!("{field} {rest}");
    let list = |pool: &'static [&'static str]| {
        vec(select(pool), 0..4).prop_map(|items| format!("({})", items.join(", ")))
    };
    let texts: &[&str] = &[
        "cat",
        "bash",
        "sshd",
        "Python3",
        "'a b'",
        "''",
        "/etc",
        "/etc/passwd",
        "/usr",
        "/tmp/x.pem",
        ".pem",
        "/",
        "x",
    ];
    let text_fields = select(vec![
        "proc.name",
        "proc.pname",
        "proc.aname[2]",
        "proc.aname",
        "fd.name",
        "fd.nameraw",
        "proc.exe",
        "tolower(proc.name)",
        "basename(fd.name)",
        "evt.arg.name",
        "fs.path.name",
        "fs.path.source",
        "evt.res",
    ]);
    let text_test = prop_oneof![
        (select(vec!["=", "==", "!=", "contains", "icontains", "startswith", "endswith"]), select(texts))
            .prop_map(|(o, v)| format!("{o} {v}")),
        (select(vec!["glob", "iglob"]), select(vec!["*", "/etc/*", "*a*", "?at", "PY*", "*.pem"]))
            .prop_map(|(o, v)| format!("{o} {v}")),
        (select(vec!["in", "intersects", "pmatch"]), list(texts)).prop_map(|(o, v)| format!("{o} {v}")),
        (
            select(vec!["=", "!=", "startswith", "contains"]),
            select(vec!["oneof", "anyof", "allof"]),
            list(texts)
        )
            .prop_map(|(o, m, v)| format!("{o} {m} {v}")),
        select(vec!["= val(proc.pname)", "!= val(proc.exe)", "startswith val(proc.exe)", "exists"])
            .prop_map(str::to_owned),
    ];
    // Not every field may be compared with another one.
    let text = (text_fields, text_test)
        .prop_filter("right side", |(field, test)| !field.starts_with("proc.aname") || !test.contains("val("))
        .prop_map(join);
    let number = (
        select(vec![
            "proc.pid",
            "proc.ppid",
            "user.uid",
            "fd.num",
            "fd.port",
            "fd.sport",
            "evt.rawres",
            "evt.rawarg.flags",
            "evt.rawarg.fd",
            "evt.buflen",
            "len(proc.name)",
        ]),
        prop_oneof![
            (
                select(vec!["=", "!=", "<", "<=", ">", ">="]),
                select(vec!["0", "1", "3", "4", "22", "443", "1000"])
            )
                .prop_map(|(o, v)| format!("{o} {v}")),
            list(&["0", "2", "22", "80", "1000"]).prop_map(|v| format!("in {v}")),
            Just("exists".to_owned()),
        ],
    )
        .prop_map(join);
    let address = prop_oneof![
        (
            select(vec!["fd.sip", "fd.cip", "fd.ip"]),
            select(vec!["= 10.1.2.3", "!= 10.1.2.3", "in (127.0.0.1, fe80::7)", "= ::1"])
        ),
        (
            select(vec!["fd.snet", "fd.cnet", "fd.net"]),
            select(vec![
                "= 10.0.0.0/8",
                "!= 127.0.0.0/8",
                "in (192.168.0.0/16, fe80::/10)",
                "in (0.0.0.0/0)"
            ])
        ),
    ]
    .prop_map(|(field, test)| format!("{field} {test}"));
    let truth = (
        select(vec!["evt.is_open_read", "evt.is_open_exec", "evt.is_io_write", "evt.failed", "fd.connected"]),
        select(vec!["= true", "= false", "!= true"]),
    )
        .prop_map(|(field, test)| format!("{field} {test}"));
    let types = (
        select(vec!["evt.type"]),
        select(vec![
            "= open",
            "= openat",
            "!= read",
            "in (open, openat, connect)",
            "= execve",
            "in (kill, uname)",
            "= getpid",
            "startswith open",
            "exists",
        ]),
    )
        .prop_map(|(field, test)| format!("{field} {test}"));
    let fixed =
        select(vec!["evt.num >= 1", "evt.num = 0", "evt.dir = <", "evt.dir = >"]).prop_map(str::to_owned);
    prop_oneof![4 => text, 2 => number, 2 => address, 1 => truth, 3 => types, 1 => fixed]
}

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![4 => check(), 1 => select(vec!["m0", "m1", "m2"]).prop_map(str::to_owned)];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" and "))),
            vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

fn with_macros(text: &str, macros: &[Arc<Expr>]) -> Arc<Expr> {
    let tree = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let find = &mut |name: &str, _| {
        let at: usize = name.trim_start_matches('m').parse().unwrap();
        // A macro may use those before it; what it can't see is just true.
        Ok::<_, ()>(Some(macros.get(at).cloned().unwrap_or_else(|| parse("evt.num > 0").unwrap().into())))
    };
    tree.replace_names(find).unwrap().into()
}

fn rule(at: usize, condition: Arc<Expr>) -> Rule {
    Rule {
        name: format!("rule {at}"),
        description: String::new(),
        source: "syscall".into(),
        condition,
        output: "x".into(),
        priority: Priority::Notice,
        tags: Default::default(),
        enabled: true,
        capture: false,
        capture_duration: 0,
        exception_fields: Default::default(),
        extra_fields: Vec::new(),
        place: Place::file("test".into()),
    }
}

fn rules(macros: &[String], conditions: &[String]) -> RuleSet {
    let mut bodies: Vec<Arc<Expr>> = Vec::new();
    for text in macros {
        let body = with_macros(text, &bodies);
        bodies.push(body);
    }
    let rules = conditions.iter().enumerate().map(|(at, text)| rule(at, with_macros(text, &bodies)));
    RuleSet { rules: rules.collect(), ..RuleSet::default() }
}

fn picked() -> impl Strategy<Value = Picked> {
    (0..world::TYPES.len(), 0..8usize, 0..6usize, 0..10_000usize).prop_map(|(ty, tid, fd, number)| Picked {
        ty,
        tid,
        fd,
        number,
    })
}

/// Conditions times events of each case: 8 × 24, so that a thousand cases are 192,000 pairs.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn the_engine_agrees_with_plain_evaluation(
        seed in 0..1000usize,
        macros in vec(condition(), 3),
        conditions in vec(condition(), 8),
        events in vec(picked(), 24),
    ) {
        let rules = rules(&macros, &conditions);
        // Plans are put in order while the events go by.
        let tuning = Tuning { stride: 1, samples: 2 };
        let options = EngineOptions { matching: Matching::All, tuning, ..EngineOptions::default() };
        let all = Engine::build(&rules, options).unwrap();
        let first = Engine::build(&rules, EngineOptions::default()).unwrap();
        let mut world = World::new(seed);
        let mut memories = [Memory::default(), Memory::default()];
        for event in &events {
            let [of_all, of_first] = &mut memories;
            let failure = world.with(event, |cx| {
                let matching = |rule: &&Rule| plain::holds(&rule.condition, cx);
                let expected: Vec<String> =
                    rules.rules.iter().filter(matching).map(|rule| rule.name.clone()).collect();
                let mut hits = Vec::new();
                all.process(of_all, cx, &mut hits);
                let got: Vec<String> = hits.iter().map(|id| all.rule(*id).rule.name.clone()).collect();
                let mut hits = Vec::new();
                first.process(of_first, cx, &mut hits);
                let one: Vec<String> = hits.iter().map(|id| first.rule(*id).rule.name.clone()).collect();
                (got != expected || one != expected[..expected.len().min(1)]).then_some((expected, got, one))
            });
            prop_assert!(failure.is_none(), "{event:?}: plain, all, first: {failure:?}");
            world.scratch = Scratch::new();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn explanations_agree_with_plain_evaluation(
        seed in 0..1000usize,
        macros in vec(condition(), 3),
        conditions in vec(condition(), 4),
        events in vec(picked(), 8),
    ) {
        let rules = rules(&macros, &conditions);
        let mut world = World::new(seed);
        for rule in &rules.rules {
            let explainer = Explainer::new(rule).unwrap();
            for event in &events {
                let (expected, holds, distance) = world.with(event, |cx| {
                    let told = explainer.explain(cx).holds;
                    (plain::holds(&rule.condition, cx), told, explainer.distance(cx))
                });
                prop_assert_eq!((holds, distance == 0), (Some(expected), expected), "{}", rule.condition);
                world.scratch = Scratch::new();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// What is remembered of threads, fds and files never outlives what it is about.
    #[test]
    fn histories_are_judged_as_if_nothing_were_remembered(
        seed in 0..1000usize,
        fields in vec(remembered(), 10),
        pairs in vec((remembered(), remembered()), 4),
        mixed in vec(condition(), 4),
        events in vec(picked(), 60),
    ) {
        let pairs = pairs.into_iter().map(|(one, two)| format!("not ({one} or {two})"));
        let conditions: Vec<String> = fields.into_iter().chain(pairs).chain(mixed).collect();
        let rules = rules(&[], &conditions);
        let tuning = Tuning { stride: 3, samples: 4 };
        let options = EngineOptions { matching: Matching::All, tuning, ..EngineOptions::default() };
        let engine = Engine::build(&rules, options).unwrap();
        let mut world = World::new(seed);
        let mut memory = Memory::default();
        for event in events.iter().cycle().take(events.len() * 2) {
            let failure = world.play(event, |cx| {
                let matching = |rule: &&Rule| plain::holds(&rule.condition, cx);
                let expected: Vec<String> =
                    rules.rules.iter().filter(matching).map(|rule| rule.name.clone()).collect();
                let mut hits = Vec::new();
                engine.process(&mut memory, cx, &mut hits);
                let got: Vec<String> = hits.iter().map(|id| engine.rule(*id).rule.name.clone()).collect();
                (got != expected).then_some((expected, got))
            });
            prop_assert!(failure.is_none(), "{event:?}: plain, engine: {failure:?} of {conditions:#?}");
            world.scratch = Scratch::new();
        }
    }
}

/// A comparison of anything about threads, fds and files that may be remembered.
fn remembered() -> impl Strategy<Value = String> {
    use lanner_fields::{FieldType, StableUntil, table};
    let remembered = |stable: StableUntil| !stable.contains(StableUntil::EVENT);
    let usable = table().iter().filter(|f| {
        f.has_source("syscall")
            && !f.class.loaded
            && !f.argument.required
            && !f.list
            && remembered(f.stable_until)
    });
    let text = [
        "= cat",
        "= bash",
        "= init",
        "contains a",
        "contains '../'",
        "= passwd",
        "startswith /",
        "startswith /etc/",
        "pmatch (/etc, /home/me)",
        "endswith passwd",
        "in (file, f, ipv4, /etc, /usr/bin, x.pem)",
        "in (root, '', Python3, sshd, host)",
        "exists",
        "!= '<NA>'",
    ];
    let number = ["= 0", "= 1", "= 2", "!= 3", "> 2", "in (0, 4, 1000)", "exists"];
    let truth = ["= true", "exists"];
    let address = ["= 10.1.2.3", "!= 127.0.0.1", "in (192.168.0.9, '::1')", "exists"];
    let network = ["= 10.0.0.0/8", "!= 127.0.0.0/8", "in (192.168.0.0/16, 10.0.0.0/8)"];
    let tests = |ty: FieldType| match ty {
        FieldType::Text => &text[..],
        FieldType::Bool => &truth[..],
        FieldType::Ip => &address[..],
        FieldType::Net => &network[..],
        _ => &number[..],
    };
    let checks: Vec<String> =
        usable.flat_map(|f| tests(f.ty).iter().map(move |test| format!("{} {test}", f.name))).collect();
    select(checks)
}

#[test]
fn an_explanation_tells_what_decided_and_what_was_not_reached() {
    let rules = rules(
        &["proc.name = x or proc.pid >= 1".into()],
        &["m0 and not evt.num = 7 and fd.num = 9 and evt.num = 1".into()],
    );
    let explainer = Explainer::new(&rules.rules[0]).unwrap();
    let event = Picked { ty: 0, tid: 1, fd: 1, number: 0 };
    let (explanation, distance) =
        World::new(0).with(&event, |cx| (explainer.explain(cx), explainer.distance(cx)));
    assert_eq!(distance, 1, "only fd.num stands in the way");
    insta::assert_debug_snapshot!(explanation);
}

#[test]
fn disabled_and_less_urgent_rules_are_left_out() {
    let mut rules = rules(&[], &["evt.num > 0".into(), "evt.num > 0".into(), "evt.num > 0".into()]);
    rules.rules[0].enabled = false;
    rules.rules[1].priority = Priority::Debug;
    let options = EngineOptions { priority: Priority::Notice, matching: Matching::All, ..Default::default() };
    let engine = Engine::build(&rules, options).unwrap();
    let names: Vec<_> = engine.rules().iter().map(|rule| &*rule.rule.name).collect();
    assert_eq!(names, ["rule 2"]);
}

#[test]
fn types_that_no_rule_can_match_are_not_wanted() {
    use lanner_event::types;
    let rules = rules(
        &[],
        &["evt.type in (open, uname) and proc.name = x".into(), "evt.type = kill and evt.num = 0".into()],
    );
    let types = Engine::build(&rules, EngineOptions::default()).unwrap().event_types();
    assert!(types.contains(types::SYSCALL_OPEN_X) && types.contains(types::GENERIC_X));
    assert!(!types.contains(types::SYSCALL_KILL_X) && !types.contains(types::SYSCALL_READ_X));
}

#[test]
fn a_condition_must_be_whole() {
    let set = |condition: &str| RuleSet {
        rules: vec![rule(0, parse(condition).unwrap().into())],
        ..RuleSet::default()
    };
    let error =
        |condition: &str| Engine::build(&set(condition), EngineOptions::default()).unwrap_err().to_string();
    assert_eq!(error("some_macro"), "rule 'rule 0': filter error: unexpected identifier 'some_macro'");
    assert_eq!(error("proc.nme = a"), "rule 'rule 0': filter_check called with nonexistent field proc.nme");
    let mut deep = parse("evt.num = 1").unwrap();
    for _ in 0..600 {
        deep = Expr { span: deep.span, kind: ExprKind::Not(Box::new(deep)) };
    }
    let set = RuleSet { rules: vec![rule(0, deep.into())], ..RuleSet::default() };
    assert!(Engine::build(&set, EngineOptions::default()).unwrap_err().to_string().contains("nested"));
}
