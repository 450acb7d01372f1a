//! Text as the kernel gives it: bytes that are usually UTF-8, cheap to copy.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Immutable shared bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Arc<[u8]>);

impl Text {
    /// The text as UTF-8, with what isn't replaced.
    pub fn to_str_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl Default for Text {
    fn default() -> Text {
        static EMPTY: std::sync::OnceLock<Text> = std::sync::OnceLock::new();
        EMPTY.get_or_init(|| Text(Arc::from(&[][..]))).clone()
    }
}

impl Deref for Text {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Text {
        if bytes.is_empty() { Text::default() } else { Text(bytes.into()) }
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Text {
        Text::from(&bytes[..])
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text::from(text.as_bytes())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text::from(text.as_bytes())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str_lossy(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_str_lossy())
    }
}
