//! Elementwise functions: SwiGLU, GELU, and plain arithmetic.
//!
//! Element `i` of a result depends on element `i` of the operands only.

use crate::Cpu;
use crate::math;
use crate::rows::{Parts, for_rows, get, lanes, put, same};
use crate::simd::{Kernel, Simd};

/// An elementwise function of `I` operands with `O` results.
trait Map<const I: usize, const O: usize>: Copy + Sync {
    /// Must be `#[inline(always)]`.
    fn apply<S: Simd>(self, s: S, x: [S::V; I]) -> [S::V; O];
}

struct RunMap<'a, F, const I: usize, const O: usize> {
    f: F,
    x: [&'a [f32]; I],
    y: [&'a mut [f32]; O],
}

impl<F: Map<I, O>, const I: usize, const O: usize> Kernel for RunMap<'_, F, I, O> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let len = self.y[0].len();
        let x = self.x.map(|x| x[..len].as_ptr());
        let y = self.y.map(|y| y[..len].as_mut_ptr());
        lanes!(i, n in len => {
            let mut v = [s.zero(); I];
            for k in 0..I {
                // SAFETY: every operand has `len` floats (sliced above) and i + n <= len.
                v[k] = unsafe { get(s, x[k].add(i), n) };
            }
            let v = self.f.apply(s, v);
            for k in 0..O {
                // SAFETY: every result has `len` floats (sliced above) and i + n <= len.
                unsafe { put(s, y[k].add(i), n, v[k]) };
            }
        });
    }
}

/// Applies `f` to every element.
fn map<F: Map<I, O>, const I: usize, const O: usize>(cpu: &Cpu, f: F, x: [&[f32]; I], y: [&mut [f32]; O]) {
    let len = y[0].len();
    x.iter().for_each(|x| same("operand", x.len(), len));
    y.iter().for_each(|y| same("result", y.len(), len));
    let y = y.map(Parts::new);
    // Whole cache lines to a task.
    for_rows(cpu, len, 1, 64, |range| {
        let x = x.map(|x| &x[range.clone()]);
        // SAFETY: tasks have disjoint ranges.
        let y = y.map(|y| unsafe { y.part(range.clone()) });
        cpu.dispatch(RunMap { f, x, y });
    });
}

#[derive(Clone, Copy)]
struct SwiGlu;
impl Map<2, 1> for SwiGlu {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [gate, up]: [S::V; 2]) -> [S::V; 1] {
        [s.mul(math::silu(s, gate), up)]
    }
}

/// `y = silu(gate) · up` with `silu(x) = x / (1 + e⁻ˣ)` (Shazeer 2020, "GLU variants").
///
/// # Panics
/// If the lengths differ.
pub fn swiglu(cpu: &Cpu, gate: &[f32], up: &[f32], y: &mut [f32]) {
    map(cpu, SwiGlu, [gate, up], [y]);
}

#[derive(Clone, Copy)]
struct SwiGluGrad;
impl Map<3, 2> for SwiGluGrad {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [gate, up, dy]: [S::V; 3]) -> [S::V; 2] {
        let one = s.splat(1.0);
        let p = math::sigmoid(s, gate);
        let dup = s.mul(dy, s.mul(gate, p));
        // silu' = p (1 + gate (1 − p))
        let slope = s.mul(p, s.fma(gate, s.sub(one, p), one));
        [s.mul(s.mul(dy, up), slope), dup]
    }
}

/// The gradients of [`swiglu`] by `gate` and `up`, given that by `y`.
///
/// # Panics
/// If the lengths differ.
pub fn swiglu_grad(cpu: &Cpu, gate: &[f32], up: &[f32], dy: &[f32], dgate: &mut [f32], dup: &mut [f32]) {
    map(cpu, SwiGluGrad, [gate, up, dy], [dgate, dup]);
}

#[derive(Clone, Copy)]
struct Gelu;
impl Map<1, 1> for Gelu {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x]: [S::V; 1]) -> [S::V; 1] {
        [math::gelu(s, x)]
    }
}

/// GELU in its tanh form: `y = x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))` (Hendrycks & Gimpel 2016).
///
/// # Panics
/// If the lengths differ.
pub fn gelu(cpu: &Cpu, x: &[f32], y: &mut [f32]) {
    map(cpu, Gelu, [x], [y]);
}

#[derive(Clone, Copy)]
struct GeluExact;
impl Map<1, 1> for GeluExact {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x]: [S::V; 1]) -> [S::V; 1] {
        [s.mul(x, math::normal(s, x))]
    }
}

/// GELU itself: `y = x · Φ(x)`, with the normal distribution's share `Φ` below `x`.
///
/// # Panics
/// If the lengths differ.
pub fn gelu_exact(cpu: &Cpu, x: &[f32], y: &mut [f32]) {
    map(cpu, GeluExact, [x], [y]);
}

#[derive(Clone, Copy)]
struct GeluExactGrad;
impl Map<2, 1> for GeluExactGrad {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x, dy]: [S::V; 2]) -> [S::V; 1] {
        let half_square = s.mul(s.splat(-0.5), s.mul(x, x));
        let density = s.mul(s.splat(INVERSE_ROOT_2PI), math::exp(s, half_square));
        [s.mul(dy, s.fma(x, density, math::normal(s, x)))]
    }
}

