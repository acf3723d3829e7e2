//! RMSNorm and LayerNorm over rows of `dim` floats, and their gradients.
//!
//! A sum over a row adds in sixteen lanes (lane `j` has elements `j`, `j + 16`, …) and then over the
//! lanes in a fixed tree. A sum over rows (the gradient of a gain) goes through blocks of 64 rows.

use crate::Cpu;
use crate::rows::{BLOCK, Parts, SumRows, count, for_rows, get, lanes, put, same, sum_rows_scratch};
use crate::simd::{Kernel, Simd};
use std::ops::Range;

/// Floats of scratch that a gradient over `rows` rows of `dim` floats needs.
pub fn norm_scratch(rows: usize, dim: usize) -> usize {
    2 * sum_rows_scratch(rows, dim)
}

/// `y = x · rstd · gain` with `rstd = 1 / √(mean(x²) + eps)` a row (at most 1.5 ULP off its argument's: root and
/// division are correctly rounded, on every instruction set), kept for the gradient
/// (Zhang & Sennrich 2019).
///
/// `x`, `y`: `[rows, dim]`; `gain`: `[dim]`; `rstd`: `[rows]`.
///
/// # Panics
/// If lengths do not fit.
pub fn rms_norm(cpu: &Cpu, x: &[f32], gain: &[f32], y: &mut [f32], rstd: &mut [f32], dim: usize, eps: f32) {
    let rows = count(x.len(), dim, "rows");
    same("gain", gain.len(), dim);
    same("result", y.len(), x.len());
    same("rstd", rstd.len(), rows);
    let (y, rstd) = (Parts::new(y), Parts::new(rstd));
    for_rows(cpu, rows, dim, 1, |range| {
        let floats = range.start * dim..range.end * dim;
        // SAFETY: tasks have disjoint rows.
        let (y, rstd) = unsafe { (y.part(floats.clone()), rstd.part(range)) };
        cpu.dispatch(RmsNorm { x: &x[floats], gain, y, rstd, eps });
    });
}

struct RmsNorm<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    y: &'a mut [f32],
    rstd: &'a mut [f32],
    eps: f32,
}

impl Kernel for RmsNorm<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let dim = self.gain.len();
        let gain = self.gain.as_ptr();
        for ((x, y), rstd) in self.x.chunks_exact(dim).zip(self.y.chunks_exact_mut(dim)).zip(self.rstd) {
            let (x, y) = (x.as_ptr(), y.as_mut_ptr());
            let mut squares = s.zero();
            lanes!(i, n in dim => {
                // SAFETY: the row has `dim` floats and i + n <= dim.
                let v = unsafe { get(s, x.add(i), n) };
                squares = s.fma(v, v, squares);
            });
            let r = 1.0 / (s.sum(squares) / dim as f32 + self.eps).sqrt();
            *rstd = r;
            let r = s.splat(r);
            lanes!(i, n in dim => {
                // SAFETY: all three have `dim` floats and i + n <= dim.
                unsafe {
                    let v = s.mul(s.mul(get(s, x.add(i), n), r), get(s, gain.add(i), n));
                    put(s, y.add(i), n, v);
                }
            });
        }
    }
}

