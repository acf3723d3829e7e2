//! Axes: which values are shown, and which of them have a mark.

use crate::number::{minus, raised};

/// How values are laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Linear,
    Log,
}

/// An axis.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// Values with a mark and what is written there.
    pub(crate) ticks: Vec<(f64, String)>,
}

/// The ends of some values.
pub(crate) fn ends(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|x| x.is_finite()).fold(None, |ends, x| match ends {
        None => Some((x, x)),
        Some((low, high)) => Some((f64::min(low, x), f64::max(high, x))),
    })
}

impl Axis {
    /// Equal steps for equal differences, over these values and a little more, with about so many marks.
    pub(crate) fn linear(values: impl IntoIterator<Item = f64>, about: usize) -> Axis {
        Axis::padded(values, [0.05, 0.05], about)
    }

    /// As [`Axis::linear`], with shares of the range left free below and above.
    pub(crate) fn padded(
        values: impl IntoIterator<Item = f64>,
        [below, above]: [f64; 2],
        about: usize,
    ) -> Axis {
        let (low, high) = ends(values).unwrap_or((0.0, 1.0));
        // One value alone is shown in its surroundings.
        let range = if high > low { high - low } else { (0.1 * high.abs()).max(1e-9) };
        Axis::between(low - below * range, high + above * range, about)
    }

    /// Equal steps for equal differences, exactly from `low` to `high`.
    pub(crate) fn between(low: f64, high: f64, about: usize) -> Axis {
        let marks = |step: f64| ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
        let mut step = step((high - low) / about.max(1) as f64);
        // One mark or two say nothing of the steps.
        while about > 2 && marks(step).1 - marks(step).0 < 2 {
            step = self::step(0.4 * step);
        }
        let (first, last) = marks(step);
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        let tick = |k: i64| {
            let value = k as f64 * step;
            let text = match value.abs() < 1e6 {
                true => minus(&format!("{value:.decimals$}")),
                false => crate::number::power(value, 2),
            };
            (value, text)
        };
        let ticks = (first..=last.min(first.saturating_add(50))).map(tick).collect();
        Axis { scale: Scale::Linear, low, high, ticks }
    }

    /// Equal steps for equal ratios, over the positive ones of these values and a little more.
    pub(crate) fn log(values: impl IntoIterator<Item = f64>, about: usize) -> Axis {
        let positive = values.into_iter().filter(|x| *x > 0.0);
        let (low, high) = ends(positive).map_or((0.0, 1.0), |(low, high)| (low.log10(), high.log10()));
        // Between neighbours of 1, 2, 5 and 10 there are 0.4 at most, so that one has its mark.
        let pad = (0.04 * (high - low)).max(0.5 * (0.41 - (high - low)));
        let (low, high) = (low - pad, high + pad);
        let decades = |stride: i32| -> Vec<(f64, String)> {
            let all = (low.ceil() as i32..=high.floor() as i32).filter(|k| k.rem_euclid(stride) == 0);
            all.map(|k| (10f64.powi(k), power_of_ten(k))).collect()
        };
        let ticks = match high - low < 1.6 {
            // Less than two powers of ten would be seen.
            true => {
                let each = |k: i32| [1.0, 2.0, 5.0].map(|m| (k, m));
                let all = (low.floor() as i32..=high.ceil() as i32).flat_map(each);
                all.map(|(k, m)| (m * 10f64.powi(k), multiple(k, m)))
                    .filter(|(x, _)| (low..=high).contains(&x.log10()))
                    .collect()
            }
            false => {
                let stride = ((high - low) / about.max(1) as f64).ceil().max(1.0) as i32;
                decades(stride)
            }
        };
        Axis { scale: Scale::Log, low, high, ticks }
    }

    /// Where a value lies, 0 at the low end and 1 at the high one.
    pub(crate) fn share(&self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
        };
        (value - self.low) / (self.high - self.low)
    }
}

