//! What the executor promises: no allocation in a run, one arena of the planned size, errors with
//! names and figures, recomputation with the same bits.

use engine::op::WeightedSum;
use engine::{
    CpuDevice, Data, Device, Error, Graph, Layout, Output, Store, Type, Value, gradient, recompute,
};
use kernels::{Cpu, Isa};
use std::alloc::{GlobalAlloc, Layout as Block, System};
use std::cell::Cell;
use std::sync::Arc;

thread_local!(static ALLOCATIONS: Cell<usize> = const { Cell::new(0) });

/// Counts this thread's allocations.
struct Counting;

// SAFETY: forwards to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, block: Block) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(block) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, block: Block) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, block) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn device(threads: usize) -> CpuDevice {
    CpuDevice::new(Cpu::new(Isa::best(), threads).unwrap())
}

/// Three layers of a residual network, its loss and the gradients of its weights.
struct Net {
    graph: Graph,
    loss: Value,
    grads: Vec<Value>,
    layout: Arc<Layout>,
}

const NAMES: [&str; 6] = ["g0", "w0", "g1", "w1", "g2", "w2"];

fn net(remember: bool) -> Net {
    let mut graph = Graph::new();
    let x = graph.input("x", Type::f32(&[10, 24]));
    let (mut y, mut layers, mut params) = (x, vec![], vec![]);
    for i in 0..3 {
        let (gain, weight) = (graph.param(NAMES[2 * i], &[24]), graph.param(NAMES[2 * i + 1], &[24, 24]));
        let normed = graph.rms_norm(y, gain, 1e-6).unwrap();
        let hidden = graph.swiglu(normed, normed).unwrap();
        y = graph.linear_add(hidden, weight, y).unwrap();
        layers.push(y);
        params.extend([gain, weight]);
    }
    let cotangent = graph.constant(&[10, 24], (0..240).map(|i| (i as f32 * 0.7).sin()).collect()).unwrap();
    let loss = graph.apply1(WeightedSum, &[y, cotangent]).unwrap();
    let forward = graph.nodes().count();
    let grads = gradient(&mut graph, &[(y, cotangent)], &params).unwrap();
    if !remember {
        recompute(&mut graph, forward, &layers).unwrap();
    }
    let shapes: Vec<(&str, &[usize])> =
        NAMES.iter().map(|n| (*n, if n.starts_with('g') { &[24][..] } else { &[24, 24] })).collect();
    Net { graph, loss, grads, layout: Arc::new(Layout::new(shapes).unwrap()) }
}

fn outputs(net: &Net) -> Vec<Output> {
    let bound = NAMES.iter().zip(&net.grads).map(|(n, g)| Output::Bind(*g, n.to_string()));
    [Output::Keep(net.loss)].into_iter().chain(bound).collect()
}

fn run(net: &Net) -> (Vec<u32>, usize) {
    let device = device(2);
    let mut executable = device.compile(&net.graph, &outputs(net), &net.layout, &net.layout).unwrap();
    let (mut params, mut grads) = (Store::new(&net.layout).unwrap(), Store::new(&net.layout).unwrap());
    for (i, name) in NAMES.iter().enumerate() {
        let len = params.get(name).unwrap().len();
        let data: Vec<f32> = (0..len).map(|j| ((i * 31 + j) as f32 * 1.3).sin()).collect();
        params.write(name, &data).unwrap();
    }
    let x: Vec<f32> = (0..240).map(|i| (i as f32 * 0.3).cos()).collect();
    executable.upload("x", Data::F32(&x)).unwrap();
    executable.run(&params, &mut grads).unwrap();
    let before = ALLOCATIONS.with(Cell::get);
    executable.upload("x", Data::F32(&x)).unwrap();
    executable.run(&params, &mut grads).unwrap();
    assert_eq!(ALLOCATIONS.with(Cell::get), before, "a run allocates");
    let mut loss = [0.0];
    executable.download(net.loss, &mut loss).unwrap();
    let grads = NAMES.iter().flat_map(|n| grads.get(n).unwrap());
    (loss.into_iter().chain(grads).map(f32::to_bits).collect(), executable.memory().arena_bytes)
}

#[test]
fn recomputation_gives_the_same_bits_in_less_memory() {
    let (kept, kept_bytes) = run(&net(true));
    let (again, again_bytes) = run(&net(false));
    assert_eq!(kept, again);
    assert!(again_bytes < kept_bytes, "{again_bytes} is not below {kept_bytes}");
}

#[test]
fn the_plan_is_the_allocation() {
    let net = net(true);
    let device = device(1);
    let plan = device.plan(&net.graph, &outputs(&net), &net.layout, &net.layout).unwrap();
    let executable = device.compile(&net.graph, &outputs(&net), &net.layout, &net.layout).unwrap();
    assert_eq!(plan.memory, executable.memory());
    assert_eq!(plan.flops(), 3 * 3 * 2 * 10 * 24 * 24);
}

#[test]
fn what_is_frozen_costs_nothing() {
    let net = net(true);
    let last = vec![Output::Bind(net.grads[5], "w2".into())];
    let plan = device(1).plan(&net.graph, &last, &net.layout, &net.layout).unwrap();
    assert_eq!(plan.nodes.iter().filter(|n| n.name() == "linear_dw").count(), 1);
    assert_eq!(plan.nodes.iter().filter(|n| n.name() == "linear_dx").count(), 0);
}

#[test]
fn errors_name_the_thing_and_the_figures() {
    let mut graph = Graph::new();
    let (x, w) = (graph.input("x", Type::f32(&[2, 3])), graph.param("w", &[5, 4]));
    let text = graph.linear(x, w).unwrap_err().to_string();
    assert!(text.contains("linear") && text.contains("columns") && text.contains("F32[5, 4]"), "{text}");

    let table = graph.param("table", &[5, 4]);
    let ids = graph.input("ids", Type::i32(&[2]));
    let y = graph.embedding(table, ids).unwrap();
    let layout = Arc::new(Layout::new([("table", &[5, 4][..])]).unwrap());
    let none = Arc::new(Layout::default());
    let mut executable = device(1).compile(&graph, &[Output::Keep(y)], &layout, &none).unwrap();
    let text = executable.upload("ids", Data::I32(&[1, 5])).unwrap_err().to_string();
    assert_eq!(text, "'ids'[1] = 5 is outside -1..5");
    let text = executable.upload("ids", Data::I32(&[1])).unwrap_err().to_string();
    assert_eq!(text, "'ids' has I32[2] but was given I32[1]");
    assert!(matches!(executable.upload("jd", Data::I32(&[1])), Err(Error::Unknown { .. })));
    assert!(matches!(executable.download(ids, &mut [0.0; 2]), Err(Error::NotKept(_))));

    let huge = graph.input("huge", Type::f32(&[1 << 40, 4]));
    let y = graph.scale(huge, 2.0).unwrap();
    let text = device(1).compile(&graph, &[Output::Keep(y)], &layout, &none).err().unwrap().to_string();
    assert!(text.contains("MB of memory"), "{text}");
}
