//! A data folder, opened.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::manifest::{self, Manifest, SplitEntry};
use crate::seeing::{Look, image_token};
use crate::split::Split;
use crate::storage;
use crate::tokenizer::{self, Tokenizer};

/// A data folder: manifest, tokenizer and both splits, memory-mapped.
pub struct Dataset {
    folder: PathBuf,
    manifest: Manifest,
    tokenizer: Arc<Tokenizer>,
    train: Arc<Split>,
    eval: Arc<Split>,
    look: Option<Look>,
}

impl Dataset {
    /// Opens a folder made by [`crate::build()`], checking its structure but not the hashes
    /// (see [`Dataset::verify`]).
    pub fn open(folder: &Path) -> Result<Dataset> {
        let manifest = Manifest::open(folder)?;
        let tokenizer = Tokenizer::open(&folder.join("tokenizer.json"))?;
        let path = folder.join("tokenizer.json");
        if tokenizer.vocab_size() != manifest.tokenizer.vocab_size
            || hash_of(tokenizer.json()) != manifest.tokenizer.blake3
        {
            return Err(Error::corrupt(&path, "is not the tokenizer that the data was made with"));
        }
        let look = match manifest.seeing.clone() {
            None => None,
            Some(seeing) => {
                seeing.check()?;
                let image = image_token(&tokenizer);
                let image = image.ok_or_else(|| Error::corrupt(&path, "lacks the token of pictures"))? as i32;
                Some(Look { order: (0..seeing.patches()).collect(), tiles: 1, image, seeing })
            }
        };
        let eos = tokenizer.eos();
        let train = Split::open(folder, &manifest, &manifest.train, |s| (s.train, s.weight), eos)?;
        // Weights mix what is trained on.
        let eval = Split::open(folder, &manifest, &manifest.eval, |s| (s.eval, None), eos)?;
        Ok(Dataset {
            folder: folder.to_path_buf(),
            manifest,
            tokenizer: Arc::new(tokenizer),
            train: Arc::new(train),
            eval: Arc::new(eval),
            look,
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

    /// How its pictures are seen, if there are some: with patches row by row, and room for one tile in a row, until a model says
    /// otherwise.
    pub fn look(&self) -> Option<&Look> {
        self.look.as_ref()
    }

    /// Reads every file and compares it with what the manifest and the tokenizer say it is; an error names
    /// the file that was altered.
    pub fn verify(&self) -> Result<()> {
        let altered = |path: &Path| Err(Error::corrupt(path, "was altered since it was written"));
        for (name, bytes) in self.tokenizer.files() {
            let path = self.folder.join(name);
            if !path.exists() {
                return Err(Error::corrupt(&path, "is missing"));
            }
            if storage::read(&path)? != bytes {
                return altered(&path);
            }
        }
        let config = &self.manifest.tokenizer.config_blake3;
        if config.as_ref().is_some_and(|hash| *hash != hash_of(self.tokenizer.config())) {
            return altered(&self.folder.join(tokenizer::CONFIG));
        }
        for (entry, split) in [(&self.manifest.train, &self.train), (&self.manifest.eval, &self.eval)] {
            let said = (entry.tokens, entry.documents, entry.bytes, entry.words);
            if said != (split.tokens(), split.documents(), split.bytes(), split.words()) {
                let path = self.folder.join(manifest::FILE);
                return Err(Error::corrupt(
                    &path,
                    "counts other tokens, documents, bytes or words than there are",
                ));
            }
        }
        for shard in self.manifest.train.shards.iter().chain(&self.manifest.eval.shards) {
            let images = shard.images_blake3.iter().map(|hash| ("images", hash));
            let files = [("tokens", &shard.tokens_blake3), ("index", &shard.index_blake3)];
            for (extension, expected) in files.into_iter().chain(images) {
                let path = self.folder.join(format!("{}.{extension}", shard.name));
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(storage::open(&path)?).map_err(Error::io("read", &path))?;
                if hasher.finalize().to_hex().as_str() != expected {
                    return altered(&path);
                }
            }
        }
        Ok(())
    }

    /// Names of what is in the folder and is not of its build, sorted.
    pub fn foreign(&self) -> Result<Vec<String>> {
        let mut own: HashSet<String> = self.tokenizer.files().map(|(name, _)| name.into()).into();
        own.insert(manifest::FILE.into());
        for shard in self.manifest.train.shards.iter().chain(&self.manifest.eval.shards) {
            own.extend(["tokens", "index"].map(|extension| format!("{}.{extension}", shard.name)));
            own.extend(shard.images_blake3.iter().map(|_| format!("{}.images", shard.name)));
        }
        let entries = fs::read_dir(&self.folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        let entries = entries.map_err(Error::io("list", &self.folder))?;
        let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut foreign: Vec<String> = names.filter(|name| !own.contains(name)).collect();
        foreign.sort();
        Ok(foreign)
    }

    /// Proves that nothing held out is trained on: no document of the eval split is in the train split.
    /// Needs 16 bytes of memory a held-out document.
    pub fn verify_split(&self) -> Result<()> {
        let held: HashSet<[u8; 16]> =
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

fn hash_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}
