//! Products of a few rows, as in decoding: B is read once, at the speed of memory, in place.

use super::micro::{Start, Tile, any_tile};
use super::{Blocks, Product};
use crate::Cpu;
use crate::simd::{Kernel, LANES, Simd};

/// Columns a task takes at least: some tens of microseconds of work for a typical depth.
const GRAIN: usize = 64;

pub(super) fn run(cpu: &Cpu, product: &Product<'_>) {
    let Blocks { m, n, k, .. } = product.blocks;
    let tasks = if m * n * k < 1 << 15 { 1 } else { cpu.threads().min(n.div_ceil(GRAIN)) };
    let steps = n.div_ceil(2 * LANES);
    cpu.pool().for_each(tasks, |task| {
        let at = |task: usize| (steps * task / tasks * 2 * LANES).min(n);
        cpu.dispatch(Columns { product, range: at(task)..at(task + 1) });
    });
}

struct Columns<'a> {
    product: &'a Product<'a>,
    range: std::ops::Range<usize>,
}

impl Kernel for Columns<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let product = self.product;
        let (b, m) = (&product.b, product.blocks.m);
        if b.row == 1 && b.col != 1 {
            for j in self.range.step_by(LANES) {
                macro_rules! rows {
                    ($($n:literal)+) => {
                        match m {
                            // SAFETY: the sixteen columns from j on lie within B and C, or stop at n.
                            $($n => unsafe { turned::<S, $n>(s, product, j) },)+
                            _ => unreachable!("at most {} rows are narrow", super::NARROW),
                        }
                    };
                }
                rows!(1 2 3 4 5 6 7 8);
            }
            return;
        }
        // Rows of B lie as the tile reads them (or no stride is 1: then one column at a time).
        let width = if b.col == 1 { S::NV * LANES } else { 1 };
        let n = product.blocks.n;
        for j in self.range.clone().step_by(width) {
            let columns = width.min(self.range.end - j);
            for row in (0..m).step_by(S::MR) {
                let rows = S::MR.min(m - row);
                // SAFETY: the tile lies within A, B and C; tasks have columns of their own.
                unsafe {
                    let at = row * n + j;
                    let t = Tile {
                        k: product.blocks.k,
                        a: product.a.data.as_ptr().add(row * product.a.row),
                        a_row: product.a.row,
                        a_col: product.a.col,
                        b: b.data.as_ptr().add(j * b.col),
                        b_row: b.row,
                        b_padded: false,
                        c: product.c.start().add(at),
                        c_row: n,
                        start: product.start,
                        add: if product.add.is_null() { product.add } else { product.add.add(at) },
                    };
                    any_tile(s, &t, rows, columns);
                }
            }
        }
    }
}

/// Sixteen columns of B that lie along K, turned sixteen depths at a time, times `M`
/// rows.
///
/// # Safety
/// `j` must be below n, and `M` the number of rows.
#[inline(always)]
unsafe fn turned<S: Simd, const M: usize>(s: S, product: &Product<'_>, j: usize) {
    let Blocks { n, k, .. } = product.blocks;
    let (a, b) = (&product.a, &product.b);
    let columns = LANES.min(n - j);
    let mut acc = [s.zero(); M];
    // SAFETY (all blocks): columns j..j + columns lie within B and C, rows 0..M within A and C.
    unsafe {
        let c = |i: usize| product.c.start().add(i * n + j);
        if product.start == Start::Resume {
            for (i, x) in acc.iter_mut().enumerate() {
                *x = s.load_first(c(i), columns);
            }
        }
        let mut lines = [0.0f32; LANES * LANES];
        let mut k0 = 0;
        while k0 < k {
            let deep = LANES.min(k - k0);
            let p = b.data.as_ptr().add(j * b.col + k0);
            s.transpose(p, b.col, columns, deep, lines.as_mut_ptr(), LANES);
            for d in 0..deep {
                let line = s.load(lines.as_ptr().add(d * LANES));
                for (i, x) in acc.iter_mut().enumerate() {
                    *x = s.fma(s.splat(*a.data.as_ptr().add(i * a.row + (k0 + d) * a.col)), line, *x);
                }
            }
            k0 += deep;
        }
        for (i, &x) in acc.iter().enumerate() {
            let add = product.add;
            let sum = if add.is_null() { x } else { s.add(x, s.load_first(add.add(i * n + j), columns)) };
            s.store_first(c(i), columns, sum);
        }
    }
}
