//! What the user fixes with `--set`; the rest follows from the rules.

use crate::shape::layers;
use crate::{Error, Family, Result, Shape, Sight, grid};
use serde::{Deserialize, Serialize};

/// Fixed fields of a plan. What is `None` follows from the rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Channels.
    pub width: Option<usize>,
    /// Layers.
    pub layers: Option<usize>,
    /// Query heads.
    pub heads: Option<usize>,
    /// Key and value heads.
    pub kv_heads: Option<usize>,
    /// Size of a head.
    pub head_dim: Option<usize>,
    /// Hidden size of the feed-forward part.
    pub ffn: Option<usize>,
    /// Channels of the encoder of pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eyes_width: Option<usize>,
    /// Its layers; 0: patches go into the decoder as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eyes_layers: Option<usize>,
    /// Tokens a row.
    pub seq: Option<usize>,
    /// Whether the head is the embedding.
    pub tied: Option<bool>,
    /// Rows a step.
    pub rows: Option<usize>,
    /// Rows a micro-batch.
    pub micro_rows: Option<usize>,
    /// Steps.
    pub steps: Option<u64>,
    /// Highest learning rate.
    pub learning_rate: Option<f64>,
    /// Steps over which the rate rises.
    pub warmup_steps: Option<u64>,
    /// Held-out tokens of an evaluation.
    pub eval_tokens: Option<u64>,
    /// Evaluations, the one at the end included.
    pub evals: Option<u64>,
    /// Tokens a parameter.
    pub tokens_per_parameter: Option<f64>,
    /// Most passes over the data.
    pub max_epochs: Option<f64>,
}

/// Tokens a row where there are pictures: a document with several is not to be cut.
const SEEING: usize = 1024;

/// Layers that models with eyes have at least, where the width allows: what is asked for is gathered, found among the tiles and
/// read by one layer after the other.
const DEEP: usize = 4;

impl Settings {
    /// Names that [`Settings::set`] knows.
    pub const NAMES: [&str; 19] = [
        "width",
        "layers",
        "heads",
        "kv_heads",
        "head_dim",
        "ffn",
        "eyes_width",
        "eyes_layers",
        "seq",
        "tied",
        "rows",
        "micro_rows",
        "steps",
        "learning_rate",
        "warmup_steps",
        "eval_tokens",
        "evals",
        "tokens_per_parameter",
        "max_epochs",
    ];

