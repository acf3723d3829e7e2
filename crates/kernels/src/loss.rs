//! Cross-entropy over rows of logits, with its gradient in place, and sums weighted for a report.

use crate::Cpu;
use crate::math;
use crate::rows::{Parts, for_rows, get, lanes, put, same};
use crate::simd::{Kernel, Simd};

/// Elements of a block of a sum over a whole slice.
pub const SUM_BLOCK: usize = 4096;

/// Log-probability of each row's target, and the gradient.
///
/// `logits`: `[rows, V]`; `targets`, `logp`, `lse`: `[rows]`. `logp` gets `logit[target] − lse` with
/// `lse = ln Σ e^logit`; a negative target gives 0 and no gradient. With a `cotangent` `c` a row, the
/// logits are replaced by the gradient of `Σ c (logp − z · lse²)` (`z`: the weight of the z-loss of
/// PaLM, Chowdhery et al. 2022); without one they stay as they are.
///
/// # Panics
/// If a target is `V` or more, or lengths do not fit.
pub fn cross_entropy(
    cpu: &Cpu,
    logits: &mut [f32],
    targets: &[i32],
    cotangent: Option<&[f32]>,
    z: f32,
    logp: &mut [f32],
    lse: &mut [f32],
) {
    let rows = targets.len();
    if rows == 0 {
        return same("logits", logits.len(), 0);
    }
    assert!(logits.len().is_multiple_of(rows), "{} logits are no {rows} whole rows", logits.len());
    let vocab = logits.len() / rows;
    same("log-probabilities", logp.len(), rows);
    same("lse", lse.len(), rows);
    same("cotangent", cotangent.map_or(rows, <[f32]>::len), rows);
    for &target in targets {
        assert!(target < 0 || (target as usize) < vocab, "target {target} of a vocabulary of {vocab}");
    }
    let (logits, logp, lse) = (Parts::new(logits), Parts::new(logp), Parts::new(lse));
    for_rows(cpu, rows, vocab, 1, |range| {
        // SAFETY: tasks have disjoint rows.
        let (logits, logp, lse) = unsafe {
            (
                logits.part(range.start * vocab..range.end * vocab),
                logp.part(range.clone()),
                lse.part(range.clone()),
            )
        };
        let cotangent = cotangent.map(|c| &c[range.clone()]);
        cpu.dispatch(CrossEntropy { vocab, logits, targets: &targets[range], cotangent, z, logp, lse });
    });
}

struct CrossEntropy<'a> {
    vocab: usize,
    logits: &'a mut [f32],
    targets: &'a [i32],
    cotangent: Option<&'a [f32]>,
    z: f32,
    logp: &'a mut [f32],
    lse: &'a mut [f32],
}

impl Kernel for CrossEntropy<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let vocab = self.vocab;
        for (row, &target) in self.targets.iter().enumerate() {
            let logits = &mut self.logits[row * vocab..(row + 1) * vocab];
            let target = usize::try_from(target).ok();
            let cotangent = self.cotangent.map(|c| if target.is_some() { c[row] } else { 0.0 });
            if target.is_none() && cotangent.is_some() {
                // No gradient, whatever the logits are (a NaN too). The log of the sum is not asked for.
                logits.fill(0.0);
                (self.logp[row], self.lse[row]) = (0.0, 0.0);
                continue;
            }
            let largest = largest(s, logits);
            let asked = target.map(|t| logits[t] - largest);
            let sum = sum_exp(s, logits, largest, cotangent.is_some());
            let log = f64::from(sum).ln();
            let lse = (f64::from(largest) + log) as f32;
            self.lse[row] = lse;
            // Two small numbers rather than two large ones: exact where the model is sure.
            self.logp[row] = asked.map_or(0.0, |asked| (f64::from(asked) - log) as f32);
            if let (Some(c), Some(target)) = (cotangent, target) {
                // ∂/∂logit = c (1[target] − p) − 2 c z lse p
                let factor = -c * (1.0 + 2.0 * self.z * lse) / sum;
                scale(s, logits, factor);
                logits[target] += c;
            }
        }
    }
}

