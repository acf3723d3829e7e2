//! Attention and its gradient against the slow twin, and the bits of one query alone, in pages, on
//! every set and number of threads.

use super::{AttentionShape, Pages, attention, attention_grad, reference};
use super::{attention_forward_scratch, attention_scratch};
use crate::Cpu;
use crate::testing::{bits, check, everywhere, numbers, wide};
use proptest::prelude::*;

/// How the spans of a block's queries lie.
#[derive(Clone, Copy, Debug)]
enum Mask {
    /// Documents one after the other, each causal.
    Causal,
    /// Documents one after the other, each seen whole.
    Full,
    /// Any span inside the block, empty ones and reversed ones among them.
    Any,
}

#[derive(Clone, Debug)]
struct Case {
    shape: AttentionShape,
    block: usize,
    /// The largest query's elements.
    reach: f32,
    lo: Vec<i32>,
    hi: Vec<i32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Case {
    fn new(
        (heads, group, head_dim): (usize, usize, usize),
        (blocks, block): (usize, usize),
        mask: Mask,
        reach: f32,
        seed: u32,
    ) -> Case {
        let scale = 1.0 / (head_dim as f32).sqrt();
        let shape = AttentionShape { heads: heads * group, kv_heads: heads, head_dim, scale };
        let mut draws = numbers(4 * blocks * block, seed).into_iter();
        let mut below = |n: usize| ((draws.next().unwrap() + 1.0) / 2.0 * n as f32) as usize;
        let (mut lo, mut hi) = (vec![], vec![]);
        for first in (0..blocks).map(|i| i * block) {
            let mut t = 0;
            while t < block {
                if let Mask::Any = mask {
                    lo.push((first + below(block)) as i32);
                    hi.push((first + below(block + 1)) as i32);
                    t += 1;
                    continue;
                }
                let len = 1 + below(block - t);
                for i in t..t + len {
                    lo.push((first + t) as i32);
                    hi.push((first + if let Mask::Causal = mask { i + 1 } else { t + len }) as i32);
                }
                t += len;
            }
        }
        let rows = blocks * block;
        let q = numbers(rows * shape.q_row(), seed + 1).iter().map(|x| reach * x).collect();
        let [k, v] = [2, 3].map(|i| numbers(rows * shape.k_row(), seed + i));
        Case { shape, block, reach, lo, hi, q, k, v }
    }

    fn inputs<'a>(&'a self, [q, k, v]: [&'a [f64]; 3], pages: Option<Pages<'a>>) -> reference::Inputs<'a> {
        reference::Inputs { q, k, v, lo: &self.lo, hi: &self.hi, pages }
    }

