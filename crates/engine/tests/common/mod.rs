//! The list of operation cases that correctness, gradients, determinism and speed are tested on.

use engine::op::*;
use engine::{CpuDevice, Data, Device, Graph, Layout, Output, Store, Tensor, Type, Value, gradient};
use kernels::{Cpu, Isa};
use std::collections::HashMap;
use std::sync::Arc;

/// A graph with one float output, what is given to it, and the names to differentiate by.
pub(crate) struct Case {
    pub name: String,
    pub graph: Graph,
    pub output: Value,
    pub given: HashMap<String, Tensor>,
    pub integers: HashMap<String, Vec<i32>>,
    pub wrt: Vec<(String, Value)>,
    /// Whether the operation has a gradient.
    pub differentiable: bool,
    seed: u64,
}

impl Case {
    pub(crate) fn new(name: &str) -> Case {
        let seed = name.bytes().fold(7, |h: u64, b| h.wrapping_mul(31).wrapping_add(b.into()));
        let output = Graph::new().input("none", Type::f32(&[]));
        let (given, integers) = (HashMap::new(), HashMap::new());
        Case {
            name: name.into(),
            graph: Graph::new(),
            output,
            given,
            integers,
            wrt: Vec::new(),
            differentiable: true,
            seed,
        }
    }

    /// Numbers in −1..1 that f32 holds exactly.
    pub(crate) fn random(&mut self, len: usize) -> Vec<f64> {
        let mut next = || {
            self.seed = self.seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            f64::from((self.seed >> 40) as u32) / f64::from(1 << 23) - 1.0
        };
        (0..len).map(|_| f64::from(next() as f32)).collect()
    }

    pub(crate) fn param(&mut self, name: &str, shape: &[usize]) -> Value {
        let data = self.random(shape.iter().product());
        let value = self.graph.param(name, shape);
        self.given.insert(name.into(), Tensor { shape: shape.to_vec(), data });
        self.wrt.push((name.into(), value));
        value
    }

    pub(crate) fn integers(&mut self, name: &str, data: &[i32]) -> Value {
        let tensor = Tensor { shape: vec![data.len()], data: data.iter().map(|&x| x.into()).collect() };
        self.given.insert(name.into(), tensor);
        self.integers.insert(name.into(), data.to_vec());
        self.graph.input(name, Type::i32(&[data.len()]))
    }

    /// The output in f64 by the definitions.
    pub(crate) fn reference(&self) -> Tensor {
        engine::evaluate(&self.graph, &self.given, &[self.output]).unwrap().remove(0)
    }

    /// Output and gradients by the kernels, for the cotangent given.
    pub(crate) fn run(&self, isa: Isa, threads: usize, cotangent: &[f32]) -> Vec<Vec<f32>> {
        let device = CpuDevice::new(Cpu::new(isa, threads).unwrap());
        let mut graph = self.graph.clone();
        let shape = graph.ty(self.output).shape.clone();
        let cotangent = graph.constant(&shape, cotangent.to_vec()).unwrap();
        let params: Vec<Value> = self.wrt.iter().map(|(_, v)| *v).collect();
        let outputs = [(self.output, cotangent)];
        let grads =
            if self.differentiable { gradient(&mut graph, &outputs, &params).unwrap() } else { vec![] };
        let layout =
            Layout::new(self.wrt.iter().map(|(n, _)| (n.as_str(), &self.given[n].shape[..]))).unwrap();
        let layout = Arc::new(layout);
        let (mut store, mut state) = (Store::new(&layout).unwrap(), Store::new(&layout).unwrap());
        for (name, _) in &self.wrt {
            let data: Vec<f32> = self.given[name].data.iter().map(|&x| x as f32).collect();
            store.write(name, &data).unwrap();
        }
        let bound = self.wrt.iter().zip(&grads).map(|((n, _), g)| Output::Bind(*g, n.clone()));
        let outputs: Vec<Output> = [Output::Keep(self.output)].into_iter().chain(bound).collect();
        let mut executable = device.compile(&graph, &outputs, &layout, &layout).unwrap();
        for (name, data) in &self.integers {
            executable.upload(name, Data::I32(data)).unwrap();
        }
        executable.run(&store, &mut state).unwrap();
        let mut out = vec![0.0; graph.ty(self.output).len()];
        executable.download(self.output, &mut out).unwrap();
        let grads = self.wrt.iter().take(grads.len()).map(|(n, _)| state.get(n).unwrap());
        [out].into_iter().chain(grads).collect()
    }
}

