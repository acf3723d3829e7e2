//! Archives of pictures with their texts.
#![no_main]

use foretell_fuzz::{archive, damaged, read_as, with_folder};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static VALID: LazyLock<Vec<u8>> = LazyLock::new(archive);

fuzz_target!(|edits: &[u8]| with_folder(|folder| {
    let _ = read_as(folder, "x.tar", &damaged(&VALID, edits));
}));
