//! A picture while it is drawn: anti-aliased paths, words, then noise and compression.
//!
//! Positions are pixels from the left and the top. Angles are degrees, counted from the right and against the
//! clock.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use tiny_skia::{FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};

use super::super::random::Random;
use super::letters::Hand;

/// Red, green, blue.
pub(super) type Rgb = [u8; 3];

/// A point of a picture.
pub(super) type Spot = (f32, f32);

/// The colours that have names, told apart most easily first.
pub(super) const COLOURS: [(&str, Rgb); 8] = [
    ("red", [214, 45, 45]),
    ("blue", [58, 104, 230]),
    ("green", [45, 160, 65]),
    ("yellow", [236, 200, 40]),
    ("purple", [150, 65, 185]),
    ("orange", [240, 130, 30]),
    ("brown", [135, 85, 45]),
    ("grey", [128, 130, 132]),
];

/// Backgrounds, and the ink of words and lines on them.
pub(super) const GROUNDS: [(Rgb, Rgb); 4] = [
    ([252, 252, 250], [25, 25, 30]),
    ([250, 240, 218], [60, 35, 25]),
    ([218, 230, 242], [15, 25, 60]),
    ([36, 40, 50], [236, 236, 230]),
];

/// Which end of a word, or its middle, is meant by a position.
#[derive(Clone, Copy, Debug)]
pub(super) enum Align {
    Left,
    Middle,
    Right,
}

/// A point at a distance and angle from another.
pub(super) fn polar(centre: Spot, radius: f32, degrees: f32) -> Spot {
    let angle = degrees * (std::f32::consts::PI / 180.0);
    (centre.0 + radius * libm::cosf(angle), centre.1 - radius * libm::sinf(angle))
}

/// Corners of a regular polygon.
pub(super) fn regular(centre: Spot, radius: f32, sides: usize, turn: f32) -> Vec<Spot> {
    (0..sides).map(|side| polar(centre, radius, turn + 360.0 * side as f32 / sides as f32)).collect()
}

/// A picture while it is drawn.
pub(super) struct Canvas {
    pixels: Option<Pixmap>,
    side: u32,
    /// The background.
    pub(super) ground: Rgb,
    /// What is written and drawn with where no colour is meant.
    pub(super) ink: Rgb,
    /// What was written.
    pub(super) words: Vec<String>,
    /// Whether words are left out of the picture.
    wordless: bool,
}

impl Canvas {
    /// An empty square.
    pub(super) fn new(side: u32, ground: Rgb, ink: Rgb, wordless: bool) -> Canvas {
        let mut pixels = Pixmap::new(side, side);
        if let Some(pixels) = &mut pixels {
            pixels.fill(tiny_skia::Color::from_rgba8(ground[0], ground[1], ground[2], 255));
        }
        Canvas { pixels, side, ground, ink, words: Vec::new(), wordless }
    }

    /// Fills a path; where it covers itself, what is covered twice stays empty.
    fn fill_path(&mut self, path: Option<Path>, colour: Rgb, rule: FillRule) {
        if let (Some(pixels), Some(path)) = (&mut self.pixels, path) {
            pixels.fill_path(&path, &paint(colour), rule, Transform::identity(), None);
        }
    }

    fn stroke_path(&mut self, path: Option<Path>, colour: Rgb, width: f32) {
        if let (Some(pixels), Some(path)) = (&mut self.pixels, path) {
            let stroke =
                Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
            pixels.stroke_path(&path, &paint(colour), &stroke, Transform::identity(), None);
        }
    }

    /// A shade of a colour that is easily read on the ground.
    pub(super) fn readable(&self, colour: Rgb) -> Rgb {
        mix(colour, if self.ground[0] < 128 { [255; 3] } else { [0; 3] }, 0.2)
    }

    /// A filled polygon.
    pub(super) fn polygon(&mut self, corners: &[Spot], colour: Rgb) {
        self.fill_path(through(corners, true), colour, FillRule::Winding);
    }

