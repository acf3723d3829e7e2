//! GGUF, the one-file format of llama.cpp: models in and out, their eyes as a second file.
//!
//! A file is a header, metadata (typed keys and values), a table of tensors and their data, all
//! little-endian (github.com/ggml-org/ggml, docs/gguf.md, version 3). [`Gguf`] reads it from bytes that
//! are never trusted; [`write()`] makes one. The two layouts of text are `qwen3` and `llama`. They differ in the
//! norms of queries and keys, and in the rotary pairs: llama.cpp turns neighbouring channels of a `llama`
//! model, where Hugging Face turns channel `i` with `i + D/2`, so the rows of its query and key maps are
//! interleaved on the way out and back. [`write_eyes`] makes the second file: architecture `clip`, projector
//! `idefics3`, which llama.cpp calls a model's `mmproj`.

mod eyes;
mod read;
mod write;

pub use eyes::{Sight, write_eyes};
pub use read::{Array, Gguf, Tensor, Value};
pub use write::write;

use crate::weights::Storage;
use crate::{Config, Error};
use half::f16;

/// The first bytes of a file.
pub const MAGIC: [u8; 4] = *b"GGUF";
const VERSION: u32 = 3;
/// Where tensors start, unless `general.alignment` says otherwise.
const ALIGNMENT: usize = 32;

/// Kinds of metadata values, by number.
mod tag {
    pub(super) const U8: u32 = 0;
    pub(super) const I8: u32 = 1;
    pub(super) const U16: u32 = 2;
    pub(super) const I16: u32 = 3;
    pub(super) const U32: u32 = 4;
    pub(super) const I32: u32 = 5;
    pub(super) const F32: u32 = 6;
    pub(super) const BOOL: u32 = 7;
    pub(super) const STRING: u32 = 8;
    pub(super) const ARRAY: u32 = 9;
    pub(super) const U64: u32 = 10;
    pub(super) const I64: u32 = 11;
    pub(super) const F64: u32 = 12;
}

/// What a tensor's numbers are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 32-bit float.
    F32,
    /// Half float.
    F16,
    /// Brain float.
    Bf16,
    /// Blocks of 32 signed bytes with a half float's step.
    Q8_0,
}

impl Kind {
    /// Numbers and bytes of a block.
    fn block(self) -> (usize, usize) {
        match self {
            Kind::F32 => (1, 4),
            Kind::F16 | Kind::Bf16 => (1, 2),
            Kind::Q8_0 => (32, 34),
        }
    }

    /// As `ggml_type`.
    fn number(self) -> u32 {
        match self {
            Kind::F32 => 0,
            Kind::F16 => 1,
            Kind::Q8_0 => 8,
            Kind::Bf16 => 30,
        }
    }

    fn from_number(number: u32) -> Option<Kind> {
        [Kind::F32, Kind::F16, Kind::Bf16, Kind::Q8_0].into_iter().find(|kind| kind.number() == number)
    }

    /// As `general.file_type`.
    fn file_type(self) -> u32 {
        match self {
            Kind::F32 => 0,
            Kind::F16 => 1,
            Kind::Q8_0 => 7,
            Kind::Bf16 => 32,
        }
    }

    /// As `config.json` calls what the numbers become here.
    fn torch_name(self) -> &'static str {
        match self {
            Kind::F16 => "float16",
            Kind::Bf16 => "bfloat16",
            Kind::F32 | Kind::Q8_0 => "float32",
        }
    }

    /// Bytes of a tensor (outermost size first); `None` if they overflow or blocks do not fill the rows.
    fn bytes(self, shape: &[usize]) -> Option<usize> {
        let (numbers, bytes) = self.block();
        let columns = shape.last().copied().unwrap_or(1);
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        columns.is_multiple_of(numbers).then_some(())?;
        (count / numbers).checked_mul(bytes)
    }

    /// Appends the bytes of the numbers, whole blocks, rounded to nearest.
    fn encode(self, numbers: &[f32], bytes: &mut Vec<u8>) {
        match self {
            Kind::F32 => Storage::F32.encode(numbers, bytes),
            Kind::F16 => Storage::F16.encode(numbers, bytes),
            Kind::Bf16 => Storage::Bf16.encode(numbers, bytes),
            Kind::Q8_0 => {
                for block in numbers.as_chunks::<32>().0 {
                    let step = block.iter().fold(0.0f32, |most, x| most.max(x.abs())) / 127.0;
                    let inverse = if step == 0.0 { 0.0 } else { 1.0 / step };
                    bytes.extend(f16::from_f32(step).to_le_bytes());
                    bytes.extend(block.iter().map(|x| ((x * inverse).round() as i8).to_le_bytes()[0]));
                }
            }
        }
    }

    /// Appends the numbers of the bytes, whole blocks.
    fn decode(self, bytes: &[u8], numbers: &mut Vec<f32>) {
        match self {
            Kind::F32 => Storage::F32.decode(bytes, numbers),
            Kind::F16 => Storage::F16.decode(bytes, numbers),
            Kind::Bf16 => Storage::Bf16.decode(bytes, numbers),
            Kind::Q8_0 => {
                for block in bytes.as_chunks::<34>().0 {
                    let step = f16::from_le_bytes([block[0], block[1]]).to_f32();
                    numbers.extend(block[2..].iter().map(|&q| f32::from(i8::from_le_bytes([q])) * step));
                }
            }
        }
    }
}

