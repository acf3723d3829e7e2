//! Questions with known answers, as a file has them: a JSON object a line, or a row of a Parquet file; some show pictures.

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{Document, ImageRef, Segment, SegmentKind};
use crate::error::{Error, Result};
use crate::picture::Bounds;
use crate::reader::{each_parquet_row, images, parquet_questions};
use crate::recipe::{Cell, Row};
use crate::storage;

/// What stands in a prompt for a picture.
const PLACE: &str = "<image>";

/// A question and the continuations of its prompt that are to choose from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Unique in its file.
    pub id: String,
    /// What it is about; questions of a family are alike.
    pub family: String,
    /// From easy to hard, counted from 1.
    pub level: u32,
    /// The text before the answer. Where there are pictures, `<image>` stands for each; if it stands nowhere, they come first.
    pub prompt: String,
    /// Continuations of the prompt, each with the space before it and with what ends it, so that none is the
    /// beginning of another.
    pub choices: Vec<String>,
    /// The right one, counted from 0.
    pub answer: usize,
    /// The files of its pictures, in order. They are read, and not written.
    #[serde(skip)]
    pub pictures: Vec<Vec<u8>>,
}

/// A line: what a question is made of, and where its pictures are.
#[derive(Deserialize)]
struct Line {
    #[serde(flatten)]
    question: Question,
    #[serde(default)]
    images: Value,
}

impl Question {
    /// What is to be continued by a choice; nothing of it counts in a loss.
    pub fn document(&self) -> Document {
        let mut pictures =
            self.pictures.iter().map(|bytes| SegmentKind::Image(ImageRef::Bytes(bytes.clone())));
        let mut kinds = Vec::new();
        match self.pictures.is_empty() || !self.prompt.contains(PLACE) {
            true => {
                kinds.extend(pictures);
                kinds.push(SegmentKind::Text(self.prompt.clone()));
            }
            false => {
                for (number, text) in self.prompt.split(PLACE).enumerate() {
                    kinds.extend(pictures.by_ref().take(number.min(1)));
                    kinds.push(SegmentKind::Text(text.into()));
                }
            }
        }
        kinds.retain(|kind| !matches!(kind, SegmentKind::Text(text) if text.is_empty()));
        let segments = kinds.into_iter().map(|kind| Segment { kind, weight: 0.0 }).collect();
        Document { id: self.id.clone(), source: self.family.clone(), segments }
    }

    /// The probability that a blind guess is right.
    pub fn chance(&self) -> f64 {
        1.0 / self.choices.len().max(1) as f64
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.choices.len() < 2 {
            return Err(format!("'choices' has {}; there must be two at least", self.choices.len()));
        }
        if self.answer >= self.choices.len() {
            return Err(format!(
                "'answer' is {}, but 'choices' are counted from 0 to {}",
                self.answer,
                self.choices.len() - 1
            ));
        }
        let (places, shown) = (self.prompt.matches(PLACE).count(), self.pictures.len());
        if shown > 0 && places > 0 && places != shown {
            return Err(format!(
                "'prompt' has {places} places for pictures ({PLACE}), and there are {shown}"
            ));
        }
        for (i, choice) in self.choices.iter().enumerate() {
            let begins = |(j, other): (usize, &String)| i != j && other.starts_with(choice.as_str());
            if choice.is_empty() || self.choices.iter().enumerate().any(begins) {
                return Err(format!(
                    "choice {i} ({choice:?}) is the beginning of another; end each, as with a full stop"
                ));
            }
        }
        Ok(())
    }
}

/// Whether a file is one of questions: its first line is an object that has a prompt and choices, or these are columns.
pub fn holds_questions(path: &Path) -> bool {
    use std::io::{BufRead, BufReader, Read};
    // A pipe would be waited for.
    if !path.is_file() {
        return false;
    }
    if is_parquet(path) {
        return parquet_questions(path);
    }
    let Ok(file) = std::fs::File::open(path) else { return false };
    let mut line = Vec::new();
    let read = BufReader::new(file).take(1 << 20).read_until(b'\n', &mut line);
    let object = serde_json::from_slice::<Value>(&line);
    read.is_ok()
        && object.is_ok_and(|object| object.get("prompt").is_some() && object.get("choices").is_some())
}

/// By its name.
pub(crate) fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "parquet" || extension == "pq")
}

/// Reads a file of questions, and gives the hash of the file with them, and of pictures that lie beside it.
///
/// # Errors
/// Names the line that is no question, and why.
pub fn questions(path: &Path) -> Result<(Vec<Question>, String)> {
    let mut all = Vec::new();
    let hash = each_question(path, &mut |question| {
        all.push(question);
        Ok(())
    })?;
    Ok((all, hash))
}

