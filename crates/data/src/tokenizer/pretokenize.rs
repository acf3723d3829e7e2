//! The split rules of `gpt-2`, `qwen2` and `llama-3`, by hand: one pass, no backtracking.
//!
//! Each rule is a regular expression in a `tokenizer.json`; the functions here find the same pieces
//! (a property test compares them with the `tokenizers` crate) some fifty times faster.

use std::sync::OnceLock;

use regex::Regex;

/// The split rule written by GPT-2 and known to llama.cpp as `gpt-2`.
pub(crate) const GPT2_PATTERN: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// The split rule of Qwen 2 and 3, known to llama.cpp as `qwen2`: every digit stands alone.
pub(crate) const QWEN2_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The split rule of Llama 3 and cl100k, known to llama.cpp as `llama-bpe`: digits in threes.
pub(crate) const LLAMA3_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How text is cut into pieces before pairs are merged; no token crosses a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitRule {
    /// No cut at all: the bytes tokenizer.
    Whole,
    /// GPT-2's.
    Gpt2,
    /// Qwen 2's.
    Qwen2,
    /// Llama 3's.
    Llama3,
}

impl SplitRule {
    /// The name llama.cpp has for the rule (`tokenizer.ggml.pre`).
    pub fn llama_cpp_name(self) -> &'static str {
        match self {
            SplitRule::Whole | SplitRule::Gpt2 => "gpt-2",
            SplitRule::Qwen2 => "qwen2",
            SplitRule::Llama3 => "llama-bpe",
        }
    }

    /// The rule that a regular expression of a `tokenizer.json` spells, if we know it.
    pub(crate) fn from_pattern(pattern: &str) -> Option<SplitRule> {
        match pattern {
            GPT2_PATTERN => Some(SplitRule::Gpt2),
            QWEN2_PATTERN => Some(SplitRule::Qwen2),
            LLAMA3_PATTERN => Some(SplitRule::Llama3),
            _ => None,
        }
    }

    /// Calls `piece` with the end of each piece of `text`, in order; the first begins at 0.
    #[inline]
    pub(crate) fn split(self, text: &str, mut piece: impl FnMut(usize, usize)) {
        let mut at = 0;
        while at < text.len() {
            let end = match self {
                SplitRule::Whole => text.len(),
                SplitRule::Gpt2 => next_gpt2(text, at),
                SplitRule::Qwen2 => next_qwen2(text, at, 1),
                SplitRule::Llama3 => next_qwen2(text, at, 3),
            };
            debug_assert!(end > at && text.is_char_boundary(end));
            piece(at, end);
            at = end;
        }
    }
}

/// `\p{L}`.
const LETTER: u8 = 0;
/// `\p{N}`.
const NUMBER: u8 = 1;
/// `\s` without line ends.
const SPACE: u8 = 2;
/// `\r` and `\n`.
const NEWLINE: u8 = 3;
/// What is none of these.
const OTHER: u8 = 4;
/// Beyond the end of the text.
const END: u8 = 5;

static ASCII: [u8; 128] = {
    let mut table = [OTHER; 128];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        table[byte] = match c {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'0'..=b'9' => NUMBER,
            b'\n' | b'\r' => NEWLINE,
            b'\t' | 0x0b | 0x0c | b' ' => SPACE,
            _ => OTHER,
        };
        byte += 1;
    }
    table
};

/// The class of every character from U+0080 on. Made once, on first need, by the same `regex` tables
/// that the `tokenizers` crate uses, so that both always know the same version of Unicode.
fn unicode_classes() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = vec![OTHER; 0x11_0000];
        let all: String = (0x80..0x11_0000).filter_map(char::from_u32).collect();
        for (pattern, class) in [(r"\p{L}+", LETTER), (r"\p{N}+", NUMBER), (r"\s+", SPACE)] {
            let Ok(regex) = Regex::new(pattern) else {
                continue;
            };
            for found in regex.find_iter(&all) {
                for c in found.as_str().chars() {
                    table[c as usize] = class;
                }
            }
        }
        table
    })
}

#[inline(always)]
fn class_at(text: &str, at: usize) -> (u8, usize) {
    match text.as_bytes().get(at) {
        None => (END, 0),
        Some(&byte) if byte < 0x80 => (ASCII[byte as usize], 1),
        Some(_) => class_beyond_ascii(text, at),
    }
}

#[inline(never)]
fn class_beyond_ascii(text: &str, at: usize) -> (u8, usize) {
    match text[at..].chars().next() {
        None => (END, 0),
        Some(c) => (unicode_classes()[c as usize], c.len_utf8()),
    }
}

/// End of the run of `class` that begins at `at`.
#[inline(always)]
fn run(text: &str, mut at: usize, class: u8) -> usize {
    let bytes = text.as_bytes();
    loop {
        while let Some(&byte) = bytes.get(at) {
            if byte >= 0x80 || ASCII[byte as usize] != class {
                break;
            }
            at += 1;
        }
        match bytes.get(at) {
            Some(&byte) if byte >= 0x80 => {
                let (found, len) = class_beyond_ascii(text, at);
                if found != class {
                    return at;
                }
                at += len;
            }
            _ => return at,
        }
    }
}

