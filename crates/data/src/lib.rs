//! Documents, readers, tokenizer, shards, order, generated worlds.
//!
//! Files become documents ([`read_file`], [`build()`]), documents become tokens ([`Tokenizer`]) in shards on
//! disk ([`Dataset`]), and these become batches in an order that is a pure function of (seed, step)
//! ([`Order`]).
#![forbid(unsafe_code)]

mod batch;
mod build;
mod dataset;
mod document;
mod error;
mod eval;
mod filter;
mod heldout;
pub mod inspect;
mod manifest;
mod order;
mod packing;
mod page;
mod passages;
pub mod picture;
mod pipeline;
mod prepare;
mod publish;
mod question;
mod reader;
mod recipe;
mod seeing;
mod shard;
mod source;
mod split;
mod storage;
pub mod tokenizer;
pub mod world;

pub use batch::{Batch, TileBatch};
pub use build::{BuildConfig, HeldOutAction, Phase, Progress, Report, TokenizerChoice, build, build_until};
pub use dataset::Dataset;
pub use document::{Document, ImageRef, Message, Segment, SegmentKind, Special};
pub use error::{Error, Result};
pub use eval::EvalSet;
pub use heldout::HeldOut;
pub use manifest::{Counts, Manifest, ShardEntry, SourceEntry, Span, SplitEntry, TokenizerEntry};
pub use order::Order;
pub use page::page;
pub use passages::{Passage, Passages, passages};
pub use question::{Question, each_question, holds_questions, questions};
pub use reader::{InvalidUtf8, read_file};
pub use recipe::{Posed, Recipe};
pub use seeing::{Look, Prompt, Seeing, image_token};
pub use source::Source;
pub use split::Split;
pub use tokenizer::{Encoder, SplitRule, Tokenizer};
