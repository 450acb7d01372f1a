//! Rules that name a server by its domain name.

use std::net::{TcpListener, TcpStream};

use crate::watch::{Turn, Watch};

#[test]
fn a_connection_to_a_name_is_known_by_its_address() {
    let Some(_turn) = Turn::take() else { return };
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    let rule = |name: &str, domain: &str| {
        format!(
            "- rule: {name}\n  desc: A connection to a name.\n  condition: evt.type = connect and fd.sip.name = \
             {domain}\n  output: {name} (by=%proc.pid to=%fd.sip.name)\n  priority: NOTICE\n"
        )
    };
    // No one has the second name.
    std::fs::write(&rules, rule("Named", "localhost") + &rule("Unnamed", "name.invalid")).unwrap();
    let mut watch = Watch::start(&format!("rules_files: [{}]\nrule_matching: all", rules.display()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let by = format!("by={} to=localhost", std::process::id());
    // The name is looked up from the start on, beside everything else.
    for _ in 0..50 {
        TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let line = watch.alert(&[&by]);
    assert!(line.contains("Named"), "{line}");
    assert!(watch.alerts_with(&["Unnamed"]).is_empty());
    watch.stop();
}
