//! The output head and the loss in one: log-probabilities of targets under a linear map's softmax.
//!
//! Logits exist for a chunk of tokens at a time. What comes out is a log-probability a token, and
//! what goes back in is a cotangent a token, so the same operation serves pre-training, scoring,
//! demonstrations and policy gradients. Where the cotangent does not depend on the forward result
//! (pre-training), the gradient makes the log-probabilities too and the forward pass is dropped; it
//! looks only at tokens that have a target, which of documents with pictures are about half.

use super::{inputs, require};
use crate::{Backward, Call, Error, Operation, Tensor, Type};
use kernels::gemm::{Init, View, gemm, gemm_scratch};
use kernels::loss::cross_entropy;
use kernels::{Cpu, Views};

/// Inputs `x [T, C]`, `weight [V, C]`, `targets [T]` (i32; negative: none, probability 1); outputs
/// the log-probability `[T]` and the logarithm of the softmax's denominator `[T]`.
///
/// With a z-loss the gradient for a cotangent `c` is that of `Σ c·(logp − z·lse²)`
/// (arXiv:2204.02311, section 5): the log-probability itself stays what it is.
#[derive(Clone, Debug)]
pub struct LinearCrossEntropy {
    /// Coefficient of the z-loss; 0 for none.
    pub z_loss: f32,
}

/// Most tokens whose logits are held at once.
const CHUNK: usize = 512;

/// Tokens whose logits are held at once: at most 16 MB of them, in whole steps of 64.
fn chunk(tokens: usize, vocab: usize) -> usize {
    let by_bytes = (16 << 20) / (4 * vocab.max(1)) / 64 * 64;
    by_bytes.clamp(64, CHUNK).min(tokens.max(1))
}

fn scratch(call: Call<'_>, threads: usize, gradient: bool) -> usize {
    let (t, c, v) = (call.inputs[0].rows(), call.inputs[0].columns(), call.inputs[1].rows());
    let m = chunk(t, v);
    let (mut product, mut gathered) = (gemm_scratch(threads, m, v, c), 0);
    if gradient {
        product = product.max(gemm_scratch(threads, m, c, v)).max(gemm_scratch(threads, v, c, m));
        gathered = (m * c).next_multiple_of(16);
    }
    (m * v).next_multiple_of(16) + gathered + product
}

impl Operation for LinearCrossEntropy {
    fn name(&self) -> &'static str {
        "linear_cross_entropy"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [x, weight, targets] = inputs(types, &[2])?;
        require(
            weight.shape.len() == 2 && weight.columns() == x.columns(),
            "x's columns must be the weight's",
        )?;
        require(targets.len() == x.rows(), "one target a token")?;
        let row = Type::f32(&[x.rows()]);
        Ok(vec![row.clone(), row])
    }

    fn flops(&self, call: Call<'_>) -> u64 {
        2 * call.inputs[0].len() as u64 * call.inputs[1].rows() as u64
    }

    fn bounds(&self, call: Call<'_>, i: usize) -> Option<(i64, i64)> {
        (i == 2).then(|| (i64::from(i32::MIN), call.inputs[1].rows() as i64))
    }

    fn scratch(&self, call: Call<'_>, threads: usize) -> usize {
        scratch(call, threads, false)
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        if b.cotangent(1).is_some() {
            return Err(Error::NoGradient("the denominator of linear_cross_entropy"));
        }
        let Some(cotangent) = b.cotangent(0) else { return Ok(()) };
        let wanted = [b.needs(0), b.needs(1)];
        let operation = LinearCrossEntropyGrad { z_loss: self.z_loss, wanted };
        let made = b.apply(operation, &[b.input(0), b.input(1), b.input(2), cotangent])?;
        b.supersede(&[(0, made[0]), (1, made[1])], cotangent);
        let places = (0..2).filter(|&i| wanted[i]);
        for (i, &part) in places.zip(&made[2..]) {
            b.add(i, part)?;
        }
        Ok(())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (x, weight, targets) = (views.r(0), views.r(1), views.ri(2));
        let (c, v) = (call.inputs[0].columns(), call.inputs[1].rows());
        let [logp, lse, scratch] = views.writes();
        let m = chunk(call.inputs[0].rows(), v);
        let (logits, scratch) = scratch.split_at_mut((m * v).next_multiple_of(16));
        let chunks = x.chunks(m * c).zip(targets.chunks(m)).zip(logp.chunks_mut(m).zip(lse.chunks_mut(m)));
        for ((x, targets), (logp, lse)) in chunks {
            let logits = &mut logits[..targets.len() * v];
            head(cpu, x, weight, c, v, logits, scratch);
            cross_entropy(cpu, logits, targets, None, self.z_loss, logp, lse);
        }
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let logits = super::Linear.reference(&inputs[..2])?.remove(0);
        let mut logp = Tensor::zeros(&[logits.rows().count()]);
        let mut lse = logp.clone();
        for (t, row) in logits.rows().enumerate() {
            let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            lse.data[t] = max + row.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
            if inputs[2].data[t] >= 0.0 {
                logp.data[t] = row[inputs[2].data[t] as usize] - lse.data[t];
            }
        }
        Some(vec![logp, lse])
    }
}