/// The gradients of [`rms_norm`]: `dx` (plus `add`, where a residual branch brings one) and `dgain`.
///
/// # Panics
/// If lengths do not fit, or `scratch` is shorter than [`norm_scratch`].
#[allow(clippy::too_many_arguments)]
pub fn rms_norm_grad(
    cpu: &Cpu,
    x: &[f32],
    gain: &[f32],
    rstd: &[f32],
    dy: &[f32],
    add: Option<&[f32]>,
    dx: &mut [f32],
    dgain: &mut [f32],
    dim: usize,
    scratch: &mut [f32],
) {
    let rows = count(x.len(), dim, "rows");
    same("gain", gain.len(), dim);
    same("gradient of gain", dgain.len(), dim);
    same("rstd", rstd.len(), rows);
    same("gradient of the result", dy.len(), x.len());
    same("gradient of rows", dx.len(), x.len());
    same("added gradient", add.map_or(x.len(), <[f32]>::len), x.len());
    let partial = &mut scratch[..sum_rows_scratch(rows, dim)];
    {
        let (dx, partial) = (Parts::new(dx), Parts::new(partial));
        for_rows(cpu, rows, dim, BLOCK, |range| {
            for (block, rows) in blocks(range) {
                let floats = rows.start * dim..rows.end * dim;
                // SAFETY: tasks have disjoint whole blocks of rows.
                let (dx, dgain) =
                    unsafe { (dx.part(floats.clone()), partial.part(block * dim..(block + 1) * dim)) };
                let (x, dy, add) = (&x[floats.clone()], &dy[floats.clone()], add.map(|a| &a[floats.clone()]));
                cpu.dispatch(RmsNormGrad { x, gain, rstd: &rstd[rows], dy, add, dx, dgain });
            }
        });
    }
    cpu.dispatch(SumRows { rows: partial, sum: dgain });
}

/// The blocks of [`BLOCK`] rows in a range that starts at one: their number and their rows.
pub(crate) fn blocks(range: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
    (range.start / BLOCK..range.end.div_ceil(BLOCK))
        .map(move |block| (block, block * BLOCK..range.end.min((block + 1) * BLOCK)))
}

struct RmsNormGrad<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    rstd: &'a [f32],
    dy: &'a [f32],
    add: Option<&'a [f32]>,
    dx: &'a mut [f32],
    dgain: &'a mut [f32],
}

impl Kernel for RmsNormGrad<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let dim = self.gain.len();
        let (gain, dgain) = (self.gain.as_ptr(), self.dgain.as_mut_ptr());
        self.dgain.fill(0.0);
        for (row, &r) in self.rstd.iter().enumerate() {
            let at = row * dim..(row + 1) * dim;
            let (x, dy) = (self.x[at.clone()].as_ptr(), self.dy[at.clone()].as_ptr());
            let add = self.add.map(|a| a[at.clone()].as_ptr());
            let dx = self.dx[at].as_mut_ptr();
            let mut dot = s.zero();
            lanes!(i, n in dim => {
                // SAFETY: all have `dim` floats and i + n <= dim.
                unsafe {
                    let scaled = s.mul(get(s, dy.add(i), n), get(s, gain.add(i), n));
                    dot = s.fma(scaled, get(s, x.add(i), n), dot);
                }
            });
            // dx = r (g dy − x̂ mean(g dy x̂)) with x̂ = r x
            let mean = s.splat(s.sum(dot) * r * r / dim as f32);
            let r = s.splat(r);
            lanes!(i, n in dim => {
                // SAFETY: all have `dim` floats and i + n <= dim.
                unsafe {
                    let (v, d) = (get(s, x.add(i), n), get(s, dy.add(i), n));
                    let straight = s.mul(d, get(s, gain.add(i), n));
                    let mut grad = s.mul(r, s.sub(straight, s.mul(v, mean)));
                    if let Some(add) = add {
                        grad = s.add(grad, get(s, add.add(i), n));
                    }
                    put(s, dx.add(i), n, grad);
                    put(s, dgain.add(i), n, s.fma(d, s.mul(v, r), get(s, dgain.add(i), n)));
                }
            });
        }
    }
}

/// `y = (x − mean) · rstd · gain + bias` with `rstd = 1 / √(variance + eps)` a row; mean and `rstd`
/// are kept for the gradient (Ba et al. 2016).
///
/// # Panics
/// If lengths do not fit.
#[allow(clippy::too_many_arguments)]
pub fn layer_norm(
    cpu: &Cpu,
    x: &[f32],
    gain: &[f32],
    bias: &[f32],
    y: &mut [f32],
    mean: &mut [f32],
    rstd: &mut [f32],
    dim: usize,
    eps: f32,
) {
    let rows = count(x.len(), dim, "rows");
    same("gain", gain.len(), dim);
    same("bias", bias.len(), dim);
    same("result", y.len(), x.len());
    same("mean", mean.len(), rows);
    same("rstd", rstd.len(), rows);
    let (y, mean, rstd) = (Parts::new(y), Parts::new(mean), Parts::new(rstd));
    for_rows(cpu, rows, dim, 1, |range| {
        let floats = range.start * dim..range.end * dim;
        // SAFETY: tasks have disjoint rows.
        let (y, mean, rstd) = unsafe { (y.part(floats.clone()), mean.part(range.clone()), rstd.part(range)) };
        cpu.dispatch(LayerNorm { x: &x[floats], gain, bias, y, mean, rstd, eps });
    });
}

