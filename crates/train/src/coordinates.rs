//! The coordinate check: how much the first steps change what goes through a model (Yang et al., arXiv:2203.03466,
//! appendix D.1). Where initial values and rates follow the size as they should, a change does not depend on it.

use crate::replica::{Replica, upload_inputs};
use crate::{Error, Result, Solo, TrainConfig};
use data::{Batch, Dataset, Order};
use engine::{CpuDevice, Device, Executable, Layout, Store, Value};
use model::gpt::ActivationGraph;
use model::parametrisation::Rates;
use serde::Serialize;
use std::sync::Arc;

/// What the steps of a check change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Steps taken.
    pub step: u64,
    /// Where: the residual stream in the middle and at the end of the model, its logits; for one that sees the same of the encoder,
    /// and what the decoder gets of it.
    pub place: &'static str,
    /// Root of the mean square of what they changed by since the beginning.
    pub value: f64,
}

/// Compiled, with what it saw at the beginning.
struct Watch {
    executable: Box<dyn Executable>,
    places: Vec<Place>,
    empty: Store,
    out: Vec<f32>,
}

/// Numbers that are looked at.
struct Place {
    name: &'static str,
    value: Value,
    before: Vec<f32>,
    /// Those at the front that something was shown to.
    used: usize,
}

impl Place {
    fn new(name: &'static str, value: Value, all: usize, used: usize) -> Place {
        Place { name, value, before: vec![0.0; all], used }
    }
}

impl Watch {
    fn new(config: &TrainConfig, device: &CpuDevice, params: &Store, batch: &Batch) -> Result<Watch> {
        let (rows, seq, model) = (config.micro_rows, config.seq(), &config.model);
        let graph = ActivationGraph::new(model, rows, seq, rows * config.tiles)?;
        let empty = device.store(&Arc::new(Layout::default()))?;
        let mut executable =
            device.compile(&graph.graph, &graph.outputs(), params.layout(), empty.layout())?;
        upload_inputs(executable.as_mut(), batch)?;
        let mut places = Vec::new();
        let mut add = |name, value, (all, used): (usize, usize), width| {
            places.push(Place::new(name, value, all * width, used * width));
        };
        let middle = |layers: &[Value]| layers[layers.len().div_ceil(2) - 1];
        if let (Some(seen), Some(eyes)) = (&graph.seen, &model.eyes) {
            let (room, used) = (batch.tiles.room(), batch.tiles.used());
            let (each, width) = (eyes.vision.patches(), eyes.vision.hidden_size);
            let (patches, tokens) =
                ((room * each, used * each), (room * eyes.tokens(), used * eyes.tokens()));
            // What is frozen does not change.
            let Rates { encoder, connector, .. } = config.optimiser.rates;
            if let Some(last) = seen.layers.last().filter(|_| encoder > 0.0) {
                add("encoder in the middle", middle(&seen.layers), patches, width);
                add("encoder at the end", *last, patches, width);
            }
            if connector > 0.0 || (encoder > 0.0 && !seen.layers.is_empty()) {
                add("what is seen", seen.rows, tokens, model.hidden_size);
            }
        }
        let tokens = (rows * seq, rows * seq);
        if let Some(last) = graph.layers.last() {
            add("stream in the middle", middle(&graph.layers), tokens, model.hidden_size);
            add("stream at the end", *last, tokens, model.hidden_size);
        }
        add("logits", graph.logits, tokens, model.vocab_size);
        let mut watch = Watch { executable, places, empty, out: Vec::new() };
        watch.executable.run(params, &mut watch.empty)?;
        for Place { value, before, .. } in &mut watch.places {
            watch.executable.download(*value, before)?;
        }
        Ok(watch)
    }

    fn look(&mut self, params: &Store, step: u64) -> Result<Vec<Change>> {
        self.executable.run(params, &mut self.empty)?;
        let mut changes = Vec::new();
        for Place { name, value, before, used } in &self.places {
            self.out.resize(before.len(), 0.0);
            self.executable.download(*value, &mut self.out)?;
            let squares = self.out.iter().zip(before).take(*used).map(|(a, b)| f64::from(a - b).powi(2));
            changes.push(Change { step, place: name, value: (squares.sum::<f64>() / *used as f64).sqrt() });
        }
        Ok(changes)
    }
}

/// Takes as many steps as the configuration has, at its schedule's rates, and looks after each at one batch that is
/// trained on later than they are; for a model that sees, at one that shows something.
pub fn coordinates(config: &TrainConfig, dataset: &Dataset, device: &CpuDevice) -> Result<Vec<Change>> {
    let look = config.look(dataset)?;
    let order = Order::seeing(dataset.train().clone(), config.seed, config.seq(), look)?;
    let mut replica = Replica::new(config, device)?;
    replica.initialise(config.seed)?;
    let mut watch = Watch::new(config, device, &replica.params, &watched(config, &order)?)?;
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

/// The first batch behind the steps'.
fn watched(config: &TrainConfig, order: &Order) -> Result<Batch> {
    let (mut batch, first) = (Batch::new(), config.steps * config.micro_batches() as u64);
    for number in first..=first + order.epoch_rows() {
        order.batch(number, config.micro_rows, &mut batch)?;
        if config.tiles == 0 || batch.tiles.used() > 0 {
            return Ok(batch);
        }
    }
    Err(Error::setting("tiles", config.tiles, "no row of the data shows a picture"))
}
