//! Shell patterns, as `fnmatch(3)` without flags reads them in the C locale: `*` and `?` stand for
//! any bytes, slashes too.

/// A pattern made ready.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Glob {
    /// `None` for a pattern that nothing fits (one that ends in a lone backslash).
    items: Option<Box<[Item]>>,
    fold: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Item {
    Byte(u8),
    Any,
    Star,
    Set(Box<[u64; 4]>),
}

impl Glob {
    /// `fold`: upper and lower case are alike.
    pub(crate) fn new(pattern: &[u8], fold: bool) -> Glob {
        let mut items = Vec::with_capacity(pattern.len());
        let mut rest = pattern;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            let item = match byte {
                b'*' if items.last() == Some(&Item::Star) => continue,
                b'*' => Item::Star,
                b'?' => Item::Any,
                b'\\' => match rest.split_first() {
                    Some((&escaped, tail)) => {
                        rest = tail;
                        Item::Byte(folded(escaped, fold))
                    }
                    None => return Glob { items: None, fold },
                },
                b'[' => match set(rest, fold) {
                    Some((set, tail)) => {
                        rest = tail;
                        Item::Set(Box::new(set))
                    }
                    None => Item::Byte(b'['),
                },
                _ => Item::Byte(folded(byte, fold)),
            };
            items.push(item);
        }
        Glob { items: Some(items.into()), fold }
    }

    /// The bytes, as they stand, that whatever fits begins with.
    pub(crate) fn literal_start(&self) -> impl Iterator<Item = u8> {
        let items = self.items.as_deref().unwrap_or_default().iter();
        items.map_while(|item| match item {
            Item::Byte(byte) if !self.fold => Some(*byte),
            _ => None,
        })
    }

    /// What every text that fits has at its start and at its end; `None` if that can't be told.
    pub(crate) fn literals(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let items = self.items.as_ref().filter(|_| !self.fold)?;
        let byte = |item: &Item| if let Item::Byte(byte) = item { Some(*byte) } else { None };
        let start = items.iter().map_while(byte).collect();
        let mut end: Vec<u8> = items.iter().rev().map_while(byte).collect();
        end.reverse();
        Some((start, end))
    }

    /// Whether all of `text` fits.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let Some(items) = &self.items else { return false };
        let (mut item, mut at) = (0, 0);
        // Where to go on if what follows the last star doesn't fit: one more byte into the star.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match items.get(item) {
                Some(Item::Star) => {
                    item += 1;
                    retry = Some((item, at));
                    continue;
                }
                Some(wanted) if text.get(at).is_some_and(|byte| wanted.takes(*byte, self.fold)) => {
                    item += 1;
                    at += 1;
                    continue;
                }
                None if at == text.len() => return true,
                _ => {}
            }
            match retry {
                Some((after, from)) if from < text.len() => {
                    item = after;
                    at = from + 1;
                    retry = Some((after, at));
                }
                _ => return false,
            }
        }
    }
}

impl Item {
    fn takes(&self, byte: u8, fold: bool) -> bool {
        match self {
            Item::Byte(wanted) => *wanted == folded(byte, fold),
            Item::Any => true,
            Item::Star => false,
            Item::Set(set) => has(set, folded(byte, fold)),
        }
    }
}

fn folded(byte: u8, fold: bool) -> u8 {
    if fold { byte.to_ascii_lowercase() } else { byte }
}

