//! The one table of what is done to each parameter: initialisation, rate, decay, epsilon, optimiser.
//!
//! [`Parametrisation::Transfer`]: maximal update in width (muP: Yang et al., arXiv:2203.03466, table 8) and depth
//! (CompleteP: Dey et al., arXiv:2505.01618, table 1), in the form in which no multiplier stands in the forward pass,
//! so that the weights on disk are the weights. With `m` the fan-in and `l` the depth, both as multiples of those of
//! the base, AdamW's row is
//!
//! | role | initial | rate | decay | epsilon |
//! | --- | --- | --- | --- | --- |
//! | embedding | deviation 0.5 | 30 | – | `1/m` |
//! | map in a layer | deviation `1/√fan_in` | `1/m` | `m` | `1/(m·l)` |
//! | map back to the residual stream | deviation `1/(√fan_in·√(2·L₀)·l)` | `1/(2·m·l)` | `2·m·l` | `1/m` |
//! | norm's gain in a layer | 1 | 3 | – | `1/(m·l)` |
//! | last norm's gain | `1/m` | `1/m` | – | 1 |
//! | head | deviation `1/√fan_in₀` | 1 | 1 | `1/m` |
//!
//! The numbers are measured on bytes of books at widths 16 and 32: together they lower the loss by 4 to 6 %, and the
//! deviation between seeds at width 16 from 3 to 0.5 % (with an embedding of 0.02, a small model spends its run on
//! making one). They do not depend on the size. A head of zeros (ibid., appendix D.2) makes them
//! 1 to 3 % higher at widths 16 and 32, although narrow models then do not begin with logits that are too large.
//!
//! An encoder's patches are mapped as an embedding would be, for they have as many pixels at any width (deviation `1/√fan_in`, rate 1);
//! what its maps add begins at nought and learns as gains do. Its stack has a width and a depth of its own. Without an encoder,
//! what maps the patches into the decoder is such a map.
//!
//! Every part of a model (encoder, connector, decoder) has a [factor](Rates) on its rates besides; one whose factor is 0 is frozen.
//!
//! A branch of CompleteP is multiplied by `1/l`; here the weights that end it are, and with them their rate. Its
//! logits are multiplied by `1/m`; here the gain of the last norm is. Rate times decay is the same for all matrices,
//! so the time over which weights are averaged is that of the run's settings (Wang and Aitchison, arXiv:2405.13698).
//! Muon's step has the spectral norm `√max(rows, columns)`, where it should be that of the ratio of fan-out to
//! fan-in, a constant (Yang et al., arXiv:2310.17813): its rates are divided by `√m` instead of `m`.
//!
//! [`Parametrisation::Standard`]: PyTorch's defaults and one rate: embeddings of deviation 1, maps of deviation
//! `1/√(3·fan_in)`, gains 1.
//!
//! In both, decay falls on matrices only, neither on norms nor embeddings.

use crate::{Config, Error};
use engine::Store;
use engine::update::{Kind, Rule};
use serde::{Deserialize, Serialize};

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Token embedding.
    Embedding,
    /// A map inside a layer.
    Hidden,
    /// A map back into the residual stream.
    Output,
    /// A norm's gain in a layer.
    Norm,
    /// The gain of the norm before the head.
    LastNorm,
    /// The map to logits.
    Head,
    /// The map of a patch's pixels, as many at any width.
    Patch,
    /// What a map adds.
    Bias,
}

/// What follows a model's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parametrisation {
    /// Initial values, rates, decay and epsilon, so that the best settings of a small model are those of a large one.
    #[default]
    Transfer,
    /// Initial values alone, as PyTorch makes them.
    Standard,
}

/// Factors on the rates of a model's parts, and so on what decays; a part at 0 is frozen: it has no gradients and no moments.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// From patches to what is seen in them.
    pub encoder: f32,
    /// From there to the decoder's width.
    pub connector: f32,
    /// Embedding, layers, head.
    pub decoder: f32,
}

