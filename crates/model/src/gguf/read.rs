//! GGUF in: bytes that nobody vouches for.
//!
//! What is read is checked before it is used, and memory is taken only for what the bytes hold: every
//! entry of a table costs the file some bytes, arrays stay where they are until they are asked for, and
//! a tensor's range is known to lie within the file before its numbers are decoded.

use super::{ALIGNMENT, Kind, MAGIC, VERSION, Vocabulary, decoder, eyes, interleave, refused, tag};
use crate::{Config, Error, Sizes};
use engine::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A GGUF file, read up to the tensors' data.
#[derive(Debug)]
pub struct Gguf<'a> {
    bytes: &'a [u8],
    metadata: BTreeMap<&'a str, Value<'a>>,
    tensors: BTreeMap<&'a str, Tensor>,
}

/// A metadata value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Any integer.
    Integer(i128),
    /// Any float; those of 32 bits as the shortest decimal number that gives them.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Text, not yet known to be UTF-8.
    Text(&'a [u8]),
    /// Several values of one kind.
    Array(Array<'a>),
}

/// An array of metadata values, left as it stands in the file. Arrays of arrays are refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    tag: u32,
    len: u64,
    bytes: &'a [u8],
}

/// A tensor's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// What its numbers are stored as.
    pub kind: Kind,
    /// Where they stand in the file.
    pub range: Range<usize>,
}

/// The bytes not yet read.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: u64, what: &str) -> Result<&'a [u8], Error> {
        let end = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len));
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| {
            let left = self.bytes.len() - self.at;
            refused(what, format!("the file ends {left} bytes behind byte {}, {len} are needed", self.at))
        })?;
        self.at += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64, what)?);
        Ok(array)
    }

    fn u32(&mut self, what: &str) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    fn string(&mut self, what: &str) -> Result<&'a [u8], Error> {
        let len = self.u64(what)?;
        self.take(len, what)
    }

    fn name(&mut self, what: &str) -> Result<&'a str, Error> {
        std::str::from_utf8(self.string(what)?).map_err(|_| refused(what, "it is not UTF-8"))
    }

    fn value(&mut self, tag: u32, key: &str) -> Result<Value<'a>, Error> {
        let integer = |value: i128| Ok(Value::Integer(value));
        match tag {
            tag::U8 => integer(u8::from_le_bytes(self.array(key)?).into()),
            tag::I8 => integer(i8::from_le_bytes(self.array(key)?).into()),
            tag::U16 => integer(u16::from_le_bytes(self.array(key)?).into()),
            tag::I16 => integer(i16::from_le_bytes(self.array(key)?).into()),
            tag::U32 => integer(u32::from_le_bytes(self.array(key)?).into()),
            tag::I32 => integer(i32::from_le_bytes(self.array(key)?).into()),
            tag::U64 => integer(u64::from_le_bytes(self.array(key)?).into()),
            tag::I64 => integer(i64::from_le_bytes(self.array(key)?).into()),
            tag::F32 => Ok(Value::Float(shortest(f32::from_le_bytes(self.array(key)?)))),
            tag::F64 => Ok(Value::Float(f64::from_le_bytes(self.array(key)?))),
            tag::BOOL => Ok(Value::Bool(self.array::<1>(key)? != [0])),
            tag::STRING => Ok(Value::Text(self.string(key)?)),
            tag::ARRAY => {
                let (tag, len) = (self.u32(key)?, self.u64(key)?);
                let start = self.at;
                match width(tag) {
                    Some(width) => {
                        let bytes = len.checked_mul(width);
                        self.take(bytes.ok_or_else(|| refused(key, format!("{len} values")))?, key)?;
                    }
                    None if tag == tag::STRING => {
                        for _ in 0..len {
                            self.string(key)?;
                        }
                    }
                    None => return Err(refused(key, format!("arrays of values of kind {tag} are not read"))),
                }
                Ok(Value::Array(Array { tag, len, bytes: &self.bytes[start..self.at] }))
            }
            _ => Err(refused(key, format!("values of kind {tag} are not known"))),
        }
    }
}

/// Bytes of a value, where all have the same.
fn width(tag: u32) -> Option<u64> {
    match tag {
        tag::U8 | tag::I8 | tag::BOOL => Some(1),
        tag::U16 | tag::I16 => Some(2),
        tag::U32 | tag::I32 | tag::F32 => Some(4),
        tag::U64 | tag::I64 | tag::F64 => Some(8),
        _ => None,
    }
}

