//! What the machine could do: a loop of nothing but multiply-adds, and one of nothing but memory.
//! The caller holds the clock.

use crate::Cpu;
use crate::rows::Parts;
use crate::simd::{Kernel, LANES, Simd};

/// Chains that hide the latency of a multiply-add on every CPU that we know.
const CHAINS: usize = 12;

struct MultiplyAdd(u64);

impl Kernel for MultiplyAdd {
    type Out = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let mut sums = [s.zero(); CHAINS];
        let (x, y) = (s.splat(std::hint::black_box(0.999)), s.splat(std::hint::black_box(1e-3)));
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = s.fma(*sum, x, y);
            }
        }
        sums.into_iter().map(|sum| s.sum(sum)).sum()
    }
}

/// Runs chains of multiply-adds on every thread and returns the floating-point operations done.
pub fn multiply_adds(cpu: &Cpu, rounds: u64) -> u64 {
    cpu.pool().for_each(cpu.threads(), |_| drop(std::hint::black_box(cpu.dispatch(MultiplyAdd(rounds)))));
    2 * rounds * (CHAINS * LANES) as u64 * cpu.threads() as u64
}

/// `c = a + 3·b` over slices much larger than the caches; returns the bytes read and written.
pub fn triad(cpu: &Cpu, a: &[f32], b: &[f32], c: &mut [f32]) -> u64 {
    assert!(a.len() == c.len() && b.len() == c.len(), "three slices of one length");
    let (len, tasks) = (c.len(), cpu.threads());
    let parts = Parts::new(c);
    cpu.pool().for_each(tasks, |task| {
        let range = len * task / tasks..len * (task + 1) / tasks;
        // SAFETY: tasks have ranges of their own.
        let c = unsafe { parts.part(range.clone()) };
        for ((c, a), b) in c.iter_mut().zip(&a[range.clone()]).zip(&b[range]) {
            *c = *a + 3.0 * *b;
        }
    });
    12 * len as u64
}
