//! Documents, readers, tokenizer, shards, order, generated worlds.
#![forbid(unsafe_code)]

mod document;
mod error;
pub mod tokenizer;

pub use document::{Document, ImageRef, Message, Segment, SegmentKind, Special};
pub use error::{Error, Result};
pub use tokenizer::{Encoder, Tokenizer};
