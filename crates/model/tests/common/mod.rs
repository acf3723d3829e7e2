//! A model with its graphs compiled, and batches for them.
#![allow(dead_code)] // Each test binary uses a part.

use engine::{CpuDevice, Data, Device, Executable, Layout, Store};
use kernels::{Cpu, Isa};
use model::gpt::{DecodeGraph, ScoreGraph, TrainGraph};
use model::parametrisation::{Choice, initialise, table};
use model::{Config, Sizes, weights};
use safetensors::{Dtype, SafeTensors};
use std::path::Path;
use std::sync::Arc;

pub(crate) fn device(isa: Isa, threads: usize) -> CpuDevice {
    CpuDevice::new(Cpu::new(isa, threads).unwrap())
}

/// Zeros for all parameters.
pub(crate) fn store(config: &Config) -> Store {
    let shapes = config.shapes();
    let layout = Layout::new(shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))).unwrap();
    Store::new(&Arc::new(layout)).unwrap()
}

/// The configuration and weights of a folder.
pub(crate) fn load(folder: &Path) -> (Config, Store) {
    let config = Config::from_json(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    let mut params = store(&config);
    let mut open = |name: &str| match std::fs::read(folder.join(name)) {
        Ok(bytes) => {
            let length = bytes.len() as u64;
            Ok(Some((Box::new(std::io::Cursor::new(bytes)) as Box<dyn std::io::Read>, length)))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    };
    weights::load(&mut params, &mut open).unwrap();
    (config, params)
}

/// What another program computed.
pub(crate) struct Golden(Vec<u8>);

impl Golden {
    pub(crate) fn floats(&self, name: &str) -> Vec<f32> {
        self.numbers(name, Dtype::F32, f32::from_le_bytes)
    }

    pub(crate) fn integers(&self, name: &str) -> Vec<i32> {
        self.numbers(name, Dtype::I32, i32::from_le_bytes)
    }

    fn numbers<T>(&self, name: &str, kind: Dtype, number: fn([u8; 4]) -> T) -> Vec<T> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), kind, "{name}");
        tensor.data().chunks(4).map(|bytes| number(bytes.try_into().unwrap())).collect()
    }

    /// Names of the tensors that begin so, without that.
    pub(crate) fn names(&self, begin: &str) -> Vec<String> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        file.names().into_iter().filter_map(|name| name.strip_prefix(begin)).map(String::from).collect()
    }
}

/// A model of `tests/golden` and its numbers.
pub(crate) fn golden(name: &str) -> (Config, Store, Golden) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let (config, params) = load(&folder);
    (config, params, Golden(std::fs::read(folder.join("golden.safetensors")).unwrap()))
}

/// Largest difference.
pub(crate) fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

/// Root of the sum of squares.
pub(crate) fn norm(x: impl IntoIterator<Item = f32>) -> f64 {
    x.into_iter().map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}

/// Norm of the difference over the norm of what is expected.
pub(crate) fn error(got: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(got.len(), expected.len());
    norm(got.iter().zip(expected).map(|(a, b)| a - b)) / norm(expected.iter().copied())
}

/// A small model of odd sizes with random weights, gains other than one included.
pub(crate) fn small(model_type: &str, tied: bool) -> (Config, Store) {
    let sizes = Sizes {
        vocab: 37,
        width: 20,
        ffn: 28,
        layers: 2,
        heads: 6,
        kv_heads: 2,
        head_dim: 6,
        context: 200,
        tied,
    };
    let mut config = Config::new(sizes).unwrap();
    if model_type == "llama" {
        config.model_type = "llama".into();
        config.architectures = vec!["LlamaForCausalLM".into()];
    }
    let mut params = store(&config);
    initialise(&table(&config, &Choice::default()), 11, &mut params).unwrap();
    for (name, shape) in config.shapes() {
        if shape.len() == 1 {
            let gains: Vec<f32> = (0..shape[0]).map(|i| 0.6 + 0.9 * ((i * 7 % 5) as f32) / 5.0).collect();
            params.write(&name, &gains).unwrap();
        }
    }
    (config, params)
}

/// Tokens that look random.
pub(crate) fn tokens(count: usize, vocab: usize, seed: usize) -> Vec<i32> {
    (0..count).map(|i| ((i * i * 7 + i * 31 + seed * 13 + 5) % 1009 % vocab) as i32).collect()
}

/// The inputs of rows of packed documents.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) tokens: Vec<i32>,
    pub(crate) positions: Vec<i32>,
    pub(crate) lo: Vec<i32>,
    pub(crate) hi: Vec<i32>,
    pub(crate) targets: Vec<i32>,
    pub(crate) weights: Vec<f32>,
}

impl Batch {
    /// Documents one behind the other; each token's target is the next of its document.
    pub(crate) fn new(documents: &[&[i32]]) -> Batch {
        let mut batch = Batch::default();
        for document in documents {
            let start = batch.tokens.len() as i32;
            for (i, &token) in document.iter().enumerate() {
                let next = document.get(i + 1);
                batch.tokens.push(token);
                batch.positions.push(i as i32);
                batch.lo.push(start);
                batch.hi.push(start + i as i32 + 1);
                batch.targets.push(next.copied().unwrap_or(-1));
                batch.weights.push(if next.is_some() { 1.0 } else { 0.0 });
            }
        }
        batch
    }

