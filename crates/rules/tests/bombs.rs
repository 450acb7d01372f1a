//! Rule files made to hurt: each is refused or read in bounded time and memory, and what is said names a place.

use std::time::{Duration, Instant};

use lanner_engine::Catalog;
use lanner_rules::{LoadOptions, SourceText, load};

const MEGABYTE: usize = 1 << 20;

/// Far more than any of them takes without optimisation, far less than one that is not bounded would.
const LONGEST: Duration = Duration::from_secs(30);

/// Of the whole test, so that one file's memory shows.
const MOST_MEMORY: usize = 1 << 30;

fn rule(condition: &str) -> String {
    format!("- rule: r\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n")
}

/// Ten times the item above, `levels` times.
fn tenfold(first: &str, levels: usize, level: impl Fn(usize, usize) -> String) -> String {
    (1..levels).fold(first.to_owned(), |text, n| text + &level(n, n - 1))
}

fn repeated(text: &str, count: usize, with: &str) -> String {
    vec![text; count].join(with)
}

fn bombs() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let parentheses = format!("{}evt.num=1{}", "(".repeat(100_000), ")".repeat(100_000));
    let transformers = format!("{}proc.name{} = a", "tolower(".repeat(50_000), ")".repeat(50_000));
    let aliases = tenfold("- &a0 [x, x]\n", 60, |n, before| format!("- &a{n} [*a{before}, *a{before}]\n"));
    let macros = tenfold("- macro: m0\n  condition: evt.num=1\n", 12, |n, before| {
        format!("- macro: m{n}\n  condition: {}\n", repeated(&format!("m{before}"), 10, " or "))
    });
    let chain = tenfold("- macro: m0\n  condition: evt.num=1\n", 3000, |n, before| {
        format!("- macro: m{n}\n  condition: not m{before}\n")
    });
    let items: Vec<String> = (0..500_000).map(|n| format!("item{n}")).collect();
    let long_list = format!("- list: l\n  items: [{}]\n{}", items.join(", "), rule("proc.name in (l)"));
    let noise = (0..10 * MEGABYTE as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
    let not_utf8 =
        [b"- rule: r\n  desc: d\xff\xfe\n".as_slice(), &rule("evt.num = 1").as_bytes()[20..]].concat();
    let twice = rule("evt.num = 1") + "  desc: e\n";
    vec![
        ("parentheses", rule(&parentheses).into(), "exceeded max depth limit of 1000"),
        ("transformers", rule(&transformers).into(), "exceeded max depth limit of 1000"),
        ("brackets", format!("- list: a\n  items: {}", "[".repeat(MEGABYTE)).into(), "nested too deeply"),
        ("maps", "{a: ".repeat(500_000).into(), "nested too deeply"),
        ("sequences", "- ".repeat(500_000).into(), "nested too deeply"),
        ("aliases", aliases.into(), "aliases stand for more than a million nodes"),
        ("macros of macros", (macros + &rule("m11")).into(), "grows too large once its macros are put in"),
        ("a chain of macros", (chain + &rule("m2999")).into(), "grows too large once its macros are put in"),
        ("a long list", long_list.into(), "grows beyond 4 MiB once its lists are put in"),
        (
            "a long text",
            format!("- rule: r\n  desc: {}\n", "x".repeat(10 * MEGABYTE)).into(),
            "'condition' is missing",
        ),
        ("open brackets", "- a: [b\n".repeat(10 * MEGABYTE / 8).into(), "not YAML"),
        ("noise", noise.collect(), "not UTF-8"),
        ("nothing but NUL", vec![0; 10 * MEGABYTE], "Rules content is not yaml"),
        ("bad UTF-8", not_utf8, "not UTF-8; the byte here was replaced"),
        ("a key twice", twice.into(), "Key 'desc' is given twice in one item"),
    ]
}

/// The most memory that this process has had, where the kernel tells.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<usize>().ok()? * 1024)
}

#[test]
fn bombs_are_refused_in_bounded_time_and_memory() {
    let catalog = Catalog::new(["syscall"]);
    let options = LoadOptions { all_errors: true, ..LoadOptions::default() };
    for (name, bytes, wanted) in bombs() {
        let start = Instant::now();
        let loaded = load(&[SourceText::from_bytes("bomb.yaml", bytes)], &catalog, &options);
        let said = loaded.report.human_text();
        let took = start.elapsed();
        let shown: String = said.chars().take(500).collect();
        assert!(said.contains(wanted) && said.contains("--> bomb.yaml:"), "{name}: {shown}");
        assert!(said.len() < 64 << 10, "{name} is answered at length: {} bytes", said.len());
        assert!(took < LONGEST, "{name} took {took:?}");
        if let Some(peak) = peak() {
            assert!(peak < MOST_MEMORY, "{name} took {} MB", peak >> 20);
        }
    }
}
