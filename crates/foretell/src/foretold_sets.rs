//! Beyond the held-out loss: what the further sets of a ladder's finished rungs say of a run to come, and what that run
//! then made of them.

use crate::Failure;
use crate::answer::{backtest_line, ends};
use crate::fleet;
use crate::ladder::Finished;
use anyhow::anyhow;
use record::{Answered, Run as RunFolder};
use scaling::backtest::Reach;
use scaling::linked::{self, Linked};
use scaling::questions::{
    Answer, Answers, Bucket, Examined, Foretold, Grouping, Known, Mark, Question, Rate,
};
use scaling::{Run, Target};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use train::{FurtherSet, SetKind};

/// What the finished rungs made of a set.
#[derive(Serialize)]
pub struct SetLaw {
    /// The set's.
    pub name: String,
    /// Of text: bits a byte of every rung, and what single laws say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextLaw>,
    /// Of questions: the buckets in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub questions: Option<QuestionLaw>,
}

/// Of a text.
#[derive(Serialize)]
pub struct TextLaw {
    /// Names of rungs with their bits a byte.
    pub rungs: Vec<(String, f64)>,
    /// What single laws say of the dearest rung, with their constants.
    pub laws: Vec<scaling::forecast::Opinion>,
}

/// Of questions.
#[derive(Serialize)]
pub struct QuestionLaw {
    /// Questions left out because some rung gives their right answer no probability, each with that rung.
    pub excluded: Vec<(String, String)>,
    /// From easy to hard; with pictures by family and level.
    pub buckets: Vec<Known>,
}

/// A set of a run to come, as it stands in the registry.
#[derive(Clone, Debug, Serialize)]
pub struct SetForesight {
    /// The set's.
    pub name: String,
    /// Its file as the ladder read it.
    pub hash: String,
    /// Of text.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextForesight>,
    /// Of questions.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub questions: Option<QuestionForesight>,
}

/// A text of a run to come: bits a byte.
#[derive(Clone, Debug, Serialize)]
pub struct TextForesight {
    /// The median.
    pub loss: f64,
    /// `lo80` … `hi95`.
    #[serde(flatten)]
    pub ends: Map<String, Value>,
    /// Share of it that follows from the held-out loss.
    pub linked: f64,
    /// As of the held-out loss.
    pub widening: f64,
    /// As of the held-out loss.
    pub backtest: Vec<Reach>,
}

/// Questions of a run to come.
#[derive(Clone, Debug, Serialize)]
pub struct QuestionForesight {
    /// Questions left out.
    pub excluded: Vec<String>,
    /// In the same order.
    pub buckets: Vec<BucketForesight>,
    /// As of the held-out loss, of surprise.
    pub widening: f64,
    /// As of the held-out loss; errors in accuracy, of 1.
    pub backtest: Vec<Reach>,
}

/// A bucket of a run to come.
#[derive(Clone, Debug, Serialize)]
pub struct BucketForesight {
    /// Which questions.
    #[serde(flatten)]
    pub bucket: Bucket,
    /// How many.
    pub questions: usize,
    /// Of a blind guess.
    pub chance: f64,
    /// Accuracy of the rung of the lowest held-out loss.
    pub best_accuracy: f64,
    /// Its mean probability of the right choice.
    pub best_probability: f64,
    /// The capability law alone: the geometric mean of the right choice's probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub law_pass_rate: Option<f64>,
    /// Share of right answers.
    pub accuracy: RateForesight,
    /// Mean probability of the right choice.
    pub probability: RateForesight,
}

/// A share with its intervals.
#[derive(Clone, Debug, Serialize)]
pub struct RateForesight {
    /// The median.
    pub rate: f64,
    /// `lo80` … `hi95`.
    #[serde(flatten)]
    pub ends: Map<String, Value>,
}

impl RateForesight {
    fn of(rate: &Rate) -> RateForesight {
        RateForesight { rate: rate.rate, ends: ends(&rate.intervals, 1.0) }
    }
}

/// The rungs' losses on a text, in the order of the rungs.
fn losses(set: &FurtherSet, path: &Path, rungs: &[Finished]) -> Result<Vec<Run>, Failure> {
    let loss =
        |rung: &Finished| Ok(Run { loss: bits_per_byte(&folder(path, rung)?, &set.name)?, ..rung.run });
    rungs.iter().map(loss).collect()
}

fn folder(path: &Path, rung: &Finished) -> Result<RunFolder, Failure> {
    Ok(RunFolder::open(&fleet::run_folder(path, &rung.name))?)
}