/// The largest element; four vectors at a time, which does not change it.
#[inline(always)]
fn largest<S: Simd>(s: S, x: &[f32]) -> f32 {
    let low = s.splat(f32::NEG_INFINITY);
    let mut most = [low; 4];
    let groups = x.chunks_exact(64);
    let rest = groups.remainder();
    for group in groups {
        for (k, most) in most.iter_mut().enumerate() {
            // SAFETY: the group has 64 floats. A NaN stays in the second operand's place.
            *most = s.max(unsafe { s.load(group.as_ptr().add(16 * k)) }, *most);
        }
    }
    let mut last = s.max(s.max(most[0], most[1]), s.max(most[2], most[3]));
    let p = rest.as_ptr();
    lanes!(i, n in rest.len() => {
        // SAFETY: i + n is within the rest.
        let v = unsafe { get(s, p.add(i), n) };
        last = s.max(if n == 16 { v } else { crate::norm::fill_tail(s, v, low, n) }, last);
    });
    s.hmax(last)
}

/// `Σ e^(x − largest)` in sixteen lanes; each term is put in place of its `x` if `keep`.
#[inline(always)]
fn sum_exp<S: Simd>(s: S, x: &mut [f32], largest: f32, keep: bool) -> f32 {
    let (p, largest) = (x.as_mut_ptr(), s.splat(largest));
    let mut sum = s.zero();
    lanes!(i, n in x.len() => {
        // SAFETY: i + n is within `x`.
        unsafe {
            let v = get(s, p.add(i), n);
            let e = math::exp(s, s.sub(v, largest));
            let e = if n == 16 { e } else { crate::norm::fill_tail(s, e, s.zero(), n) };
            sum = s.add(sum, e);
            if keep {
                put(s, p.add(i), n, e);
            }
        }
    });
    s.sum(sum)
}

#[inline(always)]
fn scale<S: Simd>(s: S, x: &mut [f32], factor: f32) {
    let (p, factor) = (x.as_mut_ptr(), s.splat(factor));
    lanes!(i, n in x.len() => {
        // SAFETY: i + n is within `x`.
        unsafe { put(s, p.add(i), n, s.mul(get(s, p.add(i), n), factor)) };
    });
}

/// Floats of scratch that a sum over `len` elements needs.
pub fn sum_scratch(len: usize) -> usize {
    2 * len.div_ceil(SUM_BLOCK)
}

/// `Σ a · w`: sixteen lanes inside blocks of 4096 elements, the blocks added in order in `f64`.
///
/// # Panics
/// If lengths differ or `scratch` is shorter than [`sum_scratch`].
pub fn weighted_sum(cpu: &Cpu, a: &[f32], w: &[f32], scratch: &mut [f32]) -> f64 {
    same("weights", w.len(), a.len());
    let blocks = a.len().div_ceil(SUM_BLOCK);
    let partial = &mut scratch[..blocks];
    {
        let partial = Parts::new(partial);
        for_rows(cpu, blocks, SUM_BLOCK, 1, |range| {
            // SAFETY: tasks have disjoint blocks.
            let partial = unsafe { partial.part(range.clone()) };
            for (block, sum) in range.zip(partial) {
                let range = block * SUM_BLOCK..a.len().min((block + 1) * SUM_BLOCK);
                *sum = cpu.dispatch(Dot { a: &a[range.clone()], b: &w[range] });
            }
        });
    }
    partial.iter().map(|&sum| f64::from(sum)).sum()
}

/// `Σ a · b` of one block, `f32` in sixteen lanes.
pub(crate) struct Dot<'a> {
    pub(crate) a: &'a [f32],
    pub(crate) b: &'a [f32],
}

impl Kernel for Dot<'_> {
    type Out = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let len = self.a.len().min(self.b.len());
        let (a, b) = (self.a.as_ptr(), self.b.as_ptr());
        let mut sum = s.zero();
        lanes!(i, n in len => {
            // SAFETY: i + n is within both.
            sum = unsafe { s.fma(get(s, a.add(i), n), get(s, b.add(i), n), sum) };
        });
        s.sum(sum)
    }
}

