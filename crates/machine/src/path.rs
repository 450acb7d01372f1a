//! Paths as calls name them, made absolute and cleaned the way Falco does.

/// Longest path that is put together; beyond it stands [`TOO_LONG`].
const MAX: usize = 1024;

/// What stands for a path that is too long to follow.
const TOO_LONG: &[u8] = b"/DIR_TOO_LONG/FILENAME_TOO_LONG";

/// Puts `path`, relative to `dir`, into `out` without `.`, `..`, double and closing slashes. `dir` is taken
/// as it stands; an absolute or empty `path` makes it irrelevant.
pub fn join(dir: &[u8], path: &[u8], out: &mut Vec<u8>) {
    join_to([dir, b""], path, out);
}

/// Whether a path joined to a directory is the path itself.
pub fn stays(dir: &[u8], path: &[u8]) -> bool {
    becomes(dir.len(), path) == Becomes::Itself
}

/// What a path becomes when it is joined to a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Becomes {
    /// It stays what it is.
    Itself,
    /// It is put behind the directory as it stands.
    End,
    /// It is cleaned, or too long.
    Other,
}

/// What a path becomes, told without looking at the directory but for how long it is.
pub(crate) fn becomes(dir: usize, path: &[u8]) -> Becomes {
    match path.first() {
        _ if dir + path.len() >= MAX || !is_plain(path) => Becomes::Other,
        Some(b'/') => Becomes::Itself,
        Some(b'.') => Becomes::Other,
        _ => Becomes::End,
    }
}

/// The same as [`join`] with the directory in two pieces.
pub(crate) fn join_to(dir: [&[u8]; 2], path: &[u8], out: &mut Vec<u8>) {
    out.clear();
    if dir[0].len() + dir[1].len() + path.len() + 1 > MAX {
        return out.extend_from_slice(TOO_LONG);
    }
    if path.first() == Some(&b'/') && is_plain(path) {
        return out.extend_from_slice(path);
    }
    let relative = path.first().is_some_and(|&b| b != b'/');
    if relative {
        out.extend_from_slice(dir[0]);
        out.extend_from_slice(dir[1]);
    }
    if relative && path.first() != Some(&b'.') && is_plain(path) {
        return out.extend_from_slice(path);
    }
    let no_base = out.is_empty();
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        let (name, after) = rest.split_at(memchr::memchr(b'/', rest).unwrap_or(rest.len()));
        if *first == b'/' {
            // A slash that follows a slash, or what was left of a base directory, says nothing.
            let redundant = if out.is_empty() { !no_base } else { out.ends_with(b"/") };
            if !redundant {
                out.push(b'/');
            }
            rest = tail;
        } else if out.is_empty() || out.ends_with(b"/") {
            match name {
                b"." => rest = after.strip_prefix(b"/").unwrap_or(after),
                b".." => {
                    to_parent(out);
                    rest = after.strip_prefix(b"/").unwrap_or(after);
                }
                _ => {
                    out.extend_from_slice(name);
                    rest = after;
                }
            }
        } else {
            out.extend_from_slice(name);
            rest = after;
        }
    }
    if out.len() > 1 && out.ends_with(b"/") {
        out.pop();
    }
}

/// Whether a path has nothing in it that would be cleaned away, its start left out: no name that begins with a dot, no
/// double or closing slash. Nearly all are so. It looks at every byte, which is quicker than to stop early.
fn is_plain(path: &[u8]) -> bool {
    let (Some((_, rest)), Some(last)) = (path.split_first(), path.last()) else { return false };
    let unclean = |(a, b): (&u8, &u8)| (*a == b'/') & ((*b == b'/') | (*b == b'.'));
    *last != b'/' && !path.iter().zip(rest).fold(false, |found, pair| found | unclean(pair))
}

/// Cuts the last name off a path that ends in a slash; the root stays.
fn to_parent(out: &mut Vec<u8>) {
    if out.len() > 1 {
        out.pop();
        out.truncate(memchr::memrchr(b'/', out).map_or(0, |at| at + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(dir: &str, path: &str) -> String {
        let mut out = Vec::new();
        join(dir.as_bytes(), path.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paths_are_made_absolute_and_cleaned() {
        for (dir, path, want) in [
            ("/root/", "a", "/root/a"),
            ("/root/", "/etc/passwd", "/etc/passwd"),
            ("/root/", "", ""),
            ("/root/", ".", "/root"),
            ("/root/", "./a/./b/", "/root/a/b"),
            ("/root/", "../etc//shadow", "/etc/shadow"),
            ("/root/", "../../..", "/"),
            ("/root/", "..a/.b", "/root/..a/.b"),
            ("/", "a", "/a"),
            ("/", "/", "/"),
            ("/x/", "//a///b", "/a/b"),
            ("/x/", "/a/../../b", "/b"),
            ("/x/", "/..", "/"),
            ("", "foo", "foo"),
            ("", "foo/../a", "a"),
            ("foo/", "../a", "a"),
            ("<UNKNOWN>", "a", "<UNKNOWN>a"),
        ] {
            assert_eq!(joined(dir, path), want, "{dir} + {path}");
        }
    }

    #[test]
    fn a_path_that_stays_is_what_joining_gives() {
        let long = format!("/{}", "a".repeat(1022));
        for path in ["/a/b", "/a/.b", "/a//b", "a", "", "/", "/a/", &long[..1022], &long, "/.."] {
            let stays = stays(b".", path.as_bytes());
            assert!(!stays || joined(".", path) == path, "{path}");
            assert_eq!(stays, ["/a/b", &long[..1022]].contains(&path), "{path}");
        }
    }

    #[test]
    fn what_a_path_becomes_is_what_joining_gives() {
        let long = "a".repeat(1015);
        let paths =
            ["/a/b", "a", "a/b", "a/.b", "a//b", "a/", ".a", "", "/", "..", "a/..", &long, &long[..1014]];
        for (dir, path) in
            ["/root/", "/", "", "<UNKNOWN>"].into_iter().flat_map(|dir| paths.map(|p| (dir, p)))
        {
            match becomes(dir.len(), path.as_bytes()) {
                Becomes::Itself => assert_eq!(joined(dir, path), path),
                Becomes::End => assert_eq!(joined(dir, path), format!("{dir}{path}")),
                Becomes::Other => {}
            }
        }
        let of = |dir: usize, path: &str| becomes(dir, path.as_bytes());
        assert_eq!(
            [of(6, "/a/b"), of(6, "a/b"), of(6, "a/./b")],
            [Becomes::Itself, Becomes::End, Becomes::Other]
        );
        assert_eq!([of(9, &long[..1014]), of(9, &long)], [Becomes::End, Becomes::Other]);
    }

    #[test]
    fn a_path_without_end_is_named_so() {
        let long = "a/".repeat(600);
        assert_eq!(joined("/", &long).as_bytes(), TOO_LONG);
        assert_eq!(joined("/", &long[..1000]).len(), 1000);
    }
}
