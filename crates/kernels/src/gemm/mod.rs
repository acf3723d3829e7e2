//! Matrix products: `C = A · B`, with C optionally continued or a residual added.
//!
//! Blocks of K are taken in order and C carries the sums between them, so each element is one chain
//! of fused multiply-adds over all of K, whatever the tiles, the threads, or the number of rows:
//! a row of a large product has the bits of the same row computed alone.
//!
//! Panels of B are packed once and shared; each task packs the rows of A that it works on. The
//! scheme is Goto and van de Geijn's ("Anatomy of high-performance matrix multiplication", 2008).

mod micro;
mod narrow;
mod pack;

use crate::Cpu;
use crate::rows::Parts;
use crate::simd::{Kernel, LANES, Simd};
use micro::{Start, Tile, any_tile};
use pack::{pack_a, pack_b, packed_tile};

/// A matrix: element (i, j) is `data[i * row + j * col]`.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The elements.
    pub data: &'a [f32],
    /// Distance between rows.
    pub row: usize,
    /// Distance between columns.
    pub col: usize,
}

impl View<'_> {
    fn check(&self, name: &str, rows: usize, columns: usize) {
        let last = (rows.max(1) - 1) * self.row + (columns.max(1) - 1) * self.col;
        let fits = rows * columns == 0 || last < self.data.len();
        assert!(fits, "{name} [{rows}, {columns}] does not fit {} elements", self.data.len());
    }
}

/// What the product is added to.
#[derive(Clone, Copy, Debug)]
pub enum Init<'a> {
    /// Nothing.
    Zero,
    /// C: each element's chain of sums goes on from it.
    Accumulate,
    /// A residual laid out as C, added once at the end.
    Add(&'a [f32]),
}

/// Depth of a block of K: a panel of B and a tile of A of it stay in the first caches.
const DEPTH: usize = 384;
/// Columns of B packed at a time.
const WIDTH: usize = 1024;
/// Rows of A packed at a time, in tiles.
const TILES: usize = 12;
/// Products with fewer rows read B in place.
const NARROW: usize = 8;
/// Products with fewer columns read A in place.
const PACK_A_FROM: usize = 128;

/// Sizes of a product's blocks.
#[derive(Clone, Copy)]
struct Blocks {
    m: usize,
    n: usize,
    k: usize,
    depth: usize,
}

impl Blocks {
    fn new(m: usize, n: usize, k: usize) -> Blocks {
        // Equal blocks of K, so that the last is not a sliver.
        let depth = k.div_ceil(k.div_ceil(DEPTH).max(1)).next_multiple_of(LANES).min(k);
        Blocks { m, n, k, depth }
    }

    /// Floats for the panels of B; widths of all sets divide 32.
    fn b_len(&self) -> usize {
        self.n.min(WIDTH).next_multiple_of(2 * LANES) * self.depth
    }

    /// Floats for a task's rows of A: enough for every set's tile height.
    fn a_len(&self) -> usize {
        TILES.min(self.m) * packed_tile(self.depth, 12)
    }
}

/// Floats of scratch that [`gemm`] wants for a product of these sizes, or of smaller ones.
pub fn gemm_scratch(threads: usize, m: usize, n: usize, k: usize) -> usize {
    if m <= NARROW {
        return 0;
    }
    // A smaller K may be one block and so a deeper one.
    let blocks = Blocks { m, n, k, depth: k.min(DEPTH) };
    blocks.b_len() + if n >= PACK_A_FROM { threads * blocks.a_len() } else { 0 }
}

/// `c [m, n] = a [m, k] · b [k, n]`, row-major, plus what `init` says. `a` and `b` may have any
/// strides; those with a stride of 1 along either axis are fast. `scratch` holds
/// [`gemm_scratch`] floats.
///
/// # Panics
/// If an operand is smaller than the sizes say: callers plan them together.
#[allow(clippy::too_many_arguments)]
pub fn gemm(
    cpu: &Cpu,
    m: usize,
    n: usize,
    k: usize,
    a: View<'_>,
    b: View<'_>,
    c: &mut [f32],
    init: Init<'_>,
    scratch: &mut [f32],
) {
    a.check("a", m, k);
    b.check("b", k, n);
    assert_eq!(c.len(), m * n, "c is [{m}, {n}]");
    let add = match init {
        Init::Add(add) => {
            assert_eq!(add.len(), m * n, "the residual is [{m}, {n}]");
            add.as_ptr()
        }
        _ => std::ptr::null(),
    };
    if m * n == 0 {
        return;
    }
    if k == 0 {
        match init {
            Init::Zero => c.fill(0.0),
            Init::Add(add) => c.copy_from_slice(add),
            Init::Accumulate => (),
        }
        return;
    }
    let start = if matches!(init, Init::Accumulate) { Start::Resume } else { Start::Zero };
    let product = Product { blocks: Blocks::new(m, n, k), a, b, c: Parts::new(c), start, add };
    if m <= NARROW {
        return narrow::run(cpu, &product);
    }
    let wanted = gemm_scratch(cpu.threads(), m, n, k);
    assert!(scratch.len() >= wanted, "scratch of {} is below {wanted}", scratch.len());
    cpu.dispatch(Drive { cpu, product: &product, scratch: Parts::new(scratch) });
}

/// A product on its way.
struct Product<'a> {
    blocks: Blocks,
    a: View<'a>,
    b: View<'a>,
    c: Parts<'a>,
    start: Start,
    add: *const f32,
}

