//! The files of tokens, written once and read through a memory map.
//!
//! ```text
//! x.tokens  64 bytes  "foretell tokens\0", version u32, bytes a token u32 (2 or 4), zeros
//!           tokens    u16 or u32 each
//! x.index   64 bytes  "foretell index\0\0", version u32, zero u32, documents u64, segments u64, tokens u64, images u64, zeros
//!           documents ends u64 (in tokens), bytes u32, words u32, hash [16]: four arrays
//!           segments  ends u64 (in tokens), weight f32, kind u32 (0: text, 1: image), image u32: four arrays
//!           images    ends u64 (in x.images), rows and columns of tiles u16 each: three arrays
//! x.images  64 bytes  "foretell images\0", version u32, zeros; only where there are images
//!           images    the files as they were found, one after the other, each once
//! ```
//!
//! All numbers are little-endian. A document is `<|endoftext|>` and its tokens; its end is not stored,
//! since what follows is always `<|endoftext|>`. Nothing in a file is believed: sizes, order and ranges are
//! checked when it is opened, tokens when they are read.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::manifest::ShardEntry;
use crate::picture::Layout;
use crate::seeing::Look;
use crate::storage::Bytes;

const TOKENS_MAGIC: &[u8; 16] = b"foretell tokens\0";
const INDEX_MAGIC: &[u8; 16] = b"foretell index\0\0";
const IMAGES_MAGIC: &[u8; 16] = b"foretell images\0";
const FORMAT_VERSION: u32 = 1;
const HEADER: usize = 64;
/// Bytes of the index for a document, for a segment and for an image.
const DOCUMENT: u64 = 8 + 4 + 4 + 16;
const SEGMENT: u64 = 8 + 4 + 4 + 4;
const IMAGE: u64 = 8 + 2 + 2;
/// Documents in a shard: bounds what a writer holds in memory.
const MOST_DOCUMENTS: usize = 1 << 20;
/// Segments in a shard, likewise.
const MOST_SEGMENTS: usize = 1 << 22;

/// Kinds of a segment in the index.
const OF_TEXT: u32 = 0;
const OF_IMAGE: u32 = 1;
/// What stands for no image.
const NO_IMAGE: u32 = u32::MAX;

/// A document ready to be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Piece {
    /// First 16 bytes of its content hash.
    pub(crate) hash: [u8; 16],
    /// `<|endoftext|>` and its tokens.
    pub(crate) tokens: Vec<u32>,
    /// The last ends with the tokens.
    pub(crate) segments: Vec<PieceSegment>,
    pub(crate) images: Vec<PieceImage>,
    pub(crate) bytes: u32,
    pub(crate) words: u32,
}

/// A segment of a piece.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PieceSegment {
    /// In `tokens`.
    pub(crate) end: u32,
    pub(crate) weight: f32,
    /// Which of the piece's images it is, if it is one.
    pub(crate) image: Option<u32>,
}

/// An image of a piece.
#[derive(Clone, Debug)]
pub(crate) struct PieceImage {
    /// The file.
    pub(crate) bytes: Vec<u8>,
    pub(crate) layout: Layout,
}

/// Writes the shards of one split.
pub(crate) struct ShardWriter {
    folder: PathBuf,
    split: &'static str,
    wide: bool,
    limit: u64,
    current: Option<Current>,
    entries: Vec<ShardEntry>,
    /// Over all shards.
    pub(crate) tokens: u64,
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
    pub(crate) words: u64,
    pub(crate) images: u64,
    pub(crate) tiles: u64,
    /// Of a document.
    pub(crate) most_tiles: u64,
}

/// A file that is hashed while it is written.
struct Hashed {
    path: PathBuf,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
}

impl Hashed {
    /// Makes the file and writes its header, whose beginning is given.
    fn create(path: PathBuf, magic: &[u8; 16], rest: u32) -> Result<Hashed> {
        let file = File::create_new(&path).map_err(Error::io("create", &path))?;
        let mut hashed =
            Hashed { path, file: BufWriter::with_capacity(1 << 18, file), hasher: blake3::Hasher::new() };
        let mut header = [0; HEADER];
        header[..16].copy_from_slice(magic);
        header[16..20].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        header[20..24].copy_from_slice(&rest.to_le_bytes());
        hashed.write(&header)?;
        Ok(hashed)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(Error::io("write", &self.path))
    }