/// The scalar twin, in `f64`.
pub mod reference {
    /// Log-probability of the target, the log of the sum, and the gradient of `c (logp − z lse²)`.
    pub fn cross_entropy(logits: &[f64], target: Option<usize>, c: f64, z: f64) -> (f64, f64, Vec<f64>) {
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let lse = largest + logits.iter().map(|x| (x - largest).exp()).sum::<f64>().ln();
        let Some(target) = target else {
            return (0.0, lse, vec![0.0; logits.len()]);
        };
        let gradient = logits.iter().enumerate().map(|(i, x)| {
            let p = (x - lse).exp();
            c * (f64::from(u8::from(i == target)) - p) - c * z * 2.0 * lse * p
        });
        (logits[target] - lse, lse, gradient.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, dot, numbers, wide};
    use proptest::prelude::*;

    fn rows_of(targets: &[i32], vocab: usize, cotangents: bool, reach: f32, seed: u32) {
        const Z: f32 = 1e-2;
        let logits: Vec<f32> = numbers(targets.len() * vocab, seed).iter().map(|x| reach * x).collect();
        let c = numbers(targets.len(), seed + 1);
        let cotangent = cotangents.then_some(&c[..]);
        let mut twins = [vec![], vec![], vec![]];
        for (t, &target) in targets.iter().enumerate() {
            let row = wide(&logits[t * vocab..(t + 1) * vocab]);
            let target = usize::try_from(target).ok();
            let (logp, lse, grad) = reference::cross_entropy(&row, target, f64::from(c[t]), f64::from(Z));
            twins[0].push(logp);
            // A row without target and gradient is not looked at.
            twins[1].push(if target.is_none() && cotangents { 0.0 } else { lse });
            twins[2].extend(if cotangents { grad } else { row });
        }
        check(2e-6, &twins, |cpu| {
            let mut logits = logits.clone();
            let (mut logp, mut lse) = (vec![f32::NAN; c.len()], vec![f32::NAN; c.len()]);
            cross_entropy(cpu, &mut logits, targets, cotangent, Z, &mut logp, &mut lse);
            vec![("logp", logp), ("lse", lse), ("gradient", logits)]
        });
    }

    fn sums(len: usize, seed: u32) {
        let (a, w) = (numbers(len, seed), numbers(len, seed + 1));
        check(1e-5, &[vec![dot(&wide(&a), &wide(&w))]], |cpu| {
            vec![("sum", vec![weighted_sum(cpu, &a, &w, &mut vec![f32::NAN; sum_scratch(len)]) as f32])]
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn equal_their_twins(
            targets in proptest::collection::vec(-1i32..300, 0..8), vocab in 1usize..300,
            cotangents: bool, reach in prop::sample::select(vec![1.0f32, 30.0, 1e4]), seed in 0u32..1000,
        ) {
            let targets: Vec<i32> = targets.into_iter().map(|t| if t < 0 { t } else { t % vocab as i32 }).collect();
            rows_of(&targets, vocab, cotangents, reach, seed);
            sums(vocab, seed);
        }
    }

    #[test]
    fn rows_shared_among_threads() {
        let targets: Vec<i32> = (0..90).map(|t| t * 31 % 411 - 1).collect();
        rows_of(&targets, 411, true, 5.0, 1);
        sums(5 * SUM_BLOCK + 77, 2);
        sums(0, 3);
    }

    #[test]
    fn a_sure_model_loses_nothing() {
        let mut logits = [-60.0f32, 60.0, -60.0];
        let (mut logp, mut lse) = ([f32::NAN], [f32::NAN]);
        let cpu = Cpu::new(crate::Isa::best(), 1).unwrap();
        cross_entropy(&cpu, &mut logits, &[1], Some(&[1.0]), 0.0, &mut logp, &mut lse);
        assert!(
            logp[0].abs() < 1e-30 && (lse[0] - 60.0).abs() < 1e-5 && logits.iter().all(|g| g.abs() < 1e-6)
        );
    }
}
