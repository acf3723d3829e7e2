//! Reading `tokenizer.json`: which encoder serves it, what each token stands for, which are reserved.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::bpe::Bpe;
use super::bytes::Alphabet;
use super::pretokenize::SplitRule;
use super::{Kind, Tokenizer};
use crate::document::Special;
use crate::error::{Error, Result};

/// Names under which tokenizers know the end of a text, most specific first.
const END_NAMES: [&str; 7] =
    ["<|endoftext|>", "<|end_of_text|>", "<|begin_of_text|>", "</s>", "<eos>", "<|eot_id|>", "<|im_end|>"];

/// Tokens of at most this many ids are read: no vocabulary is larger, and a damaged file may say anything.
const LARGEST_VOCABULARY: u64 = 1 << 24;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    model: Value,
    truncation: Option<Value>,
    padding: Option<Value>,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

/// Reads a tokenizer. `place` names it in errors.
pub(super) fn parse(json: Vec<u8>, config: Option<Vec<u8>>, place: &str) -> Result<Tokenizer> {
    let bad = |what: String| Error::tokenizer(place, what);
    let file: File =
        serde_json::from_slice(&json).map_err(|error| bad(format!("is not a tokenizer.json: {error}")))?;
    let settings: Option<Value> = match &config {
        None => None,
        Some(bytes) => Some(
            serde_json::from_slice(bytes)
                .map_err(|error| bad(format!("has a tokenizer_config.json that is not JSON: {error}")))?,
        ),
    };
    let vocabulary = vocabulary(&file.model).ok_or_else(|| bad("has a model without a vocabulary".into()))?;
    let largest = vocabulary
        .iter()
        .map(|(_, id)| *id)
        .chain(file.added_tokens.iter().map(|token| u64::from(token.id)))
        .max()
        .ok_or_else(|| bad("has an empty vocabulary".into()))?;
    if largest >= LARGEST_VOCABULARY {
        return Err(bad(format!("has a token with id {largest}, beyond any vocabulary")));
    }
    let vocab_size = largest as usize + 1;

    let mut spelled: Vec<Option<Vec<u8>>> = vec![None; vocab_size];
    let mut special = vec![false; vocab_size];
    let alphabet = Alphabet::new();
    let fast = fast_model(&file, &vocabulary, &alphabet);
    for (word, id) in &vocabulary {
        spelled[*id as usize] = Some(match &fast {
            Ok(_) => alphabet.decode(word).unwrap_or_else(|| word.clone().into_bytes()),
            Err(_) => spell(word, &alphabet, byte_level(&file)),
        });
    }
    for token in &file.added_tokens {
        spelled[token.id as usize] = Some(token.content.clone().into_bytes());
        special[token.id as usize] = token.special;
    }
    let mut bytes = Vec::new();
    let mut ends = Vec::with_capacity(vocab_size);
    for word in &spelled {
        bytes.extend_from_slice(word.as_deref().unwrap_or_default());
        ends.push(u32::try_from(bytes.len()).map_err(|_| bad("has more than 4 GB of tokens".into()))?);
    }

    let id_of = |name: &str| {
        file.added_tokens.iter().find(|token| token.special && token.content == name).map(|t| t.id)
    };
    let specials = Special::ALL.map(|special| id_of(special.as_str()));
    let declared = settings.as_ref().and_then(|settings| {
        let token = settings.get("eos_token")?;
        token.as_str().or_else(|| token.get("content")?.as_str())
    });
    let eos = specials[0]
        .or_else(|| declared.and_then(id_of))
        .or_else(|| END_NAMES.iter().find_map(|name| id_of(name)))
        .ok_or_else(|| {
            bad("has no end-of-text token: none of its special tokens is <|endoftext|>, </s>, <eos> or \
                 the eos_token of a tokenizer_config.json beside it; add one"
                .into())
        })?;

    let kind = match fast {
        Ok(bpe) => Kind::Fast(Box::new(bpe)),
        Err(reason) => {
            let mut tokenizer = tokenizers::Tokenizer::from_bytes(&json)
                .map_err(|error| bad(format!("cannot be opened: {error}")))?;
            tokenizer.set_encode_special_tokens(true);
            tokenizer
                .with_truncation(None)
                .map_err(|error| bad(format!("cannot be used without truncation: {error}")))?
                .with_padding(None);
            Kind::Slow(Box::new(tokenizer), reason)
        }
    };
    let mut tokenizer =
        Tokenizer { kind, json, config: Vec::new(), vocab_size, bytes, ends, special, specials, eos };
    tokenizer.config = config.unwrap_or_else(|| tokenizer.own_config());
    Ok(tokenizer)
}