impl Default for Rates {
    fn default() -> Rates {
        Rates { encoder: 1.0, connector: 1.0, decoder: 1.0 }
    }
}

impl Rates {
    /// Whether every part has the table's rates.
    pub fn plain(&self) -> bool {
        *self == Rates::default()
    }

    /// All of them: name, factor, and whether a model has such a part.
    pub fn parts(&self, config: &Config) -> [(&'static str, f32, bool); 3] {
        let eyes = config.eyes.as_ref();
        let encodes = eyes.is_some_and(|eyes| eyes.vision.encodes());
        [
            ("encoder", self.encoder, encodes),
            ("connector", self.connector, eyes.is_some()),
            ("decoder", self.decoder, true),
        ]
    }

    /// That of a parameter.
    fn of(&self, name: &str) -> f32 {
        match name {
            _ if name.starts_with(ENCODER) => self.encoder,
            _ if name.starts_with(CONNECTOR) => self.connector,
            _ => self.decoder,
        }
    }
}

const ENCODER: &str = "model.vision_model.";
const CONNECTOR: &str = "model.connector.";

/// Width at which all factors are one.
pub const BASE_WIDTH: usize = 64;

/// Depth at which all factors are one.
pub const BASE_LAYERS: usize = 3;

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Hugging Face's name.
    pub name: String,
    /// Shape, `[out, in]` for maps.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// Initial values.
    pub initial: Initial,
    /// Optimiser, and factors on the run's rate, decay and epsilon.
    pub rule: Rule,
}

impl Parameter {
    /// Whether it is trained at all.
    pub fn trained(&self) -> bool {
        self.rule.rate > 0.0
    }
}

/// Initial values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// All the same.
    Constant(f64),
    /// Normal numbers of mean 0 and this deviation.
    Normal(f64),
}

/// Choices that the table depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// What follows the model's size.
    pub parametrisation: Parametrisation,
    /// Optimiser of the matrices inside layers; all else is AdamW's.
    pub hidden: Kind,
    /// Decoupled weight decay of matrices.
    pub decay: f32,
    /// Whether embeddings and norms decay too.
    pub decay_all: bool,
    /// AdamW's epsilon.
    pub epsilon: f32,
    /// Deviation of all initial matrices, instead of the table's.
    pub deviation: Option<f64>,
    /// Factors on the rates of parts.
    pub rates: Rates,
}

impl Default for Choice {
    fn default() -> Choice {
        Choice {
            parametrisation: Parametrisation::Transfer,
            hidden: Kind::AdamW,
            decay: 0.1,
            decay_all: false,
            epsilon: 1e-8,
            deviation: None,
            rates: Rates::default(),
        }
    }
}

/// Initial values, and factors on rate, decay and epsilon.
struct Row {
    initial: Initial,
    rate: f64,
    decay: f64,
    epsilon: f64,
}

impl Row {
    fn standard(role: Role, fan_in: f64) -> Row {
        let initial = match role {
            Role::Embedding => Initial::Normal(1.0),
            Role::Hidden | Role::Output | Role::Head | Role::Patch => {
                Initial::Normal((3.0 * fan_in).sqrt().recip())
            }
            Role::Bias => Initial::Constant(0.0),
            Role::Norm | Role::LastNorm => Initial::Constant(1.0),
        };
        Row { initial, rate: 1.0, decay: 1.0, epsilon: 1.0 }
    }

