//! The nonlinearities: SwiGLU (arXiv:2002.05202) for the decoder, GELU in its tanh form
//! (arXiv:1606.08415) for the vision encoder.

use super::{inputs, require};
use crate::{Backward, Call, Error, Operation, Tensor, Type};
use kernels::{Cpu, Views, activation};

/// `silu(gate) · up`.
#[derive(Debug)]
pub struct SwiGlu;

impl Operation for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [gate, up] = inputs(types, &[])?;
        require(gate == up, "gate and up must have one shape")?;
        Ok(vec![gate.clone()])
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = b.cotangent(0) else { return Ok(()) };
        let grads = b.apply(SwiGluGrad, &[b.input(0), b.input(1), dy])?;
        for (i, part) in grads.into_iter().enumerate() {
            if b.needs(i) {
                b.add(i, part)?;
            }
        }
        Ok(())
    }

    fn run(&self, cpu: &Cpu, _call: Call<'_>, views: &mut Views<'_>) {
        let (gate, up) = (views.r(0), views.r(1));
        let [y, _] = views.writes();
        activation::swiglu(cpu, gate, up, y);
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let mut y = inputs[0].clone();
        y.data.iter_mut().zip(&inputs[1].data).for_each(|(x, u)| *x = *x / (1.0 + (-*x).exp()) * u);
        Some(vec![y])
    }
}

#[derive(Debug)]
struct SwiGluGrad;

impl Operation for SwiGluGrad {
    fn name(&self) -> &'static str {
        "swiglu_grad"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        Ok(types[..2].to_vec())
    }

    fn run(&self, cpu: &Cpu, _call: Call<'_>, views: &mut Views<'_>) {
        let (gate, up, dy) = (views.r(0), views.r(1), views.r(2));
        let [dgate, dup, _] = views.writes();
        activation::swiglu_grad(cpu, gate, up, dy, dgate, dup);
    }
}

/// `x · Φ(x)`, or its tanh form `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
#[derive(Clone, Copy, Debug)]
pub struct Gelu {
    /// Whether it is the function itself.
    pub exact: bool,
}

impl Operation for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [x] = inputs(types, &[])?;
        Ok(vec![x.clone()])
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = b.cotangent(0) else { return Ok(()) };
        let dx = b.apply(GeluGrad(*self), &[b.input(0), dy])?[0];
        b.add(0, dx)
    }

    fn run(&self, cpu: &Cpu, _call: Call<'_>, views: &mut Views<'_>) {
        let x = views.r(0);
        let [y, _] = views.writes();
        match self.exact {
            true => activation::gelu_exact(cpu, x, y),
            false => activation::gelu(cpu, x, y),
        }
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let mut y = inputs[0].clone();
        if self.exact {
            y.data.iter_mut().for_each(|x| *x = activation::reference::gelu_exact(*x));
            return Some(vec![y]);
        }
        let slope = (2.0 / std::f64::consts::PI).sqrt();
        y.data.iter_mut().for_each(|x| *x = *x / 2.0 * (1.0 + (slope * (*x + 0.044715 * x.powi(3))).tanh()));
        Some(vec![y])
    }
}

#[derive(Debug)]
struct GeluGrad(Gelu);

impl Operation for GeluGrad {
    fn name(&self) -> &'static str {
        "gelu_grad"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        Ok(types[..1].to_vec())
    }

    fn run(&self, cpu: &Cpu, _call: Call<'_>, views: &mut Views<'_>) {
        let (x, dy) = (views.r(0), views.r(1));
        let [dx, _] = views.writes();
        match self.0.exact {
            true => activation::gelu_exact_grad(cpu, x, dy, dx),
            false => activation::gelu_grad(cpu, x, dy, dx),
        }
    }
}
