//! Whether intervals hold as often as they say.

use crate::axis::Axis;
use crate::figure::{Row, number, table, word};
use crate::html::Element;
use crate::ledger::Foretold;
use crate::number::{count, percent};
use crate::plot::{About, Plot, Shape, Size};
use scaling::LEVELS;

/// How often the intervals of one level held.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Share {
    level: u32,
    held: usize,
    outcomes: usize,
}

fn shares(predictions: &[Foretold]) -> [Share; 3] {
    LEVELS.map(|level| {
        let known = || predictions.iter().filter_map(|one| Some((one, one.outcome.as_ref()?)));
        let held =
            known().filter(|(one, outcome)| one.held(outcome).is_some_and(|narrowest| narrowest <= level));
        Share { level, held: held.count(), outcomes: known().count() }
    })
}

/// The 95 % interval of a share by Wilson (1927): it holds for few outcomes too, and never leaves 0 to 1.
fn wilson(held: usize, of: usize) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if of == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (of as f64, held as f64 / of as f64);
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / (1.0 + Z * Z / n);
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// Stated against observed.
pub(crate) fn draw(predictions: &[Foretold]) -> Element {
    let mut x = Axis::between(75.0, 100.0, 5);
    x.ticks = LEVELS.map(|level| (f64::from(level), format!("{level}"))).into();
    let y = Axis::between(0.0, 100.0, 5);
    let mut plot = Plot::new(Size::Small, (x, "stated, %"), (y, "held, %"), 0);
    plot.line(&[(75.0, 75.0), (100.0, 100.0)], "mark", &About::default());
    let shares = shares(predictions);
    for Share { level, held, outcomes } in shares {
        let (low, high) = wilson(held, outcomes);
        plot.interval(f64::from(level), 100.0 * low, 100.0 * high, "foretold");
        let observed = 100.0 * held as f64 / outcomes.max(1) as f64;
        let title = format!("{level} % intervals held {held} of {outcomes}");
        plot.point(f64::from(level), observed, Shape::Dot(4.5), "foretold", &About { title, anchor: None });
    }
    let outcomes = shares[0].outcomes;
    let held = shares.map(|share| format!("{} % held {}", share.level, share.held)).join(", ");
    plot.svg(&format!("Of {}, the intervals stated as {held}.", count(outcomes, "outcome", "outcomes")))
}

/// The same as a table.
pub(crate) fn numbers(predictions: &[Foretold]) -> Element {
    let row = |share: Share| -> Row {
        let (low, high) = wilson(share.held, share.outcomes);
        vec![
            word(format!("{} %", share.level)),
            number(format!("{} of {}", share.held, share.outcomes)),
            number(percent(share.held as f64 / share.outcomes.max(1) as f64, 0)),
            number(format!("{} to {}", percent(low, 0), percent(high, 0))),
        ]
        .into()
    };
    let heads = ["stated", "#held", "#share", "#95 % interval of the share"];
    table("Calibration", &heads, shares(predictions).map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_shares_are_those_of_tables() {
        let close = |(low, high): (f64, f64), want: (f64, f64)| {
            assert!((low - want.0).abs() < 5e-4 && (high - want.1).abs() < 5e-4, "{low} {high}");
        };
        // Newcombe (1998), table I: 81 of 263 and 15 of 148, then none and all.
        close(wilson(81, 263), (0.2553, 0.3662));
        close(wilson(15, 148), (0.0624, 0.1605));
        close(wilson(0, 20), (0.0, 0.1611));
        close(wilson(20, 20), (0.8389, 1.0));
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }
}
