//! A document: a list of segments, each text, a reserved token or an image, each with a weight in the loss.
//!
//! Text is a special case of a document (invariant 4): every reader, filter and shard works on
//! [`Document`], never on a string.

use std::path::Path;

use crate::error::{Error, Result};
use crate::storage;

/// One unit of data: what attention may see at once, what is kept, dropped or held out as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Name within its source, for messages and `data inspect`: `books.jsonl.gz:12`, `stories/00017`.
    pub id: String,
    /// The source it came from: a path as the user wrote it, or the name of a generator.
    pub source: String,
    /// The content in reading order.
    pub segments: Vec<Segment>,
}

/// A run of content of one kind and one weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// What it is.
    pub kind: SegmentKind,
    /// Weight of its tokens as targets of the loss: 1 counts fully, 0 is context only.
    pub weight: f32,
}

/// The content of a segment.
#[derive(Clone, Debug, PartialEq)]
pub enum SegmentKind {
    /// Ordinary text: text that looks like a reserved token is encoded as ordinary text.
    Text(String),
    /// A reserved token, which only a renderer can write, never a user's text.
    Special(Special),
    /// An image, held beside the text.
    Image(ImageRef),
}

/// The reserved tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Special {
    /// `<|endoftext|>`: begins and ends every document.
    EndOfText,
    /// `<|im_start|>`: begins a message.
    MessageStart,
    /// `<|im_end|>`: ends a message.
    MessageEnd,
}

/// Where the bytes of an image are.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageRef {
    /// A file: as the document names it, and once it is read from one, by its path.
    File(String),
    /// Bytes that stand in a larger file: a member of an archive.
    Part {
        /// The file's path.
        file: String,
        /// Where they begin.
        start: u64,
        /// How many there are.
        length: u64,
    },
    /// The encoded bytes themselves (PNG, JPEG, …).
    Bytes(Vec<u8>),
}

impl ImageRef {
    /// Its bytes, if there are no more than `most`.
    pub(crate) fn load(self, most: usize) -> Result<Vec<u8>> {
        match self {
            ImageRef::Bytes(bytes) => Ok(bytes),
            ImageRef::File(name) => storage::read_at_most(Path::new(&name), most),
            ImageRef::Part { file, start, length } => {
                storage::read_part(Path::new(&file), start, length, most)
            }
        }
    }
}

impl Special {
    /// Every reserved token, in the order of their ids in a tokenizer trained here.
    pub const ALL: [Special; 3] = [Special::EndOfText, Special::MessageStart, Special::MessageEnd];

    /// The token as it is written in a vocabulary.
    pub fn as_str(self) -> &'static str {
        match self {
            Special::EndOfText => "<|endoftext|>",
            Special::MessageStart => "<|im_start|>",
            Special::MessageEnd => "<|im_end|>",
        }
    }
}

impl Segment {
    /// Text that counts fully in the loss.
    pub fn text(text: impl Into<String>) -> Self {
        Self::weighted(text, 1.0)
    }

    /// Text with a weight of its own.
    pub fn weighted(text: impl Into<String>, weight: f32) -> Self {
        Segment { kind: SegmentKind::Text(text.into()), weight }
    }

    /// A reserved token.
    pub fn special(special: Special, weight: f32) -> Self {
        Segment { kind: SegmentKind::Special(special), weight }
    }
}

/// One message of a conversation, before it is rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// `system`, `user`, `assistant`, or what the data says.
    pub role: String,
    /// An optional name of the speaker.
    pub name: Option<String>,
    /// The content: text and images in order.
    pub content: Vec<SegmentKind>,
}

impl Document {
    /// A document of one piece of text.
    pub fn text(id: impl Into<String>, source: impl Into<String>, text: impl Into<String>) -> Self {
        Document { id: id.into(), source: source.into(), segments: vec![Segment::text(text)] }
    }

    /// A conversation in ChatML. What the assistant says, with its closing token, has weight 1, all
    /// else 0. The header of an assistant's message is a segment of its own, so that training sees the
    /// very tokens that a completion is asked with.
    pub fn conversation(id: impl Into<String>, source: impl Into<String>, messages: &[Message]) -> Self {
        let mut segments = Vec::with_capacity(messages.len() * 4);
        for message in messages {
            let assistant = message.role == "assistant";
            let weight = if assistant { 1.0 } else { 0.0 };
            segments.push(Segment::special(Special::MessageStart, 0.0));
            let mut header = message.role.clone();
            if let Some(name) = &message.name {
                header.push_str(" name=");
                header.push_str(name);
            }
            header.push('\n');
            if assistant {
                segments.push(Segment::weighted(std::mem::take(&mut header), 0.0));
            }
            for part in &message.content {
                match part {
                    SegmentKind::Text(text) => {
                        header.push_str(text);
                        segments.push(Segment::weighted(std::mem::take(&mut header), weight));
                    }
                    other => {
                        if !header.is_empty() {
                            segments.push(Segment::weighted(std::mem::take(&mut header), 0.0));
                        }
                        segments.push(Segment { kind: other.clone(), weight });
                    }
                }
            }
            if !header.is_empty() {
                segments.push(Segment::weighted(header, 0.0));
            }
            segments.push(Segment::special(Special::MessageEnd, weight));
            segments.push(Segment::weighted("\n", 0.0));
        }
        Document { id: id.into(), source: source.into(), segments }
    }

