//! Parquet: a document a row, from a text column or a column of messages.
//!
//! The `parquet` crate checks much of what it reads and panics at some of the rest; a damaged file must
//! not end the process, so every call into it is fenced.

use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::compressed::Stream;
use super::jsonl::{MessageRow, Row, parse_messages, text_of};
use super::{Broken, Item, Problem, Reader, ReaderConfig, read_failure};
use crate::source::InputFile;

/// Rows decoded at once.
const ROWS: usize = 64;

/// Opens a Parquet file; `stream` gives its bytes where it is compressed as a whole.
pub(super) fn open(file: &InputFile, mut stream: Stream, config: &ReaderConfig) -> Box<dyn Reader + Send> {
    let broken = |what: String| -> Box<dyn Reader + Send> {
        Box::new(Broken(Some(Problem { place: file.name.clone(), what })))
    };
    // Parquet is read from its end: one that is compressed as a whole is unpacked beside, not in memory.
    let mut start = [0; 4];
    let plain = File::open(&file.path).and_then(|mut plain| plain.read_exact(&mut start).map(|()| plain));
    let opened = if &start == b"PAR1" { plain } else { unpack(&mut stream) };
    let opened = match opened {
        Ok(opened) => fenced(|| batches(opened, config)),
        Err(error) => Err(read_failure(&error)),
    };
    match opened {
        Ok(batches) => Box::new(ParquetReader {
            batches,
            name: file.name.clone(),
            config: config.clone(),
            rows: Vec::new().into_iter(),
            row: 0,
            done: false,
        }),
        Err(what) => broken(what),
    }
}

/// Decompresses a stream into a nameless temporary file.
fn unpack(stream: &mut Stream) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(stream, &mut file)?;
    Ok(file)
}

/// Runs a call into the `parquet` crate, a panic of which is a fault of the file.
fn fenced<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err("is damaged (not valid Parquet)".into()))
}

/// The batches of the columns that mean something.
fn batches(source: File, config: &ReaderConfig) -> Result<ParquetRecordBatchReader, String> {
    let bad = |error: parquet::errors::ParquetError| format!("is not valid Parquet: {error}");
    // Plain types only: an embedded Arrow schema may ask for any other encoding.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(source, options).map_err(bad)?;
    let roots = builder.parquet_schema().root_schema().get_fields();
    let wanted: Vec<usize> = roots
        .iter()
        .enumerate()
        .filter(|(_, field)| {
            let name = field.name();
            name == config.text_field || matches!(name, "messages" | "license" | "licence" | "id")
        })
        .map(|(index, _)| index)
        .collect();
    let has = |name: &str| roots.iter().any(|field| field.name() == name);
    if !has(&config.text_field) && !has("messages") {
        let names: Vec<_> = roots.iter().map(|field| field.name()).collect();
        return Err(format!(
            "has neither a column {:?} nor \"messages\"; its columns are {}",
            config.text_field,
            names.join(", ")
        ));
    }
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    builder.with_projection(mask).with_batch_size(ROWS).build().map_err(bad)
}

struct ParquetReader {
    batches: ParquetRecordBatchReader,
    name: String,
    config: ReaderConfig,
    rows: std::vec::IntoIter<Item>,
    row: u64,
    done: bool,
}

impl Reader for ParquetReader {
    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.rows.next() {
                return Some(item);
            }
            if self.done {
                return None;
            }
            let batches = &mut self.batches;
            let batch = fenced(|| {
                batches.next().transpose().map_err(|error| format!("is not valid Parquet: {error}"))
            });
            let items = match batch {
                Ok(None) => return None,
                Ok(Some(batch)) => {
                    let (name, config, row) = (&self.name, &self.config, self.row);
                    fenced(|| Ok(read_batch(&batch, name, config, row)))
                        .inspect(|_| self.row += batch.num_rows() as u64)
                }
                Err(what) => Err(what),
            };
            match items {
                Ok(items) => self.rows = items.into_iter(),
                Err(what) => {
                    self.done = true;
                    let place = format!("{}:{}", self.name, self.row + 1);
                    return Some(Err(Problem { place, what }));
                }
            }
        }
    }
}