    /// Syncs it; its hash.
    fn finish(mut self) -> Result<String> {
        self.file.flush().map_err(Error::io("write", &self.path))?;
        self.file.get_ref().sync_all().map_err(Error::io("write", &self.path))?;
        Ok(self.hasher.finalize().to_hex().to_string())
    }
}

struct Current {
    name: String,
    file: Hashed,
    /// Only where there are some.
    pictures: Option<Hashed>,
    buffer: Vec<u8>,
    tokens: u64,
    ends: Vec<u64>,
    bytes: Vec<u32>,
    words: Vec<u32>,
    hashes: Vec<[u8; 16]>,
    /// End, weight, image.
    segments: Vec<(u64, f32, u32)>,
    /// End in the file of images, and layout.
    images: Vec<(u64, Layout)>,
    known: HashMap<[u8; 32], u32>,
}

impl ShardWriter {
    /// `limit`: tokens after which a shard is closed.
    pub(crate) fn new(folder: &Path, split: &'static str, vocab_size: usize, limit: u64) -> Self {
        ShardWriter {
            folder: folder.to_path_buf(),
            split,
            wide: vocab_size > 1 << 16,
            limit,
            current: None,
            entries: Vec::new(),
            tokens: 0,
            documents: 0,
            bytes: 0,
            words: 0,
            images: 0,
            tiles: 0,
            most_tiles: 0,
        }
    }

    pub(crate) fn push(&mut self, piece: &Piece) -> Result<()> {
        let full = self.current.as_ref().is_some_and(|current| {
            current.tokens + piece.tokens.len() as u64 > self.limit
                || current.ends.len() >= MOST_DOCUMENTS
                || current.segments.len() + piece.segments.len() > MOST_SEGMENTS
        });
        if full {
            self.close()?;
        }
        if self.current.is_none() {
            self.current = Some(self.create()?);
        }
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        current.buffer.clear();
        if self.wide {
            current.buffer.extend(piece.tokens.iter().flat_map(|token| token.to_le_bytes()));
        } else {
            current.buffer.extend(piece.tokens.iter().flat_map(|&token| (token as u16).to_le_bytes()));
        }
        current.file.write(&current.buffer)?;
        let mut places = Vec::with_capacity(piece.images.len());
        for image in &piece.images {
            places.push(current.place(&self.folder, image)?);
        }
        let tiles = piece.images.iter().map(|image| image.layout.tiles() as u64).sum();
        self.images += piece.images.len() as u64;
        self.tiles += tiles;
        self.most_tiles = self.most_tiles.max(tiles);
        let start = current.tokens;
        current.tokens += piece.tokens.len() as u64;
        current.ends.push(current.tokens);
        current.bytes.push(piece.bytes);
        current.words.push(piece.words);
        current.hashes.push(piece.hash);
        current.segments.extend(piece.segments.iter().map(|segment| {
            let image = segment.image.map_or(NO_IMAGE, |image| places[image as usize]);
            (start + u64::from(segment.end), segment.weight, image)
        }));
        self.tokens += piece.tokens.len() as u64;
        self.documents += 1;
        self.bytes += u64::from(piece.bytes);
        self.words += u64::from(piece.words);
        Ok(())
    }

    fn create(&self) -> Result<Current> {
        let name = format!("{}-{:05}", self.split, self.entries.len());
        let path = self.folder.join(format!("{name}.tokens"));
        Ok(Current {
            name,
            file: Hashed::create(path, TOKENS_MAGIC, if self.wide { 4 } else { 2 })?,
            pictures: None,
            buffer: Vec::new(),
            tokens: 0,
            ends: Vec::new(),
            bytes: Vec::new(),
            words: Vec::new(),
            hashes: Vec::new(),
            segments: Vec::new(),
            images: Vec::new(),
            known: HashMap::new(),
        })
    }

