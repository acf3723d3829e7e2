//! Image patches into the width of an encoder: a linear map of each patch's pixels, a bias, and the
//! embedding of the patch's place. The pixels come as rows, patches of all images in one budget.

use super::add::SumRows;
use super::gather_rows::ScatterAddRows;
use super::linear::{LinearDw, LinearDx};
use super::{AddRow, GatherRows, Linear, inputs, require};
use crate::{Backward, Call, Error, Operation, Tensor, Type};
use kernels::gemm::{Init, View, gemm, gemm_scratch};
use kernels::{Cpu, Views, rows};

/// Inputs `pixels [P, K]`, `weight [C, K]`, `bias [C]`, `places [G, C]`, `ids [P]` (i32; negative:
/// no embedding); output `pixels · weightᵀ + bias + places[ids]`, `[P, C]`.
#[derive(Debug)]
pub struct PatchEmbedding;

impl Operation for PatchEmbedding {
    fn name(&self) -> &'static str {
        "patch_embedding"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [pixels, weight, bias, places, ids] = inputs(types, &[4])?;
        let c = bias.len();
        require(weight.shape == [c, pixels.columns()], "the weight must be [width, pixels of a patch]")?;
        require(
            places.columns() == c && ids.len() == pixels.rows(),
            "places must be [grid, width], one id a patch",
        )?;
        Ok(vec![Type::f32(&[pixels.rows(), c])])
    }

    fn flops(&self, call: Call<'_>) -> u64 {
        2 * call.inputs[0].len() as u64 * call.outputs[0].columns() as u64
    }

    fn bounds(&self, call: Call<'_>, i: usize) -> Option<(i64, i64)> {
        (i == 4).then(|| (-1, call.inputs[3].rows() as i64))
    }

    fn scratch(&self, call: Call<'_>, threads: usize) -> usize {
        let (x, c) = (&call.inputs[0], call.outputs[0].columns());
        gemm_scratch(threads, x.rows(), c, x.columns()) + call.outputs[0].len()
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = b.cotangent(0) else { return Ok(()) };
        let (pixels, weight, ids) = (b.input(0), b.input(1), b.input(4));
        if b.needs(0) {
            let dpixels = b.apply(LinearDx, &[dy, weight])?[0];
            b.add(0, dpixels)?;
        }
        if b.needs(1) {
            let dweight = b.apply(LinearDw, &[dy, pixels])?[0];
            b.add(1, dweight)?;
        }
        if b.needs(2) {
            let dbias = b.apply(SumRows, &[dy])?[0];
            b.add(2, dbias)?;
        }
        if b.needs(3) {
            let rows = b.ty(b.input(3)).rows();
            let dplaces = b.apply(ScatterAddRows { rows }, &[dy, ids])?[0];
            b.add(3, dplaces)?;
        }
        Ok(())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (pixels, weight, bias, places, ids) =
            (views.r(0), views.r(1), views.r(2), views.r(3), views.ri(4));
        let (m, k, n) = (call.inputs[0].rows(), call.inputs[0].columns(), bias.len());
        let [y, scratch] = views.writes();
        let (sum, scratch) = scratch.split_at_mut(m * n);
        rows::gather_rows(cpu, places, ids, y, n);
        rows::add_row(cpu, y, bias, sum, n);
        let (a, b) = (View { data: pixels, row: k, col: 1 }, View { data: weight, row: 1, col: k });
        gemm(cpu, m, n, k, a, b, y, Init::Add(sum), scratch);
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let places = GatherRows.reference(&[inputs[3].clone(), inputs[4].clone()])?.remove(0);
        let biased = AddRow.reference(&[places, inputs[2].clone()])?.remove(0);
        Linear.reference(&[inputs[0].clone(), inputs[1].clone(), biased])
    }
}
