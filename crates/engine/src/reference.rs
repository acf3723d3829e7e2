//! The slow reference: a graph evaluated in f64 by the definitions of its operations.

use crate::{Error, Graph, Source, Value};
use std::collections::HashMap;

/// A tensor of the reference, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Elements; integers stand as floats.
    pub data: Vec<f64>,
}

impl Tensor {
    /// Zeros.
    pub fn zeros(shape: &[usize]) -> Tensor {
        Tensor { shape: shape.to_vec(), data: vec![0.0; shape.iter().product()] }
    }

    /// Size of the last axis.
    pub fn columns(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// The rows along the last axis.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.data.chunks_exact(self.columns().max(1))
    }
}

/// Values of a forward graph, in f64. `given` holds the inputs, parameters and states by name.
///
/// # Errors
/// A name that is not given, or an operation that has no reference (a gradient).
pub fn evaluate(
    graph: &Graph,
    given: &HashMap<String, Tensor>,
    wanted: &[Value],
) -> Result<Vec<Tensor>, Error> {
    let mut known: HashMap<Value, Tensor> = HashMap::new();
    for v in graph.values() {
        let tensor = match graph.source(v) {
            Source::Input(name) | Source::Param(name) | Source::State(name) => match given.get(name) {
                Some(tensor) => tensor.clone(),
                None => continue,
            },
            Source::Constant(data) => Tensor {
                shape: graph.ty(v).shape.clone(),
                data: data.iter().map(|&x| f64::from(x)).collect(),
            },
            Source::Node(..) => continue,
        };
        known.insert(v, tensor);
    }
    for node in &graph.nodes {
        let inputs: Option<Vec<Tensor>> = node.inputs.iter().map(|v| known.get(v).cloned()).collect();
        let Some(inputs) = inputs else { continue };
        if let Some(outputs) = node.operation.reference(&inputs) {
            known.extend(node.outputs.iter().copied().zip(outputs));
        }
    }
    wanted.iter().map(|v| known.get(v).cloned().ok_or(Error::NotKept(v.index()))).collect()
}
