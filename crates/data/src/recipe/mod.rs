//! Recipes: a TOML file that makes documents of the rows of a table, by templates.
//!
//! ```toml
//! [rows]
//! path = "mnist.parquet"              # Parquet, JSONL, tar (WebDataset) or a folder of pictures, from the recipe's folder on
//! held_out = "split == 'test'"        # which rows are never trained on: exams ask about them
//! longest_edge = 128                  # pixels to which a longer side of a picture is scaled down
//!
//! [augment]                           # of pictures that are trained on
//! copies = 4
//! shift = 0.08                        # of the sides
//!
//! [[document]]
//! family = "sum"
//! rows = 2                            # a and b
//! prompt = "{{ a.image }}and\n{{ b.image }}What is the sum?\n"
//! answer = "{{ a.label + b.label }}"
//! choices = ["0", "1", "2"]           # what answers there are; each is drawn as often as the next
//! ```
//!
//! Of rows with choices of their own, `choices` is an expression instead, such as `"options"`, and nothing is drawn by it; where it
//! gives none, the answer is written. `family` and `level` are templates, too, and so is each of `transcription`, a text for each
//! picture of the prompt.
//!
//! Templates and expressions are Jinja's. Of one row, the columns stand under their own names as well. What is asked counts
//! nothing in the loss, the answer does; it ends its line. All rows are held in memory.

mod archive;
mod table;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde::Deserialize;

use crate::document::{Document, ImageRef, Segment, SegmentKind};
use crate::picture::{Bounds, Change, Picture};
use crate::storage;
use crate::world::random::Random;
pub(crate) use table::{Cell, Row, Rows as TableRows, caption_of, is_image, read as rows};

/// A recipe with its table.
pub struct Recipe {
    name: String,
    file: File,
    environment: Environment<'static>,
    /// Those that are trained on, and those that are not.
    rows: [Vec<Row>; 2],
}

/// A recipe that is opened once, by whoever asks first: a build passes over its input more than once.
#[derive(Clone, Default)]
pub(crate) struct Opened(Arc<OnceLock<Result<Recipe, String>>>);

impl Opened {
    /// As [`Recipe::open`].
    pub(crate) fn recipe(&self, path: &Path, most: usize) -> Result<&Recipe, &String> {
        self.0.get_or_init(|| Recipe::open(path, most)).as_ref()
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").finish_non_exhaustive()
    }
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rows: Rows,
    #[serde(default)]
    augment: Augment,
    document: Vec<Template>,
    /// Of everything that is drawn.
    #[serde(default)]
    seed: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    path: PathBuf,
    held_out: Option<String>,
    /// Pixels to which a longer side of a picture is scaled down.
    longest_edge: Option<u32>,
    /// Columns that name files.
    #[serde(default = "image_columns")]
    images: Vec<String>,
}

