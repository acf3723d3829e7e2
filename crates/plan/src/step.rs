//! One training step on made-up tokens: what a run repeats, without its data and records. For the
//! probe, for timing a chosen shape, and for `bench step`.

use crate::{Result, Shape};
use engine::update::{Optimiser, Settings, add_into, sum_squares};
use engine::{CpuDevice, Data, Device, Executable, Layout, Plan, Store};
use model::gpt::TrainGraph;
use model::parametrisation::{self, Choice, Parameter};
use std::sync::Arc;

/// What a step depends on besides shape and batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepOptions {
    /// Coefficient of the z-loss.
    pub z_loss: f32,
    /// Whether activations are kept for the backward pass, or computed again.
    pub remember: bool,
    /// Optimisers and decay.
    pub choice: Choice,
}

impl Default for StepOptions {
    fn default() -> StepOptions {
        StepOptions { z_loss: 0.0, remember: true, choice: Choice::default() }
    }
}

/// Stores of gradients that the tree over `micro_batches` holds at once.
pub fn tree_stores(micro_batches: usize) -> usize {
    micro_batches.max(1).ilog2() as usize + 1
}

/// The table of parameters and the layout of a shape's stores.
pub(crate) fn parameters(shape: &Shape, choice: &Choice) -> Result<(Vec<Parameter>, Layout)> {
    let table = parametrisation::table(&shape.config()?, choice);
    let layout = Layout::new(table.iter().map(|p| (p.name.as_str(), p.shape.as_slice())))?;
    Ok((table, layout))
}

/// The plan of one micro-batch's graph, without allocating anything.
pub fn train_plan(shape: &Shape, rows: usize, options: &StepOptions, threads: usize) -> Result<Plan> {
    let (_, layout) = parameters(shape, &options.choice)?;
    let graph = TrainGraph::new(&shape.config()?, rows, shape.seq, options.z_loss, options.remember)?;
    Ok(engine::plan(&graph.graph, &graph.outputs(), &layout, &layout, threads)?)
}

/// A compiled step with everything that it needs.
pub struct TrainingStep {
    device: CpuDevice,
    executable: Box<dyn Executable>,
    params: Store,
    /// The tree's stores; the first holds the sum.
    grads: Vec<Store>,
    optimiser: Optimiser,
    micro_batches: usize,
    tokens: usize,
    taken: u64,
    plan: Plan,
    matrices: f64,
    loss: engine::Value,
}

impl TrainingStep {
    /// Compiles a step of `micro_batches` (a power of two) of `rows` rows each and allocates all of it.
    pub fn new(
        device: &CpuDevice,
        shape: &Shape,
        rows: usize,
        micro_batches: usize,
        options: &StepOptions,
    ) -> Result<TrainingStep> {
        shape.check()?;
        let (table, layout) = parameters(shape, &options.choice)?;
        let layout = Arc::new(layout);
        let graph = TrainGraph::new(&shape.config()?, rows, shape.seq, options.z_loss, options.remember)?;
        let outputs = graph.outputs();
        let mut executable = device.compile(&graph.graph, &outputs, &layout, &layout)?;
        let mut params = device.store(&layout)?;
        parametrisation::initialise(&table, 1, &mut params)?;
        let grads = (0..tree_stores(micro_batches)).map(|_| device.store(&layout));
        let grads = grads.collect::<std::result::Result<Vec<_>, _>>()?;
        let rules: Vec<_> = table.iter().map(|p| p.rule.clone()).collect();
        let settings = Settings { beta1: 0.9, beta2: 0.95, momentum: 0.95 };
        upload(executable.as_mut(), rows, shape)?;
        Ok(TrainingStep {
            optimiser: Optimiser::new(device.cpu(), &layout, &rules, settings)?,
            device: device.clone(),
            executable,
            params,
            grads,
            micro_batches,
            tokens: micro_batches * rows * shape.seq,
            taken: 0,
            plan: device.plan(&graph.graph, &outputs, &layout, &layout)?,
            matrices: layout.bytes() as f64,
            loss: graph.loss,
        })
    }

    /// Tokens of a step.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The graph's floating-point operations of a step.
    pub fn flops(&self) -> u64 {
        self.plan.flops() * self.micro_batches as u64
    }

    /// One step: forward and backward passes, sum of gradients, clipping and update. Returns the loss a token.
    pub fn run(&mut self) -> Result<f64> {
        self.run_with(&mut |_| ())
    }

    /// As [`TrainingStep::run`], calling `each` after every operation with its name.
    pub fn run_with(&mut self, each: &mut dyn FnMut(&str)) -> Result<f64> {
        let (mut top, mut loss) = (0, 0.0);
        for micro in 1..=self.micro_batches {
            let state = &mut self.grads[top];
            self.executable.run_with(&self.params, state, &mut |_, name| each(name))?;
            let mut part = [0.0];
            self.executable.download(self.loss, &mut part)?;
            loss += f64::from(part[0]);
            for _ in 0..micro.trailing_zeros() {
                let (below, above) = self.grads.split_at_mut(top);
                add_into(self.device.cpu(), &mut below[top - 1], &above[0])?;
                each("add_into");
                top -= 1;
            }
            top += 1;
        }
        let norm = sum_squares(self.device.cpu(), &self.grads[0]).sqrt();
        each("sum_squares");
        self.taken += 1;
        let scale = 1.0 / self.tokens as f32;
        let clip = (1.0 / (norm as f32 * scale)).min(1.0);
        self.optimiser.step(&mut self.params, &self.grads[0], scale * clip, 1e-3, self.taken)?;
        each("update");
        Ok(loss / self.tokens as f64)
    }

    /// Floating-point operations and bytes of the operations in the order in which
    /// [`TrainingStep::run_with`] names them, for one micro-batch.
    pub(crate) fn costs(&self) -> Vec<(f64, f64)> {
        let nodes = self.plan.nodes.iter().map(|n| (n.flops as f64, n.bytes as f64));
        nodes.chain([(0.0, self.matrices), (0.0, 7.0 * self.matrices)]).collect()
    }
}

/// Rows that are one document each, of tokens that follow no pattern.
fn upload(executable: &mut dyn Executable, rows: usize, shape: &Shape) -> Result<()> {
    let count = rows * shape.seq;
    let mut state = 1u64;
    let mut token = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((state >> 33) % shape.vocab as u64) as i32
    };
    let tokens: Vec<i32> = (0..count).map(|_| token()).collect();
    let targets: Vec<i32> = (0..count).map(|_| token()).collect();
    let place = |f: fn(usize, usize) -> usize| -> Vec<i32> { (0..count).map(|i| f(i, shape.seq) as i32).collect() };
    for (name, values) in [
        ("tokens", tokens),
        ("targets", targets),
        ("positions", place(|i, seq| i % seq)),
        ("lo", place(|i, seq| i / seq * seq)),
        ("hi", place(|i, _| i + 1)),
    ] {
        executable.upload(name, Data::I32(&values))?;
    }
    executable.upload("weights", Data::F32(&vec![1.0; count]))?;
    Ok(())
}
