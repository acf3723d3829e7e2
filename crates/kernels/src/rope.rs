//! Rotary positions, with the RMSNorm of each head fused in.
//!
//! The halves of a head are the pairs (`i`, `i + D/2`), Hugging Face's convention (Su et al. 2021):
//! `y₁ = u₁ cos − u₂ sin`, `y₂ = u₂ cos + u₁ sin`, with `u = x · rstd · gain`. Without a gain (Llama)
//! `u = x`.

use crate::Cpu;
use crate::norm::blocks;
use crate::rows::{BLOCK, Parts, SumRows, count, for_rows, get, lanes, put, same, sum_rows_scratch};
use crate::simd::{Kernel, Simd};

/// Floats of scratch that [`head_norm_rope_grad`] needs for `rows` tokens.
pub fn head_norm_rope_scratch(rows: usize, head_dim: usize) -> usize {
    sum_rows_scratch(rows, head_dim)
}

/// The angles and the shape, as both directions use them.
#[derive(Clone, Copy)]
struct Turn<'a> {
    cos: &'a [f32],
    sin: &'a [f32],
    positions: &'a [i32],
    heads: usize,
    head_dim: usize,
}

impl<'a> Turn<'a> {
    fn check(self, x: usize) -> Turn<'a> {
        let half = self.head_dim / 2;
        assert!(self.head_dim.is_multiple_of(2), "head size {} is odd", self.head_dim);
        same("sines", self.sin.len(), self.cos.len());
        let known = count(self.cos.len(), half, "angles");
        let last = self.positions.iter().map(|&p| p as u32).max();
        assert!(last.is_none_or(|p| (p as usize) < known), "position {last:?} of a table of {known}");
        same("heads", x, self.positions.len() * self.heads * self.head_dim);
        self
    }

    fn rows(self, range: std::ops::Range<usize>) -> Turn<'a> {
        Turn { positions: &self.positions[range], ..self }
    }
}

/// Normalises each head (where there is a gain) and turns it by the angle of its position.
///
/// `x`, `y`: `[T, heads · head_dim]`; `gain`: `[head_dim]`; `cos`, `sin`: `[positions, head_dim / 2]`;
/// `positions`: `[T]`; `rstd`: `[T · heads]`, kept for the gradient (empty without a gain).
///
/// # Panics
/// If lengths do not fit, `head_dim` is odd, or a position is outside of the table.
#[allow(clippy::too_many_arguments)]
pub fn head_norm_rope(
    cpu: &Cpu,
    x: &[f32],
    gain: Option<&[f32]>,
    cos: &[f32],
    sin: &[f32],
    positions: &[i32],
    y: &mut [f32],
    rstd: &mut [f32],
    heads: usize,
    head_dim: usize,
    eps: f32,
) {
    let turn = Turn { cos, sin, positions, heads, head_dim }.check(x.len());
    same("result", y.len(), x.len());
    if let Some(gain) = gain {
        same("gain", gain.len(), head_dim);
        same("rstd", rstd.len(), positions.len() * heads);
    }
    let width = heads * head_dim;
    let normed = gain.is_some();
    let (y, rstd) = (Parts::new(y), Parts::new(rstd));
    for_rows(cpu, positions.len(), width, 1, |range| {
        let floats = range.start * width..range.end * width;
        let scales = if normed { range.start * heads..range.end * heads } else { 0..0 };
        // SAFETY: tasks have disjoint rows.
        let (y, rstd) = unsafe { (y.part(floats.clone()), rstd.part(scales)) };
        cpu.dispatch(Forward { turn: turn.rows(range), x: &x[floats], gain, y, rstd, eps });
    });
}

struct Forward<'a> {
    turn: Turn<'a>,
    x: &'a [f32],
    gain: Option<&'a [f32]>,
    y: &'a mut [f32],
    rstd: &'a mut [f32],
    eps: f32,
}

