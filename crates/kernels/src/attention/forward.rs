//! The way forward: a task is 64 query rows of a block and a key head.

use super::tile::{Left, ROWS, Right, accumulate, chain, columns, pack};
use super::{AttentionShape, KEYS, Pages, QUERIES, check_spans, span, special, with_scratch};
use crate::Cpu;
use crate::rows::{Parts, count, get, put, same};
use crate::simd::{Kernel, LANES, Simd};

/// Floats of scratch of a worker: queries as columns, scores, outputs, keys, values.
pub(super) fn scratch(shape: &AttentionShape) -> usize {
    QUERIES * (4 * shape.padded() + KEYS)
}

/// `out = softmax(scale · q kᵀ) v` over the keys that each query sees, and the log of the sum of
/// exponentials for the gradient.
///
/// `q`, `out`: `[Tq, heads · head_dim]`; `k`, `v`: `[Tk, kv_heads · head_dim]`; `lo`, `hi`: `[Tq]`, the
/// span of key rows of each query (`hi <= lo`: none; output 0, `lse` −∞); `lse`: `[Tq · heads]`.
/// With `pages`, spans count logical keys and `k`, `v` are the pages. `block` is the number of query
/// rows of an independent row of the batch. Values of keys that a query does not see do not reach
/// it, as long as they are finite.
///
/// # Panics
/// If lengths do not fit, a span or a page is outside of `k`, or `scratch` is shorter than
/// [`super::attention_forward_scratch`].
#[allow(clippy::too_many_arguments)]
pub fn attention(
    cpu: &Cpu,
    shape: &AttentionShape,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    lo: &[i32],
    hi: &[i32],
    pages: Option<Pages<'_>>,
    block: usize,
    out: &mut [f32],
    lse: &mut [f32],
    scratch: &mut [f32],
) {
    shape.check();
    let rows = count(q.len(), shape.q_row(), "queries");
    let keys = count(k.len(), shape.k_row(), "keys");
    same("values", v.len(), k.len());
    same("result", out.len(), q.len());
    same("lse", lse.len(), rows * shape.heads);
    check_spans(lo, hi, block, rows);
    check_keys(lo, hi, pages, keys);
    if rows == 0 {
        return;
    }
    let chunks = block.div_ceil(QUERIES);
    let each = self::scratch(shape);
    let (out, lse) = (Parts::new(out), Parts::new(lse));
    let forward = Forward { shape: *shape, q, k, v, keys, lo, hi, pages, block, chunks, out, lse };
    with_scratch(cpu, rows / block * chunks * shape.kv_heads, scratch, each, |task, scratch| {
        cpu.dispatch(Task { forward: &forward, task, scratch });
    });
}

/// Panics unless every key of every span is a row.
fn check_keys(lo: &[i32], hi: &[i32], pages: Option<Pages<'_>>, keys: usize) {
    assert!(keys < 1 << 24, "{keys} keys are more than 2^24");
    if let Some(p) = pages {
        same("page lists", p.row.len(), lo.len());
        assert!(p.size > 0, "pages of size 0");
    }
    for t in 0..lo.len() {
        let (first, end) = (lo[t], hi[t]);
        if end <= first {
            continue;
        }
        assert!(first >= 0, "query {t} starts at key {first}");
        let Some(p) = pages else {
            assert!(end as usize <= keys, "query {t} sees keys up to {end} of {keys}");
            continue;
        };
        assert!(end < 1 << 24, "query {t} sees {end} keys, more than 2^24");
        let (first, last) = (first as usize / p.size, (end as usize - 1) / p.size);
        let start = usize::try_from(p.row[t]).expect("a page list starts before the table");
        // Rows of one sequence share a list; it is looked through once.
        if t > 0 && p.row[t - 1] == p.row[t] && hi[t - 1] >= end && lo[t - 1] >= 0 && lo[t - 1] <= lo[t] {
            continue;
        }
        for &page in &p.table[start + first..=start + last] {
            let fits = usize::try_from(page).is_ok_and(|page| (page + 1) * p.size <= keys);
            assert!(fits, "page {page} of a cache of {keys} rows");
        }
    }
}

