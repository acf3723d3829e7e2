//! Whether training is predictable across sizes: the coordinate check and the sweeps that a transfer folder records.
//!
//! ```text
//! TRANSFER/ transfer.json   {"parametrisation":…, "checks":[…], "coordinates":[…], "sweeps":[…]}
//! ```

use crate::axis::{Axis, ends};
use crate::capability::shade;
use crate::figure::{Row, figure, key, keys, number, paragraph, several, table, word};
use crate::html::{Element, el};
use crate::number::{count, digits, short};
use crate::page::Page;
use crate::plot::{About, Plot, Shape, Size};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// `transfer.json`. Lists that are missing are empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// The parametrisation that was tested.
    pub parametrisation: String,
    /// Relative deviation of the loss between seeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// What was asked of it, and whether it holds.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Sizes of activations over width and depth.
    #[serde(default)]
    pub coordinates: Vec<Coordinate>,
    /// Losses over a setting, a sweep a size of model.
    #[serde(default)]
    pub sweeps: Vec<Sweep>,
}

/// Something that must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What it is called.
    pub name: String,
    /// Whether it holds.
    pub passed: bool,
    /// What was measured.
    pub value: f64,
    /// What it must not go beyond.
    pub bound: f64,
    /// In words.
    #[serde(default)]
    pub text: String,
}

/// What is made larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Entries of a vector.
    Width,
    /// Layers.
    Depth,
}

/// The size of a layer's activations after some steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coordinate {
    /// What is made larger.
    pub kind: Kind,
    /// The width or the depth.
    pub size: f64,
    /// Steps taken.
    pub step: u64,
    /// Which activations.
    pub layer: String,
    /// Root of their mean square.
    pub value: f64,
}

/// Losses of a model of one size over one setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// The setting: `rate` over sizes of model; `horizon` (rates), `batch`, `decay` or `warmup` over tokens.
    pub name: String,
    /// N of the model.
    pub size: f64,
    /// Its width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u64>,
    /// Its layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<u64>,
    /// Tokens of its runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<f64>,
    /// Runs.
    #[serde(default)]
    pub points: Vec<Point>,
    /// The setting with the lowest loss, if there is one between the ends.
    #[serde(default)]
    pub optimum: Option<f64>,
    /// Lower end of its interval.
    #[serde(default)]
    pub lo: Option<f64>,
    /// Upper end.
    #[serde(default)]
    pub hi: Option<f64>,
}

/// A run of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The setting.
    pub x: f64,
    /// What it reached; none if it diverged.
    pub loss: Option<f64>,
    /// Of its weights and data.
    pub seed: u64,
}

impl Transfer {
    /// Reads `transfer.json` of a folder.
    pub fn read(folder: &Path) -> Result<Transfer> {
        let path = folder.join("transfer.json");
        let bytes = std::fs::read(&path).map_err(record::Error::io("read", &path))?;
        serde_json::from_slice(&bytes).map_err(|e| Error::Damaged { path, what: e.to_string() })
    }
}

/// The section; left out where no transfer was measured.
pub(crate) fn section(page: &Page) -> Option<Element> {
    let all =
        page.report.transfers.iter().flat_map(|(name, transfer)| shown(name, transfer)).collect::<Vec<_>>();
    (!all.is_empty()).then(|| page.section("transfer", "Transfer across sizes").all(all))
}

