//! From logits to a token.
//!
//! The order of the steps: bias; repetition, presence and frequency penalties; restriction to a set;
//! temperature; top-k; top-p; min-p; draw. Ties are broken towards the lower id everywhere. Weights
//! are f64, and the draw is a pure function of (seed, sequence, position).

use crate::random::uniform;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How tokens are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most probable token.
    pub temperature: f32,
    /// Only the `k` most probable tokens; 0 for all.
    pub top_k: usize,
    /// Only the fewest most probable tokens that have this probability together; 1 for all.
    pub top_p: f32,
    /// Only tokens at least this fraction as probable as the most probable; 0 for all.
    pub min_p: f32,
    /// Logits of tokens that stand in prompt or answer are divided (if positive) or multiplied (if
    /// negative) by this (Keskar et al., arXiv:1909.05858); 1 for none.
    pub repetition_penalty: f32,
    /// Subtracted from the logits of tokens that stand in the answer.
    pub presence_penalty: f32,
    /// Subtracted from a token's logit as often as it stands in the answer.
    pub frequency_penalty: f32,
    /// Added to logits.
    pub bias: BTreeMap<u32, f32>,
    /// Only these tokens, if given.
    pub allowed: Option<Vec<u32>>,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            bias: BTreeMap::new(),
            allowed: None,
            seed: 0,
        }
    }
}

impl Sampling {
    /// The most probable token, always.
    pub fn greedy() -> Sampling {
        Sampling { temperature: 0.0, ..Sampling::default() }
    }

    /// Refuses settings out of range, and tokens that a vocabulary of `vocab` does not have.
    pub fn check(&self, vocab: usize) -> Result<()> {
        let refuse = |name, value: f32, good: bool, expected| match good {
            true => Ok(()),
            false => Err(Error::Setting { name, value: value.to_string(), expected }),
        };
        let t = self.temperature;
        refuse("temperature", t, t >= 0.0 && t.is_finite(), "0 (the most probable token) or more")?;
        let p = self.top_p;
        refuse("top_p", p, p > 0.0 && p <= 1.0, "above 0, at most 1")?;
        let p = self.min_p;
        refuse("min_p", p, (0.0..=1.0).contains(&p), "0 to 1")?;
        let r = self.repetition_penalty;
        refuse("repetition_penalty", r, r > 0.0 && r.is_finite(), "above 0; 1 for none")?;
        let finite = "a finite number";
        let p = self.presence_penalty;
        refuse("presence_penalty", p, p.is_finite(), finite)?;
        let p = self.frequency_penalty;
        refuse("frequency_penalty", p, p.is_finite(), finite)?;
        let sum: f32 = self.bias.values().sum();
        refuse("bias", sum, self.bias.values().all(|b| b.is_finite()), finite)?;
        if self.allowed.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::Empty("the set of allowed tokens"));
        }
        let allowed = self.allowed.iter().flatten();
        for (index, &token) in allowed.chain(self.bias.keys()).enumerate() {
            if token as usize >= vocab {
                return Err(Error::Token { what: "allowed or biased tokens", index, token, vocab });
            }
        }
        Ok(())
    }
}

/// Draws the tokens of one sequence.
#[derive(Debug)]
pub struct Sampler {
    sampling: Sampling,
    sequence: u64,
    /// How often a token stands in the prompt and in the answer.
    counts: BTreeMap<u32, Count>,
    logits: Vec<f32>,
    kept: Vec<(u32, f64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    prompt: u32,
    answer: u32,
}

impl Sampler {
    /// A sampler for the sequence of that number, with a prompt and a vocabulary.
    pub fn new(sampling: &Sampling, sequence: u64, prompt: &[u32], vocab: usize) -> Result<Sampler> {
        sampling.check(vocab)?;
        let mut counts: BTreeMap<u32, Count> = BTreeMap::new();
        for &token in prompt {
            counts.entry(token).or_default().prompt += 1;
        }
        Ok(Sampler { sampling: sampling.clone(), sequence, counts, logits: Vec::new(), kept: Vec::new() })
    }

    /// Takes note of a token of the answer.
    pub fn accept(&mut self, token: u32) {
        self.counts.entry(token).or_default().answer += 1;
    }