impl Kernel for Forward<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Turn { cos, sin, positions, heads, head_dim: dim } = self.turn;
        let half = dim / 2;
        for (t, &position) in positions.iter().enumerate() {
            let angles = position as usize * half..(position as usize + 1) * half;
            let (cos, sin) = (cos[angles.clone()].as_ptr(), sin[angles].as_ptr());
            for head in t * heads..(t + 1) * heads {
                let at = head * dim..(head + 1) * dim;
                let (x, y) = (self.x[at.clone()].as_ptr(), self.y[at].as_mut_ptr());
                let Some(gain) = self.gain.map(<[f32]>::as_ptr) else {
                    lanes!(i, n in half => {
                        // SAFETY: halves of a head and angles have `half` floats, i + n <= half.
                        unsafe {
                            let (a, b) = (get(s, x.add(i), n), get(s, x.add(half + i), n));
                            let (c, d) = (get(s, cos.add(i), n), get(s, sin.add(i), n));
                            put(s, y.add(i), n, s.sub(s.mul(a, c), s.mul(b, d)));
                            put(s, y.add(half + i), n, s.add(s.mul(b, c), s.mul(a, d)));
                        }
                    });
                    continue;
                };
                let mut squares = s.zero();
                lanes!(i, n in dim => {
                    // SAFETY: the head has `dim` floats and i + n <= dim.
                    let v = unsafe { get(s, x.add(i), n) };
                    squares = s.fma(v, v, squares);
                });
                let r = 1.0 / (s.sum(squares) / dim as f32 + self.eps).sqrt();
                self.rstd[head] = r;
                let r = s.splat(r);
                lanes!(i, n in half => {
                    // SAFETY: halves of a head, of the gain and angles have `half` floats, i + n <= half.
                    unsafe {
                        let a = s.mul(s.mul(get(s, x.add(i), n), r), get(s, gain.add(i), n));
                        let b = s.mul(s.mul(get(s, x.add(half + i), n), r), get(s, gain.add(half + i), n));
                        let (c, d) = (get(s, cos.add(i), n), get(s, sin.add(i), n));
                        put(s, y.add(i), n, s.sub(s.mul(a, c), s.mul(b, d)));
                        put(s, y.add(half + i), n, s.add(s.mul(b, c), s.mul(a, d)));
                    }
                });
            }
        }
    }
}

/// The gradients of [`head_norm_rope`] by `x` and, where there is one, by the gain.
///
/// # Panics
/// If lengths do not fit, or `scratch` is shorter than [`head_norm_rope_scratch`], or only one of
/// `gain` and `dgain` is there.
#[allow(clippy::too_many_arguments)]
pub fn head_norm_rope_grad(
    cpu: &Cpu,
    x: &[f32],
    gain: Option<&[f32]>,
    cos: &[f32],
    sin: &[f32],
    positions: &[i32],
    rstd: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    dgain: Option<&mut [f32]>,
    heads: usize,
    head_dim: usize,
    scratch: &mut [f32],
) {
    let turn = Turn { cos, sin, positions, heads, head_dim }.check(dy.len());
    same("gradient of heads", dx.len(), dy.len());
    assert!(gain.is_some() == dgain.is_some(), "a gain and its gradient go together");
    let rows = positions.len();
    let width = heads * head_dim;
    let Some((gain, dgain)) = gain.zip(dgain) else {
        let dx = Parts::new(dx);
        return for_rows(cpu, rows, width, 1, |range| {
            let floats = range.start * width..range.end * width;
            // SAFETY: tasks have disjoint rows.
            let dx = unsafe { dx.part(floats.clone()) };
            cpu.dispatch(TurnBack { turn: turn.rows(range), dy: &dy[floats], dx });
        });
    };
    same("heads", x.len(), dy.len());
    same("gain", gain.len(), head_dim);
    same("gradient of gain", dgain.len(), head_dim);
    same("rstd", rstd.len(), rows * heads);
    let partial = &mut scratch[..sum_rows_scratch(rows, head_dim)];
    {
        let (dx, partial) = (Parts::new(dx), Parts::new(partial));
        for_rows(cpu, rows, width, BLOCK, |range| {
            for (block, rows) in blocks(range) {
                let floats = rows.start * width..rows.end * width;
                let sums = block * head_dim..(block + 1) * head_dim;
                // SAFETY: tasks have disjoint whole blocks of rows.
                let (dx, dgain) = unsafe { (dx.part(floats.clone()), partial.part(sums)) };
                let (x, dy) = (&x[floats.clone()], &dy[floats]);
                let rstd = &rstd[rows.start * heads..rows.end * heads];
                cpu.dispatch(Backward { turn: turn.rows(rows), x, gain, rstd, dy, dx, dgain });
            }
        });
    }
    cpu.dispatch(SumRows { rows: partial, sum: dgain });
}

