//! `bench images`: how fast pictures are decoded and made into tiles, on one core.

use crate::arguments::Common;
use crate::{Failure, output};
use anyhow::{Context, anyhow};
use data::picture::{Bounds, Picture, Preparation};
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Options of `bench images`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  foretell bench images photos/*.jpg --longest-edge 1456 --tile 364")]
pub struct Options {
    /// PNG, JPEG, WebP and GIF files
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Pixels to which the longer side is scaled; 0: as it comes
    #[arg(long, value_name = "PIXELS", default_value_t = 1456, value_parser = clap::value_parser!(u32).range(..=4096))]
    pub longest_edge: u32,
    /// Pixels of a tile's side
    #[arg(long, value_name = "PIXELS", default_value_t = 364, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub tile: u32,
    /// Pixels of a patch's side
    #[arg(long, value_name = "PIXELS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub patch: u32,
    /// Least seconds to time
    #[arg(long, default_value_t = 4.0)]
    pub seconds: f64,
}

#[derive(Serialize)]
struct Line {
    peer: &'static str,
    pictures: usize,
    /// Millions of pixels of a picture, on average.
    megapixels: f64,
    /// Tiles of a picture, on average.
    tiles: f64,
    /// A picture's, on average over the rounds.
    decode_ms: f64,
    prepare_ms: f64,
    pictures_per_s: f64,
    rounds: u32,
}

/// Measures on one thread, whatever `--threads` says.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    let Options { longest_edge, tile, patch, seconds, .. } = *options;
    if tile % patch != 0 {
        return Err(Failure::Usage(format!(
            "--patch {patch}: a tile of {tile} pixels is not made of whole ones"
        )));
    }
    let told = Preparation::new(Some(longest_edge).filter(|edge| *edge > 0), tile);
    let mut files = Vec::with_capacity(options.files.len());
    for path in &options.files {
        files.push(std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    let (mut decoding, mut preparing) = (Duration::ZERO, Duration::ZERO);
    let (mut pixels, mut tiles, mut rounds) = (0, 0, 0);
    let (mut values, order) = (Vec::new(), Vec::from_iter(0..(tile / patch).pow(2) as usize));
    let size = 3 * (tile * tile) as usize;
    while rounds == 0 || (decoding + preparing).as_secs_f64() < seconds {
        for (path, bytes) in options.files.iter().zip(&files) {
            let start = Instant::now();
            let picture = Picture::decode(bytes, &Bounds::default())
                .map_err(|error| anyhow!("{}: {error}", path.display()))?;
            let decoded = Instant::now();
            let made = told.apply(&picture);
            values.resize(made.layout().tiles() * size, 0.0);
            for (number, out) in values.chunks_exact_mut(size).enumerate() {
                made.patches(number, patch as usize, &told, &order, out);
            }
            decoding += decoded - start;
            preparing += decoded.elapsed();
            std::hint::black_box(&values);
            pixels += u64::from(picture.width()) * u64::from(picture.height());
            tiles += made.layout().tiles();
        }
        rounds += 1;
    }
    let count = f64::from(rounds) * files.len() as f64;
    let line = Line {
        peer: "foretell",
        pictures: files.len(),
        megapixels: pixels as f64 / 1e6 / count,
        tiles: tiles as f64 / count,
        decode_ms: 1e3 * decoding.as_secs_f64() / count,
        prepare_ms: 1e3 * preparing.as_secs_f64() / count,
        pictures_per_s: count / (decoding + preparing).as_secs_f64(),
        rounds,
    };
    Ok(output::either(common, &line, || line.people())?)
}

impl Line {
    fn people(&self) -> String {
        format!(
            "{} pictures of {:.2} megapixels, {:.1} tiles each: {:.2} ms to decode, {:.2} ms to prepare, {:.1} a second\n",
            self.pictures, self.megapixels, self.tiles, self.decode_ms, self.prepare_ms, self.pictures_per_s
        )
    }
}
