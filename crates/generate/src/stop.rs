//! From tokens to text as it may be shown: stop strings, and characters that are not complete yet.
//!
//! Tokens are pieces of bytes. A stop string may begin in one token and end in another, and so may a
//! character. What could still become either is held back until it is decided.

use crate::{Error, Result};

/// Bytes come in; text that is certain comes out, up to the first stop string.
///
/// The stop string that *ends* first wins, and among those the longest, so that the result does not
/// depend on how the text is cut into tokens. The stop string itself is never part of the text.
/// Bytes that are no UTF-8 become U+FFFD, one a maximal broken piece.
#[derive(Clone, Debug, Default)]
pub struct StopText {
    stops: Vec<Vec<u8>>,
    /// Bytes whose fate is open.
    held: Vec<u8>,
    /// How many of `held` have been looked at.
    seen: usize,
    stopped: bool,
}

impl StopText {
    /// Watches for these strings; an empty one is refused.
    pub fn new(stops: &[String]) -> Result<StopText> {
        if stops.iter().any(String::is_empty) {
            return Err(Error::Setting {
                name: "stop",
                value: "\"\"".into(),
                expected: "a string of at least one character",
            });
        }
        let stops = stops.iter().map(|s| s.as_bytes().to_vec()).collect();
        Ok(StopText { stops, ..StopText::default() })
    }

    /// Whether a stop string was found.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Takes the bytes of the next token and appends what is certain to `text`. Returns whether a
    /// stop string is complete; whatever comes after it is dropped.
    pub fn push(&mut self, bytes: &[u8], text: &mut String) -> bool {
        if self.stopped {
            return true;
        }
        self.held.extend_from_slice(bytes);
        while self.seen < self.held.len() {
            self.seen += 1;
            let done = &self.held[..self.seen];
            let found = self.stops.iter().filter(|s| done.ends_with(s)).map(Vec::len).max();
            if let Some(length) = found {
                self.held.truncate(self.seen - length);
                self.stopped = true;
                self.finish(text);
                return true;
            }
        }
        let open = self.open();
        let sure = complete(&self.held[..self.held.len() - open]);
        self.emit(sure, text);
        false
    }

    /// Nothing more comes: appends what was held back.
    pub fn finish(&mut self, text: &mut String) {
        self.emit(self.held.len(), text);
    }

    /// Bytes at the end that may be the beginning of a stop string.
    fn open(&self) -> usize {
        let begins = |n: &usize| {
            let tail = &self.held[self.held.len() - n..];
            self.stops.iter().any(|s| s.len() > *n && s.starts_with(tail))
        };
        let longest = self.stops.iter().map(|s| s.len() - 1).max().unwrap_or(0);
        (1..=longest.min(self.held.len())).rev().find(begins).unwrap_or(0)
    }

    fn emit(&mut self, count: usize, text: &mut String) {
        text.push_str(&String::from_utf8_lossy(&self.held[..count]));
        self.held.drain(..count);
        self.seen = self.held.len();
    }
}

/// How many bytes stand before a character that is only begun.
fn complete(bytes: &[u8]) -> usize {
    let mut start = 0;
    loop {
        match std::str::from_utf8(&bytes[start..]) {
            Ok(_) => return bytes.len(),
            Err(error) => match error.error_len() {
                Some(bad) => start += error.valid_up_to() + bad,
                None => return start + error.valid_up_to(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pseudo-random numbers for cutting.
    fn next(state: &mut u64) -> usize {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (*state >> 40) as usize
    }

    fn run(bytes: &[u8], stops: &[&str], cuts: &mut dyn FnMut() -> usize) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|s| s.to_string()).collect();
        let mut watch = StopText::new(&stops).unwrap();
        let (mut text, mut rest) = (String::new(), bytes);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cuts().clamp(1, rest.len()));
            rest = after;
            let before = text.len();
            let stopped = watch.push(piece, &mut text);
            assert!(text.is_char_boundary(before));
            if stopped {
                return (text, true);
            }
        }
        watch.finish(&mut text);
        (text, false)
    }

    #[test]
    fn a_stop_string_over_token_ends_is_found_and_left_out() {
        let found = run(b"one\nHuman: two", &["\nHuman:"], &mut || 2);
        assert_eq!(found, ("one".to_string(), true));
        let held = run(b"one\nHuma", &["\nHuman:"], &mut || 1);
        assert_eq!(held, ("one\nHuma".to_string(), false));
        // The one that ends first, and of those the longest.
        assert_eq!(run(b"xabc", &["abc", "b"], &mut || 4), ("xa".to_string(), true));
        assert_eq!(run(b"xabc", &["c", "abc"], &mut || 1), ("x".to_string(), true));
        // Overlap with itself.
        assert_eq!(run(b"aaab", &["aab"], &mut || 1), ("a".to_string(), true));
    }

    #[test]
    fn nothing_is_shown_before_it_is_certain() {
        let mut watch = StopText::new(&["END".into()]).unwrap();
        let mut text = String::new();
        assert!(!watch.push("a\u{e9}".as_bytes().split_last().unwrap().1, &mut text));
        assert_eq!(text, "a");
        assert!(!watch.push(&[0xa9, b'E', b'N'], &mut text));
        assert_eq!(text, "a\u{e9}");
        assert!(!watch.push(b"E", &mut text));
        assert_eq!(text, "a\u{e9}EN");
        assert!(watch.push(b"NDx", &mut text) && watch.stopped());
        assert_eq!(text, "a\u{e9}EN");
        assert!(watch.push(b"more", &mut text));
        assert_eq!(text, "a\u{e9}EN");
    }

    #[test]
    fn an_empty_stop_string_is_refused() {
        assert!(StopText::new(&[String::new()]).unwrap_err().to_string().contains("stop"));
    }

    /// Whatever the cuts, the text is that of all bytes at once up to the first completed stop.
    #[test]
    fn cuts_do_not_matter() {
        let mut state = 1;
        let letters: [&[u8]; 8] =
            [b"a", b"b", b"ab", "\u{e9}".as_bytes(), "\u{1f600}".as_bytes(), &[0xff], &[0xe2, 0x82], b"\n"];
        for round in 0..2000 {
            let bytes: Vec<u8> = (0..next(&mut state) % 24)
                .flat_map(|_| letters[next(&mut state) % letters.len()].to_vec())
                .collect();
            let stops: &[&str] = [&[][..], &["ab"], &["aab", "b\n"], &["\u{e9}a", "ba"]][round % 4];
            let end = (0..=bytes.len()).find_map(|n| {
                let hits = stops.iter().filter(|s| bytes[..n].ends_with(s.as_bytes()));
                hits.map(|s| n - s.len()).min()
            });
            let expected = String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]);
            for _ in 0..4 {
                let got = run(&bytes, stops, &mut || 1 + next(&mut state) % 5);
                assert_eq!(got, (expected.to_string(), end.is_some()), "{bytes:?} {stops:?}");
            }
        }
    }
}
