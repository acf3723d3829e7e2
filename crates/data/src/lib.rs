//! Documents, readers, tokenizer, shards, order, generated worlds.
#![forbid(unsafe_code)]

mod document;

pub use document::{Document, ImageRef, Message, Segment, SegmentKind, Special};
