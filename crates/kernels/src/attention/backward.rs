//! The way back: a task is a block and a key head, so its sums over queries have one order.
//!
//! Probabilities are computed again from the scores and the log of the sum. Every element of a
//! gradient is one chain: over the keys of its query in order, or over heads and queries in order.

use super::forward::{Lanes, extent};
use super::tile::{Left, ROWS, Right, accumulate, chain, columns, pack};
use super::{AttentionShape, KEYS, QUERIES, check_spans, special, with_scratch};
use crate::Cpu;
use crate::rows::{Parts, count, get, put, same};
use crate::simd::{Kernel, LANES, Simd};

/// Floats of scratch of a worker: queries and output gradients as columns and as rows, scores and
/// their gradients, the gradient of the queries; keys, values and their gradients of a block.
pub(super) fn scratch(shape: &AttentionShape, block: usize) -> usize {
    QUERIES * (5 * shape.padded() + 2 * KEYS) + 4 * padded_rows(block) * shape.padded()
}

/// Rows of a block with room for a register tile that starts at any of them.
fn padded_rows(block: usize) -> usize {
    (block + ROWS).next_multiple_of(ROWS)
}

/// The gradients of [`super::attention`] by `q`, `k` and `v`, given that by `out`.
///
/// The shapes are those of the way forward; the keys of a block's queries lie in the rows of the
/// block. All of `dq`, `dk` and `dv` are written.
///
/// # Panics
/// If lengths do not fit, a span leaves its block, or `scratch` is shorter than
/// [`super::attention_scratch`].
#[allow(clippy::too_many_arguments)]
pub fn attention_grad(
    cpu: &Cpu,
    shape: &AttentionShape,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    lo: &[i32],
    hi: &[i32],
    block: usize,
    out: &[f32],
    lse: &[f32],
    dout: &[f32],
    dq: &mut [f32],
    dk: &mut [f32],
    dv: &mut [f32],
    scratch: &mut [f32],
) {
    shape.check();
    let rows = count(q.len(), shape.q_row(), "queries");
    same("keys", k.len(), rows * shape.k_row());
    same("values", v.len(), k.len());
    same("result", out.len(), q.len());
    same("gradient of the result", dout.len(), q.len());
    same("lse", lse.len(), rows * shape.heads);
    same("gradient of queries", dq.len(), q.len());
    same("gradient of keys", dk.len(), k.len());
    same("gradient of values", dv.len(), v.len());
    check_spans(lo, hi, block, rows);
    if rows == 0 {
        return;
    }
    assert!(rows < 1 << 24, "{rows} keys are more than 2^24");
    for t in 0..rows {
        let first = t / block * block;
        assert!(
            hi[t] <= lo[t] || (lo[t] >= first as i32 && hi[t] as usize <= first + block),
            "keys {}..{} of query {t} leave its block of {block} rows",
            lo[t],
            hi[t]
        );
    }
    let each = self::scratch(shape, block);
    let (dq, dk, dv) = (Parts::new(dq), Parts::new(dk), Parts::new(dv));
    let backward = Backward { shape: *shape, q, k, v, lo, hi, block, out, lse, dout, dq, dk, dv };
    with_scratch(cpu, rows / block * shape.kv_heads, scratch, each, |task, scratch| {
        cpu.dispatch(Task { backward: &backward, task, scratch });
    });
}

struct Backward<'a> {
    shape: AttentionShape,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    lo: &'a [i32],
    hi: &'a [i32],
    block: usize,
    out: &'a [f32],
    lse: &'a [f32],
    dout: &'a [f32],
    dq: Parts<'a>,
    dk: Parts<'a>,
    dv: Parts<'a>,
}

struct Task<'a> {
    backward: &'a Backward<'a>,
    task: usize,
    scratch: &'a mut [f32],
}

/// The key side of a block and head, rows padded to whole vectors.
struct Keys<'a> {
    /// The block's first row.
    first: usize,
    k: &'a mut [f32],
    v: &'a mut [f32],
    dk: &'a mut [f32],
    dv: &'a mut [f32],
}

