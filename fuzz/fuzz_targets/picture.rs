//! Pictures of all formats, decoded and prepared.
#![no_main]

use data::picture::Bounds;
use foretell_fuzz::{PICTURES, damaged, read_picture};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|edits: &[u8]| {
    let Some((&which, edits)) = edits.split_first() else { return };
    let bytes = damaged(PICTURES[usize::from(which) % PICTURES.len()], edits);
    let _ = read_picture(&bytes, &Bounds { pixels: 1 << 16, ..Bounds::default() });
});
