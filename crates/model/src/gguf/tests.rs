//! Round trips, what is refused, and bytes that were tampered with.

use super::*;
use crate::parametrisation::{Choice, initialise, table};
use crate::vision::VisionConfig;
use crate::{Eyes, Sizes};
use engine::{Layout, Store};
use half::bf16;
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

/// A model with awkward sizes; rows divide into blocks of Q8_0 where `blocks`.
fn config(model_type: &str, tied: bool, blocks: bool) -> Config {
    let (width, ffn, head_dim) = if blocks { (32, 96, 32) } else { (20, 28, 6) };
    let sizes =
        Sizes { vocab: 50, width, ffn, layers: 2, heads: 4, kv_heads: 2, head_dim, context: 64, tied };
    let mut config = Config::new(sizes).unwrap();
    if model_type == "llama" {
        config.model_type = "llama".into();
        config.architectures = vec!["LlamaForCausalLM".into()];
        config.rope_theta = 500_000.0;
        config.rms_norm_eps = 1e-5;
    }
    config.eos_token_id = Some(3);
    config
}

fn store(config: &Config) -> Store {
    let shapes = config.shapes();
    let layout = Layout::new(shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))).unwrap();
    Store::new(&Arc::new(layout)).unwrap()
}

fn filled(config: &Config) -> Store {
    let mut store = store(config);
    initialise(&table(config, &Choice::default()), 5, &mut store).unwrap();
    store
}

fn vocabulary() -> Vocabulary {
    Vocabulary {
        tokens: ["Ġ", "a", "b", "<|endoftext|>", "ab", "é"].map(String::from).into(),
        merges: vec!["a b".into()],
        pre: "gpt-2".into(),
        kinds: vec![1, 1, 1, 3, 1, 1],
        bos: None,
        eos: 3,
        add_bos: false,
    }
}

/// Rounding error of a stored number, relative to the largest of its block.
fn rounding(kind: Kind) -> f32 {
    match kind {
        Kind::F32 => 0.0,
        Kind::F16 => f16::EPSILON.to_f32() / 2.0,
        Kind::Bf16 => bf16::EPSILON.to_f32() / 2.0,
        Kind::Q8_0 => 0.5 / 127.0 + f16::EPSILON.to_f32(),
    }
}

fn bytes(config: &Config, params: &Store, kind: Kind) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, config, params, &vocabulary(), kind).unwrap();
    bytes
}

#[test]
fn what_is_written_is_read_back() {
    for (arch, tied, kind) in [
        ("qwen3", false, Kind::F32),
        ("qwen3", true, Kind::F16),
        ("llama", true, Kind::F32),
        ("llama", false, Kind::Bf16),
        ("llama", false, Kind::Q8_0),
    ] {
        let mut config = config(arch, tied, kind == Kind::Q8_0);
        let params = filled(&config);
        let bytes = bytes(&config, &params, kind);
        let file = Gguf::open(&bytes).unwrap();
        config.torch_dtype = kind.torch_name().into();
        assert_eq!(file.config().unwrap(), config);
        let mut back = store(&config);
        file.fill(&config, &mut back).unwrap();
        for (name, shape) in config.shapes() {
            let (was, is) = (params.get(&name).unwrap(), back.get(&name).unwrap());
            let rounding = if shape.len() == 1 { 0.0 } else { rounding(kind) };
            for (was, is) in was.chunks(kind.block().0).zip(is.chunks(kind.block().0)) {
                let most = was.iter().fold(0.0f32, |most, x| most.max(x.abs()));
                for (a, b) in was.iter().zip(is) {
                    // Half a unit in the last place, of f16's subnormals where they are.
                    assert!((a - b).abs() <= rounding * most + rounding * 6.2e-5, "{name}: {a} and {b}");
                }
            }
        }
        let read = file.vocabulary().unwrap();
        assert_eq!(read.tokens.len(), 50);
        assert_eq!(read.tokens[..6], vocabulary().tokens);
        assert_eq!((read.tokens[49].as_str(), read.kinds[49]), ("[PAD49]", 5));
        assert_eq!((read.merges, read.eos, read.bos), (vocabulary().merges, 3, None));
    }
}

