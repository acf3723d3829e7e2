//! The seam behind which another device stands.

use crate::{Error, Graph, Layout, Memory, Output, Plan, Store, Value};
use std::sync::Arc;

/// What is uploaded into an input.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// Floats.
    F32(&'a [f32]),
    /// Integers.
    I32(&'a [i32]),
}

/// Something that runs graphs. Whatever stands above the engine knows a device only by this.
pub trait Device: Send + Sync {
    /// Memory for named tensors, zeroed.
    fn store(&self, layout: &Arc<Layout>) -> Result<Store, Error>;

    /// Offsets, costs and memory of a graph, without allocating anything.
    fn plan(&self, graph: &Graph, outputs: &[Output], params: &Layout, state: &Layout)
    -> Result<Plan, Error>;

    /// Plans and allocates: everything that the graph needs in a run is held from now on.
    fn compile(
        &self,
        graph: &Graph,
        outputs: &[Output],
        params: &Arc<Layout>,
        state: &Arc<Layout>,
    ) -> Result<Box<dyn Executable>, Error>;
}

/// A compiled graph: upload, run, download.
pub trait Executable: Send {
    /// What it holds.
    fn memory(&self) -> Memory;

    /// Every operation in order: its name, useful floating-point operations, bytes moved once.
    fn costs(&self) -> Vec<(&'static str, u64, u64)>;

    /// Useful floating-point operations of a run.
    fn flops(&self) -> u64 {
        self.costs().iter().map(|(_, flops, _)| flops).sum()
    }

    /// Fills an input; its length must be the capacity.
    fn upload(&mut self, input: &str, data: Data<'_>) -> Result<(), Error>;

    /// Runs all operations once. Allocates nothing.
    fn run(&mut self, params: &Store, state: &mut Store) -> Result<(), Error>;

    /// Copies a kept output.
    fn download(&self, value: Value, into: &mut [f32]) -> Result<(), Error>;

    /// As [`Executable::run`], calling `each` with the index and name of every operation after it
    /// ran: for profiles.
    fn run_with(
        &mut self,
        params: &Store,
        state: &mut Store,
        each: &mut dyn FnMut(usize, &'static str),
    ) -> Result<(), Error>;
}
