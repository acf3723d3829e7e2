//! A model's eyes as llama.cpp's `clip` file (its `mmproj`), in and out: tools/mtmd/clip.cpp, projector `idefics3`.
//!
//! It holds what Idefics3's layout holds, and of the preparation of pictures means, deviations, the tile and the longest edge;
//! that pictures are cut into tiles and scaled with Lanczos's filter is fixed there.

use super::read::{Gguf, Value};
use super::write::{Metadata, file};
use super::{Kind, Place, refused, tag};
use crate::vision::VisionConfig;
use crate::{Config, Error, Eyes};
use engine::Store;
use std::io::Write;

/// `general.architecture` of such files.
pub(super) const ARCHITECTURE: &str = "clip";
const PROJECTOR: &str = "idefics3";

/// How pictures are prepared, as far as a file holds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    /// Subtracted from each channel, of values from 0 to 1.
    pub mean: [f32; 3],
    /// What it is divided by then.
    pub deviation: [f32; 3],
    /// Pixels to which the longer side is scaled; none: as it comes.
    pub longest_edge: Option<u32>,
}

/// Writes the encoder and the connector of a model with eyes: matrices as `kind`; norms, biases and what patches and places are
/// embedded by as 32-bit floats, as llama.cpp's own converter does.
///
/// # Errors
/// A model without eyes or of a layout that the file cannot hold, a parameter that the store does not hold, or a failed write.
pub fn write_eyes(
    out: &mut dyn Write,
    config: &Config,
    params: &Store,
    sight: &Sight,
    kind: Kind,
) -> Result<(), Error> {
    config.check()?;
    let Some(eyes) = &config.eyes else { return Err(blind()) };
    let vision = &eyes.vision;
    if eyes.is_llava() {
        return Err(refused(
            "model_type",
            "GGUF is written of the eyes of Idefics3's layout, not of LLaVA's",
        ));
    }
    if vision.intermediate_size == vision.hidden_size {
        let reason =
            "as large as hidden_size it cannot be written: llama.cpp takes the two maps for each other";
        return Err(refused("vision_config.intermediate_size", reason));
    }
    let mut m = Metadata::new(ARCHITECTURE, "mmproj", kind);
    m.bool("clip.has_vision_encoder", true);
    m.text("clip.projector_type", PROJECTOR);
    m.bool("clip.use_gelu", true);
    // Sizes fit: `Config::check` keeps them far below 2³².
    for (key, size) in [
        ("projection_dim", config.hidden_size),
        ("image_size", vision.image_size),
        ("patch_size", vision.patch_size),
        ("embedding_length", vision.hidden_size),
        ("feed_forward_length", vision.intermediate_size),
        ("block_count", vision.num_hidden_layers),
        ("attention.head_count", vision.num_attention_heads),
        ("projector.scale_factor", eyes.scale_factor),
    ] {
        m.u32(&key_of(key), size as u32);
    }
    if let Some(edge) = sight.longest_edge {
        m.u32(&key_of("preproc_image_size"), edge);
    }
    m.f32(&key_of("attention.layer_norm_epsilon"), vision.layer_norm_eps);
    for (key, values) in [("image_mean", &sight.mean), ("image_std", &sight.deviation)] {
        m.array(&key_of(key), tag::F32, values, |bytes, value| bytes.extend(value.to_le_bytes()));
    }
    file(out, m, &encoder(config)?, params, kind)
}

fn key_of(name: &str) -> String {
    format!("clip.vision.{name}")
}

fn blind() -> Error {
    refused("vision_config", "the model has no eyes")
}

/// The parameters of encoder and connector.
pub(super) fn encoder(config: &Config) -> Result<Vec<Place>, Error> {
    let eyes = config.eyes.as_ref().ok_or_else(blind)?;
    let place = |(parameter, shape): (String, Vec<usize>)| {
        let name = name(&parameter).ok_or_else(|| refused(&parameter, "it has no name in GGUF"))?;
        let whole = shape.len() == 1 || parameter.contains(".embeddings.");
        Ok(Place { parameter, name, shape, turned: None, whole })
    };
    eyes.vision.shapes(eyes.scale_factor, config.hidden_size).into_iter().map(place).collect()
}