    /// The outline of a polygon.
    pub(super) fn outline(&mut self, corners: &[Spot], colour: Rgb, width: f32) {
        self.stroke_path(through(corners, true), colour, width);
    }

    /// Lines from point to point.
    pub(super) fn line(&mut self, spots: &[Spot], colour: Rgb, width: f32) {
        self.stroke_path(through(spots, false), colour, width);
    }

    /// A filled rectangle.
    pub(super) fn rect(&mut self, (x, y): Spot, width: f32, height: f32, colour: Rgb) {
        let rect = Rect::from_xywh(x, y, width, height).map(PathBuilder::from_rect);
        self.fill_path(rect, colour, FillRule::Winding);
    }

    /// The outline of a rectangle.
    pub(super) fn frame(&mut self, (x, y): Spot, width: f32, height: f32, colour: Rgb, line: f32) {
        self.outline(&[(x, y), (x + width, y), (x + width, y + height), (x, y + height)], colour, line);
    }

    /// A filled circle.
    pub(super) fn disc(&mut self, (x, y): Spot, radius: f32, colour: Rgb) {
        self.fill_path(PathBuilder::from_circle(x, y, radius), colour, FillRule::Winding);
    }

    /// The outline of a circle.
    pub(super) fn circle(&mut self, (x, y): Spot, radius: f32, colour: Rgb, width: f32) {
        self.stroke_path(PathBuilder::from_circle(x, y, radius), colour, width);
    }

    /// A slice of a disc.
    pub(super) fn slice(&mut self, centre: Spot, radius: f32, from: f32, to: f32, colour: Rgb) {
        let steps = 2 + ((to - from).abs() / 12.0) as usize;
        let mut corners = vec![centre];
        corners
            .extend((0..=steps).map(|i| polar(centre, radius, from + (to - from) * i as f32 / steps as f32)));
        self.polygon(&corners, colour);
    }

