//! What a run holds, from its graph, before anything is allocated.

use crate::lane::{lanes, tree};
use crate::replica::{Parameters, step_graph};
use crate::{Result, TrainConfig};
use engine::update::Optimiser;
use model::gpt::{DecodeGraph, ScoreGraph};
use serde::{Deserialize, Serialize};

/// Bytes of a run, all ranks together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Weights.
    pub parameters: usize,
    /// Gradients of what is trained: as many stores as the trees of micro-batches hold at once.
    pub gradients: usize,
    /// Moments and the optimiser's scratch.
    pub optimiser: usize,
    /// Inputs, activations and scratch of the micro-batches that run side by side.
    pub activations: usize,
    /// The arena of the evaluation.
    pub evaluation: usize,
    /// Cache and arena of the texts drawn at evaluations, one token of one text at a time.
    pub texts: usize,
    /// The arena in which further sets are scored at the end.
    pub scoring: usize,
    /// Weights of another model that it begins with, kept beside its own.
    pub initial: usize,
}

/// Floating-point operations of a step, all ranks together: those of the operations that run, which the
/// planner may have fewer of than the graph.
pub fn step_flops(config: &TrainConfig) -> Result<f64> {
    let Parameters { all, trained, .. } = Parameters::of(config)?;
    let graph = step_graph(config)?;
    let plan = engine::plan(&graph.graph, &graph.outputs(), &all, &trained, 1)?;
    Ok(plan.flops() as f64 * config.micro_batches() as f64)
}

impl Memory {
    /// Of a configuration on `threads` threads.
    pub fn of(config: &TrainConfig, threads: usize) -> Result<Memory> {
        let ranks = config.ranks();
        let each = (threads / ranks).max(1);
        let Parameters { rules, all: layout, trained, .. } = Parameters::of(config)?;
        let graph = step_graph(config)?;
        let lanes = lanes(config, each);
        let plan = engine::plan(&graph.graph, &graph.outputs(), &layout, &trained, each / lanes)?;
        let (rows, seq) = (config.micro_rows, config.seq());
        let score = ScoreGraph::seeing(&config.model, rows, seq, rows * config.tiles)?;
        let state = engine::Layout::default();
        let evaluation = engine::plan(&score.graph, &score.outputs(), &layout, &state, each)?;
        let texts = match config.samples.none() {
            true => 0,
            false => {
                let decode = DecodeGraph::new(&config.model, 1, 1, config.seq(), config.seq())?;
                let cache = decode.cache()?;
                let plan = engine::plan(&decode.graph, &decode.outputs(), &layout, &cache, each)?;
                cache.bytes() + plan.memory.total()
            }
        };
        let (_, stores) = tree(config.micro_batches() / ranks / lanes);
        Ok(Memory {
            parameters: ranks * layout.bytes(),
            gradients: ranks * lanes * stores * trained.bytes(),
            optimiser: ranks * Optimiser::bytes(&layout, &rules, each)?,
            activations: ranks * lanes * plan.memory.total(),
            evaluation: evaluation.memory.total(),
            texts,
            scoring: if config.evaluation.sets.is_empty() { 0 } else { evaluation.memory.total() },
            initial: if config.origin.init_from.is_empty() { 0 } else { layout.bytes() },
        })
    }

    /// Everything by name.
    pub fn parts(&self) -> [(&'static str, usize); 8] {
        [
            ("weights", self.parameters),
            ("gradients", self.gradients),
            ("moments", self.optimiser),
            ("activations", self.activations),
            ("evaluation", self.evaluation),
            ("texts", self.texts),
            ("scoring", self.scoring),
            ("initial weights", self.initial),
        ]
    }

    /// Everything together.
    pub fn total(&self) -> usize {
        self.parts().iter().map(|(_, bytes)| bytes).sum()
    }
}