fn shown(name: &str, transfer: &Transfer) -> Vec<Element> {
    let about = format!("{name}, parametrisation {}", transfer.parametrisation);
    let mut all = Vec::new();
    if !transfer.checks.is_empty() {
        let passed = transfer.checks.iter().filter(|check| check.passed).count();
        let text = format!("{passed} of {} passed.", count(transfer.checks.len(), "check", "checks"));
        let row = |check: &Check| -> Row {
            let (verdict, class) = if check.passed { ("passed", "good") } else { ("failed", "bad") };
            vec![
                word(&check.name),
                word(verdict).class(class),
                number(digits(check.value, 3)),
                number(digits(check.bound, 3)),
                word(&check.text).class("long"),
            ]
            .into()
        };
        let heads = ["check", "", "#measured", "#bound", "what it says"];
        let table = table(&about, &heads, transfer.checks.iter().map(row));
        all.push(el("div").with(el("h3").text(&about)).with(paragraph(text)).with(table));
    }
    for (kind, what) in [(Kind::Width, "width"), (Kind::Depth, "depth")] {
        all.extend(coordinates(transfer, kind, what, &about));
    }
    let names: BTreeSet<&str> = transfer.sweeps.iter().map(|sweep| sweep.name.as_str()).collect();
    all.extend(names.into_iter().filter_map(|setting| sweeps(transfer, setting, &about)));
    all
}

/// Activations against width or depth: a picture a layer, a line a step.
fn coordinates(transfer: &Transfer, kind: Kind, what: &str, about: &str) -> Option<Element> {
    let all: Vec<&Coordinate> = transfer.coordinates.iter().filter(|one| one.kind == kind).collect();
    let steps: BTreeSet<u64> = all.iter().map(|one| one.step).collect();
    let mut layers: Vec<&str> = Vec::new();
    for one in &all {
        if !layers.contains(&one.layer.as_str()) {
            layers.push(&one.layer);
        }
    }
    if all.is_empty() {
        return None;
    }
    // One axis for all, so that they can be compared.
    let values = || all.iter().map(|one| one.value).filter(|value| *value > 0.0);
    let picture = |layer: &&str| {
        let (across, up) = Size::Small.marks();
        let x = Axis::log(all.iter().map(|one| one.size), across);
        let mut plot = Plot::new(Size::Small, (x, what), (Axis::log(values(), up), "root mean square"), 7);
        let mut labels = Vec::new();
        for (i, step) in steps.iter().enumerate() {
            let mut points: Vec<(f64, f64)> = all
                .iter()
                .filter(|one| one.step == *step && one.layer == *layer)
                .map(|one| (one.size, one.value))
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let class = format!("s{}", shade(i, steps.len()));
            plot.line(&points, &class, &About::default());
            for (size, value) in &points {
                let title = format!("{layer} at {what} {size} after step {step}: {}", digits(*value, 3));
                plot.point(*size, *value, Shape::Dot(2.5), &class, &About { title, anchor: None });
            }
            labels.extend(points.last().map(|(_, y)| (*y, format!("step {step}"), format!("said {class}"))));
        }
        // Of many, first and last say enough.
        if labels.len() > 5 {
            labels.drain(1..labels.len() - 1);
        }
        plot.beside(&labels);
        let says =
            format!("Root mean square of {layer} against {what}, a line for each of {} steps.", steps.len());
        ((*layer).to_string(), plot.svg(&says))
    };
    let text = format!(
        "Activations after a few steps, against {what}. Where training can be carried over, the lines are level: no layer grows or \
         vanishes with the {what}."
    );
    let heads = ["layer", "#size", "#step", "#root mean square"];
    let row = |one: &&Coordinate| -> Row {
        vec![
            word(&one.layer),
            number(digits(one.size, 4)),
            number(one.step.to_string()),
            number(digits(one.value, 4)),
        ]
        .into()
    };
    let heading = format!("Coordinate check over {what} ({about})");
    let numbers = table(&heading, &heads, all.iter().map(row));
    Some(several(&heading, paragraph(text), layers.iter().map(picture).collect(), numbers))
}

impl Sweep {
    /// What its line is called.
    fn label(&self) -> String {
        match (self.width, self.layers) {
            // The other sweeps are of one model.
            _ if self.name != "rate" && self.tokens.is_some() => {
                format!("D {}", short(self.tokens.unwrap_or_default()))
            }
            (Some(width), Some(layers)) => format!("{width}×{layers}"),
            _ => format!("N {}", short(self.size)),
        }
    }

