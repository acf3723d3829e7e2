//! Pixels to tiles, as the Idefics3 and SmolVLM image processors of `transformers` make them (their Pillow path): scaled
//! to a longest edge, stretched to whole tiles, cut, and the whole picture once more as a last tile.

use super::Picture;
use super::resize::resize;
use serde::{Deserialize, Serialize};

/// How pixels are weighed where a picture is scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Triangle.
    Bilinear,
    /// Cubic, a = −0.5.
    Bicubic,
    /// Sinc in a window of three.
    #[default]
    Lanczos,
}

/// What is done to every picture of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// Pixels to which the longer side is scaled, up or down; none: as it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_edge: Option<u32>,
    /// Pixels of a tile's side.
    pub tile: u32,
    /// Whether a picture larger than a tile becomes several, with a view of the whole; otherwise it is squeezed into one.
    pub split: bool,
    /// The filter.
    #[serde(default)]
    pub filter: Filter,
    /// What is subtracted from each channel, of values from 0 to 1.
    pub mean: [f32; 3],
    /// What it is divided by then.
    pub deviation: [f32; 3],
}

/// No side is scaled beyond it, as in the processors followed here.
const LARGEST: u32 = 4096;

/// Tiles of a picture: rows and columns of parts, and the whole; or the whole alone, of no rows and no columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Of parts.
    pub rows: u32,
    /// Of parts.
    pub columns: u32,
}

impl Layout {
    /// How many tiles.
    pub fn tiles(&self) -> usize {
        self.rows as usize * self.columns as usize + 1
    }
}

impl Preparation {
    /// With SigLIP's means and deviations, the filter of the reference, and parts where a picture is larger than a tile.
    pub fn new(longest_edge: Option<u32>, tile: u32) -> Preparation {
        let filter = Filter::Lanczos;
        Preparation { longest_edge, tile, split: true, filter, mean: [0.5; 3], deviation: [0.5; 3] }
    }

    /// Tiles of a picture of this size.
    pub fn layout(&self, width: u32, height: u32) -> Layout {
        self.cut(self.sizes(width, height).1)
    }

    /// The tiles of a picture.
    pub fn apply(&self, picture: &Picture) -> Tiles {
        let side = self.tile;
        let (first, tiled) = self.sizes(picture.width(), picture.height());
        let layout = self.cut(tiled);
        let resized = |picture: &Picture, (width, height)| resize(picture, width, height, self.filter);
        let scaled = resized(picture, first);
        let picture = scaled.as_ref().unwrap_or(picture);
        let stretched = resized(picture, tiled);
        let picture = stretched.as_ref().unwrap_or(picture);
        let mut pixels = Vec::with_capacity(layout.tiles() * 3 * (side * side) as usize);
        let (row, stride) = (3 * side as usize, 3 * picture.width() as usize);
        for top in 0..layout.rows as usize {
            for left in 0..layout.columns as usize {
                for y in 0..side as usize {
                    let at = (top * side as usize + y) * stride + left * row;
                    pixels.extend_from_slice(&picture.pixels()[at..at + row]);
                }
            }
        }
        let whole = resized(picture, (side, side));
        pixels.extend_from_slice(whole.as_ref().unwrap_or(picture).pixels());
        Tiles { layout, side, pixels }
    }

    /// Parts of a picture of whole tiles.
    fn cut(&self, (wide, high): (u32, u32)) -> Layout {
        match wide > self.tile || high > self.tile {
            true => Layout { rows: high / self.tile, columns: wide / self.tile },
            false => Layout { rows: 0, columns: 0 },
        }
    }

    /// Width and height after the first scaling, and in whole tiles.
    fn sizes(&self, width: u32, height: u32) -> ((u32, u32), (u32, u32)) {
        let first = self.longest_edge.map_or((width, height), |edge| scaled(width, height, edge));
        if !self.split {
            return (first, (self.tile, self.tile));
        }
        let (wide, high) = first;
        let whole = |length: u32| length.div_ceil(self.tile).max(1) * self.tile;
        let ratio = f64::from(wide) / f64::from(high);
        let tiled = match wide >= high {
            true => (whole(wide), whole((f64::from(whole(wide)) / ratio) as u32)),
            false => (whole((f64::from(whole(high)) * ratio) as u32), whole(high)),
        };
        (first, tiled)
    }
}

/// A size whose longer side is `edge`; the shorter is made even, and neither goes beyond [`LARGEST`].
fn scaled(width: u32, height: u32, edge: u32) -> (u32, u32) {
    let ratio = f64::from(width) / f64::from(height);
    let even = |length: f64| (length as u32).next_multiple_of(2).max(1);
    let (wide, high) = match width >= height {
        true => (edge, even(f64::from(edge) / ratio)),
        false => (even(f64::from(edge) * ratio), edge),
    };
    let ratio = f64::from(wide) / f64::from(high);
    if wide >= high && wide > LARGEST {
        (LARGEST, ((f64::from(LARGEST) / ratio) as u32).max(1))
    } else if high > wide && high > LARGEST {
        (((f64::from(LARGEST) * ratio) as u32).max(1), LARGEST)
    } else {
        (wide, high)
    }
}

/// A prepared picture: the parts row by row, then the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiles {
    layout: Layout,
    side: u32,
    /// Of each tile the pixels row by row.
    pixels: Vec<u8>,
}

impl Tiles {
    /// How they lie.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// A tile after the other: rows from the top, pixels from the left, red, green and blue.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The patches of a tile, of `side` pixels a side, in an order of their places row by row: of each all reds row by row, then
    /// greens, then blues, as the weight of a convolution has them, normalised. `side` divides a tile's.
    pub fn patches(
        &self,
        tile: usize,
        side: usize,
        preparation: &Preparation,
        order: &[usize],
        out: &mut [f32],
    ) {
        let length = self.side as usize;
        let pixels = &self.pixels[tile * 3 * length * length..][..3 * length * length];
        // A byte has 256 values.
        let values: Vec<[f32; 256]> = (0..3)
            .map(|channel| {
                let (mean, deviation) = (preparation.mean[channel], preparation.deviation[channel]);
                std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / deviation)
            })
            .collect();
        let across = length / side;
        for (patch, place) in out.chunks_exact_mut(3 * side * side).zip(order) {
            let (top, left) = (place / across * side, place % across * side);
            for y in 0..side {
                let row = &pixels[3 * ((top + y) * length + left)..][..3 * side];
                for (x, pixel) in row.chunks_exact(3).enumerate() {
                    for channel in 0..3 {
                        patch[(channel * side + y) * side + x] = values[channel][usize::from(pixel[channel])];
                    }
                }
            }
        }
    }
}
