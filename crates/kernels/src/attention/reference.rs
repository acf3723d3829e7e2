//! The slow twin of attention and of its gradient, in `f64`: rows of scores, no tiles.

use super::{AttentionShape, Pages};

/// What [`attention`] takes.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// `[Tq, heads · head_dim]`
    pub q: &'a [f64],
    /// `[Tk, kv_heads · head_dim]`
    pub k: &'a [f64],
    /// As `k`.
    pub v: &'a [f64],
    /// First key of each query.
    pub lo: &'a [i32],
    /// End of the keys of each query.
    pub hi: &'a [i32],
    /// Where keys lie, if paged.
    pub pages: Option<Pages<'a>>,
}

impl Inputs<'_> {
    fn key(&self, t: usize, j: usize) -> usize {
        match self.pages {
            Some(p) => p.table[p.row[t] as usize + j / p.size] as usize * p.size + j % p.size,
            None => j,
        }
    }
}

/// Probabilities of one query and head, its keys, and the log of the sum.
fn weights(shape: &AttentionShape, x: &Inputs<'_>, t: usize, h: usize) -> (Vec<f64>, Vec<usize>, f64) {
    let (d, group) = (shape.head_dim, shape.heads / shape.kv_heads);
    let keys: Vec<usize> = (x.lo[t]..x.hi[t].max(x.lo[t])).map(|j| x.key(t, j as usize)).collect();
    let q = &x.q[(t * shape.heads + h) * d..][..d];
    let score = |&key: &usize| {
        let k = &x.k[(key * shape.kv_heads + h / group) * d..][..d];
        f64::from(shape.scale) * q.iter().zip(k).map(|(a, b)| a * b).sum::<f64>()
    };
    let scores: Vec<f64> = keys.iter().map(score).collect();
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lse = largest + scores.iter().map(|x| (x - largest).exp()).sum::<f64>().ln();
    (
        scores.iter().map(|x| (x - lse).exp()).collect(),
        keys,
        if scores.is_empty() { f64::NEG_INFINITY } else { lse },
    )
}

/// The output and the log of the sum of exponentials of every row and head.
pub fn attention(shape: &AttentionShape, x: &Inputs<'_>) -> (Vec<f64>, Vec<f64>) {
    let (d, group) = (shape.head_dim, shape.heads / shape.kv_heads);
    let mut out = vec![0.0; x.q.len()];
    let mut lse = Vec::new();
    for t in 0..x.lo.len() {
        for h in 0..shape.heads {
            let (p, keys, log) = weights(shape, x, t, h);
            lse.push(log);
            for (p, key) in p.iter().zip(keys) {
                for i in 0..d {
                    out[(t * shape.heads + h) * d + i] += p * x.v[(key * shape.kv_heads + h / group) * d + i];
                }
            }
        }
    }
    (out, lse)
}

/// The gradients by `q`, `k` and `v` of `Σ out · dout`.
pub fn attention_grad(
    shape: &AttentionShape,
    x: &Inputs<'_>,
    dout: &[f64],
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (d, group) = (shape.head_dim, shape.heads / shape.kv_heads);
    let (mut dq, mut dk, mut dv) = (vec![0.0; x.q.len()], vec![0.0; x.k.len()], vec![0.0; x.v.len()]);
    for t in 0..x.lo.len() {
        for h in 0..shape.heads {
            let (p, keys, _) = weights(shape, x, t, h);
            let q_at = (t * shape.heads + h) * d;
            let dp: Vec<f64> = keys
                .iter()
                .map(|key| {
                    (0..d).map(|i| dout[q_at + i] * x.v[(key * shape.kv_heads + h / group) * d + i]).sum()
                })
                .collect();
            let delta: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
            for ((p, dp), key) in p.iter().zip(&dp).zip(&keys) {
                let k_at = (key * shape.kv_heads + h / group) * d;
                let ds = p * (dp - delta) * f64::from(shape.scale);
                for i in 0..d {
                    dv[k_at + i] += p * dout[q_at + i];
                    dk[k_at + i] += ds * x.q[q_at + i];
                    dq[q_at + i] += ds * x.k[k_at + i];
                }
            }
        }
    }
    (dq, dk, dv)
}