    /// Fixes the field of that name; false if there is none.
    pub fn set(&mut self, name: &str, value: &str) -> Result<bool> {
        match name {
            "width" => self.width = Some(parse(name, value)?),
            "layers" => self.layers = Some(parse(name, value)?),
            "heads" => self.heads = Some(parse(name, value)?),
            "kv_heads" => self.kv_heads = Some(parse(name, value)?),
            "head_dim" => self.head_dim = Some(parse(name, value)?),
            "ffn" => self.ffn = Some(parse(name, value)?),
            "eyes_width" => self.eyes_width = Some(parse(name, value)?),
            "eyes_layers" => self.eyes_layers = Some(parse(name, value)?),
            "seq" => self.seq = Some(parse(name, value)?),
            "tied" => self.tied = Some(parse(name, value)?),
            "rows" => self.rows = Some(parse(name, value)?),
            "micro_rows" => self.micro_rows = Some(parse(name, value)?),
            "steps" => self.steps = Some(parse(name, value)?),
            "learning_rate" => self.learning_rate = Some(parse(name, value)?),
            "warmup_steps" => self.warmup_steps = Some(parse(name, value)?),
            "eval_tokens" => self.eval_tokens = Some(parse(name, value)?),
            "evals" => self.evals = Some(parse(name, value)?),
            "tokens_per_parameter" => self.tokens_per_parameter = Some(parse(name, value)?),
            "max_epochs" => self.max_epochs = Some(parse(name, value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Refuses what no run can have.
    pub fn check(&self) -> Result<()> {
        let refuse = |name: &str, value: String, reason: &str| {
            Err(Error::Setting { name: name.into(), value, reason: reason.into() })
        };
        for (name, value) in [("rows", self.rows), ("micro_rows", self.micro_rows)] {
            if value.is_some_and(|x| x == 0 || x > 1 << 20) {
                return refuse(name, format!("{}", value.unwrap_or(0)), "it must lie between 1 and 1048576");
            }
        }
        if let Some(steps) = self.steps.filter(|steps| !(1..=1 << 40).contains(steps)) {
            return refuse("steps", steps.to_string(), "it must lie between 1 and 1099511627776");
        }
        for (name, value) in [
            ("learning_rate", self.learning_rate),
            ("tokens_per_parameter", self.tokens_per_parameter),
            ("max_epochs", self.max_epochs),
        ] {
            if let Some(value) = value.filter(|x| !(*x > 0.0 && x.is_finite())) {
                return refuse(name, value.to_string(), "it must be a positive number");
            }
        }
        Ok(())
    }

    /// The family with what is fixed of it.
    pub fn family(&self, vocab: usize) -> Family {
        let rule = Family::new(vocab);
        Family {
            vocab,
            head_dim: self.head_dim.unwrap_or(rule.head_dim),
            seq: self.seq.unwrap_or(rule.seq),
            tied: self.tied.unwrap_or(rule.tied),
        }
    }

    /// What of pictures decides an encoder, with what is fixed of it.
    pub fn see(&self, sight: Option<Sight>) -> Result<Option<Sight>> {
        let fixed = [("eyes_width", self.eyes_width), ("eyes_layers", self.eyes_layers)];
        match (sight, fixed.into_iter().find_map(|(name, value)| Some((name, value?)))) {
            (None, Some((name, value))) => {
                let (name, reason) = (name.into(), "the data has no pictures".into());
                Err(Error::Setting { name, value: value.to_string(), reason })
            }
            (None, None) => Ok(None),
            (Some(sight), _) => {
                let (width, layers) = (self.eyes_width.or(sight.width), self.eyes_layers.or(sight.layers));
                Ok(Some(Sight { width, layers, ..sight }))
            }
        }
    }

    /// The shapes to choose from: the grid's, with what is fixed.
    pub fn candidates(&self, vocab: usize, sight: Option<Sight>) -> Result<Vec<Shape>> {
        let sight = self.see(sight)?;
        let mut family = self.family(vocab);
        if sight.is_some() {
            family.seq = self.seq.unwrap_or(SEEING);
        }
        let mut shapes: Vec<Shape> = match (self.width, self.layers) {
            (Some(width), Some(layers)) => vec![family.shape(width, layers)],
            (Some(width), None) => layers(width).map(|layers| family.shape(width, layers)).collect(),
            (None, Some(layers)) => {
                let mut widths: Vec<usize> = grid(&family).map(|s| s.width).collect();
                widths.dedup();
                widths.into_iter().map(|width| family.shape(width, layers)).collect()
            }
            (None, None) => grid(&family).collect(),
        };
        if sight.is_some() && self.layers.is_none() {
            shapes.retain(|shape| shape.layers >= DEEP.min(*layers(shape.width).end()));
        }
        for shape in &mut shapes {
            shape.heads = self.heads.unwrap_or(shape.heads);
            shape.kv_heads = self.kv_heads.unwrap_or(shape.heads);
            shape.ffn = self.ffn.unwrap_or(shape.ffn);
            shape.sight = sight;
        }
        shapes.iter().try_for_each(Shape::check)?;
        Ok(shapes)
    }
}

/// A value by its type; whole numbers may be written as 2e7.
fn parse<T: std::str::FromStr>(name: &str, value: &str) -> Result<T> {
    let whole = || {
        let x: f64 = value.parse().ok()?;
        ((0.0..1e18).contains(&x) && x.fract() == 0.0).then(|| (x as u64).to_string().parse().ok())?
    };
    value.parse().ok().or_else(whole).ok_or_else(|| Error::Setting {
        name: name.into(),
        value: value.into(),
        reason: format!(
            "it is no {}",
            if std::any::type_name::<T>() == "bool" { "true or false" } else { "number of that kind" }
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_set_and_others_are_not() {
        let mut settings = Settings::default();
        for name in Settings::NAMES {
            let value = if name == "tied" { "true" } else { "4" };
            assert!(settings.set(name, value).unwrap(), "{name}");
            assert!(settings.set(name, "x").unwrap_err().to_string().contains(name));
        }
        assert_eq!(
            serde_json::to_value(&settings).unwrap().as_object().unwrap().len(),
            Settings::NAMES.len()
        );
        assert!(serde_json::to_value(&settings).unwrap().as_object().unwrap().values().all(|v| !v.is_null()));
        assert!(!settings.set("colour", "4").unwrap());
        assert!(settings.set("steps", "2e3").unwrap());
        assert_eq!(settings.steps, Some(2000));
        assert!(settings.set("steps", "1.5").is_err() && settings.set("steps", "-1").is_err());
    }

    #[test]
    fn candidates_hold_what_is_fixed() {
        let fixed = Settings { width: Some(100), ffn: Some(200), ..Settings::default() };
        let shapes = fixed.candidates(256, None).unwrap();
        assert!(!shapes.is_empty() && shapes.iter().all(|s| s.width == 100 && s.ffn == 200));
        let fixed = Settings { layers: Some(7), kv_heads: Some(1), ..Settings::default() };
        assert!(fixed.candidates(256, None).unwrap().iter().all(|s| s.layers == 7 && s.kv_heads == 1));
        let fixed = Settings { heads: Some(3), kv_heads: Some(2), ..Settings::default() };
        assert!(fixed.candidates(256, None).is_err());
        let fixed = Settings { eyes_layers: Some(0), ..Settings::default() };
        assert!(fixed.candidates(256, None).unwrap_err().to_string().contains("eyes_layers = 0"));
        assert!(Settings { width: Some(usize::MAX), ..Settings::default() }.candidates(256, None).is_err());
    }
}
