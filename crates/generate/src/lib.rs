//! Decoding with a key-value cache, samplers, log-probabilities.
//!
//! A [`Generator`] takes [`Request`]s and decodes many at once: logits become a token in the
//! [`Sampler`], tokens become text that may be shown in [`StopText`]. A [`Scorer`] gives the
//! log-probabilities of text that is already there.
#![forbid(unsafe_code)]

mod error;
mod generator;
mod logprobs;
mod random;
mod request;
mod sampler;
mod score;
mod stop;

pub use error::{Error, Result};
pub use generator::{Capacity, Generator};
pub use logprobs::{Ranked, TokenLogprob, log_softmax, log_sum_exp};
pub use request::{Completion, Finish, Id, Request, Update, prompt};
pub use sampler::{Sampler, Sampling};
pub use score::{Score, Scorer, Seen};
pub use stop::StopText;