/// `1e-6` as a 32-bit float is 9.99999997e-7; what was meant is the shortest decimal that rounds to it.
fn shortest(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}

impl<'a> Array<'a> {
    /// How many values.
    pub fn len(&self) -> usize {
        // Each takes at least a byte of the file, so this holds for arrays that were read.
        self.len as usize
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The values, in order.
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> {
        let mut cursor = Cursor { bytes: self.bytes, at: 0 };
        // Reading it was possible once, so no value is lost here.
        (0..self.len).map_while({
            let tag = self.tag;
            move |_| cursor.value(tag, "array").ok()
        })
    }
}

impl<'a> Gguf<'a> {
    /// Reads header, metadata and the table of tensors; checks that every tensor lies in the file.
    pub fn open(bytes: &'a [u8]) -> Result<Gguf<'a>, Error> {
        let mut cursor = Cursor { bytes, at: 0 };
        if cursor.array("magic")? != MAGIC {
            return Err(refused("magic", "this is no GGUF file"));
        }
        let version = cursor.u32("version")?;
        if version.swap_bytes() == VERSION {
            return Err(refused("version", "the file is big-endian; only little-endian files are read"));
        }
        if !(2..=VERSION).contains(&version) {
            return Err(refused("version", format!("{version} is not read, only 2 and {VERSION}")));
        }
        let (tensor_count, key_count) = (cursor.u64("tensor count")?, cursor.u64("key count")?);
        let mut metadata = BTreeMap::new();
        for i in 0..key_count {
            let key = cursor.name(&format!("key {i} of {key_count}"))?;
            let tag = cursor.u32(key)?;
            let value = cursor.value(tag, key)?;
            if metadata.insert(key, value).is_some() {
                return Err(refused(key, "the key comes twice"));
            }
        }
        let mut file = Gguf { bytes, metadata, tensors: BTreeMap::new() };
        let alignment = file.optional("general.alignment")?.unwrap_or(ALIGNMENT);
        if !alignment.is_power_of_two() {
            return Err(refused("general.alignment", format!("{alignment} is no power of two")));
        }
        for i in 0..tensor_count {
            let name = cursor.name(&format!("tensor {i} of {tensor_count}"))?;
            // The offset counts from the data, which starts where the table ends: known only then.
            let entry = entry(&mut cursor, name, alignment)?;
            if file.tensors.insert(name, entry).is_some() {
                return Err(refused(name, "the tensor comes twice"));
            }
        }
        let data = cursor.at.checked_next_multiple_of(alignment);
        for (name, tensor) in &mut file.tensors {
            let place = |offset: usize| data?.checked_add(offset).filter(|&end| end <= bytes.len());
            let range = place(tensor.range.start).zip(place(tensor.range.end));
            let (start, end) = range.ok_or_else(|| {
                let reason = format!("bytes {:?} of the data are not in the file", tensor.range);
                refused(name, format!("{reason}; it was cut short, so fetch it again"))
            })?;
            tensor.range = start..end;
        }
        Ok(file)
    }

    /// All metadata, by key.
    pub fn metadata(&self) -> &BTreeMap<&'a str, Value<'a>> {
        &self.metadata
    }

    /// All tensors, by llama.cpp's names.
    pub fn tensors(&self) -> &BTreeMap<&'a str, Tensor> {
        &self.tensors
    }

