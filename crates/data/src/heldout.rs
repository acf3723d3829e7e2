//! The list of exam items that must never reach training (invariant 9, CON-1, CON-2).
//!
//! An item is kept as hashes of pieces of its normalised text (letters and digits alone), so that the list
//! can lie beside training data without being the exam. A document holds an item if any piece of it is a
//! substring of the document's normalised text. A rolling hash finds candidates, a strong one decides.
//!
//! What asks about pictures is known by these, for many such items have the same words: a document holds it if it shows one of them,
//! to the byte.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::Path;

use crate::document::{Document, ImageRef};
use crate::error::{Error, Result};
use crate::question::{Question, each_question, holds_questions, is_parquet};
use crate::storage;

/// Characters in a piece; a shorter item is one piece.
const WINDOW: usize = 50;
/// Items with fewer letters and digits than this would be found everywhere, and are refused.
const SHORTEST: usize = 12;
/// First line of the file.
const HEADER: &str = "foretell held-out items 1";
/// Base of the polynomial hash.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15 | 1;

/// A piece of an item: its strong hash, and which item it is of.
struct Piece {
    strong: [u8; 16],
    item: u32,
}

/// Hashed pieces of items, by length and rolling hash.
#[derive(Default)]
pub struct HeldOut {
    by_length: Vec<(usize, HashMap<u64, Vec<Piece>>)>,
    names: Vec<String>,
    /// Hashes of the files of pictures that are asked about, each with an item.
    pictures: HashMap<[u8; 32], String>,
    /// Items too short to be told from ordinary text.
    pub refused: Vec<String>,
}

/// Letters and digits alone; case is kept.
fn normalise(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| c.is_alphanumeric())
}

fn rolling(characters: &[char]) -> u64 {
    characters.iter().fold(0u64, |hash, &c| hash.wrapping_mul(BASE).wrapping_add(u64::from(u32::from(c)) + 1))
}

fn strong(characters: &[char]) -> [u8; 16] {
    let text: String = characters.iter().collect();
    let mut hash = [0; 16];
    hash.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
    hash
}

impl HeldOut {
    /// Hashes items (name, text). Consecutive windows of 50 characters cover each item, so that an edit in
    /// one place leaves the others to be found.
    pub fn from_items<N: Into<String>, T: AsRef<str>>(items: impl IntoIterator<Item = (N, T)>) -> Self {
        let mut list = HeldOut::default();
        for (name, text) in items {
            let characters: Vec<char> = normalise(text.as_ref()).collect();
            if characters.len() < SHORTEST {
                list.refused.push(name.into());
                continue;
            }
            let item = list.names.len() as u32;
            list.names.push(name.into());
            let length = characters.len().min(WINDOW);
            let mut start = 0;
            while start + length <= characters.len() {
                list.insert(length, &characters[start..start + length], item);
                start += length;
            }
            // The tail, overlapping the piece before it.
            if start < characters.len() {
                list.insert(length, &characters[characters.len() - length..], item);
            }
        }
        list
    }

    fn insert(&mut self, length: usize, characters: &[char], item: u32) {
        self.insert_hashes(length, rolling(characters), strong(characters), item);
    }

    fn insert_hashes(&mut self, length: usize, rolling: u64, strong: [u8; 16], item: u32) {
        let index = match self.by_length.iter().position(|(known, _)| *known == length) {
            Some(index) => index,
            None => {
                self.by_length.push((length, HashMap::new()));
                self.by_length.len() - 1
            }
        };
        self.by_length[index].1.entry(rolling).or_default().push(Piece { strong, item });
    }

    /// Items in the list.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// A file of questions: those that show pictures by these, of which none is kept, others by their prompts.
    fn from_questions(path: &Path) -> Result<Self> {
        let (mut told, mut shown) = (Vec::new(), HashMap::new());
        each_question(path, &mut |Question { id, prompt, pictures, .. }| {
            for picture in &pictures {
                shown.insert(*blake3::hash(picture).as_bytes(), id.clone());
            }
            if pictures.is_empty() {
                told.push((id, prompt));
            }
            Ok(())
        })?;
        Ok(HeldOut { pictures: shown, ..HeldOut::from_items(told) })
    }

