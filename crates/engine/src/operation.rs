//! What an operation is: a shape rule, a cost, a gradient, a slow reference and a kernel call.

use crate::{Backward, Error, Tensor, Type};
use kernels::{Cpu, Views};

/// The types of one application of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Types of the inputs, in order.
    pub inputs: &'a [Type],
    /// Types of the outputs, in order.
    pub outputs: &'a [Type],
}

/// A typed operation. Each lives in one file of [`crate::op`] together with its gradient.
pub trait Operation: std::fmt::Debug + Send + Sync {
    /// Short name for errors and profiles.
    fn name(&self) -> &'static str;

    /// The shape rule: output types, or why these inputs do not fit.
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, String>;

    /// Useful floating-point operations (a multiply-add counts two). Only matrix products and
    /// attention count, as the field does; what a kernel recomputes is not counted.
    fn flops(&self, _call: Call<'_>) -> u64 {
        0
    }

    /// Bytes read and written once, for the roofline.
    fn bytes(&self, call: Call<'_>) -> u64 {
        let sum = |types: &[Type]| types.iter().filter_map(Type::bytes).sum::<usize>();
        (sum(call.inputs) + sum(call.outputs)) as u64
    }

    /// Words of scratch memory that the kernel wants with this many threads.
    fn scratch(&self, _call: Call<'_>, _threads: usize) -> usize {
        0
    }

    /// The input that output 0 overwrites. It must be a state of the graph.
    fn in_place(&self) -> Option<usize> {
        None
    }

    /// The range `low..high` that the integers of input `i` must lie in.
    fn bounds(&self, _call: Call<'_>, _i: usize) -> Option<(i64, i64)> {
        None
    }

    /// Adds the gradient as further operations: see [`Backward`].
    fn gradient(&self, _backward: &mut Backward<'_>) -> Result<(), Error> {
        Err(Error::NoGradient(self.name()))
    }

    /// Runs the kernel. Reads stand in the order of the inputs (without the one overwritten in
    /// place), writes in the order of the outputs, the scratch last.
    fn run(&self, cpu: &Cpu, call: Call<'_>, views: &mut Views<'_>);

    /// The definition, in f64, as slow and plain as possible. `None` for gradient operations:
    /// those are held against finite differences of the forward definition.
    fn reference(&self, _inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        None
    }
}
