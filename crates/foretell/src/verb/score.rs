//! `score`: what a text costs under a model.

use crate::arguments::Common;
use crate::checkpoint::Model;
use crate::{Failure, input, machine, memory, output};
use generate::Scorer;
use std::path::PathBuf;
use std::sync::Arc;

/// Options of `score`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell score runs/first --text book.txt
  foretell score runs/first --tokens 0,17,42 --json")]
pub struct Options {
    /// A run, a checkpoint, a Hugging Face folder, or a .gguf file
    #[arg(value_parser = crate::arguments::path())]
    pub model: PathBuf,
    /// A file of text; it is scored as one document
    #[arg(long, value_name = "FILE", required_unless_present = "tokens")]
    pub text: Option<PathBuf>,
    /// Tokens, as numbers
    #[arg(long, value_name = "IDS", value_delimiter = ',', conflicts_with = "text")]
    pub tokens: Option<Vec<u32>>,
    /// Tokens that each token sees at most [default: the model's context]
    #[arg(long, value_name = "N")]
    pub context: Option<usize>,
}

/// Prints log-probabilities and their sums.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    let text = match &options.text {
        None => None,
        Some(path) => {
            let bytes = input::read(path)?;
            if bytes.is_empty() {
                return Err(anyhow::anyhow!("{}: the file is empty", path.display()).into());
            }
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
    };
    let model = Model::open(&options.model)?;
    let tokens = match (&text, &options.tokens) {
        (Some(text), _) => generate::prompt(model.tokenizer()?, text)?,
        (None, Some(tokens)) => tokens.clone(),
        (None, None) => return Err(Failure::Usage("--text or --tokens is needed".into())),
    };
    let context = options.context.unwrap_or(model.config.max_position_embeddings);
    let device = Arc::new(machine::device(common)?);
    let mut scorer =
        Scorer::new(device, &model.config, model.params.layout(), context).map_err(Failure::of_request)?;
    memory::check(&[("scoring", scorer.bytes(tokens.len())?)])?;
    let score = match model.tokenizer_if_any() {
        Some(tokenizer) => scorer.score(&model.params, tokenizer, &tokens).map_err(Failure::of_request)?,
        None => {
            let logprobs = scorer.logprobs(&model.params, &tokens).map_err(Failure::of_request)?;
            let nats = 0.0 - logprobs.iter().flatten().sum::<f64>();
            generate::Score { tokens, logprobs, nats, bits_per_byte: None, bits_per_word: None }
        }
    };
    let people = || {
        let predicted = score.tokens.len() - 1;
        let each = score.nats / predicted.max(1) as f64;
        let show = |x: Option<f64>| x.map_or("unknown".into(), |x| format!("{x:.4}"));
        format!(
            "{predicted} tokens, {:.1} nats\nloss {each:.4} nats a token, perplexity {:.2}\n{} bits a byte, {} bits a word\n",
            score.nats,
            each.exp(),
            show(score.bits_per_byte),
            show(score.bits_per_word)
        )
    };
    Ok(output::either(common, &score, people)?)
}
