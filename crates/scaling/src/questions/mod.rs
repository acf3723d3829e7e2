//! Questions instead of losses: how many of them a run to come will answer.
//!
//! Runs answer the same questions, each with the probability of the right choice. Questions are put into buckets from easy to hard
//! (`buckets`), or by family and level. The mean probability of questions of a kind rises as the held-out loss falls (`rise`), whose forecast is better supported than
//! anything else's, and accuracy follows from it by a curve that all kinds share (`link`). What is not known of any of these,
//! the scatter of a bucket's questions, and how far off the same runs were about one another make the interval.
//!
//! The capability law of the GPT-4 report (SCL-5) stands beside it for each bucket: it has no plateau.

mod buckets;
mod link;
mod rise;

pub use buckets::{BUCKETS, Bucket, Grouping, Members};
pub use link::Rate;

use crate::backtest::{REACHES, Reach, widening_of};
use crate::capability::CapabilityLaw;
use crate::mixture::Mixture;
use crate::{Error, Foresight, Result, Run, Target, median};
use link::{Link, Pair};
use rise::{Rise, Seen};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A question that all runs were asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Unique.
    pub id: String,
    /// What it is about.
    pub family: String,
    /// From easy to hard within its family.
    pub level: u32,
    /// Probability of a blind guess.
    pub chance: f64,
}

/// What a run made of a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Of the right choice, among the choices.
    pub probability: f64,
    /// Whether it was the likeliest.
    pub correct: bool,
}

/// Finished runs and their answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// What was asked.
    pub questions: Vec<Question>,
    /// What makes a bucket of them.
    pub grouping: Grouping,
    /// Each run with its answers, in the order of the questions.
    pub rows: Vec<(Run, Vec<Answer>)>,
}

/// What a run made of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// How many questions.
    pub questions: usize,
    /// Share that it got right.
    pub accuracy: f64,
    /// Mean probability of the right choice.
    pub probability: f64,
    /// Mean of `−ln probability`.
    pub surprise: f64,
}

/// What runs say of a bucket, before any other is foretold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Which questions.
    pub bucket: Bucket,
    /// Probability of a blind guess, on average.
    pub chance: f64,
    /// What the run of the lowest held-out loss made of it.
    pub best: Mark,
    /// `−E[ln p] = α·C^(−k)`, where that can be fitted.
    pub law: Option<CapabilityLaw>,
}

/// A bucket of a run to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Foretold {
    /// What is known of it.
    #[serde(flatten)]
    pub known: Known,
    /// Share of right answers, sampled: what the run's likeliest choices will be.
    pub accuracy: Rate,
    /// Mean probability of the right choice, exact under the model.
    pub probability: Rate,
}

/// A hidden run's bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Hidden {
    /// How many times dearer than the runs that foretold it.
    pub reach: f64,
    /// Foretold less observed accuracy.
    pub error: f64,
    /// Whether the 90 % interval of the accuracy held it.
    pub in90: bool,
    /// Share of the foretold distribution of the mean probability that lies below the outcome.
    below: f64,
}

/// The smallest mean of `−ln p` that is told from none.
const LEAST: f64 = 1e-4;

/// A right choice that is less probable was never chosen, in any number of samples (SCL-6).
const NEVER: f64 = 1e-30;

/// Power of the compute with which runs weigh: the dearest are nearest to the target.
const NEAR: f64 = 0.5;

/// Runs, dearest first, on which the link between surprise and accuracy is fitted.
const LINKED: usize = 24;

/// Losses that stand for their foretold distribution, and ways from chance to certainty for theirs.
const LOSSES: usize = 9;
const WAYS: usize = 48;

/// Hidden runs a reach, at most.
const HIDDEN: usize = 6;

/// Middles of so many equal shares.
fn shares(count: usize) -> Vec<f64> {
    (0..count).map(|i| (i as f64 + 0.5) / count as f64).collect()
}

impl Answers {
    /// Refuses what no answers are.
    pub fn check(&self) -> Result<()> {
        for question in &self.questions {
            if !(question.chance > 0.0 && question.chance < 1.0) {
                return Err(Error::Value { name: "chance", value: question.chance });
            }
        }
        for (run, row) in &self.rows {
            run.check()?;
            if row.len() != self.questions.len() {
                let (constants, runs) = (self.questions.len(), row.len());
                return Err(Error::Few { law: "a table of answers", constants, runs });
            }
            if let Some(answer) = row.iter().find(|one| !(0.0..=1.0 + 1e-9).contains(&one.probability)) {
                return Err(Error::Value { name: "probability", value: answer.probability });
            }
        }
        Ok(())
    }

