//! Reverse-mode differentiation: the gradient of a graph is more graph.

use crate::graph::Node;
use crate::op::Add;
use crate::{Error, Graph, Operation, Source, Type, Value};

/// What an operation sees when its gradient is asked: its own values, the cotangents of its
/// outputs, and for each input whether a gradient is wanted and what has been summed so far.
pub struct Backward<'g> {
    graph: &'g mut Graph,
    node: Node,
    cotangents: Vec<Option<Value>>,
    needed: Vec<bool>,
    sums: Vec<Option<Value>>,
}

impl Backward<'_> {
    /// Input `i` of the operation.
    pub fn input(&self, i: usize) -> Value {
        self.node.inputs[i]
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.node.inputs.len()
    }

    /// Output `i` of the operation.
    pub fn output(&self, i: usize) -> Value {
        self.node.outputs[i]
    }

    /// Type of a value.
    pub fn ty(&self, value: Value) -> &Type {
        self.graph.ty(value)
    }

    /// Cotangent of output `i`, if anything depends on it.
    pub fn cotangent(&self, i: usize) -> Option<Value> {
        self.cotangents[i]
    }

    /// Whether the gradient for input `i` is wanted.
    pub fn needs(&self, i: usize) -> bool {
        self.needed[i]
    }

    /// Takes what has been summed for input `i`: the operation promises to include it in the value
    /// that it then gives to [`Backward::set`]. So a sum costs no pass of its own.
    pub fn take(&mut self, i: usize) -> Option<Value> {
        self.sums[i].take()
    }

    /// Puts back what [`Backward::take`] gave: the total gradient of input `i`.
    pub fn set(&mut self, i: usize, total: Value) {
        debug_assert!(self.sums[i].is_none());
        self.sums[i] = Some(total);
    }

    /// Adds a contribution to the gradient of input `i`.
    pub fn add(&mut self, i: usize, part: Value) -> Result<(), Error> {
        self.sums[i] = Some(match self.sums[i] {
            Some(sum) => self.graph.apply1(Add, &[sum, part])?,
            None => part,
        });
        Ok(())
    }

    /// Applies a further operation.
    pub fn apply(
        &mut self,
        operation: impl Operation + 'static,
        inputs: &[Value],
    ) -> Result<Vec<Value>, Error> {
        self.graph.apply(operation, inputs)
    }

    /// Lets `new` stand for output `i` wherever it is read, unless `new` is computed from `i`'s own
    /// outputs. Used by an operation whose gradient makes the forward result anyway.
    pub fn supersede(&mut self, outputs: &[(usize, Value)], cotangent: Value) {
        let own = self.node.outputs.clone();
        if !self.graph.depends(cotangent, &own) {
            for &(i, new) in outputs {
                self.graph.replace(own[i], new);
            }
        }
    }
}

/// Adds to `graph` the gradients of Σ ⟨output, cotangent⟩ with respect to `wrt`, and returns them in
/// that order. Paths to nothing in `wrt` are not followed, so what is frozen costs nothing.
///
/// A value of `wrt` that no output depends on gets zeros.
pub fn gradient(graph: &mut Graph, outputs: &[(Value, Value)], wrt: &[Value]) -> Result<Vec<Value>, Error> {
    let forward = graph.nodes.len();
    let values = graph.values().count();
    let mut leads = vec![false; values];
    for &v in wrt {
        leads[v.index()] = true;
    }
    for node in &graph.nodes {
        if node.inputs.iter().any(|v| leads[v.index()]) {
            node.outputs.iter().for_each(|v| leads[v.index()] = true);
        }
    }
    let mut sums: Vec<Option<Value>> = vec![None; values];
    for &(output, cotangent) in outputs {
        let (a, b) = (graph.ty(output).clone(), graph.ty(cotangent).clone());
        if a != b {
            return Err(Error::Cotangent { output: a, cotangent: b });
        }
        sums[output.index()] = Some(match sums[output.index()] {
            Some(sum) => graph.apply1(Add, &[sum, cotangent])?,
            None => cotangent,
        });
    }
    for index in (0..forward).rev() {
        let node = graph.nodes[index].clone();
        let cotangents: Vec<_> = node.outputs.iter().map(|v| sums[v.index()]).collect();
        let needed: Vec<_> = node.inputs.iter().map(|v| leads[v.index()]).collect();
        if cotangents.iter().all(Option::is_none) || !needed.iter().any(|&n| n) {
            continue;
        }
        // An input that stands twice is summed in turn: each place sees what the one before left.
        let inputs = node.inputs.clone();
        let mut current: Vec<Option<Value>> = vec![None; inputs.len()];
        for (i, v) in inputs.iter().enumerate() {
            if inputs[..i].iter().all(|earlier| earlier != v) {
                current[i] = sums[v.index()].take();
            }
        }
        let operation = node.operation.clone();
        let mut backward = Backward { graph, node, cotangents, needed, sums: current };
        operation.gradient(&mut backward)?;
        let (needed, current) = (backward.needed, backward.sums);
        for (i, v) in inputs.iter().enumerate() {
            let Some(part) = current[i].filter(|_| needed[i]) else { continue };
            sums[v.index()] = Some(match sums[v.index()] {
                Some(sum) => graph.apply1(Add, &[sum, part])?,
                None => part,
            });
        }
    }
    wrt.iter()
        .map(|&v| match sums[v.index()] {
            Some(sum) => Ok(sum),
            None => {
                let shape = graph.ty(v).shape.clone();
                let len = graph.ty(v).len();
                debug_assert!(!matches!(graph.source(v), Source::State(_)));
                graph.constant(&shape, vec![0.0; len])
            }
        })
        .collect()
}
