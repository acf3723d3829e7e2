//! Back-tests: how far off these runs would have been about one another.

use crate::axis::Axis;
use crate::figure::{Row, figure, key, keys, link, number, paragraph, table, word};
use crate::html::{Element, el};
use crate::ladder::{Fitted, Ladder};
use crate::loss::laws;
use crate::number::{count, digits, loss, percent, power, signed_percent, times};
use crate::page::Page;
use crate::plot::{About, Plot, Shape, Size};
use scaling::backtest::{BackTest, reaches, widening};
use scaling::{Foresight, Interval};

/// The section: a figure and the laws of each ladder; left out where there is neither.
pub(crate) fn section(page: &Page) -> Option<Element> {
    let figures: Vec<_> = page.report.ladders.iter().flat_map(|ladder| shown(page, ladder)).collect();
    (!figures.is_empty()).then(|| page.section("back-tests", "Back-tests and laws").all(figures))
}

/// A hidden run with the 90 % interval that was foretold of it, relative to what it reached.
struct Hidden {
    test: BackTest,
    ends: Option<(f64, f64)>,
}

fn shown(page: &Page, ladder: &Ladder) -> Vec<Element> {
    let fitted = ladder.fitted(None, None);
    let tests = fitted.family.as_ref().map_or(&[][..], |family| family.backtests());
    let mut all = Vec::new();
    if !tests.is_empty() {
        let rows = fitted.rows();
        let hidden: Vec<_> =
            tests.iter().map(|test| Hidden { test: *test, ends: ends_of(&rows, test) }).collect();
        let heading =
            format!("{}: hidden runs, foretold from those that cost so many times less", ladder.name);
        let numbers = numbers(page, &fitted, &hidden, &heading);
        all.push(figure(&heading, caption(&hidden), |size| draw(page, &fitted, &hidden, size), numbers));
    }
    let name = format!("{}: laws", ladder.name);
    all.extend(laws(&fitted, &name).map(|table| {
        let say = paragraph(
            "Each law alone, fitted to all finished rungs; deviations by leaving out one rung at a time.",
        );
        el("div").with(el("h3").text(&name)).with(say).with(table)
    }));
    all
}

/// Foretells a hidden run once more, for the ends of its interval.
fn ends_of(rows: &[scaling::Run], test: &BackTest) -> Option<(f64, f64)> {
    let most = test.run.flops / test.reach * (1.0 + 1e-6);
    let known: Vec<_> = rows.iter().filter(|row| row.flops <= most).copied().collect();
    let prediction = Foresight::new(&known).ok()?.predict(&test.run.target()).ok()?;
    let [_, Interval { low, high, .. }, _] = prediction.intervals;
    Some((low / test.run.loss - 1.0, high / test.run.loss - 1.0))
}

fn caption(hidden: &[Hidden]) -> Element {
    let tests: Vec<_> = hidden.iter().map(|one| one.test).collect();
    let text = format!(
        "The dearest rungs are hidden in turn and foretold from the cheap ones. Bars are 90 % intervals, so they should cross \
         the line at zero nine times in ten. For what is still to come, these back-tests make intervals {} times as wide.",
        digits(widening(&tests), 2)
    );
    let signs =
        [key("dot", "rung", "foretold, interval held"), key("dot", "outcome", "foretold, interval missed")];
    let row = |reach: &scaling::backtest::Reach| -> Row {
        vec![
            word(times(reach.reach)),
            number(reach.hidden.to_string()),
            number(percent(reach.median_error, 2)),
            number(percent(reach.in90, 0)),
        ]
        .into()
    };
    let heads = ["times dearer", "#hidden runs", "#median error", "#90 % held"];
    el("div")
        .with(paragraph(text))
        .with(table("Back-tests by reach", &heads, reaches(&tests).iter().map(row)))
        .with(keys(signs))
}

fn draw(page: &Page, fitted: &Fitted, hidden: &[Hidden], size: Size) -> Element {
    let mut reaches: Vec<f64> = hidden.iter().map(|one| one.test.reach).collect();
    reaches.dedup();
    // A column a reach; in it the hidden runs side by side.
    let place =
        |reach: usize, k: usize, of: usize| reach as f64 + 0.5 + 0.7 * ((k as f64 + 0.5) / of as f64 - 0.5);
    let values = hidden.iter().flat_map(|one| {
        let (low, high) = one.ends.unwrap_or_default();
        [100.0 * low, 100.0 * high, 100.0 * one.test.error, 0.0]
    });
    let mut x = Axis::between(0.0, reaches.len() as f64, 1);
    x.ticks = reaches.iter().enumerate().map(|(i, reach)| (i as f64 + 0.5, times(*reach))).collect();
    let y = Axis::linear(values, size.marks().1);
    let mut plot =
        Plot::new(size, (x, "times dearer than the runs known"), (y, "foretold / reached − 1, %"), 0);
    plot.level(0.0);
    for (i, reach) in reaches.iter().enumerate() {
        let all: Vec<_> = hidden.iter().filter(|one| one.test.reach == *reach).collect();
        for (k, one) in all.iter().enumerate() {
            let at = place(i, k, all.len());
            let class = if one.test.in90 { "rung" } else { "outcome" };
            if let Some((low, high)) = one.ends {
                plot.interval(at, 100.0 * low, 100.0 * high, class);
            }
            let rung = fitted.rung(&one.test.run);
            let title = format!(
                "{}: foretold {}, reached {}, {}",
                rung.map_or("a rung", |rung| rung.name.as_str()),
                loss(one.test.predicted),
                loss(one.test.run.loss),
                signed_percent(one.test.error)
            );
            let anchor = rung.and_then(|rung| page.anchor(rung)).map(String::from);
            plot.point(at, 100.0 * one.test.error, Shape::Dot(4.0), class, &About { title, anchor });
        }
    }
    let held = hidden.iter().filter(|one| one.test.in90).count();
    plot.svg(&format!(
        "Relative errors of {}, by how many times dearer they are; the 90 % intervals of {held} held.",
        count(hidden.len(), "hidden run", "hidden runs")
    ))
}

fn numbers(page: &Page, fitted: &Fitted, hidden: &[Hidden], name: &str) -> Element {
    let heads =
        ["hidden run", "#FLOP", "#times dearer", "#runs known", "#foretold", "#reached", "#error", "90 %"];
    let row = |one: &Hidden| -> Row {
        let test = &one.test;
        let rung = fitted.rung(&test.run);
        vec![
            link(rung.map_or("", |rung| &rung.name), rung.and_then(|rung| page.anchor(rung))),
            number(power(test.run.flops, 3)),
            number(times(test.reach)),
            number(test.runs.to_string()),
            number(loss(test.predicted)),
            number(loss(test.run.loss)),
            number(signed_percent(test.error)),
            word(if test.in90 { "held" } else { "missed" }).class(if test.in90 { "good" } else { "bad" }),
        ]
        .into()
    };
    table(name, &heads, hidden.iter().map(row))
}
