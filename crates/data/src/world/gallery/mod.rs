//! Pictures of a generated world, with questions whose answers are known exactly.
//!
//! An [`Exhibit`] is a picture or several, what is asked of them and what they show in words: a pure function of
//! (seed, kind, level, index). An answer is drawn first, each as likely as the next, then a picture that has it, so
//! that nothing but seeing tells the answer. What one picture shows and another does not is style: typefaces,
//! grounds, widths of lines, places, noise and compression.
//!
//! Every kind keeps some combinations back ([`Sight::held_out`]): where `unseen` is not asked for, no picture
//! shows one, and where it is, every exhibit does. What is asked there never names the one half of a combination
//! while it asks for the other, because its words would then tell which answers were never right in training.

mod canvas;
mod chart;
mod clock;
mod comic;
mod geometry;
mod letters;
mod maker;
mod map;
mod scene;
mod science;
mod table;
#[cfg(test)]
mod tests;
mod text;

use super::World;
use maker::Maker;

/// Version of the pictures: a change of what (seed, kind, level, index) gives has another.
pub const GALLERY_VERSION: u32 = 3;

/// Sides of the pictures of each level, in pixels, at most.
pub const SIDES: [u32; 3] = [64, 64, 128];

/// Heights of capital letters of each level, in pixels: least and most.
pub const GLYPHS: [(u32, u32); 3] = [(12, 14), (7, 8), (7, 9)];

/// What stands before each of two pictures.
pub(in crate::world) const NUMBERED: [&str; 2] = ["First:", "Second:"];

/// What a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    /// Coloured shapes.
    Scene,
    /// Bars, lines, slices and dots.
    Chart,
    /// Numbers in rows and columns.
    Table,
    /// Written lines.
    Text,
    /// The time.
    Clock,
    /// Places of the world and the roads between them.
    Map,
    /// Figures, angles, lengths.
    Geometry,
    /// Circuits, beakers, forces.
    Science,
    /// Three panels of figures that speak.
    Comic,
}

impl Sight {
    /// Every kind.
    pub const ALL: [Sight; 9] = [
        Sight::Scene,
        Sight::Chart,
        Sight::Table,
        Sight::Text,
        Sight::Clock,
        Sight::Map,
        Sight::Geometry,
        Sight::Science,
        Sight::Comic,
    ];

    /// Its name in ids and tables.
    pub fn name(self) -> &'static str {
        match self {
            Sight::Scene => "scene",
            Sight::Chart => "chart",
            Sight::Table => "table",
            Sight::Text => "text",
            Sight::Clock => "clock",
            Sight::Map => "map",
            Sight::Geometry => "geometry",
            Sight::Science => "science",
            Sight::Comic => "comic",
        }
    }

    /// What is kept back from training; every kind keeps something back.
    pub fn held_out(self) -> &'static str {
        match self {
            Sight::Scene => "a colour on a shape",
            Sight::Chart => "a form of chart on a ground",
            Sight::Table => "a number in a cell",
            Sight::Text => "a word in a colour",
            Sight::Clock => "a minute of an hour",
            Sight::Map => "a place",
            Sight::Geometry => "a figure in a colour",
            Sight::Science => "a reading in a colour",
            Sight::Comic => "a wish in a panel",
        }
    }
}

/// A piece of a document or prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Words.
    Text(String),
    /// One of the pictures, by its index.
    Picture(usize),
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The question, with the pictures where they belong.
    pub prompt: Vec<Part>,
    /// A word, a number, seldom more.
    pub answer: String,
    /// Two to four answers, among them the right one, in an order that says nothing.
    pub choices: Vec<String>,
    /// Index of the right choice.
    pub right: usize,
    /// What is asked for: `count`, `colour`.
    pub kind: &'static str,
    /// Whether it needs what is written in the pictures and what is drawn there, too: neither alone tells the answer.
    pub both: bool,
}

/// A picture or several, and what is asked of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhibit {
    /// What they show.
    pub sight: Sight,
    /// How hard it is, 1 to 3.
    pub level: u32,
    /// Encoded files, PNG or JPEG, in order.
    pub pictures: Vec<Vec<u8>>,
    /// A document that describes them.
    pub caption: Vec<Part>,
    /// Questions, most of them in two phrasings.
    pub questions: Vec<Asked>,
    /// What each picture shows, in words from which every question can be answered.
    pub transcription: Vec<String>,
    /// What is written in each picture.
    pub words: Vec<String>,
    /// Whether a combination is shown that training never sees.
    pub unseen: bool,
}

impl World {
    /// Exhibit `index` of a kind and level (1 to 3; others count as the nearest). Any index will do; the same one
    /// gives the same bytes on every machine.
    pub fn exhibit(&self, sight: Sight, level: u32, index: u64, unseen: bool) -> Exhibit {
        self.make((sight, level, index), unseen, false)
    }

    /// The same exhibit with nothing written in its pictures.
    pub fn wordless(&self, sight: Sight, level: u32, index: u64, unseen: bool) -> Exhibit {
        self.make((sight, level, index), unseen, true)
    }

    fn make(&self, (sight, level, index): (Sight, u32, u64), unseen: bool, wordless: bool) -> Exhibit {
        let mut maker = Maker::new(self, (sight, level.clamp(1, 3), index), unseen, wordless);
        match sight {
            Sight::Scene => scene::make(&mut maker),
            Sight::Chart => chart::make(&mut maker),
            Sight::Table => table::make(&mut maker),
            Sight::Text => text::make(&mut maker),
            Sight::Clock => clock::make(&mut maker),
            Sight::Map => map::make(&mut maker),
            Sight::Geometry => geometry::make(&mut maker),
            Sight::Science => science::make(&mut maker),
            Sight::Comic => comic::make(&mut maker),
        }
        maker.finish(sight)
    }
}
