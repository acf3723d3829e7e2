//! `data build`: files to a data folder, in one or two passes, with bounded memory, but for what finds
//! duplicates: 16 bytes of hash a document (a piece, where documents are cut) in a table that is 44 to 88 %
//! full and doubles, so 19 to 39 bytes a document, and 58 while it grows. `keep_duplicates` does without.
//!
//! The folder appears whole or not at all: it is written beside its place and renamed at the end. The same
//! input and configuration give the same bytes, whatever the number of threads.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::error::{Error, Result};
use crate::filter::{Filter, HELD_OUT};
use crate::manifest::{Counts, FORMAT, Manifest, SourceEntry, Span, SplitEntry, TokenizerEntry, VERSION};
use crate::picture::Bounds;
use crate::pipeline::{self, Pass, Worked};
use crate::prepare::{Preparer, cut};
use crate::publish::Publication;
use crate::reader::{InvalidUtf8, Item, ReaderConfig, Watch};
use crate::seeing::{PictureTokens, Seeing};
use crate::shard::{Piece, ShardWriter};
use crate::source::{Input, Source, resolve};
use crate::tokenizer::Tokenizer;

/// Default of [`BuildConfig::record_bytes`].
pub(crate) const RECORD_BYTES: usize = 64 << 20;
/// Sources with weights; the shares of a cycle of rows must be whole.
const MOST_WEIGHTED: usize = 1000;

/// Where the tokenizer comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenizerChoice {
    /// Byte-level BPE trained on a sample of the input, with so many tokens in all; by itself 4096, or
    /// 1024 where most documents have pictures.
    Train(Option<usize>),
    /// The 256 bytes and the reserved tokens.
    Bytes,
    /// A `tokenizer.json`, or a folder that holds one.
    File(PathBuf),
}

/// Tokens of a vocabulary.
const VOCABULARY: usize = 4096;

/// Tokens of a vocabulary for documents with pictures: what is said of these takes few words, and a model that learns to
/// see has better uses for its operations than a large head.
const VOCABULARY_OF_PICTURES: usize = 1024;

/// What to do with a document that holds a held-out item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldOutAction {
    /// Leave it out.
    #[default]
    Drop,
    /// Count it and name it, and keep it.
    Report,
}

/// Everything that decides the bytes of a data folder, and a few things that do not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BuildConfig {
    /// Files, folders and globs.
    pub sources: Vec<Source>,
    /// Globs of files and folders to leave out.
    pub exclude: Vec<String>,
    /// The tokenizer.
    pub tokenizer: TokenizerChoice,
    /// Bytes of text that a tokenizer is trained on.
    pub sample_bytes: usize,
    /// Share of documents held out, by their hash. 0: none; else at least one document is.
    pub holdout: f64,
    /// A longer text is cut into pieces, each a document of its own; 0: never. Pieces make the held-out
    /// share come out right when documents are few and long.
    pub cut_bytes: usize,
    /// A longer line or field is malformed, and a longer plain file is read in parts.
    pub record_bytes: usize,
    /// The field or column of text in JSONL and Parquet.
    pub text_field: String,
    /// What to do with bytes that are no UTF-8.
    pub invalid_utf8: InvalidUtf8,
    /// Stop at the first malformed line or file.
    pub strict: bool,
    /// Keep documents that occurred before.
    pub keep_duplicates: bool,
    /// How pictures become tokens, where there are some.
    pub seeing: Seeing,
    /// Leave documents out, and count them, whose images cannot be read; otherwise the first of them is an error.
    pub skip_broken_images: bool,
    /// A TOML file of rules for what to leave out.
    pub rules: Option<PathBuf>,
    /// A list of held-out items, as [`crate::HeldOut::open`] reads it.
    pub held_out: Option<PathBuf>,
    /// What to do with documents that hold one.
    pub held_out_action: HeldOutAction,
    /// Tokens after which a new file is begun.
    pub shard_tokens: u64,
    /// Threads; decides no byte of the result.
    #[serde(skip_serializing)]
    pub threads: usize,
    /// Replace a data folder that is there already.
    #[serde(skip_serializing)]
    pub force: bool,
}

