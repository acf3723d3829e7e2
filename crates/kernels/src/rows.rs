//! Rows moved and summed: gather, scatter, a bias added to every row, the sum of all rows. Also
//! what the other row kernels share: loops over lanes and over tasks.
//!
//! A row never depends on which other rows are present. Sums over rows go through fixed blocks of
//! [`BLOCK`] rows, so they do not depend on the number of threads.

use crate::Cpu;
use crate::simd::{Kernel, LANES, Simd};
use std::marker::PhantomData;
use std::ops::Range;

/// Rows of a block of a sum over rows.
pub const BLOCK: usize = 64;

/// Fewest floats a task should touch, so that handing it out costs little.
const GRAIN: usize = 8192;

/// Runs the body for `i` = 0, 16, 32, … below a length, with `n` the lanes left, 16 at most. The
/// body is compiled twice, once with `n` the constant 16.
macro_rules! lanes {
    ($i:ident, $n:ident in $len:expr => $body:block) => {{
        let len: usize = $len;
        let mut $i = 0usize;
        while $i + 16 <= len {
            #[allow(unused)]
            let $n = 16usize;
            $body
            $i += 16;
        }
        if $i < len {
            #[allow(unused)]
            let $n = len - $i;
            $body
        }
    }};
}
pub(crate) use lanes;

/// Loads `n <= 16` floats, the other lanes zero.
///
/// # Safety
/// `p` must be valid for reading `n` floats.
#[inline(always)]
pub(crate) unsafe fn get<S: Simd>(s: S, p: *const f32, n: usize) -> S::V {
    // SAFETY: the caller's promise.
    unsafe { if n == LANES { s.load(p) } else { s.load_first(p, n) } }
}

/// Stores `n <= 16` lanes.
///
/// # Safety
/// `p` must be valid for writing `n` floats.
#[inline(always)]
pub(crate) unsafe fn put<S: Simd>(s: S, p: *mut f32, n: usize, v: S::V) {
    // SAFETY: the caller's promise.
    unsafe { if n == LANES { s.store(p, v) } else { s.store_first(p, n, v) } }
}

/// A slice whose disjoint parts are written by several tasks.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    start: *mut f32,
    len: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: a part is only reached through `part`, whose caller promises that no two tasks hold
// overlapping parts.
unsafe impl Send for Parts<'_> {}
// SAFETY: as above.
unsafe impl Sync for Parts<'_> {}

