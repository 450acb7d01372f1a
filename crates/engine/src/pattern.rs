//! Regular expressions as rule files have them (POSIX ERE, read by RE2), over whole values.

use std::borrow::Cow;

use regex::bytes::Regex;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(pattern: &[u8]) -> Result<Pattern, String> {
        let text = std::str::from_utf8(pattern).map_err(|_| "invalid UTF-8".to_owned())?;
        // `^` and `$` are ends of lines to RE2's POSIX syntax.
        let whole = format!(r"\A(?m:{})\z", translated(text));
        let compiled = regex::bytes::RegexBuilder::new(&whole).size_limit(8 << 20).build();
        compiled.map(Pattern).map_err(|error| reason(&error))
    }

    /// Whether all of `text` fits; bytes that aren't UTF-8 count as U+FFFD.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        match String::from_utf8_lossy(text) {
            Cow::Borrowed(_) => self.0.is_match(text),
            Cow::Owned(clean) => self.0.is_match(clean.as_bytes()),
        }
    }
}

/// The last line of a regex error says what; those before draw the pattern.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// Writes the pattern such that the regex crate reads it as RE2 would: a brace that begins no
/// repetition is a plain one, and within brackets so are `[` and doubled `&`, `~`.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            '[' if in_class && !rest.starts_with("[:") => {
                out.push('\\');
                1
            }
            '[' if in_class => rest.find(":]").map_or(1, |end| end + 2),
            '[' => {
                in_class = true;
                class_start(rest)
            }
            ']' if in_class => {
                in_class = false;
                1
            }
            '&' | '~' if in_class => {
                out.push('\\');
                1
            }
            '{' if !in_class && !is_repetition(rest) => {
                out.push('\\');
                1
            }
            _ => first.len_utf8(),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// Length of the opening bracket with a `^` and a `]` that stands for itself.
fn class_start(rest: &str) -> usize {
    let negated = usize::from(rest[1..].starts_with('^'));
    1 + negated + usize::from(rest[1 + negated..].starts_with(']'))
}

/// `{2}`, `{2,}`, `{2,3}`
fn is_repetition(rest: &str) -> bool {
    let Some(inner) = rest[1..].split('}').next().filter(|inner| inner.len() + 1 < rest.len()) else {
        return false;
    };
    let (low, high) = inner.split_once(',').unwrap_or((inner, ""));
    !low.is_empty() && [low, high].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_values_fit() {
        for (pattern, text, expected) in [
            ("a|b", "b", true),
            ("a|bc", "b", false),
            ("a", "xa", false),
            (".*a", "xa", true),
            ("^a$", "a", true),
            ("a.b", "a\nb", false),
            ("a{", "a{", true),
            ("a{2}", "aa", true),
            ("{x}", "{x}", true),
            ("[[]x", "[x", true),
            ("[]a]x", "]x", true),
            ("[^]a]x", "bx", true),
            ("[[:digit:]]+", "123", true),
            ("[a&&b]+", "&a", true),
            ("[&~-]+", "-&~", true),
            ("\\[a\\]", "[a]", true),
            ("é+", "éé", true),
            ("", "", true),
        ] {
            assert_eq!(
                Pattern::new(pattern.as_bytes()).unwrap().matches(text.as_bytes()),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_count_as_replacement_characters() {
        assert!(Pattern::new("a.b".as_bytes()).unwrap().matches(b"a\xffb"));
        assert!(Pattern::new("a\u{fffd}b".as_bytes()).unwrap().matches(b"a\xffb"));
    }

    #[test]
    fn bad_patterns_say_why() {
        assert_eq!(Pattern::new(b"(a").unwrap_err(), "unclosed group");
        assert_eq!(Pattern::new(b"\xff").unwrap_err(), "invalid UTF-8");
        assert!(Pattern::new(b"((((a{1000}){1000}){1000}){1000})").is_err());
    }
}
