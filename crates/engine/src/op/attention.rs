//! Attention: each query row looks at a span of key rows.
//!
//! The span table is all there is of masks: causal packing of documents, full attention of an
//! encoder, and decoding over a cache differ only in their spans (and in the page table).

use super::{inputs, require};
use crate::{Backward, Call, Error, Operation, Tensor, Type};
use kernels::attention::{AttentionShape, Pages, attention, attention_grad, attention_scratch};
use kernels::{Cpu, Views};

/// How much of a block a query sees on average: for counting work before the spans are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// Half of the block's keys.
    Causal,
    /// All keys.
    Full,
}

/// Inputs `q [Tq, H·D]`, `k [Tk, Hkv·D]`, `v [Tk, Hkv·D]`, `low [Tq]`, `high [Tq]` (i32) and, for a
/// paged cache, `pages [N]` and `page_row [Tq]` (i32); outputs `[Tq, H·D]` and the logarithm of the
/// softmax's denominator `[Tq, H]`.
///
/// Query `t` sees the keys `low[t]..high[t]`: rows of `k`, or through pages row
/// `pages[page_row[t] + j / page_size] · page_size + j mod page_size`. An empty span gives zeros.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; queries `H/Hkv` apart share one.
    pub kv_heads: usize,
    /// Query rows that belong together: a row of the batch, whose keys no other row sees.
    pub block: usize,
    /// For counting.
    pub mask: Mask,
    /// Rows of a page, where there is a page table.
    pub page_size: usize,
}

impl Attention {
    fn shape(&self, q: &Type) -> AttentionShape {
        let head_dim = q.columns() / self.heads;
        let scale = (1.0 / (head_dim as f64).sqrt()) as f32;
        AttentionShape { heads: self.heads, kv_heads: self.kv_heads, head_dim, scale }
    }

    /// Operations of one product over all pairs of a query and a key that it sees.
    fn pair_flops(&self, call: Call<'_>) -> u64 {
        let (q, k) = (&call.inputs[0], &call.inputs[1]);
        let seen = if self.block < q.rows() { self.block } else { k.rows() } as u64;
        let all = 2 * q.len() as u64 * seen;
        if self.mask == Mask::Causal { all / 2 } else { all }
    }
}

impl Operation for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let paged = types.len() == 7;
        let [q, k, v, low, high] = inputs(&types[..types.len().min(5)], &[3, 4])?;
        require(types.len() == 5 || paged, "it takes five inputs, or seven with pages")?;
        require(
            self.heads > 0 && self.kv_heads > 0 && self.heads.is_multiple_of(self.kv_heads),
            "the key heads must divide the query heads",
        )?;
        require(q.columns() % self.heads == 0, "q's columns must divide into the heads")?;
        require(
            k == v && k.columns() == q.columns() / self.heads * self.kv_heads,
            "k and v must be [keys, key heads · head size]",
        )?;
        require(low.len() == q.rows() && high == low, "one span a query")?;
        require(self.block > 0 && q.rows() % self.block == 0, "the block must divide the queries")?;
        require(
            !paged || (self.page_size > 0 && types[6].len() == q.rows()),
            "one page row a query, and a page size",
        )?;
        Ok(vec![q.clone(), Type::f32(&[q.rows(), self.heads])])
    }

    fn flops(&self, call: Call<'_>) -> u64 {
        2 * self.pair_flops(call)
    }

    fn bounds(&self, call: Call<'_>, i: usize) -> Option<(i64, i64)> {
        match i {
            3 | 4 => Some((0, call.inputs[1].rows() as i64 + 1)),
            5 => Some((0, (call.inputs[1].rows() / self.page_size.max(1)) as i64)),
            6 => Some((0, call.inputs[5].len() as i64)),
            _ => None,
        }
    }

    fn scratch(&self, call: Call<'_>, threads: usize) -> usize {
        attention_scratch(threads, &self.shape(&call.inputs[0]), self.block)
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dout) = b.cotangent(0) else { return Ok(()) };
        if b.inputs() == 7 {
            return Err(Error::NoGradient("attention over pages"));
        }
        let mut values: Vec<_> = (0..5).map(|i| b.input(i)).collect();
        values.extend([b.output(0), b.output(1), dout]);
        let grads = b.apply(AttentionGrad(self.clone()), &values)?;
        for (i, part) in grads.into_iter().enumerate() {
            if b.needs(i) {
                b.add(i, part)?;
            }
        }
        Ok(())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (q, k, v, low, high) = (views.r(0), views.r(1), views.r(2), views.ri(3), views.ri(4));
        let pages = (call.inputs.len() == 7).then(|| Pages {
            table: views.ri(5),
            row: views.ri(6),
            size: self.page_size,
        });
        let [out, lse, scratch] = views.writes();
        attention(
            cpu,
            &self.shape(&call.inputs[0]),
            q,
            k,
            v,
            low,
            high,
            pages,
            self.block,
            out,
            lse,
            scratch,
        );
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let (q, k, v) = (&inputs[0], &inputs[1], &inputs[2]);
        let d = q.columns() / self.heads;
        let group = self.heads / self.kv_heads;
        let scale = 1.0 / (d as f64).sqrt();
        let mut out = Tensor::zeros(&q.shape);
        let mut lse = Tensor::zeros(&[q.rows().count(), self.heads]);
        for t in 0..q.rows().count() {
            let row = |j: usize| match inputs.get(5) {
                None => j,
                Some(pages) => {
                    let page = pages.data[inputs[6].data[t] as usize + j / self.page_size] as usize;
                    page * self.page_size + j % self.page_size
                }
            };
            let keys: Vec<usize> =
                (inputs[3].data[t] as usize..inputs[4].data[t] as usize).map(row).collect();
            for h in 0..self.heads {
                let query = &q.data[t * q.columns() + h * d..][..d];
                let part = |x: &Tensor, j: usize| x.data[j * k.columns() + h / group * d..][..d].to_vec();
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                let scores: Vec<f64> = keys.iter().map(|&j| scale * dot(query, &part(k, j))).collect();
                let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
                lse.data[t * self.heads + h] = max + sum.ln();
                for (&j, s) in keys.iter().zip(&scores) {
                    let p = (s - max).exp() / sum;
                    let place = &mut out.data[t * q.columns() + h * d..][..d];
                    place.iter_mut().zip(part(v, j)).for_each(|(o, v)| *o += p * v);
                }
            }
        }
        Some(vec![out, lse])
    }
}

/// Inputs `q, k, v, low, high, out, lse, dout`; outputs `dq, dk, dv`. The scores are computed again.
#[derive(Debug)]
struct AttentionGrad(Attention);

impl Operation for AttentionGrad {
    fn name(&self) -> &'static str {
        "attention_grad"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        Ok(types[..3].to_vec())
    }

    fn flops(&self, call: Call<'_>) -> u64 {
        4 * self.0.pair_flops(call)
    }

    fn scratch(&self, call: Call<'_>, threads: usize) -> usize {
        attention_scratch(threads, &self.0.shape(&call.inputs[0]), self.0.block)
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (q, k, v, low, high) = (views.r(0), views.r(1), views.r(2), views.ri(3), views.ri(4));
        let (out, lse, dout) = (views.r(5), views.r(6), views.r(7));
        let [dq, dk, dv, scratch] = views.writes();
        let shape = self.0.shape(&call.inputs[0]);
        attention_grad(cpu, &shape, q, k, v, low, high, self.0.block, out, lse, dout, dq, dk, dv, scratch);
    }
}
