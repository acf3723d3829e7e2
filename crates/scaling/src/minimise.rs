//! Minimising a function of a few variables without its derivative (Nelder and Mead, 1965).

/// From a start and a step in each variable to the best point found. Deterministic; stops when the simplex
/// agrees to twelve digits, or after `rounds` rounds.
pub(crate) fn simplex<const K: usize>(
    start: [f64; K],
    step: [f64; K],
    rounds: usize,
    f: impl Fn(&[f64; K]) -> f64,
) -> ([f64; K], f64) {
    let value = |x: &[f64; K]| Some(f(x)).filter(|y| !y.is_nan()).unwrap_or(f64::INFINITY);
    let mut points = vec![(start, value(&start))];
    for i in 0..K {
        let mut x = start;
        x[i] += step[i];
        points.push((x, value(&x)));
    }
    for _ in 0..rounds {
        points.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (best, worst) = (points[0].1, points[K]);
        if (worst.1 - best).abs() <= 1e-13 * (worst.1.abs() + best.abs()) {
            break;
        }
        let mut centre = [0.0; K];
        for (x, _) in &points[..K] {
            (0..K).for_each(|i| centre[i] += x[i] / K as f64);
        }
        let along = |t: f64| {
            let x: [f64; K] = std::array::from_fn(|i| centre[i] + t * (worst.0[i] - centre[i]));
            (x, value(&x))
        };
        let reflected = along(-1.0);
        let new = if reflected.1 < best {
            let further = along(-2.0);
            if further.1 < reflected.1 { further } else { reflected }
        } else if reflected.1 < points[K - 1].1 {
            reflected
        } else {
            let nearer = if reflected.1 < worst.1 { along(-0.5) } else { along(0.5) };
            if nearer.1 >= worst.1.min(reflected.1) {
                let to = points[0].0;
                for (x, y) in &mut points[1..] {
                    (0..K).for_each(|i| x[i] = to[i] + 0.5 * (x[i] - to[i]));
                    *y = value(x);
                }
                continue;
            }
            nearer
        };
        points[K] = new;
    }
    points.sort_by(|a, b| a.1.total_cmp(&b.1));
    points[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bent_valley_is_followed_to_its_end() {
        let banana = |x: &[f64; 2]| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2);
        let (x, y) = simplex([-1.2, 1.0], [0.5, 0.5], 2000, banana);
        assert!(y < 1e-12 && (x[0] - 1.0).abs() < 1e-5, "{x:?} {y}");
    }

    #[test]
    fn places_without_a_value_are_avoided() {
        let (x, _) = simplex([3.0], [1.0], 500, |x| if x[0] < 1.0 { f64::NAN } else { x[0] });
        assert!((x[0] - 1.0).abs() < 1e-6);
    }
}
