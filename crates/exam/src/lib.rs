//! Exams: items with known answers, put to whoever answers, scored as people are.
//!
//! An [`Item`] is a question with choices, text and pictures. It has three [`Rendering`]s (the report's EXM-10): as it is, with a
//! placeholder for each picture, and with each picture in words. A [`Respondent`] says how likely it holds each choice to be, or
//! writes an answer; a [`Sitting`] puts items to it and counts by family and level.
#![forbid(unsafe_code)]

mod item;
mod model;
mod recipe;
mod sitting;
mod world;

pub use item::{Item, Rendering};
pub use model::ModelRespondent;
pub use recipe::recipe;
pub use sitting::{FamilyScore, Respondent, Sitting, Summary};
pub use world::{Shown, WorldExam};

/// What can go wrong in an exam.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An item that cannot be posed.
    #[error("item {id}: {what}")]
    Item {
        /// The item.
        id: String,
        /// Why.
        what: String,
    },
    /// Of its text or pictures.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// Of decoding.
    #[error(transparent)]
    Generate(#[from] generate::Error),
    /// Of a graph.
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
