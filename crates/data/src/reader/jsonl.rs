//! JSONL: a document a line, as `text`, as `messages` of a conversation, or as weighted `segments`.

use std::path::PathBuf;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::compressed::Stream;
use super::images;
use super::text::read_line;
use super::{InvalidUtf8, Item, Problem, Reader, ReaderConfig, Record, decode, read_failure};
use crate::document::{Document, ImageRef, Message, Segment, SegmentKind, Special};
use crate::source::InputFile;

/// Reads one file of lines.
pub(super) struct JsonlReader {
    stream: Stream,
    name: String,
    folder: PathBuf,
    config: ReaderConfig,
    line: Vec<u8>,
    number: u64,
    done: bool,
}

impl JsonlReader {
    pub(super) fn new(file: &InputFile, stream: Stream, config: &ReaderConfig) -> Self {
        JsonlReader {
            stream,
            name: file.name.clone(),
            folder: images::folder(file),
            config: config.clone(),
            line: Vec::new(),
            number: 0,
            done: false,
        }
    }

    fn place(&self) -> String {
        format!("{}:{}", self.name, self.number)
    }

    fn record(&mut self) -> Item {
        let place = self.place();
        let mut replaced = false;
        let parsed = match std::str::from_utf8(&self.line) {
            Ok(text) => parse(text, &self.config.text_field),
            Err(_) => {
                // A copy is made only here.
                let (text, _) = decode(self.line.clone(), self.config.invalid_utf8, || place.clone())?;
                replaced = true;
                parse(&text, &self.config.text_field)
            }
        };
        let problem = |what: String| Problem { place: place.clone(), what };
        let row = parsed.map_err(|error| problem(format!("is not a JSON object: {error}")))?;
        let mut record =
            row.into_record(&place, &self.name, &self.config.text_field, replaced).map_err(problem)?;
        images::locate(&mut record.document, &self.folder).map_err(problem)?;
        Ok(record)
    }
}

impl Reader for JsonlReader {
    fn next(&mut self) -> Option<Item> {
        loop {
            if self.done {
                return None;
            }
            match read_line(&mut self.stream, &mut self.line, self.config.record_bytes) {
                Err(error) => {
                    self.done = true;
                    let place = format!("{}:{}", self.name, self.number + 1);
                    return Some(Err(Problem { place, what: read_failure(&error) }));
                }
                Ok(None) => return None,
                Ok(Some(Err(length))) => {
                    self.number += 1;
                    let limit = self.config.record_bytes;
                    let what = format!("is a line of {length} bytes, more than the {limit} allowed");
                    return Some(Err(Problem { place: self.place(), what }));
                }
                Ok(Some(Ok(()))) => {
                    self.number += 1;
                    if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                        self.line.drain(..3);
                    }
                    // An empty line is no document and no mistake.
                    if !self.line.iter().all(u8::is_ascii_whitespace) {
                        return Some(self.record());
                    }
                }
            }
        }
    }
}

/// The fields of a row that mean something here.
#[derive(Default)]
pub(super) struct Row {
    pub(super) text: Option<String>,
    pub(super) messages: Option<Vec<MessageRow>>,
    pub(super) segments: Option<Vec<SegmentRow>>,
    /// Of the messages, in the order in which these show them.
    pub(super) images: Option<Vec<ImageRef>>,
    pub(super) id: Option<Value>,
    pub(super) licence: Option<String>,
}

impl Row {
    /// The document of the row; an error says what is missing.
    pub(super) fn into_record(
        self,
        place: &str,
        source: &str,
        text_field: &str,
        replaced: bool,
    ) -> Result<Record, String> {
        let id = match self.id {
            Some(Value::String(id)) => format!("{place} {id}"),
            Some(Value::Number(id)) => format!("{place} {id}"),
            _ => place.to_owned(),
        };
        let document = match (self.text, self.messages, self.segments) {
            (None, Some(messages), None) => {
                let images = self.images.unwrap_or_default();
                let counted = messages.iter().any(MessageRow::counts);
                let messages = messages.into_iter().map(|message| message.message(&images));
                let mut messages = messages.collect::<Result<Vec<Message>, String>>()?;
                // Those that are counted out have their places.
                images::hand_out(&mut messages, if counted { Vec::new() } else { images })?;
                Document::conversation(id, source, &messages)
            }
            (None, None, Some(segments)) => {
                let segments = segments.into_iter().map(SegmentRow::segment).collect::<Result<_, _>>()?;
                Document { id, source: source.into(), segments }
            }
            (Some(text), None, None) => Document::text(id, source, text),
            (None, None, None) => {
                return Err(format!("has neither {text_field:?} nor \"messages\" nor \"segments\""));
            }
            _ => {
                return Err(format!("has more than one of {text_field:?}, \"messages\" and \"segments\""));
            }
        };
        Ok(Record { document, licence: self.licence, replaced, part: false, held: None })
    }
}