    /// Draws the token that stands at `position` of the sequence (the prompt counts), or `None`
    /// where the logits are no distribution: a NaN, or nothing finite that is allowed.
    pub fn draw(&mut self, logits: &[f32], position: usize) -> Option<u32> {
        self.shape(logits);
        self.keep()?;
        if self.sampling.temperature == 0.0 {
            return self.kept.iter().map(|&(id, _)| id).next();
        }
        let total: f64 = self.kept.iter().map(|(_, w)| w).sum();
        let mut left = uniform(self.sampling.seed, self.sequence, position as u64) * total;
        for &(id, weight) in &self.kept {
            if left < weight {
                return Some(id);
            }
            left -= weight;
        }
        // Rounding left a crumb: it is the last one's.
        self.kept.iter().rev().find(|(_, w)| *w > 0.0).map(|&(id, _)| id)
    }

    /// The probabilities from which a token would be drawn, by id.
    pub fn distribution(&mut self, logits: &[f32]) -> Option<Vec<(u32, f64)>> {
        self.shape(logits);
        self.keep()?;
        let total: f64 = self.kept.iter().map(|(_, w)| w).sum();
        Some(self.kept.iter().map(|&(id, w)| (id, w / total)).collect())
    }

    /// Copies the logits with bias and penalties.
    fn shape(&mut self, logits: &[f32]) {
        let s = &self.sampling;
        self.logits.clear();
        self.logits.extend_from_slice(logits);
        for (&token, &bias) in &s.bias {
            if let Some(x) = self.logits.get_mut(token as usize) {
                *x += bias;
            }
        }
        let penalised =
            s.repetition_penalty != 1.0 || s.presence_penalty != 0.0 || s.frequency_penalty != 0.0;
        for (&token, count) in self.counts.iter().filter(|_| penalised) {
            if let Some(x) = self.logits.get_mut(token as usize) {
                *x = if *x > 0.0 { *x / s.repetition_penalty } else { *x * s.repetition_penalty };
                if count.answer > 0 {
                    *x -= s.presence_penalty + s.frequency_penalty * count.answer as f32;
                }
            }
        }
    }

    /// Fills `kept` with the tokens that can be drawn and their weights, in order of their ids.
    fn keep(&mut self) -> Option<()> {
        let s = &self.sampling;
        let logit = |id: u32| self.logits.get(id as usize).copied();
        let kept = &mut self.kept;
        kept.clear();
        match &s.allowed {
            None => kept.extend(self.logits.iter().enumerate().map(|(id, &x)| (id as u32, f64::from(x)))),
            Some(allowed) => {
                kept.extend(allowed.iter().filter_map(|&id| Some((id, f64::from(logit(id)?)))));
                kept.sort_unstable_by_key(|&(id, _)| id);
                kept.dedup_by_key(|&mut (id, _)| id);
            }
        }
        let mut best = (u32::MAX, f64::NEG_INFINITY);
        for &(id, x) in kept.iter() {
            if x.is_nan() {
                return None;
            }
            if x > best.1 {
                best = (id, x);
            }
        }
        if !best.1.is_finite() {
            return None;
        }
        if s.temperature == 0.0 {
            *kept = vec![(best.0, 1.0)];
            return Some(());
        }
        let temperature = f64::from(s.temperature);
        kept.iter_mut().for_each(|(_, x)| *x = ((*x - best.1) / temperature).exp());
        let by_weight = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if s.top_k > 0 && s.top_k < kept.len() {
            kept.select_nth_unstable_by(s.top_k - 1, by_weight);
            kept.truncate(s.top_k);
        }
        if s.top_p < 1.0 {
            kept.sort_unstable_by(by_weight);
            let total: f64 = kept.iter().map(|(_, w)| w).sum();
            let mut sum = 0.0;
            let reached = kept.iter().position(|(_, w)| {
                sum += w;
                sum >= f64::from(s.top_p) * total
            });
            kept.truncate(reached.map_or(kept.len(), |i| i + 1));
        }
        // The best token's weight is exp(0) = 1, so the others' are fractions of it.
        kept.retain(|(_, w)| *w >= f64::from(s.min_p));
        kept.sort_unstable_by_key(|&(id, _)| id);
        Some(())
    }
}
