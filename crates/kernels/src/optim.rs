//! What optimisers do to whole tensors: the AdamW step in one pass, scaled sums, sums of squares.
//!
//! Matrix products of Muon's Newton–Schulz iteration are in [`crate::gemm`].

use crate::Cpu;
use crate::loss::weighted_sum;
use crate::rows::{Parts, for_rows, get, lanes, put, same};
use crate::simd::{Kernel, Simd};

/// The constants of one AdamW step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub rate: f32,
    /// Decay of the mean gradient.
    pub beta1: f32,
    /// Decay of the mean squared gradient.
    pub beta2: f32,
    /// Added to the root of the mean square.
    pub epsilon: f32,
    /// Decoupled weight decay: `rate · decay · p` is taken off.
    pub decay: f32,
    /// `1 / (1 − beta1^step)`.
    pub correction1: f32,
    /// `1 / (1 − beta2^step)`.
    pub correction2: f32,
    /// The gradient is multiplied by this first (clipping, division by tokens).
    pub scale: f32,
}

/// One AdamW step (Loshchilov & Hutter 2019) over a tensor: parameters `p`, gradient `g`, moments
/// `m` and `v`, in one pass.
///
/// # Panics
/// If the lengths differ.
pub fn adamw(cpu: &Cpu, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], step: &AdamW) {
    same("gradient", g.len(), p.len());
    same("first moment", m.len(), p.len());
    same("second moment", v.len(), p.len());
    let (p, m, v) = (Parts::new(p), Parts::new(m), Parts::new(v));
    for_rows(cpu, g.len(), 1, 64, |range| {
        // SAFETY: tasks have disjoint ranges.
        let (p, m, v) = unsafe { (p.part(range.clone()), m.part(range.clone()), v.part(range.clone())) };
        cpu.dispatch(AdamWStep { p, g: &g[range], m, v, step });
    });
}

struct AdamWStep<'a> {
    p: &'a mut [f32],
    g: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    step: &'a AdamW,
}

impl Kernel for AdamWStep<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let AdamW { rate, beta1, beta2, epsilon, decay, correction1, correction2, scale } = *self.step;
        let (beta1, beta2) = (s.splat(beta1), s.splat(beta2));
        let (rest1, rest2) = (s.splat(1.0 - self.step.beta1), s.splat(1.0 - self.step.beta2));
        let (scale, keep) = (s.splat(scale), s.splat(1.0 - rate * decay));
        // p − rate · c1 m / (√(c2 v) + eps), the root of c2 taken out.
        let pace = s.splat(-rate * correction1);
        let (root, epsilon) = (s.splat(correction2.sqrt()), s.splat(epsilon));
        let g = self.g.as_ptr();
        let (p, m, v) = (self.p.as_mut_ptr(), self.m.as_mut_ptr(), self.v.as_mut_ptr());
        debug_assert!(
            self.p.len() == self.g.len() && self.m.len() == self.g.len() && self.v.len() == self.g.len()
        );
        lanes!(i, n in self.g.len() => {
            // SAFETY: all four have the length of `g` (parts of one range), and i + n is within.
            unsafe {
                let grad = s.mul(get(s, g.add(i), n), scale);
                let first = s.fma(beta1, get(s, m.add(i), n), s.mul(rest1, grad));
                let second = s.fma(beta2, get(s, v.add(i), n), s.mul(rest2, s.mul(grad, grad)));
                put(s, m.add(i), n, first);
                put(s, v.add(i), n, second);
                let size = s.fma(s.sqrt(second), root, epsilon);
                let kept = s.mul(get(s, p.add(i), n), keep);
                put(s, p.add(i), n, s.add(kept, s.div(s.mul(pace, first), size)));
            }
        });
    }
}

/// `Σ x²`: sixteen lanes inside blocks of 4096 elements, the blocks added in order in `f64`.
///
/// # Panics
/// If `scratch` is shorter than [`crate::loss::sum_scratch`].
pub fn sum_squares(cpu: &Cpu, x: &[f32], scratch: &mut [f32]) -> f64 {
    weighted_sum(cpu, x, x, scratch)
}