/// What a finished run's metrics say of a text.
fn bits_per_byte(run: &RunFolder, set: &str) -> Result<f64, Failure> {
    let name = format!("set/{set}/bits_per_byte");
    let value = run.metrics()?.iter().rev().find_map(|line| line.get(&name)?.as_f64());
    let value = value.filter(|loss| loss.is_finite() && *loss > 0.0);
    Ok(value.ok_or_else(|| anyhow!("{}: no line of metrics.jsonl has '{name}'", run.path().display()))?)
}

/// A finished run's answers to a set, in the order of its record, and the record's hash.
fn answers(run: &RunFolder, set: &str) -> Result<(Vec<Answered>, String), Failure> {
    let file = format!("questions-{set}.jsonl");
    let (bytes, hash) = run.record(&file)?;
    Ok((Answered::read(&run.path().join(file), &bytes)?, hash))
}

/// The rungs' answers to the questions that all of them were asked.
fn table(set: &FurtherSet, path: &Path, rungs: &[Finished]) -> Result<Answers, Failure> {
    let (mut questions, mut rows) = (Vec::<Question>::new(), Vec::new());
    for rung in rungs {
        let run = folder(path, rung)?;
        let (answers, _) = answers(&run, &set.name)?;
        if rows.is_empty() {
            questions = answers
                .iter()
                .map(|one| Question {
                    id: one.id.clone(),
                    family: one.family.clone(),
                    level: one.level,
                    chance: one.chance,
                })
                .collect();
        }
        if !answers.iter().map(|one| &one.id).eq(questions.iter().map(|one| &one.id)) {
            let text = "was asked other questions than the first rung; the set's file is not the same";
            return Err(anyhow!("{}: {text}", run.path().display()).into());
        }
        rows.push((rung.run, answers.iter().map(row).collect()));
    }
    let grouping = match set.kind {
        SetKind::Pictured => Grouping::Cells,
        SetKind::Questions | SetKind::Text => Grouping::Difficulty,
    };
    Ok(Answers { questions, grouping, rows })
}

/// What the rungs say of their sets.
pub fn laws(sets: &[FurtherSet], path: &Path, rungs: &[Finished]) -> Result<Vec<SetLaw>, Failure> {
    let law = |set: &FurtherSet| -> Result<SetLaw, Failure> {
        let name = set.name.clone();
        if set.kind != SetKind::Text {
            let table = table(set, path, rungs)?;
            let named = |(question, rung): (usize, usize)| {
                (table.questions[question].id.clone(), rungs[rung].name.clone())
            };
            let buckets = table.known()?;
            let excluded = table.excluded().into_iter().map(named).collect();
            return Ok(SetLaw { name, text: None, questions: Some(QuestionLaw { excluded, buckets }) });
        }
        let runs = losses(set, path, rungs)?;
        let dearest = runs.iter().max_by(|a, b| a.flops.total_cmp(&b.flops));
        let laws = dearest.map_or(Vec::new(), |run| scaling::forecast::opinions(&runs, &run.target()));
        let rungs = rungs.iter().zip(&runs).map(|(rung, run)| (rung.name.clone(), run.loss)).collect();
        Ok(SetLaw { name, text: Some(TextLaw { rungs, laws }), questions: None })
    };
    sets.iter().map(law).collect()
}

/// Foretells the sets of a run to come, which costs so many FLOP, and notes which cannot be foretold.
pub fn foretell(
    sets: &[FurtherSet],
    path: &Path,
    rungs: &[Finished],
    target: &Target,
    flops: f64,
) -> Result<(Vec<SetForesight>, Vec<String>), Failure> {
    let (mut all, mut notes) = (Vec::new(), Vec::new());
    for set in sets {
        let mut one =
            SetForesight { name: set.name.clone(), hash: set.hash.clone(), text: None, questions: None };
        let made = match set.kind {
            SetKind::Text => text(set, path, rungs, target)?.map(|text| one.text = Some(text)),
            SetKind::Questions | SetKind::Pictured => {
                questions(set, path, rungs, target, flops)?.map(|questions| one.questions = Some(questions))
            }
        };
        match made {
            Ok(()) => all.push(one),
            Err(why) => notes.push(format!("the set {} is not foretold: {why}", set.name)),
        }
    }
    Ok((all, notes))
}

fn text(
    set: &FurtherSet,
    path: &Path,
    rungs: &[Finished],
    target: &Target,
) -> Result<scaling::Result<TextForesight>, Failure> {
    let held_out: Vec<Run> = rungs.iter().map(|rung| rung.run).collect();
    let linked = linked::foretell(&losses(set, path, rungs)?, &held_out, target);
    Ok(linked.map(|Linked { loss, intervals, share, widening, backtest }| TextForesight {
        loss,
        ends: ends(&intervals, 1.0),
        linked: share,
        widening,
        backtest,
    }))
}

