//! A value times a number.

use super::inputs;
use crate::{Backward, Call, Error, Operation, Tensor, Type};
use kernels::{Cpu, Views, activation};

/// `factor · x`.
#[derive(Clone, Debug)]
pub struct Scale {
    /// The number.
    pub factor: f32,
}

impl Operation for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [x] = inputs(types, &[])?;
        Ok(vec![x.clone()])
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = b.cotangent(0) else { return Ok(()) };
        let dx = b.apply(self.clone(), &[dy])?[0];
        b.add(0, dx)
    }

    fn run(&self, cpu: &Cpu, _call: Call<'_>, views: &mut Views<'_>) {
        let x = views.r(0);
        let [y, _] = views.writes();
        activation::scale(cpu, x, self.factor, y);
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let mut y = inputs[0].clone();
        y.data.iter_mut().for_each(|x| *x *= f64::from(self.factor));
        Some(vec![y])
    }
}
