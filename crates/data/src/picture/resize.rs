//! Scaling as Pillow does it, to the bit: across, rounded to bytes, then down, with weights of 22 binary places.
//!
//! Others' crates scale faster and round, or order the two passes, in other ways; where rings around edges are clipped between
//! them, that makes up to 49 of 255. A model must see what it would see elsewhere.

use super::Picture;
use super::prepare::Filter;

/// Binary places of a weight: 32 less a byte, less two for sums beyond one.
const PLACES: u32 = 22;

impl Filter {
    /// The weight at a distance, and the distance from which it is nought.
    fn kernel(self) -> (fn(f64) -> f64, f64) {
        match self {
            Filter::Bilinear => (|x| (1.0 - x.abs()).max(0.0), 1.0),
            // Keys (1981), a = -1/2.
            Filter::Bicubic => (
                |x| match x.abs() {
                    x if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
                    x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
                    _ => 0.0,
                },
                2.0,
            ),
            Filter::Lanczos => {
                (|x| if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }, 3.0)
            }
        }
    }
}

fn sinc(x: f64) -> f64 {
    let x = x * std::f64::consts::PI;
    if x == 0.0 { 1.0 } else { x.sin() / x }
}

/// What each place of a scaled line is made of.
struct Weights {
    /// First place of the source, and how many weights.
    spans: Vec<(usize, usize)>,
    /// As many for each place as the longest span has.
    values: Vec<i32>,
    longest: usize,
}

impl Weights {
    fn new(filter: Filter, from: usize, to: usize) -> Weights {
        let (kernel, support) = filter.kernel();
        let scale = from as f64 / to as f64;
        // A larger picture is averaged over, a smaller one only interpolated.
        let stretch = scale.max(1.0);
        let support = support * stretch;
        let longest = support.ceil() as usize * 2 + 1;
        let (mut spans, mut values) = (Vec::with_capacity(to), vec![0; to * longest]);
        for (place, row) in values.chunks_exact_mut(longest).enumerate() {
            let centre = (place as f64 + 0.5) * scale;
            let first = ((centre - support + 0.5) as i64).max(0) as usize;
            let last = ((centre + support + 0.5) as i64).min(from as i64) as usize;
            let weight = |x: usize| kernel((x as f64 - centre + 0.5) / stretch);
            let sum: f64 = (first..last).map(weight).sum();
            for (value, x) in row.iter_mut().zip(first..last) {
                let weight = if sum == 0.0 { weight(x) } else { weight(x) / sum };
                *value = (weight * f64::from(1 << PLACES)).round() as i32;
            }
            spans.push((first, last - first));
        }
        Weights { spans, values, longest }
    }

    /// First place and weights of a place.
    fn at(&self, place: usize) -> (usize, &[i32]) {
        let (first, count) = self.spans[place];
        (first, &self.values[place * self.longest..][..count])
    }
}

fn byte(sum: i32) -> u8 {
    (sum >> PLACES).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PLACES - 1);

/// A picture in another size, not nought either way; `None` where that is its own.
pub(super) fn resize(picture: &Picture, width: u32, height: u32, filter: Filter) -> Option<Picture> {
    // Pillow 13 goes down first where that saves more; the versions before it never do.
    let lost = |from: u32, to: u32| i64::from(from) - i64::from(to);
    let (narrower, lower) = (lost(picture.width(), width), lost(picture.height(), height));
    let down_first = lower > 0 && lower > 2 * narrower;
    if down_first {
        let first = down(picture, height, filter);
        across(first.as_ref().unwrap_or(picture), width, filter).or(first)
    } else {
        let first = across(picture, width, filter);
        down(first.as_ref().unwrap_or(picture), height, filter).or(first)
    }
}

impl Picture {
    /// The picture scaled down so that neither side is longer than `edge`, or as it is.
    pub(crate) fn within(self, edge: u32) -> Picture {
        let longer = self.width.max(self.height);
        if longer <= edge {
            return self;
        }
        let scaled = |side: u32| {
            let side = f64::from(side) * f64::from(edge) / f64::from(longer);
            (side.round() as u32).max(1)
        };
        let (width, height) = (scaled(self.width), scaled(self.height));
        resize(&self, width, height, Filter::default()).unwrap_or(self)
    }
}

/// The same with rows of another length.
fn across(picture: &Picture, width: u32, filter: Filter) -> Option<Picture> {
    if width == picture.width() {
        return None;
    }
    let from = picture.width() as usize;
    let weights = Weights::new(filter, from, width as usize);
    let mut pixels = Vec::with_capacity(3 * width as usize * picture.height() as usize);
    // Four integers a pixel: what a vector register holds.
    let mut line = vec![[0i32; 4]; from];
    for row in picture.pixels().chunks_exact(3 * from) {
        for (wide, pixel) in line.iter_mut().zip(row.chunks_exact(3)) {
            *wide = [i32::from(pixel[0]), i32::from(pixel[1]), i32::from(pixel[2]), 0];
        }
        for place in 0..width as usize {
            let (first, weights) = weights.at(place);
            let mut sum = [HALF; 4];
            for (pixel, &weight) in line[first..].iter().zip(weights) {
                for channel in 0..4 {
                    sum[channel] += pixel[channel] * weight;
                }
            }
            pixels.extend_from_slice(&[byte(sum[0]), byte(sum[1]), byte(sum[2])]);
        }
    }
    Some(Picture { width, height: picture.height(), pixels })
}

/// The same with another number of rows.
fn down(picture: &Picture, height: u32, filter: Filter) -> Option<Picture> {
    if height == picture.height() {
        return None;
    }
    let stride = 3 * picture.width() as usize;
    let weights = Weights::new(filter, picture.height() as usize, height as usize);
    let mut pixels = vec![0; stride * height as usize];
    let mut sums = vec![0; stride];
    for (place, row) in pixels.chunks_exact_mut(stride).enumerate() {
        let (first, weights) = weights.at(place);
        sums.fill(HALF);
        for (source, &weight) in picture.pixels().chunks_exact(stride).skip(first).zip(weights) {
            sums.iter_mut().zip(source).for_each(|(sum, &x)| *sum += i32::from(x) * weight);
        }
        row.iter_mut().zip(&sums).for_each(|(x, &sum)| *x = byte(sum));
    }
    Some(Picture { width: picture.width(), height, pixels })
}
