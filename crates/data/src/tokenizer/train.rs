//! Making tokenizers: byte-level BPE through the trainer of the `tokenizers` crate, and plain bytes.

use serde_json::{Map, Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::{AddedToken, Trainer};

use super::bytes::byte_characters;
use super::file::pretty;
use super::pretokenize::{LLAMA3_PATTERN, QWEN2_PATTERN, SplitRule};
use crate::document::Special;
use crate::error::{Error, Result};

/// The smallest vocabulary: the bytes and the reserved tokens.
pub(crate) const SMALLEST: usize = 256 + Special::ALL.len();

/// `tokenizer.json` of a tokenizer trained on `samples`: reserved tokens first, then bytes, then merges.
pub(super) fn train_json<S: AsRef<str> + Send>(
    samples: impl Iterator<Item = S> + Send,
    vocab_size: usize,
) -> Result<Vec<u8>> {
    if vocab_size < SMALLEST {
        return Err(Error::Config(format!(
            "a vocabulary of {vocab_size} is too small: bytes and reserved tokens alone take {SMALLEST}"
        )));
    }
    let failed = |error: tokenizers::Error| Error::tokenizer("training", error);
    let characters = byte_characters();
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .initial_alphabet(characters.iter().copied().collect())
        .special_tokens(Special::ALL.iter().map(|special| AddedToken::from(special.as_str(), true)).collect())
        .build();
    trainer
        .feed(samples, |text| {
            let mut words = Vec::new();
            SplitRule::Qwen2.split(text, |start, end| {
                let bytes = text.as_bytes()[start..end].iter();
                words.push(bytes.map(|&byte| characters[byte as usize]).collect());
            });
            Ok(words)
        })
        .map_err(failed)?;
    let mut model = BPE::default();
    trainer.train(&mut model).map_err(failed)?;
    let mut model = serde_json::to_value(&model).map_err(|error| failed(error.into()))?;
    // The crate writes more fields than are set; keep those that say something.
    if let Some(fields) = model.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    Ok(file_of(model, SplitRule::Qwen2, &reserved(0)))
}

/// `tokenizer.json` of the tokenizer of bytes: an ordinary byte-level BPE without merges.
pub(super) fn bytes_json() -> Vec<u8> {
    let mut vocabulary: Map<String, Value> = byte_characters()
        .into_iter()
        .enumerate()
        .map(|(byte, character)| (character.to_string(), json!(byte)))
        .collect();
    for (at, special) in Special::ALL.into_iter().enumerate() {
        vocabulary.insert(special.as_str().into(), json!(256 + at));
    }
    let model = json!({ "type": "BPE", "vocab": vocabulary, "merges": [] });
    file_of(model, SplitRule::Whole, &reserved(256))
}

fn byte_level(use_regex: bool) -> Value {
    json!({
        "type": "ByteLevel",
        "add_prefix_space": false,
        "trim_offsets": false,
        "use_regex": use_regex,
    })
}

/// The reserved tokens with their ids from `first` on.
fn reserved(first: usize) -> Vec<(usize, &'static str)> {
    Special::ALL.into_iter().enumerate().map(|(at, special)| (first + at, special.as_str())).collect()
}

/// What a file says of a split rule.
fn pre_tokenizer(rule: SplitRule) -> Value {
    let split = |pattern: &str| {
        let split = json!({
            "type": "Split",
            "pattern": { "Regex": pattern },
            "behavior": "Isolated",
            "invert": false,
        });
        json!({ "type": "Sequence", "pretokenizers": [split, byte_level(false)] })
    };
    match rule {
        SplitRule::Whole => byte_level(false),
        SplitRule::Gpt2 => byte_level(true),
        SplitRule::Qwen2 => split(QWEN2_PATTERN),
        SplitRule::Llama3 => split(LLAMA3_PATTERN),
    }
}

/// What a file says of a reserved token.
pub(super) fn added(id: usize, content: &str) -> Value {
    json!({
        "id": id,
        "content": content,
        "single_word": false,
        "lstrip": false,
        "rstrip": false,
        "normalized": false,
        "special": true,
    })
}

/// A whole `tokenizer.json` with these reserved tokens.
pub(super) fn file_of(model: Value, rule: SplitRule, reserved: &[(usize, &str)]) -> Vec<u8> {
    let added: Vec<Value> = reserved.iter().map(|(id, content)| added(*id, content)).collect();
    pretty(&json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": pre_tokenizer(rule),
        "post_processor": null,
        "decoder": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false },
        "model": model,
    }))
}
