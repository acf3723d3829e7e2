//! Every verb through the real program: what it prints and writes, how it ends, and what it does with
//! input that is wrong. One binary, so that the data and the run that most tests read are made once.
#![cfg(unix)]

mod common;

mod bench;
mod data;
mod evidence;
mod export;
mod eyes;
mod eyes_ladder;
mod foretold_sets;
mod help;
mod kill;
mod ladder;
mod parts;
mod plan;
mod predict;
mod quickstart;
mod registered;
mod report;
mod resume;
mod same_bits;
mod sample;
mod score;
mod sets;
mod settings;
mod signals;
mod train;
mod transfer;