    /// Mean loss at each setting, diverged runs left out.
    fn means(&self) -> Vec<(f64, f64)> {
        let mut all: Vec<(f64, f64)> =
            self.points.iter().filter_map(|point| Some((point.x, point.loss?))).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut means: Vec<(f64, f64, f64)> = Vec::new();
        for (x, loss) in all {
            match means.last_mut() {
                Some(last) if last.0 == x => (last.1, last.2) = (last.1 + loss, last.2 + 1.0),
                _ => means.push((x, loss, 1.0)),
            }
        }
        means.into_iter().map(|(x, sum, n)| (x, sum / n)).collect()
    }
}

/// Loss against a setting: a line a size of model, its best setting marked.
fn sweeps(transfer: &Transfer, setting: &str, about: &str) -> Option<Element> {
    let mut all: Vec<&Sweep> = transfer.sweeps.iter().filter(|sweep| sweep.name == setting).collect();
    all.sort_by(|a, b| a.size.total_cmp(&b.size));
    let means: Vec<_> = all.iter().map(|sweep| sweep.means()).collect();
    ends(means.iter().flatten().map(|point| point.1))?;
    let heading = format!("Loss against {setting} ({about})");
    let text = "A line is a size of model, the mean of its seeds; a diamond is its best setting with the interval. Where the setting \
                carries over, the diamonds stand above each other.";
    let diverged: usize =
        all.iter().flat_map(|sweep| &sweep.points).filter(|point| point.loss.is_none()).count();
    let text = match diverged {
        0 => text.to_string(),
        _ => format!(
            "{text} {} and stand in the table alone.",
            count(diverged, "run diverged", "runs diverged")
        ),
    };
    let signs = keys([key("dot", "s3", "a seed"), key("diamond", "outcome", "best setting")]);
    let caption = el("div").with(paragraph(text)).with(signs);
    let draw = |size: Size| draw(&all, &means, setting, size);
    let heads = ["model", "#N", "#setting", "#seed", "#loss"];
    let rows = all.iter().flat_map(|sweep| {
        sweep.points.iter().map(|point| -> Row {
            vec![
                word(sweep.label()),
                number(short(sweep.size)),
                number(digits(point.x, 4)),
                number(point.seed.to_string()),
                number(point.loss.map_or("diverged".into(), |loss| digits(loss, 5))),
            ]
            .into()
        })
    });
    let best = |sweep: &&Sweep| -> Option<Row> {
        let ends = sweep.lo.zip(sweep.hi).map(|(lo, hi)| format!("{} to {}", digits(lo, 3), digits(hi, 3)));
        Some(
            vec![word(sweep.label()), number(digits(sweep.optimum?, 3)), number(ends.unwrap_or_default())]
                .into(),
        )
    };
    let best = table("Best settings", &["model", "#best setting", "#interval"], all.iter().filter_map(best));
    let numbers = el("div").with(best).with(table(&heading, &heads, rows));
    Some(figure(&heading, caption, draw, numbers))
}

