//! The frozen held-out set: the same targets for every model, whatever its rows and batches.

use std::sync::Arc;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::order::permute;
use crate::split::Split;
use crate::tokenizer::Tokenizer;

/// Whole documents of a split, as rows, with the bytes and words of what is predicted.
pub struct EvalSet {
    split: Arc<Split>,
    seq: usize,
    /// First token of each document and where it begins in the set; the last entry is the total.
    documents: Vec<(u64, u64)>,
    tokens: u64,
    targets: u64,
    weight: f64,
    bytes: u64,
    words: u64,
}

/// Decides which documents a limited set takes; part of what makes it frozen.
const KEY: u64 = 0x6576_616c;

impl EvalSet {
    /// Takes whole documents, in one fixed pseudo-random order, until the next would exceed `most_tokens`
    /// (at least one). `seq` decides only how much context a target has.
    pub fn new(split: Arc<Split>, tokenizer: &Tokenizer, seq: usize, most_tokens: u64) -> Result<EvalSet> {
        if seq == 0 {
            return Err(Error::Config("a row of 0 tokens holds nothing".into()));
        }
        let count = split.documents();
        if count == 0 {
            return Err(Error::Empty(
                "the data has no held-out documents; build it with a larger hold-out".into(),
            ));
        }
        let mut set = EvalSet {
            seq,
            documents: Vec::new(),
            tokens: 0,
            targets: 0,
            weight: 0.0,
            bytes: 0,
            words: 0,
            split,
        };
        let plain = set.split.uniform();
        let mut chosen = Vec::new();
        for index in 0..count {
            let document = permute(index, count, KEY);
            let range = set.split.document(document);
            let tokens = range.end - range.start;
            if !chosen.is_empty() && set.tokens + tokens > most_tokens {
                break;
            }
            set.tokens += tokens;
            chosen.push(document);
        }
        // Reading goes forward through the files.
        chosen.sort_unstable();
        let mut at = 0;
        for document in chosen {
            let range = set.split.document(document);
            set.documents.push((range.start, at));
            at += range.end - range.start;
            if plain {
                set.targets += range.end - range.start;
                set.bytes += u64::from(set.split.document_bytes(document));
                set.words += u64::from(set.split.document_words(document));
            } else {
                set.count_weighted(document, tokenizer)?;
            }
        }
        set.documents.push((0, at));
        if plain {
            set.weight = set.targets as f64;
        }
        if set.targets == 0 {
            return Err(Error::Empty("nothing in the held-out documents has a weight".into()));
        }
        Ok(set)
    }

    /// Counts the bytes and words of what has a weight in one document.
    fn count_weighted(&mut self, document: u64, tokenizer: &Tokenizer) -> Result<()> {
        let range = self.split.document(document);
        let mut tokens = vec![0; (range.end - range.start) as usize];
        self.split.read(range.start, &mut tokens)?;
        let mut in_word = false;
        let mut start = 0;
        let mut last_weight = 0.0;
        for (end, weight) in self.split.document_segments(document) {
            let end = (end - range.start) as usize;
            for &token in &tokens[start..end] {
                // The first token begins the document and is no target.
                let counts = weight > 0.0 && start > 0;
                if tokenizer.is_special(token as u32) {
                    in_word = false;
                }
                for byte in
                    tokenizer.token_bytes(token as u32).iter().take(tokenizer.text_length(token as u32))
                {
                    let space = byte.is_ascii_whitespace();
                    self.words += u64::from(counts && !space && !in_word);
                    in_word = !space;
                    self.bytes += u64::from(counts);
                }
                self.targets += u64::from(counts);
                self.weight += if counts { f64::from(weight) } else { 0.0 };
                start += 1;
            }
            last_weight = weight;
        }
        self.targets += u64::from(last_weight > 0.0);
        self.weight += f64::from(last_weight);
        Ok(())
    }

    /// Rows that cover the set once.
    pub fn rows(&self) -> usize {
        self.tokens.div_ceil(self.seq as u64) as usize
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

    /// Fills a batch with rows `first` and on; those beyond the last predict nothing.
    pub fn batch(&self, first: usize, rows: usize, batch: &mut Batch) -> Result<()> {
        batch.shape(rows, self.seq);
        for row in 0..rows {
            let start = (first + row) as u64 * self.seq as u64;
            let end = (start + self.seq as u64).min(self.tokens);
            let (mut here, mut place) = (start, row * self.seq);
            while here < end {
                let index = self.documents.partition_point(|&(_, at)| at <= here) - 1;
                let (token, at) = self.documents[index];
                let most = (end - here).min(self.documents[index + 1].1 - here) as usize;
                let count = self.split.fill_part(token + (here - at), most, place, batch)?;
                here += count as u64;
                place += count;
            }
            batch.pad(place..(row + 1) * self.seq, self.split.eos());
        }
        Ok(())
    }
}
