//! A data folder, opened.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::manifest::{Manifest, SplitEntry};
use crate::split::Split;
use crate::tokenizer::Tokenizer;

/// A data folder: manifest, tokenizer and both splits, memory-mapped.
pub struct Dataset {
    folder: PathBuf,
    manifest: Manifest,
    tokenizer: Arc<Tokenizer>,
    train: Arc<Split>,
    eval: Arc<Split>,
}

impl Dataset {
    /// Opens a folder made by [`crate::build()`], checking its structure but not the hashes
    /// (see [`Dataset::verify`]).
    pub fn open(folder: &Path) -> Result<Dataset> {
        let manifest = Manifest::open(folder)?;
        let tokenizer = Tokenizer::open(&folder.join("tokenizer.json"))?;
        let path = folder.join("tokenizer.json");
        if tokenizer.vocab_size() != manifest.tokenizer.vocab_size
            || blake3::hash(tokenizer.json()).to_hex().as_str() != manifest.tokenizer.blake3
        {
            return Err(Error::corrupt(&path, "is not the tokenizer that the data was made with"));
        }
        let eos = tokenizer.eos();
        let train = Split::open(folder, &manifest, &manifest.train, |source| source.train, eos)?;
        let eval = Split::open(folder, &manifest, &manifest.eval, |source| source.eval, eos)?;
        Ok(Dataset {
            folder: folder.to_path_buf(),
            manifest,
            tokenizer: Arc::new(tokenizer),
            train: Arc::new(train),
            eval: Arc::new(eval),
        })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// What is trained on.
    pub fn train(&self) -> &Arc<Split> {
        &self.train
    }

    /// What is held out.
    pub fn eval(&self) -> &Arc<Split> {
        &self.eval
    }

    /// Reads every shard and compares its hash with the manifest's; an error names the file that was
    /// altered.
    pub fn verify(&self) -> Result<()> {
        for shard in self.manifest.train.shards.iter().chain(&self.manifest.eval.shards) {
            let files = [("tokens", &shard.tokens_blake3), ("index", &shard.index_blake3)];
            for (extension, expected) in files {
                let path = self.folder.join(format!("{}.{extension}", shard.name));
                let mut hasher = blake3::Hasher::new();
                let file = File::open(&path).map_err(Error::io("open", &path))?;
                hasher.update_reader(file).map_err(Error::io("read", &path))?;
                if hasher.finalize().to_hex().as_str() != expected {
                    return Err(Error::corrupt(&path, "was altered since it was written"));
                }
            }
        }
        Ok(())
    }

    /// Proves that nothing held out is trained on: no document of the eval split is in the train split.
    /// Needs 16 bytes of memory a held-out document.
    pub fn verify_split(&self) -> Result<()> {
        let held: std::collections::HashSet<[u8; 16]> =
            (0..self.eval.documents()).map(|document| self.eval.document_hash(document)).collect();
        for document in 0..self.train.documents() {
            if held.contains(&self.train.document_hash(document)) {
                return Err(Error::corrupt(
                    &self.folder,
                    format!("document {document} of the train split is also held out"),
                ));
            }
        }
        Ok(())
    }

    /// The entry of a split.
    pub fn entry(&self, eval: bool) -> &SplitEntry {
        if eval { &self.manifest.eval } else { &self.manifest.train }
    }
}