    fn close(&mut self) -> Result<()> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let index = current.index();
        let path = self.folder.join(format!("{}.index", current.name));
        let mut file = File::create_new(&path).map_err(Error::io("create", &path))?;
        file.write_all(&index).map_err(Error::io("write", &path))?;
        file.sync_all().map_err(Error::io("write", &path))?;
        self.entries.push(ShardEntry {
            name: current.name,
            tokens: current.tokens,
            documents: current.ends.len() as u64,
            tokens_blake3: current.file.finish()?,
            index_blake3: blake3::hash(&index).to_hex().to_string(),
            images_blake3: current.pictures.map(Hashed::finish).transpose()?,
        });
        Ok(())
    }

    /// Closes the last shard.
    pub(crate) fn finish(&mut self) -> Result<Vec<ShardEntry>> {
        self.close()?;
        Ok(std::mem::take(&mut self.entries))
    }
}

impl Current {
    /// The number of an image, which is written if it is new.
    fn place(&mut self, folder: &Path, image: &PieceImage) -> Result<u32> {
        let hash = *blake3::hash(&image.bytes).as_bytes();
        if let Some(&known) = self.known.get(&hash) {
            return Ok(known);
        }
        let file = match &mut self.pictures {
            Some(file) => file,
            none => {
                let path = folder.join(format!("{}.images", self.name));
                none.insert(Hashed::create(path, IMAGES_MAGIC, 0)?)
            }
        };
        file.write(&image.bytes)?;
        let before = self.images.last().map_or(0, |(end, _)| *end);
        let number = self.images.len() as u32;
        self.images.push((before + image.bytes.len() as u64, image.layout));
        self.known.insert(hash, number);
        Ok(number)
    }

    fn index(&self) -> Vec<u8> {
        let (documents, segments) = (self.ends.len(), self.segments.len());
        let images = self.images.len();
        let size =
            HEADER + documents * DOCUMENT as usize + segments * SEGMENT as usize + images * IMAGE as usize;
        let mut out = Vec::with_capacity(size);
        out.extend_from_slice(INDEX_MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&0u32.to_le_bytes());
        for count in [documents as u64, segments as u64, self.tokens, images as u64] {
            out.extend_from_slice(&count.to_le_bytes());
        }
        out.resize(HEADER, 0);
        out.extend(self.ends.iter().flat_map(|end| end.to_le_bytes()));
        out.extend(self.bytes.iter().flat_map(|bytes| bytes.to_le_bytes()));
        out.extend(self.words.iter().flat_map(|words| words.to_le_bytes()));
        out.extend(self.hashes.iter().flatten());
        out.extend(self.segments.iter().flat_map(|(end, ..)| end.to_le_bytes()));
        out.extend(self.segments.iter().flat_map(|(_, weight, _)| weight.to_le_bytes()));
        let kind = |image: u32| if image == NO_IMAGE { OF_TEXT } else { OF_IMAGE };
        out.extend(self.segments.iter().flat_map(|(.., image)| kind(*image).to_le_bytes()));
        out.extend(self.segments.iter().flat_map(|(.., image)| image.to_le_bytes()));
        out.extend(self.images.iter().flat_map(|(end, _)| end.to_le_bytes()));
        out.extend(self.images.iter().flat_map(|(_, layout)| (layout.rows as u16).to_le_bytes()));
        out.extend(self.images.iter().flat_map(|(_, layout)| (layout.columns as u16).to_le_bytes()));
        out
    }
}

/// A shard opened for reading.
pub(crate) struct Shard {
    tokens: Bytes,
    index: Bytes,
    pictures: Option<Bytes>,
    path: PathBuf,
    wide: bool,
    vocab_size: u32,
    count: u64,
    documents: usize,
    segments: usize,
    images: usize,
    /// Every weight is 1.
    pub(crate) uniform: bool,
    pub(crate) bytes: u64,
    pub(crate) words: u64,
}

impl Shard {
    /// See [`kernels::Map::release`].
    pub(crate) fn release(&self) {
        self.tokens.release();
        self.index.release();
        self.pictures.iter().for_each(Bytes::release);
    }

