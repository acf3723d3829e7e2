//! One split of a data folder, train or eval: its shards as one sequence of tokens.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::manifest::{Manifest, SourceEntry, Span, SplitEntry};
use crate::picture::{Bounds, Layout, Picture};
use crate::seeing::Look;
use crate::shard::Shard;

/// A split opened for reading. Tokens and documents are numbered over all its shards.
pub struct Split {
    shards: Vec<Shard>,
    /// First token and first document of each shard, and the totals.
    token_starts: Vec<u64>,
    document_starts: Vec<u64>,
    bytes: u64,
    words: u64,
    eos: i32,
    groups: Vec<Group>,
}

/// A part of the split with its share in the mix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) start: u64,
    pub(crate) tokens: u64,
    pub(crate) weight: f64,
}

impl Split {
    /// `span` gives a source's part of the split and its weight in the mix.
    pub(crate) fn open(
        folder: &Path,
        manifest: &Manifest,
        entry: &SplitEntry,
        span: impl Fn(&SourceEntry) -> (Span, Option<f64>),
        eos: u32,
    ) -> Result<Split> {
        let mut shards = Vec::with_capacity(entry.shards.len().min(1 << 16));
        let (mut token_starts, mut document_starts) = (vec![0], vec![0]);
        let (mut tokens, mut documents, mut bytes, mut words) = (0u64, 0u64, 0u64, 0u64);
        for shard in &entry.shards {
            let opened = Shard::open(folder, &shard.name, manifest.tokenizer.vocab_size)?;
            if opened.tokens() != shard.tokens || opened.documents() as u64 != shard.documents {
                let path = folder.join(format!("{}.tokens", shard.name));
                return Err(Error::corrupt(&path, "is not the file that the manifest describes"));
            }
            tokens += opened.tokens();
            documents += opened.documents() as u64;
            bytes += opened.bytes;
            words += opened.words;
            token_starts.push(tokens);
            document_starts.push(documents);
            shards.push(opened);
        }
        let path = folder.join(crate::manifest::FILE);
        let groups = groups(manifest, span, tokens).map_err(|what| Error::corrupt(&path, what))?;
        Ok(Split { shards, token_starts, document_starts, bytes, words, eos: eos as i32, groups })
    }

    /// Tokens, with one for the beginning of each document.
    pub fn tokens(&self) -> u64 {
        self.token_starts.last().copied().unwrap_or(0)
    }

    /// Documents.
    pub fn documents(&self) -> u64 {
        self.document_starts.last().copied().unwrap_or(0)
    }

    /// Bytes of text.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Words of text: runs of bytes that are no ASCII white space.
    pub fn words(&self) -> u64 {
        self.words
    }

    /// The token that begins and ends documents.
    pub fn eos(&self) -> i32 {
        self.eos
    }

    /// Takes what was read out of resident memory: pages of a mapped file count as the process's until
    /// then, and a run that reads at random soon has all of them.
    pub fn release(&self) {
        self.shards.iter().for_each(Shard::release);
    }

