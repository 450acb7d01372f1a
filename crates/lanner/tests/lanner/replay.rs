//! A capture that the test makes, replayed.

use insta::assert_snapshot;

use crate::stage::{RULES, Stage};

fn stage() -> Stage {
    Stage::new().with("r.yaml", RULES).with_capture()
}

#[test]
fn text_alerts_and_a_summary() {
    assert_snapshot!("replay-text", stage().run(&["replay", "c.scap", "--rules", "r.yaml"]).shown());
}

#[test]
fn json_alerts_and_the_summary_out_of_their_way() {
    let run = stage().run(&["replay", "c.scap", "--rules", "r.yaml", "--json"]);
    for line in run.out.lines() {
        let alert: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(alert["hostname"], "stage");
    }
    assert_snapshot!("replay-json", run.shown());
}

#[test]
fn all_matches_and_less_urgent_rules_left_out() {
    let stage = stage();
    let all = stage.run(&["replay", "c.scap", "--rules", "r.yaml", "--all-matches"]);
    assert!(all.out.ends_with("events 2, alerts 3, lost 0\n"), "{}", all.out);
    let urgent = stage.run(&["replay", "c.scap", "--rules", "r.yaml", "--priority", "warning"]);
    assert!(urgent.out.ends_with("events 2, alerts 1, lost 0\n"), "{}", urgent.out);
}

#[test]
fn a_cut_capture_tells_what_was_read_and_then_where_it_ends() {
    let stage = stage();
    let bytes = std::fs::read(stage.path("c.scap")).unwrap();
    std::fs::write(stage.path("c.scap"), &bytes[..bytes.len() - 10]).unwrap();
    assert_snapshot!("replay-cut", stage.run(&["replay", "c.scap", "--rules", "r.yaml"]).shown());
}
