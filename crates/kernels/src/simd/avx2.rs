//! AVX2 with FMA: a vector is two registers.

use super::{Kernel, LANES, Simd};
use std::arch::x86_64::*;

/// Proof that the CPU has AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The proof, where it holds.
    pub fn new() -> Option<Avx2> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }

    /// Runs `kernel` with the set enabled.
    pub fn dispatch<K: Kernel>(self, kernel: K) -> K::Out {
        // The features are those that `new` tests.
        #[target_feature(enable = "avx2,fma")]
        fn enabled<K: Kernel>(s: Avx2, kernel: K) -> K::Out {
            kernel.run(s)
        }
        // SAFETY: a value of this type exists only where the CPU has these features.
        unsafe { enabled(self, kernel) }
    }
}

/// Masks for the first 0..=16 of sixteen lanes: sixteen ones then sixteen zeros, read at 16 − n.
static FIRST: [i32; 32] = {
    let mut mask = [0; 32];
    let mut i = 0;
    while i < 16 {
        mask[i] = -1;
        i += 1;
    }
    mask
};

#[inline(always)]
fn first(n: usize) -> [__m256i; 2] {
    // SAFETY: n <= 16, so both halves lie in the table.
    unsafe {
        let p = FIRST.as_ptr().add(16 - n);
        [_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(8).cast())]
    }
}

type V = [__m256; 2];

macro_rules! lanewise {
    ($($name:ident = $intrinsic:ident ($($x:ident),+);)+) => {
        $(#[inline(always)]
        fn $name(self, $($x: V),+) -> V {
            // SAFETY: `self` proves the features.
            unsafe { [$intrinsic($($x[0]),+), $intrinsic($($x[1]),+)] }
        })+
    };
}

impl Simd for Avx2 {
    type V = V;
    const MR: usize = 6;
    const NV: usize = 1;

    lanewise! {
        add = _mm256_add_ps(a, b);
        sub = _mm256_sub_ps(a, b);
        mul = _mm256_mul_ps(a, b);
        div = _mm256_div_ps(a, b);
        fma = _mm256_fmadd_ps(a, b, c);
        max = _mm256_max_ps(a, b);
        min = _mm256_min_ps(a, b);
        sqrt = _mm256_sqrt_ps(a);
    }