struct LayerNorm<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    bias: &'a [f32],
    y: &'a mut [f32],
    mean: &'a mut [f32],
    rstd: &'a mut [f32],
    eps: f32,
}

impl Kernel for LayerNorm<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let dim = self.gain.len();
        let (gain, bias) = (self.gain.as_ptr(), self.bias.as_ptr());
        for (row, (mean, rstd)) in self.mean.iter_mut().zip(self.rstd).enumerate() {
            let at = row * dim..(row + 1) * dim;
            let (x, y) = (self.x[at.clone()].as_ptr(), self.y[at].as_mut_ptr());
            let mut sum = s.zero();
            lanes!(i, n in dim => {
                // SAFETY: the row has `dim` floats and i + n <= dim.
                sum = s.add(sum, unsafe { get(s, x.add(i), n) });
            });
            let m = s.sum(sum) / dim as f32;
            let centre = s.splat(m);
            let mut squares = s.zero();
            lanes!(i, n in dim => {
                // SAFETY: as above; the unused lanes of a tail hold the centre, so differ by nothing.
                let v = unsafe { get(s, x.add(i), n) };
                let d = s.sub(if n == 16 { v } else { fill_tail(s, v, centre, n) }, centre);
                squares = s.fma(d, d, squares);
            });
            let r = 1.0 / (s.sum(squares) / dim as f32 + self.eps).sqrt();
            (*mean, *rstd) = (m, r);
            let r = s.splat(r);
            lanes!(i, n in dim => {
                // SAFETY: all four have `dim` floats and i + n <= dim.
                unsafe {
                    let unit = s.mul(s.sub(get(s, x.add(i), n), centre), r);
                    put(s, y.add(i), n, s.fma(unit, get(s, gain.add(i), n), get(s, bias.add(i), n)));
                }
            });
        }
    }
}

/// The lane numbers.
pub(crate) static LANE: [f32; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0];

/// `v` with the lanes from `n` on those of `other`.
#[inline(always)]
pub(crate) fn fill_tail<S: Simd>(s: S, v: S::V, other: S::V, n: usize) -> S::V {
    // SAFETY: the table has sixteen floats.
    let lane = unsafe { s.load(LANE.as_ptr()) };
    s.select_lt(lane, s.splat(n as f32), v, other)
}

/// The gradients of [`layer_norm`]: `dx` (plus `add`), `dgain` and `dbias`.
///
/// # Panics
/// If lengths do not fit, or `scratch` is shorter than [`norm_scratch`].
#[allow(clippy::too_many_arguments)]
pub fn layer_norm_grad(
    cpu: &Cpu,
    x: &[f32],
    gain: &[f32],
    mean: &[f32],
    rstd: &[f32],
    dy: &[f32],
    add: Option<&[f32]>,
    dx: &mut [f32],
    dgain: &mut [f32],
    dbias: &mut [f32],
    dim: usize,
    scratch: &mut [f32],
) {
    let rows = count(x.len(), dim, "rows");
    same("gain", gain.len(), dim);
    same("gradient of gain", dgain.len(), dim);
    same("gradient of bias", dbias.len(), dim);
    same("mean", mean.len(), rows);
    same("rstd", rstd.len(), rows);
    same("gradient of the result", dy.len(), x.len());
    same("gradient of rows", dx.len(), x.len());
    same("added gradient", add.map_or(x.len(), <[f32]>::len), x.len());
    let (gains, rest) = scratch.split_at_mut(sum_rows_scratch(rows, dim));
    let biases = &mut rest[..sum_rows_scratch(rows, dim)];
    {
        let (dx, gains, biases) = (Parts::new(dx), Parts::new(gains), Parts::new(biases));
        for_rows(cpu, rows, dim, BLOCK, |range| {
            for (block, rows) in blocks(range) {
                let floats = rows.start * dim..rows.end * dim;
                let sums = block * dim..(block + 1) * dim;
                // SAFETY: tasks have disjoint whole blocks of rows.
                let (dx, dgain, dbias) =
                    unsafe { (dx.part(floats.clone()), gains.part(sums.clone()), biases.part(sums)) };
                let (x, dy, add) = (&x[floats.clone()], &dy[floats.clone()], add.map(|a| &a[floats.clone()]));
                let (mean, rstd) = (&mean[rows.clone()], &rstd[rows]);
                cpu.dispatch(LayerNormGrad { x, gain, mean, rstd, dy, add, dx, dgain, dbias });
            }
        });
    }
    cpu.dispatch(SumRows { rows: gains, sum: dgain });
    cpu.dispatch(SumRows { rows: biases, sum: dbias });
}

