//! Rows put in place: image tokens into the sequence.

use super::gather_rows::GatherRows;
use super::{inputs, require};
use crate::{Backward, Call, Error, Operation, Tensor, Type};
use kernels::{Cpu, Views, rows};

/// Inputs `base [T, C]`, `x [P, C]`, `ids [P]` (i32): `base` with row `ids[i]` replaced by `x[i]`.
/// Negative ids are skipped; of several with one id the last counts, and only it may have a
/// gradient, so ids must not repeat where gradients flow.
#[derive(Debug)]
pub struct ScatterRows;

impl Operation for ScatterRows {
    fn name(&self) -> &'static str {
        "scatter_rows"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [base, x, ids] = inputs(types, &[2])?;
        require(
            base.columns() == x.columns() && x.rows() == ids.len(),
            "x must have base's columns and a row an id",
        )?;
        Ok(vec![base.clone()])
    }

    fn bounds(&self, call: Call<'_>, i: usize) -> Option<(i64, i64)> {
        (i == 2).then(|| (-1, call.inputs[0].rows() as i64))
    }

    fn gradient(&self, b: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = b.cotangent(0) else { return Ok(()) };
        let (x, ids) = (b.input(1), b.input(2));
        if b.needs(0) {
            let zeros = b.apply(super::Scale { factor: 0.0 }, &[x])?[0];
            let dbase = b.apply(ScatterRows, &[dy, zeros, ids])?[0];
            b.add(0, dbase)?;
        }
        if b.needs(1) {
            let dx = b.apply(GatherRows, &[dy, ids])?[0];
            b.add(1, dx)?;
        }
        Ok(())
    }

    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let (base, x, ids) = (views.r(0), views.r(1), views.ri(2));
        let [y, _] = views.writes();
        rows::scatter_rows(cpu, base, x, ids, y, call.inputs[0].columns());
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let (mut y, x) = (inputs[0].clone(), &inputs[1]);
        let c = x.columns();
        for (row, &id) in x.rows().zip(&inputs[2].data) {
            if id >= 0.0 {
                y.data[id as usize * c..][..c].copy_from_slice(row);
            }
        }
        Some(vec![y])
    }
}