    /// Outputs and logs of sums, with the keys where they lie or in pages.
    fn forward(&self, cpu: &Cpu, pages: Option<(Pages<'_>, &[f32], &[f32])>) -> [Vec<f32>; 2] {
        let (pages, k, v) = pages.map_or((None, &self.k[..], &self.v[..]), |(p, k, v)| (Some(p), k, v));
        let mut out = vec![f32::NAN; self.q.len()];
        let mut lse = vec![f32::NAN; self.lo.len() * self.shape.heads];
        let mut scratch = vec![f32::NAN; attention_forward_scratch(cpu.threads(), &self.shape)];
        let (lo, hi) = (&self.lo, &self.hi);
        attention(
            cpu,
            &self.shape,
            &self.q,
            k,
            v,
            lo,
            hi,
            pages,
            self.block,
            &mut out,
            &mut lse,
            &mut scratch,
        );
        [out, lse]
    }

    /// Both directions against the twin. The gradient of keys is a sum of queries whose factors nearly
    /// cancel where one key has all the weight, so it is rounded in units of the queries.
    fn compare(&self, seed: u32) {
        let dout = numbers(self.q.len(), seed);
        let (q, k, v) = (wide(&self.q), wide(&self.k), wide(&self.v));
        let inputs = self.inputs([&q, &k, &v], None);
        let (out, lse) = reference::attention(&self.shape, &inputs);
        let (dq, dk, dv) = reference::attention_grad(&self.shape, &inputs, &wide(&dout));
        let dk = dk.iter().map(|x| x / f64::from(self.reach)).collect();
        check(1e-5, &[out, lse, dq, dk, dv], |cpu| {
            let [out, lse] = self.forward(cpu, None);
            let [mut dq, mut dk, mut dv] = [&self.q, &self.k, &self.v].map(|x| vec![f32::NAN; x.len()]);
            let mut scratch = vec![f32::NAN; attention_scratch(cpu.threads(), &self.shape, self.block)];
            attention_grad(
                cpu,
                &self.shape,
                &self.q,
                &self.k,
                &self.v,
                &self.lo,
                &self.hi,
                self.block,
                &out,
                &lse,
                &dout,
                &mut dq,
                &mut dk,
                &mut dv,
                &mut scratch,
            );
            dk.iter_mut().for_each(|x| *x /= self.reach);
            vec![("out", out), ("lse", lse), ("dq", dq), ("dk", dk), ("dv", dv)]
        });
    }

    /// Query `t` alone, with no more keys than it sees.
    fn alone(&self, t: usize) -> Case {
        let row = self.shape.q_row();
        let keys = self.hi[t].max(0) as usize * self.shape.k_row();
        Case {
            shape: self.shape,
            block: 1,
            reach: self.reach,
            lo: vec![self.lo[t]],
            hi: vec![self.hi[t]],
            q: self.q[t * row..(t + 1) * row].to_vec(),
            k: self.k[..keys].to_vec(),
            v: self.v[..keys].to_vec(),
        }
    }
}

fn masks() -> impl Strategy<Value = Mask> {
    prop::sample::select(vec![Mask::Causal, Mask::Full, Mask::Any])
}

/// Key heads, queries a key head, size of a head.
fn heads() -> impl Strategy<Value = (usize, usize, usize)> {
    (1usize..4, 1usize..5, prop::sample::select(vec![1, 2, 3, 8, 15, 16, 17, 24, 33, 48]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn both_ways_equal_the_twin(
        heads in heads(),
        batch in prop_oneof![9 => (0usize..4, 1usize..24), 1 => (1usize..3, 60usize..140)],
        mask in masks(), reach in prop::sample::select(vec![1.0f32, 40.0]), seed in 0u32..10_000,
    ) {
        Case::new(heads, batch, mask, reach, seed).compare(seed + 9);
    }

    #[test]
    fn a_query_alone_and_in_pages_has_the_same_bits(
        heads in heads(), block in prop_oneof![9 => 1usize..30, 1 => 60usize..140], mask in masks(),
        size in 1usize..40, seed in 0u32..10_000,
    ) {
        let case = Case::new(heads, (1, block), mask, 4.0, seed);
        // The pages lie in reverse order, each list after one that belongs to nobody.
        let (row, count) = (case.shape.k_row(), block.div_ceil(size));
        let table: Vec<i32> = std::iter::once(i32::MAX).chain((0..count as i32).rev()).collect();
        let [k, v] = [&case.k, &case.v].map(|x| {
            let mut pages = vec![1e9; count * size * row];
            for (j, from) in x.chunks_exact(row).enumerate() {
                let to = (table[1 + j / size] as usize * size + j % size) * row;
                pages[to..to + row].copy_from_slice(from);
            }
            pages
        });
        let lists = vec![1; block];
        let pages = Pages { table: &table, row: &lists, size };
        everywhere(|cpu| {
            let [out, lse] = case.forward(cpu, None);
            let paged = case.forward(cpu, Some((pages, &k, &v)));
            assert!(bits(&paged[0]) == bits(&out) && bits(&paged[1]) == bits(&lse), "{} in pages", cpu.isa());
            for t in [0, block / 2, block - 1] {
                let [one, log] = case.alone(t).forward(cpu, None);
                let (width, heads) = (case.shape.q_row(), case.shape.heads);
                assert!(bits(&one) == bits(&out[t * width..(t + 1) * width]), "{} query {t} alone", cpu.isa());
                assert!(bits(&log) == bits(&lse[t * heads..(t + 1) * heads]), "{} query {t} alone", cpu.isa());
            }
            vec![("out", out), ("lse", lse)]
        });
        let (q, k, v) = (wide(&case.q), wide(&k), wide(&v));
        let (out, lse) = reference::attention(&case.shape, &case.inputs([&q, &k, &v], Some(pages)));
        check(1e-5, &[out, lse], |cpu| {
            let [out, lse] = case.forward(cpu, None);
            vec![("out", out), ("lse", lse)]
        });
    }
}

#[test]
fn large_heads_and_many_tiles() {
    Case::new((1, 2, 128), (2, 130), Mask::Causal, 3.0, 1).compare(2);
    Case::new((2, 1, 65), (1, 200), Mask::Full, 3.0, 3).compare(4);
    Case::new((1, 9, 64), (3, 65), Mask::Any, 3.0, 5).compare(6);
}

#[test]
fn a_query_that_sees_nothing_gives_nothing() {
    let mut case = Case::new((1, 2, 5), (1, 3), Mask::Full, 1.0, 7);
    (case.lo, case.hi) = (vec![0, 2, 3], vec![0, 1, 3]);
    everywhere(|cpu| {
        let [out, lse] = case.forward(cpu, None);
        assert!(out.iter().all(|&x| x == 0.0) && lse.iter().all(|&x| x == f32::NEG_INFINITY));
        vec![("out", out)]
    });
}
