//! `data build`, `data inspect`, `data generate`.

use crate::arguments::Common;
use crate::progress::Progress;
use crate::{Failure, machine, output, signals};
use data::picture::Preparation;
use data::{
    BuildConfig, Dataset, Error, HeldOutAction, InvalidUtf8, Look, Order, Phase, Report, Seeing, Source,
    TokenizerChoice, inspect,
};
use plan::Sight;
use std::path::{Path, PathBuf};

/// What to do with data.
#[derive(clap::Subcommand, Debug)]
#[command(after_help = "Examples:
  foretell data generate --bytes 20000000 --out world
  foretell data build world --out data/world --vocab 4096
  foretell data inspect data/world --row 0 --seq 64")]
pub enum Verb {
    /// Text, JSONL and Parquet to a folder of tokens
    Build(Build),
    /// Show documents and rows as the model sees them
    Inspect(Inspect),
    /// Write the generated world of `quickstart` as ordinary files
    Generate(Generate),
}

/// Options of `data build`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell data build texts --out data/mine --vocab 4096
  foretell data build 'books/*.jsonl.gz=3' code=1 --exclude '*test*' --out data/mix
  foretell data build texts exams --holdout-source exams=1 --out data/kept --tokenizer bytes")]
pub struct Build {
    /// Files, folders or globs (.txt .md .py … .jsonl .parquet, plain, .gz or .zst), each with =WEIGHT if
    /// sources are to be mixed
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// Folder to make
    #[arg(long, value_name = "DATA", value_parser = crate::arguments::new_path())]
    pub out: PathBuf,
    /// Globs of files and folders to leave out; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Train a byte-level BPE tokenizer with so many tokens [default: 4096; 1024 where most documents
    /// have pictures]
    #[arg(long, value_name = "TOKENS")]
    pub vocab: Option<usize>,
    /// `bytes`, or a tokenizer.json (or its folder), instead of training one
    #[arg(long, value_name = "FILE", conflicts_with = "vocab")]
    pub tokenizer: Option<PathBuf>,
    /// Bytes of text that a tokenizer is trained on
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    pub sample_bytes: usize,
    /// Share of documents held out for evaluation, by their hash
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    pub holdout: f64,
    /// Share held out of one source instead; 1 keeps it out of training altogether. May be given several
    /// times
    #[arg(long, value_name = "SOURCE=SHARE")]
    pub holdout_source: Vec<String>,
    /// Cut longer texts into documents of about so many bytes; 0: never
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 10)]
    pub cut_bytes: usize,
    /// Longer lines and fields are malformed; a longer plain file is read in parts
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    pub record_bytes: usize,
    /// Field or column of text in JSONL and Parquet
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub text_field: String,
    /// Stop at the first malformed line or file, instead of counting and skipping it
    #[arg(long)]
    pub strict: bool,
    /// Skip documents that are no UTF-8, instead of replacing what is not
    #[arg(long)]
    pub skip_invalid_utf8: bool,
    /// Keep documents that occurred before
    #[arg(long)]
    pub keep_duplicates: bool,
    /// Pixels of the side of a tile: a larger picture is cut into several, with the whole as one more
    #[arg(long, value_name = "PIXELS", default_value_t = 64)]
    pub tile: u32,
    /// Pixels of the side of a patch
    #[arg(long, value_name = "PIXELS", default_value_t = 8)]
    pub patch: u32,
    /// Patches along the side of the square that becomes a token
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub scale_factor: u32,
    /// Scale every picture to this longer side first [default: as it comes]
    #[arg(long, value_name = "PIXELS")]
    pub longest_edge: Option<u32>,
    /// Leave documents out, and count them, whose pictures cannot be read, instead of stopping at the first
    #[arg(long)]
    pub skip_broken_images: bool,
    /// A TOML file of words and patterns to leave out
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Held-out items, a line each (text, or JSON with `text`, `question` or `prompt`); documents that
    /// hold one are dropped
    #[arg(long, value_name = "FILE")]
    pub held_out: Option<PathBuf>,
    /// Only name the documents that hold a held-out item
    #[arg(long, requires = "held_out")]
    pub report_held_out: bool,
    /// Tokens after which a new file is begun
    #[arg(long, value_name = "TOKENS", default_value_t = 1 << 28)]
    pub shard_tokens: u64,
    /// Replace a data folder that is there already
    #[arg(long)]
    pub force: bool,
}