    /// `fan_in` is the map's; `base` what it is at the base; width and layers are those of the stack that it is in.
    fn transfer(role: Role, kind: Kind, (width, layers): (usize, usize), fan_in: f64, base: f64) -> Row {
        let m = width as f64 / BASE_WIDTH as f64;
        let l = layers as f64 / BASE_LAYERS as f64;
        let map = match kind {
            Kind::AdamW => fan_in / base,
            Kind::Muon => (fan_in / base).sqrt(),
        };
        let deviation = fan_in.sqrt().recip();
        let branch = (2.0 * BASE_LAYERS as f64).sqrt() * l;
        let row = |initial, rate: f64, epsilon| Row { initial, rate, decay: rate.recip(), epsilon };
        match role {
            Role::Embedding => row(Initial::Normal(0.5), 30.0, 1.0 / m),
            Role::Hidden => row(Initial::Normal(deviation), 1.0 / map, 1.0 / (m * l)),
            Role::Output => row(Initial::Normal(deviation / branch), 0.5 / (map * l), 1.0 / m),
            Role::Norm => row(Initial::Constant(1.0), 3.0, 1.0 / (m * l)),
            Role::LastNorm => row(Initial::Constant(1.0 / m), 1.0 / m, 1.0),
            Role::Head => row(Initial::Normal(base.sqrt().recip()), 1.0, 1.0 / m),
            Role::Patch => row(Initial::Normal(deviation), 1.0, 1.0 / m),
            Role::Bias => row(Initial::Constant(0.0), 3.0, 1.0 / (m * l)),
        }
    }
}

/// The table for a configuration, in the order of [`Config::shapes`].
pub fn table(config: &Config, choice: &Choice) -> Vec<Parameter> {
    let row = |(name, shape): (String, Vec<usize>)| {
        let role = role(&name, config);
        // A convolution's weight has a patch's pixels behind its channels.
        let fan_in = shape.iter().skip(1).product::<usize>() as f64;
        let matrix = matches!(role, Role::Hidden | Role::Output | Role::Head | Role::Patch);
        let stack = match &config.eyes {
            Some(eyes) if name.starts_with(ENCODER) => {
                (eyes.vision.hidden_size, eyes.vision.num_hidden_layers)
            }
            _ => (config.hidden_size, config.num_hidden_layers),
        };
        let kind = match role {
            Role::Hidden | Role::Output => choice.hidden,
            _ => Kind::AdamW,
        };
        let widths = match &config.eyes {
            _ if name.contains("down_proj") => 8.0 / 3.0,
            _ if name.contains("mlp.fc2.") => 4.0,
            Some(eyes) if name.starts_with(CONNECTOR) => eyes.scale_factor.pow(2) as f64,
            _ => 1.0,
        };
        let base = widths * BASE_WIDTH as f64;
        let row = match choice.parametrisation {
            Parametrisation::Transfer => Row::transfer(role, kind, stack, fan_in, base),
            Parametrisation::Standard => Row::standard(role, fan_in),
        };
        let initial = match (row.initial, choice.deviation) {
            (Initial::Normal(_), Some(deviation)) => Initial::Normal(deviation),
            (initial, _) => initial,
        };
        let decay = if matrix || choice.decay_all { f64::from(choice.decay) * row.decay } else { 0.0 };
        let epsilon = f64::from(choice.epsilon) * row.epsilon;
        let rule = Rule {
            name: name.clone(),
            kind,
            rate: (row.rate * f64::from(choice.rates.of(&name))) as f32,
            decay: decay as f32,
            epsilon: epsilon as f32,
        };
        Parameter { name, shape, role, initial, rule }
    };
    config.shapes().into_iter().map(row).collect()
}

fn role(name: &str, config: &Config) -> Role {
    let encodes = config.eyes.as_ref().is_none_or(|eyes| eyes.vision.encodes());
    match name {
        "model.embed_tokens.weight" | "model.text_model.embed_tokens.weight" => Role::Embedding,
        "lm_head.weight" => Role::Head,
        "model.norm.weight" | "model.text_model.norm.weight" => Role::LastNorm,
        _ if name.ends_with(".bias") => Role::Bias,
        _ if name.ends_with("position_embedding.weight") => Role::Embedding,
        _ if name.ends_with("patch_embedding.weight") => Role::Patch,
        _ if name.starts_with(CONNECTOR) && !encodes => Role::Patch,
        _ if name.contains("norm") => Role::Norm,
        _ if ["o_proj", "out_proj", "down_proj", "mlp.fc2"].iter().any(|map| name.contains(map)) => {
            Role::Output
        }
        _ => Role::Hidden,
    }
}

