//! One rank's copy of the model and what a step does to it: forward and backward over micro-batches,
//! the tree of sums, the update.

use crate::reduce::{Numbers, Reduce};
use crate::{Error, Result, TrainConfig};
use data::Batch;
use engine::update::{Optimiser, add_into};
use engine::{CpuDevice, Data, Device, Executable, Layout, Store, Value};
use model::gpt::TrainGraph;
use model::parametrisation::{self, Parameter};
use std::sync::Arc;

/// A compiled training step with all that it needs.
pub struct Replica {
    device: CpuDevice,
    executable: Box<dyn Executable>,
    loss: Value,
    /// The weights.
    pub params: Store,
    /// The moments.
    pub optimiser: Optimiser,
    /// Stores of the tree that hold nothing now.
    spare: Vec<Store>,
    /// Sums of finished subtrees, the largest first.
    tree: Vec<(Store, Numbers)>,
    /// Micro-batches that are summed one after the other at the leaves: the odd factor of their number.
    block: usize,
    clip: f64,
    table: Vec<Parameter>,
}

/// What a step did.
#[derive(Clone, Copy, Debug)]
pub struct Stepped {
    /// Weighted mean of the losses, in nats a token.
    pub loss: f64,
    /// Length of the mean gradient, before clipping.
    pub norm: f64,
    /// Whether all numbers were finite; if not, nothing was updated.
    pub finite: bool,
    /// Whether some rank asked to stop.
    pub stop: bool,
}

/// The odd factor of a rank's number of micro-batches, and the gradient stores that its tree needs.
pub(crate) fn tree(micro_batches: usize) -> (usize, usize) {
    let levels = micro_batches.trailing_zeros() as usize;
    let block = micro_batches >> levels;
    (block, levels + 1 + usize::from(block > 1))
}

/// The table of parameters and the layout of its stores.
pub(crate) fn parameters(config: &TrainConfig) -> Result<(Vec<Parameter>, Layout)> {
    let table = parametrisation::table(&config.model, &config.optimiser.choice());
    let layout = Layout::new(table.iter().map(|p| (p.name.as_str(), p.shape.as_slice())))?;
    Ok((table, layout))
}

/// The graph of a micro-batch.
pub(crate) fn graph(config: &TrainConfig) -> Result<TrainGraph> {
    Ok(TrainGraph::new(&config.model, config.micro_rows, config.seq(), config.z_loss, !config.recompute)?)
}

/// Hands a batch to a graph that predicts tokens: all but the weights, which only training takes.
pub fn upload(executable: &mut dyn Executable, batch: &Batch) -> Result<()> {
    for (name, values) in [
        ("tokens", &batch.tokens),
        ("positions", &batch.positions),
        ("lo", &batch.lo),
        ("hi", &batch.hi),
        ("targets", &batch.targets),
    ] {
        executable.upload(name, Data::I32(values))?;
    }
    Ok(())
}

impl Replica {
    /// Compiles a step and allocates all of it, with zero weights; see [`Replica::initialise`].
    pub fn new(config: &TrainConfig, device: &CpuDevice) -> Result<Replica> {
        let (table, layout) = parameters(config)?;
        let layout = Arc::new(layout);
        let graph = graph(config)?;
        let rules: Vec<_> = table.iter().map(|p| p.rule.clone()).collect();
        let (block, stores) = tree(config.micro_batches() / config.ranks());
        let spare: Result<Vec<Store>, _> = (0..stores).map(|_| device.store(&layout)).collect();
        Ok(Replica {
            executable: device.compile(&graph.graph, &graph.outputs(), &layout, &layout)?,
            loss: graph.loss,
            params: device.store(&layout)?,
            optimiser: Optimiser::new(device.cpu(), &layout, &rules, config.optimiser.settings())?,
            spare: spare?,
            tree: Vec::with_capacity(stores),
            block,
            clip: f64::from(config.optimiser.clip),
            device: device.clone(),
            table,
        })
    }

