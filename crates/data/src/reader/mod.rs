//! From files to documents: one streaming reader a format, through one layer of decompression.
//!
//! Nothing in a file can make a reader panic or hold more than [`ReaderConfig::record_bytes`] of it: what
//! is malformed comes out as a [`Problem`] that names file and line, and reading goes on behind it.

mod captioned;
mod compressed;
pub(crate) mod images;
mod jsonl;
mod parquet;
mod recipe;
mod text;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::error::{Error, Result};
use crate::recipe::{Opened, Recipe};
use crate::source::InputFile;
pub(crate) use compressed::{Hashed, Stream, Watch};
pub(crate) use parquet::{
    cells as parquet_cells, each_row as each_parquet_row, holds_questions as parquet_questions,
};
pub(crate) use text::read_line;

/// What to do with bytes that are no UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidUtf8 {
    /// Put `U+FFFD` in their place, and count the document.
    #[default]
    Replace,
    /// Count the document as malformed.
    Skip,
}

/// How files are read.
#[derive(Clone, Debug)]
pub(crate) struct ReaderConfig {
    /// Name of the text field of JSONL and Parquet rows.
    pub(crate) text_field: String,
    pub(crate) invalid_utf8: InvalidUtf8,
    /// No line, field or piece of a plain file beyond this is held in memory.
    pub(crate) record_bytes: usize,
}

/// A document as it was read.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) document: Document,
    pub(crate) licence: Option<String>,
    /// Some bytes were no UTF-8 and were replaced.
    pub(crate) replaced: bool,
    /// One of several parts of a plain file too large to hold.
    pub(crate) part: bool,
    /// Whether it is held out, where its source says so itself.
    pub(crate) held: Option<bool>,
}

/// Something malformed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    /// File, or file:line.
    pub(crate) place: String,
    pub(crate) what: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl From<Problem> for Error {
    fn from(Problem { place, what }: Problem) -> Error {
        Error::Malformed { place, what }
    }
}

/// What a reader gives, in the order of the file.
pub(crate) type Item = std::result::Result<Record, Problem>;

/// Yields the documents and problems of one file.
pub(crate) trait Reader {
    /// The next one; `None` at the end.
    fn next(&mut self) -> Option<Item>;
}

/// Endings of the names of pictures.
pub(crate) const IMAGES: [&str; 5] = ["png", "jpg", "jpeg", "webp", "gif"];

/// The formats of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Jsonl,
    Parquet,
    Recipe,
    /// A picture, or an archive of them.
    Captioned,
    /// To be decided by the first bytes.
    Unknown,
}

/// The file's format by its name, without `.gz` or `.zst`.
fn format_of(path: &Path) -> Format {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let name = name.unwrap_or_default();
    let inner = name
        .strip_suffix(".gz")
        .or_else(|| name.strip_suffix(".zst"))
        .or_else(|| name.strip_suffix(".zstd"))
        .unwrap_or(&name);
    match inner.rsplit_once('.').map(|(_, extension)| extension) {
        Some("jsonl" | "ndjson") => Format::Jsonl,
        Some("parquet" | "pq") => Format::Parquet,
        Some("tar") => Format::Captioned,
        Some(extension) if IMAGES.contains(&extension) => Format::Captioned,
        Some(
            "txt" | "text" | "md" | "markdown" | "rst" | "tex" | "html" | "htm" | "xml" | "csv" | "tsv"
            | "json" | "toml" | "yaml" | "yml" | "ini" | "py" | "rs" | "c" | "h" | "cc" | "cpp" | "hpp"
            | "java" | "js" | "ts" | "go" | "rb" | "sh" | "sql" | "css" | "lua" | "pl" | "hs" | "ml"
            | "scala" | "swift" | "kt" | "r" | "jl" | "zig" | "asm" | "s",
        ) => Format::Text,
        _ => Format::Unknown,
    }
}

/// Opens a file. A file of a folder that is neither text nor one
/// of our formats gives one problem and nothing else.
pub(crate) fn open(
    file: &InputFile,
    config: &ReaderConfig,
    watch: &Watch,
) -> Result<(Box<dyn Reader + Send>, Hashed)> {
    let (stream, hashed) = compressed::open(&file.path, watch)?;
    let format = match format_of(&file.path) {
        // A recipe is one only where it is named.
        Format::Text if file.explicit && file.name.ends_with(".toml") && Recipe::is_one(&file.path) => {
            Format::Recipe
        }
        format => format,
    };
    let reader: Box<dyn Reader + Send> = match format {
        Format::Captioned => Box::new(captioned::CaptionReader::new(file, config)),
        Format::Recipe => Box::new(recipe::RecipeReader::new(file, config)),
        Format::Parquet => parquet::open(file, stream, config),
        Format::Jsonl => Box::new(jsonl::JsonlReader::new(file, stream, config)),
        Format::Text => Box::new(text::TextReader::new(file, stream, config, false)),
        Format::Unknown => Box::new(text::TextReader::new(file, stream, config, true)),
    };
    Ok((reader, hashed))
}

/// A reader that has one problem and nothing else.
struct Broken(Option<Problem>);

impl Reader for Broken {
    fn next(&mut self) -> Option<Item> {
        self.0.take().map(Err)
    }
}

/// Bytes to text by the rule for invalid UTF-8; says whether some were replaced.
fn decode(
    bytes: Vec<u8>,
    rule: InvalidUtf8,
    place: impl Fn() -> String,
) -> std::result::Result<(String, bool), Problem> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok((text, false)),
        Err(error) => match rule {
            InvalidUtf8::Replace => Ok((String::from_utf8_lossy(error.as_bytes()).into(), true)),
            InvalidUtf8::Skip => Err(Problem {
                place: place(),
                what: format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()),
            }),
        },
    }
}

/// What went wrong while reading or decompressing, in words.
fn read_failure(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "is truncated".into(),
        _ => format!("cannot be read or decompressed: {error}"),
    }
}

/// Reads every document of a single file, for `data inspect` and tests: problems are errors.
pub fn read_file(path: &Path) -> Result<Vec<Document>> {
    let name = path.to_string_lossy().into_owned();
    let bytes = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
    let (path, opened) = (path.to_path_buf(), Opened::default());
    let file = InputFile { path, name, source: 0, bytes, explicit: true, opened };
    let config = ReaderConfig {
        text_field: "text".into(),
        invalid_utf8: InvalidUtf8::Replace,
        record_bytes: crate::build::RECORD_BYTES,
    };
    let (mut reader, _) = open(&file, &config, &Watch::default())?;
    let mut documents = Vec::new();
    while let Some(item) = reader.next() {
        documents.push(item?.document);
    }
    Ok(documents)
}