    /// The name of an item one of whose pictures the document shows, if these were loaded.
    pub fn shown_in(&self, document: &Document) -> Option<&str> {
        let mut loaded = document.images().filter_map(|image| match image {
            ImageRef::Bytes(bytes) if !self.pictures.is_empty() => Some(blake3::hash(bytes)),
            _ => None,
        });
        loaded.find_map(|hash| self.pictures.get(hash.as_bytes())).map(String::as_str)
    }

    /// The name of an item that the document's text holds.
    pub fn find_in(&self, document: &Document) -> Option<&str> {
        let characters: Vec<char> = document.texts().flat_map(normalise).collect();
        let mut first = None;
        self.find(&characters, &mut |name| {
            first = Some(name);
            true
        });
        first
    }

    /// The names of all items that a text holds.
    pub(crate) fn all_in(&self, text: &str) -> HashSet<&str> {
        let characters: Vec<char> = normalise(text).collect();
        let mut all = HashSet::new();
        self.find(&characters, &mut |name| {
            all.insert(name);
            false
        });
        all
    }

    /// Tells of items until `found` says that it is enough.
    fn find<'a>(&'a self, characters: &[char], found: &mut dyn FnMut(&'a str) -> bool) {
        let _ =
            self.by_length.iter().any(|(length, pieces)| self.pieces_in(characters, *length, pieces, found));
    }

    /// The same of pieces of one length; whether it was enough.
    fn pieces_in<'a>(
        &'a self,
        characters: &[char],
        length: usize,
        pieces: &HashMap<u64, Vec<Piece>>,
        found: &mut dyn FnMut(&'a str) -> bool,
    ) -> bool {
        if characters.len() < length || length == 0 {
            return false;
        }
        let top = (1..length).fold(1u64, |power, _| power.wrapping_mul(BASE));
        let mut hash = rolling(&characters[..length]);
        for start in 0.. {
            if let Some(candidates) = pieces.get(&hash) {
                let here = strong(&characters[start..start + length]);
                let same = candidates.iter().filter(|piece| piece.strong == here);
                let mut names = same.filter_map(|piece| self.names.get(piece.item as usize));
                if names.any(|name| found(name)) {
                    return true;
                }
            }
            let Some(&next) = characters.get(start + length) else {
                break;
            };
            let first = u64::from(u32::from(characters[start])) + 1;
            hash = hash.wrapping_sub(first.wrapping_mul(top)).wrapping_mul(BASE);
            hash = hash.wrapping_add(u64::from(u32::from(next)) + 1);
        }
        false
    }

    fn from_lines(path: &Path, text: &str) -> Result<Self> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let mut items = Vec::new();
        for (number, line) in lines {
            let place = format!("{}:{}", path.display(), number + 1);
            let text =
                item(line).map_err(|what| Error::Config(format!("{place}: no held-out item: {what}")))?;
            items.push((place, text));
        }
        match items.is_empty() {
            true => Err(Error::Config(format!("{}: it lists no held-out items", path.display()))),
            false => Ok(HeldOut::from_items(items)),
        }
    }

    /// Writes the list: a line a piece.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut lines = Vec::new();
        for (length, pieces) in &self.by_length {
            for (rolling, pieces) in pieces {
                for piece in pieces {
                    let strong: String = piece.strong.iter().map(|b| format!("{b:02x}")).collect();
                    let name = &self.names[piece.item as usize];
                    lines.push(format!("{length} {rolling:016x} {strong} {}", name.replace('\n', " ")));
                }
            }
        }
        lines.sort();
        let mut file = fs::File::create(path).map_err(Error::io("write", path))?;
        writeln!(file, "{HEADER}\n{}", lines.join("\n")).map_err(Error::io("write", path))
    }

    /// Reads a list: one that was saved, or the items themselves, a line each, plain or as JSON objects
    /// of which `text`, `question` or `prompt` is the item. Its number is then the item's name. Of questions about pictures, in JSONL
    /// or Parquet, the pictures are.
    pub fn open(path: &Path) -> Result<Self> {
        if holds_questions(path) {
            match HeldOut::from_questions(path) {
                Ok(list) if is_parquet(path) || !list.pictures.is_empty() => return Ok(list),
                Err(error) if is_parquet(path) => return Err(error),
                // A list of texts, whatever else stands in its lines.
                _ => {}
            }
        }
        let text = storage::read_text(path)?;
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return Self::from_lines(path, &text);
        }
        let mut list = HeldOut::default();
        let mut known: HashMap<String, u32> = HashMap::new();
        for (number, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
            let (length, rolling, strong, name) = parse_line(line).ok_or_else(|| {
                Error::Config(format!("{}:{}: is not a held-out item", path.display(), number + 2))
            })?;
            let item = *known.entry(name.to_owned()).or_insert_with(|| {
                list.names.push(name.to_owned());
                list.names.len() as u32 - 1
            });
            list.insert_hashes(length, rolling, strong, item);
        }
        Ok(list)
    }
}

