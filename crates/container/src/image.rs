//! Image references taken apart: `registry:port/path/name:tag@sha256:digest`.

use lanner_machine::Container;

/// The parts of an image reference; absent ones are empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ImageName<'a> {
    pub(crate) repository: &'a str,
    pub(crate) tag: &'a str,
    pub(crate) digest: &'a str,
}

/// Takes a reference apart. A bare `sha256:…` names no repository.
pub(crate) fn split(reference: &str) -> ImageName<'_> {
    if reference.starts_with("sha256:") {
        return ImageName { digest: reference, ..ImageName::default() };
    }
    let (name, digest) = reference.split_once('@').unwrap_or((reference, ""));
    // A colon before the last slash belongs to the registry's port.
    let tag_at = name.rfind(':').filter(|colon| name.rfind('/').is_none_or(|slash| slash < *colon));
    let (repository, tag) = match tag_at {
        Some(colon) => (&name[..colon], &name[colon + 1..]),
        None => (name, ""),
    };
    ImageName { repository, tag, digest }
}

/// The twelve digits by which an image is known to people.
pub(crate) fn short_id(id: &str) -> String {
    id.strip_prefix("sha256:").unwrap_or(id).chars().take(12).collect()
}

/// Sets the image of a container from the name by which the runtime was asked for it.
pub(crate) fn set_name(container: &mut Container, reference: &str) {
    let parts = split(reference);
    if parts.repository.is_empty() {
        return;
    }
    container.image = reference.to_owned();
    container.image_repository = parts.repository.to_owned();
    container.image_tag = parts.tag.to_owned();
    if !parts.digest.is_empty() {
        container.image_digest = parts.digest.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_references_apart() {
        let cases = [
            ("docker.io/library/mysql:8.0", ("docker.io/library/mysql", "8.0", "")),
            ("localhost:5000/app", ("localhost:5000/app", "", "")),
            ("localhost:5000/app:v1@sha256:ab", ("localhost:5000/app", "v1", "sha256:ab")),
            ("registry.k8s.io/pause@sha256:cd", ("registry.k8s.io/pause", "", "sha256:cd")),
            ("sha256:0011", ("", "", "sha256:0011")),
            ("mysql", ("mysql", "", "")),
            ("", ("", "", "")),
        ];
        for (reference, (repository, tag, digest)) in cases {
            assert_eq!(split(reference), ImageName { repository, tag, digest }, "{reference}");
        }
    }

    #[test]
    fn a_bare_digest_does_not_rename_an_image() {
        let mut container = Container::default();
        set_name(&mut container, "docker.io/library/mysql:8.0");
        set_name(&mut container, "sha256:0011");
        assert_eq!(container.image, "docker.io/library/mysql:8.0");
    }

    #[test]
    fn short_ids_have_twelve_digits() {
        assert_eq!(short_id("sha256:6f7e2741b66b0123456789"), "6f7e2741b66b");
    }
}