/// Length of the contraction (`'s`, `'re`, …) at `at`, which holds an apostrophe; 0 if there is none.
/// `fold`: case-insensitively, where `ſ` is also an s, as in Unicode's simple case folding.
#[inline(always)]
fn contraction(bytes: &[u8], at: usize, fold: bool) -> usize {
    let lower = |byte: u8| {
        if fold { byte.to_ascii_lowercase() } else { byte }
    };
    let Some(&first) = bytes.get(at + 1) else {
        return 0;
    };
    let second = bytes.get(at + 2).copied();
    match lower(first) {
        b's' | b't' | b'm' | b'd' => 2,
        b'r' | b'v' if second.map(lower) == Some(b'e') => 3,
        b'l' if second.map(lower) == Some(b'l') => 3,
        0xc5 if fold && second == Some(0xbf) => 3,
        _ => 0,
    }
}

/// The piece of the Qwen 2 rule (or Llama 3's, with three digits at most) that begins at `at`.
#[inline(always)]
fn next_qwen2(text: &str, at: usize, digits: usize) -> usize {
    let bytes = text.as_bytes();
    let (class, len) = class_at(text, at);
    let after = at + len;
    match class {
        LETTER => run(text, after, LETTER),
        NUMBER => {
            let mut end = after;
            for _ in 1..digits {
                match class_at(text, end) {
                    (NUMBER, len) => end += len,
                    _ => break,
                }
            }
            end
        }
        OTHER => {
            if bytes[at] == b'\'' {
                let len = contraction(bytes, at, true);
                if len > 0 {
                    return at + len;
                }
            }
            match class_at(text, after) {
                (LETTER, len) => run(text, after + len, LETTER),
                _ => run(text, run(text, after, OTHER), NEWLINE),
            }
        }
        _ => {
            if class == SPACE {
                match class_at(text, after) {
                    (LETTER, len) => return run(text, after + len, LETTER),
                    (OTHER, len) if bytes[at] == b' ' => {
                        return run(text, run(text, after + len, OTHER), NEWLINE);
                    }
                    _ => {}
                }
            }
            let space = spaces(text, at);
            match space.after_newline {
                Some(end) => end,
                None => space.before_word(at, text.len()),
            }
        }
    }
}

/// The piece of the GPT-2 rule that begins at `at`.
#[inline(always)]
fn next_gpt2(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let (class, len) = class_at(text, at);
    let after = at + len;
    match class {
        LETTER | NUMBER => run(text, after, class),
        OTHER => {
            if bytes[at] == b'\'' {
                let len = contraction(bytes, at, false);
                if len > 0 {
                    return at + len;
                }
            }
            run(text, after, OTHER)
        }
        _ => {
            if bytes[at] == b' ' {
                let (next, len) = class_at(text, after);
                if matches!(next, LETTER | NUMBER | OTHER) {
                    return run(text, after + len, next);
                }
            }
            spaces(text, at).before_word(at, text.len())
        }
    }
}

/// A maximal run of white space.
struct Spaces {
    /// Its end.
    end: usize,
    /// Where its last character begins.
    last: usize,
    /// The place behind its last line end, if it has one.
    after_newline: Option<usize>,
}

impl Spaces {
    /// The whole run at the end of a text; before a word all but the last character, which may belong to
    /// the word, unless it is the only one.
    fn before_word(&self, at: usize, text_end: usize) -> usize {
        if self.end == text_end || self.last == at { self.end } else { self.last }
    }
}

#[inline(always)]
fn spaces(text: &str, at: usize) -> Spaces {
    let mut found = Spaces { end: at, last: at, after_newline: None };
    loop {
        let (class, len) = class_at(text, found.end);
        if !matches!(class, SPACE | NEWLINE) {
            return found;
        }
        found.last = found.end;
        found.end += len;
        if class == NEWLINE {
            found.after_newline = Some(found.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(rule: SplitRule, text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        rule.split(text, |start, end| found.push(&text[start..end]));
        found
    }

    #[test]
    fn qwen2_by_hand() {
        assert_eq!(
            pieces(SplitRule::Qwen2, "I'm 12  cats,\n\n  \"hi\" \t\n x   "),
            ["I", "'m", " ", "1", "2", " ", " cats", ",\n\n", " ", " \"", "hi", "\"", " \t\n", " x", "   "]
        );
    }

    #[test]
    fn gpt2_by_hand() {
        assert_eq!(
            pieces(SplitRule::Gpt2, "I'm 12  cats,\n\nI'M"),
            ["I", "'m", " 12", " ", " cats", ",", "\n", "\n", "I", "'", "M"]
        );
    }

    #[test]
    fn the_pieces_are_the_text() {
        let text = "¿Qué? 日本語 \u{a0}\u{2003}x'ſt ½² \u{0}\r\n";
        for rule in [SplitRule::Whole, SplitRule::Gpt2, SplitRule::Qwen2, SplitRule::Llama3] {
            assert_eq!(pieces(rule, text).concat(), text);
        }
    }
}
