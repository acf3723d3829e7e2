//! Parquet: a document a row, from a text column or a column of messages.
//!
//! The `parquet` crate checks much of what it reads and panics at some of the rest; a damaged file must
//! not end the process, so every call into it is fenced.

use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::compressed::Stream;
use super::jsonl::{MessageRow, Part, Row, parse_messages, text_of};
use super::{Broken, Item, Problem, Reader, ReaderConfig, images, read_failure};
use crate::document::ImageRef;
use crate::recipe::{self, Cell};
use crate::source::InputFile;
use serde_json::Value;

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
            folder: images::folder(file),
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
            name == config.text_field || matches!(name, "messages" | "images" | "license" | "licence" | "id")
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

/// All rows of a file as named cells.
pub(crate) fn cells(path: &Path, most: usize) -> Result<Vec<recipe::Row>, String> {
    let mut rows = Vec::new();
    each_row(path, most, &mut |row| {
        rows.push(row);
        true
    })?;
    Ok(rows)
}

/// The rows of a file as named cells, one after the other until `each` wants no more: bytes and structures of bytes or a
/// path are pictures, lists of such several; the rest are JSON's values, and columns of other types are left out.
pub(crate) fn each_row(
    path: &Path,
    most: usize,
    each: &mut dyn FnMut(recipe::Row) -> bool,
) -> Result<(), String> {
    let batches = fenced(|| {
        let file = File::open(path).map_err(|error| read_failure(&error))?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
        builder.and_then(|builder| builder.with_batch_size(ROWS).build()).map_err(|error| error.to_string())
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (mut first, mut batches) = (1, batches);
    while let Some(batch) = fenced(|| batches.next().transpose().map_err(|error| error.to_string()))? {
        let read = fenced(|| {
            let row = |index: usize| -> Result<recipe::Row, String> {
                let schema = batch.schema();
                let mut row = recipe::Row::new();
                for (field, column) in schema.fields().iter().zip(batch.columns()) {
                    let found = value(column, index, most).and_then(|found| located(found, folder));
                    let found = found.map_err(|what| format!("column {}: {what}", field.name()))?;
                    row.extend(found.map(|cell| (field.name().clone(), cell)));
                }
                Ok(row)
            };
            (0..batch.num_rows()).map(row).collect::<Result<Vec<recipe::Row>, String>>()
        });
        let read = read.map_err(|what| format!("rows {first} and on: {what}"))?;
        first += read.len();
        if !read.into_iter().all(&mut *each) {
            break;
        }
    }
    Ok(())
}

/// A cell whose pictures that have names are files from `folder` on.
fn located(found: Option<Cell>, folder: &Path) -> Result<Option<Cell>, String> {
    let Some(Cell::Images(all)) = found else { return Ok(found) };
    let place = |image| match image {
        ImageRef::File(name) => images::reference(&name, folder),
        other => Ok(other),
    };
    all.into_iter().map(place).collect::<Result<_, _>>().map(|all| Some(Cell::Images(all)))
}

/// A cell; `None` for a type that means nothing here.
fn value(column: &dyn Array, index: usize, most: usize) -> Result<Option<Cell>, String> {
    use arrow_array::types::{
        Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
        UInt32Type, UInt64Type,
    };
    if column.is_null(index) {
        return Ok(Some(Cell::Plain(Value::Null)));
    }
    let bounded = |bytes: &[u8]| match bytes.len() > most {
        true => Err(format!("a cell of {} bytes, more than the {most} allowed", bytes.len())),
        false => Ok(()),
    };
    let binary = column.as_binary_opt::<i32>().is_some() || column.as_binary_opt::<i64>().is_some();
    if let Some(bytes) = cell(column, index) {
        bounded(bytes)?;
        return Ok(Some(match binary {
            true => Cell::Images(vec![ImageRef::Bytes(bytes.to_vec())]),
            false => Cell::Plain(String::from_utf8_lossy(bytes).into_owned().into()),
        }));
    }
    macro_rules! number {
        ($($kind:ty),*) => { $(if let Some(column) = column.as_primitive_opt::<$kind>() {
            return Ok(Some(Cell::Plain(column.value(index).into())));
        })* };
    }
    number!(
        Int64Type,
        Int32Type,
        Int16Type,
        Int8Type,
        UInt64Type,
        UInt32Type,
        UInt16Type,
        UInt8Type,
        Float64Type,
        Float32Type
    );
    if let Some(column) = column.as_boolean_opt() {
        return Ok(Some(Cell::Plain(column.value(index).into())));
    }
    if let Some(bytes) = column.as_struct_opt().and_then(|column| column.column_by_name("bytes")) {
        // As Hugging Face's `Image` has it: the bytes, or where they are.
        let named = || Some(Cell::Images(vec![named(column, "path", index)?]));
        return if bytes.is_null(index) { Ok(named()) } else { value(bytes, index, most) };
    }
    let list = match (column.as_list_opt::<i32>(), column.as_list_opt::<i64>()) {
        (Some(list), _) => list.value(index),
        (_, Some(list)) => list.value(index),
        _ => return Ok(None),
    };
    let (mut images, mut values) = (Vec::new(), Vec::new());
    for at in 0..list.len() {
        match value(&list, at, most)? {
            Some(Cell::Images(more)) => images.extend(more),
            Some(Cell::Plain(value)) => values.push(value),
            None => return Ok(None),
        }
    }
    Ok(Some(if images.is_empty() { Cell::Plain(values.into()) } else { Cell::Images(images) }))
}

/// The image that a field of a structure names.
fn named(column: &dyn Array, field: &str, index: usize) -> Option<ImageRef> {
    let names = column.as_struct_opt()?.column_by_name(field).filter(|names| !names.is_null(index))?;
    Some(ImageRef::File(String::from_utf8_lossy(cell(names, index)?).into_owned()))
}

/// The pictures of a cell, which holds or names them: one or a list of them; none for a type that means nothing here.
fn pictures(column: &dyn Array, index: usize, most: usize) -> Result<Vec<ImageRef>, String> {
    let names = |value: &Value| ImageRef::File(images::named(value).unwrap_or_default().into());
    if let Some(image) = named(column, "url", index) {
        return Ok(vec![image]);
    }
    Ok(match value(column, index, most)? {
        None | Some(Cell::Plain(Value::Null)) => Vec::new(),
        Some(Cell::Images(images)) => images,
        Some(Cell::Plain(Value::Array(all))) => all.iter().map(names).collect(),
        Some(Cell::Plain(value)) => vec![names(&value)],
    })
}

/// Whether a file is one of questions: it has columns `prompt` and `choices`.
pub(crate) fn holds_questions(path: &Path) -> bool {
    let names = fenced(|| {
        let file = File::open(path).map_err(|error| read_failure(&error))?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
        let builder = builder.map_err(|error| error.to_string())?;
        let fields = builder.parquet_schema().root_schema().get_fields();
        Ok(fields.iter().map(|field| field.name().to_owned()).collect::<Vec<_>>())
    });
    names.is_ok_and(|names| ["prompt", "choices"].iter().all(|name| names.iter().any(|own| own == name)))
}

struct ParquetReader {
    batches: ParquetRecordBatchReader,
    name: String,
    folder: PathBuf,
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
                    let (place, config, row) = ((&*self.name, &*self.folder), &self.config, self.row);
                    fenced(|| Ok(read_batch(&batch, place, config, row)))
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

/// The documents of a batch of a file, by its name and the folder that it is in; `first` is the number of the first row.
fn read_batch(
    batch: &RecordBatch,
    (name, folder): (&str, &Path),
    config: &ReaderConfig,
    first: u64,
) -> Vec<Item> {
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
            row.messages = Some(conversation(column, index, config.record_bytes).map_err(problem)?);
        }
        if let Some(column) = batch.column_by_name("images") {
            row.images = Some(pictures(column, index, config.record_bytes).map_err(problem)?);
        }
        let string = |column: Option<&arrow_array::ArrayRef>| {
            let bytes = column.filter(|column| !column.is_null(index)).and_then(|c| cell(c, index))?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        row.licence = string(licence);
        row.id = string(id).map(serde_json::Value::String);
        let mut record = row.into_record(&place, name, &config.text_field, replaced).map_err(problem)?;
        images::locate(&mut record.document, folder).map_err(problem)?;
        Ok(record)
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

/// A cell of messages: a list of structures with role and content, or JSON text. A content is text, a list of parts, or that list as
/// JSON text.
fn conversation(column: &dyn Array, index: usize, most: usize) -> Result<Vec<MessageRow>, String> {
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
            let text = |column: &dyn Array, what: &str| match column.is_null(at) {
                true => Ok(String::new()),
                false => cell(column, at)
                    .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
                    .ok_or_else(|| format!("the {what} of a message is not text")),
            };
            let role = text(role, "role")?;
            let list = match (content.as_list_opt::<i32>(), content.as_list_opt::<i64>()) {
                _ if content.is_null(at) => None,
                (Some(list), _) => Some(list.value(at)),
                (_, list) => list.map(|list| list.value(at)),
            };
            match list {
                Some(list) => Ok(MessageRow::of_parts(role, parts(&list, most)?)),
                None => Ok(MessageRow::of_text(role, text(content, "content")?)),
            }
        })
        .collect()
}

/// The parts of a message: structures with a type and a text, or a picture that they hold, name, or count among the row's.
fn parts(list: &dyn Array, most: usize) -> Result<Vec<Part>, String> {
    let fields = list.as_struct_opt().ok_or("the parts of a message are not structures")?;
    let part = |at: usize| {
        let of = |name| fields.column_by_name(name).filter(|column| !column.is_null(at));
        let text = |name| Some(String::from_utf8_lossy(cell(of(name)?, at)?).into_owned());
        let mut shown = None;
        for column in ["image", "image_url"].into_iter().filter_map(of) {
            // A structure may be there and hold nothing.
            shown = shown.or(pictures(column, at, most)?.pop());
        }
        let index = of("index").map(|column| value(column, at, most)).transpose()?.flatten();
        let index = match index {
            Some(Cell::Plain(index)) => index.as_u64(),
            _ => None,
        };
        Ok(Part { text: text("text"), kind: text("type"), index, shown, ..Part::default() })
    };
    (0..fields.len()).map(part).collect()
}
