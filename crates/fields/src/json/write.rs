//! Texts: escapes taken out and put in; JSON laid out for reading.

/// The characters of a text whose inside is given as it stands in JSON.
pub fn unescape(inside: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(inside.len());
    unescape_into(inside, &mut out);
    out
}

pub(super) fn unescape_into(mut inside: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = inside.iter().position(|&byte| byte == b'\\') {
        out.extend_from_slice(&inside[..at]);
        let escape = inside.get(at + 1).copied().unwrap_or(b'\\');
        inside = inside.get(at + 2..).unwrap_or_default();
        match escape {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let character = code_point(&mut inside).and_then(char::from_u32);
                let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(other),
        }
    }
    out.extend_from_slice(inside);
}

fn hex(digits: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits.get(..4)?).ok()?, 16).ok()
}

/// The code point whose digits begin here; a character beyond the first plane has two escapes.
fn code_point(inside: &mut &[u8]) -> Option<u32> {
    let high = hex(inside)?;
    *inside = &inside[4..];
    if !(0xd800..0xdc00).contains(&high) {
        return Some(high);
    }
    let low = inside.strip_prefix(b"\\u").and_then(hex).filter(|low| (0xdc00..0xe000).contains(low))?;
    *inside = &inside[6..];
    Some(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}

/// Appends a text in quotes, with no more escapes than it needs.
pub(super) fn quoted(inside: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    if inside.contains(&b'\\') {
        for &byte in &unescape(inside) {
            match byte {
                b'"' | b'\\' => out.extend([b'\\', byte]),
                b'\n' => out.extend(b"\\n"),
                b'\r' => out.extend(b"\\r"),
                b'\t' => out.extend(b"\\t"),
                0..0x20 => out.extend(format!("\\u{byte:04x}").as_bytes()),
                _ => out.push(byte),
            }
        }
    } else {
        out.extend_from_slice(inside);
    }
    out.push(b'"');
}

/// Appends JSON with a line for each value, two spaces for each level; all else stays as it is.
pub fn indent(text: &[u8], out: &mut Vec<u8>) {
    let mut depth = 0usize;
    let mut quoted = false;
    let mut escaped = false;
    let mut opened = false;
    let line = |depth: usize, out: &mut Vec<u8>| {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', 2 * depth));
    };
    for &byte in text {
        if quoted {
            out.push(byte);
            quoted = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        if byte.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(byte, b'}' | b']');
        if std::mem::take(&mut opened) && !closes {
            depth += 1;
            line(depth, out);
        } else if closes && !matches!(out.last(), Some(b'{' | b'[')) {
            depth = depth.saturating_sub(1);
            line(depth, out);
        }
        out.push(byte);
        match byte {
            b'{' | b'[' => opened = true,
            b',' => line(depth, out),
            b':' => out.push(b' '),
            b'"' => quoted = true,
            _ => {}
        }
    }
}