fn finish(mut case: Case, build: impl FnOnce(&mut Case) -> Value) -> Case {
    case.output = build(&mut case);
    case
}

/// Spans of documents of these lengths packed into rows of `block`: causal or full.
pub(crate) fn spans(lengths: &[usize], causal: bool) -> (Vec<i32>, Vec<i32>) {
    let (mut low, mut high, mut start) = (vec![], vec![], 0);
    for &n in lengths {
        for t in start..start + n {
            low.push(start as i32);
            high.push(if causal { t + 1 } else { start + n } as i32);
        }
        start += n;
    }
    (low, high)
}

/// One case for every operation and for what makes it hard: odd sizes, lengths 0 and 1, groups.
pub(crate) fn cases() -> Vec<Case> {
    let mut list = Vec::new();
    let mut case = |name: &str, build: &dyn Fn(&mut Case) -> Value| list.push(finish(Case::new(name), build));
    for (t, k, n) in [(1, 1, 1), (7, 19, 33), (16, 48, 80), (3, 65, 17), (0, 5, 4)] {
        case(&format!("linear {t}x{k}x{n}"), &|c| {
            let (x, w) = (c.param("x", &[t, k]), c.param("w", &[n, k]));
            c.graph.linear(x, w).unwrap()
        });
    }
    case("linear with residual", &|c| {
        let (x, w, r) = (c.param("x", &[5, 20]), c.param("w", &[20, 20]), c.param("r", &[5, 20]));
        c.graph.linear_add(x, w, r).unwrap()
    });
    case("linear chain shares x", &|c| {
        let (x, v, w) = (c.param("x", &[5, 12]), c.param("v", &[9, 12]), c.param("w", &[9, 12]));
        let (a, b) = (c.graph.linear(x, v).unwrap(), c.graph.linear(x, w).unwrap());
        c.graph.swiglu(a, b).unwrap()
    });
    case("x added to itself", &|c| {
        let x = c.param("x", &[3, 5]);
        c.graph.sum(x, x).unwrap()
    });
    for dim in [1, 16, 37, 200] {
        case(&format!("rms_norm {dim}"), &|c| {
            let (x, g) = (c.param("x", &[5, dim]), c.param("g", &[dim]));
            c.graph.rms_norm(x, g, 1e-6).unwrap()
        });
        case(&format!("layer_norm {dim}"), &|c| {
            let (x, g, b) = (c.param("x", &[5, dim]), c.param("g", &[dim]), c.param("b", &[dim]));
            c.graph.layer_norm(x, g, b, 1e-3).unwrap()
        });
    }
    case("rms_norm with residual", &|c| {
        let (x, g) = (c.param("x", &[70, 24]), c.param("g", &[24]));
        let y = c.graph.rms_norm(x, g, 1e-6).unwrap();
        c.graph.sum(x, y).unwrap()
    });
    for (heads, d, norm) in [(3, 8, true), (1, 22, true), (2, 64, false)] {
        case(&format!("head_norm_rope {heads}x{d} {norm}"), &|c| {
            let x = c.param("x", &[6, heads * d]);
            let positions = c.integers("positions", &[0, 1, 2, 3, 0, 1]);
            let table = |f: fn(f64) -> f64| (0..4 * d / 2).map(|i| f(i as f64 * 0.37) as f32).collect();
            let cos = c.graph.constant(&[4, d / 2], table(f64::cos)).unwrap();
            let sin = c.graph.constant(&[4, d / 2], table(f64::sin)).unwrap();
            let mut values = vec![x, positions, cos, sin];
            if norm {
                values.push(c.param("gain", &[d]));
            }
            c.graph.apply(HeadNormRope { heads, epsilon: 1e-6 }, &values).unwrap()[0]
        });
    }
    let packed: [(&str, &[usize], usize, bool); 5] = [
        ("causal", &[9], 9, true),
        ("packed", &[5, 1, 70, 3, 21], 100, true),
        ("two blocks", &[10, 6, 16], 16, true),
        ("full", &[7, 9], 16, false),
        ("long", &[150], 150, true),
    ];
    for (name, lengths, block, causal) in packed {
        for (heads, kv_heads, d) in [(2, 2, 8), (3, 1, 18), (4, 2, 5)] {
            case(&format!("attention {name} {heads}/{kv_heads}x{d}"), &|c| {
                let t = lengths.iter().sum();
                let (low, high) = spans(lengths, causal);
                let q = c.param("q", &[t, heads * d]);
                let (k, v) = (c.param("k", &[t, kv_heads * d]), c.param("v", &[t, kv_heads * d]));
                let (low, high) = (c.integers("low", &low), c.integers("high", &high));
                let mask = if causal { Mask::Causal } else { Mask::Full };
                let op = Attention { heads, kv_heads, block, mask, page_size: 0 };
                c.graph.apply(op, &[q, k, v, low, high]).unwrap()[0]
            });
        }
    }
    case("attention over pages", &|c| {
        let (q, k, v) = (c.param("q", &[2, 8]), c.param("k", &[12, 8]), c.param("v", &[12, 8]));
        let (low, high) = (c.integers("low", &[0, 0]), c.integers("high", &[7, 5]));
        let (pages, row) = (c.integers("pages", &[2, 0, 1, 2]), c.integers("row", &[0, 2]));
        let op = Attention { heads: 2, kv_heads: 2, block: 2, mask: Mask::Causal, page_size: 4 };
        c.differentiable = false;
        c.graph.apply(op, &[q, k, v, low, high, pages, row]).unwrap()[0]
    });
    case("swiglu", &|c| {
        let (a, b) = (c.param("a", &[3, 43]), c.param("b", &[3, 43]));
        c.graph.swiglu(a, b).unwrap()
    });
    case("gelu", &|c| {
        let x = c.param("x", &[77]);
        c.graph.apply1(Gelu { exact: false }, &[x]).unwrap()
    });
    case("exact gelu", &|c| {
        let x = c.param("x", &[77]);
        c.graph.apply1(Gelu { exact: true }, &[x]).unwrap()
    });
    case("scale", &|c| {
        let x = c.param("x", &[19]);
        c.graph.scale(x, -0.5).unwrap()
    });
    case("reshape", &|c| {
        let x = c.param("x", &[6, 10]);
        c.graph.apply1(Reshape { shape: vec![3, 20] }, &[x]).unwrap()
    });
    case("add_row", &|c| {
        let (x, b) = (c.param("x", &[130, 19]), c.param("b", &[19]));
        c.graph.apply1(AddRow, &[x, b]).unwrap()
    });
    case("gather_rows", &|c| {
        let table = c.param("table", &[5, 21]);
        let ids = c.integers("ids", &[4, 0, 4, -1, 2]);
        c.graph.embedding(table, ids).unwrap()
    });
    case("scatter_rows", &|c| {
        let (base, x) = (c.param("base", &[6, 9]), c.param("x", &[3, 9]));
        let ids = c.integers("ids", &[5, -1, 0]);
        c.graph.apply1(ScatterRows, &[base, x, ids]).unwrap()
    });
    case("patch_embedding", &|c| {
        let (pixels, weight, bias) =
            (c.param("pixels", &[6, 12]), c.param("weight", &[10, 12]), c.param("bias", &[10]));
        let places = c.param("places", &[4, 10]);
        let ids = c.integers("ids", &[0, 1, 2, 3, 1, -1]);
        c.graph.apply1(PatchEmbedding, &[pixels, weight, bias, places, ids]).unwrap()
    });
    for (t, d, v) in [(1, 3, 2), (9, 20, 37), (130, 8, 300), (450, 8, 20)] {
        case(&format!("linear_cross_entropy {t}x{d}x{v}"), &|c| {
            let (x, w) = (c.param("x", &[t, d]), c.param("w", &[v, d]));
            let targets: Vec<i32> =
                (0..t as i32).map(|i| if i % 5 == 3 { -1 } else { i * 7 % v as i32 }).collect();
            let targets = c.integers("targets", &targets);
            c.graph.apply(LinearCrossEntropy { z_loss: 0.0 }, &[x, w, targets]).unwrap()[0]
        });
    }
    case("linear_cross_entropy without a target", &|c| {
        let (x, w) = (c.param("x", &[9, 4]), c.param("w", &[7, 4]));
        let targets = c.integers("targets", &[-1; 9]);
        c.graph.apply(LinearCrossEntropy { z_loss: 0.0 }, &[x, w, targets]).unwrap()[0]
    });
    list
}
