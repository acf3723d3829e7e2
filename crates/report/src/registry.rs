//! The registry: every prediction with its outcome, whether intervals hold as often as they say, and whether the chain
//! of hashes is whole.

use crate::axis::Axis;
use crate::calibration;
use crate::figure::{Row, key, keys, link, number, opened, paragraph, several, table, word};
use crate::html::{Element, el};
use crate::ledger::{Foretold, Ledger};
use crate::number::{count, date, loss, power, short, signed_percent, times};
use crate::page::Page;
use crate::plot::{About, Plot, Shape, Size};
use scaling::LEVELS;

/// The section; left out where no registry was given.
pub(crate) fn section(page: &Page) -> Option<Element> {
    let ledger = page.report.ledger.as_ref()?;
    let mut section = page.section("registry", "Registry").with(chain(ledger));
    let predictions = &page.predictions;
    let outcomes = predictions.iter().filter(|one| one.outcome.is_some()).count();
    if !predictions.is_empty() {
        let mut pictures = vec![("Outcomes within their intervals".to_string(), errors(page, predictions))];
        if outcomes > 0 {
            pictures.push(("Calibration".into(), calibration::draw(predictions)));
        }
        let text = format!(
            "{}, {} with an outcome: each relative to what was foretold, with the 80 and 95 % intervals; and how often intervals \
             held, with 95 % intervals of that share.",
            count(predictions.len(), "prediction", "predictions"),
            outcomes
        );
        let signs = [key("line", "foretold", "80 and 95 %"), key("diamond", "outcome", "came out")];
        let caption = el("div").with(paragraph(text)).with(keys(signs));
        section = section.with(several(
            "Foretold and come out",
            caption,
            pictures,
            calibration::numbers(predictions),
        ));
        section = section
            .with(entries(page, predictions))
            .with(opened("Hashes of the entries", hashes(predictions)));
    }
    Some(section.all(page.notes.iter().map(|note| el("p").class("note").text(note))))
}

fn chain(ledger: &Ledger) -> Element {
    let (class, text) = match &ledger.entries {
        Ok(entries) => {
            let mut text = format!(
                "{}: the chain of {} is whole.",
                ledger.file,
                count(entries.len(), "entry", "entries")
            );
            if let Some(last) = entries.last() {
                text += &format!(
                    " Its last hash is {}; who has seen it can tell that nothing before it was changed.",
                    last.hash
                );
            }
            ("chain whole", text)
        }
        Err(what) => {
            let text = format!(
                "The chain is broken: {what}. No entry is shown, since none can be trusted; restore the file from a copy."
            );
            ("chain broken", text)
        }
    };
    el("p").class(class).text(text)
}

/// Outcomes relative to what was foretold, in the order of the registry.
fn errors(page: &Page, predictions: &[Foretold]) -> Element {
    let values = predictions.iter().flat_map(|one| {
        let relative = |x: f64| 100.0 * (x / one.loss - 1.0);
        let (low, high) = one.ends[2];
        let outcome = one.outcome.as_ref().map_or(0.0, |outcome| relative(outcome.loss));
        [relative(low), relative(high), outcome]
    });
    let mut x = Axis::between(0.5, predictions.len() as f64 + 0.5, 1);
    let stride = predictions.len().div_ceil(8).max(1);
    let tick = |(i, one): (usize, &Foretold)| (i as f64 + 1.0, one.id.to_string());
    x.ticks = predictions.iter().enumerate().step_by(stride).map(tick).collect();
    let y = Axis::linear(values, Size::Small.marks().1);
    let mut plot = Plot::new(Size::Small, (x, "entry"), (y, "came out / foretold − 1, %"), 0);
    plot.level(0.0);
    for (i, one) in predictions.iter().enumerate() {
        let at = i as f64 + 1.0;
        let relative = |x: f64| 100.0 * (x / one.loss - 1.0);
        let faint = if one.outcome.is_some() { "" } else { " open" };
        for (ends, class) in [(one.ends[2], "foretold thin"), (one.ends[0], "foretold")] {
            plot.interval(at, relative(ends.0), relative(ends.1), &format!("{class}{faint}"));
        }
        if let Some(outcome) = &one.outcome {
            let title = format!(
                "Prediction {}: foretold {}, came out {}, off by {}",
                one.id,
                loss(one.loss),
                loss(outcome.loss),
                signed_percent(one.loss / outcome.loss - 1.0)
            );
            let anchor = page.run_of(one).and_then(|run| page.anchor(run)).map(String::from);
            let about = About { title, anchor: anchor.or(Some(one.anchor())) };
            plot.point(at, relative(outcome.loss), Shape::Diamond, "outcome", &about);
        }
    }
    plot.svg("Outcomes relative to what was foretold, with intervals, in the order of the registry.")
}

fn entries(page: &Page, predictions: &[Foretold]) -> Element {
    let heads = [
        "#entry",
        "#foretold",
        "#90 %",
        "#came out",
        "#error",
        "held",
        "outcome of",
        "#time off by",
        "#memory off by",
        "#times dearer",
        "#N",
        "#D",
        "#FLOP",
        "from",
        "unit",
        "registered",
    ];
    let row = |one: &Foretold| -> Row {
        let (low, high) = one.ends[1];
        let outcome = one.outcome.as_ref();
        let held = match outcome.map(|outcome| one.held(outcome)) {
            Some(Some(level)) => word(held_by(level)).class("good"),
            Some(None) => word("none").class("bad"),
            None => word(""),
        };
        let run = page.run_of(one);
        let of = match (run, outcome) {
            (Some(run), _) => link(&run.name, page.anchor(run)),
            (None, Some(outcome)) => word(&outcome.source),
            _ => word("not known yet"),
        };
        let cells = vec![
            number(one.id.to_string()),
            number(loss(one.loss)),
            number(format!("{} to {}", loss(low), loss(high))),
            number(outcome.map(|outcome| loss(outcome.loss)).unwrap_or_default()),
            number(one.error().map(signed_percent).unwrap_or_default()),
            held,
            of,
            number(outcome.and_then(|outcome| outcome.seconds).map(signed_percent).unwrap_or_default()),
            number(outcome.and_then(|outcome| outcome.memory).map(signed_percent).unwrap_or_default()),
            number(times(one.reach)),
            number(short(one.parameters)),
            number(short(one.tokens)),
            number(power(one.flops, 3)),
            word(&one.source),
            word(&one.unit),
            word(date(one.time)),
        ];
        Row { cells, anchor: Some(one.anchor()) }
    };
    table("Predictions and outcomes", &heads, predictions.iter().map(row))
}

fn held_by(level: u32) -> String {
    let levels: Vec<_> = LEVELS.iter().filter(|other| **other >= level).map(u32::to_string).collect();
    format!("{} %", levels.join(", "))
}

fn hashes(predictions: &[Foretold]) -> Element {
    let rows = predictions.iter().flat_map(|one| {
        let row = |id: u64, what: &str, time: u64, version: &str, hash: &str| -> Row {
            vec![
                number(id.to_string()),
                word(what),
                word(date(time)),
                word(version),
                word(hash).class("hash"),
            ]
            .into()
        };
        let outcome = one.outcome.as_ref();
        let outcome = outcome.map(|it| row(it.id, &format!("outcome of {}", one.id), it.time, "", &it.hash));
        [Some(row(one.id, "prediction", one.time, &one.version, &one.hash)), outcome].into_iter().flatten()
    });
    table("Hashes of the entries", &["#entry", "what", "registered", "program", "hash"], rows)
}
