//! The page: its head, what is said first, and the sections.

use crate::html::{Element, el};
use crate::ladder::Ladder;
use crate::ledger::{self, Foretold};
use crate::number::{count, digits, loss, power};
use crate::plot::About;
use crate::run::Run;
use crate::{Report, backtests, capability, curves, loss as losses, records, registry, transfer};
use std::collections::{BTreeMap, BTreeSet};

/// The look, for light and dark.
const STYLE: &str = include_str!("style.css");

/// Nothing is loaded, and nothing runs, whatever a record holds.
const POLICY: &str = "script-src 'none'; connect-src 'none'; font-src 'none'; form-action 'none'; frame-src 'none'; \
    img-src data:; media-src 'none'; object-src 'none'; base-uri 'none'";

const TITLE: &str = "What was foretold, and what came out";

/// What the sections share.
pub(crate) struct Page<'a> {
    pub(crate) report: &'a Report,
    /// Of the registry, if its chain is whole.
    pub(crate) predictions: Vec<Foretold>,
    /// What is to be said of entries that are not shown.
    pub(crate) notes: Vec<String>,
    /// Where a run's record stands on the page, by its folder.
    anchors: BTreeMap<&'a str, String>,
}

impl<'a> Page<'a> {
    pub(crate) fn of(report: &'a Report) -> Page<'a> {
        let entries = report.ledger.as_ref().and_then(|ledger| ledger.entries.as_ref().ok());
        let (predictions, notes) = ledger::read(entries.map_or(&[][..], Vec::as_slice));
        let (mut anchors, mut taken) = (BTreeMap::new(), BTreeSet::new());
        for run in report.ladders.iter().flat_map(|ladder| &ladder.rungs).chain(&report.runs) {
            let name = format!("run-{}", simple(&run.name));
            let all = std::iter::once(name.clone()).chain((2..).map(|k| format!("{name}-{k}")));
            let free = all.into_iter().find(|name| !taken.contains(name)).unwrap_or_default();
            taken.insert(free.clone());
            anchors.insert(run.folder.as_str(), free);
        }
        Page { report, predictions, notes, anchors }
    }

    /// Where a run's record stands.
    pub(crate) fn anchor(&self, run: &Run) -> Option<&str> {
        self.anchors.get(run.folder.as_str()).map(String::as_str)
    }

    /// What a point of a run says.
    pub(crate) fn about(&self, run: &Run, value: f64) -> About {
        let title = format!("{}: {} at {} FLOP", run.name, loss(value), power(run.flops, 3));
        let ratio = run.parameters.map(|n| format!(", {} tokens a parameter", digits(run.tokens / n, 3)));
        About { title: title + &ratio.unwrap_or_default(), anchor: self.anchor(run).map(String::from) }
    }

    /// Predictions that were made from a ladder: from the metrics of its rungs.
    pub(crate) fn predictions_from(&self, ladder: &Ladder) -> impl Iterator<Item = &Foretold> {
        let hashes: BTreeSet<&str> = ladder.rungs.iter().map(|rung| rung.hashes.metrics.as_str()).collect();
        self.predictions
            .iter()
            .filter(move |one| one.hashes.iter().any(|hash| hashes.contains(hash.as_str())))
    }

    /// The run that a prediction's outcome is of, if it is among those of the page: the entry has the hash of its
    /// metrics, or both its loss and its size.
    pub(crate) fn run_of(&self, one: &Foretold) -> Option<&'a Run> {
        let outcome = one.outcome.as_ref()?;
        let near = |a: f64, b: f64, off: f64| (a / b - 1.0).abs() <= off;
        self.report.runs.iter().find(|run| {
            let named = !run.hashes.metrics.is_empty() && outcome.words.contains(&run.hashes.metrics);
            // Given by hand it has perhaps four digits.
            let alike = run.loss.is_some_and(|loss| near(loss, outcome.loss, 1e-4))
                && near(run.flops, one.flops, 0.1)
                && one.unit == "bits a byte";
            named || (run.done && alike)
        })
    }

