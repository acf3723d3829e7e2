//! Times a training step and its operations: `step SIZE [threads] [isa]`.
use engine::update::{Optimiser, Settings};
use engine::{CpuDevice, Data, Device, Executable, Layout, Store};
use kernels::{Cpu, Isa, probe};
use model::gpt::TrainGraph;
use model::parametrisation::{Choice, initialise, table};
use model::{Config, Sizes};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [width, layers, heads, ffn, t, b, vocab] = match args[1].as_str() {
        "XXS" => [32, 2, 2, 96, 128, 2, 256],
        "XS" => [64, 2, 2, 192, 128, 16, 512],
        "S" => [128, 4, 4, 384, 256, 8, 4096],
        "M" => [384, 6, 6, 1024, 256, 4, 4096],
        "L" => [768, 12, 12, 2048, 512, 2, 16384],
        other => {
            let v: Vec<usize> = other.split(',').map(|x| x.parse().unwrap()).collect();
            v.try_into().unwrap()
        }
    };
    let threads = args.get(2).map_or(1, |x| x.parse().unwrap());
    let isa = args.get(3).map_or(Isa::best(), |x| x.parse().unwrap());
    let config = Config::new(Sizes {
        vocab,
        width,
        ffn,
        layers,
        heads,
        kv_heads: heads,
        head_dim: width / heads,
        context: t,
        tied: false,
    })?;
    let device = CpuDevice::new(Cpu::new(isa, threads)?);
    let start = Instant::now();
    let graph = TrainGraph::new(&config, b, t, 0.0, true)?;
    let table = table(&config, &Choice::default());
    let layout = Arc::new(Layout::new(table.iter().map(|p| (p.name.as_str(), p.shape.as_slice())))?);
    let mut params = Store::new(&layout)?;
    let mut grads = Store::new(&layout)?;
    initialise(&table, 1, &mut params)?;
    let rules: Vec<_> = table.iter().map(|p| p.rule.clone()).collect();
    let mut optimiser =
        Optimiser::new(device.cpu(), &layout, &rules, Settings { beta1: 0.9, beta2: 0.95, momentum: 0.95 })?;
    let mut exe = device.compile(&graph.graph, &graph.outputs(), &layout, &layout)?;
    let n = b * t;
    let tokens: Vec<i32> = (0..n).map(|i| ((i * 7919) % vocab) as i32).collect();
    let positions: Vec<i32> = (0..n).map(|i| (i % t) as i32).collect();
    let lo: Vec<i32> = (0..n).map(|i| (i / t * t) as i32).collect();
    let hi: Vec<i32> = (0..n).map(|i| i as i32 + 1).collect();
    exe.upload("weights", Data::F32(&vec![1.0; n]))?;
    println!(
        "compiled in {:?}, {} nodes, arena {:.1} MB",
        start.elapsed(),
        graph.graph.nodes().count(),
        exe.memory().arena_bytes as f64 / 1e6
    );
    let mut times = vec![];
    let mut parts: BTreeMap<&'static str, f64> = BTreeMap::new();
    let begin = Instant::now();
    let mut loss = [0.0];
    let mut k = 0;
    while begin.elapsed().as_secs_f64() < 4.0 || k < 8 {
        let s = Instant::now();
        for (name, data) in
            [("tokens", &tokens), ("positions", &positions), ("lo", &lo), ("hi", &hi), ("targets", &tokens)]
        {
            exe.upload(name, Data::I32(data))?;
        }
        if k % 2 == 0 {
            exe.run(&params, &mut grads)?;
        } else {
            let mut last = Instant::now();
            exe.run_with(&params, &mut grads, &mut |_, name| {
                *parts.entry(name).or_default() += last.elapsed().as_secs_f64();
                last = Instant::now();
            })?;
        }
        let last = Instant::now();
        let norm = optimiser.sum_squares(&grads).sqrt() / n as f64;
        let clip = (1.0 / norm).min(1.0) as f32;
        optimiser.step(&mut params, &grads, clip / n as f32, 1e-3, k + 1)?;
        if k % 2 == 1 {
            *parts.entry("update").or_default() += last.elapsed().as_secs_f64();
        }
        exe.download(graph.loss, &mut loss)?;
        if k >= 4 && k % 2 == 0 {
            times.push(s.elapsed().as_secs_f64());
        }
        k += 1;
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let t0 = Instant::now();
    let peak =
        probe::multiply_adds(device.cpu(), 20_000_000 / threads as u64) as f64 / t0.elapsed().as_secs_f64();
    let flops = config.flops_per_token(t) * n as f64;
    println!(
        "{} {isa} x{threads}: {:.3} ms, {:.0} tok/s, {:.1} GF/s = {:.1} % of {:.1}; loss {:.4}",
        args[1],
        median * 1e3,
        n as f64 / median,
        flops / median / 1e9,
        100.0 * flops / median / peak,
        peak / 1e9,
        loss[0] / n as f32
    );
    let mut parts: Vec<_> = parts.into_iter().collect();
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    let total: f64 = parts.iter().map(|p| p.1).sum();
    for (name, seconds) in parts {
        println!("{:28} {:5.1} % {:9.1} us", name, 100.0 * seconds / total, seconds * 1e6 / (k / 2) as f64);
    }
    Ok(())
}