/// The query side's scratch.
struct Queries<'a> {
    columns_q: &'a mut [f32],
    columns_do: &'a mut [f32],
    rows_q: &'a mut [f32],
    rows_do: &'a mut [f32],
    dq: &'a mut [f32],
    p: &'a mut [f32],
    ds: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let f = self.backward;
        let (dim, padded, row) = (f.shape.head_dim, f.shape.padded(), f.shape.k_row());
        let (kv_head, block) = (self.task % f.shape.kv_heads, self.task / f.shape.kv_heads);
        let first = block * f.block;
        let (mut k, rest) = self.scratch.split_at_mut(padded_rows(f.block) * padded);
        let (mut v, rest) = rest.split_at_mut(padded_rows(f.block) * padded);
        let (dk, rest) = rest.split_at_mut(padded_rows(f.block) * padded);
        let (dv, rest) = rest.split_at_mut(padded_rows(f.block) * padded);
        let (columns_q, rest) = rest.split_at_mut(QUERIES * padded);
        let (columns_do, rest) = rest.split_at_mut(QUERIES * padded);
        let (rows_q, rest) = rest.split_at_mut(QUERIES * padded);
        let (rows_do, rest) = rest.split_at_mut(QUERIES * padded);
        let (dq, rest) = rest.split_at_mut(QUERIES * padded);
        let (p, rest) = rest.split_at_mut(QUERIES * KEYS);
        let ds = &mut rest[..QUERIES * KEYS];
        dk.fill(0.0);
        dv.fill(0.0);
        for (from, to) in [(f.k, &mut k), (f.v, &mut v)] {
            let from = from[first * row + kv_head * dim..].as_ptr();
            // SAFETY: the block has `f.block` rows of keys; `to` has room for more.
            unsafe { pack(s, f.block, dim, (from, row), (to.as_mut_ptr(), padded)) };
            // Register tiles read on: no key of the block's, so seen by nobody, but finite.
            to[f.block * padded..].fill(0.0);
        }
        let mut keys = Keys { first, k, v, dk, dv };
        let mut queries = Queries { columns_q, columns_do, rows_q, rows_do, dq, p, ds };
        let group = f.shape.group();
        for head in kv_head * group..(kv_head + 1) * group {
            let mut t = first;
            while t < first + f.block {
                let mut rows = 1;
                while rows < QUERIES && t + rows < first + f.block && f.lo[t + rows] == f.lo[t] {
                    rows += 1;
                }
                run_queries(s, f, &Lanes::new(&f.shape, t, rows, head, 1), &mut keys, &mut queries);
                t += rows;
            }
        }
        let scale = 1.0;
        for (sums, to) in [(&*keys.dk, f.dk), (&*keys.dv, f.dv)] {
            for i in 0..f.block {
                let at = (first + i) * row + kv_head * dim;
                // SAFETY: a row of a block and key head belongs to this task.
                let to = unsafe { to.part(at..at + dim) };
                store_row(s, &sums[i * padded..(i + 1) * padded], to, scale);
            }
        }
    }
}

/// `to = from · scale`; `from` is padded.
#[inline(always)]
fn store_row<S: Simd>(s: S, from: &[f32], to: &mut [f32], scale: f32) {
    let scale = s.splat(scale);
    let dim = to.len().min(from.len());
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    let mut d = 0;
    while d < dim {
        let n = LANES.min(dim - d);
        // SAFETY: d + n is within both.
        unsafe { put(s, to.add(d), n, s.mul(get(s, from.add(d), n), scale)) };
        d += LANES;
    }
}

/// One tile of queries of one head against all its keys.
#[inline(always)]
fn run_queries<S: Simd>(s: S, f: &Backward<'_>, lanes: &Lanes, keys: &mut Keys<'_>, x: &mut Queries<'_>) {
    let (dim, padded) = (f.shape.head_dim, f.shape.padded());
    let vectors = padded / LANES;
    let width = lanes.count.next_multiple_of(LANES);
    let spans = lanes.spans(f.lo, f.hi);
    let (_, total) = extent(&spans[..lanes.count]);
    x.dq[..lanes.count.next_multiple_of(ROWS) * padded].fill(0.0);
    if total > 0 {
        let scale = f.shape.scale;
        let (mut base, mut delta) = ([0.0f32; QUERIES], [0.0f32; QUERIES]);
        for lane in 0..lanes.count {
            let at = lanes.at[lane];
            base[lane] = -f.lse[at / dim] * std::f32::consts::LOG2_E;
            delta[lane] = -scale * dot(s, &f.out[at..at + dim], &f.dout[at..at + dim]);
        }
        // SAFETY: lanes have `dim` floats from their places on; all scratch has `padded · 64` floats.
        let (q, dout) = unsafe {
            columns(s, lanes.count, dim, |lane| f.q[lanes.at[lane]..].as_ptr(), x.columns_q.as_mut_ptr());
            columns(s, lanes.count, dim, |lane| f.dout[lanes.at[lane]..].as_ptr(), x.columns_do.as_mut_ptr());
            (
                rows_of(s, f, f.q, lanes, x.rows_q.as_mut_ptr()),
                rows_of(s, f, f.dout, lanes, x.rows_do.as_mut_ptr()),
            )
        };
        let first = f.lo[lanes.t] as usize - keys.first;
        let mut start = 0;
        while start < total {
            let tile =
                Tile { start, keys: KEYS.min(total - start), count: lanes.count, spans: &spans[..width] };
            let at = (first + start) * padded;
            let left = |x: &[f32]| Left { p: x[at..].as_ptr(), row: padded, col: 1 };
            // SAFETY: a block's keys and their sums have rows up to a multiple of ROWS beyond any
            // tile; the scratch of a tile has 64 × 64 scores.
            unsafe {
                let (p, ds) = (x.p.as_mut_ptr(), x.ds.as_mut_ptr());
                let columns = (x.columns_q.as_ptr(), x.columns_do.as_ptr());
                tile.scores(s, dim, (left(keys.k), left(keys.v)), columns, scale, (&base, &delta), (p, ds));
                tile.to_keys(s, vectors, p, dout, keys.dv[at..].as_mut_ptr());
                tile.to_keys(s, vectors, ds, q, keys.dk[at..].as_mut_ptr());
                let k = Right { p: keys.k[at..].as_ptr(), row: padded };
                tile.to_queries(s, vectors, ds, k, x.dq.as_mut_ptr());
            }
            start += KEYS;
        }
    }
    for lane in 0..lanes.count {
        let at = lanes.at[lane];
        // SAFETY: each query and head belongs to one task.
        let to = unsafe { f.dq.part(at..at + dim) };
        store_row(s, &x.dq[lane * padded..(lane + 1) * padded], to, 1.0);
    }
}

