//! GGUF out.

use super::{ALIGNMENT, Kind, MAGIC, Place, UNUSED, VERSION, Vocabulary, decoder, interleave, refused, tag};
use crate::{Config, Error};
use engine::Store;
use std::collections::HashSet;
use std::io::Write;

/// Split rules that both we and llama.cpp know.
const SPLIT_RULES: [&str; 3] = ["gpt-2", "qwen2", "llama-bpe"];

/// Writes a model as GGUF: matrices as `kind`, norms as 32-bit floats. Places of the embedding that the
/// vocabulary has no token for become unused tokens. Of a model with eyes it is the text; [`write_eyes`](super::write_eyes)
/// writes them.
///
/// # Errors
/// A vocabulary that does not fit the model or that llama.cpp would not load, rows that do not divide
/// into the blocks of `kind`, a parameter that the store does not hold, or a failed write.
pub fn write(
    out: &mut dyn Write,
    config: &Config,
    params: &Store,
    vocabulary: &Vocabulary,
    kind: Kind,
) -> Result<(), Error> {
    config.check()?;
    check(config, vocabulary)?;
    file(out, metadata(config, vocabulary, kind), &decoder(config)?, params, kind)
}

/// Writes a file of these keys and parameters.
pub(super) fn file(
    out: &mut dyn Write,
    metadata: Metadata,
    places: &[Place],
    params: &Store,
    matrices: Kind,
) -> Result<(), Error> {
    let mut head = Vec::from(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend((places.len() as u64).to_le_bytes());
    head.extend(metadata.count.to_le_bytes());
    head.extend(metadata.bytes);
    head.extend(table(places, matrices)?);
    pad(&mut head);
    out.write_all(&head)?;
    let (mut numbers, mut bytes) = (Vec::new(), Vec::new());
    for place in places {
        let kind = place.kind(matrices);
        numbers.resize(place.shape.iter().product(), 0.0);
        params.read(&place.parameter, &mut numbers)?;
        bytes.clear();
        match place.turned {
            None => kind.encode(&numbers, &mut bytes),
            Some(head_dim) => {
                let columns = place.shape[1];
                for row in 0..place.shape[0] {
                    let from = interleave(row, head_dim) * columns;
                    kind.encode(&numbers[from..from + columns], &mut bytes);
                }
            }
        }
        pad(&mut bytes);
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// What llama.cpp would stumble over.
fn check(config: &Config, vocabulary: &Vocabulary) -> Result<(), Error> {
    let tokens = &vocabulary.tokens;
    let list = "tokenizer.ggml.tokens";
    if tokens.len() > config.vocab_size {
        let reason = format!("{} tokens, the model has {}", tokens.len(), config.vocab_size);
        return Err(refused(list, reason));
    }
    if vocabulary.kinds.len() != tokens.len() {
        let reason = format!("{} kinds of {} tokens", vocabulary.kinds.len(), tokens.len());
        return Err(refused("tokenizer.ggml.token_type", reason));
    }
    let mut seen = HashSet::new();
    let fillers = (tokens.len()..config.vocab_size).map(filler);
    if let Some(twice) = tokens.iter().cloned().chain(fillers).find(|token| !seen.insert(token.clone())) {
        return Err(refused(list, format!("'{twice}' comes twice, which llama.cpp does not load")));
    }
    for (key, id) in [("bos", vocabulary.bos), ("eos", Some(vocabulary.eos))] {
        if let Some(id) = id.filter(|&id| id as usize >= tokens.len()) {
            let reason = format!("{id} is none of the {} tokens", tokens.len());
            return Err(refused(&format!("tokenizer.ggml.{key}_token_id"), reason));
        }
    }
    if vocabulary.add_bos && vocabulary.bos.is_none() {
        return Err(refused("tokenizer.ggml.add_bos_token", "there is no start token to add"));
    }
    if let Some(merge) = vocabulary.merges.iter().find(|merge| merge.split(' ').count() != 2) {
        return Err(refused("tokenizer.ggml.merges", format!("'{merge}' is no pair")));
    }
    if !SPLIT_RULES.contains(&vocabulary.pre.as_str()) {
        let reason = format!(
            "'{}' is not a split rule that can be written ({})",
            vocabulary.pre,
            SPLIT_RULES.join(", ")
        );
        return Err(refused("tokenizer.ggml.pre", reason));
    }
    Ok(())
}

fn filler(place: usize) -> String {
    format!("[PAD{place}]")
}

/// Keys and values as bytes.
#[derive(Default)]
pub(super) struct Metadata {
    count: u64,
    bytes: Vec<u8>,
}

impl Metadata {
    /// Those that every file begins with.
    pub(super) fn new(architecture: &str, what: &str, kind: Kind) -> Metadata {
        let mut m = Metadata::default();
        m.text("general.architecture", architecture);
        m.text("general.type", what);
        m.u32("general.file_type", kind.file_type());
        m.u32("general.quantization_version", 2);
        m.u32("general.alignment", ALIGNMENT as u32);
        m
    }

    fn key(&mut self, key: &str, tag: u32) -> &mut Vec<u8> {
        self.count += 1;
        string(&mut self.bytes, key);
        self.bytes.extend(tag.to_le_bytes());
        &mut self.bytes
    }

    pub(super) fn u32(&mut self, key: &str, value: u32) {
        self.key(key, tag::U32).extend(value.to_le_bytes());
    }

    pub(super) fn f32(&mut self, key: &str, value: f64) {
        self.key(key, tag::F32).extend((value as f32).to_le_bytes());
    }

    pub(super) fn bool(&mut self, key: &str, value: bool) {
        self.key(key, tag::BOOL).push(u8::from(value));
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        string(self.key(key, tag::STRING), value);
    }

    pub(super) fn array<T>(
        &mut self,
        key: &str,
        tag: u32,
        items: &[T],
        mut push: impl FnMut(&mut Vec<u8>, &T),
    ) {
        let bytes = self.key(key, tag::ARRAY);
        bytes.extend(tag.to_le_bytes());
        bytes.extend((items.len() as u64).to_le_bytes());
        items.iter().for_each(|item| push(bytes, item));
    }
}

fn string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

/// The keys that llama.cpp's own converter writes for these architectures. Sizes fit: [`Config::check`]
/// keeps them far below 2³².
fn metadata(config: &Config, vocabulary: &Vocabulary, kind: Kind) -> Metadata {
    let arch = config.model_type.as_str();
    let mut m = Metadata::new(arch, "model", kind);
    for (key, size) in [
        ("vocab_size", config.vocab_size),
        ("context_length", config.max_position_embeddings),
        ("embedding_length", config.hidden_size),
        ("block_count", config.num_hidden_layers),
        ("feed_forward_length", config.intermediate_size),
        ("attention.head_count", config.num_attention_heads),
        ("attention.head_count_kv", config.num_key_value_heads),
        ("attention.key_length", config.head_dim),
        ("attention.value_length", config.head_dim),
        ("rope.dimension_count", config.head_dim),
    ] {
        m.u32(&format!("{arch}.{key}"), size as u32);
    }
    m.f32(&format!("{arch}.rope.freq_base"), config.rope_theta);
    m.f32(&format!("{arch}.attention.layer_norm_rms_epsilon"), config.rms_norm_eps);

    let fillers = vocabulary.tokens.len()..config.vocab_size;
    let tokens: Vec<String> = vocabulary.tokens.iter().cloned().chain(fillers.clone().map(filler)).collect();
    let kinds: Vec<i32> = vocabulary.kinds.iter().copied().chain(fillers.map(|_| UNUSED)).collect();
    m.text("tokenizer.ggml.model", "gpt2");
    m.text("tokenizer.ggml.pre", &vocabulary.pre);
    m.array("tokenizer.ggml.tokens", tag::STRING, &tokens, |bytes, token| string(bytes, token));
    m.array("tokenizer.ggml.token_type", tag::I32, &kinds, |bytes, kind| bytes.extend(kind.to_le_bytes()));
    m.array("tokenizer.ggml.merges", tag::STRING, &vocabulary.merges, |bytes, merge| string(bytes, merge));
    if let Some(bos) = vocabulary.bos {
        m.u32("tokenizer.ggml.bos_token_id", bos);
    }
    m.u32("tokenizer.ggml.eos_token_id", vocabulary.eos);
    m.bool("tokenizer.ggml.add_bos_token", vocabulary.add_bos);
    m
}

/// The table of tensors: names, sizes (innermost first), kinds, offsets.
fn table(places: &[Place], matrices: Kind) -> Result<Vec<u8>, Error> {
    let (mut bytes, mut offset) = (Vec::new(), 0usize);
    for place in places {
        let (kind, shape) = (place.kind(matrices), &place.shape);
        let len = kind.bytes(shape).and_then(|len| len.checked_next_multiple_of(ALIGNMENT));
        let len = len.ok_or_else(|| {
            let last = shape.last();
            refused(&place.parameter, format!("rows of {last:?} do not divide into blocks of {kind:?}"))
        })?;
        string(&mut bytes, &place.name);
        bytes.extend((shape.len() as u32).to_le_bytes());
        shape.iter().rev().for_each(|&size| bytes.extend((size as u64).to_le_bytes()));
        bytes.extend(kind.number().to_le_bytes());
        bytes.extend((offset as u64).to_le_bytes());
        let end = offset.checked_add(len);
        offset = end.ok_or_else(|| refused(&place.parameter, "the file would be too large"))?;
    }
    Ok(bytes)
}
