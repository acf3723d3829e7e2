//! Log-probabilities of tokens under the model itself: before temperature, penalties and restriction.

use serde::Serialize;

/// A token with its log-probability in nats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ranked {
    /// The token.
    pub token: u32,
    /// Its log-probability.
    pub logprob: f64,
}

/// The log-probability of a token, and the most probable ones, best first (ties: lower id first).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenLogprob {
    /// The token.
    pub token: u32,
    /// Its log-probability in nats.
    pub logprob: f64,
    /// As many of the most probable tokens as were asked for.
    pub top: Vec<Ranked>,
}

/// Logarithm of the sum of the exponentials.
pub fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !max.is_finite() {
        return f64::from(max);
    }
    let max = f64::from(max);
    max + logits.iter().map(|&x| (f64::from(x) - max).exp()).sum::<f64>().ln()
}

/// Log-probabilities of all tokens.
pub fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let sum = log_sum_exp(logits);
    logits.iter().map(|&x| f64::from(x) - sum).collect()
}

impl TokenLogprob {
    /// Of `token` and of the `top` most probable tokens; negative infinity where the model has no
    /// such token.
    pub fn new(logits: &[f32], token: u32, top: usize) -> TokenLogprob {
        let sum = log_sum_exp(logits);
        let of = |id: u32| f64::from(logits.get(id as usize).copied().unwrap_or(f32::NEG_INFINITY)) - sum;
        let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
        let better = |a: &u32, b: &u32| {
            let x = |id: &u32| logits[*id as usize];
            x(b).total_cmp(&x(a)).then(a.cmp(b))
        };
        let top = top.min(ids.len());
        if top > 0 && top < ids.len() {
            ids.select_nth_unstable_by(top - 1, better);
        }
        ids.truncate(top);
        ids.sort_unstable_by(better);
        let ranked = |token| Ranked { token, logprob: of(token) };
        TokenLogprob { token, logprob: of(token), top: ids.into_iter().map(ranked).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_the_top_is_in_order() {
        let logits: Vec<f32> = (0..1000).map(|i| ((i * 7919) % 1000) as f32 * 0.02 - 300.0).collect();
        let all = log_softmax(&logits);
        let sum: f64 = all.iter().map(|x| x.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        let got = TokenLogprob::new(&logits, 17, 5);
        assert_eq!(got.logprob, all[17]);
        let mut order: Vec<usize> = (0..1000).collect();
        order.sort_by(|&a, &b| all[b].total_cmp(&all[a]).then(a.cmp(&b)));
        let expected: Vec<u32> = order[..5].iter().map(|&i| i as u32).collect();
        assert_eq!(got.top.iter().map(|r| r.token).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn ties_go_to_the_lower_id_and_more_than_all_is_all() {
        let got = TokenLogprob::new(&[1.0, 2.0, 2.0], 0, 10);
        assert_eq!(got.top.iter().map(|r| r.token).collect::<Vec<_>>(), [1, 2, 0]);
        assert!(TokenLogprob::new(&[1.0], 0, 0).top.is_empty());
        assert_eq!(TokenLogprob::new(&[1.0], 5, 0).logprob, f64::NEG_INFINITY);
    }
}