    /// Whether every token has weight 1.
    pub fn uniform(&self) -> bool {
        self.shards.iter().all(|shard| shard.uniform)
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// A token.
    pub fn token(&self, token: u64) -> Result<i32> {
        let mut out = [0];
        self.read(token, &mut out)?;
        Ok(out[0])
    }

    /// Copies tokens from `start` on.
    pub fn read(&self, mut start: u64, mut out: &mut [i32]) -> Result<()> {
        if start.checked_add(out.len() as u64).is_none_or(|end| end > self.tokens()) {
            let end = self.tokens();
            return Err(Error::Config(format!("token {start} and on: the split has {end}")));
        }
        while !out.is_empty() {
            let shard = self.shard_of(start);
            let inside = start - self.token_starts[shard];
            let count = (self.shards[shard].tokens() - inside).min(out.len() as u64) as usize;
            let (now, rest) = out.split_at_mut(count);
            self.shards[shard].read(inside, now)?;
            start += count as u64;
            out = rest;
        }
        Ok(())
    }

    fn shard_of(&self, token: u64) -> usize {
        self.token_starts.partition_point(|&start| start <= token) - 1
    }

    /// The document that holds a token.
    ///
    /// # Panics
    /// If there is no such token.
    pub fn document_of(&self, token: u64) -> u64 {
        assert!(token < self.tokens(), "token {token} of {}", self.tokens());
        let shard = self.shard_of(token);
        let document = self.shards[shard].document_of(token - self.token_starts[shard]);
        self.document_starts[shard] + document as u64
    }

    fn place(&self, document: u64) -> (usize, usize) {
        assert!(document < self.documents(), "document {document} of {}", self.documents());
        let shard = self.document_starts.partition_point(|&start| start <= document) - 1;
        (shard, (document - self.document_starts[shard]) as usize)
    }

    /// The tokens of a document, the first being `<|endoftext|>`.
    ///
    /// # Panics
    /// If there is no such document; so do the methods below.
    pub fn document(&self, document: u64) -> Range<u64> {
        let (shard, inside) = self.place(document);
        let start = self.token_starts[shard];
        start + self.shards[shard].document_start(inside)..start + self.shards[shard].document_end(inside)
    }

    /// First 16 bytes of the content hash of a document.
    pub fn document_hash(&self, document: u64) -> [u8; 16] {
        let (shard, inside) = self.place(document);
        self.shards[shard].document_hash(inside)
    }

    /// Bytes of text of a document.
    pub fn document_bytes(&self, document: u64) -> u32 {
        let (shard, inside) = self.place(document);
        self.shards[shard].document_bytes(inside)
    }

    /// Words of a document.
    pub fn document_words(&self, document: u64) -> u32 {
        let (shard, inside) = self.place(document);
        self.shards[shard].document_words(inside)
    }

    /// The segments of a document: end (in tokens of the split) and weight.
    pub fn document_segments(&self, document: u64) -> impl Iterator<Item = (u64, f32)> + '_ {
        let (shard_index, inside) = self.place(document);
        let shard = &self.shards[shard_index];
        let start = self.token_starts[shard_index];
        let first = shard.segment_of(shard.document_start(inside));
        let last = shard.segment_of(shard.document_end(inside) - 1);
        (first..=last).map(move |s| (start + shard.segment_end(s), shard.segment_weight(s)))
    }

    /// Whether it has images.
    pub fn sees(&self) -> bool {
        self.shards.iter().any(Shard::sees)
    }

