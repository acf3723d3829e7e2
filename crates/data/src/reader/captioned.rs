//! Pictures with captions: a file of a folder with the text of its name beside it, or the members of a tar archive.

use super::{Item, Problem, Reader, ReaderConfig, Record};
use crate::document::{Document, Segment, SegmentKind};
use crate::recipe::{Cell, TableRows, rows};
use crate::source::InputFile;

/// Columns of a caption, the first that there is.
const CAPTIONS: [&str; 3] = ["txt", "caption", "text"];

/// One document a picture: the picture, then what is said of it.
pub(super) struct CaptionReader {
    name: String,
    rows: Result<TableRows, Option<String>>,
}

impl CaptionReader {
    pub(super) fn new(file: &InputFile, config: &ReaderConfig) -> CaptionReader {
        let rows = rows(&file.path, &[], config.record_bytes).map_err(Some);
        CaptionReader { name: file.name.clone(), rows }
    }
}

impl Reader for CaptionReader {
    fn next(&mut self) -> Option<Item> {
        let rows = match &mut self.rows {
            Ok(rows) => rows,
            Err(what) => return what.take().map(|what| Err(Problem { place: self.name.clone(), what })),
        };
        let row = match rows.next()? {
            Ok(row) => row,
            Err(what) => return Some(Err(Problem { place: self.name.clone(), what })),
        };
        let id = match row.get("key") {
            Some(Cell::Plain(key)) => format!("{}:{}", self.name, key.as_str().unwrap_or_default()),
            _ => self.name.clone(),
        };
        let text = CAPTIONS.iter().find_map(|column| match row.get(*column) {
            Some(Cell::Plain(text)) => text.as_str(),
            _ => None,
        });
        let Some(text) = text else {
            let what = format!("has no caption: none of {}", CAPTIONS.join(", "));
            return Some(Err(Problem { place: id, what }));
        };
        let images = match row.get("image") {
            Some(Cell::Images(images)) => images.clone(),
            _ => Vec::new(),
        };
        let images = images.into_iter().map(|image| Segment { kind: SegmentKind::Image(image), weight: 0.0 });
        let segments = images.chain([Segment::text(text)]).collect();
        let document = Document { id, source: self.name.clone(), segments };
        Some(Ok(Record { document, licence: None, replaced: false, part: false, held: None }))
    }
}
