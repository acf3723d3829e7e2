//! What the tests of kernels share: numbers, every set on several thread counts, comparisons.

use crate::{Cpu, Isa};

/// Numbers in −1..1, the same for the same seed.
pub(crate) fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut x = seed.wrapping_mul(2654435761).wrapping_add(12345);
    let mut next = || {
        x = x.wrapping_mul(1664525).wrapping_add(1013904223);
        (x >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// As `f64`, for the twins.
pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

/// As integers: equal exactly where the floats have the same bits.
pub(crate) fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Results of a kernel by name.
pub(crate) type Results = Vec<(&'static str, Vec<f32>)>;

thread_local! {
    /// Every set that this CPU has, with 1, 2, 3 and 7 threads, and what has no set: scalars with
    /// fused products. A pool serves one test at a time.
    static CPUS: Vec<(String, Cpu)> = Isa::available()
        .into_iter()
        .flat_map(|isa| [1, 2, 3, 7].map(|threads| Cpu::new(isa, threads).unwrap()))
        .map(|cpu| (format!("{} with {} threads", cpu.isa(), cpu.threads()), cpu))
        .chain([("fused scalars".to_string(), Cpu::scalar(1).unwrap())])
        .collect();
}

/// Runs a kernel on every set and thread count. Its bits must not depend on the threads, nor on the
/// set but for the portable one, which rounds differently. Returns both kinds, if there are two.
pub(crate) fn everywhere(run: impl Fn(&Cpu) -> Results) -> Vec<Results> {
    CPUS.with(|cpus| {
        let mut kinds: Vec<(bool, &str, Results)> = Vec::new();
        for (cpu_name, cpu) in cpus {
            let (kind, found) = (cpu.rounds_twice(), run(cpu));
            let Some((_, other, first)) = kinds.iter().find(|(other, ..)| *other == kind) else {
                kinds.push((kind, cpu_name, found));
                continue;
            };
            for ((name, found), (_, first)) in found.iter().zip(first) {
                let place = bits(found).iter().zip(bits(first)).position(|(a, b)| *a != b);
                assert!(
                    place.is_none() && found.len() == first.len(),
                    "{name} of {cpu_name} differs from {other} at {place:?}"
                );
            }
        }
        kinds.into_iter().map(|(.., results)| results).collect()
    })
}

/// [`everywhere`], each result within `tolerance` of its twin, as a share of the twin's largest
/// element and of 1 at least.
pub(crate) fn check(tolerance: f64, twins: &[Vec<f64>], run: impl Fn(&Cpu) -> Results) {
    for results in everywhere(run) {
        assert_eq!(results.len(), twins.len());
        for ((name, found), twin) in results.iter().zip(twins) {
            assert_eq!(found.len(), twin.len(), "{name}");
            let size =
                twin.iter().fold(1.0f64, |most, x| if x.is_finite() { most.max(x.abs()) } else { most });
            for (i, (&x, &y)) in found.iter().zip(twin).enumerate() {
                let close = f64::from(x) == y || (f64::from(x) - y).abs() <= tolerance * size;
                assert!(close, "{name}[{i}] is {x}, its twin {y}");
            }
        }
    }
}

/// The gradient of `f` at `x` by central differences.
pub(crate) fn gradient(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let (mut x, h) = (x.to_vec(), 1e-6);
    (0..x.len())
        .map(|i| {
            let at = x[i];
            let mut value = |x_i| {
                x[i] = x_i;
                f(&x)
            };
            let slope = (value(at + h) - value(at - h)) / (2.0 * h);
            x[i] = at;
            slope
        })
        .collect()
}

/// Σ a · b.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