    pub(super) fn optional(&self, key: &str) -> Result<Option<usize>, Error> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Integer(value)) => {
                usize::try_from(*value).map(Some).map_err(|_| refused(key, format!("{value} is no size")))
            }
            Some(_) => Err(refused(key, "it is no integer")),
        }
    }

    pub(super) fn required(&self, key: &str) -> Result<usize, Error> {
        self.optional(key)?.ok_or_else(|| refused(key, "the key is missing"))
    }

    fn token(&self, key: &str) -> Result<Option<u32>, Error> {
        let id = self.optional(key)?;
        id.map(|id| u32::try_from(id).map_err(|_| refused(key, format!("{id} is no token")))).transpose()
    }

    pub(super) fn float(&self, key: &str) -> Result<Option<f64>, Error> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Float(value)) => Ok(Some(*value)),
            Some(_) => Err(refused(key, "it is no float")),
        }
    }

    /// A text.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, Error> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => {
                std::str::from_utf8(text).map(Some).map_err(|_| refused(key, "it is not UTF-8"))
            }
            Some(_) => Err(refused(key, "it is no text")),
        }
    }

    pub(super) fn array(&self, key: &str) -> Result<Option<Array<'a>>, Error> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Array(array)) => Ok(Some(*array)),
            Some(_) => Err(refused(key, "it is no array")),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, Error> {
        let array = self.array(key)?.ok_or_else(|| refused(key, "the key is missing"))?;
        let text = |(i, value): (usize, Value<'a>)| match value {
            Value::Text(text) => std::str::from_utf8(text)
                .map(String::from)
                .map_err(|_| refused(key, format!("item {i} is not UTF-8"))),
            _ => Err(refused(key, "it is no array of texts")),
        };
        array.values().enumerate().map(text).collect()
    }

    /// The configuration of a `qwen3` or `llama` model. What would change its results and is not
    /// supported here is refused by key.
    pub fn config(&self) -> Result<Config, Error> {
        let arch = self.text("general.architecture")?.unwrap_or_default();
        if arch == eyes::ARCHITECTURE {
            let reason = "these are a model's eyes; name the model's text, beside which they lie";
            return Err(refused("general.architecture", reason));
        }
        if !["qwen3", "llama"].contains(&arch) {
            let reason = format!("'{arch}' is not supported, only qwen3 and llama");
            return Err(refused("general.architecture", reason));
        }
        let key = |name: &str| format!("{arch}.{name}");
        let size = |name: &str| self.required(&key(name));
        let embedding = self.tensors.get("token_embd.weight");
        let embedding = embedding.ok_or_else(|| refused("token_embd.weight", "the tensor is missing"))?;
        let (width, heads) = (size("embedding_length")?, size("attention.head_count")?);
        let head_dim = self.optional(&key("attention.key_length"))?;
        let head_dim = head_dim.or_else(|| width.checked_div(heads)).unwrap_or(0);
        for name in ["attention.value_length", "rope.dimension_count"] {
            if let Some(other) = self.optional(&key(name))?.filter(|&other| other != head_dim) {
                return Err(refused(&key(name), format!("{other} is not the head size {head_dim}")));
            }
        }
        for name in ["expert_count", "attention.sliding_window"] {
            if let Some(value) = self.optional(&key(name))?.filter(|&value| value != 0) {
                return Err(refused(&key(name), format!("{value} is not supported, only 0")));
            }
        }
        if let Some(scaling) = self.text(&key("rope.scaling.type"))?.filter(|&kind| kind != "none") {
            return Err(refused(
                &key("rope.scaling.type"),
                format!("'{scaling}' is not supported, only none"),
            ));
        }
        let mut config = Config::new(Sizes {
            vocab: embedding.shape.first().copied().unwrap_or(0),
            width,
            ffn: size("feed_forward_length")?,
            layers: size("block_count")?,
            heads,
            kv_heads: self.optional(&key("attention.head_count_kv"))?.unwrap_or(heads),
            head_dim,
            context: size("context_length")?,
            tied: !self.tensors.contains_key("output.weight"),
        })?;
        if arch == "llama" {
            config.architectures = vec!["LlamaForCausalLM".into()];
            config.model_type = "llama".into();
        }
        let epsilon = key("attention.layer_norm_rms_epsilon");
        config.rms_norm_eps = self.float(&epsilon)?.ok_or_else(|| refused(&epsilon, "the key is missing"))?;
        config.rope_theta = self.float(&key("rope.freq_base"))?.unwrap_or(10_000.0);
        config.torch_dtype = embedding.kind.torch_name().into();
        config.bos_token_id = self.token("tokenizer.ggml.bos_token_id")?;
        config.eos_token_id = self.token("tokenizer.ggml.eos_token_id")?;
        config.check()?;
        Ok(config)
    }

    /// The tokenizer, which must be byte-level BPE.
    pub fn vocabulary(&self) -> Result<Vocabulary, Error> {
        let kind = self.text("tokenizer.ggml.model")?.unwrap_or_default();
        if kind != "gpt2" {
            let reason = format!("'{kind}' is not supported, only byte-level BPE (gpt2)");
            return Err(refused("tokenizer.ggml.model", reason));
        }
        let tokens = self.texts("tokenizer.ggml.tokens")?;
        let kinds_key = "tokenizer.ggml.token_type";
        let kinds = match self.array(kinds_key)? {
            None => vec![1; tokens.len()],
            Some(array) => {
                let kind = |value| match value {
                    Value::Integer(kind) => {
                        i32::try_from(kind).map_err(|_| refused(kinds_key, format!("{kind} is no kind")))
                    }
                    _ => Err(refused(kinds_key, "it is no array of integers")),
                };
                array.values().map(kind).collect::<Result<Vec<i32>, Error>>()?
            }
        };
        if kinds.len() != tokens.len() {
            return Err(refused(kinds_key, format!("{} kinds of {} tokens", kinds.len(), tokens.len())));
        }
        let token = |key: &str| match self.token(key)? {
            Some(id) if id as usize >= tokens.len() => {
                Err(refused(key, format!("{id} is none of the {} tokens", tokens.len())))
            }
            id => Ok(id),
        };
        let bos = token("tokenizer.ggml.bos_token_id")?;
        let eos_key = "tokenizer.ggml.eos_token_id";
        let eos = token(eos_key)?.ok_or_else(|| refused(eos_key, "the key is missing"))?;
        let add_bos = match self.metadata.get("tokenizer.ggml.add_bos_token") {
            None => false,
            Some(Value::Bool(value)) => *value,
            Some(_) => return Err(refused("tokenizer.ggml.add_bos_token", "it is neither true nor false")),
        };
        let pre = self.text("tokenizer.ggml.pre")?.unwrap_or("default").to_string();
        let merges = self.texts("tokenizer.ggml.merges")?;
        Ok(Vocabulary { tokens, merges, pre, kinds, bos, eos, add_bos })
    }

    /// Reads its part of a model's parameters into a store that has those of `config`: the decoder's, or the eyes'.
    ///
    /// # Errors
    /// Tensors that are missing, of another shape, or that this architecture has no place for.
    pub fn fill(&self, config: &Config, store: &mut Store) -> Result<(), Error> {
        let shapes = config.shapes();
        let known: BTreeSet<&str> = shapes.iter().map(|(name, _)| name.as_str()).collect();
        if let Some(name) = store.layout().names().find(|name| !known.contains(name)) {
            return Err(refused(name, "the file has no such parameter"));
        }
        let places = match self.text("general.architecture")? {
            Some(eyes::ARCHITECTURE) => eyes::encoder(config)?,
            _ => decoder(config)?,
        };
        let mut used = BTreeSet::new();
        let (mut numbers, mut turned) = (Vec::new(), Vec::new());
        for place in &places {
            let (name, shape) = (place.name.as_str(), &place.shape);
            let tensor = self.tensors.get(name).ok_or_else(|| refused(name, "the tensor is missing"))?;
            if tensor.shape != *shape {
                return Err(refused(name, format!("its shape is {:?}, {shape:?} is needed", tensor.shape)));
            }
            let bytes = self.bytes.get(tensor.range.clone()).unwrap_or_default();
            numbers.clear();
            tensor.kind.decode(bytes, &mut numbers);
            if let Some(head_dim) = place.turned {
                let columns = shape[1];
                turned.resize(numbers.len(), 0.0);
                for (row, from) in numbers.chunks_exact(columns).enumerate() {
                    let to = interleave(row, head_dim) * columns;
                    turned[to..to + columns].copy_from_slice(from);
                }
                std::mem::swap(&mut numbers, &mut turned);
            }
            store.write(&place.parameter, &numbers)?;
            used.insert(name);
        }
        match self.tensors.keys().find(|name| !used.contains(**name)) {
            Some(name) => Err(refused(name, "this architecture has no such tensor, so it is not supported")),
            None => Ok(()),
        }
    }
}

