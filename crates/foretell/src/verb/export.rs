//! `export`: a model for other programs.

use crate::arguments::Common;
use crate::checkpoint::{Model, eyes_beside};
use crate::{Failure, output};
use anyhow::{Context, anyhow};
use data::picture::{Filter, Preparation};
use data::{Special, Tokenizer};
use model::{Config, gguf, weights};
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Options of `export`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell export runs/first --to gguf --out first.gguf
  foretell export runs/eyes --to gguf --out eyes.gguf       # and eyes-mmproj.gguf
  foretell export runs/first --to safetensors --dtype bf16 --out first-hf")]
pub struct Options {
    /// A run, a checkpoint, a Hugging Face folder, or a .gguf file
    #[arg(value_parser = crate::arguments::path())]
    pub model: PathBuf,
    /// What to write: a file for llama.cpp, with the eyes of a model that has some beside it, or a Hugging Face folder
    #[arg(long)]
    pub to: Format,
    /// What numbers are stored as
    #[arg(long, default_value = "f32")]
    pub dtype: DType,
    /// File or folder to write
    #[arg(long, value_name = "PATH", value_parser = crate::arguments::new_path())]
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

impl DType {
    fn storage(self) -> weights::Storage {
        match self {
            DType::F32 => weights::Storage::F32,
            DType::Bf16 => weights::Storage::Bf16,
            DType::F16 => weights::Storage::F16,
        }
    }
}

/// Writes the model.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    let targets = targets(options);
    if let Some(there) = targets.iter().find(|target| target.exists()).filter(|_| !options.force) {
        return Err(anyhow!("{} exists already; choose another or pass --force", there.display()).into());
    }
    targets.iter().try_for_each(|target| replaceable(target, options.to))?;
    let model = Model::open(&options.model)?;
    model.config.readable_elsewhere().map_err(|e| anyhow!("{}: {e}", model.path.display()))?;
    let storage = options.dtype.storage();
    let kept = |shape: &[usize]| match options.to {
        // GGUF keeps norms as they are.
        Format::Gguf if shape.len() == 1 => weights::Storage::F32,
        _ => storage,
    };
    weights::check(&model.params, &kept).with_context(|| model.path.display().to_string())?;
    let parts: Vec<PathBuf> = targets.iter().map(|target| beside(target)).collect();
    if let Some(part) = parts.iter().find(|part| part.exists()) {
        let path = part.display();
        return Err(anyhow!("{path} is in the way, perhaps of an export that was killed; remove it").into());
    }
    let fresh = missing_parents(&options.out);
    let written = make(&fresh).and_then(|()| match (options.to, parts.as_slice()) {
        (Format::Gguf, [text, eyes]) => write_gguf(&model, storage, text, eyes),
        (_, parts) => parts.iter().try_for_each(|folder| write_folder(&model, storage, folder)),
    });
    let placed = written.and_then(|()| place(&targets, &parts));
    if placed.is_err() {
        // Nothing half-written stays.
        parts.iter().for_each(|part| drop(remove(part)));
        for parent in fresh {
            let _ = fs::remove_dir(parent);
        }
    }
    placed?;
    let bytes: u64 = targets.iter().map(|target| size(target)).sum();
    let summary =
        serde_json::json!({"out": options.out, "bytes": bytes, "parameters": model.config.parameters()});
    Ok(output::either(common, &summary, || {
        let names: Vec<String> = targets
            .iter()
            .filter(|target| target.exists())
            .map(|target| target.display().to_string())
            .collect();
        format!(
            "{}: {} parameters, {:.1} MB\n",
            names.join(", "),
            model.config.parameters(),
            bytes as f64 / 1e6
        )
    })?)
}

/// What is written, or replaced by nothing: of GGUF the text and the eyes that would lie beside it.
fn targets(options: &Options) -> Vec<PathBuf> {
    match options.to {
        Format::Gguf => vec![options.out.clone(), eyes_beside(&options.out)],
        Format::Safetensors => vec![options.out.clone()],
    }
}

