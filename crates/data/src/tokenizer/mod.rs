//! Text to tokens and back: byte-level BPE, bytes, or any `tokenizer.json`.
//!
//! A tokenizer *is* its `tokenizer.json`, which is saved as it was read. What is read from it here is
//! enough to encode byte-level BPE of the split rules we know with an encoder of our own, whose ids are
//! those of the `tokenizers` crate; every other kind is encoded by that crate, and
//! [`Tokenizer::slow_reason`] says why.

mod bpe;
mod bytes;
mod file;
mod pretokenize;
mod train;
mod words;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

pub(crate) use file::pretty;
pub use pretokenize::SplitRule;
pub(crate) use train::SMALLEST;
pub use words::Words;

use crate::document::Special;
use crate::error::{Error, Result};
use crate::storage;
use bpe::{Bpe, BpeEncoder};

/// Name of the file that stands beside `tokenizer.json`.
pub(crate) const CONFIG: &str = "tokenizer_config.json";

/// A tokenizer: shared by all who encode and decode.
pub struct Tokenizer {
    kind: Kind,
    /// `tokenizer.json` as it was read or made.
    json: Vec<u8>,
    /// `tokenizer_config.json`, likewise.
    config: Vec<u8>,
    vocab_size: usize,
    /// The bytes of every token, one after the other.
    bytes: Vec<u8>,
    /// Where the bytes of each token end.
    ends: Vec<u32>,
    /// Whether a token is reserved.
    special: Vec<bool>,
    /// Ids of [`Special::ALL`].
    specials: [Option<u32>; 3],
    eos: u32,
}

/// How it encodes.
enum Kind {
    /// Our encoder.
    Fast(Box<Bpe>),
    /// The crate's, and why.
    Slow(Box<tokenizers::Tokenizer>, String),
}

impl Tokenizer {
    /// The tokenizer whose tokens are the 256 bytes, with id = byte, and the reserved tokens.
    pub fn bytes() -> Result<Tokenizer> {
        file::parse(train::bytes_json(), None, "bytes")
    }

    /// Trains byte-level BPE with `vocab_size` tokens in all, bytes and reserved tokens included, on
    /// `samples`. Fewer come out if the samples hold no more pairs. The same samples give the same
    /// tokenizer.
    pub fn train<S: AsRef<str> + Send>(
        samples: impl Iterator<Item = S> + Send,
        vocab_size: usize,
    ) -> Result<Tokenizer> {
        file::parse(train::train_json(samples, vocab_size)?, None, "training")
    }

