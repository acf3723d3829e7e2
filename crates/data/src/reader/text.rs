//! Plain text: a file is a document; one too large to hold is cut at line ends.

use std::io::{self, BufRead, Read};

use super::compressed::Stream;
use super::{Item, Problem, Reader, ReaderConfig, Record, decode, read_failure};
use crate::document::Document;
use crate::source::InputFile;

/// Reads one plain file.
pub(super) struct TextReader {
    stream: Stream,
    name: String,
    config: ReaderConfig,
    /// Whether the file may turn out to be no text at all.
    sniff: bool,
    explicit: bool,
    /// Bytes read and not given yet.
    rest: Vec<u8>,
    part: usize,
    done: bool,
}

/// As many bytes decide whether a file is text.
const SNIFFED: usize = 8192;

impl TextReader {
    pub(super) fn new(file: &InputFile, stream: Stream, config: &ReaderConfig, sniff: bool) -> Self {
        TextReader {
            stream,
            name: file.name.clone(),
            config: config.clone(),
            sniff,
            explicit: file.explicit,
            rest: Vec::new(),
            part: 0,
            done: false,
        }
    }

    fn problem(&mut self, what: String) -> Option<Item> {
        self.done = true;
        Some(Err(Problem { place: self.name.clone(), what }))
    }

    /// Reads until the limit or the end; true at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let limit = self.config.record_bytes;
        let missing = (limit + 1).saturating_sub(self.rest.len());
        (&mut self.stream).take(missing as u64).read_to_end(&mut self.rest)?;
        Ok(self.rest.len() <= limit)
    }

    fn encoding_problem(&self) -> Option<&'static str> {
        match self.rest.as_slice() {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("is UTF-16; convert it to UTF-8"),
            start if self.sniff && !looks_like_text(&start[..start.len().min(SNIFFED)]) => {
                Some("is not text, and of no format that is read")
            }
            _ => None,
        }
    }
}

/// Text has no NUL and few bytes that are not UTF-8.
fn looks_like_text(start: &[u8]) -> bool {
    let odd = String::from_utf8_lossy(start).chars().filter(|&c| c == '\u{fffd}').count();
    !start.contains(&0) && odd * 50 <= start.len().max(100)
}

impl Reader for TextReader {
    fn next(&mut self) -> Option<Item> {
        if self.done {
            return None;
        }
        let at_end = match self.fill() {
            Ok(at_end) => at_end,
            Err(error) => return self.problem(read_failure(&error)),
        };
        if self.part == 0 {
            if let Some(what) = self.encoding_problem() {
                let hint = if self.explicit { "" } else { " (exclude it to silence this)" };
                return self.problem(format!("{what}{hint}"));
            }
            if self.rest.starts_with(b"\xef\xbb\xbf") {
                self.rest.drain(..3);
            }
        }
        let bytes = if at_end {
            self.done = true;
            std::mem::take(&mut self.rest)
        } else {
            let limit = self.config.record_bytes.min(self.rest.len());
            let rest = self.rest.split_off(cut_place(&self.rest[..limit]));
            std::mem::replace(&mut self.rest, rest)
        };
        if bytes.is_empty() && self.part > 0 {
            return None;
        }
        self.part += 1;
        let part = self.part > 1 || !at_end;
        let id = if part { format!("{}#{}", self.name, self.part) } else { self.name.clone() };
        let (text, replaced) = match decode(bytes, self.config.invalid_utf8, || id.clone()) {
            Ok(decoded) => decoded,
            Err(problem) => return Some(Err(problem)),
        };
        let document = Document::text(id, self.name.clone(), text);
        Some(Ok(Record { document, licence: None, replaced, part, held: None }))
    }
}

/// Where to cut: behind the last line end, else between characters.
fn cut_place(bytes: &[u8]) -> usize {
    if let Some(newline) = bytes.iter().rposition(|&byte| byte == b'\n') {
        return newline + 1;
    }
    // Bytes 10xxxxxx continue a character; there are at most three.
    let tail = bytes.iter().rev().take(4).take_while(|&&byte| byte & 0xc0 == 0x80).count();
    match bytes.len().saturating_sub(tail + 1) {
        0 => bytes.len(),
        place => place,
    }
}

/// Reads one line, without its end, into `line`. A line beyond `limit` is skipped to its end and gives
/// `Err` with its length so far.
pub(crate) fn read_line(
    stream: &mut Stream,
    line: &mut Vec<u8>,
    limit: usize,
) -> io::Result<Option<Result<(), u64>>> {
    line.clear();
    let mut length = 0u64;
    loop {
        let buffer = stream.fill_buf()?;
        if buffer.is_empty() {
            return Ok(match length {
                0 => None,
                _ => Some(if length > limit as u64 { Err(length) } else { Ok(()) }),
            });
        }
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let taken = &buffer[..end.unwrap_or(buffer.len())];
        length += taken.len() as u64;
        if length <= limit as u64 {
            line.extend_from_slice(taken);
        } else {
            line.clear();
        }
        let used = taken.len() + usize::from(end.is_some());
        stream.consume(used);
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(Some(if length > limit as u64 { Err(length) } else { Ok(()) }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_lines_else_characters() {
        assert_eq!(cut_place(b"ab\ncd"), 3);
        assert_eq!(cut_place("abé".as_bytes()), 2);
        assert_eq!(cut_place("ab日".as_bytes()), 2);
        assert_eq!(cut_place(b"abc"), 2);
        assert_eq!(cut_place(b"a"), 1);
        assert_eq!(cut_place(&[0x80, 0x80, 0x80]), 3);
    }

    #[test]
    fn long_lines_are_skipped_and_counted() {
        let text = [b"one\r\n".as_slice(), &[b'x'; 100], b"\ntwo"].concat();
        let mut stream: Stream = Box::new(io::BufReader::with_capacity(7, io::Cursor::new(text)));
        let mut line = Vec::new();
        assert_eq!(read_line(&mut stream, &mut line, 10).unwrap(), Some(Ok(())));
        assert_eq!(line, b"one");
        assert_eq!(read_line(&mut stream, &mut line, 10).unwrap(), Some(Err(100)));
        assert_eq!(read_line(&mut stream, &mut line, 10).unwrap(), Some(Ok(())));
        assert_eq!(line, b"two");
        assert_eq!(read_line(&mut stream, &mut line, 10).unwrap(), None);
    }
}