/// The operands of a call.
pub(super) struct Forward<'a> {
    pub shape: AttentionShape,
    pub q: &'a [f32],
    pub k: &'a [f32],
    pub v: &'a [f32],
    pub keys: usize,
    pub lo: &'a [i32],
    pub hi: &'a [i32],
    pub pages: Option<Pages<'a>>,
    pub block: usize,
    pub chunks: usize,
    pub out: Parts<'a>,
    pub lse: Parts<'a>,
}

struct Task<'a> {
    forward: &'a Forward<'a>,
    task: usize,
    scratch: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let f = self.forward;
        let (kv_head, place) = (self.task % f.shape.kv_heads, self.task / f.shape.kv_heads);
        let (row, chunk) = (place / f.chunks, place % f.chunks);
        let end = row * f.block + f.block.min((chunk + 1) * QUERIES);
        let mut t = row * f.block + chunk * QUERIES;
        let group = f.shape.group();
        while t < end {
            // Queries whose keys start at the same place.
            let list = |t: usize| f.pages.map_or(0, |p| p.row[t]);
            let mut rows = 1;
            while t + rows < end && f.lo[t + rows] == f.lo[t] && list(t + rows) == list(t) {
                rows += 1;
            }
            // Few rows: heads that share the keys fill the lanes.
            let together = (QUERIES / rows).clamp(1, group);
            let mut head = 0;
            while head < group {
                let heads = together.min(group - head);
                let lanes = Lanes::new(&f.shape, t, rows, kv_head * group + head, heads);
                run_lanes(s, f, &lanes, kv_head, self.scratch);
                head += heads;
            }
            t += rows;
        }
    }
}

/// The queries of a tile: rows times heads.
pub(super) struct Lanes {
    pub count: usize,
    pub t: usize,
    pub rows: usize,
    /// Place of each lane's query and output.
    pub at: [usize; QUERIES],
}

impl Lanes {
    #[inline(always)]
    pub(super) fn new(shape: &AttentionShape, t: usize, rows: usize, head: usize, heads: usize) -> Lanes {
        let mut at = [0; QUERIES];
        for h in 0..heads {
            for r in 0..rows {
                at[h * rows + r] = ((t + r) * shape.heads + head + h) * shape.head_dim;
            }
        }
        Lanes { count: rows * heads, t, rows, at }
    }

    /// Keys that each lane sees; lanes beyond the last see what it sees.
    #[inline(always)]
    pub(super) fn spans(&self, lo: &[i32], hi: &[i32]) -> [f32; QUERIES] {
        let mut spans = [0.0; QUERIES];
        for lane in 0..self.count.next_multiple_of(LANES) {
            let lane_t = self.t + lane.min(self.count - 1) % self.rows;
            spans[lane] = span(lo, hi, lane_t) as f32;
        }
        spans
    }
}

/// The smallest and the largest of some spans.
#[inline(always)]
pub(super) fn extent(spans: &[f32]) -> (usize, usize) {
    let (mut least, mut most) = (spans[0], spans[0]);
    for &n in spans {
        least = if n < least { n } else { least };
        most = if n > most { n } else { most };
    }
    (least as usize, most as usize)
}

/// Physical rows of keys `first..first + count` of query `t`, if they follow each other.
#[inline(always)]
fn contiguous(f: &Forward<'_>, t: usize, first: usize, count: usize) -> Option<usize> {
    let Some(p) = f.pages else { return Some(first) };
    let physical = |j: usize| p.table[p.row[t] as usize + j / p.size] as usize * p.size + j % p.size;
    let start = physical(first);
    let mut j = first + p.size - first % p.size;
    while j < first + count {
        if physical(j) != start + j - first {
            return None;
        }
        j += p.size;
    }
    Some(start)
}