/// Fills a store with the initial values of `seed`. Each number depends only on the seed, the
/// parameter's name and its place, so neither order nor threads matter.
pub fn initialise(table: &[Parameter], seed: u64, store: &mut Store) -> Result<(), Error> {
    for parameter in table {
        let len: usize = parameter.shape.iter().product();
        let values: Vec<f32> = match parameter.initial {
            Initial::Constant(value) => vec![value as f32; len],
            Initial::Normal(deviation) => {
                let stream =
                    parameter.name.bytes().fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)));
                (0..len.div_ceil(2) as u64)
                    .flat_map(|i| normals(stream, i))
                    .take(len)
                    .map(|x| (deviation * x) as f32)
                    .collect()
            }
        };
        store.write(&parameter.name, &values)?;
    }
    Ok(())
}

/// SplitMix64's step (Steele, Lea and Flood 2014).
fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The `i`-th pair of standard normal numbers of a stream (Box and Muller 1958).
fn normals(stream: u64, i: u64) -> [f64; 2] {
    let bits = mix(stream.wrapping_add(mix(i)));
    let (a, b) = ((bits >> 32) as f64 + 0.5, (bits & 0xffff_ffff) as f64 + 0.5);
    let unit = 1.0 / 4_294_967_296.0;
    let (sin, cos) = (std::f64::consts::TAU * b * unit).sin_cos();
    let length = (-2.0 * (a * unit).ln()).sqrt();
    [length * cos, length * sin]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sizes;

    fn config() -> Config {
        let sizes = Sizes {
            vocab: 500,
            width: 64,
            ffn: 192,
            layers: 2,
            heads: 2,
            kv_heads: 2,
            head_dim: 32,
            context: 64,
            tied: false,
        };
        Config::new(sizes).unwrap()
    }

    #[test]
    fn every_parameter_has_its_role() {
        let choice = Choice { hidden: Kind::Muon, ..Choice::default() };
        for parameter in table(&config(), &choice) {
            let matrix = parameter.shape.len() == 2;
            assert_eq!(matches!(parameter.role, Role::Norm | Role::LastNorm), !matrix, "{}", parameter.name);
            assert_eq!(parameter.rule.decay > 0.0, matrix && parameter.role != Role::Embedding);
            let inside = parameter.name.contains("_proj");
            assert_eq!(parameter.rule.kind == Kind::Muon, inside, "{}", parameter.name);
        }
    }

    #[test]
    fn an_encoder_has_a_width_of_its_own() {
        let vision = r#"{"hidden_size": 128, "num_attention_heads": 4, "intermediate_size": 512, "num_hidden_layers": 6,
            "image_size": 16, "patch_size": 4}"#;
        let eyes = crate::config::Eyes {
            layout: "idefics3".into(),
            image_token_id: 499,
            scale_factor: 2,
            vision: serde_json::from_str(vision).unwrap(),
        };
        let config = Config { eyes: Some(eyes), ..config() };
        config.check().unwrap();
        let table = table(&config, &Choice::default());
        let of = |name: &str| table.iter().find(|one| one.name.ends_with(name)).unwrap();
        assert_eq!(of("text_model.norm.weight").role, Role::LastNorm);
        assert_eq!(of("patch_embedding.weight").initial, Initial::Normal(48f64.sqrt().recip()));
        assert_eq!(
            (of("patch_embedding.weight").rule.rate, of("patch_embedding.bias").role),
            (1.0, Role::Bias)
        );
        // Twice the base's width and depth; the decoder has the width of the base, and two thirds of its depth.
        assert_eq!(of("layers.5.self_attn.out_proj.weight").rule.rate, 0.5 / 4.0);
        assert_eq!(of("layers.5.mlp.fc2.weight").rule.rate, 0.5 / 4.0);
        assert_eq!(of("layers.5.mlp.fc1.weight").rule.rate, 0.5);
        assert_eq!(of("text_model.layers.1.mlp.up_proj.weight").rule.rate, 1.0);
        assert_eq!(of("modality_projection.proj.weight").rule.rate, 0.5);
        assert!(table.iter().filter(|one| one.name.ends_with(".bias")).all(|one| one.rule.decay == 0.0));
    }

    #[test]
    fn a_factor_is_on_the_rate_of_its_part_alone() {
        let eyes = crate::Eyes::new(crate::vision::VisionConfig::new(64, 1, 2, 16, 4), 2, 499);
        let config = Config { eyes: Some(eyes), ..config() };
        let of = |rates| table(&config, &Choice { rates, ..Choice::default() });
        let plain = of(Rates::default());
        let some = of(Rates { encoder: 0.25, connector: 0.0, decoder: 2.0 });
        for (plain, own) in plain.iter().zip(&some) {
            let factor = match plain.name.split('.').nth(1) {
                Some("vision_model") => 0.25,
                Some("connector") => 0.0,
                _ => 2.0,
            };
            let rule = Rule { rate: factor * plain.rule.rate, ..plain.rule.clone() };
            assert_eq!((&own.rule, own.trained()), (&rule, factor > 0.0));
            assert_eq!(own.initial, plain.initial);
        }
        let there = |config: &Config| Rates::default().parts(config).map(|(_, _, there)| there);
        assert_eq!(there(&config), [true; 3]);
        let alone = crate::Eyes::new(crate::vision::VisionConfig::patches_alone(16, 4), 2, 499);
        let config = Config { eyes: Some(alone), ..config };
        assert_eq!(there(&config), [false, true, true]);
        assert_eq!(there(&super::tests::config()), [false, false, true]);
        // The map of as many pixels at any width.
        let table = table(&config, &Choice { hidden: Kind::Muon, ..Choice::default() });
        let map = table.iter().find(|one| one.name.ends_with("modality_projection.proj.weight")).unwrap();
        assert_eq!(map.role, Role::Patch);
        assert_eq!(map.initial, Initial::Normal(192f64.sqrt().recip()));
        assert_eq!((map.rule.rate, map.rule.kind), (1.0, Kind::AdamW));
    }

    #[test]
    fn initial_values_have_the_stated_moments_and_differ_by_seed() {
        let table = table(&config(), &Choice::default());
        let layout =
            engine::Layout::new(table.iter().map(|p| (p.name.as_str(), p.shape.as_slice()))).unwrap();
        let layout = std::sync::Arc::new(layout);
        let made = |seed| {
            let mut store = Store::new(&layout).unwrap();
            initialise(&table, seed, &mut store).unwrap();
            store
        };
        let (one, other) = (made(1), made(2));
        for parameter in &table {
            let values = one.get(&parameter.name).unwrap();
            let deviation = match parameter.initial {
                Initial::Constant(value) => {
                    assert!(values.iter().all(|&x| f64::from(x) == value));
                    continue;
                }
                Initial::Normal(deviation) => deviation,
            };
            let n = values.len() as f64;
            let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
            let square = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / n;
            // Five standard errors of a normal sample.
            assert!(mean.abs() < 5.0 * deviation / n.sqrt(), "{}: mean {mean}", parameter.name);
            assert!((square.sqrt() / deviation - 1.0).abs() < 5.0 / (2.0 * n).sqrt(), "{}", parameter.name);
            assert_ne!(values, other.get(&parameter.name).unwrap());
        }
        assert_eq!(one.get("lm_head.weight").unwrap(), made(1).get("lm_head.weight").unwrap());
    }
}