/// Rows of queries in whole vectors: as they lie, or copied where heads are no whole vectors.
///
/// # Safety
/// `to` must have room for 64 padded rows.
#[inline(always)]
unsafe fn rows_of<S: Simd>(s: S, f: &Backward<'_>, from: &[f32], lanes: &Lanes, to: *mut f32) -> Right {
    let (dim, padded) = (f.shape.head_dim, f.shape.padded());
    let at = from[lanes.at[0]..].as_ptr();
    if dim == padded {
        return Right { p: at, row: f.shape.q_row() };
    }
    // SAFETY: the lanes are rows that follow each other.
    unsafe { pack(s, lanes.count, dim, (at, f.shape.q_row()), (to, padded)) };
    Right { p: to, row: padded }
}

#[inline(always)]
fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    let (a, b) = (a.as_ptr(), b.as_ptr());
    let mut sum = s.zero();
    let mut i = 0;
    while i < len {
        let n = LANES.min(len - i);
        // SAFETY: i + n is within both.
        sum = unsafe { s.fma(get(s, a.add(i), n), get(s, b.add(i), n), sum) };
        i += LANES;
    }
    s.sum(sum)
}

/// A tile of keys against the queries.
struct Tile<'a> {
    /// Its first key, counted from the queries' start.
    start: usize,
    keys: usize,
    /// Queries.
    count: usize,
    /// Keys that each query sees, in whole vectors of queries.
    spans: &'a [f32],
}