/// Options of `data inspect`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell data inspect data/real
  foretell data inspect data/real --document 3 --tokens 40
  foretell data inspect data/real --row 0 --seq 64
  foretell data inspect data/eyes --html page.html --eval
  foretell data inspect data/real --verify",
    group = clap::ArgGroup::new("shown").multiple(true))]
pub struct Inspect {
    /// A folder made by `data build`
    pub data: PathBuf,
    /// Show a document, counted from 0
    #[arg(long, value_name = "N", groups = ["view", "shown"])]
    pub document: Option<u64>,
    /// Of the held-out split
    #[arg(long, requires = "shown")]
    pub eval: bool,
    /// Show a row of training as the model gets it
    #[arg(long, value_name = "N", groups = ["view", "shown"])]
    pub row: Option<u64>,
    /// Tokens a row
    #[arg(long, value_name = "N", default_value_t = 256, requires = "row", conflicts_with = "document")]
    pub seq: usize,
    /// Seed of the order of rows
    #[arg(long, default_value_t = 1, requires = "row", conflicts_with = "document")]
    pub seed: u64,
    /// Write a page of documents as the model sees them: tokens, what counts in the loss, tiles
    #[arg(long, value_name = "FILE", conflicts_with = "row", group = "shown")]
    pub html: Option<PathBuf>,
    /// Documents of the page, from --document on
    #[arg(long, value_name = "N", default_value_t = 20, requires = "html")]
    pub documents: u64,
    /// Tokens of a document to show
    #[arg(long, value_name = "N", default_value_t = 200, requires = "document", conflicts_with = "row")]
    pub tokens: usize,
    /// Compare every file with its hash, prove that nothing held out is trained on, and name files that
    /// the build did not write (`foreign` in the JSON)
    #[arg(long, conflicts_with = "shown")]
    pub verify: bool,
}

/// Options of `data generate`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:
  foretell data generate --bytes 20000000 --out world
  foretell data build world --held-out world/questions.jsonl --out data/world")]
pub struct Generate {
    /// Folder to write to
    #[arg(long, value_name = "FOLDER", value_parser = crate::arguments::new_path())]
    pub out: PathBuf,
    /// Bytes of text [default: 20 MB, 2 MB beside pictures]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub bytes: Option<u64>,
    /// Another seed is another world
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The world of this seed with its pictures
    #[arg(long, value_name = "SEED", conflicts_with = "seed")]
    pub world: Option<u64>,
    /// Pictures of each of nine kinds at level 1, two thirds as many at level 2, a twentieth at level 3, with what is asked of
    /// them [default: 12000 with --world, else none]
    #[arg(long, value_name = "N")]
    pub pictures: Option<u64>,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
}

/// Runs the verb.
pub fn run(verb: &Verb, common: &Common) -> Result<(), Failure> {
    match verb {
        Verb::Build(options) => run_build(options, common),
        Verb::Inspect(options) => run_inspect(options, common),
        Verb::Generate(options) => {
            let seed = options.world.unwrap_or(options.seed);
            let pictures = options.pictures.unwrap_or(if options.world.is_some() { 12_000 } else { 0 });
            let text = options.bytes.unwrap_or(if pictures > 0 { 2_000_000 } else { 20_000_000 });
            let made = generate(&options.out, seed, text, options.force, common)?;
            let drawn = match pictures {
                0 => None,
                count => Some(draw(&options.out, seed, count, options.force, common)?),
            };
            let data::world::Generated { path, questions, .. } = made;
            let bytes = std::fs::metadata(&path)?.len();
            let summary = serde_json::json!({
                "out": path, "bytes": bytes, "questions": questions, "seed": seed, "pictures": drawn,
            });
            Ok(output::either(common, &summary, || {
                let (path, questions) = (path.display(), questions.display());
                format!(
                    "{path}: {:.1} MB\n{questions}: questions about it, for --score and --held-out\n{}",
                    bytes as f64 / 1e6,
                    drawn.as_ref().map_or(String::new(), |drawn| format!(
                        "{}: documents with pictures, and an exam for other programs beside it\n",
                        drawn.display()
                    ))
                )
            })?)
        }
    }
}