impl Default for BuildConfig {
    fn default() -> Self {
        BuildConfig {
            sources: Vec::new(),
            exclude: Vec::new(),
            tokenizer: TokenizerChoice::Train(None),
            sample_bytes: 16 << 20,
            holdout: 0.01,
            cut_bytes: 64 << 10,
            record_bytes: RECORD_BYTES,
            text_field: "text".into(),
            invalid_utf8: InvalidUtf8::Replace,
            strict: false,
            keep_duplicates: false,
            seeing: Seeing::default(),
            skip_broken_images: false,
            rules: None,
            held_out: None,
            held_out_action: HeldOutAction::Drop,
            shard_tokens: 1 << 28,
            threads: 1,
            force: false,
        }
    }
}

/// How far a build is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes of input read from disk in this phase.
    pub bytes_done: u64,
    /// Bytes of input on disk.
    pub bytes_total: u64,
    /// Documents in this phase.
    pub documents: u64,
}

/// The phases of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading a sample for the tokenizer.
    Sampling,
    /// Training the tokenizer.
    Training,
    /// Encoding documents.
    Encoding,
    /// Syncing and renaming.
    Publishing,
}

/// What a build made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The manifest as written.
    pub manifest: Manifest,
    /// Lines the user should read: what was slower or other than asked for.
    pub notes: Vec<String>,
}

impl BuildConfig {
    /// Refuses what makes no sense; a build asks this first.
    ///
    /// # Errors
    /// [`Error::Config`], naming the field.
    pub fn check(&self) -> Result<()> {
        let bad = |what: String| Err(Error::Config(what));
        let share = |name: &str, value: f64| match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => Err(Error::Config(format!("{name} is {value}; it is a share, from 0 to 1"))),
        };
        share("the hold-out", self.holdout)?;
        for source in &self.sources {
            if let Some(holdout) = source.holdout {
                share(&format!("the hold-out of {:?}", source.path), holdout)?;
            }
            if let Some(weight) = source.weight
                && !(weight.is_finite() && weight > 0.0)
            {
                return bad(format!("the weight of {:?} is {weight}; it must be positive", source.path));
            }
        }
        let trained = |source: &&Source| source.holdout_or(self.holdout) < 1.0;
        if let Some(source) = self.sources.iter().find(|source| source.weight.is_some() && !trained(source)) {
            return bad(format!("{:?} is held out altogether, so it can have no weight", source.path));
        }
        let weighted = self.sources.iter().filter(|source| source.weight.is_some()).count();
        if weighted != 0 && weighted != self.sources.iter().filter(trained).count() {
            return bad("some sources have a weight and some have none; give all of them one, or none".into());
        }
        if self.keep_duplicates && self.sources.iter().any(|source| source.holdout.is_some()) {
            return bad("with duplicates kept, what one source holds out could be trained on from another; \
                        drop keep_duplicates or the hold-outs of single sources"
                .into());
        }
        if weighted > MOST_WEIGHTED {
            return bad(format!("{weighted} sources have weights; at most {MOST_WEIGHTED} can"));
        }
        if self.cut_bytes != 0 && self.cut_bytes < 64 {
            return bad(format!(
                "pieces of {} bytes are too small; 64 or more, or 0 for none",
                self.cut_bytes
            ));
        }
        if !(1024..=1 << 31).contains(&self.record_bytes) {
            return bad(format!("record_bytes is {}; from 1024 to 2 GiB", self.record_bytes));
        }
        if !(1 << 10..=1 << 30).contains(&self.sample_bytes) {
            return bad(format!("sample_bytes is {}; from 1 KiB to 1 GiB", self.sample_bytes));
        }
        self.seeing.check()?;
        if self.shard_tokens == 0 {
            return bad("a shard of 0 tokens holds nothing".into());
        }
        if let TokenizerChoice::Train(Some(size)) = self.tokenizer
            && !(crate::tokenizer::SMALLEST..=1 << 20).contains(&size)
        {
            let smallest = crate::tokenizer::SMALLEST;
            return bad(format!("a vocabulary of {size} cannot be; from {smallest} to 1048576"));
        }
        Ok(())
    }

    fn reader(&self) -> ReaderConfig {
        ReaderConfig {
            text_field: self.text_field.clone(),
            invalid_utf8: self.invalid_utf8,
            record_bytes: self.record_bytes,
        }
    }

    fn holdout_of(&self, source: usize) -> f64 {
        self.sources.get(source).map_or(self.holdout, |source| source.holdout_or(self.holdout))
    }
}

