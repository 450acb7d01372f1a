//! What the directory of a file settles, whatever the file's name in it: most files that are opened lie
//! where no rule looks.

use lanner_fields::{Context, Value};
use lanner_machine::FdKind;

use crate::glob::Glob;
use crate::matcher::{AnyOf, Matcher, TextMatcher, TextSet};
use crate::predicate::{Predicate, Test};

/// The directory of a path, with its closing slash, if the path has a name after it.
pub(crate) fn of_path(path: &[u8]) -> Option<&[u8]> {
    let slash = memchr::memrchr(b'/', path)?;
    (slash + 1 < path.len()).then(|| &path[..=slash])
}

/// Whether files of a kind have a directory in the sense of `fd.directory`.
pub(crate) fn has_one(kind: Option<FdKind>) -> bool {
    matches!(kind, None | Some(FdKind::File))
}

impl Predicate {
    /// Its truth for every file in `directory` (with its closing slash) of the kind that the event's has, if the
    /// directory settles it. `left` is the term's value for the event.
    pub(crate) fn in_directory<'a>(
        &'a self,
        directory: &[u8],
        left: &Value<'a>,
        cx: &Context<'a>,
    ) -> Option<bool> {
        let (Some(field), Test::Fits(matcher)) = (self.term.as_field(), &self.test) else { return None };
        match (field.info().name, matcher) {
            ("fd.directory" | "fd.type" | "fd.typechar", _) => Some(self.holds(left, cx)),
            // `fd.nameraw` is asked about only where both names are the same.
            ("fd.name" | "fd.nameraw", Matcher::Exists) => Some(true),
            ("fd.name" | "fd.nameraw", Matcher::Text(text)) => text.in_directory(directory),
            _ => None,
        }
    }
}

/// What follows the directory in a text that begins with it, if that is the name of a file.
fn name_in<'t>(directory: &[u8], text: &'t [u8]) -> Option<&'t [u8]> {
    text.strip_prefix(directory).filter(|name| !name.contains(&b'/'))
}

impl TextMatcher {
    fn in_directory(&self, directory: &[u8]) -> Option<bool> {
        let no = |no: bool| no.then_some(false);
        match self {
            TextMatcher::Equal(wanted) => no(name_in(directory, wanted).is_none()),
            TextMatcher::NotEqual(unwanted) => name_in(directory, unwanted).is_none().then_some(true),
            TextMatcher::In(set) => is_in(set, directory),
            TextMatcher::StartsWith(start) => begins(start, directory),
            TextMatcher::Contains(finder) => contains(finder.needle(), directory),
            TextMatcher::EndsWith(end) => ends(end, directory),
            TextMatcher::Glob(glob) => no(glob.begins_otherwise(directory)),
            TextMatcher::Under(paths) => paths.covers_in(directory),
            TextMatcher::AnyOf(any) => any.in_directory(directory),
            _ => None,
        }
    }
}

/// Whether all files in a directory begin so.
fn begins(start: &[u8], directory: &[u8]) -> Option<bool> {
    if directory.starts_with(start) {
        return Some(true);
    }
    name_in(directory, start).is_none().then_some(false)
}

/// Whether all files in a directory end so; never known to be true.
fn ends(end: &[u8], directory: &[u8]) -> Option<bool> {
    let above = memchr::memrchr(b'/', end).map_or(&end[..0], |slash| &end[..=slash]);
    (directory.len() >= above.len() && !directory.ends_with(above)).then_some(false)
}

/// Whether all files in a directory have such a part; one that ends in a slash can only lie in the directory.
fn contains(part: &[u8], directory: &[u8]) -> Option<bool> {
    match memchr::memmem::find(directory, part) {
        Some(_) => Some(true),
        None => part.ends_with(b"/").then_some(false),
    }
}

fn is_in(set: &TextSet, directory: &[u8]) -> Option<bool> {
    (!set.iter().any(|item| name_in(directory, item).is_some())).then_some(false)
}

impl AnyOf {
    fn in_directory(&self, directory: &[u8]) -> Option<bool> {
        self.settle(
            |set| is_in(set, directory),
            |start| begins(start, directory),
            |end| ends(&end, directory),
            |part| contains(part, directory),
        )
    }
}

impl Glob {
    /// Whether nothing that begins with `text` fits.
    fn begins_otherwise(&self, text: &[u8]) -> bool {
        self.literal_start().zip(text).any(|(wanted, byte)| wanted != *byte)
    }
}

#[cfg(test)]
mod tests {
    use lanner_filter::{ExprKind, parse};
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn matcher(test: &str) -> TextMatcher {
        let expr = parse(&format!("fd.name {test}")).unwrap();
        assert!(matches!(expr.kind, ExprKind::Check(_)));
        match Predicate::new("syscall", &expr).unwrap().test {
            Test::Fits(Matcher::Text(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn directories_settle_what_they_can() {
        for (test, directory, expected) in [
            ("= /etc/shadow", "/etc/", None),
            ("= /etc/shadow", "/usr/", Some(false)),
            ("!= /etc/shadow", "/usr/", Some(true)),
            ("in (/etc/shadow, /etc/pam.d/x)", "/etc/", None),
            ("in (/etc/pam.d/x)", "/etc/", Some(false)),
            ("startswith /etc", "/etc/", Some(true)),
            ("startswith /etc/pam.d/", "/etc/", Some(false)),
            ("startswith /etc/pa", "/etc/", None),
            ("startswith /root", "/etc/", Some(false)),
            ("contains ssh/", "/home/me/.ssh/", Some(true)),
            ("contains id_rsa", "/home/me/.ssh/", None),
            ("contains '../'", "/etc/", Some(false)),
            ("endswith .pem", "/etc/", None),
            ("endswith .ssh/config", "/home/.ssh/", None),
            ("endswith .ssh/config", "/home/some/", Some(false)),
            ("endswith /a/long/one", "/one/", None),
            ("glob /proc/*/environ", "/etc/", Some(false)),
            ("glob /proc/*/environ", "/proc/1/", None),
            ("pmatch (/etc)", "/etc/ssl/", Some(true)),
            ("pmatch (/etc/ssl)", "/etc/", None),
            ("pmatch (/etc/ssl/x)", "/etc/", Some(false)),
            ("pmatch (/etc/ssl)", "/usr/", Some(false)),
            ("regex .*", "/etc/", None),
        ] {
            assert_eq!(matcher(test).in_directory(directory.as_bytes()), expected, "{test} in {directory}");
        }
    }

    fn path() -> impl Strategy<Value = String> {
        let part = select(vec!["a", "b", "ab", ".", "*", ""]);
        proptest::collection::vec(part, 1..5).prop_map(|parts| format!("/{}", parts.join("/")))
    }

    proptest! {
        /// What a directory settles is what holds for every file in it.
        #[test]
        fn directories_settle_for_all_their_files(
            literal in path(),
            operator in select(vec!["=", "!=", "startswith", "endswith", "contains", "glob", "pmatch", "in"]),
            skip in 0..4usize,
            file in path(),
        ) {
            let literal = literal.get(skip..).filter(|rest| !rest.is_empty()).unwrap_or("/");
            let test = match operator {
                "in" | "pmatch" => format!("{operator} ('{literal}', '/x/y')"),
                _ => format!("{operator} '{literal}'"),
            };
            if let Some(directory) = of_path(file.as_bytes()) {
                let matcher = matcher(&test);
                if let Some(settled) = matcher.in_directory(directory) {
                    prop_assert_eq!(settled, matcher.matches(file.as_bytes()), "{} of {}", test, file);
                }
            }
        }
    }
}
