//! Curves with fewer points: a report of many runs stays small.

/// Means over windows, at most `most` of them, equal in the logarithm of x: as the curve is shown. Points whose x is
/// not positive or that are no numbers are left out.
pub(crate) fn thin(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let good = |point: &&(f64, f64)| point.0 > 0.0 && point.0.is_finite() && point.1.is_finite();
    let points: Vec<(f64, f64)> = points.iter().filter(good).copied().collect();
    let Some((low, high)) = crate::axis::ends(points.iter().map(|point| point.0.ln())) else {
        return Vec::new();
    };
    if points.len() <= most || most == 0 {
        return points;
    }
    let width = (high - low).max(1e-12) / most as f64;
    let mut windows = vec![(0.0, 0.0, 0.0); most];
    for (x, y) in points {
        let window = &mut windows[(((x.ln() - low) / width) as usize).min(most - 1)];
        *window = (window.0 + x, window.1 + y, window.2 + 1.0);
    }
    windows.into_iter().filter(|window| window.2 > 0.0).map(|(x, y, n)| (x / n, y / n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_points_stay_as_they_are() {
        let points = [(1.0, 3.0), (2.0, 2.0), (0.0, 9.0), (3.0, f64::NAN)];
        assert_eq!(thin(&points, 5), points[..2]);
        assert!(thin(&[], 5).is_empty());
    }

    #[test]
    fn windows_are_means() {
        let points: Vec<_> = (1..=1000).map(|x| (f64::from(x), 5.0)).collect();
        let thinned = thin(&points, 10);
        assert!((8..=10).contains(&thinned.len()) && thinned.iter().all(|point| point.1 == 5.0));
        // Equal in the logarithm: the first lies where few points are.
        assert!(thinned[0].0 < 3.0 && thinned.is_sorted_by(|a, b| a.0 < b.0));
    }

    proptest! {
        #[test]
        fn nothing_leaves_the_range(ys in prop::collection::vec(-9f64..9.0, 1..300), most in 1usize..50) {
            let points: Vec<_> = ys.iter().enumerate().map(|(i, y)| (i as f64 + 1.0, *y)).collect();
            let thinned = thin(&points, most);
            prop_assert!(!thinned.is_empty() && thinned.len() <= most.max(ys.len().min(most)));
            let (low, high) = crate::axis::ends(ys).unwrap();
            prop_assert!(thinned.iter().all(|point| (low - 1e-9..=high + 1e-9).contains(&point.1)));
        }
    }
}
