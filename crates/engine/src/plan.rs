//! The memory plan: which operations run, in what order, and where every value lives.
//!
//! Lifetimes give each value an offset in one arena. Two values share memory where no operation
//! needs both; the largest are placed first, each at the lowest offset that is free.

use crate::graph::Node;
use crate::op::Scale;
use crate::store::ALIGN;
use crate::{Call, Error, Graph, Layout, Operation, Source, Type, Value};
use kernels::Span;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

/// What becomes of a result.
#[derive(Clone, Debug)]
pub enum Output {
    /// Kept until the next run, to be downloaded.
    Keep(Value),
    /// Written into the tensor of that name in the state store (gradients).
    Bind(Value, String),
}

/// Bytes that a compiled graph holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Inputs, activations and scratch: one arena.
    pub arena_bytes: usize,
    /// Of these, the largest scratch of an operation.
    pub scratch_bytes: usize,
    /// Tables known when the graph was built.
    pub constant_bytes: usize,
}

impl Memory {
    /// Everything together.
    pub fn total(&self) -> usize {
        self.arena_bytes + self.constant_bytes
    }
}

/// Where a value lives in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Work(Span),
    Param(Span),
    State(Span),
    Constant(Span),
}

/// One operation with its costs.
#[derive(Clone, Debug)]
pub struct NodePlan {
    pub(crate) operation: Arc<dyn Operation>,
    pub(crate) reads: Vec<Place>,
    pub(crate) writes: Vec<Place>,
    /// Types of the inputs.
    pub inputs: Vec<Type>,
    /// Types of the outputs.
    pub outputs: Vec<Type>,
    /// Useful floating-point operations.
    pub flops: u64,
    /// Bytes moved once.
    pub bytes: u64,
}

impl NodePlan {
    /// Name of the operation.
    pub fn name(&self) -> &'static str {
        self.operation.name()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct InputPlan {
    pub ty: Type,
    pub span: Span,
    /// Least and first too large value, where an operation uses it as an index.
    pub bounds: Option<(i64, i64)>,
}

/// A graph that is ready to be allocated.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The operations in the order in which they run.
    pub nodes: Vec<NodePlan>,
    /// What running it holds.
    pub memory: Memory,
    pub(crate) inputs: HashMap<String, InputPlan>,
    pub(crate) kept: HashMap<Value, Place>,
    pub(crate) constants: Vec<(Span, Arc<Vec<f32>>)>,
}

impl Plan {
    /// Useful floating-point operations of one run.
    pub fn flops(&self) -> u64 {
        self.nodes.iter().map(|n| n.flops).sum()
    }

    /// Bytes moved by one run, each operation reading and writing its values once.
    pub fn bytes(&self) -> u64 {
        self.nodes.iter().map(|n| n.bytes).sum()
    }
}

