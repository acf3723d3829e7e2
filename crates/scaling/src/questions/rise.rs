//! How the mean probability of right answers rises as the held-out loss falls: from chance, which balanced choices keep
//! a model at that knows nothing, to nearly one. The curve's constants are averaged over, not chosen.
//!
//! The mean of `−ln p`, which the capability law is of, also falls while a model merely learns how little it knows; so the rise is
//! not taken from it.

/// One set of constants: `T / (1 + (L/L₀)^k)` of the way from chance to certainty, at the held-out loss L.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// First the logarithm of its weight, then its share.
    weight: f64,
    /// Place in [`STEEPNESS`].
    steepness: usize,
    /// `−ln L₀`.
    middle: f64,
    /// T.
    top: f64,
    /// Variance of a run over that which [`noise`] expects.
    variance: f64,
}

/// What runs say of a cell: questions of one family and level.
#[derive(Clone, Debug)]
pub(super) struct Rise {
    points: Vec<Point>,
}

/// A cell as a run answered it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// `−ln` of the run's held-out loss.
    pub(super) skill: f64,
    /// Share of the way from chance to certainty that the mean probability has gone.
    pub(super) way: f64,
    /// How much the run counts.
    pub(super) weight: f64,
}

/// Values of k that are tried, geometric.
const STEEPNESS: std::ops::Range<usize> = 0..14;

const FACTOR: f64 = 1.25;

fn steepness(place: usize) -> f64 {
    1.6 * FACTOR.powi(place as i32)
}

/// Where ln k lies before any question was asked, and how far from the others' mean a cell's own may be.
const EXPONENT: (f64, f64) = (1.8, 0.6);
const APART: f64 = 0.3;

/// Values of T with their shares: questions of a kind can be answered nearly for certain, sooner or later. A lower one would let a rise
/// that has just begun pass for one that is over.
const TOPS: [(f64, f64); 4] = [(1.0, 0.45), (0.95, 0.25), (0.88, 0.18), (0.75, 0.12)];

/// `−ln L₀` is tried from so far before the worst run to so far behind the best, in such steps.
const MIDDLES: (f64, f64, f64) = (0.5, 2.4, 0.05);

/// Deviation of the way gone between equal runs before any are seen: at its ends and, in the middle, as
/// much more; and the runs' worth of evidence for it.
const NOISE: (f64, f64, f64) = (0.006, 0.03, 2.0);

/// Deviation of the curve itself in the middle.
const FLOOR: f64 = 0.02;

/// Parts that weigh less than this share of the heaviest are forgotten.
const NEGLIGIBLE: f64 = 1e-3;

/// Points of a normal distribution that are equally likely.
const NORMAL: [f64; 5] = [-1.281_551_6, -0.524_400_5, 0.0, 0.524_400_5, 1.281_551_6];

/// Makes up for the tails beyond the outermost of [`NORMAL`].
const TAILS: f64 = 1.13;

/// Variance expected of a run that has gone so much of the way.
fn noise(way: f64) -> f64 {
    NOISE.0 * NOISE.0 + NOISE.1 * NOISE.1 * middle(way)
}

/// 1 half-way, 0 at the ends.
fn middle(way: f64) -> f64 {
    let way = way.clamp(0.0, 1.0);
    4.0 * way * (1.0 - way)
}

/// Fits all cells together: how steep one rises is evidence of the others.
pub(super) fn fit(cells: &[Vec<Seen>]) -> Vec<Rise> {
    let mut all: Vec<Vec<Point>> = cells.iter().map(|runs| points(runs)).collect();
    // For each cell the evidence of each k.
    let evidence: Vec<Vec<f64>> = all
        .iter()
        .map(|points| {
            let of = |k: usize| log_sum(points.iter().filter(|p| p.steepness == k).map(|p| p.weight));
            STEEPNESS.map(of).collect()
        })
        .collect();
    let near = |a: usize, b: usize| -0.5 * ((a as f64 - b as f64) * FACTOR.ln() / APART).powi(2);
    let prior = |k: usize| -0.5 * ((steepness(k).ln() - EXPONENT.0) / EXPONENT.1).powi(2);
    for (cell, points) in all.iter_mut().enumerate() {
        let mean = |mean: usize| {
            let others = evidence.iter().enumerate().filter(|(other, _)| *other != cell);
            let said = others.map(|(_, each)| log_sum(STEEPNESS.map(|k| near(k, mean) + each[k])));
            prior(mean) + said.sum::<f64>()
        };
        let mean: Vec<f64> = STEEPNESS.map(mean).collect();
        let own: Vec<f64> = STEEPNESS.map(|k| log_sum(STEEPNESS.map(|m| mean[m] + near(k, m)))).collect();
        points.iter_mut().for_each(|point| point.weight += own[point.steepness]);
        let most = points.iter().map(|point| point.weight).fold(f64::NEG_INFINITY, f64::max);
        points.iter_mut().for_each(|point| point.weight = (point.weight - most).exp());
        points.retain(|point| point.weight > NEGLIGIBLE);
    }
    all.into_iter().map(|points| Rise { points }).collect()
}

/// Logarithm of a sum of exponentials.
fn log_sum(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    most + terms.map(|term| (term - most).exp()).sum::<f64>().ln()
}