    /// Opens and checks `name.tokens` and `name.index`.
    pub(crate) fn open(folder: &Path, name: &str, vocab_size: usize) -> Result<Shard> {
        let safe = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !safe || name.is_empty() {
            return Err(Error::corrupt(folder, format!("names a shard {name:?}")));
        }
        let path = folder.join(format!("{name}.tokens"));
        let tokens = Bytes::open(&path)?;
        let index = Bytes::open(&folder.join(format!("{name}.index")))?;
        let pictures = folder.join(format!("{name}.images"));
        let pictures = pictures.exists().then(|| Bytes::open(&pictures)).transpose()?;
        Shard::from_parts(tokens, index, pictures, path, vocab_size)
    }

    fn from_parts(
        tokens: Bytes,
        index: Bytes,
        pictures: Option<Bytes>,
        path: PathBuf,
        vocab_size: usize,
    ) -> Result<Shard> {
        let (bytes, head) = (tokens.as_slice(), index.as_slice());
        if bytes.len() < HEADER || &bytes[..16] != TOKENS_MAGIC {
            return Err(Error::corrupt(&path, "is no file of tokens, or is truncated"));
        }
        let width = match (u32_at(bytes, 16), u32_at(bytes, 20)) {
            (FORMAT_VERSION, width @ (2 | 4)) => width as usize,
            (version, width) => {
                let what = format!("has version {version} and {width} bytes a token, which is unknown");
                return Err(Error::corrupt(&path, what));
            }
        };
        if !(bytes.len() - HEADER).is_multiple_of(width) {
            return Err(Error::corrupt(&path, "is truncated"));
        }
        let count = ((bytes.len() - HEADER) / width) as u64;
        let index_path = path.with_extension("index");
        if head.len() < HEADER || &head[..16] != INDEX_MAGIC || u32_at(head, 16) != FORMAT_VERSION {
            return Err(Error::corrupt(&index_path, "is no index, or is truncated, or has another version"));
        }
        let (documents, segments, images) = (u64_at(head, 24), u64_at(head, 32), u64_at(head, 48));
        let mut size = Some(HEADER as u64);
        for (count, each) in [(documents, DOCUMENT), (segments, SEGMENT), (images, IMAGE)] {
            size = size.zip(count.checked_mul(each)).and_then(|(size, more)| size.checked_add(more));
        }
        if size != Some(head.len() as u64) {
            return Err(Error::corrupt(&index_path, "is truncated"));
        }
        if u64_at(head, 40) != count {
            return Err(Error::corrupt(&path, "does not have the tokens that its index says"));
        }
        let mut shard = Shard {
            wide: width == 4,
            vocab_size: u32::try_from(vocab_size).unwrap_or(u32::MAX),
            count,
            documents: documents as usize,
            segments: segments as usize,
            images: images as usize,
            uniform: true,
            bytes: 0,
            words: 0,
            tokens,
            index,
            pictures,
            path,
        };
        shard.check().map_err(|what| Error::corrupt(&index_path, what))?;
        Ok(shard)
    }