/// Builds a data folder.
pub fn build(config: &BuildConfig, out: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Report> {
    build_until(config, out, &Arc::default(), progress)
}

/// Builds a data folder, unless `stop` is set meanwhile: then nothing is left behind.
pub fn build_until(
    config: &BuildConfig,
    out: &Path,
    stop: &Arc<AtomicBool>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report> {
    config.check()?;
    let publication = Publication::begin(out, config.force)?;
    let input = resolve(&config.sources, config.holdout, &config.exclude)?;
    if let (true, Some(first)) = (config.strict, input.problems.first()) {
        return Err(first.clone().into());
    }
    let filter = Filter::open(
        config.rules.as_deref(),
        config.held_out.as_deref(),
        config.held_out_action == HeldOutAction::Drop,
    )?;
    let short = filter.too_short();
    let notes = short.first().map(|first| {
        let count = short.len();
        format!("{count} held-out items are too short to be looked for (fewer than 12 letters); the first is {first}")
    });
    let left_out = input.questions.iter().map(|name| {
        let remedy = match config.held_out {
            Some(_) => "",
            None => "; --held-out with it keeps its questions out of the documents, too",
        };
        format!("{name} holds questions and is not trained on{remedy}")
    });
    let notes: Vec<String> = notes.into_iter().chain(left_out).collect();
    let mut builder = Builder {
        config,
        total: input.files.iter().map(|file| file.bytes).sum(),
        input,
        filter,
        stop,
        progress,
        notes,
    };
    let tokenizer = builder.tokenizer()?;
    if let Some(reason) = tokenizer.slow_reason() {
        builder.notes.push(format!(
            "the tokenizer is encoded by the `tokenizers` crate, several times slower than ours: {reason}"
        ));
    }
    let pictures = PictureTokens::new(&config.seeing, &tokenizer);
    let mut made = builder.write(&tokenizer, &pictures, publication.folder(), None)?;
    if let Err(key) = made {
        // No document fell below the share: hold out the one with the lowest hash.
        publication.clear()?;
        made = builder.write(&tokenizer, &pictures, publication.folder(), Some(key))?;
    }
    let Ok((manifest, seeing)) = made else {
        return Err(Error::Empty("no document could be held out".into()));
    };
    builder.report(Phase::Publishing, &manifest.counts, builder.total);
    for (name, bytes) in seeing.as_ref().unwrap_or(&tokenizer).files() {
        publication.write(name, &bytes)?;
    }
    publication.write(crate::manifest::FILE, &manifest.to_bytes()?)?;
    let notes = std::mem::take(&mut builder.notes);
    publication.publish()?;
    Ok(Report { manifest, notes })
}

/// A document on its way: what decides its split, and the encoded document.
struct Prepared {
    key: u64,
    /// Whether it is held out, where its source says so itself.
    held: Option<bool>,
    hash: u128,
    piece: Piece,
}

/// A document for the tokenizer's sample.
struct Sampled {
    key: u64,
    /// In the order of the sample.
    place: u64,
    /// As in [`Prepared`].
    held: Option<bool>,
    text: String,
    /// Whether it shows a picture.
    shows: bool,
}

/// What a worker makes of a batch.
#[derive(Default)]
struct Output<T> {
    pieces: Vec<T>,
    counts: Counts,
    licences: BTreeMap<String, u64>,
    /// The first problem, if it is fatal.
    fatal: Option<Error>,
}

/// Where in the order of hashes a document stands for the hold-out.
fn holdout_key(hash: &[u8; 32]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    u64::from_le_bytes(bytes)
}

/// And for the sample; independent of the former.
fn sample_key(hash: &[u8; 32]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[8..16]);
    u64::from_le_bytes(bytes)
}

fn held_out(key: u64, share: f64) -> bool {
    share >= 1.0 || (key as f64) < share * 18_446_744_073_709_551_616.0
}

struct Builder<'a> {
    config: &'a BuildConfig,
    input: Input,
    total: u64,
    filter: Filter,
    stop: &'a Arc<AtomicBool>,
    progress: &'a mut dyn FnMut(Progress),
    notes: Vec<String>,
}