fn questions(
    set: &FurtherSet,
    path: &Path,
    rungs: &[Finished],
    target: &Target,
    flops: f64,
) -> Result<scaling::Result<QuestionForesight>, Failure> {
    let table = table(set, path, rungs)?;
    let foretold = Examined::new(&table).and_then(|examined| Ok((examined.foretell(target)?, examined)));
    Ok(foretold.map(|(buckets, examined)| QuestionForesight {
        excluded: table
            .excluded()
            .iter()
            .map(|(question, _)| table.questions[*question].id.clone())
            .collect(),
        buckets: buckets.iter().map(|one| BucketForesight::of(one, flops)).collect(),
        widening: examined.widening(),
        backtest: examined.reaches(),
    }))
}

impl BucketForesight {
    fn of(foretold: &Foretold, flops: f64) -> BucketForesight {
        let Known { bucket, chance, best, law } = &foretold.known;
        BucketForesight {
            bucket: bucket.clone(),
            questions: best.questions,
            chance: *chance,
            best_accuracy: best.accuracy,
            best_probability: best.probability,
            law_pass_rate: law.map(|law| law.pass_rate(flops)),
            accuracy: RateForesight::of(&foretold.accuracy),
            probability: RateForesight::of(&foretold.probability),
        }
    }
}

/// For people.
pub fn people(sets: &[SetForesight], text: &mut String) {
    for set in sets {
        let of = |ends: &Map<String, Value>, name: &str| {
            ends.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
        };
        if let Some(one) = &set.text {
            let (low, high) = (of(&one.ends, "lo90"), of(&one.ends, "hi90"));
            let half = 50.0 * (high - low) / one.loss;
            let _ = writeln!(
                text,
                "  set {}: {:.4} bits a byte, 90 % {low:.4} to {high:.4} (±{half:.1} %), {:.0} % of it by the held-out loss",
                set.name,
                one.loss,
                100.0 * one.linked
            );
            one.backtest.iter().for_each(|row| *text += &backtest_line(row));
        }
        let Some(one) = &set.questions else { continue };
        let count: usize = one.buckets.iter().map(|bucket| bucket.questions).sum();
        let order = order(one.buckets.iter().map(|bucket| &bucket.bucket));
        let _ = writeln!(text, "  set {}: {count} questions {order}; in %:", set.name);
        let _ = writeln!(
            text,
            "    {:>10} {:>9} {:>6} {:>9} {:>9} {:>14} {:>11} {:>14}",
            "bucket", "questions", "chance", "best rung", "accuracy", "90 %", "probability", "90 %"
        );
        for bucket in &one.buckets {
            let cells = |rate: &RateForesight| {
                let (low, high) = (of(&rate.ends, "lo90"), of(&rate.ends, "hi90"));
                (100.0 * rate.rate, format!("{:.1} to {:.1}", 100.0 * low, 100.0 * high))
            };
            let ((accuracy, its), (probability, other)) =
                (cells(&bucket.accuracy), cells(&bucket.probability));
            let _ = writeln!(
                text,
                "    {:>10} {:>9} {:>6.1} {:>9.1} {accuracy:>9.1} {its:>14} {probability:>11.1} {other:>14}",
                bucket.bucket.name,
                bucket.questions,
                100.0 * bucket.chance,
                100.0 * bucket.best_accuracy,
            );
        }
        if !one.excluded.is_empty() {
            let _ = writeln!(
                text,
                "    {} left out: some rung gives their answer no probability",
                one.excluded.len()
            );
        }
        for row in &one.backtest {
            let _ = writeln!(
                text,
                "    back-test {:>3.0}×: {} hidden buckets, median error {:.1} points, 90 % intervals held {:.0} %",
                row.reach,
                row.hidden,
                100.0 * row.median_error,
                100.0 * row.in90
            );
        }
    }
}

/// In what order buckets come.
fn order<'b>(mut buckets: impl Iterator<Item = &'b Bucket>) -> &'static str {
    // Those of like difficulty are numbered.
    match buckets.all(|bucket| bucket.name.parse::<usize>().is_ok()) {
        true => "from easy to hard",
        false => "by family and level",
    }
}

