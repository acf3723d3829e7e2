//! GGUF files: metadata, configuration, vocabulary, tensors.
#![no_main]

use foretell_fuzz::{config, damaged, filled, store};
use libfuzzer_sys::fuzz_target;
use model::gguf::{Gguf, Kind, Value, Vocabulary, write};
use std::sync::LazyLock;

static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let vocabulary = Vocabulary {
        tokens: ["Ġ", "a", "b", "<|endoftext|>", "ab", "é"].map(String::from).into(),
        merges: vec!["a b".into()],
        pre: "gpt-2".into(),
        kinds: vec![1, 1, 1, 3, 1, 1],
        bos: None,
        eos: 3,
        add_bos: false,
    };
    let mut bytes = Vec::new();
    write(&mut bytes, &config(), &filled(), &vocabulary, Kind::F16).unwrap();
    bytes
});

fuzz_target!(|edits: &[u8]| {
    let bytes = damaged(&VALID, edits);
    let Ok(file) = Gguf::open(&bytes) else { return };
    for value in file.metadata().values() {
        if let Value::Array(array) = value {
            assert_eq!(array.values().count(), array.len());
        }
    }
    let _ = (file.config(), file.vocabulary(), file.eyes(3), file.fill(&config(), &mut store()));
});
