//! Exams: items with known answers, put to whoever answers, scored as people are.
//!
//! An [`Item`] is a question with choices, text and pictures. It has three [`Rendering`]s (the report's EXM-10): as it is, with a
//! placeholder for each picture, and with each picture in words. A [`Respondent`] says how likely it holds each choice to be, or
//! writes an answer; a [`Sitting`] puts items to it and counts by family and level, and what could not be posed by its [`Reason`].
#![forbid(unsafe_code)]

mod item;
mod model;
mod recipe;
mod sitting;
mod world;

pub use item::{Item, Rendering};
pub use model::ModelRespondent;
pub use recipe::recipe;
pub use sitting::{FamilyScore, KindScore, Left, Posed, Respondent, Sitting, Summary};
pub use world::{Shown, WorldExam};

/// Why an item was not posed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It has more tokens than the context.
    Length,
    /// A picture of it cannot be read, or has more parts than the model takes.
    Picture,
    /// It has a picture that nobody has put in words.
    Transcription,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::Length => "longer than the model's context",
            Reason::Picture => "a picture that the model cannot be shown",
            Reason::Transcription => "a picture without a transcription",
        })
    }
}

/// An item that cannot be posed to whoever was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotPosed {
    /// Why.
    pub reason: Reason,
    /// The same of this item.
    pub what: String,
}

/// What can go wrong in an exam.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An item that its source cannot make.
    #[error("item {id}: {what}")]
    Item {
        /// The item.
        id: String,
        /// Why.
        what: String,
    },
    /// None of the items can be posed.
    #[error("none of {items} items can be posed: {first}")]
    NonePosed {
        /// How many there are.
        items: usize,
        /// Why the first of them cannot.
        first: String,
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