/// The next larger of 1, 2 and 5 times a power of ten.
fn step(raw: f64) -> f64 {
    let unit = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * unit >= raw * 0.999);
    unit * factor.unwrap_or(10.0)
}

fn power_of_ten(k: i32) -> String {
    match k {
        0 => "1".into(),
        1 => "10".into(),
        -2..=-1 | 2 => crate::number::digits(10f64.powi(k), 1),
        k => format!("10{}", raised(&k.to_string())),
    }
}

fn multiple(k: i32, m: f64) -> String {
    match (-3..4).contains(&k) {
        true => crate::number::digits(m * 10f64.powi(k), 1),
        false if m == 1.0 => power_of_ten(k),
        false => format!("{m} × 10{}", raised(&k.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn marks_are_round() {
        assert_eq!(texts(&Axis::between(1.62, 2.07, 5)), ["1.7", "1.8", "1.9", "2.0"]);
        assert_eq!(texts(&Axis::between(-0.031, 0.042, 5)), ["−0.02", "0.00", "0.02", "0.04"]);
        assert_eq!(texts(&Axis::between(-4.4, 4.4, 4)), ["−4", "−2", "0", "2", "4"]);
        assert_eq!(texts(&Axis::between(0.0, 100.0, 5)), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(texts(&Axis::log([1e9, 3e13], 6)), ["10⁹", "10¹⁰", "10¹¹", "10¹²", "10¹³"]);
        assert_eq!(texts(&Axis::log([1e9, 3e21], 6)), ["10⁹", "10¹²", "10¹⁵", "10¹⁸", "10²¹"]);
        assert_eq!(texts(&Axis::log([0.004, 0.03], 6)), ["0.005", "0.01", "0.02"]);
        assert_eq!(texts(&Axis::log([16.0, 128.0], 6)), ["20", "50", "100"]);
        assert_eq!(texts(&Axis::log([1e6, 9e6], 6)), ["10⁶", "2 × 10⁶", "5 × 10⁶"]);
    }

    #[test]
    fn values_have_their_places() {
        let axis = Axis::between(2.0, 4.0, 4);
        assert_eq!([2.0, 2.5, 4.0].map(|x| axis.share(x)), [0.0, 0.25, 1.0]);
        let axis = Axis::log([1.0, 100.0], 4);
        assert!((axis.share(10.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn one_value_or_none_is_an_axis_too() {
        for axis in [
            Axis::linear([], 5),
            Axis::linear([3.0], 5),
            Axis::linear([0.0], 5),
            Axis::log([], 5),
            Axis::log([7.0], 5),
        ] {
            assert!(axis.high > axis.low && axis.ticks.len() < 20, "{axis:?}");
        }
        assert!((Axis::linear([3.0], 5).share(3.0) - 0.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn all_values_and_marks_lie_inside(a in -1e12f64..1e12, range in 1e-6f64..1e12, about in 2usize..9) {
            let axis = Axis::linear([a, a + range], about);
            prop_assert!(axis.ticks.len() <= 2 * about + 2, "{:?}", axis);
            for x in axis.ticks.iter().map(|tick| tick.0).chain([a, a + range]) {
                prop_assert!((-1e-6..=1.0 + 1e-6).contains(&axis.share(x)), "{x} {axis:?}");
            }
        }

        #[test]
        fn on_a_log_axis_too(low in -20f64..20.0, span in 0f64..25.0, about in 3usize..9) {
            let (a, b) = (10f64.powf(low), 10f64.powf(low + span));
            let axis = Axis::log([a, b], about);
            prop_assert!((1..=about + 3).contains(&axis.ticks.len()), "{:?}", axis);
            for x in axis.ticks.iter().map(|tick| tick.0).chain([a, b]) {
                prop_assert!((-1e-6..=1.0 + 1e-6).contains(&axis.share(x)), "{x} {axis:?}");
            }
        }
    }
}
