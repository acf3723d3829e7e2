//! Plain Rust: a vector is an array, products are rounded before they are added.
//!
//! With `FUSED` they are not, in software where the CPU cannot: slow, but the bits of the other sets,
//! which tests compare with on any machine.

use super::{Kernel, LANES, Simd};

/// Any CPU.
#[derive(Clone, Copy, Debug)]
pub struct Portable<const FUSED: bool = false>;

impl<const FUSED: bool> Portable<FUSED> {
    /// Runs `kernel`.
    pub fn dispatch<K: Kernel>(self, kernel: K) -> K::Out {
        kernel.run(self)
    }
}

type V = [f32; LANES];

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl<const FUSED: bool> Simd for Portable<FUSED> {
    type V = V;
    const MR: usize = 2;
    const NV: usize = 1;

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> V {
        // SAFETY: as the trait's contract says.
        unsafe { p.cast::<V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: V) {
        // SAFETY: as the trait's contract says.
        unsafe { p.cast::<V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> V {
        let mut v = [0.0; LANES];
        // SAFETY: n <= 16 floats are readable, and v holds sixteen.
        unsafe { std::ptr::copy_nonoverlapping(p, v.as_mut_ptr(), n) };
        v
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize, v: V) {
        // SAFETY: n <= 16 floats are writable, and v holds sixteen.
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), p, n) }
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        std::array::from_fn(|i| if FUSED { a[i].mul_add(b[i], c[i]) } else { a[i] * b[i] + c[i] })
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    fn neg(self, a: V) -> V {
        a.map(|x| -x)
    }
    #[inline(always)]
    fn round(self, a: V) -> V {
        // Adding and taking 1.5 · 2²³ rounds to even in the float's own arithmetic; larger values
        // are integers already.
        const MAGIC: f32 = 12_582_912.0;
        a.map(|x| if x.abs() < 4_194_304.0 { (x + MAGIC) - MAGIC } else { x })
    }
    #[inline(always)]
    fn scale2(self, a: V, n: V) -> V {
        // Beyond the range the result is any number, as on the other sets: attention drops such lanes.
        zip(a, n, |a, n| a * f32::from_bits(((n as i32).wrapping_add(127) << 23) as u32))
    }
    #[inline(always)]
    fn exponent(self, a: V) -> V {
        a.map(|x| ((x.to_bits() >> 23) as i32 - 127) as f32)
    }
    #[inline(always)]
    fn mantissa(self, a: V) -> V {
        a.map(|x| f32::from_bits(x.to_bits() & 0x007f_ffff | 0x3f80_0000))
    }
    #[inline(always)]
    fn select_lt(self, a: V, b: V, x: V, y: V) -> V {
        std::array::from_fn(|i| if a[i] < b[i] { x[i] } else { y[i] })
    }
    #[inline(always)]
    fn array(self, v: V) -> V {
        v
    }
    #[inline(always)]
    unsafe fn transpose(
        self,
        from: *const f32,
        stride: usize,
        rows: usize,
        columns: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        for j in 0..columns {
            for i in 0..LANES {
                // SAFETY: the caller's promise; only existing rows are read.
                unsafe {
                    *to.add(j * to_stride + i) = if i < rows { *from.add(i * stride + j) } else { 0.0 }
                };
            }
        }
    }
}
