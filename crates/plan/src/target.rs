//! The run above a ladder: of the ladder's family, so that it is one more rung, only dearer.

use crate::ladder::{Design, Rung, Trunk};
use crate::{Error, Result, Shape};

/// How many times smaller or larger than wanted the nearest shape may be.
const OFF: f64 = 1.4;

impl Design {
    /// The rung whose size is nearest to `parameters`, trained on `tokens`.
    pub fn sized(&self, vocab: usize, parameters: f64, tokens: f64, seed: u64) -> Result<Rung> {
        let shape = self.nearest(vocab, |shape| shape.parameters() as f64 / parameters)?;
        match shape {
            (shape, off) if off < OFF => Ok(self.rung(shape, tokens, seed)),
            (shape, _) => Err(Error::Infeasible {
                budget: format!("N={parameters:e}"),
                reason: format!("the nearest shape of the ladder's family has N = {}", shape.parameters()),
            }),
        }
    }

    /// The rung that spends `flops` at about so many tokens a parameter: the nearest shape, and the tokens that
    /// make up for it.
    pub fn spending(&self, vocab: usize, flops: f64, ratio: f64, seed: u64) -> Result<Rung> {
        let tokens = |shape: &Shape| flops / shape.flops_per_token();
        let (shape, off) = self.nearest(vocab, |shape| tokens(shape) / shape.parameters() as f64 / ratio)?;
        if off < 2.0 * OFF && tokens(&shape) >= shape.seq as f64 {
            return Ok(self.rung(shape, tokens(&shape), seed));
        }
        let reason = format!(
            "the nearest shape of the ladder's family, N = {}, would have {:.3} tokens a parameter, where {ratio:.3} are wanted",
            shape.parameters(),
            tokens(&shape) / shape.parameters() as f64
        );
        Err(Error::Infeasible { budget: format!("{flops:e}"), reason })
    }

    /// The shape for which a ratio is nearest to one, and how many times off it is.
    fn nearest(&self, vocab: usize, ratio: impl Fn(&Shape) -> f64) -> Result<(Shape, f64)> {
        self.check()?;
        let fine = (1..=256).map(|i| 4 * i);
        let widths = fine.chain((17..=128).map(|i| 64 * i));
        let mut best: Option<(Shape, f64)> = None;
        for width in widths {
            let shape = self.shape(width, vocab);
            shape.check()?;
            let off = ratio(&shape).ln().abs();
            if best.is_none_or(|(_, least)| off < least) {
                best = Some((shape, off));
            }
        }
        let (shape, off) = best.ok_or_else(|| Error::Infeasible {
            budget: "the ladder".into(),
            reason: "its family has no shape".into(),
        })?;
        Ok((shape, off.exp()))
    }

    fn rung(&self, shape: Shape, tokens: f64, seed: u64) -> Rung {
        let name = format!("{}x{}-s{seed}", shape.width, shape.layers);
        Rung { name, shape, tokens, seed, trunk: self.branches.then(|| Trunk::of(tokens)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_of_the_family_and_spends_what_it_is_given() {
        let design = Design::new(1e11);
        for flops in [1e11, 1e13, 1e16] {
            for ratio in [8.0, 20.0, 60.0] {
                let rung = design.spending(259, flops, ratio, 3).unwrap();
                assert!((rung.shape.flops_per_token() * rung.tokens / flops - 1.0).abs() < 1e-9);
                let off = rung.tokens / rung.shape.parameters() as f64 / ratio;
                assert!((0.6..1.7).contains(&off), "{flops} {ratio} {rung:?}");
                let Shape { head_dim, seq, vocab, .. } = rung.shape;
                assert_eq!((head_dim, seq, vocab, rung.seed), (design.head_dim, design.seq, 259, 3));
            }
        }
        let rung = design.sized(259, 1e6, 2e7, 1).unwrap();
        assert!((0.9..1.1).contains(&(rung.shape.parameters() as f64 / 1e6)) && rung.tokens == 2e7);
    }

    #[test]
    fn what_the_family_has_not_is_refused() {
        let design = Design::new(1e11);
        assert!(design.sized(259, 10.0, 1e6, 1).unwrap_err().to_string().contains("nearest shape"));
        assert!(design.sized(259, 1e13, 1e6, 1).unwrap_err().to_string().contains("nearest shape"));
        assert!(design.sized(259, f64::NAN, 1e6, 1).is_err());
        assert!(design.spending(259, 1e6, 20.0, 1).unwrap_err().to_string().contains("tokens a parameter"));
        assert!(design.spending(259, 1e30, 20.0, 1).is_err());
    }
}