/// A message as conversations are written in the wild.
#[derive(Deserialize)]
pub(super) struct MessageRow {
    role: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of a message: `{"type": "text", "text": …}` or an image.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    pub(super) text: Option<String>,
    pub(super) image: Option<Value>,
    pub(super) image_url: Option<Value>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    /// Which of the row's images it shows, where it has none of its own.
    pub(super) index: Option<u64>,
    /// The image, where it is no JSON.
    #[serde(skip)]
    pub(super) shown: Option<ImageRef>,
}

impl MessageRow {
    /// Of a column that holds texts: parts are in one as JSON, if it is a list of objects that all have a type of part.
    pub(super) fn of_text(role: String, text: String) -> Self {
        let parts = text.trim_start().starts_with('[').then(|| serde_json::from_str::<Vec<Part>>(&text).ok());
        let typed = |part: &Part| {
            part.kind.as_deref().is_some_and(|kind| ["text", "image", "image_url"].contains(&kind))
        };
        let parts = parts.flatten().filter(|parts| !parts.is_empty() && parts.iter().all(typed));
        let content = parts.map_or(Content::Text(text), Content::Parts);
        MessageRow { role, name: None, content: Some(content) }
    }

    pub(super) fn of_parts(role: String, parts: Vec<Part>) -> Self {
        MessageRow { role, name: None, content: Some(Content::Parts(parts)) }
    }

    /// Whether a part of it says which of the row's images it shows.
    fn counts(&self) -> bool {
        let parts = match &self.content {
            Some(Content::Parts(parts)) => parts.as_slice(),
            _ => &[],
        };
        parts.iter().any(|part| part.index.is_some() && part.is_image())
    }

    /// The message; `images` are the row's.
    fn message(self, images: &[ImageRef]) -> Result<Message, String> {
        let content = match self.content {
            None => Vec::new(),
            Some(Content::Text(text)) => vec![SegmentKind::Text(text)],
            Some(Content::Parts(parts)) => {
                parts.into_iter().map(|part| part.segment(images)).collect::<Result<_, _>>()?
            }
        };
        Ok(Message { role: self.role, name: self.name, content })
    }
}

impl Part {
    fn is_image(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind.starts_with("image"))
    }

    fn segment(self, images: &[ImageRef]) -> Result<SegmentKind, String> {
        let is_image = self.is_image();
        let named = self.image.or(self.image_url);
        Ok(match (self.text, self.shown, named, self.index) {
            (Some(text), None, None, _) if !is_image => SegmentKind::Text(text),
            (_, Some(image), ..) => SegmentKind::Image(image),
            (_, None, None, Some(index)) => {
                let image = usize::try_from(index).ok().and_then(|index| images.get(index));
                let image = image
                    .ok_or_else(|| format!("shows image {index}, counted from 0, of {}", images.len()))?;
                SegmentKind::Image(image.clone())
            }
            (_, None, named, _) => {
                let named = named.as_ref().and_then(images::named);
                SegmentKind::Image(ImageRef::File(named.unwrap_or_default().into()))
            }
        })
    }
}

/// A segment as we write them ourselves.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SegmentRow {
    text: Option<String>,
    special: Option<String>,
    image: Option<String>,
    #[serde(default = "one")]
    weight: f32,
}

fn one() -> f32 {
    1.0
}

impl SegmentRow {
    fn segment(self) -> Result<Segment, String> {
        if !(self.weight.is_finite() && self.weight >= 0.0) {
            return Err(format!("has a segment of weight {}", self.weight));
        }
        let kind = match (self.text, self.special, self.image) {
            (Some(text), None, None) => SegmentKind::Text(text),
            (None, Some(name), None) => SegmentKind::Special(
                Special::ALL
                    .into_iter()
                    .find(|special| special.as_str() == name)
                    .ok_or_else(|| format!("has a segment with the unknown special {name:?}"))?,
            ),
            (None, None, Some(image)) => SegmentKind::Image(ImageRef::File(image)),
            _ => return Err("has a segment that is not one of text, special and image".into()),
        };
        Ok(Segment { kind, weight: self.weight })
    }
}