/// What `ladder fit` says, for people.
pub fn people_of_laws(laws: &[SetLaw], text: &mut String) {
    for set in laws {
        if let Some(one) = &set.text {
            let losses = one.rungs.iter().map(|rung| rung.1);
            let (low, high) = (losses.clone().fold(f64::INFINITY, f64::min), losses.fold(0.0, f64::max));
            let _ = writeln!(text, "  set {}: {low:.4} to {high:.4} bits a byte over the rungs", set.name);
        }
        let Some(one) = &set.questions else { continue };
        let _ = writeln!(
            text,
            "  set {}: buckets {} with their capability laws, −E[ln p] = α·C^(−k); {} questions left out",
            set.name,
            order(one.buckets.iter().map(|known| &known.bucket)),
            one.excluded.len()
        );
        for known in &one.buckets {
            let law = known.law.map_or(String::from("no law"), |law| {
                format!("α = {}, k = {:.3}", crate::answer::short(law.alpha), law.k)
            });
            let _ = writeln!(
                text,
                "    {:>10} {:>5} questions, chance {:>4.1} %, best rung {:>5.1} % right, mean p {:.3}; {law}",
                known.bucket.name,
                known.best.questions,
                100.0 * known.chance,
                100.0 * known.best.accuracy,
                known.best.probability
            );
        }
    }
}

/// What a run made of a set that was foretold: its record, to be judged.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetOutcome {
    /// The set's.
    pub name: String,
    /// Of text: bits a byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<f64>,
    /// Of questions: hash of the record of answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers_hash: Option<String>,
    /// Of questions: every bucket by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub buckets: BTreeMap<String, Mark>,
}

/// What is read of a foretold set in a registry.
#[derive(Deserialize)]
struct Registered {
    name: String,
    #[serde(default)]
    loss: Option<f64>,
    #[serde(default)]
    excluded: Vec<String>,
    #[serde(default)]
    buckets: Vec<RegisteredBucket>,
    #[serde(flatten)]
    ends: Map<String, Value>,
}

#[derive(Deserialize)]
struct RegisteredBucket {
    #[serde(flatten)]
    bucket: Bucket,
    questions: usize,
    best_accuracy: f64,
    accuracy: RegisteredRate,
    probability: RegisteredRate,
}

#[derive(Deserialize)]
struct RegisteredRate {
    rate: f64,
    #[serde(flatten)]
    ends: Map<String, Value>,
}

fn registered(prediction: &record::Entry) -> Result<Vec<Registered>, Failure> {
    let Some(sets) = prediction.body.get("sets") else { return Ok(Vec::new()) };
    Ok(serde_json::from_value(sets.clone())
        .map_err(|e| anyhow!("entry {}: its sets are none that this version knows: {e}", prediction.id))?)
}

/// What the run of a prediction made of the foretold sets.
pub fn outcomes(prediction: &record::Entry, run: &RunFolder) -> Result<Vec<SetOutcome>, Failure> {
    let of = |set: Registered| -> Result<SetOutcome, Failure> {
        if set.loss.is_some() {
            let observed = Some(bits_per_byte(run, &set.name)?);
            return Ok(SetOutcome { name: set.name, observed, answers_hash: None, buckets: BTreeMap::new() });
        }
        let (answers, hash) = answers(run, &set.name)?;
        let mut buckets = BTreeMap::new();
        for RegisteredBucket { bucket, questions, .. } in &set.buckets {
            let hold = |one: &&Answered| {
                bucket.members.hold(&one.id, &one.family, one.level) && !set.excluded.contains(&one.id)
            };
            let mark = Mark::over(answers.iter().filter(hold).map(row));
            if mark.questions != *questions {
                return Err(anyhow!(
                    "{}: questions-{}.jsonl has {} questions of bucket {}, where {questions} were foretold",
                    run.path().display(),
                    set.name,
                    mark.questions,
                    bucket.name
                )
                .into());
            }
            buckets.insert(bucket.name.clone(), mark);
        }
        Ok(SetOutcome { name: set.name, observed: None, answers_hash: Some(hash), buckets })
    };
    registered(prediction)?.into_iter().map(of).collect()
}

/// A foretold number of a set and what came out.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// The set's.
    pub set: String,
    /// Of questions: the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Bits a byte, `accuracy` or `probability`.
    pub of: &'static str,
    /// The median.
    pub predicted: f64,
    /// The outcome.
    pub observed: f64,
    /// Of bits a byte `predicted / observed − 1`; of shares `predicted − observed`.
    pub error: f64,
    /// Whether the intervals held it.
    pub in80: bool,
    /// At 90 %.
    pub in90: bool,
    /// At 95 %.
    pub in95: bool,
    /// Lower and upper end at 90 %.
    pub interval90: (f64, f64),
    /// Of accuracy: that of the best rung.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<f64>,
}

