//! Rows written into a cache that outlives the run.

use super::{inputs, require};
use crate::{Call, Operation, Tensor, Type};
use kernels::{Cpu, Views};

/// Inputs `cache [S, C]` (a state, overwritten in place), `x [T, C]`, `slots [T]` (i32; negative:
/// the row is dropped); output the cache.
#[derive(Debug)]
pub struct CacheWrite;

impl Operation for CacheWrite {
    fn name(&self) -> &'static str {
        "cache_write"
    }

    fn infer(&self, types: &[Type]) -> Result<Vec<Type>, String> {
        let [cache, x, slots] = inputs(types, &[2])?;
        require(
            cache.columns() == x.columns() && x.rows() == slots.len(),
            "x must have the cache's columns and a row a slot",
        )?;
        Ok(vec![cache.clone()])
    }

    fn bytes(&self, call: Call<'_>) -> u64 {
        8 * call.inputs[1].len() as u64
    }

    fn bounds(&self, call: Call<'_>, i: usize) -> Option<(i64, i64)> {
        (i == 2).then(|| (-1, call.inputs[0].rows() as i64))
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn run(&self, _cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>) {
        let c = call.inputs[1].columns();
        let (x, slots) = (views.r(0), views.ri(1));
        let [cache, _] = views.writes();
        for (row, &slot) in x.chunks_exact(c).zip(slots) {
            if let Ok(slot) = usize::try_from(slot) {
                cache[slot * c..][..c].copy_from_slice(row);
            }
        }
    }

    fn reference(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        super::ScatterRows.reference(inputs)
    }
}
