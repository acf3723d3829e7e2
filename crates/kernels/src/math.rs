//! Elementary functions over sixteen lanes, with their errors in units in the last place.

use crate::simd::Simd;

/// `eˣ`: at most 2 ULP off for results that are normal; below e^−87.3 it is zero, above e^88.72
/// infinite, and NaN stays NaN. Cody–Waite reduction and the polynomial of Cephes' `expf`.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    let limited = s.max(s.splat(-88.0), s.min(s.splat(89.0), x));
    let n = s.round(s.mul(limited, s.splat(std::f32::consts::LOG2_E)));
    let r = s.fma(n, s.splat(-0.693_359_4), limited);
    let r = s.fma(n, s.splat(2.121_944_4e-4), r);
    let mut p = s.splat(1.987_569_1e-4);
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        p = s.fma(p, r, s.splat(c));
    }
    let p = s.add(s.fma(p, s.mul(r, r), r), s.splat(1.0));
    // 2¹²⁸ does not fit an exponent: the last doubling is done on the result.
    let most = s.min(n, s.splat(127.0));
    let y = s.mul(s.scale2(p, s.max(most, s.splat(-126.0))), s.add(s.sub(n, most), s.splat(1.0)));
    s.select_lt(x, s.splat(-87.336_54), s.zero(), y)
}

/// `1 / (1 + e^−x)`: at most 3 ULP off.
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    s.div(s.splat(1.0), s.add(s.splat(1.0), exp(s, s.neg(x))))
}

/// `x / (1 + e^−x)`: at most 4 ULP off where the result is normal.
#[inline(always)]
pub fn silu<S: Simd>(s: S, x: S::V) -> S::V {
    s.div(x, s.add(s.splat(1.0), exp(s, s.neg(x))))
}

/// √(8/π): twice the factor of GELU's tanh form, which is `x · sigmoid(2u)`.
const GELU_SLOPE: f32 = 1.595_769;
const GELU_CUBE: f32 = 0.044_715;

/// Twice the argument of GELU's tanh.
#[inline(always)]
fn gelu_argument<S: Simd>(s: S, x: S::V) -> S::V {
    let square = s.mul(x, x);
    s.mul(s.mul(s.splat(GELU_SLOPE), x), s.fma(s.splat(GELU_CUBE), square, s.splat(1.0)))
}

/// `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`: within 1e-6 relative plus 1e-7 absolute everywhere; at most 5 ULP off
/// from −1 on, 25 from −3, 75 from −5 and 300 from −9, as the result goes to zero.
#[inline(always)]
pub fn gelu<S: Simd>(s: S, x: S::V) -> S::V {
    s.mul(x, sigmoid(s, gelu_argument(s, x)))
}

/// The derivative of [`gelu`].
#[inline(always)]
pub fn gelu_slope<S: Simd>(s: S, x: S::V) -> S::V {
    let p = sigmoid(s, gelu_argument(s, x));
    let square = s.mul(x, x);
    let inner = s.mul(s.splat(GELU_SLOPE), s.fma(s.splat(3.0 * GELU_CUBE), square, s.splat(1.0)));
    let q = s.mul(p, s.sub(s.splat(1.0), p));
    s.fma(s.mul(x, inner), q, p)
}

/// The logit of [`normal`] divided by `x`, as a polynomial in `x²`: least squares up to 5.5, weighted so that the largest error
/// of `x · Φ(x)` is least, 5e-8.
const NORMAL: [f32; 8] = [
    1.595_771_7,
    0.072_660_45,
    -5.974_092e-5,
    -1.128_042_06e-4,
    8.351_412e-6,
    -3.045_579e-7,
    5.274_150_4e-9,
    -2.785_511e-11,
];