/// A `tokenizer.json` with further reserved tokens, whose ids begin with `first`; without any it stays as it is.
pub(super) fn add_reserved(json: &[u8], first: usize, names: &[String]) -> Result<Vec<u8>> {
    if names.is_empty() {
        return Ok(json.to_vec());
    }
    let bad = |what: &str| Error::tokenizer("with further tokens", what);
    let mut file: Value = serde_json::from_slice(json).map_err(|error| bad(&error.to_string()))?;
    let fields = file.as_object_mut().ok_or_else(|| bad("is no object"))?;
    let added = fields.entry("added_tokens").or_insert_with(|| json!([]));
    let added = added.as_array_mut().ok_or_else(|| bad("has added_tokens that are no list"))?;
    added.extend(names.iter().enumerate().map(|(at, name)| super::train::added(first + at, name)));
    Ok(pretty(&file))
}

/// Token → id of any kind of model.
fn vocabulary(model: &Value) -> Option<Vec<(String, u64)>> {
    match model.get("vocab")? {
        Value::Object(words) => words.iter().map(|(word, id)| Some((word.clone(), id.as_u64()?))).collect(),
        // Unigram: pairs of piece and score, in order of ids.
        Value::Array(pieces) => pieces
            .iter()
            .enumerate()
            .map(|(id, piece)| Some((piece.get(0)?.as_str()?.to_owned(), id as u64)))
            .collect(),
        _ => None,
    }
}

/// Our encoder for the model, or why it cannot serve.
fn fast_model(
    file: &File,
    vocabulary: &[(String, u64)],
    alphabet: &Alphabet,
) -> std::result::Result<Bpe, String> {
    let model = &file.model;
    if model.get("type").and_then(Value::as_str).unwrap_or("BPE") != "BPE" {
        return Err("its model is not BPE".into());
    }
    let set = |name: &str| {
        !matches!(model.get(name), None | Some(Value::Null) | Some(Value::Bool(false)))
            && model.get(name).and_then(Value::as_str) != Some("")
    };
    for name in ["dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"] {
        if set(name) {
            return Err(format!("its model sets {name}"));
        }
    }
    if file.normalizer.is_some() {
        return Err("it normalises text".into());
    }
    if file.truncation.is_some() || file.padding.is_some() {
        return Err("it truncates or pads".into());
    }
    if let Some(token) = file.added_tokens.iter().find(|token| !token.special) {
        return Err(format!("it adds the ordinary token {:?}", token.content));
    }
    let rule = file
        .pre_tokenizer
        .as_ref()
        .and_then(split_rule)
        .ok_or("its split rule is not one of gpt-2, qwen2, llama-3, or whole bytes")?;

    let ids: HashMap<&str, u32> = vocabulary.iter().map(|(word, id)| (word.as_str(), *id as u32)).collect();
    let mut byte_ids = [0; 256];
    for (byte, character) in super::bytes::byte_characters().into_iter().enumerate() {
        byte_ids[byte] = *ids
            .get(character.encode_utf8(&mut [0; 4]) as &str)
            .ok_or_else(|| format!("its vocabulary lacks the byte {byte:#04x}"))?;
    }
    let mut merges = HashMap::new();
    let empty = Vec::new();
    let listed = model.get("merges").and_then(Value::as_array).unwrap_or(&empty);
    let mut merged = String::new();
    for (rank, merge) in listed.iter().enumerate() {
        let pair = match merge {
            Value::String(pair) => pair.split_once(' '),
            Value::Array(pair) => pair
                .first()
                .and_then(Value::as_str)
                .zip(pair.get(1).and_then(Value::as_str))
                .filter(|_| pair.len() == 2),
            _ => None,
        };
        let (left, right) = pair.ok_or_else(|| format!("its merge {rank} is not a pair"))?;
        merged.clear();
        merged.push_str(left);
        merged.push_str(right);
        let find = |word: &str| {
            ids.get(word).copied().ok_or_else(|| format!("its merge {rank} is not in its vocabulary"))
        };
        merges.insert((find(left)?, find(right)?), (rank as u32, find(&merged)?));
    }
    let words = match model.get("ignore_merges") {
        Some(Value::Bool(true)) => Some(
            vocabulary.iter().filter_map(|(word, id)| Some((alphabet.decode(word)?, *id as u32))).collect(),
        ),
        _ => None,
    };
    Ok(Bpe::new(rule, byte_ids, &merges, words))
}