/// The same one by one, for a file with many pictures.
///
/// # Errors
/// Those of `each`, too.
pub fn each_question(path: &Path, each: &mut dyn FnMut(Question) -> Result<()>) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut ids = HashSet::new();
    let mut tell = |number: usize, read: std::result::Result<Question, String>| {
        let wrong = |what: String| Error::Config(format!("{}:{number}: no question: {what}", path.display()));
        let question = read.map_err(wrong)?;
        question.check().map_err(wrong)?;
        if !ids.insert(question.id.clone()) {
            return Err(wrong(format!("the id {:?} came before", question.id)));
        }
        each(question)
    };
    if is_parquet(path) {
        hasher.update_reader(storage::open(path)?).map_err(Error::io("read", path))?;
        let (mut number, mut told) = (0, Ok(()));
        let read = each_parquet_row(path, Bounds::default().bytes, &mut |row| {
            number += 1;
            told = tell(number, of_row(row));
            told.is_ok()
        });
        read.map_err(|what| Error::Config(format!("{}: {what}", path.display())))?;
        told?;
    } else {
        let text = storage::read_text(path)?;
        hasher.update(text.as_bytes());
        let folder = path.parent().unwrap_or(Path::new(""));
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            tell(number, of_line(line, folder, &mut hasher))?;
        }
    }
    match ids.is_empty() {
        true => Err(Error::Empty(format!("{}: it holds no questions", path.display()))),
        false => Ok(hasher.finalize().to_string()),
    }
}

