//! The architecture, in Hugging Face's field names: `config.json` is its only source.

use crate::Error;
use crate::vision::VisionConfig;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A decoder of the Llama layout, with per-head norms of queries and keys (Qwen3) or without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `Qwen3ForCausalLM` or `LlamaForCausalLM`.
    pub architectures: Vec<String>,
    /// `qwen3` or `llama`.
    pub model_type: String,
    /// Tokens.
    pub vocab_size: usize,
    /// Channels (C).
    pub hidden_size: usize,
    /// Hidden size of the feed-forward part.
    pub intermediate_size: usize,
    /// Layers (L).
    pub num_hidden_layers: usize,
    /// Query heads (H).
    pub num_attention_heads: usize,
    /// Key and value heads.
    #[serde(default)]
    pub num_key_value_heads: usize,
    /// Size of a head (D).
    #[serde(default)]
    pub head_dim: usize,
    /// Only `silu`.
    pub hidden_act: String,
    /// Added to mean squares.
    pub rms_norm_eps: f64,
    /// Base of the rotary angles.
    #[serde(default)]
    pub rope_theta: f64,
    /// Context length.
    pub max_position_embeddings: usize,
    /// Whether the head is the embedding.
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// Token that starts a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos_token_id: Option<u32>,
    /// Token that ends one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eos_token_id: Option<u32>,
    /// Biases of the attention's maps: only false.
    #[serde(default)]
    pub attention_bias: bool,
    /// Biases of the feed-forward maps: only false.
    #[serde(default)]
    pub mlp_bias: bool,
    /// What the weights are stored as.
    #[serde(default = "float32")]
    pub torch_dtype: String,
    /// What is ours alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foretell: Option<Map<String, Value>>,
    /// What pictures go through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eyes: Option<Eyes>,
}

/// A vision encoder and how it is joined to the decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eyes {
    /// `idefics3` or `smolvlm`, which differ in name alone, or `llava`; `foretell_patches` without an encoder.
    pub layout: String,
    /// The token in whose place a row of a picture stands.
    pub image_token_id: u32,
    /// A token is a square of patches with sides of so many.
    pub scale_factor: usize,
    /// The encoder.
    pub vision: VisionConfig,
}

impl Eyes {
    /// Tokens of a tile.
    pub fn tokens(&self) -> usize {
        self.vision.patches() / (self.scale_factor * self.scale_factor)
    }

    /// An encoder of our own beside a decoder.
    pub fn new(vision: VisionConfig, scale_factor: usize, image_token_id: u32) -> Eyes {
        let layout = if vision.encodes() { LAYOUTS[0].0 } else { OURS.0 };
        Eyes { layout: layout.into(), image_token_id, scale_factor, vision }
    }

    /// The order in which the encoder takes a tile's patches.
    pub fn order(&self) -> Vec<usize> {
        self.vision.order(self.scale_factor)
    }

    /// Whether a picture is one tile and nothing else around it, LLaVA's way.
    pub fn is_llava(&self) -> bool {
        self.layout == LLAVA
    }

    fn architecture(&self) -> Option<&'static str> {
        architecture(&LAYOUTS, &self.layout)
    }
}

/// Types of decoders, and the architectures by which Hugging Face knows them.
const DECODERS: [(&str, &str); 2] = [("qwen3", "Qwen3ForCausalLM"), ("llama", "LlamaForCausalLM")];

/// The same of decoders with eyes.
const LAYOUTS: [(&str, &str); 4] = [
    ("idefics3", "Idefics3ForConditionalGeneration"),
    ("smolvlm", "SmolVLMForConditionalGeneration"),
    (LLAVA, "LlavaForConditionalGeneration"),
    OURS,
];
const LLAVA: &str = "llava";

/// Patches without an encoder, which nobody else reads.
const OURS: (&str, &str) = ("foretell_patches", "ForetellPatchesForConditionalGeneration");

