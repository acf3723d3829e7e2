//! The MODEL argument: a run, a checkpoint, a Hugging Face folder, or a `.gguf` file, the same for
//! every verb.

use crate::{Failure, input, memory};
use anyhow::{Context, anyhow};
use data::picture::Preparation;
use data::tokenizer::Words;
use data::{Look, Seeing, Tokenizer};
use engine::{Layout, Store};
use kernels::Map;
use model::{Config, gguf, weights};
use record::Run;
use serde_json::Value;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A model that was read.
pub struct Model {
    /// Its architecture.
    pub config: Config,
    /// Its weights.
    pub params: Store,
    /// Where it was found: the checkpoint's folder or the file.
    pub path: PathBuf,
    tokenizer: Option<Tokenizer>,
    ends: Vec<u32>,
    /// As a file of eyes says; a folder says it in a file of its own.
    sight: Option<gguf::Sight>,
}

/// Where the eyes of a `.gguf` file lie, if it has some: `eyes.gguf` has `eyes-mmproj.gguf` beside it.
pub fn eyes_beside(path: &Path) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_os_string();
    name.push("-mmproj");
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

impl Model {
    /// Reads configuration, weights and tokenizer.
    pub fn open(path: &Path) -> Result<Model, Failure> {
        if !path.exists() {
            return Err(anyhow!("{}: there is no such file or folder", path.display()).into());
        }
        if path.is_file() {
            return Model::open_gguf(path);
        }
        let folder = folder(path)?;
        let bytes = input::read(&folder.join("config.json"))?;
        let config = Config::from_json(&bytes).with_context(|| folder.display().to_string())?;
        let mut params = store(&config).with_context(|| folder.display().to_string())?;
        weights::load(&mut params, &mut |name| {
            let path = folder.join(name);
            match path.exists() {
                false => Ok(None),
                true => {
                    let file = File::open(path)?;
                    let length = file.metadata()?.len();
                    Ok(Some((Box::new(BufReader::new(file)), length)))
                }
            }
        })
        .with_context(|| folder.display().to_string())?;
        let tokenizer = match folder.join("tokenizer.json").is_file() {
            true => Some(Tokenizer::open(&folder)?),
            false => None,
        };
        let ends = ends(&folder)?;
        Model { config, params, path: folder, tokenizer, ends, sight: None }.checked()
    }

    /// A file of text, with the eyes beside it.
    fn open_gguf(path: &Path) -> Result<Model, Failure> {
        let name = || path.display().to_string();
        let map = mapped(path)?;
        let file = gguf::Gguf::open(map.as_bytes()).with_context(name)?;
        let mut config = file.config().with_context(name)?;
        let words = file.vocabulary().with_context(name)?;
        let reserved = words.kinds.iter().map(|&kind| kind != 1).collect();
        let gguf::Vocabulary { tokens, merges, pre, eos, .. } = words;
        let tokenizer = Tokenizer::from_words(&Words { tokens, merges, reserved, pre, eos })?;
        let beside = eyes_beside(path);
        let beside_name = || beside.display().to_string();
        let eyes_map = if beside.is_file() { Some(mapped(&beside)?) } else { None };
        let eyes = eyes_map.as_ref().map(|map| gguf::Gguf::open(map.as_bytes()));
        let eyes = eyes.transpose().with_context(beside_name)?;
        let mut sight = None;
        if let Some(eyes) = &eyes {
            let image = data::image_token(&tokenizer);
            let image =
                image.ok_or_else(|| anyhow!("{} has no token <image> for the eyes beside it", name()))?;
            let (seen, prepared) = eyes.eyes(image).with_context(beside_name)?;
            (config.eyes, sight) = (Some(seen), Some(prepared));
            config.check().with_context(beside_name)?;
        }
        let mut params = store(&config).with_context(name)?;
        file.fill(&config, &mut params).with_context(name)?;
        if let Some(eyes) = &eyes {
            eyes.fill(&config, &mut params).with_context(beside_name)?;
        }
        let (tokenizer, ends) = (Some(tokenizer), Vec::new());
        Model { config, params, path: path.into(), tokenizer, ends, sight }.checked()
    }

    fn checked(self) -> Result<Model, Failure> {
        let vocab = self.config.vocab_size;
        match self.tokenizer.as_ref().map(Tokenizer::vocab_size).filter(|&tokens| tokens > vocab) {
            None => Ok(self),
            Some(tokens) => {
                let path = self.path.display();
                Err(anyhow!("{path}: the tokenizer has {tokens} tokens, the model {vocab}").into())
            }
        }
    }

    /// Its tokenizer, which text needs.
    pub fn tokenizer(&self) -> Result<&Tokenizer, Failure> {
        let missing = || anyhow!("{} has no tokenizer.json; text needs one", self.path.display());
        Ok(self.tokenizer.as_ref().ok_or_else(missing)?)
    }

