//! Our encoder against the `tokenizers` crate: identical ids on everything.

mod common;

use std::sync::LazyLock;

use common::{real_text, sentences};
use data::{SplitRule, Tokenizer};
use proptest::prelude::*;

/// A trained tokenizer and the crate's view of the same file.
static TRAINED: LazyLock<(Tokenizer, tokenizers::Tokenizer)> = LazyLock::new(|| {
    let tokenizer = Tokenizer::train(sentences(4000).into_iter(), 1200).unwrap();
    assert_eq!(tokenizer.slow_reason(), None);
    let reference = reference(tokenizer.json());
    (tokenizer, reference)
});

static BYTES: LazyLock<(Tokenizer, tokenizers::Tokenizer)> = LazyLock::new(|| {
    let tokenizer = Tokenizer::bytes().unwrap();
    let reference = reference(tokenizer.json());
    (tokenizer, reference)
});

/// The trained vocabulary under the other split rules, and with `ignore_merges`.
static VARIANTS: LazyLock<Vec<(Tokenizer, tokenizers::Tokenizer)>> = LazyLock::new(|| {
    let gpt2 = serde_json::json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    let text = std::str::from_utf8(TRAINED.0.json()).unwrap();
    let mut llama: serde_json::Value =
        serde_json::from_str(&text.replace(r"|\\p{N}|", r"|\\p{N}{1,3}|")).unwrap();
    llama["model"]["ignore_merges"] = true.into();
    let mut other: serde_json::Value = serde_json::from_str(text).unwrap();
    other["pre_tokenizer"] = gpt2;
    let expected = [SplitRule::Llama3, SplitRule::Gpt2];
    let variants = [llama, other].into_iter().zip(expected).map(|(json, rule)| {
        let tokenizer = Tokenizer::from_json(json.to_string().into_bytes(), None).unwrap();
        assert_eq!(tokenizer.split_rule(), Some(rule));
        let reference = reference(tokenizer.json());
        (tokenizer, reference)
    });
    variants.collect()
});

fn reference(json: &[u8]) -> tokenizers::Tokenizer {
    let mut reference = tokenizers::Tokenizer::from_bytes(json).unwrap();
    reference.set_encode_special_tokens(true);
    reference
}

fn check(pair: &(Tokenizer, tokenizers::Tokenizer), text: &str) {
    let mut found = Vec::new();
    pair.0.encode_ordinary(text, &mut found).unwrap();
    let expected = pair.1.encode_fast(text, false).unwrap();
    if found != expected.get_ids() {
        let at = found.iter().zip(expected.get_ids()).take_while(|(a, b)| a == b).count();
        let seen = pair.0.decode(&found[..at]);
        let tail: String = seen.chars().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect();
        panic!("token {at} differs, behind {tail:?} in {:?}", &text.chars().take(80).collect::<String>());
    }
    assert_eq!(pair.0.decode(&found), text);
}

fn check_all(text: &str) {
    check(&TRAINED, text);
    check(&BYTES, text);
    VARIANTS.iter().for_each(|pair| check(pair, text));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_unicode(text in any::<String>()) {
        check_all(&text);
    }

    /// What the split rules look at, densely.
    #[test]
    fn awkward_text(
        text in "(['sStTrReEvVmMlLdDſ a-cA-C]|[0-9½²٣]|[ \t\r\n\u{a0}\u{2003}\u{b}\u{85}]|[.,!#-]|[é日ǅ\u{301}🙂\u{0}]|word|<\\|im_end\\|>){0,40}"
    ) {
        check_all(&text);
    }

    /// Long words go through the heap.
    #[test]
    fn long_words(text in "([a-e]{30,200}| ){0,6}") {
        check_all(&text);
    }
}

#[test]
fn every_character() {
    // Each alone between letters, digits and spaces, in blocks small enough to name the place.
    let characters: Vec<char> = (0..0x11_0000).filter_map(char::from_u32).collect();
    for block in characters.chunks(4096).filter(|block| block[0] < '\u{30000}') {
        let text: String = block.iter().flat_map(|&c| ['a', c, c, ' ', c, '1', '\n']).collect();
        check(&TRAINED, &text);
        check(&VARIANTS[1], &text);
    }
}

