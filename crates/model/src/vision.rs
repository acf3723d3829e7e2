//! The vision encoder: patches of pictures to rows of the decoder's width. SigLIP's layout (Zhai et al., arXiv:2303.15343) with
//! the pixel shuffle and connector of Idefics3 (Laurençon et al., arXiv:2408.12637), or the two maps of LLaVA (Liu et al.,
//! arXiv:2310.03744), by their names in Hugging Face's files.
//!
//! Pictures of all sizes are tiles of one size in one budget of patches, told apart by spans of attention alone. Patches come
//! in [the order](VisionConfig::order) in which those of a token stand side by side: attention does not mind, and the
//! shuffle is then another shape of the same numbers.
//!
//! An encoder of no layers is none: the patches of a token go through the connector alone, as they are, into the decoder's
//! width (Fuyu's early fusion: adept.ai/blog/fuyu-8b). That layout is ours alone.

use crate::Error;
use engine::op::{AddRow, Attention, Gelu, Mask, PatchEmbedding, Reshape};
use engine::{Data, Executable, Graph, Type, Value};
use serde::{Deserialize, Serialize};

/// `vision_config` of a `config.json`; what it leaves out is Hugging Face's default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VisionConfig {
    /// `idefics3_vision` or `smolvlm_vision`; `siglip_vision_model` in LLaVA's layout, `patches` without an encoder.
    #[serde(default = "model_type")]
    pub model_type: String,
    /// Channels (C).
    #[serde(default = "hidden_size")]
    pub hidden_size: usize,
    /// Hidden size of the feed-forward part.
    #[serde(default = "intermediate_size")]
    pub intermediate_size: usize,
    /// Layers; 0: no encoder, and the channels are the numbers of a patch.
    #[serde(default = "num_hidden_layers")]
    pub num_hidden_layers: usize,
    /// Heads.
    #[serde(default = "num_attention_heads")]
    pub num_attention_heads: usize,
    /// Colours of a pixel: only 3.
    #[serde(default = "num_channels")]
    pub num_channels: usize,
    /// Pixels of a tile's side.
    #[serde(default = "image_size")]
    pub image_size: usize,
    /// Pixels of a patch's side.
    #[serde(default = "patch_size")]
    pub patch_size: usize,
    /// Only `gelu_pytorch_tanh`.
    #[serde(default = "hidden_act")]
    pub hidden_act: String,
    /// Added to variances.
    #[serde(default = "layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// A SigLIP tower's pooling head, which LLaVA does not use: only false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vision_use_head: Option<bool>,
}

macro_rules! defaults {
    ($($name:ident: $type:ty = $value:expr;)*) => { $(fn $name() -> $type { $value.into() })* };
}

// Of Idefics3VisionConfig in transformers.
defaults! {
    model_type: String = "idefics3_vision";
    hidden_size: usize = 1152usize;
    intermediate_size: usize = 3072usize;
    num_hidden_layers: usize = 12usize;
    num_attention_heads: usize = 16usize;
    num_channels: usize = 3usize;
    image_size: usize = 224usize;
    patch_size: usize = 32usize;
    hidden_act: String = "gelu_pytorch_tanh";
    layer_norm_eps: f64 = 1e-6;
}

/// Largest size that is accepted along any axis.
const MOST: usize = 1 << 20;

impl VisionConfig {
    /// Whether all sizes make an encoder that we have, whose patches become tokens by squares of `scale_factor`.
    pub fn check(&self, scale_factor: usize) -> Result<(), Error> {
        let require = |holds: bool, name: &str, reason: &str| {
            if holds { Ok(()) } else { Err(Error::field(&format!("vision_config.{name}"), reason)) }
        };
        let known = match (self.encodes(), self.is_siglip()) {
            (true, true) => true,
            (true, false) => ["idefics3_vision", "smolvlm_vision"].contains(&&*self.model_type),
            (false, _) => self.model_type == PATCHES,
        };
        let towers = "only idefics3_vision and smolvlm_vision, siglip_vision_model in llava, and patches without layers are supported";
        require(known, "model_type", towers)?;
        let headless = !self.vision_use_head.unwrap_or(self.is_siglip());
        require(headless, "vision_use_head", "only false is supported: nothing uses the head")?;
        require(!self.is_siglip() || scale_factor == 1, "scale_factor", "llava has no pixel shuffle")?;
        for (name, size) in [
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_attention_heads", self.num_attention_heads),
            ("image_size", self.image_size),
            ("patch_size", self.patch_size),
        ] {
            require((1..=MOST).contains(&size), name, "it is outside of 1..=1048576")?;
        }
        require(self.num_hidden_layers <= 4096, "num_hidden_layers", "at most 4096 layers")?;
        require(self.num_channels == 3, "num_channels", "only 3 are supported")?;
        let divided = self.hidden_size.is_multiple_of(self.num_attention_heads);
        require(divided, "num_attention_heads", "it must divide hidden_size")?;
        require(self.head_dim() <= 512, "num_attention_heads", "heads above 512 are not supported")?;
        let channels = self.encodes() || self.hidden_size == self.patch_len();
        require(channels, "hidden_size", "without layers it is the numbers of a patch")?;
        let whole = self.image_size.is_multiple_of(self.patch_size);
        require(whole, "patch_size", "it must divide image_size")?;
        require(self.side() <= 1024, "patch_size", "at most 1024 patches a side are supported")?;
        let squares = scale_factor > 0 && self.side().is_multiple_of(scale_factor);
        require(squares, "image_size", "its patches must make whole squares of scale_factor")?;
        require(self.hidden_act == "gelu_pytorch_tanh", "hidden_act", "only gelu_pytorch_tanh is supported")?;
        let fits = self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0;
        require(fits, "layer_norm_eps", "it must be in 0..1")
    }