/// The turn by the negative angle.
struct TurnBack<'a> {
    turn: Turn<'a>,
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for TurnBack<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Turn { cos, sin, positions, heads, head_dim: dim } = self.turn;
        let half = dim / 2;
        for (t, &position) in positions.iter().enumerate() {
            let angles = position as usize * half..(position as usize + 1) * half;
            let (cos, sin) = (cos[angles.clone()].as_ptr(), sin[angles].as_ptr());
            for head in t * heads..(t + 1) * heads {
                let at = head * dim..(head + 1) * dim;
                let (dy, dx) = (self.dy[at.clone()].as_ptr(), self.dx[at].as_mut_ptr());
                lanes!(i, n in half => {
                    // SAFETY: halves of a head and angles have `half` floats, i + n <= half.
                    unsafe {
                        let (a, b) = turned_back(s, dy, cos, sin, i, n, half);
                        put(s, dx.add(i), n, a);
                        put(s, dx.add(half + i), n, b);
                    }
                });
            }
        }
    }
}

/// The gradient by `u` of lanes `i..i + n` of both halves.
///
/// # Safety
/// `dy` has `2 half` floats, `cos` and `sin` have `half`, and `i + n <= half`.
#[inline(always)]
unsafe fn turned_back<S: Simd>(
    s: S,
    dy: *const f32,
    cos: *const f32,
    sin: *const f32,
    i: usize,
    n: usize,
    half: usize,
) -> (S::V, S::V) {
    // SAFETY: the caller's promise.
    unsafe {
        let (a, b) = (get(s, dy.add(i), n), get(s, dy.add(half + i), n));
        let (c, d) = (get(s, cos.add(i), n), get(s, sin.add(i), n));
        (s.add(s.mul(a, c), s.mul(b, d)), s.sub(s.mul(b, c), s.mul(a, d)))
    }
}

struct Backward<'a> {
    turn: Turn<'a>,
    x: &'a [f32],
    gain: &'a [f32],
    rstd: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    dgain: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Turn { cos, sin, positions, heads, head_dim: dim } = self.turn;
        let half = dim / 2;
        let (gain, dgain) = (self.gain.as_ptr(), self.dgain.as_mut_ptr());
        self.dgain.fill(0.0);
        for (t, &position) in positions.iter().enumerate() {
            let angles = position as usize * half..(position as usize + 1) * half;
            let (cos, sin) = (cos[angles.clone()].as_ptr(), sin[angles].as_ptr());
            for head in t * heads..(t + 1) * heads {
                let at = head * dim..(head + 1) * dim;
                let r = self.rstd[head];
                let (x, dy) = (self.x[at.clone()].as_ptr(), self.dy[at.clone()].as_ptr());
                let dx = self.dx[at].as_mut_ptr();
                // Both halves add into the same lanes: a fixed order for a given head size.
                let mut dot = s.zero();
                lanes!(i, n in half => {
                    // SAFETY: halves of a head, of the gain and angles have `half` floats, i + n <= half.
                    unsafe {
                        let (a, b) = turned_back(s, dy, cos, sin, i, n, half);
                        dot = s.fma(s.mul(a, get(s, gain.add(i), n)), get(s, x.add(i), n), dot);
                        dot = s.fma(s.mul(b, get(s, gain.add(half + i), n)), get(s, x.add(half + i), n), dot);
                    }
                });
                let mean = s.splat(s.sum(dot) * r * r / dim as f32);
                let r = s.splat(r);
                lanes!(i, n in half => {
                    // SAFETY: as above.
                    unsafe {
                        let (a, b) = turned_back(s, dy, cos, sin, i, n, half);
                        for (at, d) in [(i, a), (half + i, b)] {
                            let v = get(s, x.add(at), n);
                            let straight = s.mul(d, get(s, gain.add(at), n));
                            put(s, dx.add(at), n, s.mul(r, s.sub(straight, s.mul(v, mean))));
                            put(s, dgain.add(at), n, s.fma(d, s.mul(v, r), get(s, dgain.add(at), n)));
                        }
                    }
                });
            }
        }
    }
}

