//! Labels within bounds.

use std::collections::BTreeMap;

use crate::config::Config;

/// Labels of one container that are kept, and the longest name of one: Kubernetes allows less, Docker anything.
const MAX_LABELS: usize = 256;
const MAX_NAME: usize = 512;

/// The labels whose value is short enough to keep.
pub(crate) fn kept(
    labels: impl IntoIterator<Item = (String, String)>,
    config: &Config,
) -> BTreeMap<String, String> {
    let fits =
        |(name, value): &(String, String)| name.len() <= MAX_NAME && value.len() <= config.label_max_len;
    labels.into_iter().filter(fits).take(MAX_LABELS).collect()
}
