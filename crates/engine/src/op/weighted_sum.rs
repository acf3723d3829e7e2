//! A number out of a vector: `Σ weight · x`, the loss of a batch.

use super::{inputs, require};
use crate::{Call, Operation, Tensor, Type};
use kernels::{Cpu, Views, loss};

/// Inputs `x [T]`, `weight [T]`; output `[1]`, summed in f64 and rounded once. For reading only:
/// gradients start from per-token cotangents, so it has none.
#[derive(Debug)]
pub struct WeightedSum;

impl Operation for WeightedSum {
    fn name(&self) -> &'static str {
        "weighted_sum"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [x, weight] = inputs(types, &[])?;
        require(x == weight, "a weight an element")?;
        Ok(vec![Type::f32(&[1])])
    }

    fn scratch(&self, call: Call<'_>, _threads: usize) -> usize {
        loss::sum_scratch(call.inputs[0].len())
    }

    fn run(&self, cpu: &Cpu, _call: Call<'_>, views: &mut Views<'_>) {
        let (x, weight) = (views.r(0), views.r(1));
        let [sum, scratch] = views.writes();
        sum[0] = loss::weighted_sum(cpu, x, weight, scratch) as f32;
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let sum = inputs[0].data.iter().zip(&inputs[1].data).map(|(x, w)| x * w).sum();
        Some(vec![Tensor { shape: vec![1], data: vec![sum] }])
    }
}
