//! Weights in safetensors.
#![no_main]

use foretell_fuzz::{damaged, filled, store};
use libfuzzer_sys::fuzz_target;
use model::weights::{Storage, read, write};
use std::sync::LazyLock;

static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = Vec::new();
    write(&mut bytes, &[("", &filled())], Storage::Bf16).unwrap();
    bytes
});

fuzz_target!(|edits: &[u8]| {
    let bytes = damaged(&VALID, edits);
    let _ = read("model.safetensors", &bytes[..], bytes.len() as u64, &mut [("", &mut store())]);
});