/// The normal distribution's share `Φ(x)` below `x`: `x · Φ(x)` is within 1e-7 absolute plus 5e-7 relative everywhere.
#[inline(always)]
pub fn normal<S: Simd>(s: S, x: S::V) -> S::V {
    // Beyond, the share is 0 or 1 to that precision.
    let square = s.min(s.mul(x, x), s.splat(5.5 * 5.5));
    let [rest @ .., last] = NORMAL;
    let mut slope = s.splat(last);
    for &c in rest.iter().rev() {
        slope = s.fma(slope, square, s.splat(c));
    }
    sigmoid(s, s.mul(x, slope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, LANES};
    use crate::{Cpu, Isa};

    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        Sigmoid,
        Silu,
        Gelu,
        GeluExact,
        InverseRoot,
    }

    struct Apply([f32; LANES], Function);

    impl Kernel for Apply {
        type Out = [f32; LANES];
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> [f32; LANES] {
            // SAFETY: the array holds sixteen floats.
            let x = unsafe { s.load(self.0.as_ptr()) };
            s.array(match self.1 {
                Function::Exp => exp(s, x),
                Function::Sigmoid => sigmoid(s, x),
                Function::Silu => silu(s, x),
                Function::Gelu => gelu(s, x),
                Function::GeluExact => s.mul(x, normal(s, x)),
                Function::InverseRoot => s.div(s.splat(1.0), s.sqrt(x)),
            })
        }
    }

    /// Floats of every exponent and sign; all of them with `FORETELL_ALL_FLOATS=1` (minutes).
    fn samples() -> impl Iterator<Item = [f32; LANES]> {
        let step = if std::env::var_os("FORETELL_ALL_FLOATS").is_some() { 1 } else { 8191 };
        (0..=u32::MAX / step / 16)
            .map(move |i| std::array::from_fn(|j| f32::from_bits((i * 16 + j as u32).wrapping_mul(step))))
    }

    fn ulps(got: f32, exact: f64) -> f64 {
        let size = (exact.abs() as f32).max(f32::MIN_POSITIVE);
        let unit = f64::from(f32::from_bits(size.to_bits() + 1)) - f64::from(size);
        (f64::from(got) - exact).abs() / unit
    }

    fn check(function: Function, range: std::ops::Range<f32>, bound: f64, exact: impl Fn(f64) -> f64) {
        for isa in Isa::available() {
            let cpu = Cpu::new(isa, 1).unwrap();
            let mut worst = (0.0, 0.0);
            for x in samples() {
                for (x, y) in x.into_iter().zip(cpu.dispatch(Apply(x, function))) {
                    if range.contains(&x) {
                        let off = ulps(y, exact(f64::from(x)));
                        if off > worst.0 {
                            worst = (off, x);
                        }
                    }
                }
            }
            assert!(worst.0 <= bound, "{isa}: {} ULP at {}", worst.0, worst.1);
        }
    }

    #[test]
    fn errors_are_within_the_stated_ulps() {
        check(Function::Exp, -87.3..88.72, 2.0, f64::exp);
        check(Function::Sigmoid, -80.0..f32::INFINITY, 3.0, |x| 1.0 / (1.0 + (-x).exp()));
        check(Function::Silu, -80.0..3e38, 4.0, |x| x / (1.0 + (-x).exp()));
    }

    #[test]
    fn gelu_is_close_everywhere() {
        let tanh = |x: f64| {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        };
        let exact = crate::activation::reference::gelu_exact;
        for isa in Isa::available() {
            let cpu = Cpu::new(isa, 1).unwrap();
            for (function, twin) in
                [(Function::Gelu, &tanh as &dyn Fn(f64) -> f64), (Function::GeluExact, &exact)]
            {
                for x in samples() {
                    for (x, y) in
                        x.into_iter().zip(cpu.dispatch(Apply(x, function))).filter(|(x, _)| x.abs() < 1e4)
                    {
                        let exact = twin(f64::from(x));
                        assert!(
                            (f64::from(y) - exact).abs() <= 1e-6 * exact.abs() + 1e-7,
                            "{isa}: gelu({x}) = {y}, not {exact}"
                        );
                    }
                }
            }
        }
    }

    /// The tail's error is that of the exponential's argument, which grows with its square.
    #[test]
    fn gelu_is_within_the_stated_ulps() {
        let exact =
            |x: f64| x / (1.0 + (-(8.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).exp());
        for (range, bound) in [(-1.0..3e38, 5.0), (-3.0..-1.0, 25.0), (-5.0..-3.0, 75.0), (-9.0..-5.0, 300.0)]
        {
            check(Function::Gelu, range, bound, exact);
        }
    }

    /// A root and a division that are correctly rounded: half a unit from the division, and one at most from the
    /// root, whose half unit counts 1/m² for a mantissa of m.
    #[test]
    fn inverse_roots_are_those_of_correctly_rounded_steps() {
        check(Function::InverseRoot, f32::MIN_POSITIVE..f32::INFINITY, 1.5, |x| 1.0 / x.sqrt());
        for isa in Isa::available() {
            let cpu = Cpu::new(isa, 1).unwrap();
            for x in samples() {
                for (x, y) in x.into_iter().zip(cpu.dispatch(Apply(x, Function::InverseRoot))) {
                    // As the norms compute it, a number at a time.
                    assert!(y == 1.0 / x.sqrt() || x.is_nan() || x < 0.0, "{isa}: {x}");
                }
            }
        }
    }

    #[test]
    fn the_ends_of_exp() {
        for isa in Isa::available() {
            let cpu = Cpu::new(isa, 1).unwrap();
            let at = |x: f32| cpu.dispatch(Apply([x; LANES], Function::Exp))[3];
            assert_eq!(at(0.0), 1.0);
            assert_eq!(at(f32::NEG_INFINITY), 0.0);
            assert_eq!(at(-88.0), 0.0);
            assert_eq!(at(f32::INFINITY), f32::INFINITY);
            assert!(at(f32::NAN).is_nan());
        }
    }
}