    /// Questions to which some run gives no probability at all (SCL-6), each with that run.
    pub fn excluded(&self) -> Vec<(usize, usize)> {
        let never = |q: usize| self.rows.iter().position(|(_, row)| row[q].probability < NEVER);
        (0..self.questions.len()).filter_map(|q| Some((q, never(q)?))).collect()
    }

    /// The questions that are not excluded.
    fn kept(&self) -> Vec<usize> {
        let excluded = self.excluded();
        let out = |q: &usize| excluded.binary_search_by_key(q, |one| one.0).is_err();
        (0..self.questions.len()).filter(out).collect()
    }

    /// What is known of the buckets, in their order.
    pub fn known(&self) -> Result<Vec<Known>> {
        self.check()?;
        let kept = self.kept();
        let best = self.rows.iter().min_by(|a, b| a.0.loss.total_cmp(&b.0.loss));
        let Some((_, best)) = best.filter(|_| !kept.is_empty()) else {
            return Err(Error::Few { law: "buckets of questions", constants: 1, runs: self.rows.len() });
        };
        let known = buckets::buckets(self, &kept).into_iter().map(|bucket| {
            let of = self.members(&bucket, &kept);
            let points: Vec<_> = self
                .rows
                .iter()
                .map(|(run, row)| (run.flops, Mark::of(row, &of).surprise.max(LEAST)))
                .collect();
            let chance = of.iter().map(|&q| self.questions[q].chance).sum::<f64>() / of.len().max(1) as f64;
            Known { chance, best: Mark::of(best, &of), law: CapabilityLaw::fit(&points).ok(), bucket }
        });
        Ok(known.collect())
    }

    fn members(&self, bucket: &Bucket, kept: &[usize]) -> Vec<usize> {
        let hold = |&q: &usize| {
            let Question { id, family, level, .. } = &self.questions[q];
            bucket.members.hold(id, family, *level)
        };
        kept.iter().copied().filter(hold).collect()
    }

    /// The answers of some runs.
    fn of(&self, fits: impl Fn(&Run) -> bool) -> Answers {
        let rows = self.rows.iter().filter(|(run, _)| fits(run)).cloned().collect();
        Answers { questions: self.questions.clone(), grouping: self.grouping, rows }
    }
}

impl Mark {
    /// Of some of a run's answers.
    fn of(row: &[Answer], questions: &[usize]) -> Mark {
        Mark::over(questions.iter().map(|&q| row[q]))
    }

    /// Of answers.
    pub fn over(answers: impl Iterator<Item = Answer> + Clone) -> Mark {
        let count = answers.clone().count();
        let mean = |of: fn(Answer) -> f64| answers.clone().map(of).sum::<f64>() / count.max(1) as f64;
        Mark {
            questions: count,
            accuracy: mean(|one| f64::from(u8::from(one.correct))),
            probability: mean(|one| one.probability.min(1.0)),
            surprise: mean(|one| -one.probability.clamp(f64::MIN_POSITIVE, 1.0).ln()),
        }
    }
}

/// All that runs say of the answers of others.
struct Fitted {
    known: Vec<Known>,
    members: Vec<Vec<usize>>,
    /// The cells of each bucket.
    cells: Vec<Vec<Cell>>,
    link: Link,
}

/// Questions of a family and level; or a bucket of single questions.
struct Cell {
    chance: f64,
    /// Share of its bucket's questions.
    share: f64,
    rise: Rise,
}

/// A bucket of a run to come: values that are equally likely, in their order.
struct Drawn {
    probability: Vec<f64>,
    /// What is expected of the likeliest choices.
    accuracy: Vec<f64>,
}

/// Share of the way from chance to certainty.
fn way(probability: f64, chance: f64) -> f64 {
    (probability - chance) / (1.0 - chance)
}

