//! Records of runs that follow a known law, and a reader of pages that takes no markup but ours.

use record::{Entry, Registry};
use report::{Answer, Run};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Bits a byte of a run.
fn law(n: f64, d: f64) -> f64 {
    0.7 + 1.1 * (n / 1e4).powf(-0.3) + 0.9 * (d / 2e5).powf(-0.33)
}

/// Answers to twelve questions on three levels.
pub(crate) fn answers(loss: f64, bucket: &str) -> Vec<Answer> {
    let answer = |k: usize| {
        let level = k / 4 + 1;
        let probability = (-loss * loss * (0.2 + 0.25 * k as f64)).exp();
        let bucket = if bucket.is_empty() { level.to_string() } else { bucket.into() };
        Answer { id: format!("q{k}"), bucket, probability, correct: probability > 0.4 }
    };
    (0..12).map(answer).collect()
}

/// A run's folder, finished or not, with a loss that is `off` times the law's.
pub(crate) fn write_run(folder: &Path, n: f64, d: f64, seed: u64, off: f64, done: bool) {
    fs::create_dir_all(folder).unwrap();
    let config = format!(
        "seed = {seed}\n[data]\npath = 'data'\nhash = '{}'\neval_hash = '{}'\n[origin]\nversion = '0.1.0 (test)'\n",
        record::hash(b"data"),
        record::hash(b"held out")
    );
    fs::write(folder.join("run.toml"), config).unwrap();
    let mut text = String::new();
    let steps = 400;
    for step in 1..=steps {
        let tokens = d * f64::from(step) / f64::from(steps);
        // A wave for the noise of batches.
        let loss = 1.8 * law(n, tokens) * (1.0 + 0.02 * (f64::from(step) * 1.7).sin());
        let flops = 6.0 * n * tokens;
        writeln!(
            text,
            "{{\"step\":{step},\"train/loss\":{loss},\"train/tokens\":{tokens},\"train/flops\":{flops}}}"
        )
        .unwrap();
        if step % 100 == 0 && (done || step < steps) {
            let loss = off * law(n, tokens);
            let code = 1.3 * loss;
            writeln!(
                text,
                "{{\"step\":{step},\"val/loss\":{},\"val/bits_per_byte\":{loss},\"set/code/bits_per_byte\":{code}}}",
                1.8 * loss
            )
            .unwrap();
        }
    }
    fs::write(folder.join("metrics.jsonl"), text).unwrap();
    if done {
        let mut text = String::new();
        for Answer { id, bucket, probability, correct } in answers(off * law(n, d), "") {
            let line = serde_json::json!({"id": id, "level": bucket.parse::<u64>().unwrap(), "probability": probability, "correct": correct});
            writeln!(text, "{line}").unwrap();
        }
        fs::write(folder.join("questions-world.jsonl"), text).unwrap();
        fs::write(folder.join("DONE"), "").unwrap();
    }
}

/// So many rungs over three decades and more of compute, at three ratios; names and N.
pub(crate) fn write_ladder(folder: &Path, count: usize) -> Vec<(String, f64)> {
    let rung = |k: usize| {
        let (level, ratio) = (k / 3, [10.0, 20.0, 40.0][k % 3]);
        let n = (1e4 * 1.55f64.powi(level as i32)).round();
        let name = format!("{n}-{ratio}");
        let off = 1.0 + 0.004 * ((k * 7 % 5) as f64 - 2.0) / 2.0;
        write_run(&folder.join(&name), n, n * ratio, k as u64, off, true);
        (name, n)
    };
    (0..count).map(rung).collect()
}

/// Three predictions, one of them with its outcome.
pub(crate) fn registry(path: &Path, rungs: &[Run], target: &Run) -> Vec<Entry> {
    let registry = Registry::at(path);
    let hashes = |most: f64| -> serde_json::Map<_, _> {
        let used = rungs.iter().filter(|rung| rung.flops <= most);
        used.map(|rung| (rung.name.clone(), rung.hashes.metrics.clone().into())).collect()
    };
    let dearest = rungs.iter().map(|rung| rung.flops).fold(0.0, f64::max);
    for (k, (n, d)) in [(1e7, 2e8), (3e7, 6e8), (1e8, 2e9)].into_iter().enumerate() {
        let loss = law(n, d);
        let mut body = serde_json::json!({
            "target": {"parameters": n, "tokens": d}, "flops": 6.0 * n * d, "compute_ratio": 6.0 * n * d / dearest,
            "loss": loss, "loss_unit": "bits a byte", "version": "0.1.0 (test)",
            // The first without the dearest rungs.
            "source": {"ladder": "ladders/bytes", "rungs": hashes(if k == 0 { 0.1 * dearest } else { dearest })},
        });
        for (level, half) in [(80, 0.02), (90, 0.03), (95, 0.04)] {
            body[format!("lo{level}")] = (loss * (1.0 - half)).into();
            body[format!("hi{level}")] = (loss * (1.0 + half)).into();
        }
        registry.append(1_764_000_000 + k as u64, "prediction", body.as_object().unwrap().clone()).unwrap();
    }
    let body = serde_json::json!({"of": 1, "observed": target.loss, "run": "runs/target", "metrics_hash": target.hashes.metrics, "foretold_seconds": 580, "seconds": 600,
        "foretold_memory_bytes": 52000000, "memory_bytes": 52000000});
    registry.append(1_764_100_000, "outcome", body.as_object().unwrap().clone()).unwrap();
    registry.entries().unwrap()
}

