//! A byte-level BPE as lists of strings, which is how GGUF files carry it.

use super::pretokenize::SplitRule;
use super::{Tokenizer, file, train};
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};

/// Vocabulary and merges in the byte-level spelling of GPT-2.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    /// Spelling by id.
    pub tokens: Vec<String>,
    /// Pairs of spellings with a space between, the first merged first.
    pub merges: Vec<String>,
    /// Which ids are reserved.
    pub reserved: Vec<bool>,
    /// How text is cut into words, in llama.cpp's name.
    pub pre: String,
    /// The token that ends a document.
    pub eos: u32,
}

impl Tokenizer {
    /// Its lists; an error if it is no byte-level BPE of a known split rule.
    pub fn words(&self) -> Result<Words> {
        let refuse = |what: &str| Error::tokenizer("export", what);
        let rule = self.split_rule().ok_or_else(|| {
            refuse(&format!("it cannot be written in this form: {}", self.slow_reason().unwrap_or_default()))
        })?;
        let json: Value = serde_json::from_slice(self.json()).map_err(|e| refuse(&e.to_string()))?;
        let mut tokens: Vec<String> = (0..self.vocab_size()).map(|id| format!("[PAD{id}]")).collect();
        let mut place = |id: Option<u64>, word: &str| {
            if let Some(token) = id.and_then(|id| tokens.get_mut(id as usize)) {
                *token = word.into();
            }
        };
        for (word, id) in json["model"]["vocab"].as_object().into_iter().flatten() {
            place(id.as_u64(), word);
        }
        for added in json["added_tokens"].as_array().into_iter().flatten() {
            place(added["id"].as_u64(), added["content"].as_str().unwrap_or_default());
        }
        let merge = |merge: &Value| match merge {
            Value::String(pair) => Some(pair.clone()),
            pair => Some(format!("{} {}", pair.get(0)?.as_str()?, pair.get(1)?.as_str()?)),
        };
        let merges = json["model"]["merges"].as_array().into_iter().flatten().filter_map(merge).collect();
        let reserved = (0..self.vocab_size() as u32).map(|id| self.is_special(id)).collect();
        Ok(Words { tokens, merges, reserved, pre: rule.llama_cpp_name().into(), eos: self.eos() })
    }

    /// A tokenizer with these lists.
    pub fn from_words(words: &Words) -> Result<Tokenizer> {
        let rule = [SplitRule::Gpt2, SplitRule::Qwen2, SplitRule::Llama3]
            .into_iter()
            .find(|rule| rule.llama_cpp_name() == words.pre)
            .ok_or_else(|| {
                Error::tokenizer("import", format!("the split rule {:?} is not known", words.pre))
            })?;
        let (mut vocab, mut added) = (Map::new(), Vec::new());
        for (id, word) in words.tokens.iter().enumerate() {
            match words.reserved.get(id).copied().unwrap_or(false) {
                true => added.push((id, word.as_str())),
                false => drop(vocab.insert(word.clone(), json!(id))),
            }
        }
        let model = json!({"type": "BPE", "vocab": vocab, "merges": words.merges});
        let json = train::file_of(model, rule, &added);
        let name = words.tokens.get(words.eos as usize);
        let config = json!({"eos_token": name, "tokenizer_class": "PreTrainedTokenizerFast"});
        file::parse(json, Some(config.to_string().into_bytes()), "import")
    }
}
