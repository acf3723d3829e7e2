//! What is asked of a generator, and what comes back.

use crate::{Error, Result, Sampling, TokenLogprob};
use data::{TileBatch, Tokenizer};
use serde::Serialize;

/// A text to be continued.
#[derive(Clone, Debug)]
pub struct Request {
    /// The tokens to continue: see [`prompt`].
    pub prompt: Vec<u32>,
    /// The pictures that stand among them ([`data::Prompt`]).
    pub tiles: TileBatch,
    /// Most tokens to draw; `None` for as many as the context holds.
    pub max_tokens: Option<usize>,
    /// How to draw.
    pub sampling: Sampling,
    /// Strings that end the text and do not belong to it.
    pub stop: Vec<String>,
    /// Tokens that end the text: end of text, end of a chat message.
    pub end: Vec<u32>,
    /// Log-probabilities of each token drawn and of this many of the most probable; `None` for none.
    pub logprobs: Option<usize>,
    /// Number of the sequence: with the seed it decides the draws, whatever runs beside it.
    pub sequence: u64,
}

impl Request {
    /// Continues `prompt` up to the tokenizer's end of text.
    pub fn new(tokenizer: &Tokenizer, prompt: Vec<u32>) -> Request {
        Request {
            prompt,
            tiles: TileBatch::default(),
            max_tokens: None,
            sampling: Sampling::default(),
            stop: Vec::new(),
            end: vec![tokenizer.eos()],
            logprobs: None,
            sequence: 0,
        }
    }

    /// Refuses what a model with this vocabulary and this many places in its context cannot do, and
    /// returns how many tokens will be drawn at most.
    ///
    /// The rule (MOD-5): prompt and answer together fit into the context, or the request is refused.
    /// Nothing is dropped from the prompt, and no position is used twice.
    pub fn check(&self, vocab: usize, context: usize) -> Result<usize> {
        if self.prompt.is_empty() {
            return Err(Error::Empty("the prompt"));
        }
        if let Some(index) = self.prompt.iter().position(|&t| t as usize >= vocab) {
            let token = self.prompt[index];
            return Err(Error::Token { what: "prompt", index, token, vocab });
        }
        self.sampling.check(vocab)?;
        let prompt = self.prompt.len();
        let room = context.saturating_sub(prompt);
        let asked = self.max_tokens.unwrap_or(room.max(1));
        if asked == 0 {
            let value = "0".into();
            return Err(Error::Setting { name: "max_tokens", value, expected: "at least 1" });
        }
        if asked > room {
            return Err(Error::Context { prompt, asked, context });
        }
        Ok(asked)
    }
}

/// The tokens of a text that begins a document: the end-of-text token, as in training, and the
/// text's own, in which reserved tokens are ordinary text.
pub fn prompt(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    let mut tokens = vec![tokenizer.eos()];
    tokenizer.encode_ordinary(text, &mut tokens)?;
    Ok(tokens)
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// An end token or a stop string.
    Stop,
    /// As many tokens as were asked for, or as the context holds.
    Length,
    /// It was cancelled.
    Cancelled,
    /// The model's logits were no numbers.
    NotFinite,
}

/// Names a request that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub(crate) u64);

/// What one step added to a text.
#[derive(Clone, Debug)]
pub struct Update {
    /// Whose text.
    pub id: Id,
    /// The token drawn; `None` for an end token, which is not part of the text.
    pub token: Option<u32>,
    /// Its log-probability, if asked for (also of an end token).
    pub logprob: Option<TokenLogprob>,
    /// Text that is certain now; often empty, when a character or a stop string may be under way.
    pub text: String,
    /// Set on the last update.
    pub finish: Option<Finish>,
}

/// A finished text.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Completion {
    /// The text, without the stop string.
    pub text: String,
    /// The tokens drawn, the stop string's among them, an end token not.
    pub tokens: Vec<u32>,
    /// Log-probabilities of what was drawn, if asked for; an end token's stands last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprob>>,
    /// Why it ended.
    pub finish: Option<Finish>,
}

impl Completion {
    /// Adds what a step brought.
    pub fn extend(&mut self, update: &Update) {
        self.text.push_str(&update.text);
        self.tokens.extend(update.token);
        if let Some(logprob) = &update.logprob {
            self.logprobs.get_or_insert_default().push(logprob.clone());
        }
        self.finish = update.finish;
    }
}
