//! The end of a run's curve.
//!
//! What a run reached is its last loss, after the rate has fallen. Losses before it belong to another rate,
//! so only those of the last hundredth of the run are averaged with it, where there are some: there a law
//! moves by less than a thousandth, and the noise of single evaluations is the larger error.

use scaling::Run;

/// An evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The run as if it had ended here.
    pub run: Run,
    /// Its step, or its tokens.
    pub progress: f64,
    /// Tokens after which the schedule would have ended.
    pub schedule: Option<f64>,
}

/// Share of a run that its end is.
const LAST: f64 = 0.01;

/// Share of its schedule that a run must have done.
const DONE: f64 = 0.99;

impl Point {
    /// Why the run says nothing of a finished one, if it was cut short.
    pub fn cut(&self) -> Option<String> {
        let share = self.run.tokens / self.schedule?;
        (share < DONE).then(|| format!("it did {:.0} % of its schedule", 100.0 * share))
    }
}

/// The last point with the mean loss of the last hundredth, and how many points that is; of equal progress
/// the later line is the last.
pub fn end(points: &[Point]) -> Option<(Point, usize)> {
    let last = points.iter().copied().reduce(|a, b| if b.progress >= a.progress { b } else { a })?;
    let late =
        |point: &&Point| point.progress > (1.0 - LAST) * last.progress && point.progress < last.progress;
    let losses: Vec<f64> =
        points.iter().filter(late).map(|point| point.run.loss).chain([last.run.loss]).collect();
    let loss = losses.iter().sum::<f64>() / losses.len() as f64;
    Some((Point { run: Run { loss, ..last.run }, ..last }, losses.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(progress: f64, loss: f64) -> Point {
        let run = Run { parameters: 1e6, tokens: 1e4 * progress, flops: 6e10 * progress, loss };
        Point { run, progress, schedule: None }
    }

    #[test]
    fn the_last_hundredth_is_averaged_and_nothing_before_it() {
        let points = [point(1000.0, 3.0), point(10.0, 5.0), point(989.0, 9.0), point(995.0, 3.2)];
        let (end, of) = end(&points).unwrap();
        assert_eq!((of, end.run.tokens), (2, 1e7));
        assert!((end.run.loss - 3.1).abs() < 1e-12);
        assert!(super::end(&[]).is_none());
    }

    #[test]
    fn of_equal_points_the_later_line_counts() {
        assert_eq!(end(&[point(10.0, 3.0), point(10.0, 4.0)]).unwrap(), (point(10.0, 4.0), 1));
    }

    #[test]
    fn a_run_that_ended_before_its_schedule_is_cut_short() {
        let of = |tokens: f64| Point { schedule: Some(tokens), ..point(100.0, 3.0) };
        assert_eq!((of(1e6).cut(), of(1.005e6).cut()), (None, None));
        assert!(of(2e6).cut().unwrap().contains("50 %"));
    }
}
