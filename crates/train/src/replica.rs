//! One rank's copy of the model and what a step does to it: forward and backward over micro-batches
//! in lanes, the sum over them, the update.

use crate::lane::{Fill, Lane};
use crate::reduce::Reduce;
use crate::{Result, TrainConfig};
use data::{Batch, TileBatch};
use engine::update::{Optimiser, Rule};
use engine::{CpuDevice, Data, Device, Executable, Layout, Store};
use model::gpt::TrainGraph;
use model::parametrisation::{self, Parameter};
use model::vision;
use std::sync::{Arc, Mutex, PoisonError};

/// A compiled training step with all that it needs.
pub struct Replica {
    device: CpuDevice,
    lanes: Vec<Mutex<Lane>>,
    /// The weights.
    pub params: Store,
    /// The moments.
    pub optimiser: Optimiser,
    clip: f64,
    table: Vec<Parameter>,
    bytes: usize,
    flops: f64,
    costs: Vec<(&'static str, u64, u64)>,
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

/// A model's parameters, and those of them that are trained.
pub(crate) struct Parameters {
    pub(crate) table: Vec<Parameter>,
    /// Of those that are trained.
    pub(crate) rules: Vec<Rule>,
    /// Of their stores.
    pub(crate) all: Layout,
    /// Of the stores of their gradients.
    pub(crate) trained: Layout,
}

impl Parameters {
    pub(crate) fn of(config: &TrainConfig) -> Result<Parameters> {
        let table = parametrisation::table(&config.model, &config.optimiser.choice());
        let all = Layout::new(table.iter().map(|p| (p.name.as_str(), p.shape.as_slice())))?;
        let rules: Vec<Rule> = table.iter().filter(|p| p.trained()).map(|p| p.rule.clone()).collect();
        let trained = Optimiser::gradients(&all, &rules)?;
        Ok(Parameters { table, rules, all, trained })
    }
}

/// The graph of a micro-batch.
pub fn step_graph(config: &TrainConfig) -> Result<TrainGraph> {
    let sizes = (config.micro_rows, config.seq(), config.micro_rows * config.tiles);
    let trained = Parameters::of(config)?.trained;
    let trained = |name: &str| trained.shape(name).is_some();
    Ok(TrainGraph::partly(&config.model, sizes, config.z_loss, !config.recompute, &trained)?)
}

/// Hands a batch to a graph that predicts tokens: all but the weights, which only training takes.
pub fn upload(executable: &mut dyn Executable, batch: &Batch) -> Result<()> {
    upload_inputs(executable, batch)?;
    Ok(executable.upload("targets", Data::I32(&batch.targets))?)
}

/// Hands over what goes through the model.
pub(crate) fn upload_inputs(executable: &mut dyn Executable, batch: &Batch) -> Result<()> {
    for (name, values) in
        [("tokens", &batch.tokens), ("positions", &batch.positions), ("lo", &batch.lo), ("hi", &batch.hi)]
    {
        executable.upload(name, Data::I32(values))?;
    }
    let TileBatch { pixels, places, lo, hi, rows, .. } = &batch.tiles;
    if batch.tiles.room() > 0 {
        vision::upload(executable, pixels, places, (lo, hi), rows)?;
    }
    Ok(())
}

/// The only user of a lane has it, poisoned or not: a step that panicked is not gone on with.
fn own(lane: &mut Mutex<Lane>) -> &mut Lane {
    lane.get_mut().unwrap_or_else(PoisonError::into_inner)
}

impl Replica {
    /// Compiles a step and allocates all of it, with zero weights; see [`Replica::initialise`].
    pub fn new(config: &TrainConfig, device: &CpuDevice) -> Result<Replica> {
        let Parameters { table, rules, all, trained } = Parameters::of(config)?;
        let (layout, trained) = (Arc::new(all), Arc::new(trained));
        let lanes = Lane::all(config, &step_graph(config)?, &layout, &trained, device)?;
        let optimiser = Optimiser::new(device.cpu(), &layout, &rules, config.optimiser.settings())?;
        let held = |lane: &Lane| trained.bytes() * lane.stores() + lane.executable().memory().total();
        Ok(Replica {
            bytes: layout.bytes() + optimiser.bytes_held() + lanes.iter().map(held).sum::<usize>(),
            flops: lanes.iter().map(|l| l.executable().flops() as f64 * l.count() as f64).sum(),
            costs: lanes[0].executable().costs(),
            lanes: lanes.into_iter().map(Mutex::new).collect(),
            params: device.store(&layout)?,
            optimiser,
            clip: f64::from(config.optimiser.clip),
            device: device.clone(),
            table,
        })
    }

    /// Sets the weights to the initial values of a seed.
    pub fn initialise(&mut self, seed: u64) -> Result<()> {
        Ok(parametrisation::initialise(&self.table, seed, &mut self.params)?)
    }

    /// Bytes held: weights, gradients, moments and arenas.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Every operation of a micro-batch in order: name, floating-point operations, bytes moved.
    pub fn costs(&self) -> &[(&'static str, u64, u64)] {
        &self.costs
    }

    /// Floating-point operations of the rank's part of a step.
    pub fn flops(&self) -> f64 {
        self.flops
    }

    /// Forward and backward over all micro-batches of the rank: `fill` makes the one of a number, from 0.
    pub fn gradient(&mut self, fill: &Fill<'_>) -> Result<()> {
        self.gradient_with(fill, &mut |_| ())
    }

    /// As [`Replica::gradient`], calling `each` with the name of every operation of the first lane after
    /// it, and of every level of the tree above the lanes.
    pub fn gradient_with(&mut self, fill: &Fill<'_>, each: &mut (dyn FnMut(&str) + Send)) -> Result<()> {
        let (lanes, params) = (&self.lanes, &self.params);
        let (each, failed) = (Mutex::new(each), Mutex::new(None));
        self.device.cpu().pool().for_each(lanes.len(), |number| {
            let mut lane = lanes[number].lock().unwrap_or_else(PoisonError::into_inner);
            let first = number * lane.count();
            // The others must not wait for it.
            let each = if number == 0 { each.lock().ok() } else { None };
            let done = match each {
                Some(mut each) => lane.run(params, first, fill, &mut **each),
                None => lane.run(params, first, fill, &mut |_| ()),
            };
            if let (Err(error), Ok(mut failed)) = (done, failed.lock()) {
                failed.get_or_insert(error);
            }
        });
        if let Ok(Some(error)) = failed.into_inner() {
            return Err(error);
        }
        let each = each.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut distance = 1;
        while distance < self.lanes.len() {
            for pair in self.lanes.chunks_mut(2 * distance) {
                let (first, second) = pair.split_at_mut(distance);
                own(&mut first[0]).take(own(&mut second[0]), &self.device)?;
            }
            each("add_lanes");
            distance *= 2;
        }
        Ok(())
    }

    /// Reduces over ranks, clips, and updates the weights with `rate`; `update` counts the updates
    /// made with this one, from 1. `stop` is this rank's wish to stop after it.
    pub fn update(&mut self, reduce: &mut dyn Reduce, rate: f64, update: u64, stop: bool) -> Result<Stepped> {
        let (store, mut numbers) = own(&mut self.lanes[0]).sum()?;
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
        own(&mut self.lanes[0]).give_back(store);
        Ok(Stepped { loss, norm, finite, stop: stop > 0.0 })
    }
}
