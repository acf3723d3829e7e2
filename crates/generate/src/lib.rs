//! Decoding with a key-value cache, samplers, log-probabilities.
//!
//! A [`Sampler`] turns logits into a token, [`StopText`] turns tokens into text that may be shown.
#![forbid(unsafe_code)]

mod error;
mod logprobs;
mod random;
mod sampler;
mod stop;

pub use error::{Error, Result};
pub use logprobs::{Ranked, TokenLogprob, log_softmax, log_sum_exp};
pub use sampler::{Sampler, Sampling};
pub use stop::StopText;