fn image_columns() -> Vec<String> {
    vec!["image".into(), "images".into()]
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Augment {
    copies: u64,
    shift: f32,
    /// Degrees.
    turn: f32,
    scale: f32,
    noise: u8,
}

impl Default for Augment {
    fn default() -> Augment {
        Augment { copies: 1, shift: 0.0, turn: 0.0, scale: 0.0, noise: 0 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    #[serde(default = "documents")]
    family: String,
    #[serde(default = "first")]
    level: String,
    #[serde(default = "one")]
    rows: usize,
    prompt: String,
    answer: String,
    #[serde(default)]
    choices: Choices,
    /// Of each picture.
    #[serde(default)]
    transcription: Vec<String>,
}

/// What answers there are.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Choices {
    /// The same of every document; none, if an answer may be anything.
    Listed(Vec<String>),
    /// An expression over the rows.
    Told(String),
}

impl Default for Choices {
    fn default() -> Choices {
        Choices::Listed(Vec::new())
    }
}

fn documents() -> String {
    "documents".into()
}

fn first() -> String {
    "1".into()
}

fn one() -> usize {
    1
}

/// What a template made of its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Posed {
    /// Unique in the recipe.
    pub id: String,
    /// What it is about.
    pub family: String,
    /// From easy to hard, counted from 1.
    pub level: u32,
    /// Text and pictures.
    pub prompt: Vec<SegmentKind>,
    /// What follows.
    pub answer: String,
    /// What answers there are, if the template says so.
    pub choices: Vec<String>,
    /// Pictures of the prompt in words, in order, as far as the template says.
    pub transcription: Vec<String>,
}

/// Pixels of the longest edge, at most.
const MOST_EDGE: u32 = 4096;

/// Rows of a document, at most: they are called a, b, c, …
const MOST_ROWS: usize = 26;

/// Draws until a wanted answer comes, at most.
const DRAWS: usize = 400;

/// What stands in a rendered text for a picture; no text of a table can have it.
const MARK: char = '\u{0}';

impl Recipe {
    /// Whether a TOML file is a recipe.
    pub(crate) fn is_one(path: &Path) -> bool {
        let table = storage::read_at_most(path, 1 << 20).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let table = table.and_then(|text| text.parse::<toml::Table>().ok());
        table.is_some_and(|table| table.contains_key("rows") && table.contains_key("document"))
    }

    /// Reads a recipe and its table; no cell of this has more than `most` bytes. An error says what is wrong, and where.
    pub fn open(path: &Path, most: usize) -> Result<Recipe, String> {
        let text = storage::read_text(path).map_err(|error| error.to_string())?;
        let file: File = toml::from_str(&text).map_err(|error| error.to_string().trim_end().to_owned())?;
        for Template { family, rows, answer, .. } in &file.document {
            if !(1..=MOST_ROWS).contains(rows) {
                return Err(format!("document {family}: rows = {rows}: from 1 to {MOST_ROWS}"));
            }
            if answer.is_empty() {
                return Err(format!("document {family}: the answer is empty"));
            }
        }
        let Augment { copies, shift, turn, scale, .. } = file.augment;
        let fits = |x: f32, most: f32| x >= 0.0 && x <= most;
        if !(1..=1000).contains(&copies) || !fits(shift, 1.0) || !fits(turn, 180.0) || !fits(scale, 0.9) {
            return Err(
                "augment: copies from 1 to 1000, shift to 1, turn to 180 degrees, scale to 0.9".into()
            );
        }
        if file.rows.longest_edge.is_some_and(|edge| !(1..=MOST_EDGE).contains(&edge)) {
            return Err(format!("rows: longest_edge from 1 to {MOST_EDGE} pixels"));
        }
        let place = path.parent().unwrap_or(Path::new("")).join(&file.rows.path);
        let wrong = |what: String| format!("{}: {what}", place.display());
        let table = rows(&place, &file.rows.images, most).map_err(wrong)?;
        let environment = environment();
        let held = match &file.rows.held_out {
            None => None,
            Some(text) => {
                Some(environment.compile_expression(text).map_err(|error| format!("held_out: {error}"))?)
            }
        };
        let mut rows = [Vec::new(), Vec::new()];
        for row in table {
            let row = row.map_err(wrong)?;
            let kept = match &held {
                None => false,
                Some(held) => {
                    let value = held.eval(context(&[&row], &mut Vec::new()));
                    value.map_err(|error| format!("held_out: {error}"))?.is_true()
                }
            };
            rows[usize::from(kept)].push(row);
        }
        let name = path.display().to_string();
        match rows.iter().all(Vec::is_empty) {
            true => Err(format!("{}: it has no rows", place.display())),
            false => Ok(Recipe { name, file, environment, rows }),
        }
    }

    /// Whether it says itself what is held out.
    pub(crate) fn holds_out(&self) -> bool {
        self.file.rows.held_out.is_some()
    }

    /// How many documents it makes: of rows that are trained on, or of those that are not.
    pub fn count(&self, held: bool) -> u64 {
        let copies = if held { 1 } else { self.file.augment.copies };
        self.rows[usize::from(held)].len() as u64 * copies * self.file.document.len() as u64
    }

    fn template(&self, number: u64) -> &Template {
        &self.file.document[(number % self.file.document.len() as u64) as usize]
    }

    /// Family and level of document `number`, where its template has the same for all rows.
    pub fn kind(&self, number: u64) -> Option<(&str, u32)> {
        let Template { family, level, .. } = self.template(number);
        let level = level.trim().parse().ok()?;
        (!family.contains('{')).then_some((family.trim(), level))
    }

    /// Document `number` of [`Recipe::count`]; those with equal templates follow each other at the distance of their number, so
    /// that a part is a part of everything. An error says what is wrong with it.
    pub fn posed(&self, held: bool, number: u64) -> Result<Posed, String> {
        let rows = &self.rows[usize::from(held)];
        let template = self.template(number);
        let first = (number / self.file.document.len() as u64 % rows.len().max(1) as u64) as usize;
        let id = format!("{}:{}{number}", self.name, if held { "held out " } else { "" });
        let mut random = Random::new(self.file.seed, if held { 11 } else { 10 }, number);
        let wanted = match &template.choices {
            Choices::Listed(all) if !all.is_empty() => all.get(random.below(all.len())),
            _ => None,
        };
        let mut images = Vec::new();
        let render = |text: &str, rows: &[&Row], images: &mut Vec<ImageRef>| {
            self.environment
                .render_str(text, context(rows, images))
                .map_err(|error| format!("{id}: {error:#}"))
        };
        let mut draw = |attempt: usize| -> Vec<&Row> {
            let own = |at: usize, random: &mut Random| match at == 0
                && (attempt == 0 || template.rows == 1 && wanted.is_none())
            {
                true => first,
                false => random.below(rows.len()),
            };
            (0..template.rows).map(|at| &rows[own(at, &mut random)]).collect()
        };
        let mut chosen = draw(0);
        let mut answer = render(&template.answer, &chosen, &mut Vec::new())?;
        if let Some(wanted) = wanted {
            for attempt in 1..DRAWS {
                if answer.trim() == wanted {
                    break;
                }
                chosen = draw(attempt);
                answer = render(&template.answer, &chosen, &mut Vec::new())?;
            }
        }
        let prompt = render(&template.prompt, &chosen, &mut images)?;
        // The answer ends its line, so that who asks need not.
        let prompt = prompt.trim_end_matches('\n');
        let text = |text: &str| render(text, &chosen, &mut Vec::new());
        let level = text(&template.level)?;
        let level = level.trim().parse().ok().filter(|level| *level > 0);
        let answer = answer.trim().to_owned();
        let choices = match &template.choices {
            Choices::Listed(all) => all.clone(),
            Choices::Told(expression) => {
                let all = self.list(expression, context(&chosen, &mut Vec::new()));
                all.map_err(|what| format!("{id}: choices: {what}"))?
            }
        };
        if !choices.is_empty() && !choices.contains(&answer) {
            return Err(format!("{id}: the answer {answer:?} is none of the choices"));
        }
        let mut segments = segments(prompt, &images);
        let mut random = Random::new(self.file.seed, 12, number);
        for segment in &mut segments {
            if let SegmentKind::Image(image) = segment {
                let own = std::mem::replace(image, ImageRef::Bytes(Vec::new()));
                *image = self.shown(own, (!held).then_some(&mut random));
            }
        }
        Ok(Posed {
            family: text(&template.family)?.trim().to_owned(),
            level: level.ok_or_else(|| format!("{id}: the level is no whole number from 1 on"))?,
            prompt: segments,
            answer,
            choices,
            transcription: template.transcription.iter().map(|told| text(told)).collect::<Result<_, _>>()?,
            id,
        })
    }

    /// The texts of an expression that gives a list.
    fn list(&self, expression: &str, names: Value) -> Result<Vec<String>, String> {
        let said = |error: minijinja::Error| format!("{error:#}");
        let value = self.environment.compile_expression(expression).and_then(|told| told.eval(names));
        let all: Vec<String> = value
            .and_then(|value| value.try_iter()?.map(|one| Ok(one.to_string())).collect())
            .map_err(said)?;
        let twice = all.iter().enumerate().find(|(at, one)| all[..*at].contains(one));
        twice.map_or(Ok(()), |(_, one)| Err(format!("{one:?} stands twice")))?;
        Ok(all)
    }

    /// A picture as the recipe wants it: not too long, and changed where there is something random to change it by. What cannot be
    /// read stays as it is: it is found, and said, where documents are encoded.
    fn shown(&self, image: ImageRef, random: Option<&mut Random>) -> ImageRef {
        let Augment { shift, turn, scale, noise, .. } = self.file.augment;
        let random = random.filter(|_| (shift, turn, scale, noise) != (0.0, 0.0, 0.0, 0));
        let edge = self.file.rows.longest_edge;
        if random.is_none() && edge.is_none() {
            return image;
        }
        let bytes = match image {
            ImageRef::Bytes(bytes) => bytes,
            named => match named.clone().load(Bounds::default().bytes) {
                Ok(bytes) => bytes,
                Err(_) => return named,
            },
        };
        let longer = |(width, height): (u32, u32)| edge.is_some_and(|edge| width.max(height) > edge);
        if random.is_none() && !Picture::size(&bytes, &Bounds::default()).is_ok_and(longer) {
            return ImageRef::Bytes(bytes);
        }
        let Ok(picture) = Picture::decode(&bytes, &Bounds::default()) else { return ImageRef::Bytes(bytes) };
        let picture = match edge {
            Some(edge) => picture.within(edge),
            None => picture,
        };
        let Some(random) = random else { return ImageRef::Bytes(picture.to_png()) };
        let mut within = |most: f32| most * (random.below(2001) as f32 / 1000.0 - 1.0);
        let change = Change {
            shift: (within(shift), within(shift)),
            turn: within(turn.to_radians()),
            scale: (within(1.0) * (1.0 + scale).ln()).exp(),
        };
        let changed = picture.changed(&change);
        let changed = if noise > 0 { changed.noisy(noise, |below| random.below(below)) } else { changed };
        ImageRef::Bytes(changed.to_png())
    }
}

impl Posed {
    /// As a document: what is asked counts nothing, the answer does, with the end of the line before it and of its own.
    pub(crate) fn document(self, source: &str) -> Document {
        let asked = self.prompt.into_iter().map(|kind| Segment { kind, weight: 0.0 });
        let segments = asked.chain([Segment::text(format!("\n{}\n", self.answer))]).collect();
        Document { id: self.id, source: source.into(), segments }
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // As they stand in the file: a line's end is a token.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    // Whoever writes a loop without an end is told so.
    environment.set_fuel(Some(1_000_000));
    environment
}

/// The names of a template: a, b, … for the rows, and the columns of a single one. Pictures are marks, by their number among
/// `images`.
fn context(rows: &[&Row], images: &mut Vec<ImageRef>) -> Value {
    let mut mark = |image: &ImageRef| {
        images.push(image.clone());
        format!("{MARK}{}{MARK}", images.len() - 1)
    };
    let mut cells = |row: &Row| -> serde_json::Map<String, serde_json::Value> {
        let cell = |(name, cell): (&String, &Cell)| {
            let value = match cell {
                Cell::Plain(value) => clean(value),
                Cell::Images(all) => match all.as_slice() {
                    [one] => mark(one).into(),
                    all => all.iter().map(&mut mark).collect::<Vec<_>>().into(),
                },
            };
            (name.clone(), value)
        };
        row.iter().map(cell).collect()
    };
    let mut names = match rows {
        [row] => cells(row),
        _ => serde_json::Map::new(),
    };
    for (name, row) in ('a'..='z').zip(rows) {
        names.insert(name.into(), cells(row).into());
    }
    Value::from(Serde(serde_json::Value::Object(names)))
}

/// A value without the mark of pictures.
fn clean(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => text.replace(MARK, "").into(),
        Value::Array(list) => list.iter().map(clean).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.replace(MARK, ""), clean(value))).collect()
        }
        other => other.clone(),
    }
}

/// A rendered text with the pictures that it marks.
fn segments(text: &str, images: &[ImageRef]) -> Vec<SegmentKind> {
    let part = |(at, part): (usize, &str)| match at % 2 {
        0 if part.is_empty() => None,
        0 => Some(SegmentKind::Text(part.into())),
        _ => part.parse().ok().and_then(|number: usize| images.get(number)).cloned().map(SegmentKind::Image),
    };
    text.split(MARK).enumerate().filter_map(part).collect()
}