/// Plans `graph` for `threads` threads. Nothing is allocated.
pub fn plan(
    graph: &Graph,
    outputs: &[Output],
    params: &Layout,
    state: &Layout,
    threads: usize,
) -> Result<Plan, Error> {
    let mut graph = graph.clone();
    let bound = bind(&mut graph, outputs)?;
    let kept: Vec<Value> =
        outputs.iter().filter_map(|o| if let Output::Keep(v) = o { Some(*v) } else { None }).collect();
    let order = order(&graph, kept.iter().chain(bound.keys()).copied());

    let mut builder = Builder {
        graph: &graph,
        params,
        state,
        places: HashMap::new(),
        pieces: Vec::new(),
        constants: Vec::new(),
        constant_words: 0,
    };
    for (&value, name) in &bound {
        let place = builder.tensor("tensor", name, state, graph.ty(value))?;
        builder.places.insert(value, Place::State(place));
    }
    let end = order.len();
    let mut last: HashMap<Value, usize> = kept.iter().map(|&v| (graph.resolve(v), end)).collect();
    for (at, &node) in order.iter().enumerate() {
        for &v in &graph.nodes[node].inputs {
            let v = graph.resolve(v);
            let entry = last.entry(v).or_insert(at);
            *entry = (*entry).max(at);
        }
    }
    // Inputs stay for the whole run, so that it can be repeated without another upload.
    let mut inputs = HashMap::new();
    for v in graph.values() {
        if let Source::Input(name) = graph.source(v) {
            builder.piece(v, 0, end)?;
            inputs.insert(name.clone(), v);
        }
    }
    let mut scratch = Vec::new();
    for (at, &index) in order.iter().enumerate() {
        let node = &graph.nodes[index];
        for &v in &node.inputs {
            builder.outside(graph.resolve(v))?;
        }
        let in_place = node.operation.in_place();
        for (i, &v) in node.outputs.iter().enumerate() {
            if builder.places.contains_key(&v) {
                continue;
            }
            match in_place.filter(|_| i == 0) {
                Some(input) => {
                    let place = builder.places.get(&graph.resolve(node.inputs[input])).copied();
                    let Some(place @ Place::State(_)) = place else {
                        let reason = "it overwrites its input, which must be a state".to_string();
                        return Err(Error::Shape {
                            operation: node.operation.name(),
                            reason,
                            inputs: vec![],
                        });
                    };
                    builder.places.insert(v, place);
                }
                None => builder.piece(v, at, last.get(&v).copied().unwrap_or(at))?,
            }
        }
        let (ins, outs) = graph.call_types(node);
        let words = node.operation.scratch(Call { inputs: &ins, outputs: &outs }, threads);
        scratch.push(words);
        builder.pieces.push(Piece { owner: Owner::Scratch(at), words, first: at, last: at });
    }
    let (offsets, words) = assign(&builder.pieces);
    let mut scratch_spans = vec![Span { offset: 0, len: 0 }; order.len()];
    for (piece, &offset) in builder.pieces.iter().zip(&offsets) {
        let span = Span { offset, len: piece.words };
        match piece.owner {
            Owner::Value(v) => drop(builder.places.insert(v, Place::Work(span))),
            Owner::Scratch(at) => scratch_spans[at] = span,
        }
    }
    let places = builder.places;
    let mut bounds: HashMap<Value, (i64, i64)> = HashMap::new();
    let nodes = order
        .iter()
        .zip(&scratch_spans)
        .map(|(&index, &scratch)| {
            let node = &graph.nodes[index];
            let (inputs, outputs) = graph.call_types(node);
            let call = Call { inputs: &inputs, outputs: &outputs };
            for (i, &v) in node.inputs.iter().enumerate() {
                if let Some((low, high)) = node.operation.bounds(call, i) {
                    let b = bounds.entry(v).or_insert((low, high));
                    *b = (b.0.max(low), b.1.min(high));
                }
            }
            let skip = node.operation.in_place();
            let reads = node.inputs.iter().enumerate().filter(|&(i, _)| Some(i) != skip);
            let reads = reads.map(|(_, &v)| places[&graph.resolve(v)]).collect();
            let mut writes: Vec<Place> = node.outputs.iter().map(|v| places[v]).collect();
            writes.push(Place::Work(scratch));
            let (flops, bytes) = (node.operation.flops(call), node.operation.bytes(call));
            NodePlan { operation: node.operation.clone(), reads, writes, inputs, outputs, flops, bytes }
        })
        .collect();
    let inputs = inputs
        .into_iter()
        .map(|(name, v)| {
            let Place::Work(span) = places[&v] else { unreachable!("inputs are pieces of the arena") };
            (name, InputPlan { ty: graph.ty(v).clone(), span, bounds: bounds.get(&v).copied() })
        })
        .collect();
    Ok(Plan {
        nodes,
        memory: Memory {
            arena_bytes: words * 4,
            scratch_bytes: scratch.into_iter().max().unwrap_or(0) * 4,
            constant_bytes: builder.constant_words * 4,
        },
        inputs,
        kept: kept.iter().map(|&v| (v, places[&graph.resolve(v)])).collect(),
        constants: builder.constants,
    })
}

/// Makes every bound output the own result of an operation, by a copy where it is not.
fn bind(graph: &mut Graph, outputs: &[Output]) -> Result<BTreeMap<Value, String>, Error> {
    let mut bound = BTreeMap::new();
    for output in outputs {
        if let Output::Bind(value, name) = output {
            let mut v = graph.resolve(*value);
            if bound.contains_key(&v) || !matches!(graph.source(v), Source::Node(..)) {
                v = graph.apply1(Scale { factor: 1.0 }, &[v])?;
            }
            bound.insert(v, name.clone());
        }
    }
    Ok(bound)
}