/// Keys or values of a tile: a pointer and the distance of rows. Copied to `to` where pages are
/// scattered, where `whole` vectors of a head would read beyond its end, or where the rows up to a
/// multiple of [`ROWS`] would.
///
/// # Safety
/// `to` must have room for `KEYS` rows of a padded head.
#[inline(always)]
unsafe fn rows_of<S: Simd>(
    s: S,
    f: &Forward<'_>,
    from: &[f32],
    (t, kv_head): (usize, usize),
    (first, count): (usize, usize),
    whole: bool,
    to: *mut f32,
) -> (*const f32, usize) {
    let (dim, row, padded) = (f.shape.head_dim, f.shape.k_row(), f.shape.padded());
    let place = contiguous(f, t, first, count);
    if let Some(start) = place {
        let beyond = start + count.next_multiple_of(ROWS) > f.keys;
        let at = from[start * row + kv_head * dim..].as_ptr();
        if !beyond && (!whole || padded == dim) {
            return (at, row);
        }
        // SAFETY: `count` rows from `start` on are keys; `to` has room.
        unsafe { pack(s, count, dim, (at, row), (to, padded)) };
        return (to, padded);
    }
    let mut j = 0;
    while let (true, Some(p)) = (j < count, f.pages) {
        let run = (p.size - (first + j) % p.size).min(count - j);
        if let Some(start) = contiguous(f, t, first + j, run) {
            let at = from[start * row + kv_head * dim..].as_ptr();
            // SAFETY: a run lies within a page, whose rows are keys; `to` has room for `count`.
            unsafe { pack(s, run, dim, (at, row), (to.add(j * padded), padded)) };
        }
        j += run;
    }
    (to, padded)
}

/// All keys for up to 64 queries that start at the same key.
#[inline(always)]
fn run_lanes<S: Simd>(s: S, f: &Forward<'_>, lanes: &Lanes, kv_head: usize, scratch: &mut [f32]) {
    let (dim, padded) = (f.shape.head_dim, f.shape.padded());
    let (columns_q, rest) = scratch.split_at_mut(QUERIES * padded);
    let (scores, rest) = rest.split_at_mut(QUERIES * KEYS);
    let (sums, rest) = rest.split_at_mut(QUERIES * padded);
    let (own_k, rest) = rest.split_at_mut(KEYS * padded);
    let own_v = &mut rest[..KEYS * padded];
    let width = lanes.count.next_multiple_of(LANES);
    let spans = lanes.spans(f.lo, f.hi);
    let (_, total) = extent(&spans[..lanes.count]);
    // SAFETY: a lane's query has `dim` floats from its place on; the scratch has `padded` rows.
    unsafe {
        columns(
            s,
            lanes.count,
            dim,
            |lane| f.q[lanes.at[lane]..lanes.at[lane] + dim].as_ptr(),
            columns_q.as_mut_ptr(),
        )
    };
    let first = f.lo[lanes.t].max(0) as usize;
    let mut state = State { largest: [f32::MIN; QUERIES], sum: [0.0; QUERIES], shrink: [0.0; QUERIES] };
    let scale = f.shape.scale * std::f32::consts::LOG2_E;
    sums[..lanes.count.next_multiple_of(ROWS) * padded].fill(0.0);
    let mut start = 0;
    while start < total {
        let keys = KEYS.min(total - start);
        // SAFETY: the copies have room for KEYS rows; keys `first + start..` exist up to `total`.
        let ((k, k_row), (v, v_row)) = unsafe {
            let place = (lanes.t, kv_head);
            (
                rows_of(s, f, f.k, place, (first + start, keys), false, own_k.as_mut_ptr()),
                rows_of(s, f, f.v, place, (first + start, keys), true, own_v.as_mut_ptr()),
            )
        };
        let k = Left { p: k, row: k_row, col: 1 };
        let v = Right { p: v, row: v_row };
        let tile = Tile { start, keys, spans: &spans[..width] };
        // SAFETY: `k` has `keys` rows (up to a multiple of ROWS: `rows_of`), `v` in whole vectors;
        // scratch has room for 64 queries and 64 keys.
        unsafe {
            tile.scores(s, dim, k, columns_q.as_ptr(), scores.as_mut_ptr());
            tile.softmax(s, scale, scores.as_mut_ptr(), &mut state);
            tile.values(s, lanes.count, padded / LANES, scores.as_ptr(), v, sums.as_mut_ptr(), &state.shrink);
        }
        start += KEYS;
    }
    finish(s, f, lanes, &spans, &state, sums);
}

/// What the softmax knows of each query so far.
pub(super) struct State {
    /// The largest score, times scale and log₂ e.
    pub largest: [f32; QUERIES],
    /// Sum of exponentials relative to it.
    pub sum: [f32; QUERIES],
    /// What the last tile shrinks earlier sums by.
    pub shrink: [f32; QUERIES],
}

/// A tile of keys against the queries.
struct Tile<'a> {
    /// Its first key, counted from the queries' start.
    start: usize,
    keys: usize,
    /// Keys that each query sees, in whole vectors of queries.
    spans: &'a [f32],
}