    /// A line with a head at its second end.
    pub(super) fn arrow(&mut self, from: Spot, to: Spot, colour: Rgb, width: f32) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = (dx * dx + dy * dy).sqrt().max(0.1);
        let (dx, dy) = (dx / length, dy / length);
        let head = width * 2.0 + 2.0;
        let neck = (to.0 - dx * head, to.1 - dy * head);
        self.line(&[from, neck], colour, width);
        let half = head * 0.8;
        let corners =
            [to, (neck.0 - dy * half, neck.1 + dx * half), (neck.0 + dy * half, neck.1 - dx * half)];
        self.polygon(&corners, colour);
    }

    /// A word; capitals are centred on the height of the spot.
    pub(super) fn write(&mut self, hand: &Hand, text: &str, at: Spot, align: Align, colour: Rgb) {
        self.words.push(text.into());
        if self.wordless {
            return;
        }
        let width = hand.width(text);
        let left = match align {
            Align::Left => at.0,
            Align::Middle => at.0 - width / 2.0,
            Align::Right => at.0 - width,
        };
        self.fill_path(hand.path(text, left, at.1), colour, FillRule::Winding);
    }

    /// One of the shapes of [`SHAPES`], in a circle of a radius, turned by some degrees.
    pub(super) fn shape(&mut self, shape: usize, at: Spot, radius: f32, turn: f32, colour: Rgb) {
        let spread = |radius: &[f32], start: f32| -> Vec<Spot> {
            let step = 360.0 / radius.len() as f32;
            (0..radius.len()).map(|i| polar(at, radius[i], start + turn + step * i as f32)).collect()
        };
        match shape {
            0 => self.disc(at, radius * 0.92, colour),
            1 => self.polygon(&regular(at, radius * 1.12, 4, 45.0 + turn), colour),
            2 => {
                let low = (at.0, at.1 + radius * 0.2);
                self.polygon(&regular(low, radius * 1.15, 3, 90.0 + turn), colour);
            }
            3 => {
                let (out, dent) = (radius * 1.12, radius * 0.45);
                self.polygon(&spread(&[out, dent, out, dent, out, dent, out, dent, out, dent], 90.0), colour);
            }
            4 => {
                let bar = |way: f32| {
                    let turned = |side: f32, end: f32| {
                        let middle = polar(at, radius * end, way + turn);
                        polar(middle, radius * 0.33 * side, way + turn + 90.0)
                    };
                    [turned(1.0, -1.0), turned(1.0, 1.0), turned(-1.0, 1.0), turned(-1.0, -1.0)]
                };
                self.polygon(&bar(0.0), colour);
                self.polygon(&bar(90.0), colour);
            }
            5 => self.circle(at, radius * 0.72, colour, radius * 0.42),
            6 => {
                let (tall, wide) = (radius * 1.15, radius * 0.72);
                self.polygon(&spread(&[wide, tall, wide, tall], 0.0), colour);
            }
            _ => {
                let r = radius * 0.55;
                for side in [-1.0, 1.0] {
                    self.disc((at.0 + side * r * 0.85, at.1 - r * 0.6), r, colour);
                }
                let (x, y) = at;
                let wide = r * 1.72;
                self.polygon(&[(x - wide, y - r * 0.1), (x + wide, y - r * 0.1), (x, y + radius)], colour);
                self.polygon(&[(x - r, y - r * 0.2), (x + r, y - r * 0.2), (x, y + r * 0.6)], colour);
            }
        }
    }

    /// The encoded file, after a little noise: a PNG as a rule, now and then a JPEG.
    pub(super) fn finish(self, random: &mut Random) -> Vec<u8> {
        let side = self.side;
        let most = random.below(9) as i16;
        let mut rgb = Vec::with_capacity((side * side * 3) as usize);
        let rgba = self.pixels.map(Pixmap::take).unwrap_or_default();
        for pixel in rgba.chunks_exact(4) {
            let bytes = random.next().to_le_bytes();
            for channel in 0..3 {
                // The sum of two bytes: small changes are likelier than large ones.
                let noise = i16::from(bytes[channel]) + i16::from(bytes[channel + 3]) - 255;
                let value = i16::from(pixel[channel]) + noise * most / 255;
                rgb.push(value.clamp(0, 255) as u8);
            }
        }
        let mut file = Vec::new();
        let written = if random.chance(30) {
            let quality = random.between(70, 96) as u8;
            JpegEncoder::new_with_quality(&mut file, quality).encode(
                &rgb,
                side,
                side,
                ExtendedColorType::Rgb8,
            )
        } else {
            let way = [FilterType::Sub, FilterType::Up, FilterType::Paeth][random.below(3)];
            let encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Fast, way);
            encoder.write_image(&rgb, side, side, ExtendedColorType::Rgb8)
        };
        debug_assert!(written.is_ok(), "a buffer of the right size is always encoded");
        file
    }
}

/// Names of the shapes, told apart most easily first.
pub(super) const SHAPES: [&str; 8] =
    ["circle", "square", "triangle", "star", "cross", "ring", "diamond", "heart"];

/// A colour some share of the way from one to another.
pub(super) fn mix(one: Rgb, other: Rgb, share: f32) -> Rgb {
    let channel =
        |at: usize| (f32::from(one[at]) + (f32::from(other[at]) - f32::from(one[at])) * share) as u8;
    [channel(0), channel(1), channel(2)]
}

fn paint(colour: Rgb) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(colour[0], colour[1], colour[2], 255);
    paint
}

fn through(spots: &[Spot], closed: bool) -> Option<Path> {
    let (first, rest) = spots.split_first()?;
    let mut path = PathBuilder::new();
    path.move_to(first.0, first.1);
    for spot in rest {
        path.line_to(spot.0, spot.1);
    }
    if closed {
        path.close();
    }
    path.finish()
}
