//! `sample`: text from a model.

use crate::arguments::Common;
use crate::checkpoint::Model;
use crate::{Failure, machine, memory, output, signals};
use data::{Document, ImageRef, Segment, SegmentKind};
use generate::{Capacity, Completion, Finish, Generator, Request, Sampling};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options of `sample`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell sample runs/first --prompt \"The meaning of\" --temperature 0.8
  foretell sample runs/eyes --image chart.png --prompt \"Which bar is tallest?\"
  foretell sample first.gguf --prompt \"def \" --temperature 0 --tokens 40 --logprobs 3 --json")]
pub struct Options {
    /// A run, a checkpoint, a Hugging Face folder, or a .gguf file
    #[arg(value_parser = crate::arguments::path())]
    pub model: PathBuf,
    /// What to continue; empty: a new document
    #[arg(long, default_value = "", hide_default_value = true)]
    pub prompt: String,
    /// A picture that stands before the prompt; may be given several times
    #[arg(long, value_name = "FILE")]
    pub image: Vec<PathBuf>,
    /// Most tokens to draw [default: as many as the context holds, at most 200]
    #[arg(long, value_name = "N")]
    pub tokens: Option<usize>,
    /// How many texts
    #[arg(long, short, value_name = "N", default_value_t = 1)]
    pub number: usize,
    /// Divides the logits; 0 takes the most probable token
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    pub temperature: f32,
    /// Only the K most probable tokens; 0: all
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub top_k: usize,
    /// Only the fewest tokens that have this probability together
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub top_p: f32,
    /// Only tokens at least this share as probable as the most probable
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub min_p: f32,
    /// Makes tokens that occurred less probable; 1: not
    #[arg(long, value_name = "R", default_value_t = 1.0)]
    pub repetition_penalty: f32,
    /// Ends the text, and does not belong to it; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// With --json: log-probabilities of what was drawn, and of this many most probable tokens
    #[arg(long, value_name = "N", requires = "json")]
    pub logprobs: Option<usize>,
}

impl Options {
    /// The beginning of a document that is to be continued.
    fn document(&self) -> Document {
        let image = |path: &PathBuf| Segment {
            kind: SegmentKind::Image(ImageRef::File(path.to_string_lossy().into_owned())),
            weight: 0.0,
        };
        let segments = self.image.iter().map(image).chain([Segment::text(&*self.prompt)]).collect();
        Document { id: "--image".into(), source: "the command line".into(), segments }
    }

    /// What is not said, for a prompt.
    pub fn of(model: &Path, prompt: &str) -> Options {
        Options {
            model: model.into(),
            prompt: prompt.into(),
            image: Vec::new(),
            tokens: None,
            number: 1,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            stop: Vec::new(),
            seed: 0,
            logprobs: None,
        }
    }
}

/// Tiles that are looked at together.
const TILES: usize = 16;

/// Texts of one call.
const MOST: usize = 1 << 16;

#[derive(Serialize)]
struct Text<'a> {
    prompt: &'a str,
    #[serde(flatten)]
    completion: &'a Completion,
}

/// Prints texts; a single one appears as it is drawn.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    if !(1..=MOST).contains(&options.number) {
        return Err(Failure::Usage(format!("--number {}: between 1 and {MOST} texts", options.number)));
    }
    let stop = signals::stop()?;
    let model = Model::open(&options.model)?;
    let tokenizer = model.tokenizer()?;
    let look = model.look()?;
    let data::Prompt { tokens: prompt, tiles } =
        data::Prompt::new(options.document(), tokenizer, look.as_ref())?;
    let context = model.config.max_position_embeddings;
    let sampling = Sampling {
        temperature: options.temperature,
        top_k: options.top_k,
        top_p: options.top_p,
        min_p: options.min_p,
        repetition_penalty: options.repetition_penalty,
        seed: options.seed,
        ..Sampling::default()
    };
    let room = context.saturating_sub(prompt.len());
    let most = options.tokens.unwrap_or(room.clamp(1, 200));
    let request = |sequence: usize| Request {
        max_tokens: Some(most),
        sampling: sampling.clone(),
        stop: options.stop.clone(),
        logprobs: options.logprobs,
        sequence: sequence as u64,
        end: model.ends(),
        tiles: tiles.clone(),
        ..Request::new(tokenizer, prompt.clone())
    };
    if let Some(number) = options.logprobs.filter(|&number| number > model.config.vocab_size) {
        let tokens = model.config.vocab_size;
        return Err(Failure::Usage(format!("--logprobs {number}: the model has {tokens} tokens")));
    }
    let requests: Vec<Request> = (0..options.number).map(request).collect();
    if let Some(first) = requests.first() {
        first.check(model.config.vocab_size, context).map_err(Failure::of_request)?;
    }
    let drawn = prompt.len().saturating_add(most);
    let sequences = options.number.clamp(1, 16);
    let chunk = prompt.len().saturating_mul(sequences).next_power_of_two().min(256);
    let capacity = Capacity { sequences, context: drawn.min(context), chunk, tiles: tiles.room().min(TILES) };
    let device = Arc::new(machine::device(common)?);
    let bytes = capacity.bytes(device.as_ref(), &model.config, model.params.layout())?;
    memory::check(&[("cache and decoding", bytes)])?;
    let mut generator = Generator::new(device, &model.config, model.params.layout(), capacity)?;
    let streamed = options.number == 1 && !common.json;
    if streamed {
        output::text(&options.prompt)?;
    }
    let mut failed = Ok(());
    let completions = generator.generate(&model.params, tokenizer, requests, &mut |_, update| {
        if streamed {
            failed = output::text(&update.text);
        }
        match failed.is_err() || signals::stopping(&stop) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    failed?;
    let completions = completions.map_err(Failure::of_request)?;
    if completions.iter().any(|completion| completion.finish == Some(Finish::NotFinite)) {
        return Err(anyhow::anyhow!("{}: the model's logits are no numbers", model.path.display()).into());
    }
    for (number, completion) in completions.iter().enumerate() {
        match (common.json, streamed) {
            (true, _) => output::json(&Text { prompt: &options.prompt, completion })?,
            (false, true) => output::text("\n")?,
            (false, false) => {
                output::text(&format!("--- {number}\n{}{}\n", options.prompt, completion.text))?
            }
        }
    }
    match signals::stopping(&stop) {
        true => Err(Failure::Interrupted("stopped".into())),
        false => Ok(()),
    }
}
