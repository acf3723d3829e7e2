//! Capability against compute: `−E[ln pass rate]` by bucket of difficulty (Figure 2 of the GPT-4 report), where the
//! pass rate of a question is the probability that the model gives its right answer.

use crate::axis::{Axis, ends};
use crate::figure::{Row, figure, key, keys, link, number, paragraph, table};
use crate::html::{Element, el};
use crate::ladder::Ladder;
use crate::number::{count, digits, percent, power};
use crate::page::Page;
use crate::plot::{About, Plot, Shape, Size};
use crate::run::{Answer, Run};
use scaling::capability::CapabilityLaw;
use std::collections::{BTreeMap, BTreeSet};

/// Letters of a bucket's name beside its line.
const LETTERS: usize = 14;

/// A run's answers in one bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mark {
    /// Mean of `−ln probability`.
    value: f64,
    /// Share that was right.
    accuracy: f64,
    questions: usize,
}

/// A bucket over runs.
struct Bucket<'a> {
    name: String,
    /// Each run with its mark; whether it is a rung.
    marks: Vec<(&'a Run, Mark, bool)>,
    law: Option<CapabilityLaw>,
}

/// The section; left out where no run has answered anything.
pub(crate) fn section(page: &Page) -> Option<Element> {
    let mut figures = Vec::new();
    for ladder in &page.report.ladders {
        let names: BTreeSet<&String> = ladder.rungs.iter().flat_map(|rung| rung.questions.keys()).collect();
        figures.extend(names.into_iter().filter_map(|name| shown(page, ladder, name)));
    }
    figures.extend(crate::foretold_sets::numbers(page));
    (!figures.is_empty()).then(|| page.section("capability", "Capability").all(figures))
}

fn shown(page: &Page, ladder: &Ladder, name: &str) -> Option<Element> {
    let (buckets, left_out) = buckets(page, ladder, name);
    if buckets.is_empty() {
        return None;
    }
    let heading = format!("{}: questions of {name}", ladder.name);
    Some(figure(
        &heading,
        caption(&buckets, left_out),
        |size| draw(page, &buckets, name, size),
        numbers(page, &buckets, &heading),
    ))
}

