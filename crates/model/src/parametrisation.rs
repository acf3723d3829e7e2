//! The one table of what is done to each parameter: initialisation, rate, decay, epsilon, optimiser.
//!
//! Standard parametrisation: an embedding of deviation 0.02, maps of deviation `1/√fan_in`, the
//! output projections of the residual branches divided by `√(2L)`
//! (Radford et al. 2019), norms one. Decay falls on matrices only, neither on norms nor embeddings.

use crate::{Config, Error};
use engine::Store;
use engine::update::{Kind, Rule};

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Token embedding.
    Embedding,
    /// A map inside a layer.
    Hidden,
    /// A map back into the residual stream.
    Output,
    /// A norm's gain.
    Norm,
    /// The map to logits.
    Head,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Hugging Face's name.
    pub name: String,
    /// Shape, `[out, in]` for maps.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// Deviation of the normal initial values; `None`: ones.
    pub deviation: Option<f64>,
    /// Optimiser, and factors on the run's rate, decay and epsilon.
    pub rule: Rule,
}

/// Choices that the table depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
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
}

impl Default for Choice {
    fn default() -> Choice {
        Choice { hidden: Kind::AdamW, decay: 0.1, decay_all: false, epsilon: 1e-8, deviation: None }
    }
}

/// The table for a configuration, in the order of [`Config::shapes`].
pub fn table(config: &Config, choice: &Choice) -> Vec<Parameter> {
    let layers = config.num_hidden_layers as f64;
    let row = |(name, shape): (String, Vec<usize>)| {
        let role = role(&name);
        let fan_in = shape.last().copied().unwrap_or(1) as f64;
        let by_role = match role {
            Role::Embedding => Some(0.02),
            Role::Hidden | Role::Head => Some(fan_in.sqrt().recip()),
            Role::Output => Some((fan_in * 2.0 * layers).sqrt().recip()),
            Role::Norm => None,
        };
        let deviation = by_role.map(|rule| choice.deviation.unwrap_or(rule));
        let matrix = matches!(role, Role::Hidden | Role::Output | Role::Head);
        let inside = matches!(role, Role::Hidden | Role::Output);
        let rule = Rule {
            name: name.clone(),
            kind: if inside { choice.hidden } else { Kind::AdamW },
            rate: 1.0,
            decay: if matrix || choice.decay_all { choice.decay } else { 0.0 },
            epsilon: choice.epsilon,
        };
        Parameter { name, shape, role, deviation, rule }
    };
    config.shapes().into_iter().map(row).collect()
}

fn role(name: &str) -> Role {
    match name {
        "model.embed_tokens.weight" => Role::Embedding,
        "lm_head.weight" => Role::Head,
        _ if name.contains("norm") => Role::Norm,
        _ if name.contains("o_proj") || name.contains("down_proj") => Role::Output,
        _ => Role::Hidden,
    }
}

/// Fills a store with the initial values of `seed`. Each number depends only on the seed, the
/// parameter's name and its place, so neither order nor threads matter.
pub fn initialise(table: &[Parameter], seed: u64, store: &mut Store) -> Result<(), Error> {
    for parameter in table {
        let len: usize = parameter.shape.iter().product();
        let values: Vec<f32> = match parameter.deviation {
            None => vec![1.0; len],
            Some(deviation) => {
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
            assert_eq!(parameter.role == Role::Norm, !matrix, "{}", parameter.name);
            assert_eq!(parameter.rule.decay > 0.0, matrix && parameter.role != Role::Embedding);
            let inside = parameter.name.contains("_proj");
            assert_eq!(parameter.rule.kind == Kind::Muon, inside, "{}", parameter.name);
        }
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
            let Some(deviation) = parameter.deviation else {
                assert!(values.iter().all(|&x| x == 1.0));
                continue;
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
