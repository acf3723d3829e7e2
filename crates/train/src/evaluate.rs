//! The loss on what is held out: the same documents for every model.

use crate::replica::upload;
use crate::{Result, TrainConfig};
use data::{Batch, Dataset, EvalSet};
use engine::{CpuDevice, Device, Executable, Layout, Store, Value};
use model::gpt::ScoreGraph;
use serde::Serialize;
use std::sync::Arc;

/// Losses of a model on the held-out set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Held {
    /// Nats a token.
    pub loss: f64,
    /// Bits a byte of text.
    pub bits_per_byte: f64,
    /// Bits a word: a run of bytes that are no white space.
    pub bits_per_word: f64,
}

/// A compiled evaluation.
pub struct Evaluator {
    set: EvalSet,
    executable: Box<dyn Executable>,
    logp: Value,
    batch: Batch,
    out: Vec<f32>,
    empty: Store,
    rows: usize,
}

impl Evaluator {
    /// Chooses the documents and compiles a graph of a micro-batch's rows.
    pub fn new(
        config: &TrainConfig,
        dataset: &Dataset,
        device: &CpuDevice,
        params: &Arc<Layout>,
    ) -> Result<Evaluator> {
        let (rows, seq) = (config.micro_rows, config.seq());
        let (look, tokens) = (config.look(dataset)?, config.evaluation.tokens);
        let set = EvalSet::seeing(dataset.eval().clone(), dataset.tokenizer(), seq, tokens, look)?;
        let graph = ScoreGraph::seeing(&config.model, rows, seq, rows * config.tiles)?;
        let empty = device.store(&Arc::new(Layout::default()))?;
        let executable = device.compile(&graph.graph, &graph.outputs(), params, empty.layout())?;
        Ok(Evaluator {
            set,
            executable,
            logp: graph.logp,
            batch: Batch::new(),
            out: vec![0.0; rows * seq],
            empty,
            rows,
        })
    }

    /// The documents.
    pub fn set(&self) -> &EvalSet {
        &self.set
    }

    /// Bytes of the arena.
    pub fn bytes(&self) -> usize {
        self.executable.memory().total()
    }

    /// Evaluates the weights.
    pub fn run(&mut self, params: &Store) -> Result<Held> {
        let mut nats = 0.0;
        for first in (0..self.set.rows()).step_by(self.rows) {
            self.set.batch(first, self.rows, &mut self.batch)?;
            upload(self.executable.as_mut(), &self.batch)?;
            self.executable.run(params, &mut self.empty)?;
            self.executable.download(self.logp, &mut self.out)?;
            let weighted = self.batch.weights.iter().zip(&self.out).filter(|(w, _)| **w > 0.0);
            nats -= weighted.map(|(&w, &x)| f64::from(w) * f64::from(x)).sum::<f64>();
        }
        let bits = nats / std::f64::consts::LN_2;
        let each = |count: u64| bits / count.max(1) as f64;
        Ok(Held {
            loss: nats / self.set.weight(),
            bits_per_byte: each(self.set.bytes()),
            bits_per_word: each(self.set.words()),
        })
    }
}