/// `logits [m, V] = x [m, C] · weightᵀ`.
fn head(cpu: &Cpu, x: &[f32], weight: &[f32], c: usize, v: usize, logits: &mut [f32], scratch: &mut [f32]) {
    let (a, b) = (View { data: x, row: c, col: 1 }, View { data: weight, row: 1, col: c });
    gemm(cpu, x.len() / c, v, c, a, b, logits, Init::Zero, scratch);
}

/// Inputs `x, weight, targets, cotangent [T]`; outputs logp, lse and those wanted of `dx`, `dweight`.
#[derive(Debug)]
struct LinearCrossEntropyGrad {
    z_loss: f32,
    wanted: [bool; 2],
}

impl Operation for LinearCrossEntropyGrad {
    fn name(&self) -> &'static str {
        "linear_cross_entropy_grad"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let row = Type::f32(&[types[0].rows()]);
        let grads = types.iter().zip(self.wanted).filter(|(_, wanted)| *wanted).map(|(ty, _)| ty.clone());
        Ok([row.clone(), row].into_iter().chain(grads).collect())
    }

    fn flops(&self, call: Call<'_>) -> u64 {
        let product = 2 * call.inputs[0].len() as u64 * call.inputs[1].rows() as u64;
        product * (1 + self.wanted.iter().filter(|w| **w).count() as u64)
    }

    fn bounds(&self, call: Call<'_>, i: usize) -> Option<(i64, i64)> {
        LinearCrossEntropy { z_loss: 0.0 }.bounds(call, i)
    }

    fn scratch(&self, call: Call<'_>, threads: usize) -> usize {
        scratch(call, threads, true)
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (x, weight, targets, cotangent) = (views.r(0), views.r(1), views.ri(2), views.r(3));
        let (c, v) = (call.inputs[0].columns(), call.inputs[1].rows());
        let (logp, lse, dx, dw, scratch): (_, _, &mut [f32], &mut [f32], _);
        match self.wanted {
            [true, true] => [logp, lse, dx, dw, scratch] = views.writes(),
            [true, false] => {
                [logp, lse, dx, scratch] = views.writes();
                dw = &mut [];
            }
            _ => {
                [logp, lse, dw, scratch] = views.writes();
                dx = &mut [];
            }
        }
        let m = chunk(call.inputs[0].rows(), v);
        let (logits, scratch) = scratch.split_at_mut((m * v).next_multiple_of(16));
        let (gathered, scratch) = scratch.split_at_mut((m * c).next_multiple_of(16));
        let mut first = true;
        for from in (0..targets.len()).step_by(m) {
            let span = from..targets.len().min(from + m);
            let columns = span.start * c..span.end * c;
            let x = &x[columns.clone()];
            let asked = Asked::new(&targets[span.clone()], &cotangent[span.clone()]);
            let places = &asked.places[..asked.count];
            let (rows, whole) = (places.len(), places.len() == span.len());
            if !whole {
                for (to, &place) in gathered.chunks_exact_mut(c).zip(places) {
                    to.copy_from_slice(&x[place * c..][..c]);
                }
            }
            let seen = if whole { x } else { &gathered[..rows * c] };
            let logits = &mut logits[..rows * v];
            head(cpu, seen, weight, c, v, logits, scratch);
            let mut made = [[0.0; CHUNK]; 2];
            let [chances, sums] = &mut made;
            let (chances, sums) = (&mut chances[..rows], &mut sums[..rows]);
            let cotangents = Some(&asked.cotangents[..rows]);
            cross_entropy(cpu, logits, &asked.targets[..rows], cotangents, self.z_loss, chances, sums);
            for (out, made) in [(&mut *logp, chances), (&mut *lse, sums)] {
                let out = &mut out[span.clone()];
                out.fill(0.0);
                places.iter().zip(made).for_each(|(&place, made)| out[place] = *made);
            }
            if self.wanted[1] && rows > 0 {
                let (a, b) = (View { data: logits, row: 1, col: v }, View { data: seen, row: c, col: 1 });
                let init = if first { Init::Zero } else { Init::Accumulate };
                gemm(cpu, v, c, rows, a, b, dw, init, scratch);
                first = false;
            }
            if self.wanted[0] {
                let dx = &mut dx[columns];
                let (a, b) = (View { data: logits, row: v, col: 1 }, View { data: weight, row: c, col: 1 });
                let made = if whole { &mut *dx } else { &mut gathered[..rows * c] };
                gemm(cpu, rows, c, v, a, b, made, Init::Zero, scratch);
                if !whole {
                    dx.fill(0.0);
                    for (made, &place) in gathered.chunks_exact(c).zip(places) {
                        dx[place * c..][..c].copy_from_slice(made);
                    }
                }
            }
        }
        if first {
            dw.fill(0.0);
        }
    }
}

/// The tokens of a chunk that have a target, side by side: the others have no gradient, so nothing is computed for them.
struct Asked {
    count: usize,
    places: [usize; CHUNK],
    targets: [i32; CHUNK],
    cotangents: [f32; CHUNK],
}

impl Asked {
    fn new(targets: &[i32], cotangents: &[f32]) -> Asked {
        let mut asked = Asked { count: 0, places: [0; CHUNK], targets: [0; CHUNK], cotangents: [0.0; CHUNK] };
        for (place, (&target, &cotangent)) in targets.iter().zip(cotangents).enumerate() {
            if target >= 0 {
                let at = asked.count;
                (asked.places[at], asked.targets[at], asked.cotangents[at]) = (place, target, cotangent);
                asked.count += 1;
            }
        }
        asked
    }
}