// SAFETY: the residual behind `add` is borrowed for as long as the product and only read; C is
// written in disjoint parts.
unsafe impl Sync for Product<'_> {}

/// The loops over blocks of B; the work inside them goes to the pool.
struct Drive<'a> {
    cpu: &'a Cpu,
    product: &'a Product<'a>,
    scratch: Parts<'a>,
}

impl Kernel for Drive<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Drive { cpu, product, scratch } = self;
        let Blocks { m, n, k, depth } = product.blocks;
        let width = S::NV * LANES;
        let (b_len, a_len) = (product.blocks.b_len(), product.blocks.a_len());
        let packs_a = n >= PACK_A_FROM;
        for j in (0..n).step_by(WIDTH) {
            let columns = WIDTH.min(n - j);
            let panels = columns.div_ceil(width);
            for k0 in (0..k).step_by(depth.max(1)) {
                let deep = depth.min(k - k0);
                let chunks = if cpu.threads() == 1 { 1 } else { panels.min(4 * cpu.threads()) };
                cpu.pool().for_each(chunks, |chunk| {
                    let range = panels * chunk / chunks..panels * (chunk + 1) / chunks;
                    // SAFETY: chunks have panels of their own.
                    let packed =
                        unsafe { scratch.part(range.start * deep * width..range.end * deep * width) };
                    cpu.dispatch(PackPanels {
                        b: product.b,
                        first: range.start,
                        j,
                        columns,
                        k0,
                        deep,
                        packed,
                    });
                });
                let tiles = m.div_ceil(S::MR);
                let tasks = if m * columns * deep < 1 << 15 { 1 } else { cpu.threads() };
                // Few rows and many columns are split by columns.
                let by_rows = tiles >= 2 * tasks || panels < tiles;
                cpu.pool().for_each(tasks, |task| {
                    let share = |len: usize| len * task / tasks..len * (task + 1) / tasks;
                    let (tiles, panels) =
                        if by_rows { (share(tiles), 0..panels) } else { (0..tiles, share(panels)) };
                    // SAFETY: behind the panels each task has a part of its own.
                    let packed = packs_a
                        .then(|| unsafe { scratch.part(b_len + task * a_len..b_len + (task + 1) * a_len) });
                    cpu.dispatch(Work { product, b: scratch, packed, tiles, panels, j, columns, k0, deep });
                });
            }
        }
    }
}

struct PackPanels<'a> {
    b: View<'a>,
    first: usize,
    j: usize,
    columns: usize,
    k0: usize,
    deep: usize,
    packed: &'a mut [f32],
}

impl Kernel for PackPanels<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = S::NV * LANES;
        for (i, panel) in self.packed.chunks_exact_mut((self.deep * width).max(1)).enumerate() {
            let from = (self.first + i) * width;
            let columns = width.min(self.columns - from);
            // SAFETY: the columns lie in B, and the panel has room for the depth.
            unsafe {
                pack_b(s, self.b, (self.k0, self.deep), (self.j + from, columns), width, panel.as_mut_ptr())
            };
        }
    }
}

/// Some row tiles times some panels of a block.
struct Work<'a> {
    product: &'a Product<'a>,
    b: Parts<'a>,
    packed: Option<&'a mut [f32]>,
    tiles: std::ops::Range<usize>,
    panels: std::ops::Range<usize>,
    j: usize,
    columns: usize,
    k0: usize,
    deep: usize,
}

impl Kernel for Work<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Work { product, b, mut packed, tiles, panels, j, columns, k0, deep } = self;
        let Blocks { m, n, k, .. } = product.blocks;
        let width = S::NV * LANES;
        let start = if k0 == 0 { product.start } else { Start::Resume };
        let add = if k0 + deep == k { product.add } else { std::ptr::null() };
        let height = |tile: usize| S::MR.min(m - tile * S::MR);
        let size = packed_tile(deep, S::MR);
        for first in tiles.clone().step_by(TILES) {
            let group = first..tiles.end.min(first + TILES);
            if let Some(packed) = packed.as_deref_mut() {
                for (tile, room) in group.clone().zip(packed.chunks_exact_mut(size)) {
                    // SAFETY: the rows lie in A; the room is that of a packed tile.
                    unsafe {
                        pack_a(s, product.a, (tile * S::MR, height(tile)), (k0, deep), room.as_mut_ptr())
                    };
                }
            }
            for panel in panels.clone() {
                let from = panel * width;
                let wide = width.min(columns - from);
                for (i, tile) in group.clone().enumerate() {
                    let row = tile * S::MR;
                    // SAFETY: the tile lies within A's rows, the packed panel and C; tasks have
                    // tiles of C of their own, and `add` is laid out as C.
                    unsafe {
                        let (a, a_row, a_col) = match packed.as_deref_mut() {
                            Some(packed) => (packed.as_ptr().add(i * size), 1, S::MR),
                            None => {
                                let a = &product.a;
                                (a.data.as_ptr().add(row * a.row + k0 * a.col), a.row, a.col)
                            }
                        };
                        let at = row * n + j + from;
                        let t = Tile {
                            k: deep,
                            a,
                            a_row,
                            a_col,
                            b: b.start().add(panel * deep * width),
                            b_row: width,
                            b_padded: true,
                            c: product.c.start().add(at),
                            c_row: n,
                            start,
                            add: if add.is_null() { add } else { add.add(at) },
                        };
                        any_tile(s, &t, height(tile), wide);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
