//! RMSNorm over the last axis: `y = x / sqrt(mean(x²) + ε) · gain` (arXiv:1910.07467).

use super::{inputs, require};
use crate::{Backward, Call, Error, Operation, Tensor, Type};
use kernels::norm::{norm_scratch, rms_norm, rms_norm_grad};
use kernels::{Cpu, Views};

/// Inputs `x [T, C]`, `gain [C]`; outputs `y [T, C]` and the reciprocal root `[T]`.
#[derive(Debug)]
pub struct RmsNorm {
    /// Added to the mean square.
    pub epsilon: f32,
}

impl Operation for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [x, gain] = inputs(types, &[])?;
        require(gain.shape == [x.columns()], "the gain must be as long as x's last axis")?;
        Ok(vec![x.clone(), Type::f32(&[x.rows()])])
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = b.cotangent(0) else { return Ok(()) };
        let sum = b.take(0);
        let values = [&[b.input(0), b.input(1), b.output(1), dy][..], sum.as_slice()].concat();
        let grads = b.apply(RmsNormGrad, &values)?;
        if b.needs(0) {
            b.set(0, grads[0]);
        }
        if b.needs(1) {
            b.add(1, grads[1])?;
        }
        Ok(())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (x, gain) = (views.r(0), views.r(1));
        let [y, rstd, _] = views.writes();
        rms_norm(cpu, x, gain, y, rstd, call.inputs[0].columns(), self.epsilon);
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let (x, gain) = (&inputs[0], &inputs[1]);
        let mut y = x.clone();
        let mut rstd = Tensor::zeros(&[x.rows().count()]);
        for ((row, out), r) in x.rows().zip(y.data.chunks_exact_mut(x.columns().max(1))).zip(&mut rstd.data) {
            let mean = row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64;
            *r = 1.0 / (mean + f64::from(self.epsilon)).sqrt();
            out.iter_mut().zip(&gain.data).for_each(|(y, g)| *y *= *r * g);
        }
        Some(vec![y, rstd])
    }
}

/// Inputs `x, gain, rstd, dy (, sum)`; outputs `dx (+ sum)`, `dgain`.
#[derive(Debug)]
struct RmsNormGrad;

impl Operation for RmsNormGrad {
    fn name(&self) -> &'static str {
        "rms_norm_grad"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        Ok(vec![types[0].clone(), types[1].clone()])
    }

    fn scratch(&self, call: Call<'_>, _threads: usize) -> usize {
        norm_scratch(call.inputs[0].rows(), call.inputs[0].columns())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (x, gain, rstd, dy) = (views.r(0), views.r(1), views.r(2), views.r(3));
        let sum = (call.inputs.len() == 5).then(|| views.r(4));
        let [dx, dgain, scratch] = views.writes();
        rms_norm_grad(cpu, x, gain, rstd, dy, sum, dx, dgain, call.inputs[0].columns(), scratch);
    }
}
