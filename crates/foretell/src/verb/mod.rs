//! One file a verb: options, and what they do.

pub mod bench;
pub mod bench_evidence;
pub mod bench_images;
pub mod bench_predict;
pub mod completions;
pub mod data;
pub mod exam;
pub mod export;
pub mod ladder;
pub mod plan;
pub mod predict;
pub mod quickstart;
pub mod report;
pub mod resume;
pub mod sample;
pub mod score;
pub mod train;
pub mod transfer;
pub mod verify;
