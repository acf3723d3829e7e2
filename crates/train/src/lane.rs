//! A lane: some of a step's micro-batches, one after the other, with an arena and threads of their
//! own.
//!
//! Lanes run side by side and meet once a step. Threads that share the loops of every operation
//! would meet hundreds of times, and pass activations from one core's cache to another's.

use crate::reduce::{Numbers, add};
use crate::replica::upload;
use crate::{Error, Result, TrainConfig};
use data::Batch;
use engine::{CpuDevice, Data, Device, Executable, Layout, Store, Value};
use model::gpt::TrainGraph;
use std::sync::Arc;

/// Makes the micro-batch of a number, counted from the rank's first; what a lane was given before is still there.
pub type Fill<'a> = dyn Fn(usize, &mut Batch) -> Result<()> + Sync + 'a;

/// Lanes of a rank with so many threads: a power of two that divides the number of its micro-batches.
pub fn lanes(config: &TrainConfig, threads: usize) -> usize {
    let most = (config.micro_batches() / config.ranks()).max(1).trailing_zeros();
    1 << most.min(threads.max(1).ilog2())
}

/// The odd factor of a lane's number of micro-batches, and the gradient stores that its tree needs.
pub(crate) fn tree(micro_batches: usize) -> (usize, usize) {
    let levels = micro_batches.trailing_zeros() as usize;
    let block = micro_batches >> levels;
    (block, levels + 1 + usize::from(block > 1))
}

/// See the module.
pub(crate) struct Lane {
    device: CpuDevice,
    executable: Box<dyn Executable>,
    loss: Value,
    batch: Batch,
    /// Micro-batches of a step.
    count: usize,
    /// Micro-batches that are summed one after the other at the leaves: the odd factor of `count`.
    block: usize,
    /// Stores of the tree that hold nothing now.
    spare: Vec<Store>,
    /// Sums of finished subtrees, the largest first.
    tree: Vec<(Store, Numbers)>,
}

impl Lane {
    /// The lanes of a rank: one on the device itself, or several that share its threads.
    pub(crate) fn all(
        config: &TrainConfig,
        graph: &TrainGraph,
        params: &Arc<Layout>,
        gradients: &Arc<Layout>,
        device: &CpuDevice,
    ) -> Result<Vec<Lane>> {
        let threads = device.cpu().threads();
        let lanes = lanes(config, threads);
        let count = config.micro_batches() / config.ranks() / lanes;
        let (block, stores) = tree(count);
        let lane = |_| {
            let device = match lanes {
                1 => device.clone(),
                _ => device.with_threads(threads / lanes)?,
            };
            let spare: Result<Vec<Store>, _> = (0..stores).map(|_| device.store(gradients)).collect();
            Ok(Lane {
                executable: device.compile(&graph.graph, &graph.outputs(), params, gradients)?,
                loss: graph.loss,
                batch: Batch::new(),
                count,
                block,
                spare: spare?,
                tree: Vec::with_capacity(stores),
                device,
            })
        };
        (0..lanes).map(lane).collect()
    }

    /// What runs a micro-batch.
    pub(crate) fn executable(&self) -> &dyn Executable {
        self.executable.as_ref()
    }

    /// Gradient stores held.
    pub(crate) fn stores(&self) -> usize {
        self.spare.len()
    }

    /// Micro-batches of a step.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Forward and backward over micro-batches `first` and on, each filled by `fill`, and the sum of
    /// their gradients. `each` hears the name of every operation after it.
    pub(crate) fn run(
        &mut self,
        params: &Store,
        first: usize,
        fill: &Fill<'_>,
        each: &mut dyn FnMut(&str),
    ) -> Result<()> {
        for number in 0..self.count {
            fill(first + number, &mut self.batch)?;
            self.micro_batch(params, each)?;
            let (place, blocks) = (number % self.block, (number + 1) / self.block);
            let ends = if place + 1 == self.block { blocks.trailing_zeros() as usize } else { 0 };
            for _ in 0..usize::from(place > 0) + ends {
                self.merge()?;
                each("add_into");
            }
        }
        Ok(())
    }

    fn micro_batch(&mut self, params: &Store, each: &mut dyn FnMut(&str)) -> Result<()> {
        let (executable, batch) = (self.executable.as_mut(), &self.batch);
        upload(executable, batch)?;
        executable.upload("weights", Data::F32(&batch.weights))?;
        let mut store = self.spare.pop().ok_or(Error::Engine(engine::Error::Layout("gradient")))?;
        executable.run_with(params, &mut store, &mut |_, name| each(name))?;
        let mut loss = [0.0];
        executable.download(self.loss, &mut loss)?;
        let weight = batch.weights.iter().map(|&w| f64::from(w)).sum();
        self.tree.push((store, [f64::from(loss[0]), weight, 0.0]));
        Ok(())
    }

    /// Adds the last subtree to the one before it.
    fn merge(&mut self) -> Result<()> {
        if let (Some(last), Some(into)) = (self.tree.pop(), self.tree.last_mut()) {
            add(&self.device, into, &last)?;
            self.spare.push(last.0);
        }
        Ok(())
    }

    /// Adds the whole sum of another lane to this one's, on the threads of `device`.
    pub(crate) fn take(&mut self, other: &mut Lane, device: &CpuDevice) -> Result<()> {
        if let (Some(into), Some(from)) = (self.tree.last_mut(), other.tree.pop()) {
            add(device, into, &from)?;
            other.spare.push(from.0);
        }
        Ok(())
    }

    /// Hands out the sum; it comes back by [`Lane::give_back`].
    pub(crate) fn sum(&mut self) -> Result<(Store, Numbers)> {
        self.tree.pop().ok_or(Error::Engine(engine::Error::Layout("gradient")))
    }

    /// Takes a store back that was handed out.
    pub(crate) fn give_back(&mut self, store: Store) {
        self.spare.push(store);
    }
}
