//! Labels within bounds.

use std::collections::BTreeMap;

use crate::config::Config;

/// The labels whose value is short enough to keep.
pub(crate) fn kept(
    labels: impl IntoIterator<Item = (String, String)>,
    config: &Config,
) -> BTreeMap<String, String> {
    labels.into_iter().filter(|(_, value)| value.len() <= config.label_max_len).collect()
}