/// Parses a line, keeping only the fields that mean something.
fn parse(line: &str, text_field: &str) -> serde_json::Result<Row> {
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let row = RowSeed { text_field }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(row)
}

struct RowSeed<'a> {
    text_field: &'a str,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = Row;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Row, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = Row;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "an object with {:?} or \"messages\"", self.text_field)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
        let mut row = Row::default();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match key.as_ref() {
                key if key == self.text_field => row.text = map.next_value()?,
                "messages" => row.messages = map.next_value()?,
                "segments" => row.segments = map.next_value()?,
                "images" => {
                    let listed: Option<Vec<Value>> = map.next_value()?;
                    let named = |image: &Value| images::named(image).unwrap_or_default().to_owned();
                    row.images = listed.map(|all| all.iter().map(named).map(ImageRef::File).collect());
                }
                "id" => row.id = map.next_value()?,
                // A licence of another shape than text is not worth a document.
                "license" | "licence" => {
                    row.licence = map.next_value::<Value>()?.as_str().map(str::to_owned);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(row)
    }
}

/// Messages that a Parquet column holds as JSON text.
pub(super) fn parse_messages(text: &str) -> serde_json::Result<Vec<MessageRow>> {
    serde_json::from_str(text)
}

/// Kept here so that both formats treat bytes alike.
pub(super) fn text_of(
    bytes: &[u8],
    rule: InvalidUtf8,
    place: impl Fn() -> String,
) -> Result<(String, bool), Problem> {
    decode(bytes.to_vec(), rule, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(line: &str) -> Result<Record, String> {
        parse(line, "text").map_err(|e| e.to_string())?.into_record("f:1", "f", "text", false)
    }

    #[test]
    fn fields_that_mean_nothing_are_passed_over() {
        let read = record(r#"{"meta":{"a":[1,{"b":null}]},"text":"x\u0000y","license":"CC0","id":7}"#);
        let read = read.unwrap();
        assert_eq!(read.document, Document::text("f:1 7", "f", "x\0y"));
        assert_eq!(read.licence.as_deref(), Some("CC0"));
    }

    #[test]
    fn what_is_no_document_says_why() {
        for (line, expected) in [
            ("[1]", "invalid type"),
            (r#"{"txt":"a"}"#, "neither"),
            (r#"{"text":"a","messages":[]}"#, "more than one"),
            (r#"{"text":3}"#, "invalid type"),
            (r#"{"text":"a"} x"#, "trailing"),
            (r#"{"text":"\ud800"}"#, "hex escape"),
            (r#"{"segments":[{"text":"a","weight":-1}]}"#, "weight"),
            (r#"{"segments":[{"special":"<|x|>"}]}"#, "unknown special"),
            (r#"{"messages":[{"content":"a"}]}"#, "role"),
        ] {
            let error = record(line).err().unwrap_or_default();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn messages_with_images_keep_them() {
        let read = record(
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"what is"},{"type":"image_url","image_url":{"url":"a.png"}}]},{"role":"assistant","content":null}]}"#,
        )
        .unwrap();
        assert_eq!(read.document.images().collect::<Vec<_>>(), [&ImageRef::File("a.png".into())]);
        // Those of a list go to the places that name none, or else stand before what is asked of them.
        let asked = |content: &str, images: &str| {
            let line = format!(
                r#"{{"images":{images},"messages":[{{"role":"system","content":"s"}},{{"role":"user","content":{content}}}]}}"#
            );
            record(&line).map(|read| read.document.images().cloned().collect::<Vec<_>>())
        };
        let (b, c) = (ImageRef::File("b.png".into()), ImageRef::File("c.png".into()));
        let two = r#"["b.png",{"path":"c.png"}]"#;
        let places = r#"[{"type":"image"},{"type":"text","text":"or"},{"type":"image"}]"#;
        assert_eq!(asked(places, two).unwrap(), [b.clone(), c.clone()]);
        assert_eq!(asked(r#""which?""#, two).unwrap(), [b, c]);
        assert!(asked(places, r#"["b.png"]"#).unwrap_err().contains("2 places"));
    }
}
