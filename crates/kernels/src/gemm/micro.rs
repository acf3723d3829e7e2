//! The register tile: up to `MR` rows and `NV` vectors of columns of a product, in registers.
//!
//! Every element is one chain of fused multiply-adds over k in order, starting from zero or from
//! what C holds. So its bits do not depend on the tile it is in.

use crate::simd::{Kernel, LANES, Simd};

/// What a tile's elements start from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Start {
    Zero,
    /// The chain continues from C.
    Resume,
}

/// The operands of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    pub k: usize,
    /// Element (i, k) of A is `a[i * a_row + k * a_col]`.
    pub a: *const f32,
    pub a_row: usize,
    pub a_col: usize,
    /// Row k of B starts at `b[k * b_row]`.
    pub b: *const f32,
    pub b_row: usize,
    /// Whether rows of B may be read up to a multiple of 16 columns.
    pub b_padded: bool,
    pub c: *mut f32,
    pub c_row: usize,
    pub start: Start,
    /// Added at the end, laid out as C; null for none.
    pub add: *const f32,
}

/// [`tile`] as a kernel, whose maker vouches for the pointers.
struct Whole<'a, const MR: usize, const NV: usize, const PARTIAL: bool>(&'a Tile, usize);

impl<const MR: usize, const NV: usize, const PARTIAL: bool> Kernel for Whole<'_, MR, NV, PARTIAL> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: `any_tile` makes it, with what its caller vouches for.
        unsafe { tile::<S, MR, NV, PARTIAL>(s, self.0, self.1) }
    }
}

/// `MR × (NV·16)` elements; of the last vector only `last` lanes exist.
///
/// # Safety
/// The pointers must be valid for the elements that the sizes and strides describe.
#[inline(always)]
unsafe fn tile<S: Simd, const MR: usize, const NV: usize, const PARTIAL: bool>(s: S, t: &Tile, last: usize) {
    // SAFETY (of the whole function): within the elements that the caller vouches for. Plain loops
    // over constant ranges: what keeps the sums in registers is that all of them are unrolled.
    unsafe {
        let mut acc = [[s.zero(); NV]; MR];
        if t.start == Start::Resume {
            for i in 0..MR {
                for j in 0..NV {
                    acc[i][j] = get::<S, NV, PARTIAL>(s, t.c.add(i * t.c_row), j, last);
                }
            }
        }
        let (mut a, mut b) = (t.a, t.b);
        let (a_row, a_col, b_row) = (t.a_row, t.a_col, t.b_row);
        if PARTIAL && !t.b_padded {
            for _ in 0..t.k {
                step::<S, MR, NV, true>(s, &mut acc, a, a_row, b, last);
                a = a.wrapping_add(a_col);
                b = b.wrapping_add(b_row);
            }
        } else {
            for _ in 0..t.k {
                step::<S, MR, NV, false>(s, &mut acc, a, a_row, b, last);
                a = a.wrapping_add(a_col);
                b = b.wrapping_add(b_row);
            }
        }
        if !t.add.is_null() {
            for i in 0..MR {
                for j in 0..NV {
                    acc[i][j] = s.add(acc[i][j], get::<S, NV, PARTIAL>(s, t.add.add(i * t.c_row), j, last));
                }
            }
        }
        for i in 0..MR {
            for j in 0..NV {
                let place = t.c.add(i * t.c_row + j * LANES);
                if PARTIAL && j == NV - 1 {
                    s.store_first(place, last, acc[i][j])
                } else {
                    s.store(place, acc[i][j])
                }
            }
        }
    }
}

/// Vector `j` of a row of a tile.
///
/// # Safety
/// `p` must be valid for the row.
#[inline(always)]
unsafe fn get<S: Simd, const NV: usize, const PARTIAL: bool>(
    s: S,
    p: *const f32,
    j: usize,
    last: usize,
) -> S::V {
    // SAFETY: the caller's promise.
    unsafe {
        if PARTIAL && j == NV - 1 { s.load_first(p.add(j * LANES), last) } else { s.load(p.add(j * LANES)) }
    }
}

/// One depth: a column of A times a row of B onto the sums.
///
/// # Safety
/// `a` and `b` must be valid for the column and the row.
#[inline(always)]
unsafe fn step<S: Simd, const MR: usize, const NV: usize, const PARTIAL: bool>(
    s: S,
    acc: &mut [[S::V; NV]; MR],
    a: *const f32,
    a_row: usize,
    b: *const f32,
    last: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut columns = [s.zero(); NV];
        for j in 0..NV {
            columns[j] = get::<S, NV, PARTIAL>(s, b, j, last);
        }
        for i in 0..MR {
            let x = s.splat(*a.add(i * a_row));
            for j in 0..NV {
                acc[i][j] = s.fma(x, columns[j], acc[i][j]);
            }
        }
    }
}

/// A tile of `rows <= S::MR` rows and `columns <= S::NV · 16` columns.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
pub(crate) unsafe fn any_tile<S: Simd>(s: S, t: &Tile, rows: usize, columns: usize) {
    let last = (columns - 1) % LANES + 1;
    macro_rules! rows {
        ($nv:literal, $partial:literal: $($n:literal)+) => {
            match rows {
                // Heights above the set's own are never compiled in.
                $($n if $n <= S::MR => s.apart(Whole::<$n, $nv, $partial>(t, last)),)+
                _ => unreachable!("a tile of {rows} rows"),
            }
        };
    }
    if S::NV == 2 && columns > LANES {
        if last == LANES {
            rows!(2, false: 12 1 2 3 4 5 6 7 8 9 10 11)
        } else {
            rows!(2, true: 12 1 2 3 4 5 6 7 8 9 10 11)
        }
    } else if last == LANES {
        rows!(1, false: 12 1 2 3 4 5 6 7 8 9 10 11)
    } else {
        rows!(1, true: 12 1 2 3 4 5 6 7 8 9 10 11)
    }
}