impl Builder<'_> {
    fn report(&mut self, phase: Phase, counts: &Counts, bytes_done: u64) {
        let documents = counts.documents;
        (self.progress)(Progress { phase, bytes_done, bytes_total: self.total, documents });
    }

    fn tokenizer(&mut self) -> Result<Tokenizer> {
        match &self.config.tokenizer {
            TokenizerChoice::Bytes => Tokenizer::bytes(),
            TokenizerChoice::File(path) => Tokenizer::open(path),
            TokenizerChoice::Train(size) => {
                let (sample, pictured) = self.sample()?;
                self.report(Phase::Training, &Counts::default(), self.total);
                let rule = if pictured { VOCABULARY_OF_PICTURES } else { VOCABULARY };
                let size = size.unwrap_or(rule);
                let tokenizer = Tokenizer::train(sample.into_iter(), size)?;
                if tokenizer.vocab_size() < size {
                    self.notes.push(format!(
                        "the text has pairs for a vocabulary of {} only, of the {size} asked for",
                        tokenizer.vocab_size()
                    ));
                }
                Ok(tokenizer)
            }
        }
    }

    /// The pieces with the lowest sample keys, up to the bound, none of which will be held out; and whether most have pictures.
    fn sample(&mut self) -> Result<(Vec<String>, bool)> {
        let mut kept: BTreeMap<(u64, u64), String> = BTreeMap::new();
        let mut kept_back = HashSet::new();
        let (mut bytes, mut pieces, mut pictured) = (0, 0u64, 0u64);
        let mut counts = Counts::default();
        let (config, filter, total) = (self.config, &self.filter, self.total);
        let progress = &mut *self.progress;
        let pass = Pass {
            files: &self.input.files,
            reader: config.reader(),
            threads: config.threads,
            watch: Watch { stop: self.stop.clone(), ..Watch::default() },
        };
        let worker = || {
            |items: Vec<Item>| {
                prepare(config, filter, items, |document, hash, held| {
                    let shows = document.images().next().is_some();
                    let text: String = document.texts().collect::<Vec<_>>().join("\n");
                    Ok(Sampled { key: holdout_key(&hash), place: sample_key(&hash), held, text, shows })
                })
            }
        };
        pipeline::run(&pass, worker, |worked: Worked<Output<Sampled>>| {
            if let Some(error) = worked.output.fatal {
                return Err(error);
            }
            counts.documents += worked.output.counts.documents;
            for Sampled { key, place, held, text, shows } in worked.output.pieces {
                (pieces, pictured) = (pieces + 1, pictured + u64::from(shows));
                if held.unwrap_or_else(|| held_out(key, config.holdout_of(worked.source))) {
                    kept_back.insert(key);
                }
                if kept_back.contains(&key) || kept.contains_key(&(place, key)) {
                    continue;
                }
                bytes += text.len();
                kept.insert((place, key), text);
                while bytes > config.sample_bytes && kept.len() > 1 {
                    if let Some((_, dropped)) = kept.pop_last() {
                        bytes -= dropped.len();
                    }
                }
            }
            progress(Progress {
                phase: Phase::Sampling,
                bytes_done: pass.watch.done.load(Ordering::Relaxed),
                bytes_total: total,
                documents: counts.documents,
            });
            Ok(())
        })?;
        Ok((kept.into_values().collect(), 2 * pictured > pieces))
    }

    /// Writes the shards; gives the manifest, and where there are pictures the tokenizer with their tokens. If
    /// something should be held out and no document was, gives the key of the document that should be, to be passed as `forced`.
    fn write(
        &mut self,
        tokenizer: &Tokenizer,
        pictures: &PictureTokens,
        folder: &Path,
        forced: Option<u64>,
    ) -> Result<std::result::Result<(Manifest, Option<Tokenizer>), u64>> {
        let (config, filter, total) = (self.config, &self.filter, self.total);
        // Enough for either: whether there are pictures is known at the end.
        let (vocab_size, limit) = (pictures.vocab_size(tokenizer), config.shard_tokens);
        let mut train = ShardWriter::new(folder, "train", vocab_size, limit);
        let mut eval = ShardWriter::new(folder, "eval", vocab_size, limit);
        let mut counts = Counts { malformed: self.input.problems.len() as u64, ..Counts::default() };
        self.input.problems.iter().for_each(|problem| counts.note(problem.to_string()));
        let mut sources: Vec<SourceEntry> = config
            .sources
            .iter()
            .map(|source| SourceEntry {
                path: source.path.clone(),
                weight: source.weight,
                ..SourceEntry::default()
            })
            .collect();
        let mut hashers = vec![blake3::Hasher::new(); sources.len()];
        let mut seen: HashSet<u128> = HashSet::new();
        let mut lowest = u64::MAX;
        // Whether everything is held out because its sources say so themselves, as those of an exam do.
        let mut asked_alone = true;
        let progress = &mut *self.progress;
        let files = &self.input.files;
        let pass = Pass {
            files,
            reader: config.reader(),
            threads: config.threads,
            watch: Watch { stop: self.stop.clone(), ..Watch::default() },
        };
        let worker = || {
            let mut preparer = Preparer::new(tokenizer, Some(pictures));
            move |items: Vec<Item>| {
                prepare(config, filter, items, |document, hash, held| {
                    let piece = preparer.encode(document, hash)?;
                    let (key, hash) = (holdout_key(&hash), u128::from_le_bytes(piece.hash));
                    Ok(Prepared { key, held, hash, piece })
                })
            }
        };
        let mut current = usize::MAX;
        pipeline::run(&pass, worker, |worked: Worked<Output<Prepared>>| {
            let source = &mut sources[worked.source];
            if worked.source != current {
                current = worked.source;
                source.train.start = train.tokens;
                source.eval.start = eval.tokens;
            }
            let output = worked.output;
            counts.add(output.counts);
            if let Some(error) = output.fatal {
                return Err(error);
            }
            for (licence, count) in output.licences {
                *source.licences.entry(licence).or_default() += count;
            }
            let share = config.holdout_of(worked.source);
            for Prepared { key, held, hash, piece } in output.pieces {
                if !config.keep_duplicates && !seen.insert(hash) {
                    counts.duplicates += 1;
                    continue;
                }
                if share > 0.0 && held.is_none() {
                    lowest = lowest.min(key);
                }
                let by_hash = || share > 0.0 && (held_out(key, share) || forced == Some(key));
                let hold = held.unwrap_or_else(by_hash);
                asked_alone &= held == Some(true);
                let (writer, span) = match hold {
                    true => (&mut eval, &mut source.eval),
                    false => (&mut train, &mut source.train),
                };
                writer.push(&piece)?;
                *span = Span {
                    start: span.start,
                    tokens: span.tokens + piece.tokens.len() as u64,
                    documents: span.documents + 1,
                };
            }
            if let Some((index, hash)) = worked.file_end {
                let file = &files[index];
                source.files += 1;
                source.file_bytes += file.bytes;
                hashers[worked.source].update(&(file.name.len() as u64).to_le_bytes());
                hashers[worked.source].update(file.name.as_bytes());
                hashers[worked.source].update(&hash);
            }
            progress(Progress {
                phase: Phase::Encoding,
                bytes_done: pass.watch.done.load(Ordering::Relaxed),
                bytes_total: total,
                documents: counts.documents,
            });
            Ok(())
        })?;
        for (source, hasher) in sources.iter_mut().zip(hashers) {
            source.blake3 = hasher.finalize().to_hex().to_string();
        }
        let (train, eval) = (finish(train)?, finish(eval)?);
        if train.documents + eval.documents == 0 {
            let from = config.sources.first().map_or("", |source| source.path.as_str());
            let first = counts.places.first().map_or(String::new(), |place| format!("; {place}"));
            return Err(Error::Empty(format!(
                "no document is left of {} read from {from}: {} malformed, {} empty, {} dropped by rules{first}",
                counts.documents,
                counts.malformed,
                counts.empty,
                counts.dropped.values().sum::<u64>()
            )));
        }
        if eval.documents == 0 && lowest != u64::MAX && forced.is_none() && train.documents > 1 {
            return Ok(Err(lowest));
        }
        if (train.documents == 0 && !asked_alone) || (eval.documents == 0 && lowest != u64::MAX) {
            return Err(Error::Empty(format!(
                "{} documents leave nothing to {}; give more text, smaller pieces (cut_bytes), or another \
                 hold-out",
                train.documents + eval.documents,
                if train.documents == 0 { "train on" } else { "hold out" }
            )));
        }
        let idle = |source: &&SourceEntry| source.weight.is_some() && source.train.documents == 0;
        if let Some(source) = sources.iter().find(idle) {
            return Err(Error::Empty(format!(
                "source {:?} has a weight and no document to train on: of its {} files, every document is \
                 held out, malformed, empty, dropped by a rule, or a duplicate of another source's; leave it out",
                source.path, source.files
            )));
        }
        let sees = train.images + eval.images > 0;
        let seeing = if sees { Some(pictures.extend(tokenizer)?) } else { None };
        let tokenizer = seeing.as_ref().unwrap_or(tokenizer);
        let manifest = Manifest {
            format: FORMAT.into(),
            version: VERSION,
            tokenizer: TokenizerEntry {
                vocab_size: tokenizer.vocab_size(),
                blake3: blake3::hash(tokenizer.json()).to_hex().to_string(),
                config_blake3: Some(blake3::hash(tokenizer.config()).to_hex().to_string()),
                slow_reason: tokenizer.slow_reason().map(str::to_owned),
            },
            seeing: sees.then(|| config.seeing.clone()),
            sources,
            train,
            eval,
            counts,
            config: serde_json::to_value(config)
                .map_err(|error| Error::Config(format!("cannot record the configuration: {error}")))?,
        };
        Ok(Ok((manifest, seeing)))
    }
}