fn read_batch(batch: &RecordBatch, name: &str, config: &ReaderConfig, first: u64) -> Vec<Item> {
    let text = batch.column_by_name(&config.text_field);
    let messages = batch.column_by_name("messages");
    let licence = batch.column_by_name("license").or_else(|| batch.column_by_name("licence"));
    let id = batch.column_by_name("id");
    let read_row = |index: usize| -> Item {
        let place = format!("{name}:{}", first + index as u64 + 1);
        let problem = |what: String| Problem { place: place.clone(), what };
        let mut row = Row::default();
        let mut replaced = false;
        if let Some(column) = text
            && !column.is_null(index)
        {
            let bytes = cell(column, index)
                .ok_or_else(|| problem(format!("the column {:?} is not text", config.text_field)))?;
            if bytes.len() > config.record_bytes {
                let (length, limit) = (bytes.len(), config.record_bytes);
                return Err(problem(format!("is a text of {length} bytes, more than the {limit} allowed")));
            }
            let (text, odd) = text_of(bytes, config.invalid_utf8, || place.clone())?;
            row.text = Some(text);
            replaced = odd;
        }
        if let Some(column) = messages
            && !column.is_null(index)
        {
            row.messages = Some(conversation(column, index).map_err(problem)?);
        }
        let string = |column: Option<&arrow_array::ArrayRef>| {
            let bytes = column.filter(|column| !column.is_null(index)).and_then(|c| cell(c, index))?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        row.licence = string(licence);
        row.id = string(id).map(serde_json::Value::String);
        row.into_record(&place, name, &config.text_field, replaced).map_err(problem)
    };
    (0..batch.num_rows()).map(read_row).collect()
}

/// A cell of text or bytes.
fn cell(column: &dyn Array, index: usize) -> Option<&[u8]> {
    if let Some(column) = column.as_string_opt::<i32>() {
        return Some(column.value(index).as_bytes());
    }
    if let Some(column) = column.as_string_opt::<i64>() {
        return Some(column.value(index).as_bytes());
    }
    if let Some(column) = column.as_binary_opt::<i32>() {
        return Some(column.value(index));
    }
    if let Some(column) = column.as_binary_opt::<i64>() {
        return Some(column.value(index));
    }
    if let Some(column) = column.as_string_view_opt() {
        return Some(column.value(index).as_bytes());
    }
    None
}

/// A cell of messages: a list of structures with role and content, or JSON text.
fn conversation(column: &dyn Array, index: usize) -> Result<Vec<MessageRow>, String> {
    if let Some(bytes) = cell(column, index) {
        let text = std::str::from_utf8(bytes).map_err(|_| "its messages are not UTF-8".to_owned())?;
        return parse_messages(text).map_err(|error| format!("its messages are not JSON: {error}"));
    }
    let list = match (column.as_list_opt::<i32>(), column.as_list_opt::<i64>()) {
        (Some(list), _) => list.value(index),
        (_, Some(list)) => list.value(index),
        _ => return Err("the column \"messages\" is neither a list nor JSON text".into()),
    };
    let fields = list.as_struct_opt().ok_or("the messages are not structures")?;
    let role = fields.column_by_name("role").ok_or("the messages have no role")?;
    let content = fields.column_by_name("content").ok_or("the messages have no content")?;
    (0..fields.len())
        .map(|at| {
            let text = |column: &dyn Array| match column.is_null(at) {
                true => Ok(String::new()),
                false => cell(column, at)
                    .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
                    .ok_or_else(|| "the role or content of a message is not text".to_owned()),
            };
            Ok(MessageRow::plain(text(role)?, text(content)?))
        })
        .collect()
}
