//! What optimisers do to whole tensors: the AdamW step in one pass, momentum, sums of squares.
//!
//! Matrix products of Muon's Newton–Schulz iteration are in [`crate::gemm`].

use crate::Cpu;
use crate::activation::{Map, map};
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

#[derive(Clone, Copy)]
struct Axpby(f32, f32);
impl Map<2, 1> for Axpby {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x, y]: [S::V; 2]) -> [S::V; 1] {
        [s.fma(s.splat(self.0), x, s.mul(s.splat(self.1), y))]
    }
}

struct InPlace<'a, F> {
    f: F,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl<F: Map<2, 1>> Kernel for InPlace<'_, F> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let len = self.y.len().min(self.x.len());
        let (x, y) = (self.x.as_ptr(), self.y.as_mut_ptr());
        lanes!(i, n in len => {
            // SAFETY: i + n is within both.
            unsafe {
                let [v] = self.f.apply(s, [get(s, x.add(i), n), get(s, y.add(i), n)]);
                put(s, y.add(i), n, v);
            }
        });
    }
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
        cpu.dispatch(InPlace { f: Axpby(a, b), x: &x[range], y: part });
    });
}

#[derive(Clone, Copy)]
struct Momentum {
    beta: f32,
    scale: f32,
    nesterov: bool,
}

impl Map<2, 2> for Momentum {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [g, m]: [S::V; 2]) -> [S::V; 2] {
        let (beta, g) = (s.splat(self.beta), s.mul(g, s.splat(self.scale)));
        let m = s.fma(beta, m, g);
        [m, if self.nesterov { s.fma(beta, m, g) } else { m }]
    }
}

/// Momentum as Muon uses it: `m = beta · m + scale · g`, and the update direction `u`, which is `m`,
/// or with Nesterov's look ahead `scale · g + beta · m`.
///
/// # Panics
/// If the lengths differ.
#[allow(clippy::too_many_arguments)]
pub fn momentum(cpu: &Cpu, g: &[f32], m: &mut [f32], u: &mut [f32], beta: f32, scale: f32, nesterov: bool) {
    same("momentum", m.len(), g.len());
    same("direction", u.len(), g.len());
    let f = Momentum { beta, scale, nesterov };
    let (m, u) = (Parts::new(m), Parts::new(u));
    for_rows(cpu, g.len(), 1, 64, |range| {
        // SAFETY: tasks have disjoint ranges.
        let (m, u) = unsafe { (m.part(range.clone()), u.part(range.clone())) };
        cpu.dispatch(MomentumStep { f, g: &g[range], m, u });
    });
}

struct MomentumStep<'a> {
    f: Momentum,
    g: &'a [f32],
    m: &'a mut [f32],
    u: &'a mut [f32],
}

impl Kernel for MomentumStep<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let len = self.g.len().min(self.m.len()).min(self.u.len());
        let (g, m, u) = (self.g.as_ptr(), self.m.as_mut_ptr(), self.u.as_mut_ptr());
        lanes!(i, n in len => {
            // SAFETY: i + n is within all three.
            unsafe {
                let [next, direction] = self.f.apply(s, [get(s, g.add(i), n), get(s, m.add(i), n)]);
                put(s, m.add(i), n, next);
                put(s, u.add(i), n, direction);
            }
        });
    }
}

#[derive(Clone, Copy)]
struct ScaledCopy(f32);
impl Map<1, 1> for ScaledCopy {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x]: [S::V; 1]) -> [S::V; 1] {
        [s.mul(x, s.splat(self.0))]
    }
}

/// `y = a x`.
///
/// # Panics
/// If the lengths differ.
pub fn scaled_copy(cpu: &Cpu, a: f32, x: &[f32], y: &mut [f32]) {
    map(cpu, ScaledCopy(a), [x], [y]);
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