    /// Whether it is the tower of LLaVA's layout: its last layer goes without the last norm through two maps with biases and
    /// GELU between; otherwise through the norm, the pixel shuffle and one map.
    pub fn is_siglip(&self) -> bool {
        self.model_type == SIGLIP
    }

    /// What the encoder's parameters begin with.
    fn tower(&self) -> &'static str {
        if self.is_siglip() { "model.vision_tower" } else { "model.vision_model" }
    }

    /// Whether there is an encoder before the connector.
    pub fn encodes(&self) -> bool {
        self.num_hidden_layers > 0
    }

    /// Patches along a tile's side.
    pub fn side(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of a tile.
    pub fn patches(&self) -> usize {
        self.side() * self.side()
    }

    /// Numbers of a patch.
    pub fn patch_len(&self) -> usize {
        self.num_channels * self.patch_size * self.patch_size
    }

    /// An encoder of our own: Hugging Face's defaults but for these sizes. The feed-forward part is four times as wide.
    pub fn new(width: usize, layers: usize, heads: usize, tile: usize, patch: usize) -> VisionConfig {
        VisionConfig {
            model_type: model_type(),
            hidden_size: width,
            intermediate_size: 4 * width,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_channels: num_channels(),
            image_size: tile,
            patch_size: patch,
            hidden_act: hidden_act(),
            layer_norm_eps: layer_norm_eps(),
            vision_use_head: None,
        }
    }

    /// No encoder: patches as they are.
    pub fn patches_alone(tile: usize, patch: usize) -> VisionConfig {
        let numbers = num_channels() * patch * patch;
        VisionConfig { model_type: PATCHES.into(), ..VisionConfig::new(numbers, 0, 1, tile, patch) }
    }

    /// Weights that multiply, those of the connector to `width` channels among them.
    pub fn multiplying(&self, scale_factor: usize, width: usize) -> usize {
        let (c, f) = (self.hidden_size, self.intermediate_size);
        let layer = 4 * c * c + 2 * c * f;
        let embedding = if self.encodes() { c * self.patch_len() } else { 0 };
        let second = if self.is_siglip() { width * width } else { 0 };
        let connector = width * c * scale_factor * scale_factor + second;
        embedding + self.num_hidden_layers * layer + connector
    }

    /// FLOPs of a training step a tile: six a weight and a row that it multiplies, four for the patches, which have no
    /// gradient, and full attention's `12 · L · P · C` a patch. A check of the graph's own count.
    pub fn flops_per_tile(&self, width: usize) -> f64 {
        let (c, f, patches) = (self.hidden_size, self.intermediate_size, self.patches());
        // The connector's weight is s² times as tall, and its rows are s² times fewer.
        if !self.encodes() {
            return (patches * 4 * c * width) as f64;
        }
        let layer = 6 * (4 * c * c + 2 * c * f) + 12 * patches * c;
        let connector = 6 * width * (c + if self.is_siglip() { width } else { 0 });
        (patches * (4 * c * self.patch_len() + self.num_hidden_layers * layer + connector)) as f64
    }

    fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// A tile's patches, by their place row by row, in the order that the encoder takes: tokens row by row, and in each its
    /// square of patches row by row.
    pub fn order(&self, scale_factor: usize) -> Vec<usize> {
        let (side, square) = (self.side(), scale_factor);
        let mut order = Vec::with_capacity(side * side);
        for (top, left) in (0..side / square).flat_map(|y| (0..side / square).map(move |x| (y, x))) {
            for (y, x) in (0..square).flat_map(|y| (0..square).map(move |x| (y, x))) {
                order.push((top * square + y) * side + left * square + x);
            }
        }
        order
    }

    /// Names and shapes of the parameters, the connector's to `width` channels among them.
    pub fn shapes(&self, scale_factor: usize, width: usize) -> Vec<(String, Vec<usize>)> {
        let (c, f, p) = (self.hidden_size, self.intermediate_size, self.patch_size);
        let tower = self.tower();
        let mut list = Vec::new();
        let mut push = |name: String, shape: &[usize]| list.push((name, shape.to_vec()));
        if !self.encodes() {
            push(format!("{CONNECTOR}.weight"), &[width, c * scale_factor * scale_factor]);
            push(format!("{CONNECTOR}.bias"), &[width]);
            return list;
        }
        push(format!("{tower}.embeddings.patch_embedding.weight"), &[c, self.num_channels, p, p]);
        push(format!("{tower}.embeddings.patch_embedding.bias"), &[c]);
        push(format!("{tower}.embeddings.position_embedding.weight"), &[self.patches(), c]);
        for layer in 0..self.num_hidden_layers {
            let maps =
                ["k_proj", "v_proj", "q_proj", "out_proj"].map(|map| (format!("self_attn.{map}"), c, c));
            for (map, out, into) in
                maps.into_iter().chain([("mlp.fc1".into(), f, c), ("mlp.fc2".into(), c, f)])
            {
                push(format!("{tower}.encoder.layers.{layer}.{map}.weight"), &[out, into]);
                push(format!("{tower}.encoder.layers.{layer}.{map}.bias"), &[out]);
            }
            for norm in ["layer_norm1", "layer_norm2"] {
                push(format!("{tower}.encoder.layers.{layer}.{norm}.weight"), &[c]);
                push(format!("{tower}.encoder.layers.{layer}.{norm}.bias"), &[c]);
            }
        }
        // LLaVA's files hold this norm, too, though nothing goes through it.
        push(format!("{tower}.post_layernorm.weight"), &[c]);
        push(format!("{tower}.post_layernorm.bias"), &[c]);
        if self.is_siglip() {
            for (map, into) in MAPS.into_iter().zip([c, width]) {
                push(format!("{map}.weight"), &[width, into]);
                push(format!("{map}.bias"), &[width]);
            }
        } else {
            push(format!("{CONNECTOR}.weight"), &[width, c * scale_factor * scale_factor]);
        }
        list
    }

    /// What so many patches, whole tiles, become.
    ///
    /// Inputs: `pixels [patches, K]` (f32), normalised, red, green and blue after each other as a convolution's weight has
    /// them; `places` (their place in the tile; −1: unused), `patch_lo` and `patch_hi` (the patches that each sees: its
    /// tile's), i32 `[patches]` each.
    pub fn encode(
        &self,
        graph: &mut Graph,
        patches: usize,
        scale_factor: usize,
        width: usize,
    ) -> Result<Encoded, engine::Error> {
        let (c, f, heads) = (self.hidden_size, self.intermediate_size, self.num_attention_heads);
        let pixels = graph.input("pixels", Type::f32(&[patches, self.patch_len()]));
        let [places, low, high] =
            ["places", "patch_lo", "patch_hi"].map(|name| graph.input(name, Type::i32(&[patches])));
        let square = scale_factor * scale_factor;
        let joined = Reshape { shape: vec![patches / square, square * c] };
        if !self.encodes() {
            let connector = graph.param(&format!("{CONNECTOR}.weight"), &[width, square * c]);
            let bias = graph.param(&format!("{CONNECTOR}.bias"), &[width]);
            let joined = graph.apply1(joined, &[pixels])?;
            let mapped = graph.linear(joined, connector)?;
            return Ok(Encoded { layers: Vec::new(), rows: graph.apply1(AddRow, &[mapped, bias])? });
        }
        let (p, tower) = (self.patch_size, self.tower());
        let embeddings = format!("{tower}.embeddings");
        let weight =
            graph.param(&format!("{embeddings}.patch_embedding.weight"), &[c, self.num_channels, p, p]);
        let weight = graph.apply1(Reshape { shape: vec![c, self.patch_len()] }, &[weight])?;
        let bias = graph.param(&format!("{embeddings}.patch_embedding.bias"), &[c]);
        let table = graph.param(&format!("{embeddings}.position_embedding.weight"), &[self.patches(), c]);
        let mut x = graph.apply1(PatchEmbedding, &[pixels, weight, bias, table, places])?;
        let epsilon = self.layer_norm_eps as f32;
        let norm = |graph: &mut Graph, x: Value, name: &str| {
            let gain = graph.param(&format!("{name}.weight"), &[c]);
            let bias = graph.param(&format!("{name}.bias"), &[c]);
            graph.layer_norm(x, gain, bias, epsilon)
        };
        let map = |graph: &mut Graph, x: Value, name: &str, [out, into]: [usize; 2]| {
            let weight = graph.param(&format!("{name}.weight"), &[out, into]);
            let bias = graph.param(&format!("{name}.bias"), &[out]);
            let y = graph.linear(x, weight)?;
            graph.apply1(AddRow, &[y, bias])
        };
        let mut layers = Vec::new();
        for layer in 0..self.num_hidden_layers {
            let name = format!("{tower}.encoder.layers.{layer}");
            let normed = norm(graph, x, &format!("{name}.layer_norm1"))?;
            let [q, k, v] = ["q", "k", "v"].map(|which| format!("{name}.self_attn.{which}_proj"));
            let q = map(graph, normed, &q, [c, c])?;
            let k = map(graph, normed, &k, [c, c])?;
            let v = map(graph, normed, &v, [c, c])?;
            let block = self.patches();
            let attention = Attention { heads, kv_heads: heads, block, mask: Mask::Full, page_size: 0 };
            let mixed = graph.apply(attention, &[q, k, v, low, high])?[0];
            let out = map(graph, mixed, &format!("{name}.self_attn.out_proj"), [c, c])?;
            x = graph.sum(x, out)?;
            let normed = norm(graph, x, &format!("{name}.layer_norm2"))?;
            let hidden = map(graph, normed, &format!("{name}.mlp.fc1"), [f, c])?;
            let hidden = graph.apply1(Gelu { exact: false }, &[hidden])?;
            let out = map(graph, hidden, &format!("{name}.mlp.fc2"), [c, f])?;
            x = graph.sum(x, out)?;
            layers.push(x);
        }
        if self.is_siglip() {
            let hidden = map(graph, x, MAPS[0], [width, c])?;
            let hidden = graph.apply1(Gelu { exact: true }, &[hidden])?;
            return Ok(Encoded { layers, rows: map(graph, hidden, MAPS[1], [width, width])? });
        }
        let x = norm(graph, x, &format!("{tower}.post_layernorm"))?;
        let joined = graph.apply1(joined, &[x])?;
        let connector = graph.param(&format!("{CONNECTOR}.weight"), &[width, square * c]);
        Ok(Encoded { layers, rows: graph.linear(joined, connector)? })
    }
}

