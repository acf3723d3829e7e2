//! The same numbers in another shape: several patches as the row that becomes one token.

use super::{inputs, require};
use crate::{Backward, Call, Error, Operation, Tensor, Type};
use kernels::{Cpu, Views, activation};

/// Input `x`; output its numbers, in order, in this shape.
#[derive(Clone, Debug)]
pub struct Reshape {
    /// Of the output; as many numbers as the input has.
    pub shape: Vec<usize>,
}

impl Operation for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [x] = inputs(types, &[])?;
        require(x.len() == self.shape.iter().product(), "the shape must hold as many numbers as x")?;
        Ok(vec![Type::f32(&self.shape)])
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = b.cotangent(0) else { return Ok(()) };
        let shape = b.ty(b.input(0)).shape.clone();
        let dx = b.apply(Reshape { shape }, &[dy])?[0];
        b.add(0, dx)
    }

    fn run(&self, cpu: &Cpu, _call: Call<'_>, views: &mut Views<'_>) {
        let x = views.r(0);
        let [y, _] = views.writes();
        activation::scale(cpu, x, 1.0, y);
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        Some(vec![Tensor { shape: self.shape.clone(), data: inputs[0].data.clone() }])
    }
}