    /// Sets the weights to the initial values of a seed.
    pub fn initialise(&mut self, seed: u64) -> Result<()> {
        Ok(parametrisation::initialise(&self.table, seed, &mut self.params)?)
    }

    /// Bytes held: weights, gradients, moments and the arena.
    pub fn bytes(&self) -> usize {
        let store = self.params.layout().bytes();
        let moments = self.optimiser.bytes_held();
        store * (1 + self.spare.len() + self.tree.len()) + moments + self.executable.memory().total()
    }

    /// Every operation of a micro-batch in order: name, floating-point operations, bytes moved.
    pub fn costs(&self) -> Vec<(&'static str, u64, u64)> {
        self.executable.costs()
    }

    /// Floating-point operations of a micro-batch.
    pub fn flops(&self) -> u64 {
        self.executable.flops()
    }

    /// Forward and backward over the rank's `number`-th micro-batch (from 0) of a step; its gradient goes
    /// into the tree.
    pub fn micro_batch(&mut self, number: usize, batch: &Batch) -> Result<()> {
        self.micro_batch_with(number, batch, &mut |_| ())
    }

    /// As [`Replica::micro_batch`], calling `each` with the name of every operation after it.
    pub fn micro_batch_with(
        &mut self,
        number: usize,
        batch: &Batch,
        each: &mut dyn FnMut(&str),
    ) -> Result<()> {
        upload(self.executable.as_mut(), batch)?;
        self.executable.upload("weights", Data::F32(&batch.weights))?;
        let mut store = self.spare.pop().ok_or(Error::Engine(engine::Error::Layout("gradient")))?;
        self.executable.run_with(&self.params, &mut store, &mut |_, name| each(name))?;
        let mut loss = [0.0];
        self.executable.download(self.loss, &mut loss)?;
        let weight = batch.weights.iter().map(|&w| f64::from(w)).sum();
        self.tree.push((store, [f64::from(loss[0]), weight, 0.0]));
        let place = number % self.block;
        let blocks = (number + 1) / self.block;
        let ends = if place + 1 == self.block { blocks.trailing_zeros() as usize } else { 0 };
        for _ in 0..usize::from(place > 0) + ends {
            self.merge()?;
            each("add_into");
        }
        Ok(())
    }

    /// Adds the last subtree to the one before it.
    fn merge(&mut self) -> Result<()> {
        if let (Some((store, numbers)), Some(into)) = (self.tree.pop(), self.tree.last_mut()) {
            add_into(self.device.cpu(), &mut into.0, &store)?;
            into.1.iter_mut().zip(numbers).for_each(|(a, b)| *a += b);
            self.spare.push(store);
        }
        Ok(())
    }

    /// Reduces over ranks, clips, and updates the weights with `rate`; `update` counts the updates
    /// made with this one, from 1. `stop` is this rank's wish to stop after it.
    pub fn update(&mut self, reduce: &mut dyn Reduce, rate: f64, update: u64, stop: bool) -> Result<Stepped> {
        let (store, mut numbers) = self.tree.pop().ok_or(Error::Engine(engine::Error::Layout("gradient")))?;
        numbers[2] = f64::from(u8::from(stop));
        let (store, [loss, weight, stop]) = reduce.sum(store, numbers)?;
        // A step whose tokens all weigh nothing has zero gradients.
        let scale = if weight > 0.0 { 1.0 / weight } else { 0.0 };
        let norm = self.optimiser.sum_squares(&store).sqrt() * scale;
        let loss = loss * scale;
        let finite = loss.is_finite() && norm.is_finite();
        if finite {
            let clip = if self.clip > 0.0 && norm > self.clip { self.clip / norm } else { 1.0 };
            let (scale, rate) = ((scale * clip) as f32, rate as f32);
            self.optimiser.step(&mut self.params, &store, scale, rate, update)?;
        }
        self.spare.push(store);
        Ok(Stepped { loss, norm, finite, stop: stop > 0.0 })
    }
}
