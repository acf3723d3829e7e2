//! Lines of JSON.
#![no_main]

use foretell_fuzz::{JSONL, damaged, read_as, with_folder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|edits: &[u8]| with_folder(|folder| {
    let _ = read_as(folder, "x.jsonl", &damaged(JSONL.as_bytes(), edits));
}));
