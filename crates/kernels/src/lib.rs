//! CPU kernels beside their scalar twins; all unsafe code of the project.
//!
//! A [`Cpu`] is an instruction set that this machine has and a pool of threads. Kernels are safe
//! functions over slices that take one. Their results depend neither on the number of threads nor,
//! among AVX-512, AVX2 and NEON, on the instruction set: every sum runs in an order that follows
//! from the length summed and from absolute positions alone.

// Loops over constant ranges that index several arrays of registers are what gets unrolled.
#![allow(clippy::needless_range_loop)]

pub mod activation;
mod arena;
pub mod attention;
mod cpu;
mod error;
pub mod gemm;
pub mod loss;
mod map;
pub mod math;
pub mod norm;
pub mod optim;
mod pool;
pub mod probe;
pub mod rope;
pub mod rows;
pub mod simd;
#[cfg(test)]
mod testing;

pub use arena::{Arena, Span, Views};
pub use cpu::{Cpu, Isa};
pub use error::Error;
pub use map::Map;
pub use pool::Pool;