    /// How it sees pictures, if it has eyes and its files say how they are prepared.
    pub fn look(&self) -> Result<Option<Look>, Failure> {
        let (Some(eyes), Some(tokenizer)) = (&self.config.eyes, &self.tokenizer) else { return Ok(None) };
        let preparation = match &self.sight {
            Some(sight) => Preparation {
                mean: sight.mean,
                deviation: sight.deviation,
                ..Preparation::new(sight.longest_edge, eyes.vision.image_size as u32)
            },
            None => match preprocessor(&self.path)? {
                Some(json) => {
                    Preparation::of_preprocessor(&json).with_context(|| self.path.display().to_string())?
                }
                None => return Ok(None),
            },
        };
        if preparation.tile as usize != eyes.vision.image_size {
            let (tile, size) = (preparation.tile, eyes.vision.image_size);
            return Err(anyhow!(
                "{}: its preprocessor makes tiles of {tile} pixels, the encoder takes {size}",
                self.path.display()
            )
            .into());
        }
        if data::image_token(tokenizer) != Some(eyes.image_token_id) {
            let id = eyes.image_token_id;
            return Err(anyhow!(
                "{}: image_token_id {id} is not its tokenizer's <image>",
                self.path.display()
            )
            .into());
        }
        let (patch, factor) = (eyes.vision.patch_size as u32, eyes.scale_factor as u32);
        let seeing = Seeing::of_model(preparation, patch, factor, eyes.is_llava(), tokenizer)
            .with_context(|| self.path.display().to_string())?;
        Ok(Some(Look { order: eyes.order(), tiles: 1, image: eyes.image_token_id as i32, seeing }))
    }

    /// Tokens that end a text: the tokenizer's, and those that the model's files name.
    pub fn ends(&self) -> Vec<u32> {
        self.tokenizer.iter().map(Tokenizer::eos).chain(self.ends.iter().copied()).collect()
    }

    /// Its tokenizer, if it has one.
    pub fn tokenizer_if_any(&self) -> Option<&Tokenizer> {
        self.tokenizer.as_ref()
    }
}

/// The checkpoint of a run, or the folder itself.
fn folder(path: &Path) -> Result<PathBuf, Failure> {
    if path.join("config.json").is_file() {
        return Ok(path.into());
    }
    if !path.join("run.toml").is_file() {
        let text = "it holds neither run.toml (a run) nor config.json (a model)";
        return Err(anyhow!("{}: {text}", path.display()).into());
    }
    match Run::open(path)?.latest()? {
        (Some(latest), damaged) => {
            for error in &damaged {
                eprintln!("note: {error}; the checkpoint before it is used");
            }
            Ok(latest.path)
        }
        (None, damaged) if damaged.is_empty() => {
            Err(anyhow!("{}: the run has no complete checkpoint yet", path.display()).into())
        }
        (None, damaged) => {
            let reasons = damaged.iter().map(record::Error::to_string).collect();
            Err(train::Error::NoCheckpoint { path: path.into(), reasons }.into())
        }
    }
}

/// What a folder says of how pictures are prepared: in a file of its own or, as `transformers` writes it since version 5, in that
/// of the whole processor.
fn preprocessor(folder: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let path = folder.join("preprocessor_config.json");
    if path.is_file() {
        return Ok(Some(input::read(&path)?));
    }
    let path = folder.join("processor_config.json");
    if !path.is_file() {
        return Ok(None);
    }
    let whole: Value =
        serde_json::from_slice(&input::read(&path)?).with_context(|| path.display().to_string())?;
    Ok(whole.get("image_processor").map(|part| part.to_string().into_bytes()))
}

/// A file as it lies in memory.
fn mapped(path: &Path) -> anyhow::Result<Map> {
    let name = || path.display().to_string();
    Map::new(&File::open(path).with_context(name)?).with_context(name)
}

/// Zeroed weights of a configuration, if there is memory for them.
pub fn store(config: &Config) -> anyhow::Result<Store> {
    let shapes = config.shapes();
    let layout = Layout::new(shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())))?;
    plan::check_memory(&[("weights", layout.bytes())], memory::available())?;
    Ok(Store::new(&Arc::new(layout))?)
}

/// The end tokens that `generation_config.json` and `config.json` of a folder name: one, or a list.
fn ends(folder: &Path) -> anyhow::Result<Vec<u32>> {
    let mut ends = Vec::new();
    for name in ["generation_config.json", "config.json"] {
        let path = folder.join(name);
        if path.is_file() {
            let about = || path.display().to_string();
            let value: Value = serde_json::from_slice(&input::read(&path)?).with_context(about)?;
            let named = value.get("eos_token_id").unwrap_or(&Value::Null);
            for id in named
                .as_array()
                .map_or(std::slice::from_ref(named), Vec::as_slice)
                .iter()
                .filter(|id| !id.is_null())
            {
                let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                ends.push(
                    id.with_context(|| format!("{}: eos_token_id {named} is no token", path.display()))?,
                );
            }
        }
    }
    Ok(ends)
}