    /// Bytes of text in it.
    pub fn text_bytes(&self) -> usize {
        self.texts().map(str::len).sum()
    }

    /// Its pieces of text, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match &segment.kind {
            SegmentKind::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Its images, in order.
    pub fn images(&self) -> impl Iterator<Item = &ImageRef> {
        self.segments.iter().filter_map(|segment| match &segment.kind {
            SegmentKind::Image(image) => Some(image),
            _ => None,
        })
    }

    /// The same, to be changed.
    pub(crate) fn images_mut(&mut self) -> impl Iterator<Item = &mut ImageRef> {
        self.segments.iter_mut().filter_map(|segment| match &mut segment.kind {
            SegmentKind::Image(image) => Some(image),
            _ => None,
        })
    }

    /// Reads the images that are files or parts of such, none of more than `most` bytes.
    ///
    /// # Errors
    /// [`Error::Image`] for one that cannot be read.
    pub(crate) fn load_images(&mut self, most: usize) -> Result<()> {
        let place = self.id.clone();
        for image in self.images_mut() {
            if matches!(image, ImageRef::Bytes(_)) {
                continue;
            }
            let read = std::mem::replace(image, ImageRef::Bytes(Vec::new())).load(most);
            let failed = |error: Error| Error::Image { place: place.clone(), what: error.to_string() };
            *image = ImageRef::Bytes(read.map_err(failed)?);
        }
        Ok(())
    }

    /// A hash of the content: kinds, weights and bytes, but neither its name nor its source, so that the
    /// same text from two places is one document.
    pub fn content_hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        // A single full-weight text is hashed bare: the hash of a file's text is that of the document.
        if let [Segment { kind: SegmentKind::Text(text), weight }] = self.segments.as_slice()
            && *weight == 1.0
        {
            hasher.update(text.as_bytes());
            return *hasher.finalize().as_bytes();
        }
        hasher.update(b"segments\0");
        let mut part;
        for segment in &self.segments {
            let (tag, bytes): (u8, &[u8]) = match &segment.kind {
                SegmentKind::Text(text) => (0, text.as_bytes()),
                SegmentKind::Special(special) => (1, special.as_str().as_bytes()),
                SegmentKind::Image(ImageRef::File(name)) => (2, name.as_bytes()),
                SegmentKind::Image(ImageRef::Part { file, start, length }) => {
                    part = format!("{file}\0{start}\0{length}");
                    (2, part.as_bytes())
                }
                SegmentKind::Image(ImageRef::Bytes(bytes)) => (3, bytes),
            };
            hasher.update(&[tag]);
            hasher.update(&segment.weight.to_le_bytes());
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: &str, text: &str) -> Message {
        Message { role: role.into(), name: None, content: vec![SegmentKind::Text(text.into())] }
    }

    #[test]
    fn only_the_assistant_counts() {
        let document =
            Document::conversation("a", "b", &[message("user", "Hi"), message("assistant", "Yes")]);
        let counted: Vec<_> = document.segments.iter().filter(|s| s.weight > 0.0).map(|s| &s.kind).collect();
        assert_eq!(counted, [&SegmentKind::Text("Yes".into()), &SegmentKind::Special(Special::MessageEnd)]);
        let rendered: String = document
            .segments
            .iter()
            .map(|s| match &s.kind {
                SegmentKind::Text(text) => text.as_str(),
                SegmentKind::Special(special) => special.as_str(),
                SegmentKind::Image(_) => "",
            })
            .collect();
        assert_eq!(rendered, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes<|im_end|>\n");
    }

    #[test]
    fn the_hash_sees_content_and_not_names() {
        let one = Document::text("a", "b", "same");
        let two = Document::text("c", "d", "same");
        assert_eq!(one.content_hash(), two.content_hash());
        assert_ne!(one.content_hash(), Document::text("a", "b", "other").content_hash());
        let mut lighter = one.clone();
        lighter.segments[0].weight = 0.5;
        assert_ne!(one.content_hash(), lighter.content_hash());
        assert_eq!(one.content_hash(), *blake3::hash(b"same").as_bytes());
    }
}
