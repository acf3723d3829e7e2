//! Buckets of questions from easy to hard, by what the smaller models make of them.

use super::Answers;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Buckets of a set, as in the GPT-4 report (SCL-7).
pub const BUCKETS: usize = 6;

/// Questions of a bucket, at least, where a set has no families and levels enough to go by.
const FEWEST: usize = 20;

/// What makes a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Like difficulty: [`BUCKETS`] of them from easy to hard.
    #[default]
    Difficulty,
    /// A family at a level, in the order of their names.
    Cells,
}

/// Questions that are foretold together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// `1` is the easiest; of a family at a level `family-level`.
    pub name: String,
    /// Which questions are in it.
    pub members: Members,
}

/// How the questions of a bucket are named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Members {
    /// Whole families at a level, each as `family level`. Questions that share their choices stay together, so that guessing is at
    /// chance in every bucket.
    Cells(BTreeSet<String>),
    /// Single questions, by their ids.
    Ids(BTreeSet<String>),
}

impl Members {
    /// Whether a question is one of them.
    pub fn hold(&self, id: &str, family: &str, level: u32) -> bool {
        match self {
            Members::Cells(cells) => cells.contains(&cell(family, level)),
            Members::Ids(ids) => ids.contains(id),
        }
    }
}

fn cell(family: &str, level: u32) -> String {
    format!("{family} {level}")
}

/// The buckets of the questions that are kept. From easy to hard they are of families and levels, or of single questions where there
/// are too few of these; their sizes are as equal as that allows.
pub(super) fn buckets(answers: &Answers, kept: &[usize]) -> Vec<Bucket> {
    if answers.grouping == Grouping::Cells {
        let of = |q: &usize| (answers.questions[*q].family.as_str(), answers.questions[*q].level);
        let cells: BTreeSet<(&str, u32)> = kept.iter().map(of).collect();
        let bucket = |(family, level): (&str, u32)| Bucket {
            name: format!("{family}-{level}"),
            members: Members::Cells([cell(family, level)].into()),
        };
        return cells.into_iter().map(bucket).collect();
    }
    let mut cells = BTreeMap::<String, Vec<usize>>::new();
    for &q in kept {
        let question = &answers.questions[q];
        cells.entry(cell(&question.family, question.level)).or_default().push(q);
    }
    let single = cells.len() < BUCKETS;
    if single {
        cells = kept.iter().map(|&q| (answers.questions[q].id.clone(), vec![q])).collect();
    }
    // Above chance, for a coin is right more often than a die.
    let excess = |q: usize| {
        let chance = answers.questions[q].chance;
        let mean = answers.rows.iter().map(|(_, row)| row[q].probability).sum::<f64>();
        (mean / answers.rows.len().max(1) as f64 - chance) / (1.0 - chance)
    };
    let mean = |of: &[usize]| of.iter().map(|&q| excess(q)).sum::<f64>() / of.len().max(1) as f64;
    let mut order: Vec<(f64, String, usize)> =
        cells.into_iter().map(|(name, of)| (mean(&of), name, of.len())).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let count = if single { BUCKETS.min(kept.len() / FEWEST).max(1) } else { BUCKETS };
    let (mut groups, mut before) = (vec![BTreeSet::new(); count], 0);
    for (_, name, size) in order {
        // By the middle of the cell.
        let place = (before as f64 + 0.5 * size as f64) / kept.len() as f64 * count as f64;
        groups[(place as usize).min(count - 1)].insert(name);
        before += size;
    }
    let filled = groups.into_iter().filter(|group| !group.is_empty());
    let members = |group| if single { Members::Ids(group) } else { Members::Cells(group) };
    (1..)
        .zip(filled)
        .map(|(place, group)| Bucket { name: format!("{place}"), members: members(group) })
        .collect()
}
