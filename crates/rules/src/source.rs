//! The text of a rule file, as it was read.

/// A rule file: the name it is reported under and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// What reports call the file, usually its path as the user gave it.
    pub name: String,
    /// Its content.
    pub text: String,
    /// Where the first byte stands that is not UTF-8; it was read as U+FFFD.
    pub(crate) bad_byte: Option<usize>,
}

impl SourceText {
    /// A file whose content is known to be UTF-8.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> SourceText {
        let text: String = text.into();
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        SourceText { name: name.into(), text, bad_byte: None }
    }

    /// A file as its bytes come from disk: UTF-8, or UTF-16 if it says so by a byte order mark. Bytes that
    /// are neither are replaced and reported when the file is loaded.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> SourceText {
        match bytes.as_slice() {
            [0xff, 0xfe, rest @ ..] => SourceText::new(name, utf16(rest, u16::from_le_bytes)),
            [0xfe, 0xff, rest @ ..] => SourceText::new(name, utf16(rest, u16::from_be_bytes)),
            _ => match String::from_utf8(bytes) {
                Ok(text) => SourceText::new(name, text),
                Err(error) => {
                    let bad = error.utf8_error().valid_up_to();
                    let text = String::from_utf8_lossy(error.as_bytes());
                    SourceText { bad_byte: Some(bad), ..SourceText::new(name, text) }
                }
            },
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_marks_are_heeded() {
        assert_eq!(SourceText::from_bytes("f", b"\xef\xbb\xbf- a".to_vec()).text, "- a");
        assert_eq!(SourceText::from_bytes("f", b"\xff\xfe-\0 \0a\0".to_vec()).text, "- a");
        assert_eq!(SourceText::from_bytes("f", b"\xfe\xff\0-\0 \0a".to_vec()).text, "- a");
    }

    #[test]
    fn the_first_bad_byte_is_remembered() {
        let source = SourceText::from_bytes("f", b"# caf\xe9\n- a".to_vec());
        assert_eq!(source.text, "# caf\u{fffd}\n- a");
        assert_eq!(source.bad_byte, Some(5));
    }
}