    /// Checks the arrays of the index, and sums what is wanted of them.
    fn check(&mut self) -> Result<(), &'static str> {
        let mut last = 0;
        let mut segment = 0;
        for document in 0..self.documents {
            let end = self.document_end(document);
            if end <= last {
                return Err("has documents out of order");
            }
            last = end;
            // Every document ends with one of its segments.
            let mut before = if segment == 0 { 0 } else { self.segment_end(segment - 1) };
            loop {
                if segment == self.segments {
                    return Err("has a document without segments");
                }
                let here = self.segment_end(segment);
                if here <= before || here > end {
                    return Err("has segments out of order");
                }
                before = here;
                segment += 1;
                if here == end {
                    break;
                }
            }
            self.bytes += u64::from(self.document_bytes(document));
            self.words += u64::from(self.document_words(document));
        }
        if last != self.count || segment != self.segments {
            return Err("does not cover its tokens");
        }
        for segment in 0..self.segments {
            let weight = self.segment_weight(segment);
            if !(weight.is_finite() && weight >= 0.0) {
                return Err("has a weight that is negative or not finite");
            }
            self.uniform &= weight == 1.0;
            match (self.segment_kind(segment), self.segment_image(segment)) {
                (OF_TEXT, _) => {}
                (OF_IMAGE, Some(image)) if image < self.images && weight == 0.0 => {}
                (OF_IMAGE, _) => return Err("has an image that is not there, or one with a weight"),
                _ => return Err("has segments that are neither text nor images"),
            }
        }
        let bytes = self.pictures.as_ref().map_or(HEADER, |pictures| pictures.as_slice().len());
        let mut last = HEADER as u64;
        for image in 0..self.images {
            let end = self.image_end(image).saturating_add(HEADER as u64);
            if end < last || end > bytes as u64 {
                return Err("has images out of order, or more than there are bytes of");
            }
            last = end;
        }
        let whole = |file: &Bytes| {
            let file = file.as_slice();
            file.len() >= HEADER && &file[..16] == IMAGES_MAGIC && u32_at(file, 16) == FORMAT_VERSION
        };
        match self.pictures.as_ref().is_none_or(whole) && last == bytes as u64 {
            true => Ok(()),
            false => Err("does not belong to its file of images, or that is none, or is truncated"),
        }
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.count
    }

    pub(crate) fn documents(&self) -> usize {
        self.documents
    }

    pub(crate) fn document_end(&self, document: usize) -> u64 {
        u64_at(self.index.as_slice(), HEADER + document * 8)
    }

    pub(crate) fn document_start(&self, document: usize) -> u64 {
        if document == 0 { 0 } else { self.document_end(document - 1) }
    }

    pub(crate) fn document_bytes(&self, document: usize) -> u32 {
        u32_at(self.index.as_slice(), HEADER + self.documents * 8 + document * 4)
    }

    pub(crate) fn document_words(&self, document: usize) -> u32 {
        u32_at(self.index.as_slice(), HEADER + self.documents * 12 + document * 4)
    }

    pub(crate) fn document_hash(&self, document: usize) -> [u8; 16] {
        let start = HEADER + self.documents * 16 + document * 16;
        let mut hash = [0; 16];
        if let Some(found) = self.index.as_slice().get(start..start + 16) {
            hash.copy_from_slice(found);
        }
        hash
    }

    /// The document that holds a token of the shard.
    pub(crate) fn document_of(&self, token: u64) -> usize {
        first_above(self.documents, |document| self.document_end(document), token)
    }

    fn segment_array(&self) -> usize {
        HEADER + self.documents * DOCUMENT as usize
    }

    pub(crate) fn segment_end(&self, segment: usize) -> u64 {
        u64_at(self.index.as_slice(), self.segment_array() + segment * 8)
    }

    pub(crate) fn segment_weight(&self, segment: usize) -> f32 {
        f32::from_bits(u32_at(self.index.as_slice(), self.segment_array() + self.segments * 8 + segment * 4))
    }

    fn segment_kind(&self, segment: usize) -> u32 {
        u32_at(self.index.as_slice(), self.segment_array() + self.segments * 12 + segment * 4)
    }

    /// The image that a segment is, if it is one.
    pub(crate) fn segment_image(&self, segment: usize) -> Option<usize> {
        let at = self.segment_array() + self.segments * 16 + segment * 4;
        (self.segment_kind(segment) == OF_IMAGE).then(|| u32_at(self.index.as_slice(), at) as usize)
    }

    /// Whether there are images at all.
    pub(crate) fn sees(&self) -> bool {
        self.images > 0
    }

    fn image_array(&self) -> usize {
        self.segment_array() + self.segments * SEGMENT as usize
    }

    fn image_end(&self, image: usize) -> u64 {
        u64_at(self.index.as_slice(), self.image_array() + image * 8)
    }

    /// The file of an image.
    pub(crate) fn image(&self, image: usize) -> &[u8] {
        let start = if image == 0 { 0 } else { self.image_end(image - 1) };
        let place = HEADER + start as usize..HEADER + self.image_end(image) as usize;
        self.pictures.as_ref().and_then(|pictures| pictures.as_slice().get(place)).unwrap_or_default()
    }

    /// Tiles of an image.
    pub(crate) fn image_layout(&self, image: usize) -> Layout {
        let sides = self.image_array() + self.images * 8;
        let side = |at: usize| {
            let bytes = self.index.as_slice().get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
            u32::from(bytes.map_or(0, u16::from_le_bytes))
        };
        Layout { rows: side(sides + image * 2), columns: side(sides + (self.images + image) * 2) }
    }

    /// Calls `each` with every token in a range that shows a part of an image: the image, the tile of it, the part, the token, and
    /// whether the tile is another than that of the token before.
    pub(crate) fn see(
        &self,
        range: Range<u64>,
        look: &Look,
        mut each: impl FnMut(usize, usize, usize, u64, bool) -> Result<()>,
    ) -> Result<()> {
        let mut ids = Vec::new();
        for segment in self.segment_of(range.start)..self.segments {
            let start = self.segment_start(segment);
            if start >= range.end {
                break;
            }
            let Some(image) = self.segment_image(segment) else { continue };
            ids.resize((self.segment_end(segment).min(range.end) - start) as usize, 0);
            self.read(start, &mut ids)?;
            let shown = (start..).zip(&ids).filter(|(_, id)| **id == look.image);
            let mut before = None;
            for (number, (token, _)) in shown.enumerate().filter(|(_, (token, _))| *token >= range.start) {
                let (tile, part) = (number / look.seeing.tokens(), number % look.seeing.tokens());
                each(image, tile, part, token, before != Some(tile))?;
                before = Some(tile);
            }
        }
        Ok(())
    }

    /// Tiles of which a part is shown in a range.
    pub(crate) fn tiles(&self, range: Range<u64>, look: &Look) -> Result<usize> {
        let mut tiles = 0;
        for segment in self.segment_of(range.start)..self.segments {
            let place = self.segment_start(segment)..self.segment_end(segment);
            if place.start >= range.end {
                break;
            }
            match self.segment_image(segment) {
                None => {}
                Some(image) if range.start <= place.start && place.end <= range.end => {
                    tiles += self.image_layout(image).tiles();
                }
                Some(_) => {
                    let cut = range.start.max(place.start)..range.end.min(place.end);
                    self.see(cut, look, |_, _, _, _, new| {
                        tiles += usize::from(new);
                        Ok(())
                    })?;
                }
            }
        }
        Ok(tiles)
    }

    /// Where it is, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// First token of a segment.
    pub(crate) fn segment_start(&self, segment: usize) -> u64 {
        if segment == 0 { 0 } else { self.segment_end(segment - 1) }
    }

    /// The segment that holds a token of the shard.
    pub(crate) fn segment_of(&self, token: u64) -> usize {
        first_above(self.segments, |segment| self.segment_end(segment), token)
    }

    /// Copies `out.len()` tokens from `start` on; an id beyond the vocabulary is an error.
    pub(crate) fn read(&self, start: u64, out: &mut [i32]) -> Result<()> {
        let width = if self.wide { 4 } else { 2 };
        let from = HEADER + start as usize * width;
        let bytes = self
            .tokens
            .as_slice()
            .get(from..from + out.len() * width)
            .ok_or_else(|| Error::corrupt(&self.path, "is shorter than when it was opened"))?;
        let mut largest = 0u32;
        if self.wide {
            for (token, bytes) in out.iter_mut().zip(bytes.chunks_exact(4)) {
                let id = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                largest = largest.max(id);
                *token = id as i32;
            }
        } else {
            for (token, bytes) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                let id = u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
                largest = largest.max(id);
                *token = id as i32;
            }
        }
        if largest >= self.vocab_size && !out.is_empty() {
            return Err(Error::corrupt(
                &self.path,
                format!("holds the token {largest}, beyond its vocabulary of {}", self.vocab_size),
            ));
        }
        Ok(())
    }
}

