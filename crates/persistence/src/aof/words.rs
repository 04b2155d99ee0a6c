//! Words of a line of the manifest: split at blanks, quoted where a name needs it, as in configuration files.

/// The words of a line. `None` where quotes do not match.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.as_bytes()[0] {
            b'"' => double_quoted(&rest[1..])?,
            b'\'' => single_quoted(&rest[1..])?,
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return None;
        }
        words.push(word);
        rest = after.trim_start();
    }
    Some(words)
}

/// What stands before the closing quote, and what stands after it.
fn double_quoted(text: &str) -> Option<(String, &str)> {
    let bytes = text.as_bytes();
    let mut word = Vec::new();
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some((String::from_utf8(word).ok()?, &text[at + 1..])),
            b'\\' => {
                let hex = bytes.get(at + 2..at + 4).and_then(|hex| std::str::from_utf8(hex).ok());
                match (*bytes.get(at + 1)?, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
                    (b'x', Some(byte)) => {
                        word.push(byte);
                        at += 4;
                        continue;
                    }
                    (b'n', _) => word.push(b'\n'),
                    (b'r', _) => word.push(b'\r'),
                    (b't', _) => word.push(b'\t'),
                    (b'b', _) => word.push(8),
                    (b'a', _) => word.push(7),
                    (other, _) => word.push(other),
                }
                at += 2;
            }
            byte => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

fn single_quoted(text: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(['\'', '\\'])?;
        word.push_str(&rest[..at]);
        if rest[at..].starts_with("\\'") {
            word.push('\'');
            rest = &rest[at + 2..];
        } else if rest[at..].starts_with('\\') {
            word.push('\\');
            rest = &rest[at + 1..];
        } else {
            return Some((word, &rest[at + 1..]));
        }
    }
}

/// A name as a word of a line: quoted if it would not be one otherwise.
pub(super) fn quote(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    if !name.is_empty() && name.bytes().all(plain) {
        return name.to_owned();
    }
    let mut word = String::from("\"");
    for byte in name.bytes() {
        match byte {
            b'"' | b'\\' => word.extend(['\\', char::from(byte)]),
            b'\n' => word.push_str("\\n"),
            b'\r' => word.push_str("\\r"),
            b'\t' => word.push_str("\\t"),
            7 => word.push_str("\\a"),
            8 => word.push_str("\\b"),
            b' '..=b'~' => word.push(char::from(byte)),
            other => word.push_str(&format!("\\x{other:02x}")),
        }
    }
    word.push('"');
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_of_a_line() {
        let split = |line| split(line).map(|words| words.join("|"));
        assert_eq!(split("file a.aof  seq 1\ttype b").as_deref(), Some("file|a.aof|seq|1|type|b"));
        assert_eq!(split(r#"file "a \"b\" \x41\n" x"#).as_deref(), Some("file|a \"b\" A\n|x"));
        assert_eq!(split(r"file 'it\'s \n' x").as_deref(), Some(r"file|it's \n|x"));
        assert_eq!(split("\"open"), None);
        assert_eq!(split("\"a\"b"), None);
    }

    proptest! {
        #[test]
        fn a_quoted_name_is_one_word(name in any::<String>()) {
            prop_assert_eq!(split(&format!("file {} seq", quote(&name))), Some(vec!["file".into(), name, "seq".into()]));
        }
    }
}
