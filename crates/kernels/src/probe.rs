//! What the machine could do: a loop of nothing but multiply-adds, and one of nothing but memory.
//! The caller holds the clock.

use crate::Cpu;
use crate::rows::Parts;
use crate::simd::{Kernel, LANES, Simd};
use std::sync::atomic::{AtomicU64, Ordering};

struct MultiplyAdd(u64);

impl Kernel for MultiplyAdd {
    type Out = u64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> u64 {
        // As many chains as hide the latency of a multiply-add and fit the registers.
        if S::NV == 2 { chains::<S, 12>(s, self.0) } else { chains::<S, 6>(s, self.0) }
    }
}

#[inline(always)]
fn chains<S: Simd, const N: usize>(s: S, rounds: u64) -> u64 {
    let mut sums = [s.zero(); N];
    let (x, y) = (s.splat(std::hint::black_box(0.999)), s.splat(std::hint::black_box(1e-3)));
    for _ in 0..rounds {
        for i in 0..N {
            sums[i] = s.fma(sums[i], x, y);
        }
    }
    for sum in sums {
        std::hint::black_box(s.sum(sum));
    }
    2 * rounds * (N * LANES) as u64
}

/// Runs chains of multiply-adds on every thread and returns the floating-point operations done.
pub fn multiply_adds(cpu: &Cpu, rounds: u64) -> u64 {
    let done = AtomicU64::new(0);
    cpu.pool().for_each(cpu.threads(), |_| {
        done.fetch_add(cpu.dispatch(MultiplyAdd(rounds)), Ordering::Relaxed);
    });
    done.into_inner()
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
