//! Attention: every query row sees a span of key rows.
//!
//! The span `lo[t]..hi[t]` is all there is of masks: causal attention over packed documents, full
//! attention of an encoder, and a cache during decoding differ in their spans only. Keys are taken
//! in tiles of [`KEYS`] counted from `lo[t]`, with the softmax kept up to date from tile to tile
//! (Milakov & Gimelshein 2018; Dao et al. 2022), so the result of a query is a function of the query
//! and of its keys in their order: the same bits in prefill and decode, alone and in a batch, wherever
//! its document was packed. No matrix of all scores is ever made; tiles that nobody sees are skipped.
//!
//! Inside a tile, scores are laid out `[key][query]`: sixteen queries fill a vector, so maxima, sums
//! and exponentials need nothing across lanes, and both products with the scores read them as they
//! lie. Only the 64 queries of a tile are transposed, once.

mod backward;
mod forward;
pub mod reference;
pub(crate) mod special;
#[cfg(test)]
mod tests;
mod tile;

use crate::Cpu;
use crate::rows::same;

pub use backward::attention_grad;
pub use forward::attention;

/// Keys of a tile.
pub const KEYS: usize = 64;
/// Queries of a tile.
const QUERIES: usize = 64;

/// Heads and their size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionShape {
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of the keys and values; divides `heads`, and head `h` uses `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Size of a head.
    pub head_dim: usize,
    /// Scores are multiplied by this before the softmax; positive.
    pub scale: f32,
}

impl AttentionShape {
    /// Heads that share a key head.
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Floats of a row of queries.
    fn q_row(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Floats of a row of keys.
    fn k_row(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// A head in whole vectors.
    fn padded(&self) -> usize {
        self.head_dim.next_multiple_of(16)
    }

    fn check(&self) {
        assert!(
            self.kv_heads > 0 && self.heads.is_multiple_of(self.kv_heads),
            "{} heads do not share {} key heads",
            self.heads,
            self.kv_heads
        );
        assert!(self.head_dim > 0, "heads of size 0");
        assert!(self.scale > 0.0 && self.scale.is_finite(), "scale {} is not positive", self.scale);
    }
}

/// Where the keys of a paged cache lie: key `j` of query `t` is in physical row
/// `table[row[t] + j / size] · size + j % size`.
#[derive(Clone, Copy, Debug)]
pub struct Pages<'a> {
    /// Numbers of pages, one list of pages after the other.
    pub table: &'a [i32],
    /// For each query row the place in `table` where its list starts.
    pub row: &'a [i32],
    /// Rows of a page.
    pub size: usize,
}

/// Floats of scratch that [`attention`] and [`attention_grad`] need: `threads` is the CPU's, `block`
/// the query rows of an independent row of the batch.
pub fn attention_scratch(threads: usize, shape: &AttentionShape, block: usize) -> usize {
    threads * forward::scratch(shape).max(backward::scratch(shape, block))
}

/// Floats of scratch that [`attention`] alone needs.
pub fn attention_forward_scratch(threads: usize, shape: &AttentionShape) -> usize {
    threads * forward::scratch(shape)
}

/// What both directions check about spans.
fn check_spans(lo: &[i32], hi: &[i32], block: usize, rows: usize) {
    same("span ends", hi.len(), lo.len());
    assert!(block > 0 || rows == 0, "blocks of no rows");
    assert!(rows == 0 || rows.is_multiple_of(block), "{rows} query rows are no whole blocks of {block}");
    same("span starts", lo.len(), rows);
}

/// Keys that query row `t` sees.
#[inline(always)]
fn span(lo: &[i32], hi: &[i32], t: usize) -> usize {
    usize::try_from(hi[t].saturating_sub(lo[t])).unwrap_or(0)
}

/// Runs `tasks` tasks, each with the thread's own `each` floats of scratch.
fn with_scratch(
    cpu: &Cpu,
    tasks: usize,
    scratch: &mut [f32],
    each: usize,
    f: impl Fn(usize, &mut [f32]) + Sync,
) {
    let needed = cpu.threads() * each;
    assert!(scratch.len() >= needed, "scratch of {} floats, {needed} needed", scratch.len());
    let scratch = crate::rows::Parts::new(scratch);
    cpu.pool().for_each_on(tasks, |thread, task| {
        // SAFETY: a thread runs one task at a time, and the parts of threads are disjoint.
        f(task, unsafe { scratch.part(thread * each..(thread + 1) * each) });
    });
}