#[test]
fn real_text_has_the_same_ids() {
    for name in ["tinyshakespeare.txt", "rust-rfcs.jsonl.gz", "python-stdlib.jsonl.gz", "peps.parquet"] {
        let Some(path) = real_text(name) else { return };
        let documents = data::read_file(&path).unwrap();
        let mut bytes = 0;
        for document in &documents {
            for text in document.texts() {
                // The crate takes a megabyte a second: the first 400 kB of each kind.
                if bytes < 400_000 {
                    let end = text.floor_char_boundary(100_000.min(text.len()));
                    check(&TRAINED, &text[..end]);
                    check(&VARIANTS[1], &text[..end]);
                    bytes += end;
                }
            }
        }
    }
}

#[test]
fn training_is_deterministic_and_keeps_its_promises() {
    let again = Tokenizer::train(sentences(4000).into_iter(), 1200).unwrap();
    assert_eq!(again.json(), TRAINED.0.json());
    assert_eq!(again.vocab_size(), 1200);
    assert_eq!(again.token_text(again.eos()), "<|endoftext|>");
    assert!(Tokenizer::train(["text"].into_iter(), 100).is_err());
    let small = Tokenizer::train(["abcabcabc"].into_iter(), 5000).unwrap();
    assert!(small.vocab_size() < 300);
}

#[test]
fn bytes_are_their_own_ids() {
    let (tokenizer, reference) = &*BYTES;
    assert_eq!(tokenizer.vocab_size(), 259);
    for byte in 0..=255u32 {
        assert_eq!(tokenizer.token_bytes(byte), [byte as u8]);
    }
    let text = "é <|endoftext|>\0";
    assert_eq!(
        reference.encode(text, false).unwrap().get_ids(),
        text.bytes().map(u32::from).collect::<Vec<_>>()
    );
    let mut special = tokenizers::Tokenizer::from_bytes(tokenizer.json()).unwrap();
    special.set_encode_special_tokens(false);
    assert_eq!(special.encode("<|endoftext|>", false).unwrap().get_ids(), [tokenizer.eos()]);
    assert_eq!(special.decode(&[104, 105, 256], true).unwrap(), "hi");
}

#[test]
fn a_tokenizer_of_another_kind_is_encoded_by_the_crate() {
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{ "id": 3, "content": "</s>", "single_word": false, "lstrip": false,
                           "rstrip": false, "normalized": false, "special": true }],
        "normalizer": null, "pre_tokenizer": { "type": "Whitespace" }, "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": { "[UNK]": 0, "hello": 1, "world": 2, "</s>": 3 }, "unk_token": "[UNK]" }
    });
    let tokenizer = Tokenizer::from_json(json.to_string().into_bytes(), None).unwrap();
    assert!(tokenizer.slow_reason().unwrap().contains("not BPE"));
    assert_eq!((tokenizer.vocab_size(), tokenizer.eos()), (4, 3));
    let mut ids = Vec::new();
    tokenizer.encode_ordinary("hello there world", &mut ids).unwrap();
    assert_eq!(ids, [1, 0, 2]);
}

#[test]
fn what_is_no_tokenizer_says_so() {
    let open = |text: &str| Tokenizer::from_json(text.into(), None).unwrap_err().to_string();
    assert!(open("").contains("not a tokenizer.json"));
    assert!(open("[]").contains("not a tokenizer.json"));
    assert!(open(r#"{"model":{}}"#).contains("without a vocabulary"));
    assert!(open(r#"{"model":{"type":"BPE","vocab":{}}}"#).contains("empty vocabulary"));
    assert!(open(r#"{"model":{"type":"BPE","vocab":{"a":0}}}"#).contains("no end-of-text token"));
    assert!(open(r#"{"model":{"type":"BPE","vocab":{"a":99999999999}}}"#).contains("beyond any vocabulary"));
}

proptest! {
    /// A damaged tokenizer.json gives an error or a tokenizer, never a panic.
    #[test]
    fn damage_never_panics(place in any::<prop::sample::Index>(), value in 32u8..127) {
        let mut json = BYTES.0.json().to_vec();
        let place = place.index(json.len());
        json[place] = value;
        if let Ok(tokenizer) = Tokenizer::from_json(json, None) {
            let mut ids = Vec::new();
            let _ = tokenizer.encode_ordinary("hello é", &mut ids);
            tokenizer.decode(&ids);
        }
    }
}