/// llama.cpp's name of a parameter; `None` for names that are not ours.
fn name(parameter: &str) -> Option<String> {
    let (stem, end) = parameter.rsplit_once('.')?;
    let whole = match stem {
        "model.vision_model.embeddings.patch_embedding" => "v.patch_embd",
        "model.vision_model.embeddings.position_embedding" => "v.position_embd",
        "model.vision_model.post_layernorm" => "v.post_ln",
        "model.connector.modality_projection.proj" => "mm.model.fc",
        _ => "",
    };
    if !whole.is_empty() {
        return Some(format!("{whole}.{end}"));
    }
    let (layer, part) = stem.strip_prefix("model.vision_model.encoder.layers.")?.split_once('.')?;
    let part = match part {
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.out_proj" => "attn_out",
        "layer_norm1" => "ln1",
        "layer_norm2" => "ln2",
        "mlp.fc1" => "ffn_up",
        "mlp.fc2" => "ffn_down",
        _ => return None,
    };
    Some(format!("v.blk.{layer}.{part}.{end}"))
}

impl Gguf<'_> {
    /// The eyes that a `clip` file holds, for a vocabulary whose pictures stand as `image_token_id`, and how their pictures are
    /// prepared. What would change what is seen and is not supported here is refused by key.
    pub fn eyes(&self, image_token_id: u32) -> Result<(Eyes, Sight), Error> {
        let wanted = |key: &str, is: &str| match self.text(key)?.unwrap_or_default() {
            found if found == is => Ok(()),
            found => Err(refused(key, format!("'{found}' is not supported, only {is}"))),
        };
        wanted("general.architecture", ARCHITECTURE)?;
        wanted("clip.projector_type", PROJECTOR)?;
        for (key, is) in [
            ("clip.has_vision_encoder", true),
            ("clip.use_gelu", true),
            ("clip.use_silu", false),
            ("clip.has_audio_encoder", false),
        ] {
            if *self.metadata().get(key).unwrap_or(&Value::Bool(false)) != Value::Bool(is) {
                return Err(refused(key, format!("only {is} is supported")));
            }
        }
        let size = |name: &str| self.required(&key_of(name));
        let (width, heads) = (size("embedding_length")?, size("attention.head_count")?);
        for (name, is) in [("attention.head_count_kv", heads), ("attention.head_dim", width / heads.max(1))] {
            if let Some(other) = self.optional(&key_of(name))?.filter(|&other| other != is) {
                return Err(refused(&key_of(name), format!("{other} is not supported, only {is}")));
            }
        }
        for name in ["feature_layer", "image_min_pixels", "image_max_pixels"] {
            if self.metadata().contains_key(key_of(name).as_str()) {
                return Err(refused(&key_of(name), "it is not supported"));
            }
        }
        let epsilon = key_of("attention.layer_norm_epsilon");
        let vision = VisionConfig {
            hidden_size: width,
            intermediate_size: size("feed_forward_length")?,
            layer_norm_eps: self.float(&epsilon)?.ok_or_else(|| refused(&epsilon, "the key is missing"))?,
            ..VisionConfig::new(1, size("block_count")?, heads, size("image_size")?, size("patch_size")?)
        };
        let factor = size("projector.scale_factor")?;
        vision.check(factor)?;
        let [mean, deviation] = [self.three("image_mean")?, self.three("image_std")?];
        if deviation.contains(&0.0) {
            return Err(refused(&key_of("image_std"), "0 divides nothing"));
        }
        let edge = self.optional(&key_of("preproc_image_size"))?.filter(|&edge| edge > 0);
        let longest_edge = edge
            .map(|edge| {
                u32::try_from(edge).map_err(|_| refused("clip.vision.preproc_image_size", "it is no size"))
            })
            .transpose()?;
        Ok((Eyes::new(vision, factor, image_token_id), Sight { mean, deviation, longest_edge }))
    }

    /// A number a channel.
    fn three(&self, name: &str) -> Result<[f32; 3], Error> {
        let key = key_of(name);
        let array = self.array(&key)?.ok_or_else(|| refused(&key, "the key is missing"))?;
        let number = |value| match value {
            Value::Float(number) if number.is_finite() => Some(number as f32),
            _ => None,
        };
        let numbers: Option<Vec<f32>> =
            if array.len() == 3 { array.values().map(number).collect() } else { None };
        numbers
            .and_then(|numbers| numbers.try_into().ok())
            .ok_or_else(|| refused(&key, "it is not three numbers, one a channel"))
    }
}