/// The split rule that a pre-tokenizer spells, if it is one of ours.
fn split_rule(value: &Value) -> Option<SplitRule> {
    let kind = |value: &Value| value.get("type").and_then(Value::as_str).map(str::to_owned);
    let flag = |value: &Value, name: &str, default: bool| {
        value.get(name).and_then(Value::as_bool).unwrap_or(default)
    };
    let byte_level = |value: &Value| {
        (kind(value)? == "ByteLevel" && !flag(value, "add_prefix_space", true))
            .then(|| flag(value, "use_regex", true))
    };
    if let Some(regex) = byte_level(value) {
        return Some(if regex { SplitRule::Gpt2 } else { SplitRule::Whole });
    }
    if kind(value)? != "Sequence" {
        return None;
    }
    let [split, bytes] = value.get("pretokenizers")?.as_array()?.as_slice() else {
        return None;
    };
    if kind(split)? != "Split"
        || split.get("behavior")?.as_str()? != "Isolated"
        || flag(split, "invert", false)
        || byte_level(bytes)?
    {
        return None;
    }
    SplitRule::from_pattern(split.get("pattern")?.get("Regex")?.as_str()?)
}

/// Whether a tokenizer of a kind that we do not encode is at least written in byte characters.
fn byte_level(file: &File) -> bool {
    fn mentions(value: &Value) -> bool {
        match value {
            Value::Object(fields) => {
                fields.get("type").and_then(Value::as_str) == Some("ByteLevel")
                    || fields.values().any(mentions)
            }
            Value::Array(values) => values.iter().any(mentions),
            _ => false,
        }
    }
    file.pre_tokenizer.as_ref().is_some_and(mentions)
}

/// The bytes of a word of a vocabulary that is not ours: byte characters, `<0x0A>`, or `▁` for a space.
fn spell(word: &str, alphabet: &Alphabet, byte_level: bool) -> Vec<u8> {
    if byte_level && let Some(bytes) = alphabet.decode(word) {
        return bytes;
    }
    if let Some(byte) = word
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'))
        .and_then(|hex| u8::from_str_radix(hex, 16).ok())
    {
        return vec![byte];
    }
    word.replace('▁', " ").into_bytes()
}

/// ChatML, as a template that `transformers` understands.
const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + \
     message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}\
     {{ '<|im_start|>assistant\n' }}{% endif %}";

impl Tokenizer {
    /// A `tokenizer_config.json` for `AutoTokenizer`.
    fn own_config(&self) -> Vec<u8> {
        let end = self.token_text(self.eos);
        let mut config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": end,
            "eos_token": end,
            "pad_token": end,
            "unk_token": null,
            "add_bos_token": false,
            "add_prefix_space": false,
            "clean_up_tokenization_spaces": false,
        });
        if self.specials.iter().all(Option::is_some) {
            config["additional_special_tokens"] =
                json!([Special::MessageStart.as_str(), Special::MessageEnd.as_str()]);
            config["chat_template"] = json!(CHAT_TEMPLATE);
        }
        pretty(&config)
    }

    pub(super) fn special_tokens_map(&self) -> Vec<u8> {
        let end = self.token_text(self.eos);
        pretty(&json!({ "bos_token": end, "eos_token": end, "pad_token": end }))
    }
}

/// Indented JSON with a line end.
pub(crate) fn pretty(value: &Value) -> Vec<u8> {
    let mut text = format!("{value:#}");
    text.push('\n');
    text.into_bytes()
}