/// `y = a x + b y`.
///
/// # Panics
/// If the lengths differ.
pub fn axpby(cpu: &Cpu, a: f32, x: &[f32], b: f32, y: &mut [f32]) {
    same("x", x.len(), y.len());
    let y = Parts::new(y);
    for_rows(cpu, x.len(), 1, 64, |range| {
        // SAFETY: tasks have disjoint ranges.
        let part = unsafe { y.part(range.clone()) };
        cpu.dispatch(Axpby { a, x: &x[range], b, y: part });
    });
}

struct Axpby<'a> {
    a: f32,
    x: &'a [f32],
    b: f32,
    y: &'a mut [f32],
}

impl Kernel for Axpby<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let len = self.y.len().min(self.x.len());
        let (a, x, b, y) = (s.splat(self.a), self.x.as_ptr(), s.splat(self.b), self.y.as_mut_ptr());
        lanes!(i, n in len => {
            // SAFETY: i + n is within both.
            unsafe { put(s, y.add(i), n, s.fma(a, get(s, x.add(i), n), s.mul(b, get(s, y.add(i), n)))) };
        });
    }
}

/// The scalar twin, in `f64`.
pub mod reference {
    use super::AdamW;

    /// One element of [`super::adamw`]: the new `(p, m, v)`.
    pub fn adamw(p: f64, g: f64, m: f64, v: f64, step: &AdamW) -> (f64, f64, f64) {
        let (beta1, beta2) = (f64::from(step.beta1), f64::from(step.beta2));
        let g = g * f64::from(step.scale);
        let m = beta1 * m + (1.0 - beta1) * g;
        let v = beta2 * v + (1.0 - beta2) * g * g;
        let rate = f64::from(step.rate);
        let size = (v * f64::from(step.correction2)).sqrt() + f64::from(step.epsilon);
        let p = p - rate * f64::from(step.decay) * p - rate * m * f64::from(step.correction1) / size;
        (p, m, v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, numbers, wide};
    use proptest::prelude::*;

    fn all(len: usize, step: &AdamW, seed: u32) {
        let [p, g, m, v] = [0, 1, 2, 3].map(|i| numbers(len, seed + i));
        let v: Vec<f32> = v.iter().map(|v| v * v).collect();
        let mut twins = [vec![], vec![], vec![], vec![], vec![wide(&g).iter().map(|x| x * x).sum::<f64>()]];
        for i in 0..len {
            let [p, g, m, v] = [&p, &g, &m, &v].map(|x| f64::from(x[i]));
            let (p2, m2, v2) = reference::adamw(p, g, m, v, step);
            for (to, x) in twins.iter_mut().zip([p2, m2, v2, 2.5 * g - 0.75 * p]) {
                to.push(x);
            }
        }
        check(1e-6, &twins, |cpu| {
            let (mut p2, mut m2, mut v2, mut y) = (p.clone(), m.clone(), v.clone(), p.clone());
            adamw(cpu, &mut p2, &g, &mut m2, &mut v2, step);
            axpby(cpu, 2.5, &g, -0.75, &mut y);
            let sum = sum_squares(cpu, &g, &mut vec![f32::NAN; crate::loss::sum_scratch(len)]);
            vec![("p", p2), ("m", m2), ("v", v2), ("axpby", y), ("squares", vec![sum as f32])]
        });
    }

    fn step(rate: f32, steps: i32) -> AdamW {
        let (beta1, beta2) = (0.9f32, 0.95f32);
        let (correction1, correction2) = (1.0 / (1.0 - beta1.powi(steps)), 1.0 / (1.0 - beta2.powi(steps)));
        AdamW { rate, beta1, beta2, epsilon: 1e-8, decay: 0.1, correction1, correction2, scale: 0.5 }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equal_their_twins(len in 0usize..100, rate in 0.0f32..0.1, steps in 1i32..1000, seed in 0u32..1000) {
            all(len, &step(rate, steps), seed);
        }
    }

    #[test]
    fn lengths_shared_among_threads() {
        all(40_001, &step(0.01, 10), 1);
    }
}
