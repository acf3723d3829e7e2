//! Operands copied into the order in which the register tile reads them.

use super::View;
use crate::simd::{LANES, Simd};

/// Packs columns `j..j + columns` of rows `k0..k0 + depth` of B into a panel of `width` columns: row
/// after row, zeros behind the last column.
///
/// # Safety
/// B must have those elements; `panel` must hold `depth · width` floats.
#[inline(always)]
pub(super) unsafe fn pack_b<S: Simd>(
    s: S,
    b: View<'_>,
    (k0, depth): (usize, usize),
    (j, columns): (usize, usize),
    width: usize,
    panel: *mut f32,
) {
    // SAFETY (all blocks): within the elements that the caller vouches for.
    let at = |k: usize, j: usize| unsafe { b.data.as_ptr().add(k * b.row + j * b.col) };
    for v in 0..width / LANES {
        let n = columns.saturating_sub(v * LANES).min(LANES);
        let (j, panel) = (j + v * LANES, panel.wrapping_add(v * LANES));
        if b.col == 1 {
            for k in 0..depth {
                // SAFETY: see above.
                unsafe {
                    let row = if n == LANES { s.load(at(k0 + k, j)) } else { s.load_first(at(k0 + k, j), n) };
                    s.store(panel.add(k * width), row);
                }
            }
        } else if b.row == 1 {
            // Columns of B are contiguous: sixteen of them at sixteen depths are turned at a time.
            for k in (0..depth).step_by(LANES) {
                let deep = LANES.min(depth - k);
                // SAFETY: see above.
                unsafe { s.transpose(at(k0 + k, j), b.col, n, deep, panel.add(k * width), width) };
            }
        } else {
            for k in 0..depth {
                for i in 0..LANES {
                    // SAFETY: see above.
                    unsafe { *panel.add(k * width + i) = if i < n { *at(k0 + k, j + i) } else { 0.0 } };
                }
            }
        }
    }
}

/// Floats of a packed tile of A of this depth, the last store's overhang included.
pub(super) const fn packed_tile(depth: usize, height: usize) -> usize {
    (depth * height + LANES).next_multiple_of(LANES)
}

/// Packs rows `i..i + rows` (at most `S::MR`) of A at depths `k0..k0 + depth`: a column of `S::MR`
/// floats for each depth, of which the first `rows` count.
///
/// # Safety
/// A must have those elements; `tile` must hold `packed_tile(depth, S::MR)` floats.
#[inline(always)]
pub(super) unsafe fn pack_a<S: Simd>(
    s: S,
    a: View<'_>,
    (i, rows): (usize, usize),
    (k0, depth): (usize, usize),
    tile: *mut f32,
) {
    // SAFETY (all blocks): within the elements that the caller vouches for. Vectors are stored in
    // order of depth, so each overwrites what the one before it wrote beyond its column.
    let at = |i: usize, k: usize| unsafe { a.data.as_ptr().add(i * a.row + k * a.col) };
    if a.col == 1 {
        for k in (0..depth).step_by(LANES) {
            let deep = LANES.min(depth - k);
            // SAFETY: see above.
            unsafe { s.transpose(at(i, k0 + k), a.row, rows, deep, tile.add(k * S::MR), S::MR) };
        }
    } else if a.row == 1 {
        for k in 0..depth {
            // SAFETY: see above.
            unsafe { s.store(tile.add(k * S::MR), s.load_first(at(i, k0 + k), rows)) };
        }
    } else {
        for k in 0..depth {
            for r in 0..rows {
                // SAFETY: see above.
                unsafe { *tile.add(k * S::MR + r) = *at(i + r, k0 + k) };
            }
        }
    }
}
