//! Words of a command line, split and escaped as `redis-cli` does.

/// Splits a line into words: blanks separate, `"..."` takes escapes (`\n`, `\xff`...), `'...'` takes only `\'`.
/// None when a quote is not closed, or is followed by something other than a blank.
pub fn split(line: &str) -> Option<Vec<Vec<u8>>> {
    let mut rest = line.trim_start().as_bytes();
    let mut words = Vec::new();
    while !rest.is_empty() {
        let (word, used) = match rest[0] {
            b'"' => quoted(rest)?,
            b'\'' => single_quoted(rest)?,
            _ => plain(rest),
        };
        words.push(word);
        rest = rest[used..].trim_ascii_start();
    }
    Some(words)
}

/// A word in double quotes at the start of `text`, and the bytes it took with its quotes.
pub fn quoted(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut word = Vec::new();
    let mut at = 1;
    loop {
        match *text.get(at)? {
            b'"' => return ends_word(text, at + 1).then_some((word, at + 1)),
            b'\\' => {
                let (byte, used) = escape(&text[at + 1..])?;
                word.push(byte);
                at += 1 + used;
            }
            byte => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

/// `bytes` in double quotes, with everything but printable ASCII escaped.
pub fn quote(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            0x20..=0x7e => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push('"');
    text
}

/// A command line that `split` reads back as `words`; quotes only where needed.
pub fn join(words: &[Vec<u8>]) -> String {
    let bare =
        |word: &[u8]| !word.is_empty() && word.iter().all(|b| b.is_ascii_graphic() && !b"\"'\\".contains(b));
    let text = |word: &Vec<u8>| {
        if bare(word) { String::from_utf8_lossy(word).into_owned() } else { quote(word) }
    };
    words.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn plain(text: &[u8]) -> (Vec<u8>, usize) {
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    (text[..end].to_vec(), end)
}

fn single_quoted(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut word = Vec::new();
    let mut at = 1;
    loop {
        match *text.get(at)? {
            b'\'' => return ends_word(text, at + 1).then_some((word, at + 1)),
            b'\\' if text.get(at + 1) == Some(&b'\'') => {
                word.push(b'\'');
                at += 2;
            }
            byte => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

fn ends_word(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(u8::is_ascii_whitespace)
}

fn escape(text: &[u8]) -> Option<(u8, usize)> {
    Some(match *text.first()? {
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'a' => (0x07, 1),
        b'b' => (0x08, 1),
        b'x' => match text.get(1..3).and_then(|hex| std::str::from_utf8(hex).ok()) {
            Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => (u8::from_str_radix(hex, 16).ok()?, 3),
            _ => (b'x', 1),
        },
        other => (other, 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_quotes_and_escapes() {
        let words = split(r#"  SET "a b\x00\n" 'it\'s' plain "" "#).unwrap();
        assert_eq!(
            words,
            [b"SET".to_vec(), b"a b\0\n".to_vec(), b"it's".to_vec(), b"plain".to_vec(), vec![]]
        );
        assert_eq!(split("\"open"), None);
        assert_eq!(split("\"a\"b"), None);
    }

    #[test]
    fn join_is_read_back() {
        let words = vec![b"x".to_vec(), vec![], vec![0, 255, b'"', b'\\', b' '], b"it's".to_vec()];
        assert_eq!(split(&join(&words)), Some(words));
    }
}
