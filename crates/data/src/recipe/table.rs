//! Rows of a table as named cells, from Parquet, JSONL, tar archives (WebDataset) and folders of images.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::document::ImageRef;
use crate::picture::Bounds;
use crate::reader::{IMAGES, images, parquet_cells};
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

/// Reads all rows of a file or folder; `images` are the columns that name files of pictures. An error says what and where.
pub(crate) fn read(path: &Path, images: &[String], most: usize) -> Result<Vec<Row>, String> {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().to_lowercase());
    let place = path.display();
    if path.is_dir() {
        return folder(path);
    }
    let rows = match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("parquet" | "pq") => parquet_cells(path, most),
        Some("jsonl" | "ndjson") => jsonl(path, images, most),
        Some("tar") => tar(path, most),
        Some(_) if is_image(path) => Ok(vec![picture(path)?]),
        _ => Err("is no Parquet, JSONL or tar file, and no folder".into()),
    };
    rows.map_err(|what| format!("{place}: {what}"))
}

/// A row an object; what names a picture does so from the file's folder on.
fn jsonl(path: &Path, columns: &[String], most: usize) -> Result<Vec<Row>, String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let file = storage::open(path).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let wrong = |what: String| format!("line {}: {what}", number + 1);
        let line = line.map_err(|error| wrong(error.to_string()))?;
        if line.len() > most {
            return Err(wrong(format!("it has more than {most} bytes")));
        }
        if line.trim().is_empty() {
            continue;
        }
        let object: BTreeMap<String, Value> =
            serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
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

/// The members of an archive that share a name up to its first dot are a row, with the rest of the name as the column: pictures
/// as such, `json` as its fields, all else as text.
fn tar(path: &Path, most: usize) -> Result<Vec<Row>, String> {
    let said = |error: std::io::Error| error.to_string();
    let mut archive = tar::Archive::new(BufReader::new(File::open(path).map_err(said)?));
    let (mut rows, mut key, mut row) = (Vec::new(), String::new(), Row::new());
    for member in archive.entries().map_err(said)? {
        let mut member = member.map_err(said)?;
        if !member.header().entry_type().is_file() {
            continue;
        }
        let name = member.path().map_err(said)?.to_string_lossy().into_owned();
        let start = name.rfind('/').map_or(0, |slash| slash + 1);
        let Some((own, column)) = name[start..].split_once('.') else { continue };
        let own = format!("{}{own}", &name[..start]);
        if own != key {
            if !row.is_empty() {
                rows.push(std::mem::take(&mut row));
            }
            key.clone_from(&own);
            row.insert("key".into(), Cell::Plain(own.into()));
        }
        let bound = most.max(Bounds::default().bytes);
        if member.size() > bound as u64 {
            return Err(format!("{name}: it has {} bytes, more than the {bound} allowed", member.size()));
        }
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).map_err(|error| format!("{name}: {error}"))?;
        let column = column.to_lowercase();
        match column.as_str() {
            "json" => {
                let fields: BTreeMap<String, Value> =
                    serde_json::from_slice(&bytes).map_err(|error| format!("{name}: {error}"))?;
                row.extend(fields.into_iter().map(|(name, value)| (name, Cell::Plain(value))));
            }
            kind if IMAGES.contains(&kind.rsplit('.').next().unwrap_or(kind)) => {
                row.insert("image".into(), Cell::Images(vec![ImageRef::Bytes(bytes.clone())]));
                row.insert(column, Cell::Images(vec![ImageRef::Bytes(bytes)]));
            }
            _ => {
                let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                row.insert(column, Cell::Plain(text.into()));
            }
        }
    }
    if !row.is_empty() {
        rows.push(row);
    }
    Ok(rows)
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