/// Index of the first of `count` ascending ends that is above `value`.
fn first_above(count: usize, end: impl Fn(usize) -> u64, value: u64) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if end(middle) > value {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Out of range reads 0; ranges are checked on opening, so that is never asked.
#[inline]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(folder: &Path, pieces: &[Piece], vocab_size: usize, limit: u64) -> Vec<ShardEntry> {
        let mut writer = ShardWriter::new(folder, "train", vocab_size, limit);
        for piece in pieces {
            writer.push(piece).unwrap();
        }
        writer.finish().unwrap()
    }

    fn piece(tokens: &[u32], segments: &[(u32, f32)]) -> Piece {
        Piece {
            hash: [tokens.len() as u8; 16],
            tokens: tokens.to_vec(),
            segments: segments
                .iter()
                .map(|&(end, weight)| PieceSegment { end, weight, image: None })
                .collect(),
            images: Vec::new(),
            bytes: tokens.len() as u32 * 3,
            words: 1,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for vocab_size in [300, 70_000] {
            let folder = tempfile::tempdir().unwrap();
            let pieces = [piece(&[0, 5, 6], &[(3, 1.0)]), piece(&[0, 9, 7, 299], &[(2, 0.0), (4, 0.5)])];
            let entries = write(folder.path(), &pieces, vocab_size, 1000);
            assert_eq!((entries.len(), entries[0].tokens, entries[0].documents), (1, 7, 2));
            let shard = Shard::open(folder.path(), "train-00000", vocab_size).unwrap();
            let mut tokens = [0; 5];
            shard.read(2, &mut tokens).unwrap();
            assert_eq!(tokens, [6, 0, 9, 7, 299]);
            assert_eq!((shard.document_of(2), shard.document_of(3)), (0, 1));
            assert_eq!((shard.segment_of(4), shard.segment_of(5)), (1, 2));
            assert_eq!(shard.segment_weight(2), 0.5);
            assert_eq!((shard.bytes, shard.words, shard.uniform), (21, 2, false));
            assert_eq!(shard.document_hash(1), [4; 16]);
            assert!(shard.read(5, &mut tokens).is_err());
        }
    }

    #[test]
    fn shards_are_closed_when_full() {
        let folder = tempfile::tempdir().unwrap();
        let pieces = vec![piece(&[0, 1, 2], &[(3, 1.0)]); 5];
        let entries = write(folder.path(), &pieces, 300, 7);
        assert_eq!(entries.iter().map(|e| e.documents).collect::<Vec<_>>(), [2, 2, 1]);
    }

    #[test]
    fn a_token_beyond_the_vocabulary_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[piece(&[0, 1, 2], &[(3, 1.0)])], 300, 7);
        let shard = Shard::open(folder.path(), "train-00000", 2).unwrap();
        let mut tokens = [0; 3];
        let error = shard.read(0, &mut tokens).unwrap_err().to_string();
        assert!(error.contains("beyond its vocabulary"), "{error}");
    }

    proptest! {
        /// However a shard is damaged, opening it gives an error or a shard that can be read in full
        /// without a panic.
        #[test]
        fn damage_never_panics(
            place in any::<prop::sample::Index>(),
            value in any::<u8>(),
            cut in prop::option::of(any::<prop::sample::Index>()),
            in_index in any::<bool>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let pieces = [piece(&[0, 5, 6], &[(3, 1.0)]), piece(&[0, 9, 7, 299], &[(2, 0.0), (4, 0.5)])];
            write(folder.path(), &pieces, 300, 1000);
            let read = |ext: &str| std::fs::read(folder.path().join(format!("train-00000.{ext}"))).unwrap();
            let (mut tokens, mut index) = (read("tokens"), read("index"));
            let damaged = if in_index { &mut index } else { &mut tokens };
            let place = place.index(damaged.len());
            damaged[place] = value;
            if let Some(cut) = cut {
                let cut = cut.index(damaged.len());
                damaged.truncate(cut);
            }
            let parts = (Bytes::from(tokens), Bytes::from(index));
            if let Ok(shard) = Shard::from_parts(parts.0, parts.1, None, "x.tokens".into(), 300) {
                let mut out = vec![0; shard.tokens() as usize];
                let _ = shard.read(0, &mut out);
                for token in 0..shard.tokens() {
                    let document = shard.document_of(token);
                    prop_assert!(document < shard.documents());
                    prop_assert!(shard.segment_of(token) < shard.segments);
                    shard.document_hash(document);
                }
            }
        }
    }
}
