//! What the directory of a file settles, whatever the file's name in it: most files that are opened lie
//! where no rule looks.

use lanner_fields::{Context, NamedFile, Value, has_double_slash};
use lanner_machine::FdKind;

use crate::glob::Glob;
use crate::matcher::{AnyOf, Matcher, TextMatcher, TextSet};
use crate::predicate::{Predicate, Test};

/// A directory as files of one kind in it are named: `name` is what their paths begin with, with its closing slash,
/// `asked` what they were asked for by begins with, if that is something else; it is empty for what counts from a
/// directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Directory<'d> {
    pub(crate) kind: Option<FdKind>,
    pub(crate) name: &'d [u8],
    pub(crate) asked: Option<&'d [u8]>,
}

impl<'d> Directory<'d> {
    /// That of a file, if the file's kind is one that lies in a directory and the file has the same name in it as in
    /// what it was asked for by.
    pub(crate) fn of(file: &NamedFile<'d>) -> Option<Directory<'d>> {
        if !matches!(file.kind, None | Some(FdKind::File | FdKind::Directory)) {
            return None;
        }
        let (name, in_it) = file.name.split_at(memchr::memrchr(b'/', file.name)? + 1);
        let asked = match file.asked {
            Some(asked) => {
                Some(asked.strip_suffix(in_it).filter(|dir| dir.last().is_none_or(|b| *b == b'/'))?)
            }
            None => None,
        };
        (!in_it.is_empty()).then_some(Directory { kind: file.kind, name, asked })
    }

    /// What `fd.nameraw` begins with for all files.
    fn shown(self) -> Option<&'d [u8]> {
        let asked = self.asked.unwrap_or(self.name);
        (!has_double_slash(asked)).then_some(asked)
    }
}

impl Predicate {
    /// Its truth for every file in `directory` of the kind that the event's has and opened for the same, if the directory
    /// settles it. `left` is the term's value for the event.
    pub(crate) fn in_directory<'a>(
        &'a self,
        directory: Directory<'_>,
        left: &Value<'a>,
        cx: &Context<'a>,
    ) -> Option<bool> {
        let (Some(field), Test::Fits(matcher)) = (self.term.as_field(), &self.test) else { return None };
        let field = match field.info().name {
            // That of a directory is itself.
            "fd.directory" if directory.kind == Some(FdKind::Directory) => "fd.name",
            field => field,
        };
        match (field, matcher) {
            ("fd.directory" | "fd.type" | "fd.typechar" | "evt.is_open_read" | "evt.is_open_write", _) => {
                Some(self.holds(left, cx))
            }
            ("fd.name" | "fd.nameraw", Matcher::Exists) => Some(true),
            ("fd.name", Matcher::Text(text)) => text.in_directory(directory.name),
            ("fd.nameraw", Matcher::Text(text)) => text.in_directory(directory.shown()?),
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
            // What is asked for may count from a directory.
            ("contains '../'", "", Some(false)),
            ("contains '../'", "lib/../", Some(true)),
            ("startswith /etc/", "", Some(false)),
            ("startswith lib", "lib/", Some(true)),
            ("= passwd", "", None),
            ("pmatch (/etc/ssl)", "", Some(false)),
            ("pmatch (/etc)", "", None),
        ] {
            assert_eq!(matcher(test).in_directory(directory.as_bytes()), expected, "{test} in {directory}");
        }
    }

    fn path() -> impl Strategy<Value = String> {
        let part = select(vec!["a", "b", "ab", ".", "*", ""]);
        let parts = proptest::collection::vec(part, 1..5);
        (parts, select(vec!["/", "", "../"])).prop_map(|(parts, start)| format!("{start}{}", parts.join("/")))
    }

    #[test]
    fn a_file_lies_in_one_directory_by_either_name() {
        let of = |name: &'static str, asked: Option<&'static str>, kind| {
            let file = NamedFile { kind, name: name.as_bytes(), asked: asked.map(str::as_bytes), access: 0 };
            Directory::of(&file).map(|d| (d.name, d.asked, d.shown()))
        };
        let file = Some(FdKind::File);
        let same = |dir: &'static str| Some((dir.as_bytes(), None, Some(dir.as_bytes())));
        let told = |dir: &'static str, asked: &'static str| {
            Some((dir.as_bytes(), Some(asked.as_bytes()), Some(asked.as_bytes())))
        };
        assert_eq!(of("/etc/passwd", None, file), same("/etc/"));
        assert_eq!(of("/etc/passwd", None, None), same("/etc/"));
        assert_eq!(of("/etc/passwd", Some("passwd"), file), told("/etc/", ""));
        assert_eq!(of("/etc/passwd", Some("../etc/passwd"), file), told("/etc/", "../etc/"));
        let (name, asked) = (&b"/etc/"[..], Some(&b"/etc//"[..]));
        assert_eq!(of("/etc/passwd", Some("/etc//passwd"), file), Some((name, asked, None)));
        for (name, asked) in [("/etc", Some("/etc/.")), ("/etc/passwd", Some("wd")), ("/", None), ("x", None)]
        {
            assert_eq!(of(name, asked, file), None, "{name} {asked:?}");
        }
        assert_eq!(of("/etc/ssl", None, Some(FdKind::Directory)), same("/etc/"));
        assert_eq!(of("/etc/ssl", None, Some(FdKind::Fifo)), None);
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
            let (directory, name) = file.split_at(file.rfind('/').map_or(0, |slash| slash + 1));
            if !name.is_empty() {
                let matcher = matcher(&test);
                if let Some(settled) = matcher.in_directory(directory.as_bytes()) {
                    prop_assert_eq!(settled, matcher.matches(file.as_bytes()), "{} of {}", test, file);
                }
            }
        }
    }
}
