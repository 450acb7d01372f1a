//! Sets of paths, to ask whether one of them is, or lies above, a given one (`pmatch`).

use rustc_hash::FxHashMap;

use crate::glob::Glob;

/// The most ways to begin that are told.
const MOST_STARTS: usize = 256;

/// A tree of path components. Slashes at the ends and doubled ones don't count, nor does whether
/// a path begins with one; a component may be a shell pattern.
#[derive(Clone, Default, Debug)]
pub(crate) struct PathSet {
    /// A path of the set ends here: everything below is in it.
    ends: bool,
    plain: FxHashMap<Box<[u8]>, PathSet>,
    patterns: Vec<(Glob, PathSet)>,
}

impl PathSet {
    pub(crate) fn new<'p>(paths: impl IntoIterator<Item = &'p [u8]>) -> PathSet {
        let mut set = PathSet::default();
        paths.into_iter().for_each(|path| set.add(path));
        set
    }

    fn add(&mut self, path: &[u8]) {
        let mut node = self;
        for component in components(path) {
            node = if component.iter().any(|byte| matches!(byte, b'?' | b'*' | b'[')) {
                let glob = Glob::new(component, false);
                let known = node.patterns.iter().position(|(pattern, _)| *pattern == glob);
                let at = known.unwrap_or_else(|| {
                    node.patterns.push((glob, PathSet::default()));
                    node.patterns.len() - 1
                });
                &mut node.patterns[at].1
            } else {
                node.plain.entry(component.into()).or_default()
            };
        }
        node.ends = true;
    }

    /// How every absolute path that it covers begins; `None` if there are too many ways.
    pub(crate) fn starts(&self) -> Option<Vec<Vec<u8>>> {
        if self.ends || !self.patterns.is_empty() {
            return Some(vec![Vec::new()]);
        }
        let mut starts = Vec::new();
        for (component, below) in &self.plain {
            starts.extend(below.starts()?.into_iter().map(|rest| [b"/", &**component, &rest].concat()));
        }
        (starts.len() <= MOST_STARTS).then_some(starts)
    }

    /// Whether a path of the set is `path` or lies above it.
    pub(crate) fn covers(&self, path: &[u8]) -> bool {
        if self.ends {
            return true;
        }
        let Some((component, rest)) = split(path) else { return false };
        self.plain.get(component).is_some_and(|below| below.covers(rest))
            || self.patterns.iter().any(|(glob, below)| glob.matches(component) && below.covers(rest))
    }
}

impl PathSet {
    /// Whether it covers the files of a directory, if that is the same for all of them.
    pub(crate) fn covers_in(&self, directory: &[u8]) -> Option<bool> {
        if self.ends {
            return Some(true);
        }
        let Some((component, rest)) = split(directory) else {
            let mut names = self.plain.values().chain(self.patterns.iter().map(|(_, name)| name));
            return (!names.any(|name| name.ends)).then_some(false);
        };
        let fitting =
            self.patterns.iter().filter(|(glob, _)| glob.matches(component)).map(|(_, below)| below);
        let mut below =
            self.plain.get(component).into_iter().chain(fitting).map(|below| below.covers_in(rest));
        below.try_fold(false, |all, answer| Some(all | answer?))
    }
}

/// The first component and what follows it.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = path.iter().position(|byte| *byte != b'/')?;
    let path = &path[start..];
    let end = memchr::memchr(b'/', path).unwrap_or(path.len());
    Some(path.split_at(end))
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_components_count() {
        let set = PathSet::new([b"/var/run".as_slice(), b"/etc", b"/lib", b"/usr/lib", b"/home/*/.ssh"]);
        for (path, expected) in [
            ("/var/run/docker", true),
            ("/var/run", true),
            ("//var//run/", true),
            ("var/run", true),
            ("/boot", false),
            ("/var/lib/messages", false),
            ("/var", false),
            ("/etcetera", false),
            ("/home/me/.ssh/id_rsa", true),
            ("/home/me/.profile", false),
            ("", false),
        ] {
            assert_eq!(set.covers(path.as_bytes()), expected, "{path}");
        }
        assert!(PathSet::new([b"/".as_slice()]).covers(b"/any"));
        assert!(!PathSet::default().covers(b"/any"));
    }
}