impl From<Storage> for Kind {
    fn from(storage: Storage) -> Kind {
        match storage {
            Storage::F32 => Kind::F32,
            Storage::Bf16 => Kind::Bf16,
            Storage::F16 => Kind::F16,
        }
    }
}

/// A byte-level BPE tokenizer as GGUF holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// Tokens in GPT-2's spelling, in which every byte is a visible character.
    pub tokens: Vec<String>,
    /// Pairs that are merged, with a space between, first to last.
    pub merges: Vec<String>,
    /// llama.cpp's name of the split rule: `gpt-2`, `qwen2` or `llama-bpe`.
    pub pre: String,
    /// What each token is: 1 normal, 3 control, 4 added by a user, 5 unused.
    pub kinds: Vec<i32>,
    /// Token that starts a document.
    pub bos: Option<u32>,
    /// Token that ends one.
    pub eos: u32,
    /// Whether a text gets the start token by itself.
    pub add_bos: bool,
}

/// Token kind of places without a token.
const UNUSED: i32 = 5;

/// An error that names the key or tensor.
fn refused(place: &str, reason: impl std::fmt::Display) -> Error {
    Error::Weights { file: "GGUF".into(), reason: format!("{place}: {reason}") }
}

/// A parameter in a file.
struct Place {
    /// Its name in the store.
    parameter: String,
    /// llama.cpp's.
    name: String,
    shape: Vec<usize>,
    /// Head size, where llama.cpp interleaves the rows within each head.
    turned: Option<usize>,
    /// Whether it is kept as 32-bit floats, whatever the matrices are.
    whole: bool,
}

impl Place {
    fn kind(&self, matrices: Kind) -> Kind {
        if self.whole { Kind::F32 } else { matrices }
    }
}

/// The decoder's parameters.
fn decoder(config: &Config) -> Result<Vec<Place>, Error> {
    let alone = Config { eyes: None, ..config.clone() };
    let place = |(parameter, shape): (String, Vec<usize>)| {
        let name = tensor_name(&parameter).ok_or_else(|| refused(&parameter, "it has no name in GGUF"))?;
        let turned = [".attn_q.", ".attn_k."].iter().any(|part| name.contains(part));
        Ok(Place {
            parameter: config.name(&parameter),
            name,
            turned: (config.model_type == "llama" && turned).then_some(config.head_dim),
            whole: shape.len() == 1,
            shape,
        })
    };
    alone.shapes().into_iter().map(place).collect()
}

/// llama.cpp's name of a parameter; `None` for names that are not ours.
fn tensor_name(parameter: &str) -> Option<String> {
    let whole = match parameter {
        "model.embed_tokens.weight" => "token_embd.weight",
        "model.norm.weight" => "output_norm.weight",
        "lm_head.weight" => "output.weight",
        _ => "",
    };
    if !whole.is_empty() {
        return Some(whole.into());
    }
    let (layer, part) = parameter.strip_prefix("model.layers.")?.split_once('.')?;
    let part = match part.strip_suffix(".weight")? {
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        "input_layernorm" => "attn_norm",
        "post_attention_layernorm" => "ffn_norm",
        _ => return None,
    };
    Some(format!("blk.{layer}.{part}.weight"))
}

/// The row of Hugging Face's order that stands at `row` of llama.cpp's.
fn interleave(row: usize, head_dim: usize) -> usize {
    let (head, place) = (row / head_dim, row % head_dim);
    head * head_dim + place % 2 * (head_dim / 2) + place / 2
}

#[cfg(test)]
mod tests;