/// A bucket's questions by family and level.
fn cells_of(answers: &Answers, bucket: &Bucket, members: &[usize]) -> Vec<Vec<usize>> {
    if let Members::Ids(_) = bucket.members {
        return vec![members.to_vec()];
    }
    let mut cells = BTreeMap::<(&str, u32), Vec<usize>>::new();
    for &q in members {
        let question = &answers.questions[q];
        cells.entry((&question.family, question.level)).or_default().push(q);
    }
    cells.into_values().collect()
}

impl Fitted {
    fn new(answers: &Answers) -> Result<Fitted> {
        let known = answers.known()?;
        if answers.rows.len() < 5 {
            return Err(Error::Few { law: "the law of a bucket", constants: 5, runs: answers.rows.len() });
        }
        let kept = answers.kept();
        let members: Vec<Vec<usize>> =
            known.iter().map(|known| answers.members(&known.bucket, &kept)).collect();
        let mut rows: Vec<&(Run, Vec<Answer>)> = answers.rows.iter().collect();
        rows.sort_by(|a, b| b.0.flops.total_cmp(&a.0.flops));
        let dearest = rows.first().map_or(0.0, |row| row.0.flops);
        let (mut seen, mut pairs, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        for (place, (of, known)) in members.iter().zip(&known).enumerate() {
            for cell in cells_of(answers, &known.bucket, of) {
                let chance =
                    cell.iter().map(|&q| answers.questions[q].chance).sum::<f64>() / cell.len() as f64;
                let mut runs = Vec::new();
                for (place, (run, row)) in rows.iter().enumerate() {
                    let Mark { questions, accuracy, probability, .. } = Mark::of(row, &cell);
                    let (way, weight) = (way(probability, chance), (run.flops / dearest).powf(NEAR));
                    runs.push(Seen { skill: -run.loss.ln(), way, weight });
                    if place < LINKED {
                        pairs.push(Pair { way, accuracy, chance, questions: questions as f64 });
                    }
                }
                seen.push(runs);
                sizes.push((place, chance, cell.len() as f64 / of.len() as f64));
            }
        }
        let mut cells: Vec<Vec<Cell>> = known.iter().map(|_| Vec::new()).collect();
        for ((bucket, chance, share), rise) in sizes.into_iter().zip(rise::fit(&seen)) {
            cells[bucket].push(Cell { chance, share, rise });
        }
        Ok(Fitted { known, members, cells, link: Link::fit(&pairs) })
    }

    /// A bucket at held-out losses that are equally likely. In half of the draws all cells are at the same share of their
    /// distributions, as if what is not known of one were not known of all; in the others each is at its own.
    fn draw(&self, bucket: usize, losses: &[f64], widening: f64) -> Drawn {
        let cells = &self.cells[bucket];
        let shares = shares(WAYS);
        let (mut probability, mut accuracy) = (Vec::new(), Vec::new());
        for loss in losses {
            let ways: Vec<Vec<f64>> =
                cells.iter().map(|cell| cell.rise.at(*loss).quantiles(&shares)).collect();
            for draw in 0..2 * WAYS {
                let (mut p, mut right) = (0.0, 0.0);
                for (place, (Cell { chance, share, .. }, ways)) in cells.iter().zip(&ways).enumerate() {
                    let own = if draw < WAYS { draw } else { scattered(draw, place) };
                    p += share * (chance + (1.0 - chance) * ways[own].min(1.0));
                    right += share * self.link.at(ways[own], *chance);
                }
                probability.push(p);
                accuracy.push(right);
            }
        }
        for values in [&mut probability, &mut accuracy] {
            values.sort_by(f64::total_cmp);
            let middle = values[values.len() / 2];
            values
                .iter_mut()
                .for_each(|value| *value = (middle + widening * (*value - middle)).clamp(0.0, 1.0));
        }
        Drawn { probability, accuracy }
    }

    /// A bucket's accuracy and mean probability.
    fn rates(&self, bucket: usize, drawn: &Drawn) -> (Rate, Rate) {
        let at = |values: &[f64]| -> Vec<f64> {
            shares(WAYS).iter().map(|share| values[(share * values.len() as f64) as usize]).collect()
        };
        let mut probability = Mixture::default();
        let values = at(&drawn.probability);
        // Between the values there is something too.
        let apart = (values[WAYS - 1] - values[0]).max(1e-6) / WAYS as f64;
        values.iter().for_each(|value| probability.add(1.0, *value, apart));
        let questions = self.members[bucket].len() as f64;
        (Rate::of(&self.link.sampled(&at(&drawn.accuracy), questions)), Rate::of(&probability))
    }
}

/// A place among [`WAYS`] that goes its own way for each cell, evenly (Kronecker's sequence of golden and other sections).
fn scattered(draw: usize, cell: usize) -> usize {
    let step = (0.618_033_988_749_894_9 + 0.414_213_562_373_095_1 * cell as f64).fract();
    ((((draw * draw + draw) / 2 + 17 * cell) as f64 * step).fract() * WAYS as f64) as usize % WAYS
}

/// Runs with their answers, ready to foretell those of others.
pub struct Examined {
    fitted: Fitted,
    foresight: Foresight,
    hidden: Vec<Hidden>,
    widening: f64,
}

impl Examined {
    /// Of the finished runs of one family; five at least.
    pub fn new(answers: &Answers) -> Result<Examined> {
        let fitted = Fitted::new(answers)?;
        let runs: Vec<Run> = answers.rows.iter().map(|row| row.0).collect();
        let hidden = backtest(answers);
        let widening = widening_of(hidden.iter().map(|one| (one.reach, one.below)));
        Ok(Examined { fitted, foresight: Foresight::new(&runs)?, hidden, widening })
    }