/// A tensor's entry, its range still counted from the start of the data.
fn entry(cursor: &mut Cursor<'_>, name: &str, alignment: usize) -> Result<Tensor, Error> {
    let rank = cursor.u32(name)?;
    if rank > 4 {
        return Err(refused(name, format!("{rank} axes, at most 4 are known")));
    }
    let size = |size: u64| usize::try_from(size).map_err(|_| refused(name, format!("size {size}")));
    let mut shape = Vec::new();
    for _ in 0..rank {
        shape.push(size(cursor.u64(name)?)?);
    }
    shape.reverse();
    let number = cursor.u32(name)?;
    let start = size(cursor.u64(name)?)?;
    let kind = Kind::from_number(number).ok_or_else(|| {
        let reason = format!("its type {number} is not read, only F32, F16, BF16 and Q8_0");
        refused(name, format!("{reason}; convert the model with llama-quantize"))
    })?;
    if !start.is_multiple_of(alignment) {
        return Err(refused(name, format!("its offset {start} is no multiple of {alignment}")));
    }
    let end = kind.bytes(&shape).and_then(|len| start.checked_add(len));
    let end = end.ok_or_else(|| refused(name, format!("its shape {shape:?} cannot be")))?;
    Ok(Tensor { shape, kind, range: start..end })
}
