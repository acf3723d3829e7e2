//! The frozen held-out set: the same targets for every model, whatever its rows and batches.

use std::sync::Arc;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::order::permute;
use crate::packing::pack;
use crate::seeing::Look;
use crate::split::Split;
use crate::tokenizer::Tokenizer;

/// Pieces of a split's documents, as rows, with the bytes and words of what is predicted.
///
/// Documents are cut into pieces of 2048 tokens, and pieces are drawn, for documents differ in length by orders of
/// magnitude: a few whole ones would be a poor sample, and long ones would never be taken.
pub struct EvalSet {
    split: Arc<Split>,
    seq: usize,
    /// First token of each piece and where it begins in the set; the last entry is the total.
    pieces: Vec<(u64, u64)>,
    /// Where rows begin in the set, and the end, if they are not all of one length.
    starts: Option<Vec<u64>>,
    look: Option<Look>,
    tokens: u64,
    targets: u64,
    weight: f64,
    bytes: u64,
    words: u64,
}

/// Decides which pieces a limited set takes; part of what makes it frozen.
const KEY: u64 = 0x6576_616c;

/// Tokens of a piece, at most.
const PIECE: u64 = 2048;

impl EvalSet {
    /// Takes pieces, in one fixed pseudo-random order, until the next would exceed `most_tokens` (at least one).
    /// `seq` decides only how much context a target has.
    pub fn new(split: Arc<Split>, tokenizer: &Tokenizer, seq: usize, most_tokens: u64) -> Result<EvalSet> {
        EvalSet::seeing(split, tokenizer, seq, most_tokens, None)
    }

    /// The same for a model that sees: documents are cut where that can be helped no more than in training.
    pub fn seeing(
        split: Arc<Split>,
        tokenizer: &Tokenizer,
        seq: usize,
        most_tokens: u64,
        look: Option<Look>,
    ) -> Result<EvalSet> {
        if seq == 0 {
            return Err(Error::Config("a row of 0 tokens holds nothing".into()));
        }
        if split.documents() == 0 {
            return Err(Error::Empty(
                "the data has no held-out documents; build it with a larger hold-out".into(),
            ));
        }
        // Pieces before each document.
        let mut before = vec![0];
        for document in 0..split.documents() {
            let range = split.document(document);
            before.push(before[document as usize] + (range.end - range.start).div_ceil(PIECE));
        }
        let count = before[before.len() - 1];
        let mut chosen = Vec::new();
        let mut tokens = 0;
        for index in 0..count {
            let piece = permute(index, count, KEY);
            let document = before.partition_point(|&first| first <= piece) - 1;
            let range = split.document(document as u64);
            let start = range.start + (piece - before[document]) * PIECE;
            let end = range.end.min(start + PIECE);
            if !chosen.is_empty() && tokens + (end - start) > most_tokens {
                break;
            }
            tokens += end - start;
            chosen.push((start, end, document as u64));
        }
        // Reading goes forward through the files.
        chosen.sort_unstable();
        let starts = match look.as_ref().filter(|_| split.sees()) {
            Some(look) => Some(pack(&split, chosen.iter().map(|&(start, end, _)| start..end), seq, look)?),
            None => None,
        };
        let (pieces, targets, weight, bytes, words) = (Vec::new(), 0, 0.0, 0, 0);
        let mut set = EvalSet { seq, pieces, starts, look, tokens, targets, weight, bytes, words, split };
        let mut at = 0;
        for (start, end, document) in chosen {
            set.pieces.push((start, at));
            at += end - start;
            set.count(start, end, document, tokenizer)?;
        }
        set.pieces.push((0, at));
        if set.targets == 0 {
            return Err(Error::Empty("nothing in the held-out documents has a weight".into()));
        }
        Ok(set)
    }

    /// Counts what has a weight among the targets of a piece: the tokens behind each of its own; behind a document's
    /// last stands its end, with the weight of what it ends.
    fn count(&mut self, start: u64, end: u64, document: u64, tokenizer: &Tokenizer) -> Result<()> {
        let last = self.split.document(document).end;
        let mut tokens = vec![0; (end.min(last - 1) + 1 - start) as usize];
        self.split.read(start, &mut tokens)?;
        let mut in_word = false;
        let mut weight = 0.0;
        let mut segments = self.split.document_segments(document);
        let mut segment_end = 0;
        for (token, at) in tokens.into_iter().zip(start..) {
            while segment_end <= at {
                let Some(segment) = segments.next() else { break };
                (segment_end, weight) = segment;
            }
            let counts = weight > 0.0 && at > start;
            let token = token as u32;
            in_word &= !tokenizer.is_special(token);
            for byte in tokenizer.token_bytes(token).iter().take(tokenizer.text_length(token)) {
                let space = byte.is_ascii_whitespace();
                self.words += u64::from(counts && !space && !in_word);
                in_word = !space;
                self.bytes += u64::from(counts);
            }
            self.targets += u64::from(counts);
            self.weight += if counts { f64::from(weight) } else { 0.0 };
        }
        if end == last {
            self.targets += u64::from(weight > 0.0);
            self.weight += f64::from(weight);
        }
        Ok(())
    }

    /// Rows that cover the set once.
    pub fn rows(&self) -> usize {
        let even = || self.tokens.div_ceil(self.seq as u64) as usize;
        self.starts.as_ref().map_or_else(even, |starts| starts.len() - 1)
    }

    /// Tokens a row.
    pub fn seq(&self) -> usize {
        self.seq
    }

    /// Tokens predicted with a weight above 0.
    pub fn targets(&self) -> u64 {
        self.targets
    }

    /// Sum of the targets' weights: what a weighted sum of losses is divided by.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// Bytes of text predicted.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Words predicted: runs of bytes that are no ASCII white space.
    pub fn words(&self) -> u64 {
        self.words
    }

    /// Where a row begins and ends in the set.
    fn row(&self, row: usize) -> (u64, u64) {
        match &self.starts {
            Some(starts) => {
                let place = |at: usize| starts.get(at).copied().unwrap_or(self.tokens);
                (place(row), place(row + 1))
            }
            None => {
                let start = row as u64 * self.seq as u64;
                (start, (start + self.seq as u64).min(self.tokens))
            }
        }
    }

    /// Fills a batch with rows `first` and on; those beyond the last predict nothing.
    pub fn batch(&self, first: usize, rows: usize, batch: &mut Batch) -> Result<()> {
        batch.shape(rows, self.seq, self.look.as_ref());
        for row in 0..rows {
            let (start, end) = self.row(first + row);
            let (mut here, mut place) = (start, row * self.seq);
            while here < end {
                let index = self.pieces.partition_point(|&(_, at)| at <= here) - 1;
                let (token, at) = self.pieces[index];
                let most = (end - here).min(self.pieces[index + 1].1 - here) as usize;
                let count =
                    self.split.fill_part(token + (here - at), most, place, self.look.as_ref(), batch)?;
                here += count as u64;
                place += count;
            }
            batch.pad(place..(row + 1) * self.seq, self.split.eos());
        }
        Ok(())
    }
}