    #[inline(always)]
    fn apart<K: Kernel>(self, kernel: K) -> K::Out {
        #[target_feature(enable = "avx2,fma")]
        #[inline(never)]
        fn enabled<K: Kernel>(s: Avx2, kernel: K) -> K::Out {
            kernel.run(s)
        }
        // SAFETY: `self` proves the features.
        unsafe { enabled(self, kernel) }
    }
    #[inline(always)]
    fn splat(self, x: f32) -> V {
        // SAFETY: `self` proves the features.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> V {
        // SAFETY: as the trait's contract says.
        unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: V) {
        // SAFETY: as the trait's contract says.
        unsafe {
            _mm256_storeu_ps(p, v[0]);
            _mm256_storeu_ps(p.add(8), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> V {
        let [low, high] = first(n);
        // SAFETY: masked lanes are not read; the second address is only computed, not read beyond n.
        unsafe { [_mm256_maskload_ps(p, low), _mm256_maskload_ps(p.wrapping_add(8), high)] }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize, v: V) {
        let [low, high] = first(n);
        // SAFETY: masked lanes are not written.
        unsafe {
            _mm256_maskstore_ps(p, low, v[0]);
            _mm256_maskstore_ps(p.wrapping_add(8), high, v[1]);
        }
    }
    #[inline(always)]
    fn neg(self, a: V) -> V {
        // SAFETY: `self` proves the features.
        unsafe { a.map(|a| _mm256_xor_ps(a, _mm256_set1_ps(-0.0))) }
    }
    #[inline(always)]
    fn round(self, a: V) -> V {
        // SAFETY: `self` proves the features.
        unsafe { a.map(|a| _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)) }
    }
    #[inline(always)]
    fn scale2(self, a: V, n: V) -> V {
        // SAFETY: `self` proves the features.
        let half = |a, n| unsafe {
            let power =
                _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)));
            _mm256_mul_ps(a, _mm256_castsi256_ps(power))
        };
        [half(a[0], n[0]), half(a[1], n[1])]
    }
    #[inline(always)]
    fn exponent(self, a: V) -> V {
        // SAFETY: `self` proves the features.
        a.map(|a| unsafe {
            let biased = _mm256_srli_epi32::<23>(_mm256_castps_si256(a));
            _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)))
        })
    }
    #[inline(always)]
    fn mantissa(self, a: V) -> V {
        // SAFETY: `self` proves the features.
        a.map(|a| unsafe {
            let bits = _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(0x007f_ffff));
            _mm256_castsi256_ps(_mm256_or_si256(bits, _mm256_set1_epi32(0x3f80_0000)))
        })
    }
    #[inline(always)]
    fn select_lt(self, a: V, b: V, x: V, y: V) -> V {
        // SAFETY: `self` proves the features.
        let half =
            |i: usize| unsafe { _mm256_blendv_ps(y[i], x[i], _mm256_cmp_ps::<_CMP_LT_OQ>(a[i], b[i])) };
        [half(0), half(1)]
    }
    #[inline(always)]
    fn array(self, v: V) -> [f32; LANES] {
        // SAFETY: both are sixteen floats.
        unsafe { std::mem::transmute(v) }
    }
    #[inline(always)]
    fn sum(self, v: V) -> f32 {
        // SAFETY: `self` proves the features.
        unsafe {
            let half = _mm256_add_ps(v[0], v[1]);
            let quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half));
            let pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
            _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)))
        }
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
        // Four blocks of 8 × 8; the off-diagonal two change places.
        for (i, j) in [(0, 0), (0, 8), (8, 0), (8, 8)] {
            if j < columns && (i < rows || to_stride >= LANES) {
                let (rows, columns) = (rows.saturating_sub(i).min(8), (columns - j).min(8));
                // SAFETY: the part lies within the block.
                unsafe {
                    transpose8(
                        from.wrapping_add(i * stride + j),
                        stride,
                        rows,
                        columns,
                        to.add(j * to_stride + i),
                        to_stride,
                    )
                };
            }
        }
    }
}

/// Eight by eight of [`Simd::transpose`].
///
/// # Safety
/// As there; and the CPU must have AVX2, which only `Avx2` calls this with.
#[inline(always)]
unsafe fn transpose8(
    from: *const f32,
    stride: usize,
    rows: usize,
    columns: usize,
    to: *mut f32,
    to_stride: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mask = first(columns)[0];
        let mut r = [_mm256_setzero_ps(); 8];
        for i in 0..8 {
            if i < rows {
                let p = from.add(i * stride);
                r[i] = if columns == 8 { _mm256_loadu_ps(p) } else { _mm256_maskload_ps(p, mask) };
            }
        }
        let mut t = r;
        for i in 0..4 {
            t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
            t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
        }
        for i in 0..2 {
            r[4 * i] = _mm256_shuffle_ps::<0x44>(t[4 * i], t[4 * i + 2]);
            r[4 * i + 1] = _mm256_shuffle_ps::<0xee>(t[4 * i], t[4 * i + 2]);
            r[4 * i + 2] = _mm256_shuffle_ps::<0x44>(t[4 * i + 1], t[4 * i + 3]);
            r[4 * i + 3] = _mm256_shuffle_ps::<0xee>(t[4 * i + 1], t[4 * i + 3]);
        }
        for i in 0..4 {
            t[i] = _mm256_permute2f128_ps::<0x20>(r[i], r[4 + i]);
            t[4 + i] = _mm256_permute2f128_ps::<0x31>(r[i], r[4 + i]);
        }
        for j in 0..8 {
            if j < columns {
                _mm256_storeu_ps(to.add(j * to_stride), t[j]);
            }
        }
    }
}