fn finish(mut writer: ShardWriter) -> Result<SplitEntry> {
    let shards = writer.finish()?;
    Ok(SplitEntry {
        tokens: writer.tokens,
        documents: writer.documents,
        bytes: writer.bytes,
        words: writer.words,
        images: writer.images,
        tiles: writer.tiles,
        most_tiles: writer.most_tiles,
        shards,
    })
}

/// Filters and cuts the documents of a batch, and does `each` with the pieces.
fn prepare<T>(
    config: &BuildConfig,
    filter: &Filter,
    items: Vec<Item>,
    mut each: impl FnMut(&Document, [u8; 32], Option<bool>) -> Result<T>,
) -> Result<Output<T>> {
    let mut output =
        Output { pieces: Vec::new(), counts: Counts::default(), licences: BTreeMap::new(), fatal: None };
    let counts = &mut output.counts;
    for item in items {
        let record = match item {
            Ok(record) => record,
            Err(problem) => {
                if config.strict {
                    output.fatal = Some(problem.into());
                    return Ok(output);
                }
                counts.malformed += 1;
                counts.note(problem.to_string());
                continue;
            }
        };
        let mut document = record.document;
        counts.documents += 1;
        counts.bytes += document.text_bytes() as u64;
        counts.parts += u64::from(record.part);
        counts.invalid_utf8 += u64::from(record.replaced);
        if document.texts().all(str::is_empty) && document.images().next().is_none() {
            counts.empty += 1;
            continue;
        }
        let verdict = filter.check(&mut document);
        if let Some(item) = verdict.item {
            counts.held_out_items += 1;
            counts.note(format!("{}: holds the held-out item {item}", document.id));
        }
        for (rule, found) in verdict.redacted {
            *counts.redacted.entry(rule).or_default() += found;
        }
        if let Some(reason) = verdict.dropped {
            *counts.dropped.entry(reason).or_default() += 1;
            continue;
        }
        let loaded = document.load_images(Bounds::default().bytes);
        if let Some((item, drop)) = filter.shows(&document) {
            counts.held_out_items += 1;
            counts.note(format!("{}: shows a picture of the held-out item {item}", document.id));
            if drop {
                *counts.dropped.entry(HELD_OUT.into()).or_default() += 1;
                continue;
            }
        }
        if let Some(licence) = record.licence {
            *output.licences.entry(licence).or_default() += 1;
        }
        let made = loaded.and_then(|()| {
            let make = |piece: Document| each(&piece, piece.content_hash(), record.held);
            cut(document, config.cut_bytes).into_iter().map(make).collect::<Result<Vec<T>>>()
        });
        match made {
            Err(Error::Image { place, what }) if config.skip_broken_images => {
                counts.broken_images += 1;
                counts.note(format!("{place}: {what}"));
            }
            made => {
                let made = made?;
                counts.pieces += made.len() as u64;
                output.pieces.extend(made);
            }
        }
    }
    Ok(output)
}
