//! The pictures of a world as ordinary files: PNG and JPEG in folders, documents that show them as JSONL, and the questions
//! that an exam asks as Parquet, with the pictures in it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::builder::{BinaryBuilder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use super::World;
use super::gallery::{Asked, Exhibit, NUMBERED, Part, Sight};
use crate::document::{ImageRef, SegmentKind};
use crate::error::{Error, Result};

/// Index of the first exhibit that exams ask about: training never gets so far.
pub const EXAM: u64 = 1 << 40;

/// Levels of a kind of picture.
const LEVELS: u32 = 3;

/// One in so many exhibits of level 1 has one of level 3 beside it, which takes five times the tiles.
const SELDOM: u64 = 20;

/// Whether a level has an exhibit at an index: what is seen at level 1 is half of what level 2 wants.
fn shown(level: u32, index: u64) -> bool {
    match level {
        1 => true,
        2 => index % 3 != 2,
        _ => index.is_multiple_of(SELDOM),
    }
}

/// Exhibits of a kind where others have one: of strips two, for finding who says what and holds what among three is learnt last.
fn times(sight: Sight) -> u64 {
    if sight == Sight::Comic { 2 } else { 1 }
}

/// Questions a kind and level in the Parquet file, for the use of other programs.
const ASKED: u64 = 100;

impl Exhibit {
    /// Text and pictures of a prompt, as they stand in documents and exams: a line for each text, of which the last is not
    /// ended, for an answer begins with the end of the line.
    pub fn show(&self, parts: &[Part]) -> Vec<SegmentKind> {
        let last = parts.len().saturating_sub(1);
        let show = |(place, part): (usize, &Part)| match part {
            Part::Text(text) => SegmentKind::Text(line(text, place < last)),
            Part::Picture(number) => {
                SegmentKind::Image(ImageRef::Bytes(self.pictures.get(*number).cloned().unwrap_or_default()))
            }
        };
        parts.iter().enumerate().map(show).collect()
    }

    /// The segments of its document, with pictures by their names: what they show in words and one question after the other, each with its
    /// answer. Where `described` it is described first, so that every word of it must be seen; else it is asked first, beginning
    /// with question `turn`, because earlier answers tell some of the later. What is asked counts nothing in the loss;
    /// pictures are shown once.
    fn segments(&self, names: &[String], described: bool, turn: u64) -> Vec<Value> {
        // Another phrasing of what was asked just now would tell its own answer.
        let mut asked: Vec<&Asked> = self.questions.iter().collect();
        asked.dedup_by_key(|asked| (asked.kind, &asked.answer));
        let turn = usize::try_from(turn).unwrap_or(0) % asked.len().max(1);
        asked.rotate_left(turn);
        let mut pieces: Vec<(&[Part], Option<&str>)> =
            asked.into_iter().map(|asked| (&*asked.prompt, Some(&*asked.answer))).collect();
        let place = if described { 0 } else { pieces.len() };
        pieces.insert(place, (&*self.caption, None));
        let mut segments = Vec::new();
        let mut shown = false;
        for (parts, answer) in pieces {
            let weight = if answer.is_some() { 0.0 } else { 1.0 };
            let last = parts.len().saturating_sub(1);
            for (place, part) in parts.iter().enumerate() {
                match part {
                    Part::Picture(number) if !shown => {
                        segments.push(json!({ "image": names.get(*number), "weight": 0.0 }));
                    }
                    Part::Text(name) if shown && NUMBERED.contains(&name.as_str()) => {}
                    Part::Text(words) => {
                        let ended = answer.is_none() || (place < last && !shown);
                        segments.push(text(&line(words, ended), weight));
                    }
                    Part::Picture(_) => {}
                }
            }
            if let Some(answer) = answer {
                segments.push(text(&format!("\n{answer}\n"), 1.0));
            }
            shown = true;
        }
        segments
    }
}

/// A segment of text.
fn text(words: &str, weight: f32) -> Value {
    json!({ "text": words, "weight": weight })
}

/// A text, with the end of its line or without.
fn line(text: &str, ended: bool) -> String {
    format!("{text}{}", if ended { "\n" } else { "" })
}

/// What the name of a file of one of an exhibit's pictures ends in.
pub fn extension(picture: &[u8]) -> &'static str {
    if picture.starts_with(&[0xff, 0xd8]) { "jpg" } else { "png" }
}

/// A folder under a name of its own until it is whole.
fn beside(folder: &Path) -> Result<tempfile::TempDir> {
    let mut naming = tempfile::Builder::new();
    naming.prefix(".pictures-");
    naming.tempdir_in(folder).map_err(Error::io("create a folder in", folder))
}

