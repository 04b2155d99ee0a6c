//! Glob patterns as KEYS, SCAN, PSUBSCRIBE and CONFIG GET read them.
//!
//! Rules: <https://redis.io/docs/latest/commands/keys/>. `*` any run, `?` any byte, `[ab]` `[^ab]` `[a-z]` one byte,
//! `\` takes the next byte as it is. A class left open ends with the pattern. Matching is over bytes, not characters.

/// Whether the whole of `text` fits `pattern`.
///
/// At most one step per pair of bytes (`pattern.len() * text.len()`): only the last `*` is ever retried, because an
/// earlier one that stretched further could only leave less text for the same rest of the pattern.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    run::<false>(pattern, text)
}

/// As `matches`, ASCII letters of both cases being equal.
pub fn matches_nocase(pattern: &[u8], text: &[u8]) -> bool {
    run::<true>(pattern, text)
}

fn run<const NOCASE: bool>(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        // Redis never looks at the pattern then: not even `*` fits the empty text.
        return pattern.is_empty();
    }
    let (mut at, mut rest) = (0, text);
    // Where to go on after a mismatch: behind the last `*`, with one byte more swallowed by it.
    let mut retry: Option<(usize, &[u8])> = None;
    while let Some((&byte, behind)) = rest.split_first() {
        if pattern.get(at) == Some(&b'*') {
            at = skip_stars(pattern, at);
            if at == pattern.len() {
                return true;
            }
            retry = Some((at, behind));
            continue;
        }
        match step::<NOCASE>(pattern, at, byte) {
            Some(next) => (at, rest) = (next, behind),
            None => match retry {
                Some((star, shorter)) if !shorter.is_empty() => {
                    (at, rest) = (star, shorter);
                    retry = Some((star, &shorter[1..]));
                }
                _ => return false,
            },
        }
    }
    skip_stars(pattern, at) == pattern.len()
}

fn skip_stars(pattern: &[u8], at: usize) -> usize {
    at + pattern[at..].iter().take_while(|&&byte| byte == b'*').count()
}

/// Matches one byte against the element at `at` (not a `*`); the position behind the element if it fits.
fn step<const NOCASE: bool>(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    let fits = |element: u8| {
        if NOCASE { element.eq_ignore_ascii_case(&byte) } else { element == byte }
    };
    match pattern[at..] {
        [] => None,
        [b'?', ..] => Some(at + 1),
        [b'[', ..] => class::<NOCASE>(pattern, at + 1, byte),
        [b'\\', escaped, ..] => fits(escaped).then_some(at + 2),
        [element, ..] => fits(element).then_some(at + 1),
    }
}

/// Matches one byte against the class whose body begins at `at`.
fn class<const NOCASE: bool>(pattern: &[u8], mut at: usize, byte: u8) -> Option<usize> {
    let fold = |byte: u8| if NOCASE { byte.to_ascii_lowercase() } else { byte };
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    let end = loop {
        match pattern[at..] {
            [] => break at,
            // An escaped byte keeps its case, in the variant without case too.
            [b'\\', escaped, ..] => {
                found |= escaped == byte;
                at += 2;
            }
            [b']', ..] => break at + 1,
            [from, b'-', to, ..] => {
                let (low, high) = (from.min(to), from.max(to));
                found |= (fold(low)..=fold(high)).contains(&fold(byte));
                at += 3;
            }
            [member, ..] => {
                found |= fold(member) == fold(byte);
                at += 1;
            }
        }
    };
    (found != negated).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::{matches, matches_nocase};

    #[track_caller]
    fn check(pattern: &str, fitting: &[&str], others: &[&str]) {
        for text in fitting {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} should fit {text}");
        }
        for text in others {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} should not fit {text}");
        }
    }

    #[test]
    fn stars_and_question_marks() {
        check("*", &["a", "abc"], &[""]);
        check("", &[""], &["a"]);
        check("h?llo", &["hello", "h\u{1}llo"], &["hllo", "heello"]);
        check("a*", &["a", "ab"], &["ba", ""]);
        check("*a", &["a", "ba", "aaa"], &["ab"]);
        check("a**b*", &["ab", "axxbyy", "abb"], &["a", "ba"]);
        check("*ab*ab", &["abab", "xabxabxab"], &["abxabx", "ab"]);
        check("a?*", &["ab", "abc"], &["a"]);
    }

    #[test]
    fn classes() {
        check("h[ae]llo", &["hello", "hallo"], &["hillo", "hllo"]);
        check("h[^e]llo", &["hallo", "h^llo"], &["hello"]);
        check("[a-c]x", &["ax", "bx", "cx"], &["dx"]);
        check("[c-a]", &["b"], &["d"]);
        check("[^a-z]", &["A", "-"], &["m"]);
        check("[\\]a]", &["]", "a"], &["\\"]);
        // A range takes whatever byte follows the dash: here `]`, so the class stays open.
        check("[a-]", &["a", "]"], &["b", "-"]);
        check("[ab", &["a", "b"], &["c"]);
        check("[", &[], &["[", "a"]);
        check("[^", &["a", "^"], &["ab"]);
        check("[]a]", &[], &["]", "a"]);
    }

    #[test]
    fn escapes() {
        check("\\*", &["*"], &["a", "\\*"]);
        check("a\\?c", &["a?c"], &["abc"]);
        check("a\\", &["a\\"], &["a"]);
        check("\\[x]", &["[x]"], &["x"]);
    }

    #[test]
    fn without_case() {
        assert!(matches_nocase(b"HeL*[A-c]", b"hello B"));
        assert!(matches_nocase(b"\\A", b"a"));
        assert!(!matches_nocase(b"[\\A]", b"a"));
        assert!(!matches(b"A", b"a"));
    }

    #[test]
    fn many_stars_stay_quadratic() {
        let pattern = b"a*".repeat(500);
        let text = vec![b'a'; 100_000];
        let hopeless = [&pattern[..], b"b"].concat();
        assert!(matches(&pattern, &text));
        assert!(!matches(&hopeless, &text));
    }
}