/// 1/√(2π).
const INVERSE_ROOT_2PI: f32 = 0.398_942_3;

/// The gradient of [`gelu_exact`].
///
/// # Panics
/// If the lengths differ.
pub fn gelu_exact_grad(cpu: &Cpu, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    map(cpu, GeluExactGrad, [x, dy], [dx]);
}

#[derive(Clone, Copy)]
struct GeluGrad;
impl Map<2, 1> for GeluGrad {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x, dy]: [S::V; 2]) -> [S::V; 1] {
        [s.mul(dy, math::gelu_slope(s, x))]
    }
}

/// The gradient of [`gelu`].
///
/// # Panics
/// If the lengths differ.
pub fn gelu_grad(cpu: &Cpu, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    map(cpu, GeluGrad, [x, dy], [dx]);
}

#[derive(Clone, Copy)]
struct Add;
impl Map<2, 1> for Add {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [a, b]: [S::V; 2]) -> [S::V; 1] {
        [s.add(a, b)]
    }
}

/// `y = a + b`.
///
/// # Panics
/// If the lengths differ.
pub fn add(cpu: &Cpu, a: &[f32], b: &[f32], y: &mut [f32]) {
    map(cpu, Add, [a, b], [y]);
}

#[derive(Clone, Copy)]
struct Scale(f32);
impl Map<1, 1> for Scale {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [a]: [S::V; 1]) -> [S::V; 1] {
        [s.mul(a, s.splat(self.0))]
    }
}

/// `y = a · factor`.
///
/// # Panics
/// If the lengths differ.
pub fn scale(cpu: &Cpu, a: &[f32], factor: f32, y: &mut [f32]) {
    map(cpu, Scale(factor), [a], [y]);
}

/// The scalar twins, in `f64`.
pub mod reference {
    /// `x / (1 + e⁻ˣ)`.
    pub fn silu(x: f64) -> f64 {
        x / (1.0 + (-x).exp())
    }

    /// GELU, tanh form.
    pub fn gelu(x: f64) -> f64 {
        0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
    }

    /// GELU itself, by the series `Φ(x) = ½ + φ(x) · (x + x³/3 + x⁵/15 + …)`.
    pub fn gelu_exact(x: f64) -> f64 {
        if x.abs() > 10.0 {
            return x.max(0.0);
        }
        let (mut sum, mut term, mut odd) = (0.0, x, 1.0);
        while term.abs() > 1e-20 {
            sum += term;
            odd += 2.0;
            term *= x * x / odd;
        }
        x * (0.5 + (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt() * sum)
    }

    /// `silu(gate) · up`.
    pub fn swiglu(gate: f64, up: f64) -> f64 {
        silu(gate) * up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, gradient, numbers};
    use proptest::prelude::*;

    fn all(len: usize, seed: u32) {
        let [a, b, dy] =
            [0, 1, 2].map(|i| numbers(len, seed + i).iter().map(|x| 6.0 * x).collect::<Vec<_>>());
        let twin = |f: &dyn Fn(f64, f64, f64) -> f64| -> Vec<f64> {
            (0..len).map(|i| f(a[i].into(), b[i].into(), dy[i].into())).collect()
        };
        let slope = |f: &dyn Fn(f64) -> f64, x: f64| gradient(&[x], |x| f(x[0]))[0];
        let twins = [
            twin(&|a, b, _| reference::swiglu(a, b)),
            twin(&|a, b, dy| dy * slope(&|a| reference::swiglu(a, b), a)),
            twin(&|a, b, dy| dy * slope(&|b| reference::swiglu(a, b), b)),
            twin(&|a, _, _| reference::gelu(a)),
            twin(&|a, _, dy| dy * slope(&reference::gelu, a)),
            twin(&|a, _, _| reference::gelu_exact(a)),
            twin(&|a, _, dy| dy * slope(&reference::gelu_exact, a)),
            twin(&|a, b, _| a + b),
            twin(&|a, _, _| a * -1.5),
        ];
        check(2e-6, &twins, |cpu| {
            let mut y: [Vec<f32>; 9] = std::array::from_fn(|_| vec![f32::NAN; len]);
            let [swi, dgate, dup, ge, dge, exact, dexact, sum, scaled] = &mut y;
            swiglu(cpu, &a, &b, swi);
            swiglu_grad(cpu, &a, &b, &dy, dgate, dup);
            gelu(cpu, &a, ge);
            gelu_grad(cpu, &a, &dy, dge);
            gelu_exact(cpu, &a, exact);
            gelu_exact_grad(cpu, &a, &dy, dexact);
            add(cpu, &a, &b, sum);
            scale(cpu, &a, -1.5, scaled);
            let names = [
                "swiglu",
                "dgate",
                "dup",
                "gelu",
                "gelu's dx",
                "exact gelu",
                "exact gelu's dx",
                "add",
                "scale",
            ];
            names.into_iter().zip(y).collect()
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equal_their_twins(len in 0usize..100, seed in 0u32..1000) {
            all(len, seed);
        }
    }

    #[test]
    fn lengths_shared_among_threads() {
        all(33_333, 1);
    }
}
