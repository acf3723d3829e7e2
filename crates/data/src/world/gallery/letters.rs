//! Words in pictures: outlines of letters from two typefaces.

use std::sync::LazyLock;

use tiny_skia::{Path, PathBuilder};
use ttf_parser::{Face, OutlineBuilder};

/// Typefaces; a picture uses one.
pub(super) const FACES: usize = 2;

static LOADED: LazyLock<[Option<Face<'static>>; FACES]> = LazyLock::new(|| {
    [epaint_default_fonts::UBUNTU_LIGHT, epaint_default_fonts::HACK_REGULAR]
        .map(|bytes| Face::parse(bytes, 0).ok())
});

/// How words are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hand {
    /// Which typeface.
    pub(super) face: usize,
    /// Height of a capital letter, in pixels.
    pub(super) height: f32,
    /// What is added to the width of a stroke, in pixels.
    pub(super) weight: f32,
    /// The widest that a word may become, in pixels; wider ones are squeezed.
    pub(super) room: f32,
}

impl Hand {
    /// The same with another bound on the width of a word.
    pub(super) fn within(self, room: f32) -> Hand {
        Hand { room, ..self }
    }

    /// Pixels a unit of the typeface, and units of a word.
    fn measure(&self, face: &Face<'_>, text: &str) -> (f32, f32) {
        let capital = f32::from(face.capital_height().unwrap_or(700)).max(1.0);
        let advance = |letter| face.glyph_hor_advance(face.glyph_index(letter)?).map(f32::from);
        (self.height / capital, text.chars().filter_map(advance).sum())
    }

    /// Width of a word in pixels.
    pub(super) fn width(&self, text: &str) -> f32 {
        let Some(face) = LOADED.get(self.face).and_then(Option::as_ref) else { return 0.0 };
        let (scale, units) = self.measure(face, text);
        (units * scale).min(self.room)
    }

    /// Outlines of a word whose left end is at `x` and whose capitals are centred on `y`.
    pub(super) fn path(&self, text: &str, x: f32, y: f32) -> Option<Path> {
        let face = LOADED.get(self.face)?.as_ref()?;
        let (scale, units) = self.measure(face, text);
        let squeeze = if units * scale > self.room { self.room / (units * scale) } else { 1.0 };
        // Twice, a little apart: what is filled is the union, which is bolder.
        let mut path = PathBuilder::new();
        let half = self.weight / 2.0;
        for apart in [-half, half] {
            let y = y + self.height / 2.0 + apart * 0.7;
            let mut pen = Pen { path, x: x + apart, y, across: scale * squeeze, down: scale };
            for glyph in text.chars().filter_map(|letter| face.glyph_index(letter)) {
                face.outline_glyph(glyph, &mut pen);
                pen.x += f32::from(face.glyph_hor_advance(glyph).unwrap_or(0)) * pen.across;
            }
            path = pen.path;
        }
        path.finish()
    }
}

/// Turns outlines in units of a typeface into a path in pixels.
struct Pen {
    path: PathBuilder,
    x: f32,
    y: f32,
    across: f32,
    down: f32,
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.across, self.y - y * self.down)
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