impl<'a> Parts<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> Parts<'a> {
        Parts { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// The address of the first float.
    #[inline(always)]
    pub(crate) fn start(&self) -> *mut f32 {
        self.start
    }

    /// The floats `range`.
    ///
    /// # Safety
    /// No other part that overlaps `range` is alive.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &'a mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len, "part {range:?} of {}", self.len);
        // SAFETY: within the slice; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

/// Cuts `rows` rows of `width` floats into tasks of whole multiples of `unit` rows and runs them.
#[inline]
pub(crate) fn for_rows(cpu: &Cpu, rows: usize, width: usize, unit: usize, f: impl Fn(Range<usize>) + Sync) {
    if rows == 0 {
        return;
    }
    let threads = cpu.threads();
    if threads == 1 || rows.saturating_mul(width) < 2 * GRAIN {
        return f(0..rows);
    }
    let least = GRAIN.div_ceil(width.max(1));
    let each = rows.div_ceil(4 * threads).max(least).next_multiple_of(unit);
    cpu.pool().for_each(rows.div_ceil(each), |task| f(task * each..rows.min((task + 1) * each)));
}

/// Rows that a slice holds; panics if they are not whole.
#[inline]
pub(crate) fn count(floats: usize, width: usize, name: &str) -> usize {
    if width == 0 {
        assert!(floats == 0, "{name}: {floats} floats in rows of width 0");
        return 0;
    }
    assert!(floats.is_multiple_of(width), "{name}: {floats} floats are no whole rows of {width}");
    floats / width
}

/// Panics unless a slice has the length that the others imply.
#[inline]
pub(crate) fn same(name: &str, found: usize, expected: usize) {
    assert!(found == expected, "{name} has {found} elements, expected {expected}");
}

/// `y[i] = x[idx[i]]` for rows of `dim` floats (an embedding); a negative index gives zeros.
///
/// # Panics
/// If an index is beyond the rows of `x`, or lengths do not fit.
pub fn gather_rows(cpu: &Cpu, x: &[f32], idx: &[i32], y: &mut [f32], dim: usize) {
    let rows = count(x.len(), dim, "table");
    same("gathered rows", y.len(), idx.len() * dim);
    let y = Parts::new(y);
    for_rows(cpu, idx.len(), dim, 1, |range| {
        // SAFETY: tasks have disjoint rows.
        let part = unsafe { y.part(range.start * dim..range.end * dim) };
        for (to, &i) in part.chunks_exact_mut(dim.max(1)).zip(&idx[range]) {
            match usize::try_from(i) {
                Ok(i) => {
                    assert!(i < rows, "row {i} of a table of {rows} rows");
                    to.copy_from_slice(&x[i * dim..(i + 1) * dim]);
                }
                Err(_) => to.fill(0.0),
            }
        }
    });
}

/// `y = base` with row `idx[i]` replaced by row `i` of `x` (image tokens put into a sequence); a
/// negative index is skipped, of equal ones the last wins.
///
/// # Panics
/// If an index is beyond the rows of `base`, or lengths do not fit.
pub fn scatter_rows(cpu: &Cpu, base: &[f32], x: &[f32], idx: &[i32], y: &mut [f32], dim: usize) {
    let rows = count(base.len(), dim, "base");
    same("scattered rows", x.len(), idx.len() * dim);
    same("result", y.len(), base.len());
    {
        let y = Parts::new(y);
        for_rows(cpu, rows, dim, 1, |range| {
            let range = range.start * dim..range.end * dim;
            // SAFETY: tasks have disjoint rows.
            unsafe { y.part(range.clone()) }.copy_from_slice(&base[range]);
        });
    }
    for (i, &to) in idx.iter().enumerate() {
        if let Ok(to) = usize::try_from(to) {
            assert!(to < rows, "row {to} of {rows}");
            y[to * dim..(to + 1) * dim].copy_from_slice(&x[i * dim..(i + 1) * dim]);
        }
    }
}

/// `dtable[idx[i]] += dy[i]` in order of `i`, from zeros (the gradient of a gather); a negative
/// index is skipped.
///
/// # Panics
/// If an index is beyond the rows of `dtable`, or lengths do not fit.
pub fn scatter_add_rows(cpu: &Cpu, dy: &[f32], idx: &[i32], dtable: &mut [f32], dim: usize) {
    let rows = count(dtable.len(), dim, "table");
    same("rows to add", dy.len(), idx.len() * dim);
    for &i in idx {
        assert!(i < 0 || (i as usize) < rows, "row {i} of a table of {rows} rows");
    }
    // A task owns rows of the table and looks through all indices, so few tasks.
    let work = dtable.len() + dy.len();
    let tasks = if work < 8 * GRAIN { 1 } else { cpu.threads().min(rows.max(1)) };
    let each = rows.div_ceil(tasks.max(1));
    let table = Parts::new(dtable);
    cpu.pool().for_each(tasks, |task| {
        let range = (task * each).min(rows)..((task + 1) * each).min(rows);
        // SAFETY: tasks have disjoint rows.
        let table = unsafe { table.part(range.start * dim..range.end * dim) };
        cpu.dispatch(ScatterAdd { dy, idx, table, dim, first: range.start });
    });
}

struct ScatterAdd<'a> {
    dy: &'a [f32],
    idx: &'a [i32],
    table: &'a mut [f32],
    dim: usize,
    first: usize,
}

impl Kernel for ScatterAdd<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.table.fill(0.0);
        let rows = self.table.len().checked_div(self.dim).unwrap_or(0);
        for (i, &to) in self.idx.iter().enumerate() {
            let to = (to as isize).wrapping_sub(self.first as isize) as usize;
            if to < rows {
                let to = self.table[to * self.dim..][..self.dim].as_mut_ptr();
                let from = self.dy[i * self.dim..][..self.dim].as_ptr();
                lanes!(j, n in self.dim => {
                    // SAFETY: both rows have `dim` floats and j + n <= dim.
                    unsafe {
                        let sum = s.add(get(s, to.add(j), n), get(s, from.add(j), n));
                        put(s, to.add(j), n, sum);
                    }
                });
            }
        }
    }
}

/// `y = x + bias`, the bias added to every row of `dim` floats.
///
/// # Panics
/// If lengths do not fit.
pub fn add_row(cpu: &Cpu, x: &[f32], bias: &[f32], y: &mut [f32], dim: usize) {
    let rows = count(x.len(), dim, "rows");
    same("bias", bias.len(), dim);
    same("result", y.len(), x.len());
    let y = Parts::new(y);
    for_rows(cpu, rows, dim, 1, |range| {
        let range = range.start * dim..range.end * dim;
        // SAFETY: tasks have disjoint rows.
        let y = unsafe { y.part(range.clone()) };
        cpu.dispatch(AddRow { x: &x[range], bias, y });
    });
}

struct AddRow<'a> {
    x: &'a [f32],
    bias: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for AddRow<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let dim = self.bias.len().max(1);
        let bias = self.bias.as_ptr();
        for (x, y) in self.x.chunks_exact(dim).zip(self.y.chunks_exact_mut(dim)) {
            let (x, y) = (x.as_ptr(), y.as_mut_ptr());
            lanes!(j, n in dim => {
                // SAFETY: all three have `dim` floats and j + n <= dim.
                unsafe { put(s, y.add(j), n, s.add(get(s, x.add(j), n), get(s, bias.add(j), n))) }
            });
        }
    }
}

/// Floats of scratch that a sum over `rows` rows of `dim` floats needs.
pub fn sum_rows_scratch(rows: usize, dim: usize) -> usize {
    rows.div_ceil(BLOCK) * dim
}