struct LayerNormGrad<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    mean: &'a [f32],
    rstd: &'a [f32],
    dy: &'a [f32],
    add: Option<&'a [f32]>,
    dx: &'a mut [f32],
    dgain: &'a mut [f32],
    dbias: &'a mut [f32],
}

impl Kernel for LayerNormGrad<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let dim = self.gain.len();
        self.dgain.fill(0.0);
        self.dbias.fill(0.0);
        let (gain, dgain, dbias) = (self.gain.as_ptr(), self.dgain.as_mut_ptr(), self.dbias.as_mut_ptr());
        for (row, (&m, &r)) in self.mean.iter().zip(self.rstd).enumerate() {
            let at = row * dim..(row + 1) * dim;
            let (x, dy) = (self.x[at.clone()].as_ptr(), self.dy[at.clone()].as_ptr());
            let add = self.add.map(|a| a[at.clone()].as_ptr());
            let dx = self.dx[at].as_mut_ptr();
            let (m, r) = (s.splat(m), s.splat(r));
            let (mut sum, mut dot) = (s.zero(), s.zero());
            lanes!(i, n in dim => {
                // SAFETY: all have `dim` floats and i + n <= dim. Lanes beyond have no gradient, so
                // their `unit` does not count.
                unsafe {
                    let unit = s.mul(s.sub(get(s, x.add(i), n), m), r);
                    let scaled = s.mul(get(s, dy.add(i), n), get(s, gain.add(i), n));
                    sum = s.add(sum, scaled);
                    dot = s.fma(scaled, unit, dot);
                }
            });
            let (mean_sum, mean_dot) = (s.splat(s.sum(sum) / dim as f32), s.splat(s.sum(dot) / dim as f32));
            lanes!(i, n in dim => {
                // SAFETY: all have `dim` floats and i + n <= dim.
                unsafe {
                    let d = get(s, dy.add(i), n);
                    let unit = s.mul(s.sub(get(s, x.add(i), n), m), r);
                    let straight = s.sub(s.mul(d, get(s, gain.add(i), n)), mean_sum);
                    let mut grad = s.mul(r, s.sub(straight, s.mul(unit, mean_dot)));
                    if let Some(add) = add {
                        grad = s.add(grad, get(s, add.add(i), n));
                    }
                    put(s, dx.add(i), n, grad);
                    put(s, dgain.add(i), n, s.fma(d, unit, get(s, dgain.add(i), n)));
                    put(s, dbias.add(i), n, s.add(d, get(s, dbias.add(i), n)));
                }
            });
        }
    }
}

/// The scalar twins, in `f64`, of one row.
pub mod reference {
    /// A row of [`super::rms_norm`].
    pub fn rms_norm(x: &[f64], gain: &[f64], eps: f64) -> Vec<f64> {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        x.iter().zip(gain).map(|(x, g)| x * g / (mean + eps).sqrt()).collect()
    }

