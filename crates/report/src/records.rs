//! The records behind the numbers: a card a run, to which its points and names lead.

use crate::figure::paragraph;
use crate::html::{Element, el};
use crate::number::{digits, loss, power, short};
use crate::page::Page;
use crate::run::Run;

/// The section; left out where there is no run.
pub(crate) fn section(page: &Page) -> Option<Element> {
    let groups = page.report.ladders.iter().map(|ladder| (ladder.name.as_str(), &ladder.rungs));
    let groups = groups.chain([("Other runs", &page.report.runs)]);
    let groups: Vec<Element> =
        groups.filter(|(_, runs)| !runs.is_empty()).map(|(name, runs)| group(page, name, runs)).collect();
    let text = "What each number was computed from. Hashes are BLAKE3: of the files named, and of the data as its manifest states it.";
    (!groups.is_empty()).then(|| page.section("records", "Records").with(paragraph(text)).all(groups))
}

/// What a run came from.
fn traces(run: &Run) -> [(&'static str, &str); 6] {
    [
        ("folder", &run.folder),
        ("program", &run.version),
        ("run.toml", &run.hashes.config),
        ("metrics.jsonl", &run.hashes.metrics),
        ("data", &run.hashes.data),
        ("held out", &run.hashes.held_out),
    ]
}

/// Runs that belong together: what is the same of all is said once.
fn group(page: &Page, name: &str, runs: &[Run]) -> Element {
    let same = |k: usize| runs.len() > 1 && runs.iter().all(|run| traces(run)[k].1 == traces(&runs[0])[k].1);
    let shared = list((0..6).filter(|k| same(*k)).map(|k| traces(&runs[0])[k]));
    let cards = runs.iter().map(|run| card(page, run, (0..6).filter(|k| !same(*k)).map(|k| traces(run)[k])));
    el("div").with(el("h3").text(name)).with(shared).with(el("div").class("records").all(cards))
}

fn list<'a>(traces: impl Iterator<Item = (&'static str, &'a str)>) -> Element {
    let one = |(name, value): (&'static str, &'a str)| {
        el("div").with(el("dt").text(name)).with(el("dd").text(value))
    };
    el("dl").class("traces").all(traces.filter(|(_, value)| !value.is_empty()).map(one))
}

fn card<'a>(page: &Page, run: &Run, traces: impl Iterator<Item = (&'static str, &'a str)>) -> Element {
    let state = if run.done { "" } else { " (not done)" };
    let mut facts_list = el("dl").class("facts");
    let known = run.parameters.filter(|parameters| *parameters > 0.0);
    let mut facts = vec![
        ("N", known.map(short).unwrap_or_default()),
        ("D", short(run.tokens)),
        ("D/N", known.map(|n| digits(run.tokens / n, 3)).unwrap_or_default()),
        ("FLOP", power(run.flops, 4)),
        ("bits a byte", run.loss.map(loss).unwrap_or_default()),
    ];
    let sets: Vec<_> = run.sets.iter().map(|(name, value)| (name.as_str(), loss(*value))).collect();
    facts.extend(sets);
    facts.push(("seed", run.seed.to_string()));
    facts.retain(|(_, value)| !value.is_empty());
    for (name, value) in facts {
        facts_list = facts_list.with(el("div").with(el("dt").text(name)).with(el("dd").text(value)));
    }
    let card = el("article").class("record");
    let card = match page.anchor(run) {
        Some(anchor) => card.set("id", anchor),
        None => card,
    };
    card.with(el("h4").text(format!("{}{state}", run.name))).with(facts_list).with(list(traces))
}
