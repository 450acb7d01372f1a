//! From texts to rules.

use std::collections::HashSet;
use std::sync::Arc;

use crate::catalog::FieldCatalog;
use crate::collect::Collector;
use crate::compile::compile;
use crate::describe::Definitions;
use crate::options::LoadOptions;
use crate::read::Reader;
use crate::report::{Code, Diagnostic, ErrorCode, FileReport, Report};
use crate::rule::RuleSet;
use crate::source::SourceText;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The rules; those of files with errors may be missing.
    pub rules: RuleSet,
    /// What was found.
    pub report: Report,
    /// The rules as they were written, for listings.
    pub definitions: Definitions,
}

/// Loads files in their order, later ones seeing and changing what earlier ones define.
///
/// As with Falco, each file is followed by a compilation of everything so far, the findings of which are in
/// that file's report; and a file that has an error leaves behind what stands before the error.
pub fn load(files: &[SourceText], catalog: &dyn FieldCatalog, options: &LoadOptions) -> Loaded {
    let mut loaded = Loaded::default();
    let mut collector = Collector::new(catalog, options.engine_version);
    for source in files {
        let name: Arc<str> = source.name.as_str().into();
        let text: Arc<str> = source.text.as_str().into();
        let mut report = FileReport { name: source.name.clone(), ..FileReport::default() };
        let mut reader = Reader {
            file: Arc::clone(&name),
            source: Arc::clone(&text),
            report: &mut report,
            collector: &mut collector,
            go_on: options.all_errors,
        };
        let readable = reader.read(source);
        collector.unreadable |=
            report.errors.iter().any(|error| error.code == Code::Error(ErrorCode::YamlParse));
        if readable || options.all_errors {
            let rules = compile(&collector, options, &mut report);
            if report.successful() {
                loaded.rules = rules;
                loaded.definitions = Definitions::new(&collector);
            }
            // What an earlier file's report has is said once.
            if options.all_errors {
                let earlier =
                    loaded.report.files.iter().flat_map(|file| file.errors.iter().chain(&file.warnings));
                let known: HashSet<&Diagnostic> = earlier.collect();
                report.errors.retain(|error| !known.contains(error));
                report.warnings.retain(|warning| !known.contains(warning));
            }
        }
        loaded.report.texts.push((name, text));
        loaded.report.files.push(report);
    }
    loaded
}