/// What patches become.
pub struct Encoded {
    /// The encoder's residual stream after each layer `[patches, C]`.
    pub layers: Vec<Value>,
    /// What the decoder gets `[patches / scale_factor², width]`.
    pub rows: Value,
}

/// Hands an executable the inputs of [`VisionConfig::encode`], and the places of a tile's tokens (`image_rows`).
pub fn upload(
    executable: &mut dyn Executable,
    pixels: &[f32],
    places: &[i32],
    (low, high): (&[i32], &[i32]),
    image_rows: &[i32],
) -> Result<(), engine::Error> {
    executable.upload("pixels", Data::F32(pixels))?;
    for (name, values) in
        [("places", places), ("patch_lo", low), ("patch_hi", high), ("image_rows", image_rows)]
    {
        executable.upload(name, Data::I32(values))?;
    }
    Ok(())
}

const SIGLIP: &str = "siglip_vision_model";
const CONNECTOR: &str = "model.connector.modality_projection.proj";
/// Those of LLaVA.
const MAPS: [&str; 2] = ["model.multi_modal_projector.linear_1", "model.multi_modal_projector.linear_2"];

/// The `model_type` of a model whose patches go into the decoder as they are.
pub(crate) const PATCHES: &str = "patches";

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> VisionConfig {
        serde_json::from_str(r#"{"image_size": 24, "patch_size": 4}"#).unwrap()
    }

    #[test]
    fn patches_of_a_token_stand_side_by_side() {
        let order = config().order(2);
        assert_eq!(order[..8], [0, 1, 6, 7, 2, 3, 8, 9]);
        assert_eq!(order[12..16], [12, 13, 18, 19]);
        let mut sorted = order;
        sorted.sort();
        assert!(sorted.into_iter().eq(0..36));
    }

    #[test]
    fn what_is_no_encoder_of_ours_is_refused_by_name() {
        config().check(2).unwrap();
        let refused = |name: &str, change: fn(&mut VisionConfig)| {
            let mut config = config();
            change(&mut config);
            let error = config.check(2).unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        };
        refused("model_type", |c| c.model_type = "clip_vision_model".into());
        refused("hidden_size", |c| c.hidden_size = 0);
        refused("num_attention_heads", |c| c.num_attention_heads = 7);
        refused("num_channels", |c| c.num_channels = 1);
        refused("patch_size", |c| c.patch_size = 5);
        refused("image_size", |c| c.image_size = 20);
        refused("hidden_act", |c| c.hidden_act = "gelu".into());
        refused("layer_norm_eps", |c| c.layer_norm_eps = f64::NAN);
        assert!(config().check(0).is_err() && config().check(4).is_err());
    }
}
