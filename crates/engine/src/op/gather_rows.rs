//! Rows by index: token embedding, position embedding, picking the rows whose logits are asked.

use super::{inputs, require};
use crate::{Backward, Call, Error, Operation, Tensor, Type};
use kernels::{Cpu, Views, rows};

/// Inputs `table [V, C]`, `ids [T]` (i32; negative gives zeros); output `[T, C]`.
#[derive(Debug)]
pub struct GatherRows;

impl Operation for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [table, ids] = inputs(types, &[1])?;
        require(table.shape.len() == 2, "the table must be a matrix")?;
        Ok(vec![Type::f32(&[ids.len(), table.columns()])])
    }

    fn bytes(&self, call: Call<'_>) -> u64 {
        8 * call.outputs[0].len() as u64
    }

    fn bounds(&self, call: Call<'_>, i: usize) -> Option<(i64, i64)> {
        (i == 1).then(|| (-1, call.inputs[0].rows() as i64))
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = b.cotangent(0) else { return Ok(()) };
        let rows = b.ty(b.input(0)).rows();
        let table = b.apply(ScatterAddRows { rows }, &[dy, b.input(1)])?[0];
        b.add(0, table)
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (table, ids) = (views.r(0), views.ri(1));
        let [y, _] = views.writes();
        rows::gather_rows(cpu, table, ids, y, call.inputs[0].columns());
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let (table, ids) = (&inputs[0], &inputs[1]);
        let c = table.columns();
        let mut y = Tensor::zeros(&[ids.data.len(), c]);
        for (out, &id) in y.data.chunks_exact_mut(c).zip(&ids.data) {
            if id >= 0.0 {
                out.copy_from_slice(&table.data[id as usize * c..][..c]);
            }
        }
        Some(vec![y])
    }
}

/// Rows of `dy [T, C]` summed into a zeroed table of `rows` rows at `ids [T]`, in order of T.
#[derive(Debug)]
pub(super) struct ScatterAddRows {
    pub(super) rows: usize,
}

impl Operation for ScatterAddRows {
    fn name(&self) -> &'static str {
        "scatter_add_rows"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        Ok(vec![Type::f32(&[self.rows, types[0].columns()])])
    }

    fn bounds(&self, _call: Call<'_>, i: usize) -> Option<(i64, i64)> {
        (i == 1).then_some((-1, self.rows as i64))
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (dy, ids) = (views.r(0), views.ri(1));
        let [table, _] = views.writes();
        rows::scatter_add_rows(cpu, dy, ids, table, call.inputs[0].columns());
    }
}