/// The buckets from the first to the last of their names, and how many questions were left out because some run gives
/// their right answer no probability at all (SCL-6).
fn buckets<'a>(page: &'a Page, ladder: &'a Ladder, name: &str) -> (Vec<Bucket<'a>>, usize) {
    let answered = |run: &&Run| run.done && run.questions.get(name).is_some_and(|all| !all.is_empty());
    let runs: Vec<(&Run, bool)> =
        ladder.rungs.iter().map(|run| (run, true)).filter(|(run, _)| answered(run)).collect();
    let ids =
        |run: &'a Run| run.questions[name].iter().map(|answer| answer.id.as_str()).collect::<BTreeSet<_>>();
    let Some(first) = runs.first().map(|(run, _)| ids(run)) else { return (Vec::new(), 0) };
    // Only of the same questions are means to be compared.
    let same = |run: &'a Run| first.is_subset(&ids(run));
    let others = page.report.runs.iter().filter(answered).map(|run| (run, false));
    let runs: Vec<_> = runs.into_iter().chain(others).filter(|(run, _)| same(run)).collect();
    let never: BTreeSet<&str> = runs
        .iter()
        .flat_map(|(run, _)| &run.questions[name])
        .filter(|answer| answer.probability <= 0.0 && first.contains(answer.id.as_str()))
        .map(|answer| answer.id.as_str())
        .collect();
    let kept = |answer: &&Answer| first.contains(answer.id.as_str()) && !never.contains(answer.id.as_str());
    let mut found = BTreeMap::<(u64, String), Vec<(&Run, Mark, bool)>>::new();
    for (run, is_rung) in runs {
        let mut by_name = BTreeMap::<&str, Vec<&Answer>>::new();
        for answer in run.questions[name].iter().filter(kept) {
            by_name.entry(&answer.bucket).or_default().push(answer);
        }
        for (bucket, answers) in by_name {
            let mean = |of: fn(&Answer) -> f64| {
                answers.iter().map(|answer| of(answer)).sum::<f64>() / answers.len() as f64
            };
            let mark = Mark {
                value: mean(|answer| -answer.probability.min(1.0).ln()),
                accuracy: mean(|answer| f64::from(u8::from(answer.correct))),
                questions: answers.len(),
            };
            // Numbers in their order, words after them in theirs.
            let order = bucket.parse::<u64>().unwrap_or(u64::MAX);
            found.entry((order, bucket.into())).or_default().push((run, mark, is_rung));
        }
    }
    let bucket = |((order, name), marks): (_, Vec<(&'a Run, Mark, bool)>)| {
        let points: Vec<_> =
            marks.iter().filter(|mark| mark.2).map(|(run, mark, _)| (run.flops, mark.value)).collect();
        let name = if order == u64::MAX { name } else { format!("level {name}") };
        Bucket { name, law: CapabilityLaw::fit(&points).ok(), marks }
    };
    (found.into_iter().map(bucket).collect(), never.len())
}

fn caption(buckets: &[Bucket], left_out: usize) -> Element {
    let questions: usize =
        buckets.iter().filter_map(|bucket| bucket.marks.first()).map(|mark| mark.1.questions).sum();
    let mut text = format!(
        "Mean of −ln of the right answer's probability over {}, by bucket. Lines are laws α·C^(−k), each fitted to the rungs alone.",
        count(questions, "question", "questions")
    );
    if left_out > 0 {
        text += &format!(
            " {} left out, to which some run gives no probability.",
            count(left_out, "question was", "questions were")
        );
    }
    let mut signs = vec![key("dot", "rung", "rung"), key("line", "law", "law of a bucket")];
    if buckets.iter().any(|bucket| bucket.marks.iter().any(|mark| !mark.2)) {
        signs.push(key("diamond", "outcome", "other run, not fitted"));
    }
    el("div").with(paragraph(text)).with(keys(signs))
}

fn draw(page: &Page, buckets: &[Bucket], name: &str, size: Size) -> Element {
    let flops = || buckets.iter().flat_map(|bucket| bucket.marks.iter().map(|mark| mark.0.flops));
    let (low, high) = ends(flops()).unwrap_or((1.0, 10.0));
    let far =
        page.predictions.iter().map(|one| one.flops).filter(|far| *far < 1e5 * high).fold(high, f64::max);
    let values = buckets.iter().flat_map(|bucket| bucket.marks.iter().map(|mark| mark.1.value)).chain([0.0]);
    let (across, up) = size.marks();
    let letters = buckets.iter().map(|bucket| bucket.name.chars().count()).max().unwrap_or(0).min(LETTERS);
    let x = (Axis::log([low, far], across), "compute, FLOP");
    let mut plot = Plot::new(size, x, (Axis::padded(values, [0.0, 0.05], up), "mean −ln pass rate"), letters);
    let mut labels = Vec::new();
    for (i, bucket) in buckets.iter().enumerate() {
        let class = format!("s{}", shade(i, buckets.len()));
        if let Some(law) = bucket.law {
            let point = |k: usize| low * (far / low).powf(k as f64 / 40.0);
            let line: Vec<_> = (0..=40).map(|k| (point(k), law.at(point(k)))).collect();
            plot.line(&line, &class, &About::default());
        }
        for (run, mark, is_rung) in &bucket.marks {
            let title = format!(
                "{}, {}: {} ({} right of {})",
                run.name,
                bucket.name,
                digits(mark.value, 3),
                percent(mark.accuracy, 0),
                mark.questions
            );
            let about = About { title, anchor: page.anchor(run).map(String::from) };
            let shape = if *is_rung { Shape::Dot(3.0) } else { Shape::Diamond };
            plot.point(run.flops, mark.value, shape, &class, &about);
        }
        let end = bucket.law.map(|law| law.at(far)).or(bucket.marks.last().map(|mark| mark.1.value));
        let text: String = bucket.name.chars().take(LETTERS).collect();
        labels.extend(end.map(|end| (end, text, format!("said {class}"))));
    }
    plot.beside(&labels);
    plot.svg(&format!(
        "Mean of −ln pass rate on {name} against compute, by {}.",
        count(buckets.len(), "bucket", "buckets")
    ))
}

/// Which of six shades the i-th of so many has.
pub(crate) fn shade(i: usize, of: usize) -> usize {
    if of < 2 { 3 } else { i * 5 / (of - 1) }
}

fn numbers(page: &Page, buckets: &[Bucket], name: &str) -> Element {
    let heads = ["bucket", "run", "#FLOP", "#questions", "#mean −ln p", "#law", "#right"];
    let rows = buckets.iter().flat_map(|bucket| {
        bucket.marks.iter().map(move |(run, mark, _)| -> Row {
            vec![
                crate::figure::word(&bucket.name),
                link(&run.name, page.anchor(run)),
                number(power(run.flops, 3)),
                number(mark.questions.to_string()),
                number(digits(mark.value, 4)),
                number(bucket.law.map(|law| digits(law.at(run.flops), 4)).unwrap_or_default()),
                number(percent(mark.accuracy, 1)),
            ]
            .into()
        })
    });
    let law = |bucket: &Bucket| -> Option<Row> {
        let law = bucket.law?;
        Some(
            vec![crate::figure::word(&bucket.name), number(digits(law.alpha, 4)), number(digits(law.k, 3))]
                .into(),
        )
    };
    let laws = table("Capability laws", &["bucket", "#α", "#k"], buckets.iter().filter_map(law));
    el("div").with(laws).with(table(name, &heads, rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Report;

    fn run(name: &str, flops: f64, probabilities: &[(&str, &str, f64)]) -> Run {
        let answer = |(id, bucket, probability): &(&str, &str, f64)| Answer {
            id: (*id).into(),
            bucket: (*bucket).into(),
            probability: *probability,
            correct: *probability > 0.5,
        };
        let questions = [("world".to_string(), probabilities.iter().map(answer).collect())].into();
        Run { name: name.into(), folder: name.into(), done: true, flops, questions, ..Run::default() }
    }

    #[test]
    fn means_are_over_the_same_questions() {
        let small = run("small", 1e9, &[("a", "10", 0.5), ("b", "2", 0.25), ("c", "2", 0.0)]);
        let large = run("large", 1e11, &[("a", "10", 0.9), ("b", "2", 0.5), ("c", "2", 0.9)]);
        let target =
            run("target", 1e13, &[("a", "10", 0.95), ("b", "2", 0.8), ("c", "2", 0.9), ("d", "2", 0.1)]);
        let other = run("other", 1e13, &[("a", "10", 0.95)]);
        let ladder = Ladder { rungs: vec![small, large], ..Ladder::default() };
        let report = Report { ladders: vec![ladder], runs: vec![target, other], ..Report::default() };
        let page = Page::of(&report);
        let (buckets, left_out) = buckets(&page, &report.ladders[0], "world");
        assert_eq!(left_out, 1);
        // By number, not by letter.
        assert_eq!(buckets.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["level 2", "level 10"]);
        let marks: Vec<_> =
            buckets[0].marks.iter().map(|(run, mark, _)| (run.name.as_str(), mark.questions)).collect();
        assert_eq!(marks, [("small", 1), ("large", 1), ("target", 1)]);
        assert!((buckets[0].marks[0].1.value - 4f64.ln()).abs() < 1e-12);
        // ln 4 at 10⁹ and ln 2 at 10¹¹: halved in two decades.
        let law = buckets[0].law.unwrap();
        assert!((law.at(1e13) - 0.5 * 2f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn shades_go_from_first_to_last() {
        assert_eq!((0..6).map(|i| shade(i, 6)).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        assert_eq!((shade(0, 2), shade(1, 2), shade(29, 30)), (0, 5, 5));
    }
}
