//! Speed of matrix products as a share of the multiply-add peak, over the shapes of training.
//!
//! `cargo run --release -p kernels --example gemm_speed [isa] [threads]`; pin it to a quiet core.

#![allow(clippy::print_stdout)]

use kernels::gemm::{Init, View, gemm, gemm_scratch};
use kernels::{Cpu, Isa, probe};
use std::time::Instant;

fn best(mut f: impl FnMut()) -> f64 {
    let (mut best, start) = (f64::INFINITY, Instant::now());
    while start.elapsed().as_secs_f64() < 0.12 {
        let t = Instant::now();
        f();
        best = best.min(t.elapsed().as_secs_f64());
    }
    best
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let isa = args.get(1).map_or(Ok(Isa::best()), |s| s.parse())?;
    let threads = args.get(2).map_or(Ok(1), |s| s.parse())?;
    let cpu = Cpu::new(isa, threads)?;
    let mut flops = 0;
    let seconds = best(|| flops = probe::multiply_adds(&cpu, 100_000));
    let peak = flops as f64 / seconds;
    println!("{isa}, {threads} threads: {:.1} GFLOP/s", peak / 1e9);
    let shapes = [
        (256, 32, 32),
        (256, 96, 32),
        (256, 32, 96),
        (256, 256, 32),
        (2048, 64, 64),
        (2048, 192, 64),
        (2048, 512, 64),
        (2048, 128, 128),
        (2048, 384, 128),
        (2048, 4096, 128),
        (1024, 384, 384),
        (1024, 1024, 384),
        (1024, 384, 1024),
        (512, 4096, 384),
        (1024, 2048, 768),
        (1920, 48, 48),
        (1920, 80, 80),
        (1920, 200, 200),
        (2048, 1000, 128),
    ];
    println!("{:>18} {:>8} {:>8} {:>8}", "m x n x k", "x·wᵀ", "dy·w", "dyᵀ·x");
    for (m, n, k) in shapes {
        let (x, w) = (vec![0.5f32; m * k], vec![0.25f32; n * k]);
        let (mut y, mut dx, mut dw) = (vec![1.0f32; m * n], vec![0.0f32; m * k], vec![0.0f32; n * k]);
        let sizes = [(m, n, k), (m, k, n), (n, k, m)];
        let mut scratch =
            vec![0.0f32; sizes.iter().map(|&(m, n, k)| gemm_scratch(threads, m, n, k)).max().unwrap_or(0)];
        let work = 2.0 * (m * n * k) as f64 / peak;
        let view = |data, row, col| View { data, row, col };
        let forward =
            best(|| gemm(&cpu, m, n, k, view(&x, k, 1), view(&w, 1, k), &mut y, Init::Zero, &mut scratch));
        let back =
            best(|| gemm(&cpu, m, k, n, view(&y, n, 1), view(&w, k, 1), &mut dx, Init::Zero, &mut scratch));
        let weight =
            best(|| gemm(&cpu, n, k, m, view(&y, 1, n), view(&x, k, 1), &mut dw, Init::Zero, &mut scratch));
        let share = |t: f64| format!("{:.1} %", 100.0 * work / t);
        println!(
            "{:>18} {:>8} {:>8} {:>8}",
            format!("{m}x{n}x{k}"),
            share(forward),
            share(back),
            share(weight)
        );
    }
    Ok(())
}