/// A question of a line, whose pictures are named from `folder` on or stand in it; `hasher` is told of those in files.
fn of_line(line: &str, folder: &Path, hasher: &mut blake3::Hasher) -> std::result::Result<Question, String> {
    let Line { mut question, images } = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let named = match &images {
        Value::Null => &[],
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    for image in named {
        let name = images::named(image).ok_or("'images' names no files")?;
        let image = images::reference(name, folder)?;
        let elsewhere = !matches!(image, ImageRef::Bytes(_));
        let bytes = image.load(Bounds::default().bytes).map_err(|error| error.to_string())?;
        if elsewhere {
            hasher.update(&bytes);
        }
        question.pictures.push(bytes);
    }
    Ok(question)
}

/// A question of a row. Its choices are answers by themselves, each of which ends the prompt's line and is one; `right` is the number of the right one.
fn of_row(mut row: Row) -> std::result::Result<Question, String> {
    let mut take = |name: &str| row.remove(name).ok_or(format!("it has no '{name}'"));
    let mut plain = |name: &str| match take(name)? {
        Cell::Plain(value) => Ok(value),
        Cell::Images(_) => Err(format!("'{name}' is of bytes")),
    };
    let mut text = |name: &str| match plain(name)? {
        Value::String(text) => Ok(text),
        other => Err(format!("'{name}' is {other}, and should be a text")),
    };
    let (id, family, prompt) = (text("id")?, text("family")?, text("prompt")?);
    let mut number = |name: &str| {
        let value = plain(name)?;
        value.as_u64().ok_or(format!("'{name}' is {value}, and should be a number, 0 or more"))
    };
    let (level, answer) = (number("level")?, number("right")?);
    let level = u32::try_from(level).map_err(|_| format!("'level' is {level}, more than there are"))?;
    let answer = usize::try_from(answer).map_err(|e| e.to_string())?;
    let choices = plain("choices")?;
    let choices = choices.as_array().ok_or("'choices' is no list")?;
    let choices = choices.iter().map(|choice| Some(format!("\n{}\n", choice.as_str()?)));
    let choices = choices.collect::<Option<Vec<String>>>().ok_or("'choices' is no list of texts")?;
    let mut pictures = Vec::new();
    match take("images") {
        Ok(Cell::Images(all)) => {
            for image in all {
                match image {
                    ImageRef::Bytes(bytes) => pictures.push(bytes),
                    ImageRef::File(name) | ImageRef::Part { file: name, .. } => {
                        return Err(format!("'images' names {name}, and should be bytes"));
                    }
                }
            }
        }
        Ok(Cell::Plain(Value::Null)) | Err(_) => {}
        Ok(Cell::Plain(Value::Array(none))) if none.is_empty() => {}
        Ok(Cell::Plain(_)) => return Err("'images' is no list of bytes".into()),
    }
    Ok(Question { id, family, level, prompt, choices, answer, pictures })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{"id":"a","family":"f","level":1,"prompt":"The sky is","choices":[" blue."," red."],"answer":0}"#;

    fn read(text: &str) -> Result<(Vec<Question>, String)> {
        read_beside(text, b"")
    }

    /// Beside a file `a.png`.
    fn read_beside(text: &str, picture: &[u8]) -> Result<(Vec<Question>, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.jsonl");
        std::fs::write(&path, text).unwrap();
        std::fs::write(folder.path().join("a.png"), picture).unwrap();
        assert_eq!(holds_questions(&path), text.starts_with("{\"id\""));
        questions(&path)
    }

    #[test]
    fn questions_are_read_and_what_is_none_is_named() {
        let (all, _) = read(&format!("{GOOD}\n\n")).unwrap();
        assert_eq!((all[0].choices.len(), all[0].chance()), (2, 0.5));
        assert_eq!(serde_json::to_string(&all[0]).unwrap(), GOOD);
        let said = |text: &str| read(text).unwrap_err().to_string();
        assert!(said(&format!("{GOOD}\n{GOOD}")).contains(":2: no question: the id"));
        assert!(said(&GOOD.replace(":0}", ":2}")).contains("'answer' is 2"));
        assert!(said(&GOOD.replace(" blue.", " red. Or")).contains("beginning of another"));
        assert!(said(&GOOD.replace("[\" blue.\",\" red.\"]", "[\"a\"]")).contains("two at least"));
        assert!(said("\n").contains("no questions"));
        assert!(said("{\"text\":\"\"}").contains("missing field"));
    }

    #[test]
    fn pictures_stand_where_their_places_are_or_first() {
        let kinds = |question: &Question| {
            let segments = question.document().segments;
            assert!(segments.iter().all(|segment| segment.weight == 0.0));
            segments.into_iter().map(|segment| segment.kind).collect::<Vec<_>>()
        };
        let image = |bytes: &[u8]| SegmentKind::Image(ImageRef::Bytes(bytes.to_vec()));
        let text = |text: &str| SegmentKind::Text(text.into());
        let shown = |prompt: &str, images: &str| {
            GOOD.replace("The sky is", prompt)
                .replace("\"answer\"", &format!("\"images\":{images},\"answer\""))
        };
        let both = r#"["a.png", {"url": "data:image/png;base64,Yg=="}]"#;
        let (all, hash) = read_beside(&shown("<image>or<image>?", both), b"x").unwrap();
        assert_eq!(kinds(&all[0]), [image(b"x"), text("or"), image(b"b"), text("?")]);
        let (all, other) = read_beside(&shown("<image>or<image>?", both), b"y").unwrap();
        assert_eq!(kinds(&all[0])[0], image(b"y"));
        assert_ne!(hash, other, "pictures are a part of the file");
        let (all, _) = read_beside(&shown("Which?", both), b"x").unwrap();
        assert_eq!(kinds(&all[0]), [image(b"x"), image(b"b"), text("Which?")]);
        // Without pictures it is text like any other.
        let (all, _) = read(&GOOD.replace("The sky", "<image>")).unwrap();
        assert_eq!(kinds(&all[0]), [text("<image> is")]);
        let said = |prompt: &str, images: &str| read(&shown(prompt, images)).unwrap_err().to_string();
        assert!(said("<image>?", both).contains("1 places for pictures (<image>), and there are 2"));
        assert!(said("?", "[\"b.png\"]").contains("b.png"));
        assert!(said("?", "[1]").contains("names no files"));
    }

    #[test]
    fn the_exam_of_a_world_is_read_as_it_is_sat() {
        let folder = tempfile::tempdir().unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        crate::world::draw(folder.path(), 7, 1, false, &stop, &mut |_| ()).unwrap();
        let path = folder.path().join("exam-7.parquet");
        assert!(holds_questions(&path));
        let mut seen = std::collections::BTreeMap::<(String, u32), usize>::new();
        let (mut first, mut shown) = (None, 0);
        let hash = each_question(&path, &mut |question| {
            *seen.entry((question.family.clone(), question.level)).or_default() += 1;
            shown += question.document().images().count();
            assert_eq!(question.document().images().count(), question.pictures.len());
            first.get_or_insert(question);
            Ok(())
        });
        assert_eq!((hash.unwrap().len(), seen.len()), (64, 27));
        assert!(shown >= seen.values().sum::<usize>());
        let world = crate::world::World::new(7);
        let exhibit = world.exhibit(crate::world::Sight::ALL[0], 1, crate::world::EXAM, false);
        let asked = &exhibit.questions[0];
        let first = first.unwrap();
        let choices: Vec<String> = asked.choices.iter().map(|choice| format!("\n{choice}\n")).collect();
        assert_eq!((&first.choices, first.answer), (&choices, asked.right));
        let document = first.document().segments.into_iter().map(|segment| segment.kind).collect::<Vec<_>>();
        assert_eq!(document, exhibit.show(&asked.prompt));
        let list = crate::HeldOut::open(&path).unwrap();
        let shows = |picture: &[u8]| {
            let mut document = crate::Document::text("", "", "What is it?");
            let kind = SegmentKind::Image(ImageRef::Bytes(picture.to_vec()));
            document.segments.push(Segment { kind, weight: 0.0 });
            list.shown_in(&document).is_some()
        };
        assert!(exhibit.pictures.iter().all(|picture| shows(picture)));
        let other = world.exhibit(crate::world::Sight::ALL[0], 1, 0, false);
        assert!(!other.pictures.iter().any(|picture| shows(picture)));
    }
}