    /// A row of [`super::layer_norm`].
    pub fn layer_norm(x: &[f64], gain: &[f64], bias: &[f64], eps: f64) -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let unit = x.iter().map(|x| (x - mean) / (variance + eps).sqrt());
        unit.zip(gain.iter().zip(bias)).map(|(u, (g, b))| u * g + b).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, dot, gradient, numbers, wide};
    use proptest::prelude::*;

    const EPS: f32 = 1e-3;

    /// Both norms, forward and back, of `rows` rows of `dim`, with and without a residual branch.
    fn both(rows: usize, dim: usize, residual: bool, seed: u32) {
        let [x, dy, add] = [0, 1, 2].map(|i| numbers(rows * dim, seed + i));
        let [gain, bias] = [3, 4].map(|i| numbers(dim, seed + i));
        let add = residual.then_some(&add[..]);
        let (x64, dy64, gain64, bias64) = (wide(&x), wide(&dy), wide(&gain), wide(&bias));
        let add64 = add.map_or(vec![0.0; rows * dim], wide);
        let row = |x: &[f64], t: usize| x[t * dim..(t + 1) * dim].to_vec();
        // The sum whose gradient is asked for, of one row and of all.
        type Norm<'a> = &'a dyn Fn(&[f64], &[f64], &[f64]) -> Vec<f64>;
        let twins = |norm: Norm<'_>| {
            let y: Vec<f64> = (0..rows).flat_map(|t| norm(&row(&x64, t), &gain64, &bias64)).collect();
            let value = |x: &[f64], g: &[f64], b: &[f64], t| dot(&norm(x, g, b), &row(&dy64, t));
            let back = |t| gradient(&row(&x64, t), |x| value(x, &gain64, &bias64, t));
            let dx = (0..rows).flat_map(back).zip(&add64).map(|(dx, add)| dx + add).collect();
            let all = |g: &[f64], b: &[f64]| (0..rows).map(|t| value(&row(&x64, t), g, b, t)).sum::<f64>();
            [y, dx, gradient(&gain64, |g| all(g, &bias64)), gradient(&bias64, |b| all(&gain64, b))]
        };
        let results = |y, dx, dgain, dbias| vec![("y", y), ("dx", dx), ("dgain", dgain), ("dbias", dbias)];
        let fresh = |len| vec![f32::NAN; len];
        let eps = f64::from(EPS);
        let expected = twins(&|x, g, _| reference::rms_norm(x, g, eps));
        check(2e-5, &expected[..3], |cpu| {
            let (mut y, mut rstd, mut dx, mut dgain) =
                (fresh(x.len()), fresh(rows), fresh(x.len()), fresh(dim));
            rms_norm(cpu, &x, &gain, &mut y, &mut rstd, dim, EPS);
            let scratch = &mut fresh(norm_scratch(rows, dim));
            rms_norm_grad(cpu, &x, &gain, &rstd, &dy, add, &mut dx, &mut dgain, dim, scratch);
            results(y, dx, dgain, vec![]).into_iter().take(3).collect()
        });
        let expected = twins(&|x, g, b| reference::layer_norm(x, g, b, eps));
        check(2e-5, &expected, |cpu| {
            let (mut y, mut mean, mut rstd, mut dx) =
                (fresh(x.len()), fresh(rows), fresh(rows), fresh(x.len()));
            let (mut dgain, mut dbias) = (fresh(dim), fresh(dim));
            layer_norm(cpu, &x, &gain, &bias, &mut y, &mut mean, &mut rstd, dim, EPS);
            let scratch = &mut fresh(norm_scratch(rows, dim));
            layer_norm_grad(
                cpu, &x, &gain, &mean, &rstd, &dy, add, &mut dx, &mut dgain, &mut dbias, dim, scratch,
            );
            results(y, dx, dgain, dbias)
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equal_their_twins(rows in 0usize..6, dim in 1usize..70, residual: bool, seed in 0u32..1000) {
            both(rows, dim, residual, seed);
        }
    }

    #[test]
    fn rows_shared_among_threads() {
        both(600, 33, true, 1);
        both(65, 270, false, 2);
    }

    #[test]
    fn no_rows_of_no_width() {
        both(0, 0, true, 3);
    }
}
