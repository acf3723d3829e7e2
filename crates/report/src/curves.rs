//! Training curves: loss against tokens, a line a run.

use crate::axis::Axis;
use crate::capability::shade;
use crate::figure::{Row, figure, key, keys, link, number, paragraph, table, word};
use crate::html::{Element, el};
use crate::number::{count, digits, power, short};
use crate::page::Page;
use crate::plot::{About, Plot, Shape, Size};
use crate::run::Run;

/// Runs that are named at the end of their lines, at most.
const NAMED: usize = 6;

/// Letters of such a name.
const LETTERS: usize = 14;

/// The section; left out where no run has made a step.
pub(crate) fn section(page: &Page) -> Option<Element> {
    let mut figures: Vec<Element> = page
        .report
        .ladders
        .iter()
        .filter_map(|ladder| shown(page, &format!("{}: rungs", ladder.name), ladder.rungs.iter().collect()))
        .collect();
    figures.extend(shown(page, "Other runs", page.report.runs.iter().collect()));
    (!figures.is_empty()).then(|| page.section("curves", "Training curves").all(figures))
}

fn shown(page: &Page, heading: &str, mut runs: Vec<&Run>) -> Option<Element> {
    runs.retain(|run| !run.curve.is_empty());
    runs.sort_by(|a, b| a.flops.total_cmp(&b.flops));
    if runs.is_empty() {
        return None;
    }
    let text = "Training loss, in means over stretches that are equal on the axis, and the held-out loss of the same runs.";
    let signs = [
        key("line", "s0", "cheapest run"),
        key("line", "s5", "dearest run"),
        key("ring", "law", "held-out loss"),
    ];
    let caption = el("div").with(paragraph(text)).with(keys(signs));
    Some(figure(heading, caption, |size| draw(page, &runs, size), numbers(page, &runs, heading)))
}

fn draw(page: &Page, runs: &[&Run], size: Size) -> Element {
    let (across, up) = size.marks();
    let all = || runs.iter().flat_map(|run| run.curve.iter().chain(&run.evaluations));
    let letters = match runs.len() <= NAMED {
        true => runs.iter().map(|run| run.name.chars().count()).max().unwrap_or(0).min(LETTERS),
        false => 0,
    };
    let x = (Axis::log(all().map(|point| point.0), across), "tokens");
    let y = Axis::linear(all().map(|point| point.1), up);
    let mut plot = Plot::new(size, x, (y, "loss, nats a token"), letters);
    let mut labels = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        let class = format!("s{}", shade(i, runs.len()));
        let title = format!("{}: {} FLOP", run.name, power(run.flops, 3));
        let about = About { title, anchor: page.anchor(run).map(String::from) };
        plot.line(&run.curve, &format!("{class} curve"), &about);
        for (tokens, loss) in &run.evaluations {
            let title =
                format!("{}: held-out {} nats after {} tokens", run.name, digits(*loss, 4), short(*tokens));
            plot.point(
                *tokens,
                *loss,
                Shape::Dot(2.5),
                &format!("{class} held-out"),
                &About { title, ..about.clone() },
            );
        }
        if letters > 0 {
            let name: String = run.name.chars().take(LETTERS).collect();
            labels.extend(run.curve.last().map(|(_, loss)| (*loss, name, format!("said {class}"))));
        }
    }
    plot.beside(&labels);
    plot.svg(&format!("Training losses of {} against tokens.", count(runs.len(), "run", "runs")))
}

fn numbers(page: &Page, runs: &[&Run], name: &str) -> Element {
    let heads = ["run", "", "#tokens", "#FLOP", "#last training loss", "#held-out loss"];
    let last = |points: &[(f64, f64)]| points.last().map(|(_, loss)| digits(*loss, 5)).unwrap_or_default();
    let row = |run: &&Run| -> Row {
        vec![
            link(&run.name, page.anchor(run)),
            word(if run.done { "done" } else { "not done" }),
            number(short(run.tokens)),
            number(power(run.flops, 3)),
            number(last(&run.curve)),
            number(last(&run.evaluations)),
        ]
        .into()
    };
    table(name, &heads, runs.iter().map(row))
}