/// The sets of an outcome's body, judged by what was foretold.
pub fn judge(prediction: &record::Entry, outcome: &Map<String, Value>) -> Result<Vec<Judged>, Failure> {
    let foretold = registered(prediction)?;
    let wrong = |what: String| anyhow!("the outcome of prediction {}: {what}", prediction.id);
    let mut outcomes: Vec<SetOutcome> = match outcome.get("sets") {
        None => Vec::new(),
        Some(sets) => serde_json::from_value(sets.clone()).map_err(|e| wrong(format!("its sets: {e}")))?,
    };
    let mut all = Vec::new();
    for set in foretold {
        let Some(place) = outcomes.iter().position(|one| one.name == set.name) else {
            return Err(wrong(format!("says nothing of the set {}, which was foretold", set.name)).into());
        };
        let outcome = outcomes.swap_remove(place);
        let number = |ends: &Map<String, Value>, level: u32| -> Result<(f64, f64), Failure> {
            let value = |name: String| ends.get(&name).and_then(Value::as_f64);
            let pair = value(format!("lo{level}")).zip(value(format!("hi{level}")));
            Ok(pair.ok_or_else(|| {
                anyhow!("entry {}: the set {} has no {level} % interval", prediction.id, set.name)
            })?)
        };
        let judged = |of: &'static str, predicted: f64, ends: &Map<String, Value>, observed: f64| {
            let error = if of == BITS { predicted / observed - 1.0 } else { predicted - observed };
            let holds = |level| number(ends, level).map(|(low, high)| (low..=high).contains(&observed));
            let [level80, level90, level95] = scaling::LEVELS;
            let (in80, in90, in95) = (holds(level80)?, holds(level90)?, holds(level95)?);
            let interval90 = number(ends, level90)?;
            let (set, bucket, best) = (set.name.clone(), None, None);
            Ok::<_, Failure>(Judged {
                set,
                bucket,
                of,
                predicted,
                observed,
                error,
                in80,
                in90,
                in95,
                interval90,
                best,
            })
        };
        if let Some(loss) = set.loss {
            let observed = outcome.observed.filter(|loss| loss.is_finite() && *loss > 0.0);
            let observed = observed.ok_or_else(|| wrong(format!("the set {} has no loss", set.name)))?;
            all.push(judged(BITS, loss, &set.ends, observed)?);
        }
        for bucket in &set.buckets {
            let name = &bucket.bucket.name;
            let mark = outcome.buckets.get(name);
            let mark = mark.ok_or_else(|| wrong(format!("the set {} has no bucket {name}", set.name)))?;
            let best = Some(bucket.best_accuracy);
            let accuracy = judged(ACCURACY, bucket.accuracy.rate, &bucket.accuracy.ends, mark.accuracy)?;
            all.push(Judged { bucket: Some(name.clone()), best, ..accuracy });
            let probability = &bucket.probability;
            let probability = judged(PROBABILITY, probability.rate, &probability.ends, mark.probability)?;
            all.push(Judged { bucket: Some(name.clone()), ..probability });
        }
    }
    Ok(all)
}

/// What the loss of a text is in.
const BITS: &str = "bits a byte";

/// Shares of right answers.
pub const ACCURACY: &str = "accuracy";

/// Mean probabilities of right answers.
pub const PROBABILITY: &str = "probability";

/// Outcomes of sets, for people.
pub fn lines(judged: &[Judged]) -> String {
    let mut text = String::new();
    for one in judged {
        let bucket = one.bucket.as_ref().map_or(String::new(), |name| format!(" {name}"));
        let held = if one.in90 { "inside" } else { "outside" };
        let (low, high) = one.interval90;
        let _ = match one.of == BITS {
            true => writeln!(
                text,
                "      {}: predicted {:.4}, observed {:.4}, error {:+.2} %, {held} {low:.4} to {high:.4} (90 %)",
                one.set,
                one.predicted,
                one.observed,
                100.0 * one.error
            ),
            false => writeln!(
                text,
                "      {}{bucket} {}: predicted {:.1} %, observed {:.1} %, {held} {:.1} to {:.1} % (90 %){}",
                one.set,
                one.of,
                100.0 * one.predicted,
                100.0 * one.observed,
                100.0 * low,
                100.0 * high,
                one.best.map_or(String::new(), |best| format!("; best rung {:.1} %", 100.0 * best))
            ),
        };
    }
    text
}

/// As a row for the laws.
fn row(one: &Answered) -> Answer {
    Answer { probability: one.probability.min(1.0), correct: one.correct }
}
