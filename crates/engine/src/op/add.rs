//! Sums: of two values of one shape, and of a row vector onto every row (a bias).

use super::{inputs, require};
use crate::{Backward, Call, Error, Operation, Tensor, Type};
use kernels::{Cpu, Views, activation, norm, rows};

/// `a + b`.
#[derive(Debug)]
pub struct Add;

impl Operation for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [a, b] = inputs(types, &[])?;
        require(a == b, "both must have one shape")?;
        Ok(vec![a.clone()])
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = b.cotangent(0) else { return Ok(()) };
        for i in [0, 1] {
            if b.needs(i) {
                b.add(i, dy)?;
            }
        }
        Ok(())
    }

    fn run(&self, cpu: &Cpu, _call: Call<'_>, views: &mut Views<'_>) {
        let (a, b) = (views.r(0), views.r(1));
        let [y, _] = views.writes();
        activation::add(cpu, a, b, y);
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let mut y = inputs[0].clone();
        y.data.iter_mut().zip(&inputs[1].data).for_each(|(a, b)| *a += b);
        Some(vec![y])
    }
}

/// `x [T, C] + row [C]`.
#[derive(Debug)]
pub struct AddRow;

impl Operation for AddRow {
    fn name(&self) -> &'static str {
        "add_row"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [x, row] = inputs(types, &[])?;
        require(row.shape == [x.columns()], "the row must be as long as x's last axis")?;
        Ok(vec![x.clone()])
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = b.cotangent(0) else { return Ok(()) };
        if b.needs(0) {
            b.add(0, dy)?;
        }
        if b.needs(1) {
            let sum = b.apply(SumRows, &[dy])?[0];
            b.add(1, sum)?;
        }
        Ok(())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (x, row) = (views.r(0), views.r(1));
        let [y, _] = views.writes();
        rows::add_row(cpu, x, row, y, call.inputs[0].columns());
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let (mut y, row) = (inputs[0].clone(), &inputs[1].data);
        for out in y.data.chunks_exact_mut(row.len().max(1)) {
            out.iter_mut().zip(row).for_each(|(y, b)| *y += b);
        }
        Some(vec![y])
    }
}

#[derive(Debug)]
pub(super) struct SumRows;

impl Operation for SumRows {
    fn name(&self) -> &'static str {
        "sum_rows"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        Ok(vec![Type::f32(&[types[0].columns()])])
    }

    fn scratch(&self, call: Call<'_>, _threads: usize) -> usize {
        norm::norm_scratch(call.inputs[0].rows(), call.inputs[0].columns())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let x = views.r(0);
        let [sum, scratch] = views.writes();
        rows::sum_rows(cpu, x, sum, call.inputs[0].columns(), scratch);
    }
}
