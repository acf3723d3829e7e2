//! The coordinate check: how much the first steps change what goes through a model (Yang et al., arXiv:2203.03466,
//! appendix D.1). Where initial values and rates follow the size as they should, a change does not depend on it.

use crate::replica::Replica;
use crate::{Result, Solo, TrainConfig};
use data::{Batch, Dataset, Order};
use engine::{CpuDevice, Device, Executable, Layout, Store, Value};
use model::gpt::ActivationGraph;
use serde::Serialize;
use std::sync::Arc;

/// What the steps of a check change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Steps taken.
    pub step: u64,
    /// Where: the residual stream in the middle and at the end of the model, or its logits.
    pub place: &'static str,
    /// Root of the mean square of what they changed by since the beginning.
    pub value: f64,
}

/// Compiled, with what it saw at the beginning.
struct Watch {
    executable: Box<dyn Executable>,
    places: Vec<(&'static str, Value, Vec<f32>)>,
    empty: Store,
    out: Vec<f32>,
}

impl Watch {
    fn new(config: &TrainConfig, device: &CpuDevice, params: &Store, batch: &Batch) -> Result<Watch> {
        let (rows, seq) = (config.micro_rows, config.seq());
        let graph = ActivationGraph::new(&config.model, rows, seq)?;
        let empty = device.store(&Arc::new(Layout::default()))?;
        let mut executable =
            device.compile(&graph.graph, &graph.outputs(), params.layout(), empty.layout())?;
        for (name, values) in
            [("tokens", &batch.tokens), ("positions", &batch.positions), ("lo", &batch.lo), ("hi", &batch.hi)]
        {
            executable.upload(name, engine::Data::I32(values))?;
        }
        let (layers, stream) = (graph.layers.len(), rows * seq * config.model.hidden_size);
        let places = [
            ("stream in the middle", graph.layers[layers.div_ceil(2) - 1], stream),
            ("stream at the end", graph.layers[layers - 1], stream),
            ("logits", graph.logits, rows * seq * config.model.vocab_size),
        ];
        let places = places.map(|(name, value, len)| (name, value, vec![0.0; len])).into();
        let mut watch = Watch { executable, places, empty, out: Vec::new() };
        watch.executable.run(params, &mut watch.empty)?;
        for (_, value, before) in &mut watch.places {
            watch.executable.download(*value, before)?;
        }
        Ok(watch)
    }

    fn look(&mut self, params: &Store, step: u64) -> Result<Vec<Change>> {
        self.executable.run(params, &mut self.empty)?;
        let mut changes = Vec::new();
        for (place, value, before) in &self.places {
            self.out.resize(before.len(), 0.0);
            self.executable.download(*value, &mut self.out)?;
            let squares = self.out.iter().zip(before).map(|(a, b)| f64::from(a - b).powi(2));
            let value = (squares.sum::<f64>() / before.len() as f64).sqrt();
            changes.push(Change { step, place, value });
        }
        Ok(changes)
    }
}

/// Takes as many steps as the configuration has, at its schedule's rates, and looks after each at one batch that is
/// trained on later than they are.
pub fn coordinates(config: &TrainConfig, dataset: &Dataset, device: &CpuDevice) -> Result<Vec<Change>> {
    let order = Order::new(dataset.train().clone(), config.seed, config.seq())?;
    let mut replica = Replica::new(config, device)?;
    replica.initialise(config.seed)?;
    let mut batch = Batch::new();
    order.batch(config.steps * config.micro_batches() as u64, config.micro_rows, &mut batch)?;
    let mut watch = Watch::new(config, device, &replica.params, &batch)?;
    let mut changes = Vec::new();
    for step in 1..=config.steps {
        replica.gradient(&|micro, batch| {
            let first = (step - 1) * config.micro_batches() as u64 + micro as u64;
            Ok(order.batch(first, config.micro_rows, batch)?)
        })?;
        replica.update(&mut Solo, config.schedule.rate(step, config.steps), step, false)?;
        changes.extend(watch.look(&replica.params, step)?);
    }
    Ok(changes)
}
