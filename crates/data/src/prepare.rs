//! From a document to what is written: cut, hashed, encoded.

use crate::document::{Document, ImageRef, Segment, SegmentKind};
use crate::error::{Error, Result};
use crate::picture::{Bounds, Picture};
use crate::seeing::PictureTokens;
use crate::shard::{Piece, PieceImage, PieceSegment};
use crate::tokenizer::{Encoder, Tokenizer};

/// Encodes documents on one thread.
pub(crate) struct Preparer<'a> {
    tokenizer: &'a Tokenizer,
    encoder: Encoder<'a>,
    /// Without them, images are refused.
    pictures: Option<&'a PictureTokens>,
}

impl<'a> Preparer<'a> {
    pub(crate) fn new(tokenizer: &'a Tokenizer, pictures: Option<&'a PictureTokens>) -> Self {
        Preparer { tokenizer, encoder: tokenizer.encoder(), pictures }
    }

    /// `<|endoftext|>` and the tokens of the document, whose images were loaded.
    ///
    /// # Errors
    /// [`Error::Image`] for one that is no picture or too large; [`Error::Tokenizer`] where a reserved token is missing.
    pub(crate) fn encode(&mut self, document: &Document, hash: [u8; 32]) -> Result<Piece> {
        let mut piece = Piece::default();
        piece.hash.copy_from_slice(&hash[..16]);
        let mut bytes = 0usize;
        let mut words = WordCount::default();
        piece.tokens.reserve(document.text_bytes() / 3 + 2);
        piece.tokens.push(self.tokenizer.eos());
        for segment in &document.segments {
            match &segment.kind {
                SegmentKind::Text(text) => {
                    self.encoder.encode_ordinary(text, &mut piece.tokens)?;
                    bytes += text.len();
                    words.add(text.as_bytes());
                }
                SegmentKind::Special(special) => {
                    let id = self.tokenizer.special(*special).ok_or_else(|| {
                        Error::tokenizer(
                            &document.id,
                            format!(
                                "the tokenizer has no {}, which conversations need; use one that has it, \
                                 or train one",
                                special.as_str()
                            ),
                        )
                    })?;
                    piece.tokens.push(id);
                    words.inside = false;
                }
                SegmentKind::Image(image) => {
                    self.see(&document.id, image, &mut piece)?;
                    words.inside = false;
                    continue;
                }
            }
            let end = u32::try_from(piece.tokens.len())
                .map_err(|_| Error::Config(format!("{}: is longer than 4 G tokens", document.id)))?;
            match piece.segments.last_mut() {
                Some(last) if last.image.is_none() && last.weight == segment.weight => last.end = end,
                Some(last) if last.end == end => {}
                _ => piece.segments.push(PieceSegment { end, weight: segment.weight, image: None }),
            }
        }
        if piece.segments.is_empty() {
            piece.segments.push(PieceSegment { end: 1, weight: 1.0, image: None });
        }
        piece.bytes = u32::try_from(bytes)
            .map_err(|_| Error::Config(format!("{}: is longer than 4 GB", document.id)))?;
        piece.words = words.count;
        Ok(piece)
    }
}

impl Preparer<'_> {
    /// Appends an image of the document `place`: a segment of its own, which counts nothing in the loss.
    fn see(&mut self, place: &str, image: &ImageRef, piece: &mut Piece) -> Result<()> {
        let refused = |what: &str| Error::Image { place: place.into(), what: what.into() };
        let ImageRef::Bytes(bytes) = image else { return Err(refused("the image was not loaded")) };
        let tokens = self
            .pictures
            .ok_or_else(|| refused("the document holds an image, and the data has no tokens for pictures"))?;
        // Decoded as a whole, so that what is broken is found now and not while a model trains.
        let picture =
            Picture::decode(bytes, &Bounds::default()).map_err(|error| refused(&error.to_string()))?;
        let layout = tokens.seeing().preparation.layout(picture.width(), picture.height());
        // What begins the document belongs to what follows it, else to no segment.
        if piece.segments.is_empty() {
            piece.segments.push(PieceSegment { end: piece.tokens.len() as u32, weight: 0.0, image: None });
        }
        tokens.write(place, layout, &mut self.encoder, &mut piece.tokens)?;
        let end = u32::try_from(piece.tokens.len())
            .map_err(|_| refused("the document is longer than 4 G tokens"))?;
        piece.segments.push(PieceSegment { end, weight: 0.0, image: Some(piece.images.len() as u32) });
        piece.images.push(PieceImage { bytes: bytes.clone(), layout });
        Ok(())
    }
}

