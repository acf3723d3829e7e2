//! What can be wrong with a model's files.

/// An error of this crate; each names the field or tensor.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field with a value that cannot be used.
    #[error("{name}: {reason}")]
    Field {
        /// The field.
        name: String,
        /// Why.
        reason: String,
    },
    /// A file that is no JSON of the expected form.
    #[error("{file} cannot be read: {source}")]
    Json {
        /// The file.
        file: String,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A file of weights that is not what it should be.
    #[error("{file}: {reason}")]
    Weights {
        /// The file.
        file: String,
        /// What is wrong, with the tensor.
        reason: String,
    },
    /// A file that could not be written.
    #[error("the model cannot be written: {0}")]
    Write(#[from] std::io::Error),
    /// The engine's.
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

impl Error {
    pub(crate) fn field(name: &str, reason: impl Into<String>) -> Error {
        Error::Field { name: name.into(), reason: reason.into() }
    }

    pub(crate) fn json(file: &str) -> impl Fn(serde_json::Error) -> Error + '_ {
        move |source| Error::Json { file: file.into(), source }
    }
}