impl Tile<'_> {
    /// Keys of the tile that some, and that all, of 16 or 32 queries see.
    #[inline(always)]
    fn seen(&self, lane: usize, lanes: usize) -> (usize, usize) {
        let (least, most) = extent(&self.spans[lane..lane + lanes]);
        (least.saturating_sub(self.start).min(self.keys), most.saturating_sub(self.start).min(self.keys))
    }

    /// `scores[key][query] = Σ_d k[key][d] q[query][d]`, where anybody looks.
    ///
    /// # Safety
    /// `k` must have the tile's keys up to a multiple of [`ROWS`].
    #[inline(always)]
    unsafe fn scores<S: Simd>(&self, s: S, dim: usize, k: Left, q: *const f32, scores: *mut f32) {
        let mut lane = 0;
        while lane < self.spans.len() {
            // SAFETY: as the caller vouches for; 32 lanes only where there are.
            unsafe {
                if S::NV >= 2 && lane + 2 * LANES <= self.spans.len() {
                    let keys = self.seen(lane, 2 * LANES).1;
                    scores_of::<S, 8, 2>(s, keys, dim, k, q.add(lane), scores.add(lane));
                    lane += 2 * LANES;
                } else if S::NV >= 2 {
                    let keys = self.seen(lane, LANES).1;
                    scores_of::<S, 8, 1>(s, keys, dim, k, q.add(lane), scores.add(lane));
                    lane += LANES;
                } else {
                    let keys = self.seen(lane, LANES).1;
                    scores_of::<S, 4, 1>(s, keys, dim, k, q.add(lane), scores.add(lane));
                    lane += LANES;
                }
            }
        }
    }

    /// Scores to exponentials, in place, and the state brought up to date.
    ///
    /// # Safety
    /// `scores` must be valid for the tile.
    #[inline(always)]
    unsafe fn softmax<S: Simd>(&self, s: S, scale: f32, scores: *mut f32, state: &mut State) {
        let scale = s.splat(scale);
        let low = s.splat(f32::MIN);
        let mut lane = 0;
        while lane < self.spans.len() {
            let (all, some) = self.seen(lane, LANES);
            // SAFETY (of the block): lane + 16 <= 64, and keys below `some` were scored.
            unsafe {
                let spans = s.sub(s.load(self.spans.as_ptr().add(lane)), s.splat(self.start as f32));
                let p = scores.add(lane);
                let mut most = [low; 4];
                let mut j = 0;
                while j + 4 <= all {
                    for i in 0..4 {
                        most[i] = s.max(s.load(p.add((j + i) * QUERIES)), most[i]);
                    }
                    j += 4;
                }
                while j < some {
                    let seen = s.select_lt(s.splat(j as f32), spans, s.load(p.add(j * QUERIES)), low);
                    most[0] = s.max(seen, most[0]);
                    j += 1;
                }
                let most = s.max(s.max(most[0], most[1]), s.max(most[2], most[3]));
                let before = s.load(state.largest.as_ptr().add(lane));
                let largest = s.max(s.mul(most, scale), before);
                let shrink = special::exp2(s, s.sub(before, largest));
                let minus = s.neg(largest);
                // Four sums, of the keys j ≡ 0, 1, 2, 3 (mod 4): part of the definition.
                let mut sums = [s.zero(); 4];
                let mut j = 0;
                while j + 4 <= all {
                    for i in 0..4 {
                        let at = p.add((j + i) * QUERIES);
                        let e = special::exp2(s, s.fma(s.load(at), scale, minus));
                        s.store(at, e);
                        sums[i] = s.add(sums[i], e);
                    }
                    j += 4;
                }
                while j < some {
                    for i in 0..4 {
                        if j + i < some {
                            let at = p.add((j + i) * QUERIES);
                            let e = special::exp2(s, s.fma(s.load(at), scale, minus));
                            let e = s.select_lt(s.splat((j + i) as f32), spans, e, s.zero());
                            s.store(at, e);
                            sums[i] = s.add(sums[i], e);
                        }
                    }
                    j += 4;
                }
                let sum = s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]));
                let total = state.sum.as_mut_ptr().add(lane);
                s.store(total, s.fma(s.load(total), shrink, sum));
                s.store(state.largest.as_mut_ptr().add(lane), largest);
                s.store(state.shrink.as_mut_ptr().add(lane), shrink);
            }
            lane += LANES;
        }
    }

    /// `sums[query] = sums[query] · shrink + Σ_key scores[key][query] v[key]`.
    ///
    /// # Safety
    /// `v` must have the tile's keys in whole vectors.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    unsafe fn values<S: Simd>(
        &self,
        s: S,
        count: usize,
        vectors: usize,
        scores: *const f32,
        v: Right,
        sums: *mut f32,
        shrink: &[f32; QUERIES],
    ) {
        let mut lane = 0;
        while lane < count {
            // SAFETY: lane + ROWS <= 64; keys up to the largest span of these lanes have scores.
            unsafe {
                let a = |lane: usize| Left { p: scores.add(lane), row: 1, col: QUERIES };
                let c = |lane: usize| (sums.add(lane * vectors * LANES), vectors * LANES);
                let shrink = |lane: usize| Some(shrink.as_ptr().add(lane));
                let rows = if S::NV >= 2 { 8 } else { 4 };
                let keys = self.seen(lane, rows).1;
                if keys == 0 {
                } else if count - lane == 1 {
                    accumulate::<S, 1>(s, keys, a(lane), v, c(lane), vectors, shrink(lane));
                } else if S::NV >= 2 {
                    accumulate::<S, 8>(s, keys, a(lane), v, c(lane), vectors, shrink(lane));
                } else {
                    accumulate::<S, 4>(s, keys, a(lane), v, c(lane), vectors, shrink(lane));
                }
                lane += rows;
            }
        }
    }
}