/// Counts runs of bytes that are no ASCII white space.
#[derive(Default)]
pub(crate) struct WordCount {
    pub(crate) count: u32,
    inside: bool,
}

impl WordCount {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let mut inside = self.inside;
        let mut count = 0u32;
        for byte in bytes {
            let word = !byte.is_ascii_whitespace();
            count += u32::from(word && !inside);
            inside = word;
        }
        self.inside = inside;
        self.count += count;
    }
}

/// Cuts a document of plain text into pieces of at most `most` bytes, at paragraphs, else lines, else
/// words, else characters; each is a document. Others stay whole.
pub(crate) fn cut(document: Document, most: usize) -> Vec<Document> {
    let text = match document.segments.as_slice() {
        [Segment { kind: SegmentKind::Text(text), .. }] if most > 0 && text.len() > most => text,
        _ => return vec![document],
    };
    let weight = document.segments[0].weight;
    let mut pieces = Vec::with_capacity(text.len() / most + 1);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(cut_place(rest, most));
        pieces.push(Document {
            id: format!("{}/{}", document.id, pieces.len()),
            source: document.source.clone(),
            segments: vec![Segment::weighted(piece, weight)],
        });
        rest = after;
    }
    pieces
}

/// Where the first piece of `text` ends. Pieces are of about equal size, so that no crumb is left.
fn cut_place(text: &str, most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    let pieces = text.len().div_ceil(most);
    let aim = text.len().div_ceil(pieces);
    let aim = text.ceil_char_boundary((aim + aim / 16).min(most)).min(text.len());
    let aim = if aim > most { text.floor_char_boundary(most) } else { aim };
    let head = &text[..aim];
    let lowest = head.len() / 2;
    ["\n\n", "\n", " "]
        .iter()
        .filter_map(|mark| head.rfind(mark).map(|at| at + mark.len()))
        .find(|&at| at > lowest)
        .unwrap_or(if aim == 0 { text.chars().next().map_or(1, char::len_utf8) } else { aim })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_the_text_and_small_enough(text in "[a-z日 \n]{0,300}", most in 4usize..60) {
            let pieces = cut(Document::text("d", "s", text.clone()), most);
            let joined: String = pieces.iter().flat_map(|piece| piece.texts()).collect();
            prop_assert_eq!(joined, text);
            for piece in pieces {
                prop_assert!(piece.text_bytes() <= most);
            }
        }
    }

    #[test]
    fn paragraphs_stay_whole_where_they_can() {
        let pieces = cut(Document::text("d", "s", "one two\n\nthree four\n\nfive six"), 24);
        let texts: Vec<_> = pieces.iter().flat_map(|piece| piece.texts()).collect();
        assert_eq!(texts, ["one two\n\n", "three four\n\nfive six"]);
    }

    #[test]
    fn reserved_tokens_in_text_are_text() {
        let tokenizer = Tokenizer::bytes().unwrap();
        let text = "a<|endoftext|><|im_start|>b";
        let piece = Preparer::new(&tokenizer, None).encode(&Document::text("", "", text), [0; 32]).unwrap();
        assert_eq!(piece.tokens[0], tokenizer.eos());
        let rest: Vec<u32> = text.bytes().map(u32::from).collect();
        assert_eq!(piece.tokens[1..], rest);
        assert_eq!((piece.bytes, piece.words), (text.len() as u32, 1));
    }

    #[test]
    fn weights_become_segments() {
        use crate::document::{Message, Special};
        let say = |role: &str, text: &str| Message {
            role: role.into(),
            name: None,
            content: vec![SegmentKind::Text(text.into())],
        };
        let document = Document::conversation("", "", &[say("user", "hi"), say("assistant", "yo")]);
        let tokenizer = Tokenizer::bytes().unwrap();
        let piece = Preparer::new(&tokenizer, None).encode(&document, [0; 32]).unwrap();
        // eos, start, "user\nhi", end, "\n", start, "assistant\n" | "yo", end | "\n"
        let segments: Vec<_> = piece.segments.iter().map(|one| (one.end, one.weight)).collect();
        assert_eq!(segments, [(22, 0.0), (25, 1.0), (26, 0.0)]);
        assert_eq!(piece.tokens[24], tokenizer.special(Special::MessageEnd).unwrap());
    }
}