    /// Images in a document: their segments, the files, and how they are tiled.
    pub fn document_images(&self, document: u64) -> impl Iterator<Item = (Range<u64>, &[u8], Layout)> + '_ {
        let (shard_index, inside) = self.place(document);
        let shard = &self.shards[shard_index];
        let start = self.token_starts[shard_index];
        let first = shard.segment_of(shard.document_start(inside));
        let last = shard.segment_of(shard.document_end(inside) - 1);
        (first..=last).filter_map(move |s| {
            let image = shard.segment_image(s)?;
            let place = start + shard.segment_start(s)..start + shard.segment_end(s);
            Some((place, shard.image(image), shard.image_layout(image)))
        })
    }

    /// How many documents with pictures there are of so many tokens and tiles.
    pub fn shown(&self) -> BTreeMap<(usize, usize), u64> {
        let mut shown = BTreeMap::new();
        for document in (0..self.documents()).filter(|_| self.sees()) {
            let tiles: usize = self.document_images(document).map(|(.., layout)| layout.tiles()).sum();
            if tiles > 0 {
                let Range { start, end } = self.document(document);
                *shown.entry(((end - start) as usize, tiles)).or_default() += 1;
            }
        }
        shown
    }

    /// Tiles of which a part is shown in a range of tokens, all of one document.
    pub(crate) fn tiles(&self, range: Range<u64>, look: &Look) -> Result<usize> {
        let index = self.shard_of(range.start);
        let (shard, start) = (&self.shards[index], self.token_starts[index]);
        if shard.sees() { shard.tiles(range.start - start..range.end - start, look) } else { Ok(0) }
    }

    /// Fills a part of a batch, from place `at` on, with up to `most` tokens from token `start` on, all of
    /// one document and seeing only each other; returns how many.
    #[inline]
    pub(crate) fn fill_part(
        &self,
        start: u64,
        most: usize,
        at: usize,
        look: Option<&Look>,
        batch: &mut Batch,
    ) -> Result<usize> {
        let index = self.shard_of(start);
        let shard = &self.shards[index];
        let from = start - self.token_starts[index];
        let document = shard.document_of(from);
        let end = shard.document_end(document);
        let count = ((end - from).min(most as u64)) as usize;
        if count == 0 {
            return Ok(0);
        }
        let tokens = &mut batch.tokens[at..at + count];
        shard.read(from, tokens)?;
        let next = from + count as u64;
        let targets = &mut batch.targets[at..at + count];
        targets[..count - 1].copy_from_slice(&tokens[1..]);
        if next == end {
            targets[count - 1] = self.eos;
        } else {
            shard.read(next, &mut targets[count - 1..])?;
        }
        let weights = &mut batch.weights[at..at + count];
        if shard.uniform {
            weights.fill(1.0);
        } else {
            // A target's weight is that of its own segment; that of the end is the last segment's.
            let mut segment = shard.segment_of((from + 1).min(end - 1));
            for (offset, (weight, target)) in weights.iter_mut().zip(targets).enumerate() {
                let token = (from + 1 + offset as u64).min(end - 1);
                while shard.segment_end(segment) <= token {
                    segment += 1;
                }
                *weight = shard.segment_weight(segment);
                if *weight == 0.0 {
                    *target = -1;
                }
            }
        }
        for offset in 0..count {
            batch.positions[at + offset] = offset as i32;
            batch.lo[at + offset] = at as i32;
            batch.hi[at + offset] = (at + offset + 1) as i32;
        }
        if let Some(look) = look.filter(|_| shard.sees()) {
            fill_tiles(shard, from..from + count as u64, at, look, batch)?;
        }
        Ok(count)
    }
}

/// Puts what is shown in a range of tokens, which stand at place `at` of a batch, among the batch's tiles.
fn fill_tiles(shard: &Shard, range: Range<u64>, at: usize, look: &Look, batch: &mut Batch) -> Result<()> {
    let damaged = |what: String| Error::corrupt(shard.path(), what);
    let from = range.start;
    let (mut picture, mut number) = (None, 0);
    shard.see(range, look, |image, tile, part, token, new| {
        if new {
            if picture.as_ref().is_none_or(|(of, _)| *of != image) {
                let read = Picture::decode(shard.image(image), &Bounds::default());
                let read = read.map_err(|error| damaged(format!("holds an image that was one: {error}")))?;
                picture = Some((image, look.seeing.preparation.apply(&read)));
            }
            let tiles =
                picture.as_ref().map(|(_, tiles)| tiles).filter(|tiles| tile < tiles.layout().tiles());
            let tiles = tiles.ok_or_else(|| damaged("shows more of an image than there is".into()))?;
            let put = batch.tiles.put(tiles, tile, look);
            number =
                put.ok_or_else(|| damaged("shows more images in a row than there is room for".into()))?;
        }
        batch.tiles.rows[number * look.seeing.tokens() + part] = (at + (token - from) as usize) as i32;
        Ok(())
    })
}

/// The parts that are mixed: one a source if sources have weights, else the whole.
fn groups(
    manifest: &Manifest,
    span: impl Fn(&SourceEntry) -> (Span, Option<f64>),
    tokens: u64,
) -> Result<Vec<Group>, String> {
    let mut groups = Vec::new();
    for source in &manifest.sources {
        let (span, Some(weight)) = span(source) else {
            continue;
        };
        if span.start.checked_add(span.tokens).is_none_or(|end| end > tokens)
            || !(weight.is_finite() && weight > 0.0)
        {
            return Err(format!("describes source {:?} wrongly", source.path));
        }
        if span.tokens > 0 {
            groups.push(Group { start: span.start, tokens: span.tokens, weight });
        }
    }
    if groups.is_empty() && tokens > 0 {
        groups.push(Group { start: 0, tokens, weight: 1.0 });
    }
    Ok(groups)
}