    pub(crate) fn integers(&self) -> [(&'static str, &[i32]); 5] {
        [
            ("tokens", &self.tokens),
            ("positions", &self.positions),
            ("lo", &self.lo),
            ("hi", &self.hi),
            ("targets", &self.targets),
        ]
    }

    fn upload(&self, executable: &mut dyn Executable) {
        for (name, values) in self.integers() {
            executable.upload(name, Data::I32(values)).unwrap();
        }
    }
}

/// A training graph, ready to run.
pub(crate) struct Trainer {
    graph: TrainGraph,
    executable: Box<dyn Executable>,
    pub(crate) grads: Store,
}

impl Trainer {
    pub(crate) fn new(
        device: &CpuDevice,
        params: &Store,
        config: &Config,
        rows: usize,
        seq: usize,
        remember: bool,
    ) -> Trainer {
        let graph = TrainGraph::new(config, rows, seq, 0.0, remember).unwrap();
        let layout = params.layout();
        let executable = device.compile(&graph.graph, &graph.outputs(), layout, layout).unwrap();
        Trainer { graph, executable, grads: Store::new(layout).unwrap() }
    }

    /// The sum of losses and the log-probabilities; the gradients are left in `grads`.
    pub(crate) fn run(&mut self, params: &Store, batch: &Batch) -> (f32, Vec<f32>) {
        batch.upload(&mut *self.executable);
        self.executable.upload("weights", Data::F32(&batch.weights)).unwrap();
        self.executable.run(params, &mut self.grads).unwrap();
        let (mut loss, mut logp) = ([0.0], vec![0.0; batch.tokens.len()]);
        self.executable.download(self.graph.loss, &mut loss).unwrap();
        self.executable.download(self.graph.logp, &mut logp).unwrap();
        (loss[0], logp)
    }
}

/// Log-probabilities of a batch of `rows`.
pub(crate) fn score(
    device: &CpuDevice,
    params: &Store,
    config: &Config,
    rows: usize,
    batch: &Batch,
) -> Vec<f32> {
    let graph = ScoreGraph::new(config, rows, batch.tokens.len() / rows).unwrap();
    let none = Arc::new(Layout::default());
    let mut executable = device.compile(&graph.graph, &graph.outputs(), params.layout(), &none).unwrap();
    batch.upload(&mut *executable);
    executable.run(params, &mut Store::new(&none).unwrap()).unwrap();
    let mut logp = vec![0.0; batch.tokens.len()];
    executable.download(graph.logp, &mut logp).unwrap();
    logp
}

/// A decoding graph with room for `capacity` tokens a run, and its cache.
pub(crate) struct Decoder {
    graph: DecodeGraph,
    executable: Box<dyn Executable>,
    cache: Store,
    capacity: usize,
    vocab: usize,
}

/// A token to decode: itself, its position, and where its sequence starts in the cache.
#[derive(Clone, Copy)]
pub(crate) struct Next {
    pub(crate) token: i32,
    pub(crate) position: i32,
    pub(crate) base: i32,
}

impl Decoder {
    pub(crate) fn new(
        device: &CpuDevice,
        params: &Store,
        config: &Config,
        capacity: usize,
        slots: usize,
    ) -> Decoder {
        let context = config.max_position_embeddings;
        let graph = DecodeGraph::new(config, capacity, capacity, slots, context).unwrap();
        let layout = Layout::new(graph.caches.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())));
        let layout = Arc::new(layout.unwrap());
        let executable = device.compile(&graph.graph, &graph.outputs(), params.layout(), &layout).unwrap();
        let cache = Store::new(&layout).unwrap();
        Decoder { graph, executable, cache, capacity, vocab: config.vocab_size }
    }

    /// The logits of each token, places that are not needed left unused.
    pub(crate) fn run(&mut self, params: &Store, list: &[Next]) -> Vec<Vec<f32>> {
        let column = |unused: i32, of: &dyn Fn(usize, Next) -> i32| {
            let used = list.iter().enumerate().map(|(i, &next)| of(i, next));
            let mut column: Vec<i32> = used.collect();
            column.resize(self.capacity, unused);
            column
        };
        for (name, values) in [
            ("tokens", column(0, &|_, next| next.token)),
            ("positions", column(0, &|_, next| next.position)),
            ("slots", column(-1, &|_, next| next.base + next.position)),
            ("lo", column(0, &|_, next| next.base)),
            ("hi", column(0, &|_, next| next.base + next.position + 1)),
            ("rows", column(-1, &|i, _| i as i32)),
        ] {
            self.executable.upload(name, Data::I32(&values)).unwrap();
        }
        self.executable.run(params, &mut self.cache).unwrap();
        let mut logits = vec![0.0; self.capacity * self.vocab];
        self.executable.download(self.graph.logits, &mut logits).unwrap();
        logits.chunks(self.vocab).take(list.len()).map(<[f32]>::to_vec).collect()
    }
}

/// The tokens of a sequence that starts at a place of the cache.
pub(crate) fn sequence(tokens: &[i32], base: i32) -> Vec<Next> {
    tokens.iter().enumerate().map(|(i, &token)| Next { token, position: i as i32, base }).collect()
}

/// The bits of numbers, to compare exactly.
pub(crate) fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}