/// Scores of `keys` keys, `M` at a time, against `16 N` queries.
///
/// # Safety
/// As [`Tile::scores`].
#[inline(always)]
unsafe fn scores_of<S: Simd, const M: usize, const N: usize>(
    s: S,
    keys: usize,
    dim: usize,
    k: Left,
    q: *const f32,
    scores: *mut f32,
) {
    let mut key = 0;
    while key < keys {
        let mut acc = [[s.zero(); N]; M];
        // SAFETY: M divides ROWS, so rows up to key + M exist; the tile of scores has 64.
        unsafe {
            let k = Left { p: k.p.add(key * k.row), ..k };
            chain::<S, M, N>(s, &mut acc, dim, k, Right { p: q, row: QUERIES });
            for i in 0..M {
                for j in 0..N {
                    s.store(scores.add((key + i) * QUERIES + j * LANES), acc[i][j]);
                }
            }
        }
        key += M;
    }
}

/// Outputs and the logs of the sums.
#[inline(always)]
pub(super) fn finish<S: Simd>(
    s: S,
    f: &Forward<'_>,
    lanes: &Lanes,
    spans: &[f32; QUERIES],
    state: &State,
    sums: &[f32],
) {
    let (dim, padded) = (f.shape.head_dim, f.shape.padded());
    let (mut log, mut over) = ([0.0; QUERIES], [0.0; QUERIES]);
    let mut lane = 0;
    while lane < lanes.count {
        // SAFETY: lane + 16 <= 64.
        unsafe {
            let sum = s.load(state.sum.as_ptr().add(lane));
            let exponent = s.mul(s.load(state.largest.as_ptr().add(lane)), s.splat(std::f32::consts::LN_2));
            s.store(log.as_mut_ptr().add(lane), s.add(exponent, special::ln(s, sum)));
            s.store(over.as_mut_ptr().add(lane), s.div(s.splat(1.0), sum));
        }
        lane += LANES;
    }
    for lane in 0..lanes.count {
        let at = lanes.at[lane];
        // SAFETY: each query and head is one lane of one task.
        let (out, lse) = unsafe { (f.out.part(at..at + dim), f.lse.part(at / dim..at / dim + 1)) };
        if spans[lane] == 0.0 {
            out.fill(0.0);
            lse[0] = f32::NEG_INFINITY;
            continue;
        }
        lse[0] = log[lane];
        let (from, to, factor) =
            (sums[lane * padded..(lane + 1) * padded].as_ptr(), out.as_mut_ptr(), s.splat(over[lane]));
        let mut d = 0;
        while d < dim {
            let n = LANES.min(dim - d);
            // SAFETY: d + n <= dim.
            unsafe { put(s, to.add(d), n, s.mul(get(s, from.add(d), n), factor)) };
            d += LANES;
        }
    }
}
