//! Sixteen float lanes on every instruction set.
//!
//! A kernel is written once over [`Simd`] and compiled for each set. Since all sets have the same
//! sixteen lanes, the same fused multiply-adds and the same tree for sums across lanes, AVX-512,
//! AVX2 and NEON give the same bits; the portable form rounds products before it adds.
//!
//! A value of a set's token type exists only where the CPU has the set: the value is the proof.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod portable;

/// Lanes of a vector.
pub const LANES: usize = 16;

/// A vector of sixteen `f32` and what can be done with it.
///
/// All methods are to be inlined into a function that enables the set's features: see
/// [`Kernel`] and `Isa::dispatch`.
pub trait Simd: Copy + Send + Sync + 'static {
    /// Sixteen lanes.
    type V: Copy;
    /// Rows of the register tile of a matrix product.
    const MR: usize;
    /// Columns of that tile, in vectors.
    const NV: usize;

    /// Runs `kernel`, on sets with few registers as a function of its own: inlined among others, a loop
    /// that needs all of them would be given too few.
    #[inline(always)]
    fn apart<K: Kernel>(self, kernel: K) -> K::Out {
        kernel.run(self)
    }
    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::V;
    /// All lanes zero.
    #[inline(always)]
    fn zero(self) -> Self::V {
        self.splat(0.0)
    }
    /// Sixteen floats.
    ///
    /// # Safety
    /// `p` must be valid for reading sixteen floats; no alignment is needed.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// Writes sixteen floats.
    ///
    /// # Safety
    /// `p` must be valid for writing sixteen floats; no alignment is needed.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// The first `n` lanes from memory, the rest zero.
    ///
    /// # Safety
    /// `n <= 16`, and `p` must be valid for reading `n` floats.
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::V;
    /// Writes the first `n` lanes.
    ///
    /// # Safety
    /// `n <= 16`, and `p` must be valid for writing `n` floats.
    unsafe fn store_first(self, p: *mut f32, n: usize, v: Self::V);
    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a − b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a · b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`, rounded once (the portable form rounds twice).
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger; `b` where they are equal or not ordered.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The smaller; `b` where they are equal or not ordered.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// Square root, correctly rounded.
    fn sqrt(self, a: Self::V) -> Self::V;
    /// `−a`.
    fn neg(self, a: Self::V) -> Self::V;
    /// To the nearest integer, ties to even.
    fn round(self, a: Self::V) -> Self::V;
    /// `a · 2ⁿ` for integral `n` in −126..=127.
    fn scale2(self, a: Self::V, n: Self::V) -> Self::V;
    /// The exponent of positive normal lanes, as a float.
    fn exponent(self, a: Self::V) -> Self::V;
    /// The significand of positive normal lanes, in 1..2.
    fn mantissa(self, a: Self::V) -> Self::V;
    /// Per lane `a < b ? x : y`.
    fn select_lt(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// The lanes as an array.
    fn array(self, v: Self::V) -> [f32; LANES];
    /// Turns a block of up to sixteen rows and columns: column `j` of `from` (a row every `stride`
    /// floats) becomes sixteen floats at `to + j · to_stride`, zeros behind the last row. Where
    /// `to_stride` is below 16, columns overlap: only the `rows` first floats of each count.
    ///
    /// # Safety
    /// `rows` and `columns` are at most 16; `from` must be valid for reading them and `to` for
    /// writing `columns` rows of sixteen.
    unsafe fn transpose(
        self,
        from: *const f32,
        stride: usize,
        rows: usize,
        columns: usize,
        to: *mut f32,
        to_stride: usize,
    );
    /// Sum of the lanes: halves are added until one is left.
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        let mut lanes = self.array(v);
        let mut half = LANES / 2;
        while half > 0 {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
            half /= 2;
        }
        lanes[0]
    }
    /// The largest lane.
    #[inline(always)]
    fn hmax(self, v: Self::V) -> f32 {
        self.array(v).into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
}

/// Work that is compiled for each instruction set.
pub trait Kernel {
    /// Its result.
    type Out;
    /// Runs it; must be `#[inline(always)]`.
    fn run<S: Simd>(self, s: S) -> Self::Out;
}