fn draw(all: &[&Sweep], means: &[Vec<(f64, f64)>], setting: &str, size: Size) -> Element {
    let (across, up) = size.marks();
    let xs = all.iter().flat_map(|sweep| sweep.points.iter().map(|point| point.x));
    let xs: Vec<f64> =
        xs.chain(all.iter().flat_map(|sweep| [sweep.optimum, sweep.lo, sweep.hi]).flatten()).collect();
    let x = match xs.iter().all(|x| *x > 0.0) {
        true => Axis::log(xs, across),
        false => Axis::linear(xs, across),
    };
    let losses = all.iter().flat_map(|sweep| sweep.points.iter().filter_map(|point| point.loss));
    let labels: BTreeMap<usize, String> = all.iter().map(|sweep| sweep.label()).enumerate().collect();
    let letters = labels.values().map(|label| label.chars().count()).max().unwrap_or(0).min(12);
    let mut plot = Plot::new(size, (x, setting), (Axis::linear(losses, up), "loss"), letters);
    let mut beside = Vec::new();
    for (i, (sweep, means)) in all.iter().zip(means).enumerate() {
        let class = format!("s{}", shade(i, all.len()));
        plot.line(means, &class, &About::default());
        for point in &sweep.points {
            if let Some(loss) = point.loss {
                let title = format!(
                    "{}, {setting} {}, seed {}: {}",
                    labels[&i],
                    digits(point.x, 3),
                    point.seed,
                    digits(loss, 5)
                );
                plot.point(point.x, loss, Shape::Dot(2.0), &class, &About { title, anchor: None });
            }
        }
        let least = means.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
        if let Some(optimum) = sweep.optimum.filter(|_| least.is_finite()) {
            if let Some((lo, hi)) = sweep.lo.zip(sweep.hi) {
                plot.span(lo, hi, least, &class);
            }
            let title = format!("{}: best {setting} {}", labels[&i], digits(optimum, 3));
            plot.point(optimum, least, Shape::Diamond, &class, &About { title, anchor: None });
        }
        beside.extend(
            means.last().map(|(_, y)| (*y, labels[&i].chars().take(12).collect(), format!("said {class}"))),
        );
    }
    plot.beside(&beside);
    let sizes = count(all.len(), "size", "sizes");
    plot.svg(&format!("Loss against {setting} for {sizes} of model, with the best setting of each."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Transfer> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("transfer.json"), text).unwrap();
        Transfer::read(folder.path())
    }

    #[test]
    fn what_is_missing_is_empty_and_what_is_wrong_is_named() {
        assert_eq!(read(r#"{"parametrisation":"mup"}"#).unwrap().sweeps, []);
        let said = |text: &str| read(text).unwrap_err().to_string();
        assert!(said(r#"{"checks":[]}"#).contains("transfer.json: missing field `parametrisation`"));
        let sweep = r#"{"parametrisation":"mup","sweeps":[{"name":"rate","size":"big"}]}"#;
        assert!(said(sweep).contains("invalid type"));
        let kind = r#"{"parametrisation":"mup","coordinates":[{"kind":"height","size":1,"step":1,"layer":"a","value":1}]}"#;
        assert!(said(kind).contains("height"));
        assert!(said(r#"{"parametrisation":"mup","sweep":[]}"#).contains("sweep"));
    }

    #[test]
    fn what_is_written_is_read() {
        let transfer = Transfer {
            parametrisation: "mup".into(),
            noise: Some(0.01),
            checks: vec![Check {
                name: "a".into(),
                passed: true,
                value: 1.0,
                bound: 2.0,
                text: String::new(),
            }],
            coordinates: vec![Coordinate {
                kind: Kind::Depth,
                size: 2.0,
                step: 1,
                layer: "l".into(),
                value: 0.5,
            }],
            sweeps: vec![Sweep {
                name: "rate".into(),
                size: 1e4,
                width: Some(16),
                layers: None,
                tokens: Some(1e5),
                points: vec![Point { x: 0.1, loss: None, seed: 1 }],
                optimum: None,
                lo: None,
                hi: None,
            }],
        };
        assert_eq!(read(&serde_json::to_string(&transfer).unwrap()).unwrap(), transfer);
    }

    #[test]
    fn seeds_are_averaged() {
        let point = |x: f64, loss: Option<f64>| Point { x, loss, seed: 1 };
        let points =
            vec![point(2.0, Some(4.0)), point(1.0, Some(3.0)), point(2.0, Some(5.0)), point(2.0, None)];
        let sweep = Sweep {
            name: "rate".into(),
            size: 1.0,
            width: None,
            layers: None,
            tokens: None,
            points,
            optimum: None,
            lo: None,
            hi: None,
        };
        assert_eq!(sweep.means(), [(1.0, 3.0), (2.0, 4.5)]);
    }
}
