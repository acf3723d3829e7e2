//! `export`: a model for other programs.

use crate::arguments::Common;
use crate::checkpoint::Model;
use crate::{Failure, output};
use anyhow::{Context, anyhow};
use data::{Special, Tokenizer};
use model::{gguf, weights};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Options of `export`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell export runs/first --to gguf --out first.gguf
  foretell export runs/first --to safetensors --dtype bf16 --out first-hf")]
pub struct Options {
    /// A run, a checkpoint, a Hugging Face folder, or a .gguf file
    pub model: PathBuf,
    /// What to write: one file for llama.cpp, or a Hugging Face folder
    #[arg(long)]
    pub to: Format,
    /// What numbers are stored as
    #[arg(long, default_value = "f32")]
    pub dtype: DType,
    /// File or folder to write
    #[arg(long, value_name = "PATH", value_parser = crate::arguments::path())]
    pub out: PathBuf,
    /// Replace what is there
    #[arg(long)]
    pub force: bool,
}

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub enum Format {
    /// A .gguf file
    Gguf,
    /// A Hugging Face folder
    Safetensors,
}

/// What numbers are stored as.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum DType {
    /// 32-bit float
    F32,
    /// Brain float
    Bf16,
    /// Half float
    F16,
}

/// Writes the model.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    if options.out.exists() && !options.force {
        return Err(
            anyhow!("{} exists already; choose another or pass --force", options.out.display()).into()
        );
    }
    replaceable(options)?;
    let model = Model::open(&options.model)?;
    let beside = beside(&options.out);
    if beside.exists() {
        let path = beside.display();
        return Err(anyhow!("{path} is in the way, perhaps of an export that was killed; remove it").into());
    }
    let fresh = make_parent(&options.out)?;
    let written = match options.to {
        Format::Gguf => write_gguf(&model, options.dtype, &beside),
        Format::Safetensors => write_folder(&model, options.dtype, &beside),
    };
    let placed = written.and_then(|()| {
        let named = || format!("cannot write {}", options.out.display());
        if options.force && options.out.is_dir() {
            fs::remove_dir_all(&options.out).with_context(named)?;
        }
        Ok(fs::rename(&beside, &options.out).with_context(named)?)
    });
    if placed.is_err() {
        // Nothing half-written stays.
        let _ = if beside.is_dir() { fs::remove_dir_all(&beside) } else { fs::remove_file(&beside) };
        if let Some(parent) = fresh {
            let _ = fs::remove_dir(parent);
        }
    }
    placed?;
    let bytes = size(&options.out);
    let summary =
        serde_json::json!({"out": options.out, "bytes": bytes, "parameters": model.config.parameters()});
    Ok(output::either(common, &summary, || {
        format!(
            "{}: {} parameters, {:.1} MB\n",
            options.out.display(),
            model.config.parameters(),
            bytes as f64 / 1e6
        )
    })?)
}

/// Refuses to replace what `export` would not have written: a folder of anything but a model, a run, a
/// device.
fn replaceable(options: &Options) -> Result<(), Failure> {
    let out = &options.out;
    let Ok(found) = fs::metadata(out) else { return Ok(()) };
    let replaceable = match options.to {
        Format::Gguf => found.is_file(),
        Format::Safetensors => {
            out.join("config.json").is_file()
                && out.join("model.safetensors").is_file()
                && !is_checkpoint(out)
        }
    };
    match replaceable {
        true => Ok(()),
        false => {
            Err(anyhow!("{} is no exported model, so it is not replaced; choose another", out.display())
                .into())
        }
    }
}

/// A checkpoint of a run has what going on needs.
fn is_checkpoint(folder: &Path) -> bool {
    folder.join("state.json").exists()
}

/// Makes the folder that `path` is to be in, if it is missing, and returns it then.
fn make_parent(path: &Path) -> Result<Option<&Path>, Failure> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists()) {
        None => Ok(None),
        Some(parent) => {
            fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
            Ok(Some(parent))
        }
    }
}

/// The path under which it is written before it has its name.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    path.with_file_name(name)
}

fn size(path: &Path) -> u64 {
    let entries = fs::read_dir(path).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
    match entries {
        Ok(files) => {
            Vec::<PathBuf>::into_iter(files).filter_map(|file| fs::metadata(file).ok()).map(|m| m.len()).sum()
        }
        Err(_) => fs::metadata(path).map_or(0, |m| m.len()),
    }
}

fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(BufWriter::with_capacity(1 << 16, file))
}

fn close(path: &Path, mut out: BufWriter<File>) -> Result<(), Failure> {
    let closed = out.flush().and_then(|()| out.get_ref().sync_all());
    Ok(closed.with_context(|| format!("cannot write {}", path.display()))?)
}

fn write_gguf(model: &Model, dtype: DType, path: &Path) -> Result<(), Failure> {
    let kind = match dtype {
        DType::F32 => gguf::Kind::F32,
        DType::Bf16 => gguf::Kind::Bf16,
        DType::F16 => gguf::Kind::F16,
    };
    let words = vocabulary(model.tokenizer()?)?;
    let mut out = create(path)?;
    gguf::write(&mut out, &model.config, &model.params, &words, kind)
        .with_context(|| format!("cannot write {}", path.display()))?;
    close(path, out)
}

/// A tokenizer in GGUF's terms. What llama.cpp cannot split as we do is refused.
fn vocabulary(tokenizer: &Tokenizer) -> Result<gguf::Vocabulary, Failure> {
    let words = tokenizer.words()?;
    let kinds = words.reserved.iter().map(|&reserved| if reserved { 3 } else { 1 }).collect();
    let bos = tokenizer.special(Special::EndOfText);
    let data::tokenizer::Words { tokens, merges, pre, eos, .. } = words;
    Ok(gguf::Vocabulary { tokens, merges, pre, kinds, bos, eos, add_bos: bos.is_some() })
}

fn write_folder(model: &Model, dtype: DType, folder: &Path) -> Result<(), Failure> {
    let storage = match dtype {
        DType::F32 => weights::Storage::F32,
        DType::Bf16 => weights::Storage::Bf16,
        DType::F16 => weights::Storage::F16,
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let path = folder.join("model.safetensors");
    let mut out = create(&path)?;
    weights::write(&mut out, &[("", &model.params)], storage)
        .with_context(|| format!("cannot write {}", path.display()))?;
    close(&path, out)?;
    let mut config = model.config.clone();
    config.torch_dtype = storage.torch_name().into();
    let mut files = vec![("config.json", config.to_json())];
    if let Some(tokenizer) = model.tokenizer_if_any() {
        files.extend(tokenizer.files());
    }
    for (name, bytes) in files {
        let path = folder.join(name);
        let mut out = create(&path)?;
        out.write_all(&bytes).with_context(|| format!("cannot write {}", path.display()))?;
        close(&path, out)?;
    }
    Ok(())
}