/// Elements that a page may have, and attributes.
const ELEMENTS: [&str; 50] = [
    "html",
    "head",
    "meta",
    "title",
    "link",
    "style",
    "body",
    "header",
    "main",
    "footer",
    "nav",
    "section",
    "article",
    "h1",
    "h2",
    "h3",
    "h4",
    "p",
    "a",
    "span",
    "div",
    "dl",
    "dt",
    "dd",
    "figure",
    "figcaption",
    "details",
    "summary",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "svg",
    "g",
    "line",
    "polyline",
    "polygon",
    "circle",
    "rect",
    "path",
    "text",
    "ul",
    "ol",
    "li",
    "b",
    "i",
    "code",
    "small",
];
const ATTRIBUTES: [&str; 35] = [
    "lang",
    "charset",
    "http-equiv",
    "content",
    "name",
    "rel",
    "href",
    "id",
    "class",
    "aria-label",
    "aria-hidden",
    "role",
    "tabindex",
    "scope",
    "data-is",
    "viewBox",
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "cx",
    "cy",
    "r",
    "width",
    "height",
    "points",
    "text-anchor",
    "title",
    "d",
    "open",
    "dx",
    "dy",
    "style",
];

/// A page, read as strictly as XML is.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) ids: BTreeSet<String>,
    /// Where links lead, without their `#`.
    pub(crate) links: Vec<String>,
}

impl Page {
    /// Reads a page; anything that is not closed, quoted or ours is a failure.
    pub(crate) fn parse(text: &str) -> Page {
        let mut page = Page::default();
        let mut rest = text.strip_prefix("<!DOCTYPE html>").expect("a document type");
        let mut open: Vec<&str> = Vec::new();
        while let Some(at) = rest.find('<') {
            let (before, tag) = rest.split_at(at);
            // The style is raw text, which ends with its element.
            assert!(open.last() == Some(&"style") || is_text(before), "{before:?}");
            let end = tag.find('>').expect("a tag that ends");
            let inside = &tag[1..end];
            rest = &tag[end + 1..];
            if let Some(name) = inside.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name), "closed in the wrong order");
                continue;
            }
            let (inside, closed) = match inside.strip_suffix('/') {
                Some(inside) => (inside, true),
                None => (inside, false),
            };
            let (name, attributes) = inside.split_once(' ').unwrap_or((inside, ""));
            assert!(ELEMENTS.contains(&name), "<{name}> is not ours: {inside}");
            page.attributes(attributes);
            if !closed {
                open.push(name);
            }
        }
        assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest:?}");
        page
    }

    fn attributes(&mut self, mut rest: &str) {
        while !rest.is_empty() {
            let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{rest:?}"));
            let (value, after) = after.split_once('"').unwrap_or_else(|| panic!("{rest:?}"));
            assert!(ATTRIBUTES.contains(&name), "{name} is not ours: {rest:?}");
            assert!(is_text(value) && !value.contains('<'), "{value:?}");
            match name {
                "id" => assert!(self.ids.insert(value.into()), "two have the id {value}"),
                "href" if value != "data:," => {
                    let link = value.strip_prefix('#').unwrap_or_else(|| panic!("{value} leads away"));
                    self.links.push(link.into());
                }
                _ => {}
            }
            rest = after.strip_prefix(' ').unwrap_or(after);
        }
    }

    /// Every link leads somewhere on the page.
    pub(crate) fn check(&self) {
        let lost: Vec<_> = self.links.iter().filter(|link| !self.ids.contains(*link)).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}

/// Whether every `&` begins one of the escapes.
fn is_text(text: &str) -> bool {
    let escapes = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
    text.match_indices('&').all(|(at, _)| escapes.iter().any(|escape| text[at..].starts_with(escape)))
}
