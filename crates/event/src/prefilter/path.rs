//! Which paths can be decided as they are written.

/// Whether a path means what it says: absolute, without `.`, `..`, doubled or closing slashes.
pub(super) fn is_clean(path: &[u8]) -> bool {
    if path.first() != Some(&b'/') {
        return false;
    }
    path[1..].split(|byte| *byte == b'/').all(|component| !matches!(component, b"" | b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_paths_are_clean() {
        for clean in ["/a", "/etc/.hidden", "/etc/..x/y.", "/a/...", "/a.b/c"] {
            assert!(is_clean(clean.as_bytes()), "{clean}");
        }
        for other in ["", "a", "/", "//a", "/a/", "/a//b", "/./a", "/a/.", "/a/..", "/a/../b"] {
            assert!(!is_clean(other.as_bytes()), "{other}");
        }
    }
}