impl Tile<'_> {
    /// Keys of the tile that all, and that some, of the queries from `lane` on see.
    #[inline(always)]
    fn seen(&self, lane: usize, lanes: usize) -> (usize, usize) {
        let (least, most) = extent(&self.spans[lane..lane + lanes]);
        (least.saturating_sub(self.start).min(self.keys), most.saturating_sub(self.start).min(self.keys))
    }

    /// Probabilities `p[key][query]` and the gradients of the scores, zero where a query does not see
    /// a key, for keys up to a multiple of [`ROWS`].
    ///
    /// # Safety
    /// Keys and values must have rows up to a multiple of [`ROWS`].
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    unsafe fn scores<S: Simd>(
        &self,
        s: S,
        dim: usize,
        keys: (Left, Left),
        columns: (*const f32, *const f32),
        scale: f32,
        lines: (&[f32; QUERIES], &[f32; QUERIES]),
        to: (*mut f32, *mut f32),
    ) {
        let mut lane = 0;
        while lane < self.spans.len() {
            // SAFETY: as the caller vouches for; 32 lanes only where there are.
            unsafe {
                if S::NV >= 2 && lane + 2 * LANES <= self.spans.len() {
                    self.scores_of::<S, 8, 2>(s, lane, dim, keys, columns, scale, lines, to);
                    lane += 2 * LANES;
                } else if S::NV >= 2 {
                    self.scores_of::<S, 8, 1>(s, lane, dim, keys, columns, scale, lines, to);
                    lane += LANES;
                } else {
                    self.scores_of::<S, 4, 1>(s, lane, dim, keys, columns, scale, lines, to);
                    lane += LANES;
                }
            }
        }
    }

    /// # Safety
    /// As [`Tile::scores`].
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    unsafe fn scores_of<S: Simd, const M: usize, const N: usize>(
        &self,
        s: S,
        lane: usize,
        dim: usize,
        (k, v): (Left, Left),
        (q, dout): (*const f32, *const f32),
        scale: f32,
        (base, delta): (&[f32; QUERIES], &[f32; QUERIES]),
        (p, ds): (*mut f32, *mut f32),
    ) {
        let (all, some) = self.seen(lane, N * LANES);
        let exponent = s.splat(scale * std::f32::consts::LOG2_E);
        let scale = s.splat(scale);
        // SAFETY (of the whole function): lane + 16 N <= 64, keys up to a multiple of M have rows.
        unsafe {
            let (mut spans, mut bases, mut deltas) = ([s.zero(); N], [s.zero(); N], [s.zero(); N]);
            for j in 0..N {
                let at = lane + j * LANES;
                spans[j] = s.sub(s.load(self.spans.as_ptr().add(at)), s.splat(self.start as f32));
                bases[j] = s.load(base.as_ptr().add(at));
                deltas[j] = s.load(delta.as_ptr().add(at));
            }
            let mut key = 0;
            while key < some {
                let at = |i: usize, j: usize| (key + i) * QUERIES + lane + j * LANES;
                let mut acc = [[s.zero(); N]; M];
                let rows = Left { p: k.p.add(key * k.row), ..k };
                chain::<S, M, N>(s, &mut acc, dim, rows, Right { p: q.add(lane), row: QUERIES });
                for i in 0..M {
                    for j in 0..N {
                        let mut e = special::exp2(s, s.fma(acc[i][j], exponent, bases[j]));
                        if key + M > all {
                            e = s.select_lt(s.splat((key + i) as f32), spans[j], e, s.zero());
                        }
                        s.store(p.add(at(i, j)), e);
                    }
                }
                let mut acc = [[s.zero(); N]; M];
                let rows = Left { p: v.p.add(key * v.row), ..v };
                chain::<S, M, N>(s, &mut acc, dim, rows, Right { p: dout.add(lane), row: QUERIES });
                for i in 0..M {
                    for j in 0..N {
                        let e = s.load(p.add(at(i, j)));
                        s.store(ds.add(at(i, j)), s.mul(e, s.fma(acc[i][j], scale, deltas[j])));
                    }
                }
                key += M;
            }
            while key < self.keys.next_multiple_of(ROWS) {
                for j in 0..N {
                    s.store(p.add(key * QUERIES + lane + j * LANES), s.zero());
                    s.store(ds.add(key * QUERIES + lane + j * LANES), s.zero());
                }
                key += 1;
            }
        }
    }

    /// `sums[key] += Σ_query scores[key][query] · rows[query]`.
    ///
    /// # Safety
    /// `sums` must have rows up to a multiple of [`ROWS`], `rows` the queries.
    #[inline(always)]
    unsafe fn to_keys<S: Simd>(&self, s: S, vectors: usize, scores: *const f32, rows: Right, sums: *mut f32) {
        let mut key = 0;
        while key < self.keys {
            // From the first to the last query that sees the first of these keys.
            let sees = |&n: &f32| n > (self.start + key) as f32;
            let from = self.spans[..self.count].iter().position(sees).unwrap_or(self.count);
            let to = self.spans[..self.count].iter().rposition(sees).map_or(from, |last| last + 1);
            let height = if S::NV >= 2 { 8 } else { 4 };
            // SAFETY: the queries `from..to` exist, and rows of scores up to a multiple of ROWS.
            unsafe {
                let a = Left { p: scores.add(key * QUERIES + from), row: QUERIES, col: 1 };
                let b = Right { p: rows.p.wrapping_add(from * rows.row), ..rows };
                let c = (sums.add(key * vectors * LANES), vectors * LANES);
                if S::NV >= 2 {
                    accumulate::<S, 8>(s, to - from, a, b, c, vectors, None);
                } else {
                    accumulate::<S, 4>(s, to - from, a, b, c, vectors, None);
                }
            }
            key += height;
        }
    }

    /// `sums[query] += Σ_key scores[key][query] · k[key]`.
    ///
    /// # Safety
    /// `k` must have the tile's keys, `sums` 64 rows.
    #[inline(always)]
    unsafe fn to_queries<S: Simd>(&self, s: S, vectors: usize, scores: *const f32, k: Right, sums: *mut f32) {
        let rows = if S::NV >= 2 { 8 } else { 4 };
        let mut lane = 0;
        while lane < self.count {
            let keys = self.seen(lane, rows).1;
            // SAFETY: lane + ROWS <= 64.
            unsafe {
                let a = Left { p: scores.add(lane), row: 1, col: QUERIES };
                let c = (sums.add(lane * vectors * LANES), vectors * LANES);
                if S::NV >= 2 {
                    accumulate::<S, 8>(s, keys, a, k, c, vectors, None);
                } else {
                    accumulate::<S, 4>(s, keys, a, k, c, vectors, None);
                }
            }
            lane += rows;
        }
    }
}
