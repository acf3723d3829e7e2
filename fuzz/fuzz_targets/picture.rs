//! Pictures of all formats, decoded and prepared.
#![no_main]

use data::picture::{Bounds, Filter, Picture, Preparation};
use foretell_fuzz::damaged;
use libfuzzer_sys::fuzz_target;

const PICTURES: [&[u8]; 5] = [
    include_bytes!("../../crates/data/tests/pictures/colours/plain.jpg"),
    include_bytes!("../../crates/data/tests/pictures/colours/turned.jpg"),
    include_bytes!("../../crates/data/tests/pictures/colours/see-through.png"),
    include_bytes!("../../crates/data/tests/pictures/colours/palette.gif"),
    include_bytes!("../../crates/data/tests/pictures/colours/lossy.webp"),
];

fuzz_target!(|edits: &[u8]| {
    let Some((&which, edits)) = edits.split_first() else { return };
    let bytes = damaged(PICTURES[usize::from(which) % PICTURES.len()], edits);
    let bounds = Bounds { pixels: 1 << 16, ..Bounds::default() };
    let size = Picture::size(&bytes, &bounds);
    if let Ok(picture) = Picture::decode(&bytes, &bounds) {
        assert_eq!(size, Ok((picture.width(), picture.height())));
        let told = Preparation {
            longest_edge: Some(32),
            tile: 16,
            split: true,
            filter: Filter::Bilinear,
            mean: [0.5; 3],
            deviation: [0.5; 3],
        };
        told.apply(&picture);
    }
});
