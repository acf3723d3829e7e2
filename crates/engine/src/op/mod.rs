//! The operations: a file each, with shape rule, cost, gradient, kernel and slow reference.

mod activation;
mod add;
mod attention;
mod cache_write;
mod cross_entropy;
mod gather_rows;
mod head_norm_rope;
mod layer_norm;
mod linear;
mod patch_embedding;
mod reshape;
mod rms_norm;
mod scale;
mod scatter_rows;
mod weighted_sum;

pub use activation::{Gelu, SwiGlu};
pub use add::{Add, AddRow};
pub use attention::{Attention, Mask};
pub use cache_write::CacheWrite;
pub use cross_entropy::LinearCrossEntropy;
pub use gather_rows::GatherRows;
pub use head_norm_rope::HeadNormRope;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use patch_embedding::PatchEmbedding;
pub use reshape::Reshape;
pub use rms_norm::RmsNorm;
pub use scale::Scale;
pub use scatter_rows::ScatterRows;
pub use weighted_sum::WeightedSum;

use crate::{DType, Type};

/// Shape rules are chains of conditions, each with the sentence that is shown when it fails.
pub(crate) fn require(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_string()) }
}

/// The inputs as an array, all float but those whose place is in `integers`.
pub(crate) fn inputs<'a, const N: usize>(
    types: &'a [Type],
    integers: &[usize],
) -> Result<[&'a Type; N], String> {
    let array: [&Type; N] = types
        .iter()
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| format!("it takes {N} inputs, not {}", types.len()))?;
    for (i, ty) in array.iter().enumerate() {
        let expected = if integers.contains(&i) { DType::I32 } else { DType::F32 };
        require(ty.dtype == expected, &format!("input {i} must be {expected:?}"))?;
    }
    Ok(array)
}
