//! Pictures, from their bytes to what an encoder sees: the one path for training, sampling, exams and serving, so that
//! a picture never looks different to two of them.
//!
//! [`Picture::decode`] gives upright RGB pixels within [`Bounds`]; [`Preparation::layout`] says how many tiles a picture of a
//! size becomes; [`Preparation::apply`] makes them. Tiles are kept as bytes: what an encoder reads ([`Tiles::patches`])
//! is four times as large and made when it is needed.

mod augment;
mod decode;
mod prepare;
mod preprocessor;
mod resize;

pub use augment::Change;
pub use decode::{Bounds, Picture, Unreadable};
pub use prepare::{Filter, Layout, Preparation, Tiles};
