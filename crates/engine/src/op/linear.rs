//! Linear maps: `y = x · weightᵀ (+ residual)` with `x [T, K]`, `weight [N, K]`, `y [T, N]`.
//!
//! The residual is added by the product's own last pass, and so are the sums of gradients.

use super::{inputs, require};
use crate::{Backward, Call, Error, Operation, Tensor, Type};
use kernels::gemm::{Init, View, gemm, gemm_scratch};
use kernels::{Cpu, Views};

/// `x · weightᵀ`, plus a third input if there is one.
#[derive(Debug)]
pub struct Linear;

fn product_flops(call: Call<'_>) -> u64 {
    let (x, y) = (&call.inputs[0], &call.outputs[0]);
    2 * x.rows() as u64 * x.columns() as u64 * y.columns() as u64
}

impl Operation for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [x, w] = inputs(&types[..types.len().min(2)], &[])?;
        require(w.shape.len() == 2 && x.columns() == w.shape[1], "x's columns must be the weight's")?;
        let mut shape = x.shape.clone();
        *shape.last_mut().ok_or("x must have an axis")? = w.shape[0];
        let y = Type::f32(&shape);
        require(
            types.len() <= 3 && types.get(2).is_none_or(|r| *r == y),
            "the residual must have the result's shape",
        )?;
        Ok(vec![y])
    }

    fn flops(&self, call: Call<'_>) -> u64 {
        product_flops(call)
    }

    fn scratch(&self, call: Call<'_>, threads: usize) -> usize {
        let (x, n) = (&call.inputs[0], call.outputs[0].columns());
        gemm_scratch(threads, x.rows(), n, x.columns())
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = b.cotangent(0) else { return Ok(()) };
        let (x, w) = (b.input(0), b.input(1));
        if b.needs(0) {
            let sum = b.take(0);
            let dx = b.apply(LinearDx, &[&[dy, w][..], sum.as_slice()].concat())?[0];
            b.set(0, dx);
        }
        if b.needs(1) {
            let dw = b.apply(LinearDw, &[dy, x])?[0];
            b.add(1, dw)?;
        }
        if b.inputs() == 3 && b.needs(2) {
            b.add(2, dy)?;
        }
        Ok(())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (m, k, n) = (call.inputs[0].rows(), call.inputs[0].columns(), call.outputs[0].columns());
        let (x, w) = (views.r(0), views.r(1));
        let init = if call.inputs.len() == 3 { Init::Add(views.r(2)) } else { Init::Zero };
        let [y, scratch] = views.writes();
        let (a, b) = (View { data: x, row: k, col: 1 }, View { data: w, row: 1, col: k });
        gemm(cpu, m, n, k, a, b, y, init, scratch);
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let (x, w) = (&inputs[0], &inputs[1]);
        let mut shape = x.shape.clone();
        *shape.last_mut()? = w.shape[0];
        let mut y = Tensor::zeros(&shape);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let products = x.rows().flat_map(|row| w.rows().map(move |column| dot(row, column)));
        y.data.iter_mut().zip(products).for_each(|(y, p)| *y = p);
        if let Some(residual) = inputs.get(2) {
            y.data.iter_mut().zip(&residual.data).for_each(|(y, r)| *y += r);
        }
        Some(vec![y])
    }
}

/// `dx = dy [T, N] · weight [N, K] (+ sum)`.
#[derive(Debug)]
pub(super) struct LinearDx;

impl Operation for LinearDx {
    fn name(&self) -> &'static str {
        "linear_dx"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let mut shape = types[0].shape.clone();
        *shape.last_mut().ok_or("dy must have an axis")? = types[1].columns();
        Ok(vec![Type::f32(&shape)])
    }

    fn flops(&self, call: Call<'_>) -> u64 {
        product_flops(call)
    }

    fn scratch(&self, call: Call<'_>, threads: usize) -> usize {
        let (dy, k) = (&call.inputs[0], call.outputs[0].columns());
        gemm_scratch(threads, dy.rows(), k, dy.columns())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (m, n, k) = (call.inputs[0].rows(), call.inputs[0].columns(), call.outputs[0].columns());
        let (dy, w) = (views.r(0), views.r(1));
        let init = if call.inputs.len() == 3 { Init::Add(views.r(2)) } else { Init::Zero };
        let [dx, scratch] = views.writes();
        let (a, b) = (View { data: dy, row: n, col: 1 }, View { data: w, row: k, col: 1 });
        gemm(cpu, m, k, n, a, b, dx, init, scratch);
    }
}

/// `dw = dyᵀ [N, T] · x [T, K]`.
#[derive(Debug)]
pub(super) struct LinearDw;

impl Operation for LinearDw {
    fn name(&self) -> &'static str {
        "linear_dw"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        Ok(vec![Type::f32(&[types[0].columns(), types[1].columns()])])
    }

    fn flops(&self, call: Call<'_>) -> u64 {
        2 * call.inputs[0].rows() as u64 * call.outputs[0].len() as u64
    }

    fn scratch(&self, call: Call<'_>, threads: usize) -> usize {
        gemm_scratch(threads, call.inputs[0].columns(), call.inputs[1].columns(), call.inputs[0].rows())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (t, n, k) = (call.inputs[0].rows(), call.inputs[0].columns(), call.inputs[1].columns());
        let (dy, x) = (views.r(0), views.r(1));
        let [dw, scratch] = views.writes();
        let (a, b) = (View { data: dy, row: 1, col: n }, View { data: x, row: k, col: 1 });
        gemm(cpu, n, k, t, a, b, dw, Init::Zero, scratch);
    }
}