/// The scalar twins, in `f64`.
pub mod reference {
    /// One head turned: pairs (`i`, `i + D/2`).
    pub fn rope(x: &[f64], cos: &[f64], sin: &[f64]) -> Vec<f64> {
        let half = x.len() / 2;
        let first = (0..half).map(|i| x[i] * cos[i] - x[half + i] * sin[i]);
        first.chain((0..half).map(|i| x[half + i] * cos[i] + x[i] * sin[i])).collect()
    }

    /// One head normalised (where there is a gain) and turned.
    pub fn head_norm_rope(x: &[f64], gain: Option<&[f64]>, cos: &[f64], sin: &[f64], eps: f64) -> Vec<f64> {
        match gain {
            Some(gain) => rope(&crate::norm::reference::rms_norm(x, gain, eps), cos, sin),
            None => rope(x, cos, sin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, dot, gradient, numbers, wide};
    use proptest::prelude::*;

    const EPS: f32 = 1e-3;

    fn both(rows: usize, heads: usize, half: usize, normed: bool, seed: u32) {
        let (dim, known) = (2 * half, 11);
        let [x, dy] = [0, 1].map(|i| numbers(rows * heads * dim, seed + i));
        let gain = numbers(dim, seed + 2);
        let gain = normed.then_some(&gain[..]);
        let angles = numbers(known * half, seed + 3);
        let (cos, sin): (Vec<f32>, Vec<f32>) =
            angles.iter().map(|a| ((3.0 * a).cos(), (3.0 * a).sin())).unzip();
        let positions: Vec<i32> = (0..rows).map(|t| ((t * 7 + seed as usize) % known) as i32).collect();
        let (x64, dy64, cos64, sin64) = (wide(&x), wide(&dy), wide(&cos), wide(&sin));
        let gain64 = gain.map(wide);
        // Head `i` of all tokens' heads.
        let head = |x: &[f64], i: usize| x[i * dim..(i + 1) * dim].to_vec();
        let twin = |x: &[f64], gain: Option<&[f64]>, i: usize| {
            let at = positions[i / heads] as usize * half;
            let (cos, sin) = (&cos64[at..at + half], &sin64[at..at + half]);
            reference::head_norm_rope(x, gain, cos, sin, f64::from(EPS))
        };
        let value = |x: &[f64], gain: Option<&[f64]>, i| dot(&twin(x, gain, i), &head(&dy64, i));
        let all = 0..rows * heads;
        let y = all.clone().flat_map(|i| twin(&head(&x64, i), gain64.as_deref(), i)).collect();
        let dx = all.clone().flat_map(|i| gradient(&head(&x64, i), |x| value(x, gain64.as_deref(), i)));
        let dgain = gain64.as_ref().map_or(vec![], |gain| {
            gradient(gain, |g| all.clone().map(|i| value(&head(&x64, i), Some(g), i)).sum())
        });
        check(2e-5, &[y, dx.collect(), dgain], |cpu| {
            let (mut y, mut dx) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
            let mut rstd = vec![f32::NAN; if normed { rows * heads } else { 0 }];
            let mut dgain = vec![f32::NAN; gain.map_or(0, <[f32]>::len)];
            head_norm_rope(cpu, &x, gain, &cos, &sin, &positions, &mut y, &mut rstd, heads, dim, EPS);
            let scratch = &mut vec![f32::NAN; head_norm_rope_scratch(rows, dim)];
            let to = normed.then_some(&mut dgain[..]);
            head_norm_rope_grad(
                cpu, &x, gain, &cos, &sin, &positions, &rstd, &dy, &mut dx, to, heads, dim, scratch,
            );
            vec![("y", y), ("dx", dx), ("dgain", dgain)]
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equal_their_twins(
            rows in 0usize..6, heads in 1usize..4, half in 1usize..40, normed: bool, seed in 0u32..1000,
        ) {
            both(rows, heads, half, normed, seed);
        }
    }

    #[test]
    fn rows_shared_among_threads() {
        both(250, 3, 13, true, 1);
        both(250, 3, 13, false, 1);
    }
}