fn has(set: &[u64; 4], byte: u8) -> bool {
    set[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
}

fn add(set: &mut [u64; 4], byte: u8) {
    set[usize::from(byte >> 6)] |= 1 << (byte & 63);
}

/// Reads what follows a `[`: the bytes that fit and what stands behind the `]`. `None` if there is
/// no `]`; the bracket then stands for itself.
fn set(pattern: &[u8], fold: bool) -> Option<([u64; 4], &[u8])> {
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let mut rest = &pattern[usize::from(negated)..];
    let mut set = [0; 4];
    let mut first = true;
    loop {
        let (&byte, tail) = rest.split_first()?;
        if byte == b']' && !first {
            rest = tail;
            break;
        }
        first = false;
        if let Some(tail) = class(rest, &mut set) {
            rest = tail;
            continue;
        }
        let (low, tail) = member(rest)?;
        rest = tail;
        let high = match rest {
            [b'-', next, ..] if *next != b']' => {
                let (high, tail) = member(&rest[1..])?;
                rest = tail;
                high
            }
            _ => low,
        };
        (low..=high).for_each(|byte| add(&mut set, byte));
    }
    if fold {
        (b'A'..=b'Z').filter(|upper| has(&set, *upper)).collect::<Vec<_>>().into_iter().for_each(|upper| {
            add(&mut set, upper.to_ascii_lowercase());
        });
    }
    if negated {
        set.iter_mut().for_each(|word| *word = !*word);
    }
    Some((set, rest))
}

/// One byte of a set, perhaps written `\x`, `[.x.]` or `[=x=]`.
fn member(rest: &[u8]) -> Option<(u8, &[u8])> {
    match rest {
        [b'\\', escaped, tail @ ..] => Some((*escaped, tail)),
        [b'[', b'.', byte, b'.', b']', tail @ ..] | [b'[', b'=', byte, b'=', b']', tail @ ..] => {
            Some((*byte, tail))
        }
        [byte, tail @ ..] => Some((*byte, tail)),
        [] => None,
    }
}

/// Reads `[:name:]`, if one begins here.
fn class<'p>(rest: &'p [u8], set: &mut [u64; 4]) -> Option<&'p [u8]> {
    let inner = rest.strip_prefix(b"[:")?;
    let end = inner.windows(2).position(|pair| pair == b":]")?;
    let belongs: fn(&u8) -> bool = match &inner[..end] {
        b"alpha" => u8::is_ascii_alphabetic,
        b"digit" => u8::is_ascii_digit,
        b"alnum" => u8::is_ascii_alphanumeric,
        b"upper" => u8::is_ascii_uppercase,
        b"lower" => u8::is_ascii_lowercase,
        b"punct" => u8::is_ascii_punctuation,
        b"cntrl" => u8::is_ascii_control,
        b"graph" => u8::is_ascii_graphic,
        b"xdigit" => u8::is_ascii_hexdigit,
        b"print" => |byte| byte.is_ascii_graphic() || *byte == b' ',
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"space" => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
        _ => return None,
    };
    (0..=127).filter(belongs).for_each(|byte| add(set, byte));
    Some(&inner[end + 2..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_fnmatch_says() {
        let cases: &[(&str, &str, bool)] = &[
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("/etc/*", "/etc/ssh/sshd_config", true),
            ("/etc/?asswd", "/etc/passwd", true),
            ("/etc/?asswd", "/etc/asswd", false),
            ("*.pem", "a.pem", true),
            ("*.pem", "a.pem.bak", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("**a**", "bab", true),
            ("[abc]x", "bx", true),
            ("[!abc]x", "bx", false),
            ("[^abc]x", "dx", true),
            ("[a-c]x", "bx", true),
            ("[]]x", "]x", true),
            ("[a-]x", "-x", true),
            ("[[:digit:]]x", "5x", true),
            ("[[:digit:]_]x", "_x", true),
            ("[x", "[x", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[\\]]", "]", true),
            ("a\\", "a\\", false),
            (".*", ".bashrc", true),
            ("*rc", ".bashrc", true),
            ("?", "é", false),
            ("??", "é", true),
            ("A", "a", false),
        ];
        for (pattern, text, expected) in cases {
            let glob = Glob::new(pattern.as_bytes(), false);
            assert_eq!(glob.matches(text.as_bytes()), *expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn case_may_be_folded() {
        for (pattern, text) in [("ABC", "abc"), ("a[B-D]e", "Ace"), ("a[b-d]e", "ACE"), ("*.PEM", "x.pem")] {
            assert!(Glob::new(pattern.as_bytes(), true).matches(text.as_bytes()), "{pattern} on {text}");
        }
    }
}
