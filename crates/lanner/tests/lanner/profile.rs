//! What rules cost.

use insta::assert_snapshot;
use serde_json::Value;

use crate::stage::{RULES, Stage};

/// Two comparisons, of which the first decides nearly always, and a rule for no event of the capture.
const DEAR: &str = "\
- rule: Shadow named
  desc: A program was told of the shadow file.
  condition: evt.type in (open, openat) and proc.cmdline contains shadow
  output: shadow
  priority: INFO

- rule: Never
  desc: There is no such event.
  condition: evt.type = mount
  output: mounted
  priority: INFO
";

#[test]
fn the_dearest_is_told_with_what_makes_it_cheaper() {
    let stage = Stage::new().with("r.yaml", DEAR).with_capture();
    let run = stage.run(&["rules", "profile", "c.scap", "--rules", "r.yaml"]);
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r" +[0-9.]+ [µm]s", " TIME");
    settings.bind(|| assert_snapshot!("profile", run.shown()));
}

#[test]
fn programs_get_everything() {
    let stage = Stage::new().with("r.yaml", RULES).with_capture();
    let run = stage.run(&["rules", "profile", "c.scap", "--rules", "r.yaml", "--json", "--all-matches"]);
    let mut profile: Value = serde_json::from_str(&run.out).unwrap();
    // The order is that of times, which differ from run to run.
    for (part, key) in [("rules", "rule"), ("comparisons", "comparison")] {
        let costs = profile[part].as_array_mut().unwrap();
        costs.sort_by_key(|cost| cost[key].to_string());
        for cost in costs {
            assert!(cost["work"]["nanoseconds"].take().is_u64());
        }
    }
    assert!(profile["nanoseconds"].take().is_u64());
    assert_snapshot!("profile-json", format!("{profile:#}"));
}

#[test]
fn a_capture_or_this_host_is_wanted() {
    let run = Stage::new().run(&["rules", "profile"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("<FILE>"), "{}", run.err);
    let run = Stage::new().run(&["rules", "profile", "none.scap"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.contains("none.scap"), "{}", run.err);
}
