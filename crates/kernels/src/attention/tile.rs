//! The products of a tile: chains of fused multiply-adds in registers, with what follows fused in.

use super::QUERIES;
use crate::rows::get;
use crate::simd::{LANES, Simd};

/// Rows of a register tile: divides 16, so that a tile's rows never straddle a vector of queries.
/// Scratch that is indexed by key or query has room up to a multiple of this.
pub(super) const ROWS: usize = 8;

/// A matrix read element by element: (i, k) at `p[i · row + k · col]`.
#[derive(Clone, Copy)]
pub(super) struct Left {
    pub p: *const f32,
    pub row: usize,
    pub col: usize,
}

/// A matrix read in vectors: row k from `p[k · row]` on.
#[derive(Clone, Copy)]
pub(super) struct Right {
    pub p: *const f32,
    pub row: usize,
}

/// `acc[i][j] += Σ_k a[i][k] · b[k][j]`, each element one chain in the order of k.
///
/// # Safety
/// `a` must be valid for `M × depth` elements and `b` for `depth` rows of `16 N` floats.
#[inline(always)]
pub(super) unsafe fn chain<S: Simd, const M: usize, const N: usize>(
    s: S,
    acc: &mut [[S::V; N]; M],
    depth: usize,
    a: Left,
    b: Right,
) {
    let (mut pa, mut pb) = (a.p, b.p);
    for _ in 0..depth {
        // SAFETY: column k of `a` and row k of `b`, which the caller vouches for; the pointers are
        // moved on without being followed past the end.
        unsafe {
            let mut columns = [s.zero(); N];
            for j in 0..N {
                columns[j] = s.load(pb.add(j * LANES));
            }
            for i in 0..M {
                let x = s.splat(*pa.add(i * a.row));
                for j in 0..N {
                    acc[i][j] = s.fma(x, columns[j], acc[i][j]);
                }
            }
        }
        pa = pa.wrapping_add(a.col);
        pb = pb.wrapping_add(b.row);
    }
}

/// `c[i][..] = c[i][..] · scale[i] + Σ_k a[i][k] · b[k][..]` over `M` rows and `vectors` vectors; no
/// scale: 1.
///
/// # Safety
/// `a`, `b`, `c` and `scale` must be valid for `M` rows, `depth` and `vectors`.
#[inline(always)]
pub(super) unsafe fn accumulate<S: Simd, const M: usize>(
    s: S,
    depth: usize,
    a: Left,
    b: Right,
    c: (*mut f32, usize),
    vectors: usize,
    scale: Option<*const f32>,
) {
    // SAFETY (of the whole function): within what the caller vouches for.
    unsafe {
        let mut j = 0;
        if S::NV >= 2 {
            while j + 2 <= vectors {
                let b = Right { p: b.p.add(j * LANES), ..b };
                part::<S, M, 2>(s, depth, a, b, (c.0.add(j * LANES), c.1), scale);
                j += 2;
            }
        }
        while j < vectors {
            let b = Right { p: b.p.add(j * LANES), ..b };
            part::<S, M, 1>(s, depth, a, b, (c.0.add(j * LANES), c.1), scale);
            j += 1;
        }
    }
}

/// # Safety
/// As [`accumulate`].
#[inline(always)]
unsafe fn part<S: Simd, const M: usize, const N: usize>(
    s: S,
    depth: usize,
    a: Left,
    b: Right,
    (c, row): (*mut f32, usize),
    scale: Option<*const f32>,
) {
    // SAFETY: as the caller vouches for.
    unsafe {
        let mut acc = [[s.zero(); N]; M];
        for i in 0..M {
            for j in 0..N {
                acc[i][j] = s.load(c.add(i * row + j * LANES));
            }
            if let Some(scale) = scale {
                let factor = s.splat(*scale.add(i));
                for j in 0..N {
                    acc[i][j] = s.mul(acc[i][j], factor);
                }
            }
        }
        chain::<S, M, N>(s, &mut acc, depth, a, b);
        for i in 0..M {
            for j in 0..N {
                s.store(c.add(i * row + j * LANES), acc[i][j]);
            }
        }
    }
}

/// Copies `rows` rows of `dim` floats to rows of `padded`, the tail zero.
///
/// # Safety
/// Both sides must be valid for the rows.
#[inline(always)]
pub(super) unsafe fn pack<S: Simd>(
    s: S,
    rows: usize,
    dim: usize,
    (from, from_row): (*const f32, usize),
    (to, to_row): (*mut f32, usize),
) {
    for i in 0..rows {
        let mut j = 0;
        while j < dim {
            // SAFETY: inside row i of both; `to_row` is a multiple of 16.
            unsafe {
                s.store(to.add(i * to_row + j), get(s, from.add(i * from_row + j), LANES.min(dim - j)))
            };
            j += LANES;
        }
    }
}

/// Queries as columns: `to[d][lane] = row(lane)[d]` for `lanes` lanes, zero up to the next multiple
/// of 16. Rows of `to` are [`QUERIES`] apart, and there are as many as `dim` in whole vectors.
///
/// # Safety
/// `row(lane)` must be valid for `dim` floats, and `to` for the result.
#[inline(always)]
pub(super) unsafe fn columns<S: Simd>(
    s: S,
    lanes: usize,
    dim: usize,
    row: impl Fn(usize) -> *const f32,
    to: *mut f32,
) {
    let mut lane = 0;
    while lane < lanes {
        let count = LANES.min(lanes - lane);
        let mut d = 0;
        while d < dim {
            let n = LANES.min(dim - d);
            let mut block = [0.0f32; LANES * LANES];
            for i in 0..count {
                // SAFETY: lane + i is one of the lanes, and d + n <= dim.
                unsafe { s.store(block.as_mut_ptr().add(i * LANES), get(s, row(lane + i).add(d), n)) };
            }
            // SAFETY: row d + 15 is below `dim` in whole vectors, lane + 15 below 64.
            unsafe { s.transpose(block.as_ptr(), LANES, count, LANES, to.add(d * QUERIES + lane), QUERIES) };
            d += LANES;
        }
        lane += LANES;
    }
}