    /// Opens a `tokenizer.json`, or a folder that holds one. A `tokenizer_config.json` beside it is kept.
    pub fn open(path: &Path) -> Result<Tokenizer> {
        let file = if path.is_dir() { path.join("tokenizer.json") } else { path.to_path_buf() };
        let json = storage::read(&file)?;
        let config = match storage::read(&file.with_file_name(CONFIG)) {
            Ok(config) => Some(config),
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        file::parse(json, config, &file.display().to_string())
    }

    /// Reads a tokenizer from the bytes of `tokenizer.json` and, if there is one, `tokenizer_config.json`.
    pub fn from_json(json: Vec<u8>, config: Option<Vec<u8>>) -> Result<Tokenizer> {
        file::parse(json, config, "tokenizer.json")
    }

    /// Writes `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json` into a folder, such
    /// that `AutoTokenizer` of `transformers` opens it.
    pub fn save(&self, folder: &Path) -> Result<()> {
        for (name, bytes) in self.files() {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(Error::io("write", &path))?;
        }
        Ok(())
    }

    /// The files that [`Tokenizer::save`] writes.
    pub fn files(&self) -> [(&'static str, Vec<u8>); 3] {
        [
            ("tokenizer.json", self.json.clone()),
            (CONFIG, self.config.clone()),
            ("special_tokens_map.json", self.special_tokens_map()),
        ]
    }

    /// `tokenizer.json` as it was read or made.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// `tokenizer_config.json`, likewise.
    pub(crate) fn config(&self) -> &[u8] {
        &self.config
    }

    /// Ids run from 0 to this; the model's vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// `<|endoftext|>`, or what the tokenizer has in its place: begins and ends each document.
    pub fn eos(&self) -> u32 {
        self.eos
    }

    /// The id of a reserved token.
    pub fn special(&self, special: Special) -> Option<u32> {
        self.specials[special as usize]
    }

    /// The id of the reserved token of that name.
    pub fn reserved(&self, name: &str) -> Option<u32> {
        (0..self.vocab_size as u32).find(|&id| self.is_special(id) && self.token_bytes(id) == name.as_bytes())
    }

    /// The ids of all reserved tokens by their names.
    pub(crate) fn all_reserved(&self) -> HashMap<&[u8], u32> {
        let reserved = (0..self.vocab_size as u32).filter(|&id| self.is_special(id));
        reserved.map(|id| (self.token_bytes(id), id)).collect()
    }

    /// The same with further reserved tokens, behind all others.
    pub(crate) fn with_reserved(&self, names: &[String]) -> Result<Tokenizer> {
        let json = file::add_reserved(&self.json, self.vocab_size, names)?;
        file::parse(json, Some(self.config.clone()), "with further tokens")
    }

    /// Whether an id is a reserved token, which stands for no text.
    pub fn is_special(&self, id: u32) -> bool {
        self.special.get(id as usize).copied().unwrap_or(false)
    }

    /// Why this tokenizer is encoded by the `tokenizers` crate rather than our faster encoder, if it is.
    pub fn slow_reason(&self) -> Option<&str> {
        match &self.kind {
            Kind::Fast(_) => None,
            Kind::Slow(_, reason) => Some(reason),
        }
    }

    /// The split rule, if our encoder knows it.
    pub fn split_rule(&self) -> Option<SplitRule> {
        match &self.kind {
            Kind::Fast(bpe) => Some(bpe.rule),
            Kind::Slow(..) => None,
        }
    }

    /// An encoder with a memory of words: for much text on one thread.
    pub fn encoder(&self) -> Encoder<'_> {
        Encoder { tokenizer: self, bpe: None }
    }

    /// Appends the tokens of `text`, in which reserved tokens are ordinary text (STR-3). For much text take
    /// an [`Encoder`].
    pub fn encode_ordinary(&self, text: &str, out: &mut Vec<u32>) -> Result<()> {
        self.encoder().encode_ordinary(text, out)
    }

    /// The bytes a token stands for: the name of a reserved token, nothing for an unknown id.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let Some(&end) = self.ends.get(id) else {
            return &[];
        };
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[start as usize..end as usize]
    }

    /// Bytes of text that a token stands for: 0 for reserved tokens.
    pub fn text_length(&self, id: u32) -> usize {
        if self.is_special(id) { 0 } else { self.token_bytes(id).len() }
    }

    /// The bytes of many tokens, without reserved ones.
    pub fn decode_bytes(&self, ids: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        for &id in ids {
            if !self.is_special(id) {
                bytes.extend_from_slice(self.token_bytes(id));
            }
        }
        bytes
    }

    /// The text of many tokens, without reserved ones; bytes that are no UTF-8 become `U+FFFD`.
    pub fn decode(&self, ids: &[u32]) -> String {
        String::from_utf8_lossy(&self.decode_bytes(ids)).into_owned()
    }

    /// The text of one token as a reader wants to see it, reserved tokens by name.
    pub fn token_text(&self, id: u32) -> String {
        String::from_utf8_lossy(self.token_bytes(id)).into_owned()
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size)
            .field("split_rule", &self.split_rule())
            .field("slow_reason", &self.slow_reason())
            .finish_non_exhaustive()
    }
}

/// A tokenizer with what one thread needs to encode fast.
pub struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    /// Made when the first long text comes.
    bpe: Option<BpeEncoder>,
}

impl Encoder<'_> {
    /// Appends the tokens of `text`, in which reserved tokens are ordinary text (STR-3).
    pub fn encode_ordinary(&mut self, text: &str, out: &mut Vec<u32>) -> Result<()> {
        match &self.tokenizer.kind {
            Kind::Fast(bpe) => {
                self.bpe.get_or_insert_with(BpeEncoder::new).encode(bpe, text, out);
                Ok(())
            }
            Kind::Slow(tokenizer, _) => {
                let encoding = tokenizer
                    .encode_fast(text, false)
                    .map_err(|error| Error::tokenizer("encoding", error))?;
                out.extend_from_slice(encoding.get_ids());
                Ok(())
            }
        }
    }
}
