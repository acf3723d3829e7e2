//! LayerNorm over the last axis: `y = (x − mean) / sqrt(variance + ε) · gain + bias`
//! (arXiv:1607.06450).

use super::{inputs, require};
use crate::{Backward, Call, Error, Operation, Tensor, Type};
use kernels::norm::{layer_norm, layer_norm_grad, norm_scratch};
use kernels::{Cpu, Views};

/// Inputs `x [T, C]`, `gain [C]`, `bias [C]`; outputs `y`, mean `[T]`, reciprocal deviation `[T]`.
#[derive(Debug)]
pub struct LayerNorm {
    /// Added to the variance.
    pub epsilon: f32,
}

impl Operation for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [x, gain, bias] = inputs(types, &[])?;
        require(
            gain.shape == [x.columns()] && bias == gain,
            "gain and bias must be as long as x's last axis",
        )?;
        let row = Type::f32(&[x.rows()]);
        Ok(vec![x.clone(), row.clone(), row])
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = b.cotangent(0) else { return Ok(()) };
        let sum = b.take(0);
        let values = [&[b.input(0), b.input(1), b.output(1), b.output(2), dy][..], sum.as_slice()].concat();
        let grads = b.apply(LayerNormGrad, &values)?;
        if b.needs(0) {
            b.set(0, grads[0]);
        }
        for i in [1, 2] {
            if b.needs(i) {
                b.add(i, grads[i])?;
            }
        }
        Ok(())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (x, gain, bias) = (views.r(0), views.r(1), views.r(2));
        let [y, mean, rstd, _] = views.writes();
        layer_norm(cpu, x, gain, bias, y, mean, rstd, call.inputs[0].columns(), self.epsilon);
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let (x, gain, bias) = (&inputs[0], &inputs[1], &inputs[2]);
        let (mut y, rows) = (x.clone(), x.rows().count());
        let (mut means, mut rstds) = (Tensor::zeros(&[rows]), Tensor::zeros(&[rows]));
        for (i, out) in y.data.chunks_exact_mut(x.columns().max(1)).enumerate() {
            let n = out.len() as f64;
            let mean = out.iter().sum::<f64>() / n;
            let variance = out.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            let rstd = 1.0 / (variance + f64::from(self.epsilon)).sqrt();
            (means.data[i], rstds.data[i]) = (mean, rstd);
            for (j, y) in out.iter_mut().enumerate() {
                *y = (*y - mean) * rstd * gain.data[j] + bias.data[j];
            }
        }
        Some(vec![y, means, rstds])
    }
}

/// Inputs `x, gain, mean, rstd, dy (, sum)`; outputs `dx (+ sum)`, `dgain`, `dbias`.
#[derive(Debug)]
struct LayerNormGrad;

impl Operation for LayerNormGrad {
    fn name(&self) -> &'static str {
        "layer_norm_grad"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        Ok(vec![types[0].clone(), types[1].clone(), types[1].clone()])
    }

    fn scratch(&self, call: Call<'_>, _threads: usize) -> usize {
        norm_scratch(call.inputs[0].rows(), call.inputs[0].columns())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (x, gain, mean, rstd, dy) = (views.r(0), views.r(1), views.r(2), views.r(3), views.r(4));
        let sum = (call.inputs.len() == 6).then(|| views.r(5));
        let [dx, dgain, dbias, scratch] = views.writes();
        layer_norm_grad(
            cpu,
            x,
            gain,
            mean,
            rstd,
            dy,
            sum,
            dx,
            dgain,
            dbias,
            call.inputs[0].columns(),
            scratch,
        );
    }
}
