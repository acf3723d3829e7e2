//! Pictures are read and prepared as `transformers` does it: `tests/pictures`, made by `scripts/pictures.py`.

use data::picture::{Bounds, Filter, Picture, Preparation};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Case {
    picture: String,
    preparation: String,
    longest_edge: u32,
    tile: u32,
    split: bool,
    filter: Filter,
    rows: u32,
    columns: u32,
}

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(place(name)).unwrap()
}

fn read(name: &str) -> Picture {
    Picture::decode(&bytes(name), &Bounds::default()).unwrap()
}

fn farthest(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn tiles_are_those_of_the_reference_to_the_bit() {
    let cases: Vec<Case> = serde_json::from_slice(&bytes("cases.json")).unwrap();
    assert_eq!(cases.len(), 20);
    for case in cases {
        let Case { picture, preparation, longest_edge, tile, split, filter, rows, columns } = case;
        let longest_edge = Some(longest_edge).filter(|edge| *edge > 0);
        let told = Preparation { split, filter, ..Preparation::new(longest_edge, tile) };
        let name = format!("{picture}-{preparation}.png");
        let tiles = told.apply(&read(&format!("{picture}.png")));
        assert_eq!((tiles.layout().rows, tiles.layout().columns), (rows, columns), "{name}");
        assert_eq!(farthest(tiles.pixels(), read(&name).pixels()), 0, "{name}");
    }
}

#[test]
fn patches_hold_every_pixel_where_a_convolution_looks_for_it() {
    let (tile, side) = (6, 3);
    let pixels: Vec<u8> = (0..3 * tile * tile).map(|at| at as u8).collect();
    let picture = Picture::of_pixels(tile, tile, pixels.clone()).unwrap();
    let (mean, deviation) = ([0.1, 0.2, 0.3], [0.5, 0.6, 0.7]);
    let told = Preparation { mean, deviation, ..Preparation::new(None, tile) };
    let (order, mut patches) = ([2, 0, 3, 1], vec![0.0; 4 * 3 * side * side]);
    told.apply(&picture).patches(0, side, &told, &order, &mut patches);
    for (number, patch) in order.into_iter().zip(patches.chunks(3 * side * side)) {
        let (top, left) = (number / 2 * side, number % 2 * side);
        for channel in 0..3 {
            for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
                let byte = pixels[3 * ((top + y) * tile as usize + left + x) + channel];
                let expected = (f32::from(byte) / 255.0 - mean[channel]) / deviation[channel];
                assert_eq!(patch[(channel * side + y) * side + x], expected);
            }
        }
    }
}

/// JPEG and lossy WebP leave a decoder some freedom, most of it where colours of half the resolution meet an edge; all else
/// is exact.
#[test]
fn colours_are_those_that_others_read() {
    let ways = [
        ("grey.png", 0),
        ("palette.gif", 0),
        ("see-through.png", 1),
        ("plain.jpg", 16),
        ("turned.jpg", 16),
        ("cmyk.jpg", 16),
        ("lossy.webp", 16),
    ];
    for (name, allowed) in ways {
        let stem = name.split('.').next().unwrap();
        let (ours, theirs) = (read(&format!("colours/{name}")), read(&format!("colours/{stem}-read.png")));
        assert_eq!((ours.width(), ours.height()), (theirs.width(), theirs.height()), "{name}");
        let off = farthest(ours.pixels(), theirs.pixels());
        let sum: f64 =
            ours.pixels().iter().zip(theirs.pixels()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
        let mean = sum / ours.pixels().len() as f64;
        assert!(off <= allowed && mean < 1.0, "{name}: {off}, {mean}");
        let size = Picture::size(&bytes(&format!("colours/{name}")), &Bounds::default()).unwrap();
        assert_eq!(size, (ours.width(), ours.height()), "{name}");
    }
}
