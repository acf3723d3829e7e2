//! Documents and shards as the model sees them.

use std::fmt;

use serde::Serialize;

use crate::batch::Batch;
use crate::dataset::Dataset;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::prepare::Preparer;
use crate::split::Split;
use crate::tokenizer::Tokenizer;

/// A document as tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DocumentView {
    /// Its name, or its number in a split.
    pub id: String,
    /// First half of its content hash, in hexadecimal.
    pub hash: String,
    /// Bytes of text.
    pub bytes: u64,
    /// Words.
    pub words: u64,
    /// All its tokens.
    pub tokens: u64,
    /// The first of them.
    pub shown: Vec<TokenView>,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenView {
    /// Its id.
    pub id: i32,
    /// Its text; bytes that are no UTF-8 by themselves are shown as `U+FFFD`.
    pub text: String,
    /// Whether it is reserved.
    pub special: bool,
    /// Its weight as a target; that of the first token of a document is meaningless.
    pub weight: f32,
}

/// A row of a batch as the model gets it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowView {
    /// The row of the training run.
    pub row: u64,
    /// Its parts: each sees only itself.
    pub parts: Vec<PartView>,
}

/// A part of a row: tokens of one document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartView {
    /// Place of its first token in the row.
    pub start: usize,
    /// Its tokens, with the weight of what each predicts.
    pub tokens: Vec<TokenView>,
    /// What its last token predicts; -1 is nothing.
    pub last_target: i32,
}

fn token(tokenizer: &Tokenizer, id: i32, weight: f32) -> TokenView {
    let unsigned = id.max(0) as u32;
    TokenView { id, text: tokenizer.token_text(unsigned), special: tokenizer.is_special(unsigned), weight }
}

fn hexadecimal(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A document of a split, with its first `most` tokens.
pub fn document(dataset: &Dataset, eval: bool, number: u64, most: usize) -> Result<DocumentView> {
    let split: &Split = if eval { dataset.eval() } else { dataset.train() };
    if number >= split.documents() {
        return Err(Error::Config(format!(
            "document {number}: the split has {}, counted from 0",
            split.documents()
        )));
    }
    let range = split.document(number);
    let total = range.end - range.start;
    let mut ids = vec![0; total.min(most as u64) as usize];
    split.read(range.start, &mut ids)?;
    let mut segments = split.document_segments(number).peekable();
    let mut shown = Vec::with_capacity(ids.len());
    for (offset, &id) in ids.iter().enumerate() {
        while segments.peek().is_some_and(|&(end, _)| end <= range.start + offset as u64) {
            segments.next();
        }
        let weight = segments.peek().map_or(1.0, |&(_, weight)| weight);
        shown.push(token(dataset.tokenizer(), id, weight));
    }
    Ok(DocumentView {
        id: number.to_string(),
        hash: hexadecimal(&split.document_hash(number)),
        bytes: split.document_bytes(number).into(),
        words: split.document_words(number).into(),
        tokens: total,
        shown,
    })
}

/// A document that is not in a data folder, as a tokenizer would have it.
pub fn raw(tokenizer: &Tokenizer, document: &Document, most: usize) -> Result<DocumentView> {
    let piece = Preparer::new(tokenizer, None).encode(document, document.content_hash())?;
    let mut segments = piece.segments.iter().peekable();
    let mut shown = Vec::new();
    for (offset, &id) in piece.tokens.iter().enumerate().take(most) {
        while segments.peek().is_some_and(|segment| segment.end as usize <= offset) {
            segments.next();
        }
        shown.push(token(tokenizer, id as i32, segments.peek().map_or(1.0, |segment| segment.weight)));
    }
    Ok(DocumentView {
        id: document.id.clone(),
        hash: hexadecimal(&piece.hash),
        bytes: piece.bytes.into(),
        words: piece.words.into(),
        tokens: piece.tokens.len() as u64,
        shown,
    })
}

/// Rows of a batch in parts; `first` is the number of the first row.
pub fn rows(tokenizer: &Tokenizer, batch: &Batch, first: u64) -> Vec<RowView> {
    let mut views = Vec::with_capacity(batch.rows);
    for row in 0..batch.rows {
        let mut parts: Vec<PartView> = Vec::new();
        for at in row * batch.seq..(row + 1) * batch.seq {
            if batch.positions[at] == 0 {
                let start = at - row * batch.seq;
                parts.push(PartView { start, tokens: Vec::new(), last_target: -1 });
            }
            if let Some(part) = parts.last_mut() {
                part.tokens.push(token(tokenizer, batch.tokens[at], batch.weights[at]));
                part.last_target = batch.targets[at];
            }
        }
        views.push(RowView { row: first + row as u64, parts });
    }
    views
}

/// Tokens between bars, reserved ones in angle brackets as they are, weight 0 in parentheses.
fn write_tokens(f: &mut fmt::Formatter<'_>, tokens: &[TokenView]) -> fmt::Result {
    for token in tokens {
        let text = token.text.escape_debug();
        match token.weight {
            0.0 => write!(f, "({text})")?,
            1.0 => write!(f, "{text}|")?,
            weight => write!(f, "{text}×{weight}|")?,
        }
    }
    Ok(())
}

impl fmt::Display for DocumentView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "document {}: {} tokens, {} bytes, {} words, {}",
            self.id, self.tokens, self.bytes, self.words, self.hash
        )?;
        write_tokens(f, &self.shown)?;
        if (self.shown.len() as u64) < self.tokens {
            write!(f, "… {} more", self.tokens - self.shown.len() as u64)?;
        }
        Ok(())
    }
}

impl fmt::Display for RowView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: {} parts", self.row, self.parts.len())?;
        for part in &self.parts {
            write!(f, "\n  {:>5}: ", part.start)?;
            write_tokens(f, &part.tokens)?;
            write!(f, " → {}", part.last_target)?;
        }
        Ok(())
    }
}
