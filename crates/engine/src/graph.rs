//! A graph of operations in SSA form: every value is made once, by a name or by one operation.

use crate::op;
use crate::{Call, Error, Operation, Type};
use std::sync::Arc;

/// A value of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub(crate) u32);

impl Value {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Uploaded before each run.
    Input(String),
    /// Read from the parameter store.
    Param(String),
    /// Lives in the state store (caches); operations may overwrite it in place.
    State(String),
    /// Known when the graph is built.
    Constant(Arc<Vec<f32>>),
    /// Output `.1` of node `.0`.
    Node(usize, usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub operation: Arc<dyn Operation>,
    pub inputs: Vec<Value>,
    pub outputs: Vec<Value>,
}

/// One operation of a graph as an outsider sees it.
#[derive(Clone, Debug)]
pub struct NodeView<'a> {
    /// Name of the operation.
    pub name: &'static str,
    /// Types of its inputs.
    pub inputs: Vec<&'a Type>,
    /// Types of its outputs.
    pub outputs: Vec<&'a Type>,
    /// Useful floating-point operations.
    pub flops: u64,
    /// Bytes moved.
    pub bytes: u64,
}

/// Operations over typed values, in an order in which they can run.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    types: Vec<Type>,
    sources: Vec<Source>,
    pub(crate) nodes: Vec<Node>,
    /// Values that stand for another one since a fused operation made it as well.
    replaced: Vec<(Value, Value)>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    fn add(&mut self, ty: Type, source: Source) -> Value {
        self.types.push(ty);
        self.sources.push(source);
        Value((self.types.len() - 1) as u32)
    }

    /// A value uploaded before each run.
    pub fn input(&mut self, name: &str, ty: Type) -> Value {
        self.add(ty, Source::Input(name.to_string()))
    }

    /// A parameter; asking twice for a name gives the same value.
    pub fn param(&mut self, name: &str, shape: &[usize]) -> Value {
        let known = self.sources.iter().position(|s| matches!(s, Source::Param(n) if n == name));
        match known {
            Some(index) => Value(index as u32),
            None => self.add(Type::f32(shape), Source::Param(name.to_string())),
        }
    }

    /// A tensor of the state store.
    pub fn state(&mut self, name: &str, shape: &[usize]) -> Value {
        self.add(Type::f32(shape), Source::State(name.to_string()))
    }

    /// A table known now; `data` must have as many elements as the shape.
    pub fn constant(&mut self, shape: &[usize], data: Vec<f32>) -> Result<Value, Error> {
        let ty = Type::f32(shape);
        if ty.len() != data.len() {
            return Err(Error::Size {
                name: "constant".into(),
                expected: ty.to_string(),
                got: format!("{} elements", data.len()),
            });
        }
        Ok(self.add(ty, Source::Constant(Arc::new(data))))
    }

    /// Applies an operation; its shape rule decides.
    pub fn apply(
        &mut self,
        operation: impl Operation + 'static,
        inputs: &[Value],
    ) -> Result<Vec<Value>, Error> {
        self.apply_arc(Arc::new(operation), inputs)
    }

    pub(crate) fn apply_arc(
        &mut self,
        operation: Arc<dyn Operation>,
        inputs: &[Value],
    ) -> Result<Vec<Value>, Error> {
        let types: Vec<Type> = inputs.iter().map(|&v| self.ty(v).clone()).collect();
        let outputs = operation.infer(&types).map_err(|reason| Error::Shape {
            operation: operation.name(),
            reason,
            inputs: types.iter().map(Type::to_string).collect(),
        })?;
        let node = self.nodes.len();
        let outputs: Vec<Value> =
            outputs.into_iter().enumerate().map(|(i, ty)| self.add(ty, Source::Node(node, i))).collect();
        self.nodes.push(Node { operation, inputs: inputs.to_vec(), outputs: outputs.clone() });
        Ok(outputs)
    }

    /// As [`Graph::apply`] for an operation with one output.
    pub fn apply1(&mut self, operation: impl Operation + 'static, inputs: &[Value]) -> Result<Value, Error> {
        Ok(self.apply(operation, inputs)?[0])
    }

    /// Type of a value.
    pub fn ty(&self, value: Value) -> &Type {
        &self.types[value.index()]
    }

    /// Where a value comes from.
    pub fn source(&self, value: Value) -> &Source {
        &self.sources[value.index()]
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = Value> + use<> {
        (0..self.types.len() as u32).map(Value)
    }

    /// From now on `old` is read where `new` stands.
    pub(crate) fn replace(&mut self, old: Value, new: Value) {
        self.replaced.push((old, new));
    }

    /// The value that is computed for `value`.
    pub(crate) fn resolve(&self, value: Value) -> Value {
        self.replaced.iter().find(|(old, _)| *old == value).map_or(value, |&(_, new)| new)
    }

    /// Makes replacements of replacements direct.
    pub(crate) fn chain_replacements(&mut self) {
        for i in 0..self.replaced.len() {
            let (old, mut new) = self.replaced[i];
            while let Some(&(_, next)) = self.replaced.iter().find(|(from, _)| *from == new) {
                new = next;
            }
            self.replaced[i] = (old, new);
        }
    }

    /// Whether `value` is computed from `ancestor`.
    pub(crate) fn depends(&self, value: Value, ancestors: &[Value]) -> bool {
        let mut seen = vec![false; self.types.len()];
        let mut open = vec![value];
        while let Some(v) = open.pop() {
            let v = self.resolve(v);
            if ancestors.contains(&v) {
                return true;
            }
            if std::mem::replace(&mut seen[v.index()], true) {
                continue;
            }
            if let Source::Node(node, _) = self.source(v) {
                open.extend(&self.nodes[*node].inputs);
            }
        }
        false
    }

    pub(crate) fn call_types(&self, node: &Node) -> (Vec<Type>, Vec<Type>) {
        let of = |values: &[Value]| values.iter().map(|&v| self.ty(v).clone()).collect();
        (of(&node.inputs), of(&node.outputs))
    }

    /// The operations in order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeView<'_>> {
        self.nodes.iter().map(|node| {
            let (inputs, outputs) = self.call_types(node);
            let call = Call { inputs: &inputs, outputs: &outputs };
            NodeView {
                name: node.operation.name(),
                flops: node.operation.flops(call),
                bytes: node.operation.bytes(call),
                inputs: node.inputs.iter().map(|&v| self.ty(v)).collect(),
                outputs: node.outputs.iter().map(|&v| self.ty(v)).collect(),
            }
        })
    }
}