fn run_build(options: &Build, common: &Common) -> Result<(), Failure> {
    let sources = options.sources.iter().map(|text| text.parse()).collect::<data::Result<_>>();
    let mut sources: Vec<Source> = sources.map_err(usage)?;
    for text in &options.holdout_source {
        hold_out(&mut sources, text)?;
    }
    let tokenizer = match &options.tokenizer {
        None => TokenizerChoice::Train(options.vocab),
        Some(path) if path == Path::new("bytes") => TokenizerChoice::Bytes,
        Some(path) => TokenizerChoice::File(path.clone()),
    };
    let config = BuildConfig {
        sources,
        exclude: options.exclude.clone(),
        tokenizer,
        sample_bytes: options.sample_bytes,
        holdout: options.holdout,
        cut_bytes: options.cut_bytes,
        record_bytes: options.record_bytes,
        text_field: options.text_field.clone(),
        invalid_utf8: if options.skip_invalid_utf8 { InvalidUtf8::Skip } else { InvalidUtf8::Replace },
        strict: options.strict,
        keep_duplicates: options.keep_duplicates,
        seeing: Seeing {
            preparation: Preparation::new(options.longest_edge, options.tile),
            patch: options.patch,
            scale_factor: options.scale_factor,
            ..Seeing::default()
        },
        skip_broken_images: options.skip_broken_images,
        rules: options.rules.clone(),
        held_out: options.held_out.clone(),
        held_out_action: if options.report_held_out { HeldOutAction::Report } else { HeldOutAction::Drop },
        shard_tokens: options.shard_tokens,
        threads: machine::threads(common)?,
        force: options.force,
    };
    let report = build(&config, &options.out, common)?;
    Ok(output::either(common, &report.manifest, || summary(&options.out, &report))?)
}

/// Sets a source's own hold-out, as `SOURCE=SHARE`.
fn hold_out(sources: &mut [Source], text: &str) -> Result<(), Failure> {
    let bad = |what: &str| Failure::Usage(format!("--holdout-source {text}: {what}"));
    let (path, share) = text.rsplit_once('=').ok_or_else(|| bad("write it as SOURCE=SHARE"))?;
    let share = share.trim().parse().map_err(|_| bad("the share is no number"))?;
    let source = sources.iter_mut().find(|source| source.path == path);
    source.ok_or_else(|| bad("no SOURCE is named so"))?.holdout = Some(share);
    Ok(())
}

/// What a command line asked for in vain, and what went wrong.
pub fn usage(error: Error) -> Failure {
    match error {
        Error::Config(what) => Failure::Usage(what),
        other => other.into(),
    }
}

/// The same of what listens to signals.
fn interrupted(error: Error) -> Failure {
    match error {
        Error::Stopped => Failure::Interrupted(error.to_string()),
        other => usage(other),
    }
}

/// Builds a data folder, with a progress bar.
pub fn build(config: &BuildConfig, out: &Path, common: &Common) -> Result<Report, Failure> {
    let stop = signals::stop()?;
    let mut progress = Progress::new("data", 0, common.quiet || common.json);
    let result = data::build_until(config, out, &stop, &mut |now| {
        progress.set_length(now.bytes_total);
        progress.show(now.bytes_done, || {
            let what = match now.phase {
                Phase::Sampling => "reading a sample",
                Phase::Training => "training the tokenizer",
                Phase::Encoding => "encoding",
                Phase::Publishing => "writing",
            };
            format!("bytes: {what}, {} documents", now.documents)
        });
    });
    progress.end();
    let report = result.map_err(interrupted)?;
    report.notes.iter().for_each(|note| eprintln!("note: {note}"));
    Ok(report)
}

