//! A ladder: finished rungs, and what they foretell.

use crate::run::Run;
use scaling::forecast::Family;
use scaling::{Prediction, Target, support};
use std::collections::BTreeSet;

/// A ladder of small runs.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    /// What it is called on the page.
    pub name: String,
    /// Its folder, as it was given.
    pub folder: String,
    /// Its rungs that are done.
    pub rungs: Vec<Run>,
    /// Names of the others.
    pub unfinished: Vec<String>,
}

/// Points of a law's line.
const POINTS: usize = 48;

/// A finished rung with one loss.
pub(crate) struct Rung<'a> {
    pub(crate) run: &'a Run,
    pub(crate) row: scaling::Run,
    /// Whether it is among those that foretell.
    pub(crate) used: bool,
}

/// Finished rungs with one loss, ready to foretell.
pub(crate) struct Fitted<'a> {
    pub(crate) rungs: Vec<Rung<'a>>,
    /// What foretells; `None` where the rungs are too few.
    pub(crate) family: Option<Family>,
}

impl Ladder {
    /// The rungs that have the held-out loss (`None`) or that on a further set, and the law over all of them or over
    /// those whose metrics have one of some hashes.
    pub(crate) fn fitted(&self, set: Option<&str>, only: Option<&BTreeSet<String>>) -> Fitted<'_> {
        let used = |run: &Run| only.is_none_or(|hashes| hashes.contains(&run.hashes.metrics));
        let rung = |run| Some(Rung { run, row: run.row(set)?, used: used(run) });
        let rungs: Vec<_> = self.rungs.iter().filter_map(rung).collect();
        let rows: Vec<_> = rungs.iter().filter(|rung| rung.used).map(|rung| rung.row).collect();
        Fitted { rungs, family: Family::new(&rows).ok() }
    }

    /// Names of the further sets that some rung was scored on.
    pub(crate) fn sets(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.rungs.iter().flat_map(|rung| rung.sets.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Fitted<'_> {
    /// Rows of the rungs.
    pub(crate) fn rows(&self) -> Vec<scaling::Run> {
        self.rungs.iter().map(|rung| rung.row).collect()
    }

    /// The rung that a row is of.
    pub(crate) fn rung(&self, row: &scaling::Run) -> Option<&Run> {
        self.rungs.iter().find(|rung| rung.row == *row).map(|rung| rung.run)
    }

    /// Compute of the dearest rung that foretells.
    pub(crate) fn dearest(&self) -> f64 {
        self.rungs.iter().filter(|rung| rung.used).map(|rung| rung.row.flops).fold(0.0, f64::max)
    }

    /// The law at so many tokens a parameter, from one compute to another; nothing where it says nothing.
    pub(crate) fn line(&self, ratio: f64, (low, high): (f64, f64)) -> Vec<(f64, Prediction)> {
        let Some(family) = &self.family else { return Vec::new() };
        let each = support::flops(family.runs(), &Target { parameters: 1.0, tokens: 1.0 });
        let point = |k: usize| {
            let flops = low * (high / low).powf(k as f64 / (POINTS - 1) as f64);
            let parameters = (flops / each / ratio).sqrt();
            let target = Target { parameters, tokens: ratio * parameters };
            Some((flops, family.predict(&target).ok()?))
        };
        (0..POINTS).filter_map(point).collect()
    }
}