/// Writes `count` exhibits a kind at level 1, two thirds as many at level 2, a twentieth at level 3, and of strips twice as
/// many: `folder/pictures-SEED.jsonl`, the files that it names below `folder/pictures-SEED/`, and `folder/exam-SEED.parquet`.
/// `progress` is told how many of `count` are done.
///
/// # Errors
/// As [`super::generate`].
pub fn draw(
    folder: &Path,
    seed: u64,
    count: u64,
    force: bool,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(u64),
) -> Result<PathBuf> {
    let name = format!("pictures-{seed}");
    let (lines, exam) = (folder.join(format!("{name}.jsonl")), folder.join(format!("exam-{seed}.parquet")));
    let place = folder.join(&name);
    for path in [&lines, &place, &exam] {
        if path.exists() && !force {
            return Err(Error::Exists { path: path.clone() });
        }
    }
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    let world = World::new(seed);
    let made = beside(folder)?;
    let mut text = Vec::new();
    // In turn, so that a part of the file is a part of everything.
    for index in 0..count {
        let levels = || (1..=LEVELS).filter(|&level| shown(level, index));
        let kinds = Sight::ALL.into_iter().flat_map(|sight| levels().map(move |level| (sight, level)));
        for (sight, level, turn) in
            kinds.flat_map(|(sight, level)| (0..times(sight)).map(move |turn| (sight, level, turn)))
        {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let number = index * times(sight) + turn;
            let exhibit = world.exhibit(sight, level, number, false);
            let kind = format!("{}-{level}", sight.name());
            let inside = made.path().join(&kind);
            fs::create_dir_all(&inside).map_err(Error::io("create the folder", &inside))?;
            let mut names = Vec::with_capacity(exhibit.pictures.len());
            for (place, bytes) in exhibit.pictures.iter().enumerate() {
                let file = format!("{number:06}-{place}.{}", extension(bytes));
                let path = inside.join(&file);
                fs::write(&path, bytes).map_err(Error::io("write", &path))?;
                names.push(format!("{name}/{kind}/{file}"));
            }
            // Half of a kind and level, of level 3 as well, which has every twentieth index alone.
            let described = (index / SELDOM + turn).is_multiple_of(2);
            let segments = exhibit.segments(&names, described, index);
            let line = json!({ "id": format!("{kind}-{number}"), "segments": segments });
            text.extend(line.to_string().into_bytes());
            text.push(b'\n');
        }
        progress(index + 1);
    }
    let questions = exam_file(&world, &made.path().join("exam.parquet"))?;
    if force {
        let _ = fs::remove_dir_all(&place);
    }
    fs::rename(&questions, &exam).map_err(Error::io("write", &exam))?;
    fs::rename(made.keep(), &place).map_err(Error::io("write", &place))?;
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        BufWriter::new(&mut file).write_all(&text)?;
        file.as_file().sync_all()?;
        Ok(file.persist(&lines)?)
    });
    written.map_err(Error::io("write", &lines))?;
    Ok(lines)
}

/// The questions of the exam with their pictures, a row each.
fn exam_file(world: &World, path: &Path) -> Result<PathBuf> {
    let write = |error: String| Error::io("write", path)(std::io::Error::other(error));
    let mut writer: Option<ArrowWriter<File>> = None;
    for (sight, level) in
        Sight::ALL.into_iter().flat_map(|sight| (1..=LEVELS).map(move |level| (sight, level)))
    {
        let batch = rows(world, sight, level).map_err(|error| write(error.to_string()))?;
        let writer = match &mut writer {
            Some(writer) => writer,
            none => {
                let file = File::create_new(path).map_err(Error::io("create", path))?;
                let made = ArrowWriter::try_new(file, batch.schema(), None);
                none.insert(made.map_err(|error| write(error.to_string()))?)
            }
        };
        writer.write(&batch).map_err(|error| write(error.to_string()))?;
    }
    writer.map(ArrowWriter::close).transpose().map_err(|error| write(error.to_string()))?;
    Ok(path.to_path_buf())
}

/// Questions of one kind and level. `<image>` stands in a prompt for each picture.
fn rows(world: &World, sight: Sight, level: u32) -> Result<RecordBatch, impl std::fmt::Display + use<>> {
    let (mut ids, mut kinds, mut prompts, mut answers, mut right) = (vec![], vec![], vec![], vec![], vec![]);
    let mut choices = ListBuilder::new(StringBuilder::new());
    let mut told = ListBuilder::new(StringBuilder::new());
    let mut images = ListBuilder::new(BinaryBuilder::new());
    for index in EXAM..EXAM + ASKED {
        let exhibit = world.exhibit(sight, level, index, false);
        for (number, asked) in exhibit.questions.iter().enumerate() {
            let last = asked.prompt.len().saturating_sub(1);
            let text = |(place, part): (usize, &Part)| match part {
                Part::Text(text) => line(text, place < last),
                Part::Picture(_) => "<image>".into(),
            };
            ids.push(format!("{}-{level}-{index}-{number}", sight.name()));
            kinds.push(asked.kind);
            prompts.push(asked.prompt.iter().enumerate().map(text).collect::<String>());
            answers.push(asked.answer.clone());
            right.push(asked.right as i64);
            choices.append_value(asked.choices.iter().map(Some));
            told.append_value(exhibit.transcription.iter().map(Some));
            let shown = asked.prompt.iter().filter_map(|part| match part {
                Part::Picture(number) => Some(exhibit.pictures.get(*number)),
                Part::Text(_) => None,
            });
            images.append_value(shown);
        }
    }
    let count = ids.len();
    let columns: [(&str, ArrayRef); 10] = [
        ("id", Arc::new(StringArray::from(ids))),
        ("family", Arc::new(StringArray::from(vec![sight.name(); count]))),
        ("level", Arc::new(Int64Array::from(vec![i64::from(level); count]))),
        ("kind", Arc::new(StringArray::from(kinds))),
        ("prompt", Arc::new(StringArray::from(prompts))),
        ("images", Arc::new(images.finish())),
        ("choices", Arc::new(choices.finish())),
        ("right", Arc::new(Int64Array::from(right))),
        ("answer", Arc::new(StringArray::from(answers))),
        ("transcription", Arc::new(told.finish())),
    ];
    RecordBatch::try_from_iter(columns)
}