/// The rows of a head of six in the order of llama.cpp, from its converter's definition: a head's rows
/// as a `2 × D/2` table, transposed.
#[test]
fn llama_rows_are_interleaved_within_heads() {
    let rows: Vec<usize> = (0..12).map(|row| interleave(row, 6)).collect();
    assert_eq!(rows, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
    let config = config("llama", true, false);
    let params = filled(&config);
    let bytes = bytes(&config, &params, Kind::F32);
    let file = Gguf::open(&bytes).unwrap();
    for (parameter, moved) in [("self_attn.k_proj", true), ("self_attn.v_proj", false)] {
        let name = format!("model.layers.1.{parameter}.weight");
        let was = params.get(&name).unwrap();
        let tensor = &file.tensors()[tensor_name(&name).unwrap().as_str()];
        let second = tensor.range.start + 20 * 4..tensor.range.start + 40 * 4;
        let mut row = Vec::new();
        Kind::F32.decode(&bytes[second], &mut row);
        let from = if moved { 3 } else { 1 };
        assert_eq!(row, was[from * 20..(from + 1) * 20], "{name}");
    }
}

#[test]
fn tensors_are_aligned_and_a_tied_head_is_left_out() {
    let config = config("qwen3", true, false);
    let bytes = bytes(&config, &filled(&config), Kind::F16);
    let file = Gguf::open(&bytes).unwrap();
    assert!(!file.tensors().contains_key("output.weight"));
    assert_eq!(file.tensors().len(), config.shapes().len());
    for (name, tensor) in file.tensors() {
        assert!(tensor.range.start.is_multiple_of(ALIGNMENT), "{name}");
        assert_eq!(tensor.kind == Kind::F32, tensor.shape.len() == 1, "{name}");
    }
    assert_eq!(bytes.len() % ALIGNMENT, 0);
}

#[test]
fn a_vocabulary_that_llama_cpp_would_not_load_is_refused() {
    let config = config("qwen3", true, false);
    let params = filled(&config);
    let attempt = |change: &dyn Fn(&mut Vocabulary), kind| {
        let mut vocabulary = vocabulary();
        change(&mut vocabulary);
        write(&mut Vec::new(), &config, &params, &vocabulary, kind).unwrap_err().to_string()
    };
    for (key, change) in [
        ("tokens", (&|v: &mut Vocabulary| v.tokens[1] = "b".into()) as &dyn Fn(&mut Vocabulary)),
        ("tokens", &|v| v.tokens[1] = "[PAD49]".into()),
        ("tokens", &|v| v.tokens = (0..51).map(|i| i.to_string()).collect()),
        ("token_type", &|v| v.kinds = vec![1]),
        ("merges", &|v| v.merges = vec!["a".into()]),
        ("pre", &|v| v.pre = "mine".into()),
        ("eos_token_id", &|v| v.eos = 6),
        ("bos_token_id", &|v| v.bos = Some(6)),
        ("add_bos_token", &|v| v.add_bos = true),
    ] {
        let text = attempt(change, Kind::F32);
        assert!(text.contains(&format!("tokenizer.ggml.{key}")), "{key}: {text}");
    }
    let text = attempt(&|_| (), Kind::Q8_0);
    assert!(text.contains("model.embed_tokens.weight"), "{text}");
}

/// A small file, byte by byte.
struct Made(Vec<u8>);

impl Made {
    fn new(tensors: u64, keys: u64) -> Made {
        let mut made = Made(b"GGUF".to_vec());
        made.0.extend(3u32.to_le_bytes());
        made.0.extend(tensors.to_le_bytes());
        made.0.extend(keys.to_le_bytes());
        made
    }

    fn text(mut self, text: &str) -> Made {
        string_bytes(&mut self.0, text);
        self
    }

    fn u32(mut self, value: u32) -> Made {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u64(mut self, value: u64) -> Made {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn error(self) -> String {
        Gguf::open(&self.0).unwrap_err().to_string()
    }
}

fn string_bytes(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

#[test]
fn errors_name_the_key_or_tensor() {
    let made = Made::new;
    let tensor = |offset| made(1, 0).text("x").u32(2).u64(4).u64(2).u32(0).u64(offset);
    for (made, part) in [
        (Made(b"GGML".to_vec()), "no GGUF"),
        (Made(b"GG".to_vec()), "the file ends"),
        (Made([&b"GGUF"[..], &[0, 0, 0, 3]].concat()), "big-endian"),
        (Made(b"GGUF\x01\0\0\0".to_vec()), "version"),
        (made(0, u64::MAX), "key 0 of"),
        (made(0, 1).text("long").u32(8).u64(u64::MAX), "long: the file ends"),
        (made(0, 1).text("many").u32(9).u32(10).u64(u64::MAX / 2), "many: "),
        (made(0, 1).text("deep").u32(9).u32(9).u64(1), "deep: arrays of values of kind 9"),
        (made(0, 1).text("odd").u32(13), "odd: values of kind 13"),
        (made(0, 2).text("k").u32(4).u32(1).text("k").u32(4).u32(1), "k: the key comes twice"),
        (made(0, 1).text("general.alignment").u32(4).u32(48), "general.alignment: 48"),
        (made(1, 0).text("x").u32(5), "x: 5 axes"),
        (made(1, 0).text("x").u32(1).u64(4).u32(12).u64(0), "x: its type 12"),
        (made(1, 0).text("x").u32(2).u64(1 << 40).u64(1 << 40).u32(0).u64(0), "x: its shape"),
        (made(1, 0).text("x").u32(1).u64(33).u32(8).u64(0), "x: its shape"),
        (tensor(16), "x: its offset 16"),
        (tensor(u64::MAX - 31), "x: its shape"),
        (tensor(1 << 40), "x: bytes 1099511627776"),
        (tensor(0), "x: bytes 0..32 of the data are not in the file"),
    ] {
        let text = made.error();
        assert!(text.starts_with("GGUF: ") && text.contains(part), "{part}: {text}");
    }
    let mut whole = tensor(0).0;
    whole.resize(whole.len().next_multiple_of(32) + 32, 0);
    assert_eq!(Gguf::open(&whole).unwrap().tensors()["x"].shape, [2, 4]);
}

/// What is said of a model with one part of its file replaced.
fn tampered(from: &[u8], to: &[u8]) -> String {
    let config = config("llama", false, false);
    let mut bytes = bytes(&config, &filled(&config), Kind::F32);
    let at = bytes.windows(from.len()).position(|part| part == from).unwrap();
    bytes[at..at + from.len()].copy_from_slice(to);
    let file = Gguf::open(&bytes).unwrap();
    let mut store = store(&config);
    let mut read = || -> Result<(), Error> {
        let config = file.config()?;
        file.vocabulary()?;
        file.fill(&config, &mut store)
    };
    read().unwrap_err().to_string()
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (from, to, part) in [
        ("llama.block_count", "llama.block_kount", "llama.block_count: the key is missing"),
        ("blk.1.ffn_up.weight", "blk.1.ffn_up.wait!!", "blk.1.ffn_up.weight: the tensor is missing"),
        (
            "\x0d\0\0\0\0\0\0\0output.weight",
            "\x0d\0\0\0\0\0\0\0outpux.weight",
            "lm_head.weight: the file has no such parameter",
        ),
        (
            "rope.dimension_count\x04\0\0\0\x06",
            "rope.dimension_count\x04\0\0\0\x04",
            "4 is not the head size 6",
        ),
        (
            "block_count\x04\0\0\0\x02",
            "block_count\x04\0\0\0\x03",
            "blk.2.attn_q.weight: the tensor is missing",
        ),
        (
            "feed_forward_length\x04\0\0\0\x1c",
            "feed_forward_length\x04\0\0\0\x1b",
            "ffn_gate.weight: its shape",
        ),
        ("\x04\0\0\0\0\0\0\0gpt2", "\x04\0\0\0\0\0\0\0bert", "tokenizer.ggml.model: 'bert'"),
        ("\x05\0\0\0\0\0\0\0llama", "\x05\0\0\0\0\0\0\0gemma", "general.architecture: 'gemma'"),
    ] {
        let text = tampered(from.as_bytes(), to.as_bytes());
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_tensor_without_a_place_is_refused() {
    let config = config("qwen3", false, false);
    let mut bytes = bytes(&config, &filled(&config), Kind::F32);
    let name = b"\x0d\0\0\0\0\0\0\0output.weight";
    let at = bytes.windows(name.len()).position(|part| part == name).unwrap();
    bytes[at + 8..at + 14].copy_from_slice(b"outlet");
    let file = Gguf::open(&bytes).unwrap();
    // Without `output.weight` the head is tied.
    let config = file.config().unwrap();
    let text = file.fill(&config, &mut store(&config)).unwrap_err().to_string();
    assert!(text.contains("outlet.weight: this architecture has no such tensor"), "{text}");
}

/// A model with eyes.
fn seeing() -> Config {
    let mut vision = VisionConfig::new(24, 2, 3, 16, 4);
    vision.layer_norm_eps = 3e-6;
    let mut config = config("llama", false, false);
    config.eyes = Some(Eyes::new(vision, 2, 4));
    config.check().unwrap();
    config
}

const SIGHT: Sight = Sight { mean: [0.5, 0.25, 0.1], deviation: [0.5, 0.3, 0.7], longest_edge: Some(48) };

fn eyes_bytes(config: &Config, sight: &Sight, kind: Kind) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_eyes(&mut bytes, config, &filled(config), sight, kind).unwrap();
    bytes
}

#[test]
fn text_and_eyes_are_two_files_that_make_the_model_again() {
    for (sight, kind) in [(SIGHT, Kind::F32), (Sight { longest_edge: None, ..SIGHT }, Kind::Bf16)] {
        let config = seeing();
        let params = filled(&config);
        let (text, eyes) = (bytes(&config, &params, kind), eyes_bytes(&config, &sight, kind));
        let (text, eyes) = (Gguf::open(&text).unwrap(), Gguf::open(&eyes).unwrap());
        let mut read = text.config().unwrap();
        assert_eq!(read.eyes, None);
        let (seen, prepared) = eyes.eyes(4).unwrap();
        assert_eq!((prepared, Some(&seen)), (sight, config.eyes.as_ref()));
        read.eyes = Some(seen);
        read.torch_dtype = config.torch_dtype.clone();
        assert_eq!(read, config);
        let mut back = store(&config);
        text.fill(&config, &mut back).unwrap();
        eyes.fill(&config, &mut back).unwrap();
        for (name, shape) in config.shapes() {
            let whole = kind == Kind::F32 || shape.len() == 1 || name.contains(".embeddings.");
            for (was, is) in params.get(&name).unwrap().iter().zip(back.get(&name).unwrap()) {
                let rounding = if whole { 0.0 } else { rounding(kind) };
                assert!((was - is).abs() <= rounding * was.abs(), "{name}: {was} and {is}");
            }
        }
    }
}

/// By llama.cpp's `tools/mtmd/clip-impl.h`; sizes innermost first there.
#[test]
fn eyes_have_the_names_and_shapes_that_llama_cpp_looks_for() {
    let bytes = eyes_bytes(&seeing(), &SIGHT, Kind::F16);
    let file = Gguf::open(&bytes).unwrap();
    for (name, shape, kind) in [
        ("v.patch_embd.weight", &[24, 3, 4, 4][..], Kind::F32),
        ("v.position_embd.weight", &[16, 24], Kind::F32),
        ("v.blk.1.attn_q.weight", &[24, 24], Kind::F16),
        ("v.blk.1.attn_out.bias", &[24], Kind::F32),
        ("v.blk.1.ffn_up.weight", &[96, 24], Kind::F16),
        ("v.blk.1.ffn_down.weight", &[24, 96], Kind::F16),
        ("v.blk.0.ln2.weight", &[24], Kind::F32),
        ("v.post_ln.bias", &[24], Kind::F32),
        ("mm.model.fc.weight", &[20, 96], Kind::F16),
    ] {
        let tensor = &file.tensors()[name];
        assert_eq!((tensor.shape.as_slice(), tensor.kind), (shape, kind), "{name}");
    }
    assert_eq!(file.tensors().len(), 3 + 2 * 16 + 2 + 1);
}

#[test]
fn eyes_that_a_file_cannot_hold_or_that_are_not_ours_are_refused_by_name() {
    let attempt = |config: &Config| {
        let written = write_eyes(&mut Vec::new(), config, &filled(config), &SIGHT, Kind::F32);
        written.unwrap_err().to_string()
    };
    assert!(attempt(&config("qwen3", true, false)).contains("no eyes"));
    let mut square = seeing();
    square.eyes.as_mut().unwrap().vision.intermediate_size = 24;
    assert!(attempt(&square).contains("intermediate_size"));

    let whole = eyes_bytes(&seeing(), &SIGHT, Kind::F32);
    assert!(Gguf::open(&whole).unwrap().config().unwrap_err().to_string().contains("eyes"));
    for (from, to, part) in [
        ("\x04\0\0\0\0\0\0\0clip", "\x04\0\0\0\0\0\0\0clap", "general.architecture: 'clap'"),
        ("idefics3", "idefics2", "clip.projector_type: 'idefics2'"),
        ("clip.use_gelu", "clip.use_gelo", "clip.use_gelu: only true"),
        ("has_vision_encoder", "has_vision_encodor", "clip.has_vision_encoder"),
        ("vision.block_count", "vision.block_kount", "clip.vision.block_count: the key is missing"),
        ("vision.image_size\x04\0\0\0\x10", "vision.image_size\x04\0\0\0\x11", "vision_config.patch_size"),
        ("scale_factor\x04\0\0\0\x02", "scale_factor\x04\0\0\0\x03", "vision_config.image_size"),
        ("vision.image_mean", "vision.image_moan", "clip.vision.image_mean: the key is missing"),
        ("head_count\x04\0\0\0\x03", "head_count\x04\0\0\0\0", "num_attention_heads"),
        ("v.blk.1.ln2.bias", "v.blk.1.ln3.bias", "v.blk.1.ln2.bias: the tensor is missing"),
        ("block_count\x04\0\0\0\x02", "block_count\x04\0\0\0\x01", "no such tensor"),
    ] {
        let mut bytes = whole.clone();
        let at = bytes.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        let file = Gguf::open(&bytes).unwrap();
        let read = file.eyes(4).and_then(|(eyes, _)| {
            let config = Config { eyes: Some(eyes), ..seeing() };
            file.fill(&config, &mut store(&config))
        });
        let text = read.unwrap_err().to_string();
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// A file of text, and one of eyes.
static WHOLE: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let config = seeing();
    [bytes(&config, &filled(&config), Kind::Bf16), eyes_bytes(&config, &SIGHT, Kind::Bf16)]
});

/// Reads everything there is; what matters is that it comes back.
fn read_all(bytes: &[u8]) -> Result<(), Error> {
    let file = Gguf::open(bytes)?;
    let within = file.tensors().values().all(|t| t.range.start <= t.range.end && t.range.end <= bytes.len());
    assert!(within);
    for value in file.metadata().values() {
        if let Value::Array(array) = value {
            assert_eq!(array.values().count(), array.len());
        }
    }
    let vocabulary = file.vocabulary();
    match file.eyes(4) {
        Ok(_) => file.fill(&seeing(), &mut store(&seeing())),
        Err(_) => {
            let config = Config { eyes: seeing().eyes, ..file.config()? };
            config.check()?;
            file.fill(&seeing(), &mut store(&seeing()))?;
            vocabulary.map(drop)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_prefix_is_taken_for_the_file(cut in 0usize..1 << 20, which in 0usize..2) {
        let bytes = &WHOLE[which];
        // The last tensor's padding may be missing.
        let cut = cut % (bytes.len() - ALIGNMENT);
        prop_assert!(read_all(&bytes[..cut]).is_err());
    }

    #[test]
    fn changed_bytes_are_an_error_or_another_model(
        changes in prop::collection::vec((0usize..1 << 20, any::<u8>()), 1..6),
        words in prop::collection::vec((0usize..1 << 20, prop_oneof![Just(u64::MAX), Just(1 << 62), Just(1 << 31), Just(0), any::<u64>()]), 0..2),
        which in 0usize..2,
    ) {
        let mut bytes = WHOLE[which].clone();
        let head = Gguf::open(&WHOLE[which]).unwrap().tensors().values().map(|t| t.range.start).min().unwrap();
        for (at, value) in changes {
            bytes[at % head] = value;
        }
        for (at, word) in words {
            let at = at % (head - 8);
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        let _ = read_all(&bytes);
    }

    #[test]
    fn noise_is_an_error(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [&b"GGUF\x03\0\0\0"[..], &noise].concat();
        prop_assert!(read_all(&bytes).is_err());
    }
}