/// The text of an item's line; the error says what is wrong.
fn item(line: &str) -> std::result::Result<String, String> {
    if !line.starts_with('{') {
        return Ok(line.to_owned());
    }
    let object: serde_json::Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let text = ["text", "question", "prompt"].into_iter().find_map(|key| object[key].as_str());
    text.map(str::to_owned).ok_or("it has none of the texts 'text', 'question', 'prompt'".into())
}

fn parse_line(line: &str) -> Option<(usize, u64, [u8; 16], &str)> {
    let mut fields = line.splitn(4, ' ');
    let length: usize = fields.next()?.parse().ok()?;
    let rolling = u64::from_str_radix(fields.next()?, 16).ok()?;
    let hex = fields.next()?;
    if !(SHORTEST..=WINDOW).contains(&length) || hex.len() != 32 || !hex.is_ascii() {
        return None;
    }
    let mut strong = [0; 16];
    for (at, byte) in strong.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    Some((length, rolling, strong, fields.next().unwrap_or("")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ITEM: &str = "If a train leaves Vernal Station at 3:40 with 212 passengers, and 17 get off at the \
                        next stop, how many are left?";

    fn holds(list: &HeldOut, text: &str) -> bool {
        list.find_in(&Document::text("", "", text)).is_some()
    }

    #[test]
    fn spacing_and_symbols_do_not_hide_an_item() {
        let list = HeldOut::from_items([("q1", ITEM)]);
        assert!(holds(&list, ITEM));
        assert!(holds(&list, &format!("xx{}yy", ITEM.replace(' ', "\n -- "))));
        // One character changed near the end: the first window is still whole.
        assert!(holds(&list, &ITEM.replace("left", "lost")));
        assert!(!holds(&list, "If a train leaves, nobody asks how many are left."));
    }

    #[test]
    fn short_items_are_whole_or_refused() {
        let list = HeldOut::from_items([("short", "Name twelve primes."), ("no", "Yes?")]);
        assert_eq!((list.len(), list.refused.as_slice()), (1, ["no".to_owned()].as_slice()));
        assert!(holds(&list, "please name: Nametwelveprimes"));
        assert!(!holds(&list, "Name twelve prime"));
    }

    #[test]
    fn a_saved_list_finds_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items");
        HeldOut::from_items([("q 1", ITEM), ("q2", "Name twelve primes.")]).save(&path).unwrap();
        let list = HeldOut::open(&path).unwrap();
        assert_eq!(list.find_in(&Document::text("", "", ITEM)), Some("q 1"));
        assert!(!fs::read_to_string(&path).unwrap().contains("train"));
        fs::write(&path, "\n").unwrap();
        assert!(HeldOut::open(&path).is_err());
        fs::write(&path, "{\"question\": \"q\"}\n{\"answer\": \"none\"}").unwrap();
        assert!(HeldOut::open(&path).err().unwrap().to_string().contains(":2:"));
        fs::write(&path, format!("{HEADER}\n50 zz")).unwrap();
        assert!(HeldOut::open(&path).err().unwrap().to_string().contains(":2:"));
    }

    proptest! {
        /// The same verdict as a plain search for the pieces.
        #[test]
        fn agrees_with_plain_search(
            item in "[ab ]{12,130}",
            text in "[ab ]{0,300}",
            planted in any::<bool>(),
        ) {
            let text = if planted { format!("{text}{item}{text}") } else { text };
            let list = HeldOut::from_items([("i", &item)]);
            let normal: Vec<char> = normalise(&item).collect();
            prop_assume!(normal.len() >= SHORTEST);
            let length = normal.len().min(WINDOW);
            let haystack: String = normalise(&text).collect();
            let mut pieces: Vec<&[char]> = normal.chunks_exact(length).collect();
            pieces.push(&normal[normal.len() - length..]);
            let expected = pieces.iter().any(|p| haystack.contains(&p.iter().collect::<String>()));
            prop_assert_eq!(holds(&list, &text), expected);
        }
    }
}
