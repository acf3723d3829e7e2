//! Rows of a table as named cells, from Parquet, JSONL, tar archives (WebDataset) and folders of images.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::archive::Archive;
use crate::document::ImageRef;
use crate::reader::{IMAGES, Stream, images, parquet_cells, read_line};
use crate::storage;

/// What stands in a row under a name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Text, a number, a list, …
    Plain(Value),
    /// A picture, or several.
    Images(Vec<ImageRef>),
}

/// A row.
pub(crate) type Row = BTreeMap<String, Cell>;

/// Rows one after the other; an error says what is wrong with one.
pub(crate) type Rows = Box<dyn Iterator<Item = Result<Row, String>> + Send>;

/// The rows of a file or folder; `images` are the columns that name files of pictures. An error says what is wrong with it. Those
/// of an archive are read as they are asked for.
pub(crate) fn read(path: &Path, images: &[String], most: usize) -> Result<Rows, String> {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().to_lowercase());
    let rows = match name.rsplit_once('.').map(|(_, extension)| extension) {
        _ if path.is_dir() => folder(path),
        Some("parquet" | "pq") => parquet_cells(path, most),
        Some("jsonl" | "ndjson") => jsonl(path, images, most),
        Some("tar") => return Ok(Box::new(Archive::open(path, most)?)),
        Some(_) if is_image(path) => picture(path).map(|row| vec![row]),
        _ => Err("is no Parquet, JSONL or tar file, and no folder".into()),
    };
    Ok(Box::new(rows?.into_iter().map(Ok)))
}

/// A row an object; what names a picture does so from the file's folder on.
fn jsonl(path: &Path, columns: &[String], most: usize) -> Result<Vec<Row>, String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let file = storage::open(path).map_err(|error| error.to_string())?;
    let mut stream: Stream = Box::new(BufReader::new(file));
    let (mut rows, mut line, mut number) = (Vec::new(), Vec::new(), 0);
    while let Some(read) = read_line(&mut stream, &mut line, most).map_err(|error| error.to_string())? {
        number += 1;
        let wrong = |what: String| format!("line {number}: {what}");
        read.map_err(|length| wrong(format!("it has {length} bytes, more than the {most} allowed")))?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let object: BTreeMap<String, Value> =
            serde_json::from_slice(&line).map_err(|error| wrong(error.to_string()))?;
        let cell = |(name, value): (String, Value)| {
            let cell = match columns.contains(&name) {
                true => Cell::Images(pictures(&value, folder)?),
                false => Cell::Plain(value),
            };
            Ok((name, cell))
        };
        let row: Result<Row, String> = object.into_iter().map(cell).collect();
        rows.push(row.map_err(wrong)?);
    }
    Ok(rows)
}

/// The pictures that a value names: one, or a list of them.
fn pictures(value: &Value, folder: &Path) -> Result<Vec<ImageRef>, String> {
    let all = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    all.iter().filter_map(images::named).map(|name| images::reference(name, folder)).collect()
}

/// The pictures of a folder in the order of their names, each a row: `image`, `name`, the folder that it is in as `label`, and
/// as `txt` what the text file of its name says, if there is one.
fn folder(root: &Path) -> Result<Vec<Row>, String> {
    let (mut rows, mut open) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = open.pop() {
        let said = |error: std::io::Error| format!("{}: {error}", folder.display());
        let entries =
            fs::read_dir(&folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>).map_err(said)?;
        let mut paths: Vec<_> = entries.iter().map(fs::DirEntry::path).collect();
        paths.sort();
        let folders = paths.iter().filter(|path| path.is_dir() && !path.is_symlink());
        open.extend(folders.rev().cloned());
        for path in paths.iter().filter(|path| is_image(path)) {
            rows.push(picture(path)?);
        }
    }
    Ok(rows)
}

/// The row of a picture.
fn picture(path: &Path) -> Result<Row, String> {
    let text = |name: Option<&OsStr>| {
        Cell::Plain(name.map_or_else(String::new, |name| name.to_string_lossy().into_owned()).into())
    };
    let mut row = Row::from([
        ("image".into(), Cell::Images(vec![ImageRef::File(path.to_string_lossy().into_owned())])),
        ("name".into(), text(path.file_stem())),
        ("label".into(), text(path.parent().and_then(Path::file_name))),
    ]);
    if let Some(caption) = caption_of(path) {
        let told = storage::read_text(&caption).map_err(|error| error.to_string())?;
        row.insert("txt".into(), Cell::Plain(told.trim_end().into()));
    }
    Ok(row)
}

/// The text file of a picture's name, if there is one.
pub(crate) fn caption_of(path: &Path) -> Option<PathBuf> {
    Some(path.with_extension("txt")).filter(|caption| caption.is_file())
}

/// Whether a name is that of a picture.
pub(crate) fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| IMAGES.contains(&extension.as_str())) && path.is_file()
}