/// The grid, each point with the logarithm of its evidence.
fn points(runs: &[Seen]) -> Vec<Point> {
    let total: f64 = runs.iter().map(|run| run.weight).sum();
    // As many equal weights would say as much (Kish).
    let effective = total * total / runs.iter().map(|run| run.weight * run.weight).sum::<f64>();
    let weights: Vec<f64> = runs.iter().map(|run| run.weight * effective / total / noise(run.way)).collect();
    let least = runs.iter().map(|run| run.skill).fold(f64::INFINITY, f64::min) - MIDDLES.0;
    let most = runs.iter().map(|run| run.skill).fold(f64::NEG_INFINITY, f64::max) + MIDDLES.1;
    let steps = ((most - least) / MIDDLES.2).ceil().min(200.0) as usize;
    let freedom = effective + NOISE.2;
    let mut points = Vec::new();
    let mut curve = vec![0.0; runs.len()];
    for k in STEEPNESS {
        for middle in (0..=steps).map(|step| least + MIDDLES.2 * step as f64) {
            for (run, way) in runs.iter().zip(&mut curve) {
                *way = rise(k, middle, run.skill);
            }
            for (top, share) in TOPS {
                let rows = runs.iter().zip(&curve).zip(&weights);
                let squares: f64 =
                    rows.map(|((run, way), weight)| weight * (run.way - top * way).powi(2)).sum();
                let residual = squares + NOISE.2;
                let weight = f64::ln(share) - 0.5 * freedom * residual.ln();
                points.push(Point { weight, steepness: k, middle, top, variance: residual / freedom });
            }
        }
    }
    points
}

fn rise(k: usize, middle: f64, skill: f64) -> f64 {
    1.0 / (1.0 + (steepness(k) * (middle - skill)).exp())
}

impl Rise {
    /// The way gone at a held-out loss.
    pub(super) fn at(&self, loss: f64) -> Spread {
        let mut spread = Spread { bins: vec![0.0; BINS], total: 0.0 };
        for point in &self.points {
            let way = point.top * rise(point.steepness, point.middle, -loss.ln());
            let variance = point.variance * noise(way) + FLOOR * FLOOR * middle(way);
            let deviation = TAILS * variance.sqrt();
            NORMAL.iter().for_each(|z| spread.add(way + z * deviation, point.weight));
        }
        spread
    }
}

/// A distribution of ways as weights of equal bins.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    bins: Vec<f64>,
    total: f64,
}

/// The bins, and where they begin and end.
const BINS: usize = 560;
const ENDS: (f64, f64) = (-0.2, 1.2);

impl Spread {
    fn add(&mut self, way: f64, weight: f64) {
        let place = (way - ENDS.0) / (ENDS.1 - ENDS.0) * BINS as f64;
        let bin = (place.max(0.0) as usize).min(BINS - 1);
        self.bins[bin] += weight;
        self.total += weight;
    }

    /// The values below which these shares lie, which rise.
    pub(super) fn quantiles(&self, shares: &[f64]) -> Vec<f64> {
        let (mut bin, mut sum) = (0, 0.0);
        let quantile = |share: &f64| {
            let wanted = share * self.total;
            while bin + 1 < BINS && sum + self.bins[bin] < wanted {
                sum += self.bins[bin];
                bin += 1;
            }
            let inside = (wanted - sum) / self.bins[bin].max(f64::MIN_POSITIVE);
            ENDS.0 + (ENDS.1 - ENDS.0) * (bin as f64 + inside.clamp(0.0, 1.0)) / BINS as f64
        };
        shares.iter().map(quantile).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_is_found_again_and_one_that_has_not_begun_is_left_open() {
        let seen = |middle: f64, top: f64| -> Vec<Seen> {
            (0..20)
                .map(|i| -1.4 + 0.03 * f64::from(i))
                .map(|skill| Seen { skill, way: top / (1.0 + (6.0 * (middle - skill)).exp()), weight: 1.0 })
                .collect()
        };
        let rises = fit(&[seen(-1.1, 0.95), seen(-0.7, 1.0), seen(9.0, 1.0)]);
        let [early, late, never] = [0, 1, 2].map(|i| {
            let spread = rises[i].at(0.5f64.exp());
            spread.quantiles(&[0.05, 0.5, 0.95])
        });
        let truth = |middle: f64, top: f64| top / (1.0 + (6.0 * (middle + 0.5f64)).exp());
        assert!((early[1] - truth(-1.1, 0.95)).abs() < 0.03, "{early:?}");
        assert!((late[1] - truth(-0.7, 1.0)).abs() < 0.08, "{late:?} {}", truth(-0.7, 1.0));
        assert!(late[2] - late[0] > early[2] - early[0] && never[1] < 0.05, "{never:?}");
    }

    #[test]
    fn shares_are_found_within_their_bins() {
        let mut spread = Spread { bins: vec![0.0; BINS], total: 0.0 };
        (0..1000).for_each(|i| spread.add(f64::from(i) / 1000.0, 2.0));
        for (share, value) in [0.005, 0.5, 0.999].iter().zip(spread.quantiles(&[0.005, 0.5, 0.999])) {
            assert!((share - value).abs() < 0.005, "{share} {value}");
        }
        spread.add(9.0, 1e9);
        assert!(spread.quantiles(&[0.5])[0] <= ENDS.1);
    }
}