    /// A section with its heading.
    pub(crate) fn section(&self, anchor: &str, heading: &str) -> Element {
        el("section").set("id", anchor).with(el("h2").text(heading))
    }
}

/// A name of letters, digits and little else.
fn simple(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

/// The whole page.
pub(crate) fn write(report: &Report) -> String {
    let page = Page::of(report);
    let sections: Vec<(&str, &str, Option<Element>)> = vec![
        ("loss", "Loss", losses::section(&page)),
        ("capability", "Capability", capability::section(&page)),
        ("back-tests", "Back-tests", backtests::section(&page)),
        ("transfer", "Transfer", transfer::section(&page)),
        ("curves", "Curves", curves::section(&page)),
        ("registry", "Registry", registry::section(&page)),
        ("records", "Records", records::section(&page)),
    ];
    let links = sections.iter().filter(|(.., section)| section.is_some());
    let links = links.map(|(anchor, name, _)| el("a").set("href", format!("#{anchor}")).text(*name));
    let nav = el("nav").set("aria-label", "Sections").all(links);
    let header = el("header").with(el("h1").text(TITLE)).with(subtitle(&page));
    let header = header.all(losses::cards(&page)).with(nav);
    let main = el("main").all(sections.into_iter().filter_map(|(.., section)| section));
    let body = el("body").with(header).with(main).with(el("footer").text(format!(
        "Written by foretell {} from the records named above; the same records give the same page.",
        report.version
    )));
    let head = el("head")
        .with(el("meta").set("charset", "utf-8"))
        .with(el("meta").set("http-equiv", "Content-Security-Policy").set("content", POLICY))
        .with(el("meta").set("name", "viewport").set("content", "width=device-width, initial-scale=1"))
        .with(el("meta").set("name", "color-scheme").set("content", "light dark"))
        .with(el("title").text(TITLE))
        .with(el("link").set("rel", "icon").set("href", "data:,"))
        .with(el("style").own(STYLE));
    let mut out = String::from("<!DOCTYPE html>\n");
    el("html").set("lang", "en").with(head).with(body).write(&mut out);
    out.push('\n');
    out
}

/// What the page is about, in a line.
fn subtitle(page: &Page) -> Element {
    let Report { ladders, runs, ledger, transfers, .. } = page.report;
    let mut parts = Vec::new();
    let rungs: usize = ladders.iter().map(|ladder| ladder.rungs.len()).sum();
    if !ladders.is_empty() {
        let names: Vec<&str> = ladders.iter().map(|ladder| ladder.name.as_str()).collect();
        let noun = if ladders.len() == 1 { "Ladder" } else { "Ladders" };
        parts.push(format!(
            "{noun} {} ({})",
            names.join(", "),
            count(rungs, "finished rung", "finished rungs")
        ));
    }
    if !runs.is_empty() {
        parts.push(count(runs.len(), "other run", "other runs"));
    }
    if ledger.is_some() {
        let known = page.predictions.iter().filter(|one| one.outcome.is_some()).count();
        let predictions = count(page.predictions.len(), "prediction", "predictions");
        parts.push(format!("{predictions}, {known} with an outcome"));
    }
    if !transfers.is_empty() {
        parts.push(count(transfers.len(), "test of transfer", "tests of transfer"));
    }
    el("p").class("subtitle").text(parts.join(" · "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_an_anchor_of_its_own() {
        let run =
            |name: &str, folder: &str| Run { name: name.into(), folder: folder.into(), ..Run::default() };
        let runs = vec![run("a b", "1"), run("a\"b", "2"), run("a-b-2", "3")];
        let report = Report { runs, ..Report::default() };
        let page = Page::of(&report);
        let anchors: Vec<_> = report.runs.iter().map(|run| page.anchor(run).unwrap()).collect();
        assert_eq!(anchors, ["run-a-b", "run-a-b-2", "run-a-b-2-2"]);
    }
}