/// The operations by their names in the field, each a shorthand for [`Graph::apply`].
impl Graph {
    /// Rows of `table` `[V, C]` at `ids` `[T]` (negative: zeros): `[T, C]`.
    pub fn embedding(&mut self, table: Value, ids: Value) -> Result<Value, Error> {
        self.apply1(op::GatherRows, &[table, ids])
    }

    /// `x [T, K] · weight[N, K]ᵀ`: `[T, N]`.
    pub fn linear(&mut self, x: Value, weight: Value) -> Result<Value, Error> {
        self.apply1(op::Linear, &[x, weight])
    }

    /// `residual + x · weightᵀ`.
    pub fn linear_add(&mut self, x: Value, weight: Value, residual: Value) -> Result<Value, Error> {
        self.apply1(op::Linear, &[x, weight, residual])
    }

    /// Root-mean-square norm over the last axis times `gain`.
    pub fn rms_norm(&mut self, x: Value, gain: Value, epsilon: f32) -> Result<Value, Error> {
        Ok(self.apply(op::RmsNorm { epsilon }, &[x, gain])?[0])
    }

    /// Layer norm over the last axis.
    pub fn layer_norm(&mut self, x: Value, gain: Value, bias: Value, epsilon: f32) -> Result<Value, Error> {
        Ok(self.apply(op::LayerNorm { epsilon }, &[x, gain, bias])?[0])
    }

    /// Sum of two values of one shape.
    pub fn sum(&mut self, a: Value, b: Value) -> Result<Value, Error> {
        self.apply1(op::Add, &[a, b])
    }

    /// A value times a number.
    pub fn scale(&mut self, x: Value, factor: f32) -> Result<Value, Error> {
        self.apply1(op::Scale { factor }, &[x])
    }

    /// `silu(gate) · up`.
    pub fn swiglu(&mut self, gate: Value, up: Value) -> Result<Value, Error> {
        self.apply1(op::SwiGlu, &[gate, up])
    }
}
