//! What a person is told of a broken rule file: one file of `messages/` each, and what is said of it in
//! `snapshots/`. The fields are those of the engine.

use std::fs;
use std::path::Path;

use lanner_rules::{LoadOptions, SourceText, load};

#[test]
fn messages_help() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 40, "messages are missing from {}", folder.display());
    let catalog = lanner_engine::Catalog::new(["syscall", "k8s_audit"]);
    let options = LoadOptions { all_errors: true, ..LoadOptions::default() };
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let source = SourceText::from_bytes(format!("{name}.yaml"), fs::read(&path).unwrap());
        let loaded = load(&[source], &catalog, &options);
        let said = loaded.report.human_text();
        assert!(said.contains("-->"), "{name} is found right:\n{said}");
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, said);
        });
    }
}
