//! `manifest.json`: what a data folder holds, where it came from, and the hashes of its files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::seeing::Seeing;
use crate::storage;

/// Value of [`Manifest::format`].
pub(crate) const FORMAT: &str = "foretell data";
/// The version this program writes and reads.
pub(crate) const VERSION: u32 = 1;
/// Name of the file.
pub(crate) const FILE: &str = "manifest.json";

/// The whole of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always `foretell data`.
    pub format: String,
    /// Version of the format.
    pub version: u32,
    /// The tokenizer.
    pub tokenizer: TokenizerEntry,
    /// How pictures become tokens, if there are some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeing: Option<Seeing>,
    /// Where documents came from, as they were named.
    pub sources: Vec<SourceEntry>,
    /// What is trained on.
    pub train: SplitEntry,
    /// What is held out.
    pub eval: SplitEntry,
    /// What was read, kept and dropped.
    pub counts: Counts,
    /// The configuration of the build.
    pub config: serde_json::Value,
}

/// The tokenizer of a data folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenizerEntry {
    /// Ids run from 0 to this.
    pub vocab_size: usize,
    /// BLAKE3 of `tokenizer.json`, in hexadecimal.
    pub blake3: String,
    /// BLAKE3 of `tokenizer_config.json`; the first manifests had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_blake3: Option<String>,
    /// Set if the tokens were made by the slower encoder: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_reason: Option<String>,
}

/// One source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceEntry {
    /// As the user named it.
    pub path: String,
    /// Share in the mix of training rows, if sources have weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Files read.
    pub files: u64,
    /// Bytes of these on disk.
    pub file_bytes: u64,
    /// BLAKE3 over the names and hashes of the files, in hexadecimal.
    pub blake3: String,
    /// Documents by licence, as the documents state it.
    pub licences: BTreeMap<String, u64>,
    /// Its part of the training tokens.
    pub train: Span,
    /// Its part of the held-out tokens.
    pub eval: Span,
}

/// A contiguous part of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First token.
    pub start: u64,
    /// Tokens.
    pub tokens: u64,
    /// Documents.
    pub documents: u64,
}

/// A split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SplitEntry {
    /// Tokens, with one for the beginning of each document.
    pub tokens: u64,
    /// Documents.
    pub documents: u64,
    /// Bytes of text.
    pub bytes: u64,
    /// Words of text: runs of bytes that are no ASCII white space.
    pub words: u64,
    /// Images, each as often as it stands in a document.
    #[serde(default, skip_serializing_if = "is_none")]
    pub images: u64,
    /// Tiles of these.
    #[serde(default, skip_serializing_if = "is_none")]
    pub tiles: u64,
    /// Most tiles of a document.
    #[serde(default, skip_serializing_if = "is_none")]
    pub most_tiles: u64,
    /// Its files, in order.
    pub shards: Vec<ShardEntry>,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// The files of a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// `train-00000` for `train-00000.tokens` and `train-00000.index`.
    pub name: String,
    /// Tokens in it.
    pub tokens: u64,
    /// Documents in it.
    pub documents: u64,
    /// BLAKE3 of the `.tokens` file.
    pub tokens_blake3: String,
    /// BLAKE3 of the `.index` file.
    pub index_blake3: String,
    /// BLAKE3 of the `.images` file, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_blake3: Option<String>,
}

/// What became of what was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Documents read.
    pub documents: u64,
    /// Bytes of text in them.
    pub bytes: u64,
    /// Documents left out because an image of theirs cannot be read.
    #[serde(default, skip_serializing_if = "is_none")]
    pub broken_images: u64,
    /// Pieces that they were cut into.
    pub pieces: u64,
    /// Documents too large to hold, read in parts.
    pub parts: u64,
    /// Malformed lines and files.
    pub malformed: u64,
    /// Documents with bytes that were no UTF-8, replaced.
    pub invalid_utf8: u64,
    /// Documents without any text.
    pub empty: u64,
    /// Pieces that occurred before.
    pub duplicates: u64,
    /// Documents dropped, by rule.
    pub dropped: BTreeMap<String, u64>,
    /// Matches replaced, by rule.
    pub redacted: BTreeMap<String, u64>,
    /// Documents in which a held-out item was found.
    pub held_out_items: u64,
    /// Where the first malformed lines and files, and held-out items, were.
    pub places: Vec<String>,
}

/// Places remembered.
const PLACES: usize = 100;

impl Counts {
    /// Remembers a place, if there are not too many.
    pub(crate) fn note(&mut self, place: String) {
        if self.places.len() < PLACES {
            self.places.push(place);
        }
    }

    /// Adds the counts of another part.
    pub(crate) fn add(&mut self, other: Counts) {
        self.documents += other.documents;
        self.bytes += other.bytes;
        self.pieces += other.pieces;
        self.parts += other.parts;
        self.malformed += other.malformed;
        self.broken_images += other.broken_images;
        self.invalid_utf8 += other.invalid_utf8;
        self.empty += other.empty;
        self.duplicates += other.duplicates;
        self.held_out_items += other.held_out_items;
        for (reason, count) in other.dropped {
            *self.dropped.entry(reason).or_default() += count;
        }
        for (reason, count) in other.redacted {
            *self.redacted.entry(reason).or_default() += count;
        }
        for place in other.places {
            self.note(place);
        }
    }
}

impl Manifest {
    /// Reads the manifest of a data folder.
    pub fn open(folder: &Path) -> Result<Manifest> {
        let path = folder.join(FILE);
        let bytes = match storage::read(&path) {
            Ok(bytes) => bytes,
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Config(format!(
                    "{} is no data folder: it has no {FILE}; make one with `foretell data build`",
                    folder.display()
                )));
            }
            Err(error) => return Err(error),
        };
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let unreadable = |error: serde_json::Error| Error::corrupt(&path, format!("is damaged: {error}"));
        let head: Head = serde_json::from_slice(&bytes).map_err(unreadable)?;
        if head.format != FORMAT || head.version != VERSION {
            return Err(Error::corrupt(
                &path,
                format!(
                    "is {:?} version {}, and this program reads {FORMAT:?} version {VERSION}",
                    head.format, head.version
                ),
            ));
        }
        serde_json::from_slice(&bytes).map_err(unreadable)
    }

    /// The bytes of the file.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::Config(format!("cannot write the manifest: {error}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// BLAKE3 over the hashes of all shards and the tokenizer: the identity of the data, whatever the
    /// paths it was built from. Records of runs carry it.
    pub fn data_hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.tokenizer.blake3.as_bytes());
        hasher.update(&self.split_hash(&self.train));
        hasher.update(&self.split_hash(&self.eval));
        hasher.finalize().to_hex().to_string()
    }

    /// The identity of the held-out set.
    pub fn eval_hash(&self) -> String {
        blake3::Hash::from_bytes(self.split_hash(&self.eval)).to_hex().to_string()
    }

    fn split_hash(&self, split: &SplitEntry) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for shard in &split.shards {
            hasher.update(shard.tokens_blake3.as_bytes());
            hasher.update(shard.index_blake3.as_bytes());
            if let Some(hash) = &shard.images_blake3 {
                hasher.update(hash.as_bytes());
            }
        }
        *hasher.finalize().as_bytes()
    }
}