/// What was built, for people.
pub fn summary(out: &Path, report: &Report) -> String {
    let manifest = &report.manifest;
    let counts = &manifest.counts;
    let mut text = format!("{}: vocabulary of {}\n", out.display(), manifest.tokenizer.vocab_size);
    for (name, split) in [("train", &manifest.train), ("held out", &manifest.eval)] {
        text += &format!(
            "  {name:<9} {:>9} documents {:>12} tokens {:>12} bytes  {:.2} bytes a token\n",
            split.documents,
            split.tokens,
            split.bytes,
            split.bytes as f64 / split.tokens.max(1) as f64
        );
    }
    if let Some(seeing) = &manifest.seeing {
        let (images, tiles) =
            (manifest.train.images + manifest.eval.images, manifest.train.tiles + manifest.eval.tiles);
        text += &format!(
            "  pictures  {images:>9} in {tiles} tiles of {} pixels, {} tokens each; {} documents left out for broken ones\n",
            seeing.preparation.tile,
            seeing.tokens(),
            counts.broken_images
        );
    }
    let dropped: u64 = counts.dropped.values().sum();
    text += &format!(
        "  left out: {} duplicates, {} empty, {} malformed, {dropped} by rules and held-out items\n",
        counts.duplicates, counts.empty, counts.malformed
    );
    for place in counts.places.iter().take(5) {
        text += &format!("  {place}\n");
    }
    text
}

fn run_inspect(options: &Inspect, common: &Common) -> Result<(), Failure> {
    let dataset = Dataset::open(&options.data)?;
    if options.verify {
        dataset.verify()?;
        dataset.verify_split()?;
        let foreign = dataset.foreign()?;
        for name in &foreign {
            eprintln!("note: {name} is not of the build that made {}", options.data.display());
        }
        let text = || "every file is as it was written, and no held-out document is trained on\n".to_string();
        let summary = serde_json::json!({"verified": true, "foreign": foreign});
        return Ok(output::either(common, &summary, text)?);
    }
    if let Some(path) = &options.html {
        let first = options.document.unwrap_or(0);
        let page = data::page(&dataset, options.eval, first, options.documents).map_err(usage)?;
        record::Files::new().replace(path, page.as_bytes())?;
        let summary = serde_json::json!({"html": path, "bytes": page.len()});
        return Ok(output::either(common, &summary, || {
            format!("{}: {} bytes\n", path.display(), page.len())
        })?);
    }
    if let Some(number) = options.document {
        let view = inspect::document(&dataset, options.eval, number, options.tokens).map_err(usage)?;
        return Ok(output::either(common, &view, || format!("{view}\n"))?);
    }
    if let Some(row) = options.row {
        if options.seq > 1 << 24 {
            return Err(Failure::Usage(format!("--seq {}: at most 16777216", options.seq)));
        }
        let split = if options.eval { dataset.eval() } else { dataset.train() };
        let tiles = Sight::of(&dataset).map_or(0, |sight| sight.row(options.seq));
        let look = dataset.look().map(|look| Look { tiles, ..look.clone() });
        let order = Order::seeing(split.clone(), options.seed, options.seq, look).map_err(usage)?;
        let mut batch = data::Batch::new();
        order.rows(row, 1, &mut batch)?;
        for view in inspect::rows(dataset.tokenizer(), &batch, row) {
            output::either(common, &view, || format!("{view}\n"))?;
        }
        return Ok(());
    }
    let report = Report { manifest: dataset.manifest().clone(), notes: Vec::new() };
    Ok(output::either(common, &report.manifest, || {
        let sources = report.manifest.sources.iter().map(|source| {
            format!(
                "  source    {:>9} files {:>22} bytes  {}\n",
                source.files, source.file_bytes, source.path
            )
        });
        summary(&options.data, &report) + &sources.collect::<String>()
    })?)
}

/// Draws the pictures of a world.
pub fn draw(folder: &Path, seed: u64, count: u64, force: bool, common: &Common) -> Result<PathBuf, Failure> {
    let mut progress = Progress::new("pictures", count, common.quiet || common.json);
    let stop = signals::stop()?;
    let drawn = data::world::draw(folder, seed, count, force, &stop, &mut |done| {
        progress.show(done, || "exhibits of a kind and level".into());
    });
    progress.end();
    drawn.map_err(interrupted)
}

/// Writes the generated world.
pub fn generate(
    folder: &Path,
    seed: u64,
    bytes: u64,
    force: bool,
    common: &Common,
) -> Result<data::world::Generated, Failure> {
    let fresh = !folder.exists();
    let mut progress = Progress::new("world", bytes, common.quiet || common.json);
    let stop = signals::stop()?;
    let made = data::world::generate(folder, seed, bytes, force, &stop, &mut |done| {
        progress.show(done, || "bytes".into());
    });
    progress.end();
    if made.is_err() && fresh {
        // Removed only if it is empty.
        let _ = std::fs::remove_dir(folder);
    }
    made.map_err(interrupted)
}
