//! `tokenizer.json`: what is read can encode and decode.
#![no_main]

use data::Tokenizer;
use foretell_fuzz::damaged;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let words = ["the lantern", "a lantern of the harbour", "the other harbour"];
    Tokenizer::train(words.into_iter(), 300).unwrap().json().to_vec()
});

fuzz_target!(|edits: &[u8]| {
    if let Ok(tokenizer) = Tokenizer::from_json(damaged(&VALID, edits), None) {
        let mut ids = Vec::new();
        let _ = tokenizer.encode_ordinary("The lantern, 12 é 日本\u{0}!", &mut ids);
        tokenizer.decode(&ids);
    }
});
