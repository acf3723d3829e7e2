//! What can go wrong in generation and scoring.

/// An error of this crate: what was asked, why it cannot be, what to ask instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A sampling setting out of its range.
    #[error("{name} = {value} is out of range: {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// Prompt and answer do not fit into the context.
    #[error(
        "the prompt has {prompt} tokens and {asked} more are asked, but the context holds {context}: \
         shorten the prompt{}",
        if *.prompt < *.context { format!(" or ask for at most {}", .context - .prompt) } else { String::new() }
    )]
    Context {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens asked for.
        asked: usize,
        /// Tokens that fit.
        context: usize,
    },
    /// Nothing to continue or to score.
    #[error("{0} has no token: give at least one (a document begins with the end-of-text token)")]
    Empty(&'static str),
    /// A token that the model does not have.
    #[error("{what}: token {index} is {token}, but the model's tokens are 0 to {}", .vocab - 1)]
    Token {
        /// Prompt, text, or setting.
        what: &'static str,
        /// Place in it.
        index: usize,
        /// The id found.
        token: u32,
        /// The model's vocabulary.
        vocab: usize,
    },
    /// The model's output is not a number.
    #[error(
        "the model's logits for token {position} of sequence {sequence} are not finite: \
         its weights are damaged or its training diverged"
    )]
    NotFinite {
        /// The request's sequence number.
        sequence: u64,
        /// Position of the token that was to be drawn.
        position: usize,
    },
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The tokenizer failed.
    #[error(transparent)]
    Data(#[from] data::Error),
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;