/// The nodes that the outputs need, in the order of the graph except where a replacement made a
/// value come later than its first reader.
fn order(graph: &Graph, outputs: impl Iterator<Item = Value>) -> Vec<usize> {
    let maker = |v: Value| match graph.source(graph.resolve(v)) {
        Source::Node(node, _) => Some(*node),
        _ => None,
    };
    let mut needed = vec![false; graph.nodes.len()];
    let mut open: Vec<usize> = outputs.filter_map(maker).collect();
    while let Some(node) = open.pop() {
        if !std::mem::replace(&mut needed[node], true) {
            open.extend(graph.nodes[node].inputs.iter().filter_map(|&v| maker(v)));
        }
    }
    let before = |node: &Node| {
        let mut makers: Vec<usize> = node.inputs.iter().filter_map(|&v| maker(v)).collect();
        makers.sort_unstable();
        makers.dedup();
        makers
    };
    let mut waits = vec![0; needed.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); needed.len()];
    for (index, node) in graph.nodes.iter().enumerate().filter(|(i, _)| needed[*i]) {
        for made in before(node) {
            readers[made].push(index);
            waits[index] += 1;
        }
    }
    let mut ready: BinaryHeap<_> =
        (0..needed.len()).filter(|&i| needed[i] && waits[i] == 0).map(std::cmp::Reverse).collect();
    let mut order = Vec::new();
    while let Some(std::cmp::Reverse(node)) = ready.pop() {
        order.push(node);
        for &reader in &readers[node] {
            waits[reader] -= 1;
            if waits[reader] == 0 {
                ready.push(std::cmp::Reverse(reader));
            }
        }
    }
    order
}

#[derive(Clone, Copy)]
enum Owner {
    Value(Value),
    Scratch(usize),
}

struct Piece {
    owner: Owner,
    words: usize,
    first: usize,
    last: usize,
}

struct Builder<'a> {
    graph: &'a Graph,
    params: &'a Layout,
    state: &'a Layout,
    places: HashMap<Value, Place>,
    pieces: Vec<Piece>,
    constants: Vec<(Span, Arc<Vec<f32>>)>,
    constant_words: usize,
}

impl Builder<'_> {
    fn piece(&mut self, v: Value, first: usize, last: usize) -> Result<(), Error> {
        let ty = self.graph.ty(v);
        let bytes = ty.bytes().filter(|b| *b < isize::MAX as usize / 64);
        let bytes = bytes
            .ok_or_else(|| Error::Memory { need_mb: f64::INFINITY, reason: format!("{ty} overflows") })?;
        self.pieces.push(Piece { owner: Owner::Value(v), words: bytes.div_ceil(4), first, last });
        Ok(())
    }

    fn tensor(&self, kind: &'static str, name: &str, layout: &Layout, ty: &Type) -> Result<Span, Error> {
        let span = layout.span(name).ok_or_else(|| Error::Unknown { kind, name: name.into() })?;
        if layout.shape(name) != Some(&ty.shape) {
            return Err(Error::Size {
                name: name.into(),
                expected: ty.to_string(),
                got: format!("{:?}", layout.shape(name)),
            });
        }
        Ok(span)
    }

    /// Places a value that no operation makes.
    fn outside(&mut self, v: Value) -> Result<(), Error> {
        if self.places.contains_key(&v) {
            return Ok(());
        }
        let ty = self.graph.ty(v);
        let place = match self.graph.source(v) {
            Source::Param(name) => Place::Param(self.tensor("parameter", name, self.params, ty)?),
            Source::State(name) => Place::State(self.tensor("state", name, self.state, ty)?),
            Source::Constant(data) => {
                let span = Span { offset: self.constant_words, len: data.len() };
                self.constant_words += data.len().next_multiple_of(ALIGN);
                self.constants.push((span, data.clone()));
                Place::Constant(span)
            }
            Source::Input(_) | Source::Node(..) => return Ok(()),
        };
        self.places.insert(v, place);
        Ok(())
    }
}

/// Offsets for the pieces, and the words that they need together.
fn assign(pieces: &[Piece]) -> (Vec<usize>, usize) {
    let mut by_size: Vec<usize> = (0..pieces.len()).filter(|&i| pieces[i].words > 0).collect();
    by_size.sort_by_key(|&i| (std::cmp::Reverse(pieces[i].words), pieces[i].first, i));
    let mut offsets = vec![0; pieces.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut total = 0;
    for &i in &by_size {
        let (piece, words) = (&pieces[i], pieces[i].words.next_multiple_of(ALIGN));
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| pieces[j].first <= piece.last && piece.first <= pieces[j].last)
            .map(|&j| (offsets[j], offsets[j] + pieces[j].words.next_multiple_of(ALIGN)))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if offset + words <= start {
                break;
            }
            offset = offset.max(end);
        }
        offsets[i] = offset;
        total = total.max(offset + words);
        placed.push(i);
    }
    (offsets, total)
}