    /// What is known of the buckets.
    pub fn known(&self) -> &[Known] {
        &self.fitted.known
    }

    /// How many times as wide the distributions of mean probabilities are as without back-tests.
    pub fn widening(&self) -> f64 {
        self.widening
    }

    /// Back-tests summed up, a line a reach that has some; errors in accuracy, of 1.
    pub fn reaches(&self) -> Vec<Reach> {
        let of = |reach: f64| {
            let tests = || self.hidden.iter().filter(move |one| one.reach == reach);
            let hidden = tests().count();
            let held = tests().filter(|one| one.in90).count();
            let median_error = median(tests().map(|one| one.error.abs()))?;
            Some(Reach { reach, hidden, median_error, in90: held as f64 / hidden as f64 })
        };
        REACHES.into_iter().filter_map(of).collect()
    }

    /// The buckets of a run to come.
    pub fn foretell(&self, target: &Target) -> Result<Vec<Foretold>> {
        let losses = self.foresight.quantiles(target, &shares(LOSSES))?;
        let foretold = self.fitted.known.iter().enumerate().map(|(bucket, known)| {
            let drawn = self.fitted.draw(bucket, &losses, self.widening);
            let (accuracy, probability) = self.fitted.rates(bucket, &drawn);
            Foretold { known: known.clone(), accuracy, probability }
        });
        Ok(foretold.collect())
    }
}

/// The dearest runs, foretold from those that cost so many times less, with the buckets that these would have made.
fn backtest(answers: &Answers) -> Vec<Hidden> {
    let mut dearest: Vec<&(Run, Vec<Answer>)> = answers.rows.iter().collect();
    dearest.sort_by(|a, b| b.0.flops.total_cmp(&a.0.flops));
    let mut tests = Vec::new();
    for reach in REACHES {
        let mut last: Option<(usize, Fitted, Foresight)> = None;
        for (run, row) in dearest.iter().take(HIDDEN) {
            let known = answers.of(|other| other.flops <= run.flops / reach * (1.0 + 1e-6));
            if last.as_ref().is_none_or(|(count, ..)| *count != known.rows.len()) {
                let runs: Vec<Run> = known.rows.iter().map(|row| row.0).collect();
                let (Ok(fitted), Ok(foresight)) = (Fitted::new(&known), Foresight::new(&runs)) else {
                    continue;
                };
                last = Some((known.rows.len(), fitted, foresight));
            }
            let Some((_, fitted, foresight)) = &last else { continue };
            let Ok(losses) = foresight.quantiles(&run.target(), &shares(LOSSES)) else { continue };
            for (bucket, of) in fitted.members.iter().enumerate() {
                let mark = Mark::of(row, of);
                let drawn = fitted.draw(bucket, &losses, 1.0);
                let (accuracy, _) = fitted.rates(bucket, &drawn);
                tests.push(Hidden {
                    reach,
                    error: accuracy.rate - mark.accuracy,
                    in90: accuracy.intervals[1].holds(mark.accuracy),
                    below: drawn.probability.partition_point(|value| *value < mark.probability) as f64
                        / drawn.probability.len() as f64,
                });
            }
        }
    }
    tests
}
