//! Powers and logarithms as attention and losses need them: bare of the ends of the range.

use crate::simd::Simd;

/// `2^y` for `y <= 127`, within 2 ULP; below 2⁻¹²⁶ it stays 2⁻¹²⁶, `2⁰` is exactly 1, NaN stays NaN.
///
/// The polynomial is a minimax fit of ours on −½..½ (relative error 9e-8) with constant term 1.
#[inline(always)]
#[allow(clippy::approx_constant)] // The fit's own slope, not ln 2.
pub(crate) fn exp2<S: Simd>(s: S, y: S::V) -> S::V {
    // A NaN in the second operand passes.
    let y = s.max(s.splat(-126.0), y);
    let n = s.round(y);
    let f = s.sub(y, n);
    let mut p = s.splat(1.326_472_7e-3);
    p = s.fma(p, f, s.splat(9.671_513e-3));
    p = s.fma(p, f, s.splat(5.550_733_7e-2));
    p = s.fma(p, f, s.splat(0.240_222_42));
    p = s.fma(p, f, s.splat(0.693_147));
    p = s.fma(p, f, s.splat(1.0));
    s.scale2(p, n)
}

/// `ln x` for positive normal `x`, within 3 ULP (near 1 too), by `2 artanh((m − 1) / (m + 1))`.
#[inline(always)]
pub(crate) fn ln<S: Simd>(s: S, x: S::V) -> S::V {
    let (e, m) = (s.exponent(x), s.mantissa(x));
    let (one, root) = (s.splat(1.0), s.splat(std::f32::consts::SQRT_2));
    // Into √½..√2, so that the logarithm of 1 − ε has no exponent to cancel.
    let small = s.mul(m, s.splat(0.5));
    let e = s.select_lt(root, m, s.add(e, one), e);
    let m = s.select_lt(root, m, small, m);
    let z = s.div(s.sub(m, one), s.add(m, one));
    let w = s.mul(z, z);
    let mut p = s.splat(2.0 / 9.0);
    p = s.fma(p, w, s.splat(2.0 / 7.0));
    p = s.fma(p, w, s.splat(2.0 / 5.0));
    p = s.fma(p, w, s.splat(2.0 / 3.0));
    let log = s.fma(s.mul(p, w), z, s.add(z, z));
    // ln 2 in two parts: the first times any exponent is exact.
    s.fma(e, s.splat(0.693_359_4), s.fma(e, s.splat(-2.121_944_4e-4), log))
}