/// Gives what was written its names, in the place of all that was there. The first comes last, for a reader looks for it: where
/// there are several, a kill on the way leaves no model, and never the text of one with the eyes of another.
fn place(targets: &[PathBuf], parts: &[PathBuf]) -> Result<(), Failure> {
    let named = |target: &Path| format!("cannot write {}", target.display());
    let several = targets.iter().zip(parts).skip(1).any(|(target, part)| target.exists() || part.exists());
    for target in targets.iter().filter(|target| target.is_dir() || several && target.exists()) {
        remove(target).with_context(|| named(target))?;
    }
    let mut placed: Vec<&Path> = Vec::new();
    for (target, part) in targets.iter().zip(parts).rev().filter(|(_, part)| part.exists()) {
        if let Err(error) = fs::rename(part, target) {
            placed.iter().for_each(|path| drop(remove(path)));
            return Err(anyhow::Error::from(error).context(named(target)).into());
        }
        placed.push(target);
    }
    Ok(())
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// What an exported folder holds, besides the weights.
const FILES: [&str; 8] = [
    CONFIG,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
    "processor_config.json",
    GENERATION,
    CARD,
];
const WEIGHTS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const GENERATION: &str = "generation_config.json";
const CARD: &str = "README.md";

/// Refuses to replace what `export` would not have written: a file that is no GGUF, a folder with anything else
/// in it than an exported one (a checkpoint has more), a run, a device.
fn replaceable(out: &Path, format: Format) -> Result<(), Failure> {
    let Ok(found) = fs::metadata(out) else { return Ok(()) };
    let refused =
        |what: &str| Err(anyhow!("{} {what}, so it is not replaced; choose another", out.display()).into());
    match format {
        Format::Gguf if !found.is_file() => refused("is no file"),
        Format::Gguf => {
            let mut magic = Vec::new();
            File::open(out)
                .and_then(|file| file.take(4).read_to_end(&mut magic))
                .with_context(|| format!("cannot read {}", out.display()))?;
            if magic.is_empty() || magic == gguf::MAGIC { Ok(()) } else { refused("is no GGUF file") }
        }
        Format::Safetensors => {
            if !out.join(CONFIG).is_file() || !out.join(WEIGHTS).is_file() {
                return refused("is no exported model");
            }
            let ours = |name: &str| name == WEIGHTS || FILES.contains(&name);
            for entry in fs::read_dir(out).with_context(|| format!("cannot list {}", out.display()))? {
                let name = entry.with_context(|| format!("cannot list {}", out.display()))?.file_name();
                if !ours(&name.to_string_lossy()) {
                    return refused(&format!("holds {}, which no export wrote", name.display()));
                }
            }
            Ok(())
        }
    }
}

/// The folders above `path` that are not there, the innermost first.
fn missing_parents(path: &Path) -> Vec<&Path> {
    let above = path.ancestors().skip(1);
    above.take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect()
}

/// Makes them.
fn make(parents: &[&Path]) -> Result<(), Failure> {
    for parent in parents.iter().rev() {
        fs::create_dir(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    Ok(())
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

fn write_gguf(model: &Model, storage: weights::Storage, text: &Path, eyes: &Path) -> Result<(), Failure> {
    let words = vocabulary(model.tokenizer()?)?;
    let sight = if model.config.eyes.is_some() { Some(sight(model)?) } else { None };
    let named = |path: &Path| format!("cannot write {}", path.display());
    let mut out = create(text)?;
    gguf::write(&mut out, &model.config, &model.params, &words, storage.into())
        .with_context(|| named(text))?;
    close(text, out)?;
    let Some(sight) = sight else { return Ok(()) };
    let mut out = create(eyes)?;
    gguf::write_eyes(&mut out, &model.config, &model.params, &sight, storage.into())
        .with_context(|| named(eyes))?;
    close(eyes, out)
}

/// How a model's pictures are prepared, in GGUF's terms. What they have no words for is refused.
fn sight(model: &Model) -> Result<gguf::Sight, Failure> {
    let refused = |what: &str| Err(anyhow!("{}: {what}; write safetensors", model.path.display()).into());
    let Some(look) = model.look()? else {
        return refused("no preprocessor_config.json says how its pictures are prepared, and GGUF has to");
    };
    if look.seeing.bare {
        return refused("GGUF is written of the eyes of Idefics3's layout, not of LLaVA's");
    }
    let Preparation { longest_edge, split, filter, mean, deviation, .. } = look.seeing.preparation;
    if !split || filter != Filter::Lanczos {
        return refused(
            "GGUF cannot say that its pictures are not cut into tiles (do_image_splitting) or not scaled with \
             Lanczos's filter (resample)",
        );
    }
    Ok(gguf::Sight { mean, deviation, longest_edge })
}

/// A tokenizer in GGUF's terms. What llama.cpp cannot split as we do is refused.
fn vocabulary(tokenizer: &Tokenizer) -> Result<gguf::Vocabulary, Failure> {
    let words = tokenizer.words()?;
    let kinds = words.reserved.iter().map(|&reserved| if reserved { 3 } else { 1 }).collect();
    let bos = tokenizer.special(Special::EndOfText);
    let data::tokenizer::Words { tokens, merges, pre, eos, .. } = words;
    Ok(gguf::Vocabulary { tokens, merges, pre, kinds, bos, eos, add_bos: bos.is_some() })
}

fn write_folder(model: &Model, storage: weights::Storage, folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let path = folder.join(WEIGHTS);
    let mut out = create(&path)?;
    weights::write(&mut out, &[("", &model.params)], storage)
        .with_context(|| format!("cannot write {}", path.display()))?;
    close(&path, out)?;
    let mut config = model.config.clone();
    config.torch_dtype = storage.torch_name().into();
    // As the model has them: a checkpoint's card says how it was trained, a list of end tokens stays one.
    let own = |name: &str| fs::read(model.path.join(name)).ok();
    let mut files = vec![
        (CONFIG, config.to_json()),
        (GENERATION, own(GENERATION).unwrap_or_else(|| config.generation_json())),
        (CARD, own(CARD).unwrap_or_else(|| card(&config))),
    ];
    if let Some(tokenizer) = model.tokenizer_if_any() {
        files.extend(tokenizer.files());
    }
    if let Some(look) = model.look()? {
        files.extend(look.seeing.files());
    }
    for (name, bytes) in files {
        let path = folder.join(name);
        let mut out = create(&path)?;
        out.write_all(&bytes).with_context(|| format!("cannot write {}", path.display()))?;
        close(&path, out)?;
    }
    Ok(())
}

/// The card of a model that came without one.
fn card(config: &Config) -> Vec<u8> {
    let Config { num_hidden_layers, hidden_size, vocab_size, torch_dtype, .. } = config;
    format!(
        "# A model exported by foretell {}\n\n| | |\n| --- | --- |\n| parameters | {} |\n| layers × width | \
         {num_hidden_layers} × {hidden_size} |\n| vocabulary | {vocab_size} |\n| numbers | {torch_dtype} |\n",
        crate::machine::version(),
        config.parameters()
    )
    .into_bytes()
}
