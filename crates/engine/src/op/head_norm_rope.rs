//! Rotary positions (arXiv:2104.09864, pairs `(i, i + D/2)` as Hugging Face has them), with the
//! RMSNorm of each head of queries and keys before it where there is a gain (arXiv:2010.04245).

use super::{inputs, require};
use crate::{Backward, Call, Error, Operation, Tensor, Type};
use kernels::rope::{head_norm_rope, head_norm_rope_grad, head_norm_rope_scratch};
use kernels::{Cpu, Views};

/// Inputs `x [T, H·D]`, `positions [T]` (i32), `cos [P, D/2]`, `sin [P, D/2]` and, with a norm,
/// `gain [D]`; outputs `y [T, H·D]` and the norm's reciprocal roots `[T, H]`.
#[derive(Clone, Debug)]
pub struct HeadNormRope {
    /// Heads in `x`.
    pub heads: usize,
    /// Added to the mean square of a head.
    pub epsilon: f32,
}

impl Operation for HeadNormRope {
    fn name(&self) -> &'static str {
        "head_norm_rope"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [x, positions, cos, sin] = inputs(&types[..types.len().min(4)], &[1])?;
        require(self.heads > 0 && x.columns() % self.heads == 0, "x's columns must divide into the heads")?;
        let head_dim = x.columns() / self.heads;
        require(head_dim.is_multiple_of(2), "the head size must be even")?;
        require(positions.len() == x.rows(), "one position a row")?;
        require(
            cos == sin && cos.columns() == head_dim / 2,
            "cos and sin must be [positions, head size / 2]",
        )?;
        require(
            types.len() <= 5 && types.get(4).is_none_or(|g| g.shape == [head_dim]),
            "the gain must be one head long",
        )?;
        Ok(vec![x.clone(), Type::f32(&[x.rows(), self.heads])])
    }

    fn bounds(&self, call: Call<'_>, i: usize) -> Option<(i64, i64)> {
        (i == 1).then(|| (0, call.inputs[2].rows() as i64))
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = b.cotangent(0) else { return Ok(()) };
        let mut values = vec![b.input(0), b.input(1), b.input(2), b.input(3), b.output(1), dy];
        if b.inputs() == 5 {
            values.push(b.input(4));
        }
        let grads = b.apply(HeadNormRopeGrad { heads: self.heads }, &values)?;
        if b.needs(0) {
            b.add(0, grads[0])?;
        }
        if b.inputs() == 5 && b.needs(4) {
            b.add(4, grads[1])?;
        }
        Ok(())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (x, positions, cos, sin) = (views.r(0), views.ri(1), views.r(2), views.r(3));
        let gain = (call.inputs.len() == 5).then(|| views.r(4));
        let head_dim = call.inputs[0].columns() / self.heads;
        let [y, rstd, _] = views.writes();
        head_norm_rope(cpu, x, gain, cos, sin, positions, y, rstd, self.heads, head_dim, self.epsilon);
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let (x, positions, cos, sin) = (&inputs[0], &inputs[1], &inputs[2], &inputs[3]);
        let head_dim = x.columns() / self.heads;
        let half = head_dim / 2;
        let mut y = x.clone();
        let mut rstd = Tensor::zeros(&[x.rows().count(), self.heads]);
        for (i, head) in y.data.chunks_exact_mut(head_dim).enumerate() {
            let mean = head.iter().map(|x| x * x).sum::<f64>() / head_dim as f64;
            rstd.data[i] = 1.0;
            if let Some(gain) = inputs.get(4) {
                rstd.data[i] = 1.0 / (mean + f64::from(self.epsilon)).sqrt();
                head.iter_mut().zip(&gain.data).for_each(|(x, g)| *x *= rstd.data[i] * g);
            }
            let at = positions.data[i / self.heads] as usize * half;
            for j in 0..half {
                let (c, s) = (cos.data[at + j], sin.data[at + j]);
                let (a, b) = (head[j], head[j + half]);
                (head[j], head[j + half]) = (a * c - b * s, b * c + a * s);
            }
        }
        Some(vec![y, rstd])
    }
}

/// Inputs `x, positions, cos, sin, rstd, dy (, gain)`; outputs `dx` and, with a gain, `dgain`.
#[derive(Debug)]
struct HeadNormRopeGrad {
    heads: usize,
}

impl Operation for HeadNormRopeGrad {
    fn name(&self) -> &'static str {
        "head_norm_rope_grad"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        Ok([&types[..1], &types[6..]].concat())
    }

    fn scratch(&self, call: Call<'_>, _threads: usize) -> usize {
        let x = &call.inputs[0];
        head_norm_rope_scratch(x.rows(), x.columns() / self.heads)
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (x, positions, cos, sin) = (views.r(0), views.ri(1), views.r(2), views.r(3));
        let (rstd, dy) = (views.r(4), views.r(5));
        let head_dim = call.inputs[0].columns() / self.heads;
        if call.inputs.len() == 7 {
            let gain = Some(views.r(6));
            let [dx, dgain, scratch] = views.writes();
            let dgain = Some(dgain);
            head_norm_rope_grad(
                cpu, x, gain, cos, sin, positions, rstd, dy, dx, dgain, self.heads, head_dim, scratch,
            );
        } else {
            let [dx, scratch] = views.writes();
            head_norm_rope_grad(
                cpu, x, None, cos, sin, positions, rstd, dy, dx, None, self.heads, head_dim, scratch,
            );
        }
    }
}