/// What LLaVA's `config.json` says of what is done here one way: its name, what it means where it is left out, what is done.
fn llava_choices(layers: usize) -> [(&'static str, Value, Vec<Value>); 4] {
    [
        ("projector_hidden_act", "gelu".into(), vec!["gelu".into()]),
        ("multimodal_projector_bias", true.into(), vec![true.into()]),
        ("vision_feature_select_strategy", "default".into(), vec!["full".into()]),
        ("vision_feature_layer", (-2).into(), vec![(-1).into(), layers.into()]),
    ]
}

fn architecture(known: &[(&str, &'static str)], kind: &str) -> Option<&'static str> {
    known.iter().find(|(name, _)| *name == kind).map(|(_, architecture)| *architecture)
}

fn float32() -> String {
    "float32".into()
}

/// Largest size that is accepted along any axis, far above any model.
const MOST: usize = 1 << 24;

/// The sizes that make a configuration of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Tokens (V).
    pub vocab: usize,
    /// Channels (C).
    pub width: usize,
    /// Hidden size of the feed-forward part.
    pub ffn: usize,
    /// Layers (L).
    pub layers: usize,
    /// Query heads (H).
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Size of a head (D).
    pub head_dim: usize,
    /// Context length.
    pub context: usize,
    /// Whether the head is the embedding.
    pub tied: bool,
}

impl Config {
    /// A Qwen3 configuration of these sizes, checked.
    pub fn new(sizes: Sizes) -> Result<Config, Error> {
        let config = Config {
            architectures: vec!["Qwen3ForCausalLM".into()],
            model_type: "qwen3".into(),
            vocab_size: sizes.vocab,
            hidden_size: sizes.width,
            intermediate_size: sizes.ffn,
            num_hidden_layers: sizes.layers,
            num_attention_heads: sizes.heads,
            num_key_value_heads: sizes.kv_heads,
            head_dim: sizes.head_dim,
            hidden_act: "silu".into(),
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            max_position_embeddings: sizes.context,
            tie_word_embeddings: sizes.tied,
            bos_token_id: None,
            eos_token_id: None,
            attention_bias: false,
            mlp_bias: false,
            torch_dtype: float32(),
            foretell: None,
            eyes: None,
        };
        config.check()?;
        Ok(config)
    }

    /// Reads a `config.json`. What would change the result and is not supported is refused by name.
    pub fn from_json(bytes: &[u8]) -> Result<Config, Error> {
        let mut value: Value = serde_json::from_slice(bytes).map_err(Error::json("config.json"))?;
        let object = value.as_object_mut().ok_or_else(|| Error::field("config.json", "it is no object"))?;
        if object.contains_key("eyes") {
            return Err(Error::field("eyes", "it is no field of config.json"));
        }
        if object.contains_key("vision_config") {
            flatten(object)?;
        }
        newer_names(object)?;
        let refused = |name: &str, harmless: &[Value]| match object.get(name) {
            Some(v) if !harmless.contains(v) => Err(Error::field(name, format!("{v} is not supported"))),
            _ => Ok(()),
        };
        refused("rope_scaling", &[Value::Null])?;
        refused("use_sliding_window", &[Value::Null, false.into()])?;
        refused("pretraining_tp", &[Value::Null, 1.into()])?;
        refused("partial_rotary_factor", &[Value::Null, 1.0.into(), 1.into()])?;
        let mut config: Config = serde_json::from_value(value).map_err(Error::json("config.json"))?;
        if config.num_key_value_heads == 0 {
            config.num_key_value_heads = config.num_attention_heads;
        }
        if config.head_dim == 0 && config.num_attention_heads > 0 {
            config.head_dim = config.hidden_size / config.num_attention_heads;
        }
        if config.rope_theta == 0.0 {
            config.rope_theta = 10_000.0;
        }
        config.check()?;
        Ok(config)
    }

    /// The bytes of a `config.json`.
    pub fn to_json(&self) -> Vec<u8> {
        let nested = self.eyes.as_ref().and_then(|eyes| self.nested(eyes));
        let mut text = match nested {
            Some(nested) => serde_json::to_vec_pretty(&nested),
            None => serde_json::to_vec_pretty(self),
        }
        .unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// As Hugging Face writes it: decoder and encoder under names of their own.
    fn nested(&self, eyes: &Eyes) -> Option<Value> {
        let text = Config { eyes: None, foretell: None, ..self.clone() };
        let mut whole = serde_json::json!({
            "architectures": [eyes.architecture()?],
            "model_type": eyes.layout,
            "tie_word_embeddings": self.tie_word_embeddings,
            "torch_dtype": self.torch_dtype,
            "text_config": text,
            "vision_config": eyes.vision,
        });
        if eyes.is_llava() {
            whole["image_token_index"] = eyes.image_token_id.into();
            whole["image_seq_length"] = eyes.tokens().into();
            for (name, _, done) in llava_choices(eyes.vision.num_hidden_layers) {
                whole[name] = done.into_iter().next()?;
            }
        } else {
            whole["image_token_id"] = eyes.image_token_id.into();
            whole["scale_factor"] = eyes.scale_factor.into();
        }
        if let Some(ours) = &self.foretell {
            whole["foretell"] = Value::Object(ours.clone());
        }
        Some(whole)
    }

    /// The bytes of a `generation_config.json`.
    pub fn generation_json(&self) -> Vec<u8> {
        let value = serde_json::json!({
            "bos_token_id": self.bos_token_id,
            "eos_token_id": self.eos_token_id,
            "max_length": self.max_position_embeddings,
        });
        format!("{value:#}\n").into_bytes()
    }

    /// Whether all sizes make a decoder that we have.
    pub fn check(&self) -> Result<(), Error> {
        let known = architecture(&DECODERS, &self.model_type)
            .is_some_and(|known| self.architectures.first().is_none_or(|one| one == known));
        if !known {
            let reason = format!(
                "{} / {:?}: only Qwen3ForCausalLM and LlamaForCausalLM",
                self.model_type, self.architectures
            );
            return Err(Error::field("model_type", reason));
        }
        for (name, size) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            if size == 0 || size > MOST {
                return Err(Error::field(name, format!("{size} is outside of 1..={MOST}")));
            }
        }
        let require = |holds: bool, name: &str, reason: &str| {
            if holds { Ok(()) } else { Err(Error::field(name, reason)) }
        };
        require(self.head_dim.is_multiple_of(2), "head_dim", "rotary positions need an even head size")?;
        require(self.head_dim <= 512, "head_dim", "heads above 512 are not supported")?;
        require(
            self.num_attention_heads.is_multiple_of(self.num_key_value_heads),
            "num_key_value_heads",
            "it must divide num_attention_heads",
        )?;
        require(self.num_hidden_layers <= 4096, "num_hidden_layers", "at most 4096 layers")?;
        require(self.hidden_act == "silu", "hidden_act", "only silu is supported")?;
        require(
            !self.attention_bias && !self.mlp_bias,
            "attention_bias",
            "maps with biases are not supported",
        )?;
        require(self.rms_norm_eps > 0.0 && self.rms_norm_eps < 1.0, "rms_norm_eps", "it must be in 0..1")?;
        require(
            self.rope_theta >= 1.0 && self.rope_theta.is_finite(),
            "rope_theta",
            "it must be at least 1",
        )?;
        if let Some(eyes) = &self.eyes {
            let known = eyes.architecture().is_some() && (eyes.layout == OURS.0) != eyes.vision.encodes();
            require(known, "model_type", EYED)?;
            let tower = eyes.is_llava() == eyes.vision.is_siglip();
            require(
                tower,
                "vision_config.model_type",
                "llava has a siglip_vision_model, the others have not",
            )?;
            require((eyes.image_token_id as usize) < self.vocab_size, "image_token_id", "it is no token")?;
            eyes.vision.check(eyes.scale_factor)?;
        }
        let total = self.shapes().iter().try_fold(0usize, |sum, (_, shape)| {
            shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).and_then(|n| sum.checked_add(n))
        });
        require(
            total.is_some_and(|n| n < 1 << 48),
            "hidden_size",
            "the model has more parameters than can be counted",
        )
    }

    /// Refuses a model that only this program reads.
    pub fn readable_elsewhere(&self) -> Result<(), Error> {
        match self.eyes.as_ref().filter(|eyes| !eyes.vision.encodes()) {
            None => Ok(()),
            Some(eyes) => {
                let reason = "no other layout has pictures without an encoder; foretell reads the run's own checkpoints";
                Err(Error::field(&format!("model_type {}", eyes.layout), reason))
            }
        }
    }

    /// Whether queries and keys are normed per head.
    pub fn has_qk_norm(&self) -> bool {
        self.model_type == "qwen3"
    }

    /// Width of the queries: heads times head size.
    pub fn attention_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// The decoder's `model.…` as it is called beside an encoder.
    pub fn name(&self, name: &str) -> String {
        match (&self.eyes, name.strip_prefix("model.")) {
            (Some(eyes), Some(rest)) if eyes.is_llava() => format!("model.language_model.{rest}"),
            (Some(_), Some(rest)) => format!("model.text_model.{rest}"),
            _ => name.into(),
        }
    }

    /// Names and shapes of all parameters: embedding, layers, last norm, head, and the encoder's.
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let (c, f, d) = (self.hidden_size, self.intermediate_size, self.head_dim);
        let (q, kv) = (self.attention_width(), self.num_key_value_heads * d);
        let mut list = vec![(self.name("model.embed_tokens.weight"), vec![self.vocab_size, c])];
        for layer in 0..self.num_hidden_layers {
            let mut push = |name: &str, shape: &[usize]| {
                list.push((self.name(&format!("model.layers.{layer}.{name}.weight")), shape.to_vec()))
            };
            push("self_attn.q_proj", &[q, c]);
            push("self_attn.k_proj", &[kv, c]);
            push("self_attn.v_proj", &[kv, c]);
            push("self_attn.o_proj", &[c, q]);
            push("mlp.gate_proj", &[f, c]);
            push("mlp.up_proj", &[f, c]);
            push("mlp.down_proj", &[c, f]);
            push("input_layernorm", &[c]);
            push("post_attention_layernorm", &[c]);
            if self.has_qk_norm() {
                push("self_attn.q_norm", &[d]);
                push("self_attn.k_norm", &[d]);
            }
        }
        list.push((self.name("model.norm.weight"), vec![c]));
        if !self.tie_word_embeddings {
            list.push(("lm_head.weight".into(), vec![self.vocab_size, c]));
        }
        list.extend(self.eyes.iter().flat_map(|eyes| eyes.vision.shapes(eyes.scale_factor, c)));
        list
    }

    /// All parameters.
    pub fn parameters(&self) -> usize {
        self.shapes().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// N: weights that multiply, the encoder's among them. The head counts, tied or not; the input embedding does not.
    pub fn multiplying(&self) -> usize {
        let seen = |eyes: &Eyes| eyes.vision.multiplying(eyes.scale_factor, self.hidden_size);
        self.decoding() + self.eyes.as_ref().map_or(0, seen)
    }

    /// Those of the decoder alone.
    fn decoding(&self) -> usize {
        let (c, d) = (self.hidden_size, self.head_dim);
        let attention = 2 * c * self.attention_width() + 2 * c * self.num_key_value_heads * d;
        self.num_hidden_layers * (attention + 3 * c * self.intermediate_size) + self.vocab_size * c
    }

    /// Training FLOPs a token over rows of `seq` tokens, as the field counts them: `6N` and causal
    /// attention's `6 · L · T · H · D`; without what a tile takes. A check of the graph's own count.
    pub fn flops_per_token(&self, seq: usize) -> f64 {
        6.0 * self.decoding() as f64 + 6.0 * (self.num_hidden_layers * seq * self.attention_width()) as f64
    }
}

const EYED: &str =
    "only idefics3, smolvlm and llava have eyes, and foretell_patches without an encoder's layers";

/// Decoder and encoder of a nested `config.json` as the fields of a [`Config`].
fn flatten(object: &mut Map<String, Value>) -> Result<(), Error> {
    let mut take = |name: &str| object.remove(name).unwrap_or(Value::Null);
    let [mut vision, text, layout, token, factor] =
        ["vision_config", "text_config", "model_type", "image_token_id", "scale_factor"].map(&mut take);
    let Value::Object(mut text) = text else { return Err(Error::field("text_config", "it is no object")) };
    let layout = layout.as_str().unwrap_or_default();
    if architecture(&LAYOUTS, layout).is_none() {
        return Err(Error::field("model_type", format!("{layout}: {EYED}")));
    }
    let (token, factor) = match layout {
        LLAVA => (llava(object, &mut vision, token)?, 1.into()),
        _ => (token, if factor.is_null() { 2.into() } else { factor }),
    };
    let kind = text.get("model_type").and_then(Value::as_str).unwrap_or_default();
    if let Some(architecture) = architecture(&DECODERS, kind) {
        text.insert("architectures".into(), serde_json::json!([architecture]));
    }
    for name in ["tie_word_embeddings", "torch_dtype", "dtype", "foretell"] {
        if let Some(value) = object.remove(name).filter(|value| !value.is_null()) {
            text.insert(name.into(), value);
        }
    }
    let eyes = serde_json::json!({
        "layout": layout, "image_token_id": token, "scale_factor": factor, "vision": vision,
    });
    text.insert("eyes".into(), eyes);
    *object = text;
    Ok(())
}

/// Fills up what a LLaVA configuration leaves out of its SigLIP tower, refuses by name what is not done here, and gives the token
/// of pictures.
fn llava(object: &Map<String, Value>, vision: &mut Value, token: Value) -> Result<Value, Error> {
    let Value::Object(tower) = vision else { return Err(Error::field("vision_config", "it is no object")) };
    // Of SiglipVisionConfig in transformers; a tower is CLIP's where its kind is not said.
    tower.entry("model_type").or_insert_with(|| "clip_vision_model".into());
    for (name, size) in [("hidden_size", 768), ("num_attention_heads", 12), ("patch_size", 16)] {
        tower.entry(name).or_insert_with(|| size.into());
    }
    let layers = tower.get("num_hidden_layers").and_then(Value::as_u64).unwrap_or(12);
    for (name, left_out, done) in llava_choices(layers as usize) {
        let value = object.get(name).unwrap_or(&left_out);
        if !done.contains(value) {
            return Err(Error::field(name, format!("{value} is not supported, only {}", Value::Array(done))));
        }
    }
    Ok(if token.is_null() { object.get("image_token_index").cloned().unwrap_or(Value::Null) } else { token })
}

/// Since version 5, `transformers` writes `dtype` for `torch_dtype` and puts the rotary settings
/// under `rope_parameters`.
fn newer_names(object: &mut Map<String, Value>) -> Result<(), Error> {
    if let Some(dtype) = object.get("dtype").cloned() {
        object.entry("torch_dtype").or_insert(dtype);
    }
    if object.get("torch_dtype") == Some(&Value::Null) {
        object.remove("torch_dtype");
    }
    if let Some(rope) = object.get("rope_parameters").and_then(Value::as_object).cloned() {
        if let Some(kind) = rope.get("rope_type").filter(|kind| *kind != "default") {
            return Err(Error::field("rope_parameters", format!("rope_type {kind} is not supported")));
        }
        if let Some(theta) = rope.get("rope_theta") {
            object.entry("rope_theta").or_insert(theta.clone());
        }
    }
    for name in
        ["head_dim", "num_key_value_heads", "rope_theta", "attention_bias", "mlp_bias", "tie_word_embeddings"]
    {
        if object.get(name) == Some(&Value::Null) {
            object.remove(name);
        }
    }
    // A list of end tokens: the first is ours.
    if let Some(first) =
        object.get("eos_token_id").and_then(Value::as_array).and_then(|list| list.first()).cloned()
    {
        object.insert("eos_token_id".into(), first);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes() -> Sizes {
        Sizes {
            vocab: 300,
            width: 40,
            ffn: 100,
            layers: 2,
            heads: 3,
            kv_heads: 1,
            head_dim: 18,
            context: 160,
            tied: false,
        }
    }

    #[test]
    fn json_goes_both_ways() {
        let config = Config::new(sizes()).unwrap();
        assert_eq!(Config::from_json(&config.to_json()).unwrap(), config);
    }

    #[test]
    fn counts_agree_with_the_shapes() {
        let config = Config::new(sizes()).unwrap();
        let matrices: usize =
            config.shapes().iter().filter(|(_, s)| s.len() == 2).map(|(_, s)| s[0] * s[1]).sum();
        assert_eq!(config.multiplying(), matrices - 300 * 40);
        let tied = Config::new(Sizes { tied: true, ..sizes() }).unwrap();
        assert_eq!(tied.multiplying(), config.multiplying());
        assert_eq!(tied.parameters(), config.parameters() - 300 * 40);
    }

    #[test]
    fn what_would_change_the_result_is_refused_by_name() {
        let good: Value = serde_json::from_slice(&Config::new(sizes()).unwrap().to_json()).unwrap();
        for (name, value) in [
            ("rope_scaling", serde_json::json!({"type": "linear", "factor": 2.0})),
            ("rope_parameters", serde_json::json!({"rope_type": "yarn"})),
            ("use_sliding_window", true.into()),
            ("hidden_act", "gelu".into()),
            ("attention_bias", true.into()),
            ("num_key_value_heads", 2.into()),
            ("head_dim", 17.into()),
            ("vocab_size", 0.into()),
            ("hidden_size", (1u64 << 60).into()),
            ("model_type", "gpt2".into()),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            let text = Config::from_json(bad.to_string().as_bytes()).unwrap_err().to_string();
            assert!(text.contains(name), "{name}: {text}");
        }
        for bytes in [&b""[..], b"[]", b"{", b"{}", b"null", &[0xff]] {
            assert!(Config::from_json(bytes).is_err());
        }
    }
}
