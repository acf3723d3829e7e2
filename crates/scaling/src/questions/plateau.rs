//! How surprised a model is by right answers, as a function of its held-out loss: the capability law
//! (SCL-5) with a plateau before it, where a model only guesses, and one behind it, where questions cannot be
//! answered for certain. Its constants are averaged over, not chosen.

use crate::mixture::Mixture;

/// One set of constants: `Y·(f + (1 − f) / (1 + (L₀/L)^k))` is the mean of `−ln p` at the held-out loss L.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// First the logarithm of its weight, then its share.
    weight: f64,
    /// Place in [`STEEPNESS`].
    steepness: usize,
    /// `−ln L₀`.
    middle: f64,
    /// f.
    floor: f64,
    /// ln Y.
    height: f64,
    /// Variance of the residuals of `ln −E[ln p]`, and that of ln Y.
    variance: (f64, f64),
}

/// What runs say of a bucket.
#[derive(Clone, Debug)]
pub(super) struct Plateau {
    points: Vec<Point>,
}

/// A bucket as the runs answered it.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// For each run `−ln` of its held-out loss, ln of the mean of `−ln p`, and its weight.
    pub(super) runs: Vec<(f64, f64, f64)>,
    /// ln of the mean of `−ln chance`.
    pub(super) guess: f64,
}

/// Values of k that are tried, geometric: with losses that fall as C^−0.1, exponents of 0.1 to 5 of compute.
const STEEPNESS: std::ops::Range<usize> = 0..16;

fn steepness(place: usize) -> f64 {
    1.3f64.powi(place as i32)
}

/// Where ln k lies before any question was asked, and how far from the others' mean a bucket's own may be.
const EXPONENT: (f64, f64) = (2.1, 0.8);
const APART: f64 = 0.35;

/// Values of f with their shares: of most questions little is left to doubt.
const FLOORS: [(f64, f64); 5] = [(0.0, 0.35), (0.1, 0.25), (0.2, 0.2), (0.35, 0.12), (0.5, 0.08)];

/// `−ln L₀` is tried from so far before the worst run to so far behind the best, in such steps.
const MIDDLES: (f64, f64, f64) = (0.6, 1.2, 0.05);

/// Runs' worth of evidence that the plateau lies where guesses do.
const GUESS: f64 = 0.05;

/// Relative deviation between equal runs before any are seen, and the runs' worth of evidence for it.
const NOISE: (f64, f64) = (0.04, 2.0);

/// Relative error of the law itself.
const FLOOR: f64 = 0.03;

/// Parts that weigh less than this share of the heaviest are forgotten.
const NEGLIGIBLE: f64 = 1e-4;

/// `ln(f + (1 − f) / (1 + e^z))`.
fn shape(floor: f64, z: f64) -> f64 {
    match floor == 0.0 {
        // Without the loss of digits where it is small.
        true if z > 30.0 => -z,
        true => -z.exp().ln_1p(),
        false => (floor + (1.0 - floor) / (1.0 + z.exp())).ln(),
    }
}

/// Fits all buckets together: how steep one falls is evidence of the others.
pub(super) fn fit(curves: &[Curve]) -> Vec<Plateau> {
    let mut all: Vec<Vec<Point>> = curves.iter().map(points).collect();
    // For each bucket the evidence of each k.
    let of_steepness: Vec<Vec<f64>> = all
        .iter()
        .map(|points| STEEPNESS.map(|k| sum(points.iter().filter(|p| p.steepness == k))).collect())
        .collect();
    let near = |a: usize, b: usize| -0.5 * ((a as f64 - b as f64) * 1.3f64.ln() / APART).powi(2);
    let prior = |k: usize| -0.5 * ((steepness(k).ln() - EXPONENT.0) / EXPONENT.1).powi(2);
    for (bucket, points) in all.iter_mut().enumerate() {
        let mean: Vec<f64> = STEEPNESS
            .map(|mean| {
                let others = of_steepness.iter().enumerate().filter(|(other, _)| *other != bucket);
                let said = others.map(|(_, each)| log_sum(STEEPNESS.map(|k| near(k, mean) + each[k])));
                prior(mean) + said.sum::<f64>()
            })
            .collect();
        let own: Vec<f64> = STEEPNESS.map(|k| log_sum(STEEPNESS.map(|m| mean[m] + near(k, m)))).collect();
        points.iter_mut().for_each(|point| point.weight += own[point.steepness]);
        let most = points.iter().map(|point| point.weight).fold(f64::NEG_INFINITY, f64::max);
        points.iter_mut().for_each(|point| point.weight = (point.weight - most).exp());
        points.retain(|point| point.weight > NEGLIGIBLE);
    }
    all.into_iter().map(|points| Plateau { points }).collect()
}

fn sum<'a>(points: impl Iterator<Item = &'a Point> + Clone) -> f64 {
    log_sum(points.map(|point| point.weight))
}

/// Logarithm of a sum of exponentials.
fn log_sum(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    most + terms.map(|term| (term - most).exp()).sum::<f64>().ln()
}

/// The grid, each point with the logarithm of its evidence.
fn points(curve: &Curve) -> Vec<Point> {
    let runs = &curve.runs;
    let total: f64 = runs.iter().map(|run| run.2).sum();
    // As many equal weights would say as much (Kish).
    let effective = total * total / runs.iter().map(|run| run.2 * run.2).sum::<f64>();
    let least = runs.iter().map(|run| run.0).fold(f64::INFINITY, f64::min) - MIDDLES.0;
    let most = runs.iter().map(|run| run.0).fold(f64::NEG_INFINITY, f64::max) + MIDDLES.1;
    let steps = ((most - least) / MIDDLES.2).ceil().min(200.0) as usize;
    let freedom = effective - 1.0 + NOISE.1;
    let mut points = Vec::new();
    let mut rests = vec![0.0; runs.len()];
    for k in STEEPNESS {
        for middle in (0..=steps).map(|step| least + MIDDLES.2 * step as f64) {
            for (floor, share) in FLOORS {
                let mut mean = GUESS * curve.guess;
                for ((x, y, weight), rest) in runs.iter().zip(&mut rests) {
                    *rest = y - shape(floor, steepness(k) * (x - middle));
                    mean += weight * effective / total * *rest;
                }
                let height = mean / (effective + GUESS);
                let off = |rest: &f64| (rest - height).powi(2);
                let squares: f64 =
                    runs.iter().zip(&rests).map(|(run, rest)| run.2 * effective / total * off(rest)).sum();
                let residual = squares + GUESS * off(&curve.guess) + NOISE.1 * NOISE.0 * NOISE.0;
                let variance = residual / freedom;
                points.push(Point {
                    weight: share.ln() - 0.5 * freedom * residual.ln(),
                    steepness: k,
                    middle,
                    floor,
                    height,
                    variance: (variance, variance / (effective + GUESS)),
                });
            }
        }
    }
    points
}

impl Plateau {
    /// The distribution of ln of the mean of `−ln p` at held-out losses that are equally likely.
    pub(super) fn at(&self, losses: &[f64]) -> Mixture {
        let mut mixture = Mixture::default();
        for point in &self.points {
            for loss in losses {
                let z = steepness(point.steepness) * (-loss.ln() - point.middle);
                let deviation = (point.variance.0 + point.variance.1 + FLOOR * FLOOR).sqrt();
                mixture.add(point.weight, point.height + shape(point.floor, z), deviation);
            }
        }
        mixture
    }
}