/// `dbias = Σ rows of dy` (the gradient of [`add_row`]).
///
/// # Panics
/// If lengths do not fit, or `scratch` is shorter than [`sum_rows_scratch`].
pub fn sum_rows(cpu: &Cpu, dy: &[f32], dbias: &mut [f32], dim: usize, scratch: &mut [f32]) {
    let rows = count(dy.len(), dim, "rows");
    same("sum", dbias.len(), dim);
    let partial = &mut scratch[..sum_rows_scratch(rows, dim)];
    {
        let partial = Parts::new(partial);
        for_rows(cpu, rows, dim, BLOCK, |range| {
            let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
            // SAFETY: tasks have disjoint whole blocks.
            let partial = unsafe { partial.part(blocks.start * dim..blocks.end * dim) };
            let dy = &dy[range.start * dim..range.end * dim];
            for (sum, dy) in partial.chunks_exact_mut(dim).zip(dy.chunks(BLOCK * dim)) {
                cpu.dispatch(SumRows { rows: dy, sum });
            }
        });
    }
    cpu.dispatch(SumRows { rows: partial, sum: dbias });
}

/// Sums rows in order, from zeros.
pub(crate) struct SumRows<'a> {
    pub(crate) rows: &'a [f32],
    pub(crate) sum: &'a mut [f32],
}

impl Kernel for SumRows<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let dim = self.sum.len();
        let rows = self.rows.len().checked_div(dim).unwrap_or(0);
        let (from, to) = (self.rows.as_ptr(), self.sum.as_mut_ptr());
        lanes!(j, n in dim => {
            let mut sum = s.zero();
            for row in 0..rows {
                // SAFETY: row < rows and j + n <= dim, so within `self.rows`.
                sum = s.add(sum, unsafe { get(s, from.add(row * dim + j), n) });
            }
            // SAFETY: j + n <= dim, the length of `self.sum`.
            unsafe { put(s, to.add(j), n, sum) };
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, numbers, wide};
    use proptest::prelude::*;

    /// A table of `rows` and `idx` into it, of which some are negative.
    fn all(rows: usize, dim: usize, idx: &[i32], seed: u32) {
        let [table, x] = [(0, rows), (1, idx.len())].map(|(i, rows)| numbers(rows * dim, seed + i));
        let bias = numbers(dim, seed + 2);
        let (table64, x64, bias64) = (wide(&table), wide(&x), wide(&bias));
        let mut twins =
            [vec![0.0; x.len()], table64.clone(), vec![0.0; table.len()], vec![0.0; x.len()], vec![0.0; dim]];
        let [gathered, scattered, added, biased, sum] = &mut twins;
        for (i, &to) in idx.iter().enumerate() {
            for j in 0..dim {
                let at = i * dim + j;
                biased[at] = x64[at] + bias64[j];
                sum[j] += x64[at];
                if to >= 0 {
                    let place = to as usize * dim + j;
                    gathered[at] = table64[place];
                    scattered[place] = x64[at];
                    added[place] += x64[at];
                }
            }
        }
        // A sum is off by a share of what it went through, and that is the sum of sizes, however small its end.
        let through = (0..dim).map(|j| x64.iter().skip(j).step_by(dim).map(|x| x.abs()).sum::<f64>());
        let unit = through.fold(1.0f64, f64::max) as f32;
        added.iter_mut().chain(sum.iter_mut()).for_each(|sum| *sum /= f64::from(unit));
        check(1e-6, &twins, |cpu| {
            let mut results: [Vec<f32>; 5] =
                [x.len(), table.len(), table.len(), x.len(), dim].map(|len| vec![f32::NAN; len]);
            let [gathered, scattered, added, biased, sum] = &mut results;
            gather_rows(cpu, &table, idx, gathered, dim);
            scatter_rows(cpu, &table, &x, idx, scattered, dim);
            scatter_add_rows(cpu, &x, idx, added, dim);
            add_row(cpu, &x, &bias, biased, dim);
            sum_rows(cpu, &x, sum, dim, &mut vec![f32::NAN; sum_rows_scratch(idx.len(), dim)]);
            added.iter_mut().chain(sum.iter_mut()).for_each(|sum| *sum /= unit);
            let names = ["gathered", "scattered", "added", "biased", "sum"];
            names.into_iter().zip(results).collect()
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equal_their_twins(
            idx in proptest::collection::vec(-2i32..9, 0..200), dim in 1usize..70, seed in 0u32..1000,
        ) {
            all(9, dim, &idx, seed);
        }
    }

    #[test]
    fn rows_shared_among_threads() {
        let idx: Vec<i32> = (0..1500).map(|i| i * 13 % 101 - 1).collect();
        all(100, 65, &idx, 1);
    }

    #[test]
    fn no_rows_and_no_width() {
        all(0, 5, &[-1, -1], 2);
        all(0, 0, &[], 3);
    }

    #[test]
    #[should_panic(expected = "row 4 of a table of 4 rows")]
    fn an_index_beyond_the_table_is_named() {
        gather_rows(&Cpu::new(crate::Isa::Portable, 1).unwrap(), &[0.0; 8], &[3, 4], &mut [0.0; 4], 2);
    }
}
