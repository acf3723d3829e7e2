//! NEON: a vector is four registers.

use super::{Kernel, LANES, Simd};
use std::arch::aarch64::*;

/// Proof that the CPU has NEON.
#[derive(Clone, Copy, Debug)]
pub struct Neon(());

impl Neon {
    /// The proof, where it holds.
    pub fn new() -> Option<Neon> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Neon(()))
    }

    /// Runs `kernel` with the set enabled.
    pub fn dispatch<K: Kernel>(self, kernel: K) -> K::Out {
        // The feature is the one that `new` tests.
        #[target_feature(enable = "neon")]
        unsafe fn enabled<K: Kernel>(s: Neon, kernel: K) -> K::Out {
            kernel.run(s)
        }
        // SAFETY: a value of this type exists only where the CPU has the feature.
        unsafe { enabled(self, kernel) }
    }
}

type V = [float32x4_t; 4];

macro_rules! lanewise {
    ($($name:ident = $intrinsic:ident ($($x:ident),+);)+) => {
        $(#[inline(always)]
        #[allow(unused_unsafe)]
        fn $name(self, $($x: V),+) -> V {
            // SAFETY: `self` proves the feature.
            unsafe { [$intrinsic($($x[0]),+), $intrinsic($($x[1]),+), $intrinsic($($x[2]),+), $intrinsic($($x[3]),+)] }
        })+
    };
}

#[allow(unused_unsafe)]
impl Simd for Neon {
    type V = V;
    const MR: usize = 6;
    const NV: usize = 1;

    lanewise! {
        add = vaddq_f32(a, b);
        sub = vsubq_f32(a, b);
        mul = vmulq_f32(a, b);
        div = vdivq_f32(a, b);
        sqrt = vsqrtq_f32(a);
        neg = vnegq_f32(a);
        round = vrndnq_f32(a);
    }

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        // SAFETY: `self` proves the feature.
        unsafe { [vdupq_n_f32(x); 4] }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> V {
        // SAFETY: as the trait's contract says.
        unsafe { [vld1q_f32(p), vld1q_f32(p.add(4)), vld1q_f32(p.add(8)), vld1q_f32(p.add(12))] }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: V) {
        for (i, part) in v.into_iter().enumerate() {
            // SAFETY: as the trait's contract says.
            unsafe { vst1q_f32(p.add(4 * i), part) }
        }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> V {
        let mut lanes = [0.0f32; LANES];
        // SAFETY: n <= 16 floats are readable, and the array holds sixteen.
        unsafe {
            std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
            self.load(lanes.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize, v: V) {
        let lanes = self.array(v);
        // SAFETY: n <= 16 floats are writable, and the array holds sixteen.
        unsafe { std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n) }
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        // SAFETY: `self` proves the feature.
        let part = |i: usize| unsafe { vfmaq_f32(c[i], a[i], b[i]) };
        [part(0), part(1), part(2), part(3)]
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        // Not `vmaxq`, which lets a NaN in either operand pass: here the second wins, as elsewhere.
        self.select_lt(b, a, a, b)
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        self.select_lt(a, b, a, b)
    }
    #[inline(always)]
    fn scale2(self, a: V, n: V) -> V {
        // SAFETY: `self` proves the feature.
        let part = |i: usize| unsafe {
            let power = vshlq_n_s32::<23>(vaddq_s32(vcvtnq_s32_f32(n[i]), vdupq_n_s32(127)));
            vmulq_f32(a[i], vreinterpretq_f32_s32(power))
        };
        [part(0), part(1), part(2), part(3)]
    }
    #[inline(always)]
    fn exponent(self, a: V) -> V {
        // SAFETY: `self` proves the feature.
        a.map(|a| unsafe {
            let biased = vshrq_n_u32::<23>(vreinterpretq_u32_f32(a));
            vcvtq_f32_s32(vsubq_s32(vreinterpretq_s32_u32(biased), vdupq_n_s32(127)))
        })
    }
    #[inline(always)]
    fn mantissa(self, a: V) -> V {
        // SAFETY: `self` proves the feature.
        a.map(|a| unsafe {
            let bits = vandq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(0x007f_ffff));
            vreinterpretq_f32_u32(vorrq_u32(bits, vdupq_n_u32(0x3f80_0000)))
        })
    }
    #[inline(always)]
    fn select_lt(self, a: V, b: V, x: V, y: V) -> V {
        // SAFETY: `self` proves the feature.
        let part = |i: usize| unsafe { vbslq_f32(vcltq_f32(a[i], b[i]), x[i], y[i]) };
        [part(0), part(1), part(2), part(3)]
    }
    #[inline(always)]
    fn array(self, v: V) -> [f32; LANES] {
        // SAFETY: both are sixteen floats.
        unsafe { std::mem::transmute(v) }
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
