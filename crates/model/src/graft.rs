//! The weights of a model without eyes as the decoder of one that sees.

use crate::{Config, Error};
use engine::Store;

/// The first parameter by which a model is not the other, in words.
pub fn difference(own: &Config, other: &Config) -> Option<String> {
    let (a, b) = (own.shapes(), other.shapes());
    match a.iter().zip(&b).find(|(a, b)| a != b) {
        Some(((name, shape), (own, other))) if name == own => {
            Some(format!("{name} is {shape:?}, not {other:?}"))
        }
        Some(((name, _), (own, _))) => match a.iter().any(|(name, _)| name == own) {
            true => Some(format!("it has {name}, and should not")),
            false => Some(format!("it has no {own}")),
        },
        None if a.len() != b.len() => Some(format!("it has {} parameters, not {}", a.len(), b.len())),
        None => None,
    }
}

/// By what a model without eyes is not the decoder of another, but for further rows of the vocabulary, in words.
fn misfit(from: &Config, to: &Config) -> Option<String> {
    let decoder = Config { eyes: None, vocab_size: from.vocab_size, ..to.clone() };
    let more =
        || (from.vocab_size > to.vocab_size).then(|| format!("it has more tokens than {}", to.vocab_size));
    difference(from, &decoder).or_else(more)
}

/// Overwrites the decoder in a store of `to` by the weights of `from`, a model without eyes. Where `to` has more tokens, their rows
/// stay as they are.
///
/// # Errors
/// [`Error::Field`] where the decoders differ in more than that, naming the parameter.
pub fn graft(from: &Config, weights: &Store, to: &Config, params: &mut Store) -> Result<(), Error> {
    if from.eyes.is_some() {
        return Err(Error::field("vision_config", "the model to begin with has eyes of its own"));
    }
    if let Some(reason) = misfit(from, to) {
        return Err(Error::field("decoder", reason));
    }
    for name in weights.layout().names() {
        params.write_at(&to.name(name), 0, &weights.get(name)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parametrisation::{Choice, initialise, table};
    use crate::vision::VisionConfig;
    use crate::{Eyes, Sizes};
    use engine::Layout;
    use std::sync::Arc;

    fn config(vocab: usize, width: usize, sees: bool) -> Config {
        let (layers, heads, head_dim) = (2, 2, 8);
        let sizes =
            Sizes { vocab, width, ffn: 24, layers, heads, kv_heads: 1, head_dim, context: 32, tied: false };
        let eyes = Eyes::new(VisionConfig::new(16, 1, 2, 16, 4), 2, vocab as u32 - 1);
        Config { eyes: sees.then_some(eyes), ..Config::new(sizes).unwrap() }
    }

    fn store(config: &Config, seed: u64) -> Store {
        let shapes = config.shapes();
        let layout = Layout::new(shapes.iter().map(|(n, s)| (n.as_str(), s.as_slice()))).unwrap();
        let mut store = Store::new(&Arc::new(layout)).unwrap();
        initialise(&table(config, &Choice::default()), seed, &mut store).unwrap();
        store
    }

    #[test]
    fn the_decoder_is_taken_and_all_else_stays_fresh() {
        let (from, to) = (config(20, 16, false), config(23, 16, true));
        let (weights, fresh) = (store(&from, 1), store(&to, 2));
        let mut params = store(&to, 2);
        graft(&from, &weights, &to, &mut params).unwrap();
        for (name, shape) in to.shapes() {
            let (got, fresh) = (params.get(&name).unwrap(), fresh.get(&name).unwrap());
            let own = name.replace("model.text_model.", "model.");
            match weights.get(&own) {
                Err(_) => assert_eq!(got, fresh, "{name}"),
                Ok(taken) => {
                    assert_eq!(got[..taken.len()], taken[..], "{name}");
                    assert_eq!(got[taken.len()..], fresh[taken.len()..], "{name} {shape:?}");
                }
            }
        }
    }

    #[test]
    fn decoders_that_differ_are_refused_by_name() {
        let to = config(23, 16, true);
        let refused =
            |from: &Config| graft(from, &store(from, 1), &to, &mut store(&to, 2)).unwrap_err().to_string();
        assert!(refused(&config(20, 32, false)).contains("embed_tokens"));
        assert!(refused(&config(24, 16, false)).contains("more tokens"));
        assert!(refused(&Config { num_hidden_layers: 1, ..config(20, 16, false) }).contains("layers.1"));
        assert!(refused(&config(23, 16, true)).contains("eyes of its own"));
    }
}
