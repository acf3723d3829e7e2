//! Loss against compute: the rungs, the law with its band, what was foretold and what came out (Figure 1 of the GPT-4
//! report).

use crate::axis::{Axis, ends};
use crate::figure::{Row, figure, key, keys, link, number, paragraph, table, word};
use crate::html::{Element, el};
use crate::ladder::{Fitted, Ladder, Rung};
use crate::ledger::Foretold;
use crate::number::{count, digits, loss, minus, power, short, signed_percent, times};
use crate::page::Page;
use crate::plot::{About, Plot, Shape, Size};
use crate::run::Run;
use scaling::{Interval, Prediction, median};

/// Rungs whose tokens a parameter are this many times more or fewer than the law's line are set back.
const NEAR: f64 = 1.6;

/// Predictions that have words beside them; more would only have their numbers.
const SPOKEN: usize = 3;

/// Everything that one of these figures shows.
struct Scene<'a> {
    page: &'a Page<'a>,
    fitted: Fitted<'a>,
    /// The prediction whose law is drawn.
    lead: Option<&'a Foretold>,
    /// Tokens a parameter of the law's line.
    ratio: f64,
    law: Vec<(f64, Prediction)>,
    predictions: Vec<&'a Foretold>,
    /// Runs beside the ladder with their flops and losses.
    others: Vec<(&'a Run, f64, f64)>,
    unit: String,
}

/// The section; left out where no ladder has a finished rung.
pub(crate) fn section(page: &Page) -> Option<Element> {
    let mut figures = Vec::new();
    for ladder in &page.report.ladders {
        figures.extend(shown(page, ladder, None));
        figures.extend(ladder.sets().into_iter().filter_map(|set| shown(page, ladder, Some(set))));
    }
    (!figures.is_empty()).then(|| page.section("loss", "Loss against compute").all(figures))
}

fn shown(page: &Page, ladder: &Ladder, set: Option<&str>) -> Option<Element> {
    let scene = Scene::of(page, ladder, set)?;
    let heading = match set {
        None => format!("{}: held-out loss", ladder.name),
        Some(set) => format!("{}: loss on the set {set}", ladder.name),
    };
    Some(figure(&heading, scene.caption(ladder), |size| scene.draw(size), scene.numbers(&heading)))
}

fn band(prediction: &Prediction) -> (f64, f64) {
    let [_, Interval { low, high, .. }, _] = prediction.intervals;
    (low, high)
}

impl<'a> Scene<'a> {
    fn of(page: &'a Page<'a>, ladder: &'a Ladder, set: Option<&str>) -> Option<Scene<'a>> {
        // Registered are losses on the held-out set.
        let predictions: Vec<_> = match set {
            None => page.predictions_from(ladder).collect(),
            Some(_) => Vec::new(),
        };
        let lead = predictions.iter().rev().find(|one| one.outcome.is_some()).or(predictions.last()).copied();
        let fitted = ladder.fitted(set, lead.map(|lead| &lead.hashes));
        let (low, high) = ends(fitted.rungs.iter().map(|rung| rung.row.flops))?;
        let others: Vec<_> = page.report.runs.iter().filter(|run| beside(run, ladder)).collect();
        let others: Vec<_> = others
            .into_iter()
            .filter_map(|run| {
                let loss = if let Some(set) = set { run.sets.get(set).copied() } else { run.loss };
                Some((run, run.flops, loss?))
            })
            .collect();
        let ratio = match lead {
            Some(lead) => lead.ratio(),
            None => median(fitted.rungs.iter().map(|rung| rung.row.ratio()))?,
        };
        let far = predictions.iter().map(|one| one.flops).chain(others.iter().map(|other| other.1));
        // Where nothing is asked, a decade beyond the dearest rung.
        let far = far.fold(f64::NAN, f64::max);
        let far = if far.is_nan() { 10.0 * high } else { far.max(high) };
        let law = fitted.line(ratio, (low, far));
        Some(Scene { page, fitted, lead, ratio, law, predictions, others, unit: "bits a byte".into() })
    }

    fn caption(&self, ladder: &Ladder) -> Element {
        let (rungs, used) = (self.fitted.rungs.len(), self.used());
        let mut text = format!("{} of {}.", count(rungs, "finished rung", "finished rungs"), ladder.folder);
        if self.law.is_empty() {
            text += " There are too few for a law.";
        } else {
            text += " The law is the average over laws that predictions are made of";
            match self.lead {
                Some(lead) => {
                    text += &format!(
                        ", over the {} that prediction {} was made from",
                        count(used, "rung", "rungs"),
                        lead.id
                    );
                }
                None => text += ", over all of them",
            }
            text += &format!("; it is drawn at {} tokens a parameter.", digits(self.ratio, 3));
        }
        if !ladder.unfinished.is_empty() {
            text += &format!(" {} not done.", count(ladder.unfinished.len(), "rung is", "rungs are"));
        }
        let mut signs =
            vec![key("dot", "rung", "rung"), key("dot", "rung far", "rung at other tokens a parameter")];
        if used < rungs {
            signs.push(key("ring", "rung", "rung that was not used"));
        }
        if !self.law.is_empty() {
            signs.extend([key("line", "law", "law"), key("band", "law", "its 90 % band")]);
        }
        if !self.predictions.is_empty() {
            signs.push(key("ring", "foretold", "foretold, with its 90 % interval"));
        }
        if self.predictions.iter().any(|one| one.outcome.is_some()) {
            signs.push(key("diamond", "outcome", "came out"));
        }
        if !self.loose().is_empty() {
            signs.push(key("diamond", "other", "run beside the ladder, not fitted"));
        }
        el("div").with(paragraph(text)).with(keys(signs))
    }

    /// How many rungs foretell.
    fn used(&self) -> usize {
        self.fitted.rungs.iter().filter(|rung| rung.used).count()
    }

    /// Runs beside the ladder that are not the outcome of a prediction.
    fn loose(&self) -> Vec<&(&'a Run, f64, f64)> {
        let is_outcome = |run: &Run| {
            self.predictions
                .iter()
                .any(|one| self.page.run_of(one).is_some_and(|other| other.folder == run.folder))
        };
        self.others.iter().filter(|(run, ..)| !is_outcome(run)).collect()
    }

    fn draw(&self, size: Size) -> Element {
        let rungs = &self.fitted.rungs;
        let flops = rungs.iter().map(|rung| rung.row.flops).chain(self.law.iter().map(|point| point.0));
        let flops = flops.chain(self.predictions.iter().map(|one| one.flops));
        let flops = flops.chain(self.others.iter().map(|other| other.1));
        let losses = rungs.iter().map(|rung| rung.row.loss);
        let bands = self.law.iter().flat_map(|(_, prediction)| <[f64; 2]>::from(band(prediction)));
        let foretold = self.predictions.iter().flat_map(|one| {
            let outcome = one.outcome.as_ref().map_or(one.loss, |outcome| outcome.loss);
            [one.ends[1].0, one.ends[1].1, outcome]
        });
        let losses = losses.chain(bands).chain(foretold).chain(self.others.iter().map(|other| other.2));
        let (across, up) = size.marks();
        let x = Axis::log(flops, across);
        let lines = self.predictions.iter().map(|one| self.words(one, size).len()).sum();
        let below = if lines == 0 { 0.06 } else { Plot::room(size, lines) };
        let y = Axis::padded(losses, [below, 0.04], up);
        let mut plot = Plot::new(size, (x, "compute, FLOP"), (y, &self.unit), 0);

        let lines: Vec<_> = self.law.iter().map(|(x, one)| (*x, band(one).0, band(one).1)).collect();
        if !lines.is_empty() {
            plot.band(&lines, "law");
            let line: Vec<_> = self.law.iter().map(|(x, one)| (*x, one.loss)).collect();
            plot.line(&line, "law", &About::default());
        }
        let dearest = self.fitted.dearest();
        if self.law.last().is_some_and(|point| point.0 > 1.5 * dearest) {
            plot.upright(dearest, if size.wide() { "dearest rung" } else { "dearest" });
        }
        for Rung { run, row, used } in rungs {
            let off = (row.ratio() / self.ratio).ln().abs();
            let class = if off <= NEAR.ln() { "rung" } else { "rung far" };
            let shape = if *used { Shape::Dot(3.5) } else { Shape::Ring(3.2) };
            plot.point(row.flops, row.loss, shape, class, &self.page.about(run, row.loss));
        }
        for (run, flops, loss) in self.loose() {
            plot.point(*flops, *loss, Shape::Diamond, "other", &self.page.about(run, *loss));
        }
        for one in &self.predictions {
            self.foretold(&mut plot, one);
        }
        for one in &self.predictions {
            let words = self.words(one, size);
            let ends = one.outcome.as_ref().map_or(one.ends[1], |outcome| {
                (outcome.loss.min(one.ends[1].0), outcome.loss.max(one.ends[1].1))
            });
            plot.words(one.flops, ends, &words);
        }
        plot.svg(&self.says())
    }

    fn foretold(&self, plot: &mut Plot, one: &Foretold) {
        let (low, high) = one.ends[1];
        plot.interval(one.flops, low, high, "foretold");
        let title = format!(
            "Prediction {}: {} {}, 90 % from {} to {}; {} FLOP, {} the dearest rung",
            one.id,
            loss(one.loss),
            one.unit,
            loss(low),
            loss(high),
            power(one.flops, 3),
            times(one.reach)
        );
        let about = About { title, anchor: Some(one.anchor()) };
        plot.point(one.flops, one.loss, Shape::Ring(5.0), "foretold", &about);
        if let Some(outcome) = &one.outcome {
            let error = signed_percent(one.loss / outcome.loss - 1.0);
            let title = format!(
                "Came out: {} {}; prediction {} was off by {error}",
                loss(outcome.loss),
                one.unit,
                one.id
            );
            let anchor = self.page.run_of(one).and_then(|run| self.page.anchor(run)).map(String::from);
            let about = About { title, anchor: anchor.or(Some(one.anchor())) };
            plot.point(one.flops, outcome.loss, Shape::Diamond, "outcome", &about);
        }
    }

    fn words(&self, one: &Foretold, size: Size) -> Vec<(String, &'static str)> {
        if self.predictions.len() > SPOKEN {
            return vec![(one.id.to_string(), "said foretold")];
        }
        let digit = |x: f64| digits(x, 4);
        // Where there are several, which is which.
        let which = if self.predictions.len() > 1 { format!("{}: ", one.id) } else { String::new() };
        let mut words = vec![match size.wide() {
            true => (
                format!(
                    "{which}foretold {} ({} to {})",
                    digit(one.loss),
                    digit(one.ends[1].0),
                    digit(one.ends[1].1)
                ),
                "said foretold",
            ),
            false => (format!("{which}foretold {}", digit(one.loss)), "said foretold"),
        }];
        if let Some(outcome) = &one.outcome {
            words.push((format!("came out {}", digit(outcome.loss)), "said outcome"));
        }
        words
    }

    /// The figure in words.
    fn says(&self) -> String {
        let rungs = &self.fitted.rungs;
        let flops = ends(rungs.iter().map(|rung| rung.row.flops)).unwrap_or_default();
        let losses = ends(rungs.iter().map(|rung| rung.row.loss)).unwrap_or_default();
        let mut text = format!(
            "Loss against compute. {} from {} to {} FLOP have losses from {} down to {} {}.",
            count(rungs.len(), "rung", "rungs"),
            power(flops.0, 2),
            power(flops.1, 2),
            loss(losses.1),
            loss(losses.0),
            self.unit
        );
        for one in &self.predictions {
            text += &format!(" Foretold at {} FLOP: {}", power(one.flops, 2), loss(one.loss));
            if let Some(outcome) = &one.outcome {
                text += &format!(", came out: {}", loss(outcome.loss));
            }
            text += ".";
        }
        text
    }

    fn numbers(&self, name: &str) -> Element {
        let heads = ["run", "#N", "#D", "#D/N", "#FLOP", "#loss", "#law", "#off by"];
        let family = self.fitted.family.as_ref();
        let row = |run: &Run, row: &scaling::Run| -> Row {
            let law = family.and_then(|family| family.predict(&row.target()).ok()).map(|one| one.loss);
            vec![
                link(&run.name, self.page.anchor(run)),
                number(short(row.parameters)),
                number(short(row.tokens)),
                number(digits(row.ratio(), 3)),
                number(power(row.flops, 3)),
                number(loss(row.loss)),
                number(law.map(loss).unwrap_or_default()),
                number(law.map(|law| signed_percent(law / row.loss - 1.0)).unwrap_or_default()),
            ]
            .into()
        };
        let mut rows: Vec<Row> = self.fitted.rungs.iter().map(|rung| row(rung.run, &rung.row)).collect();
        for (run, flops, value) in &self.others {
            let values = run.parameters.map(|parameters| scaling::Run {
                parameters,
                tokens: run.tokens,
                flops: *flops,
                loss: *value,
            });
            rows.extend(values.filter(|values| values.check().is_ok()).map(|values| row(run, &values)));
        }
        let noise = scaling::Noise::measure(&self.fitted.rows());
        let element = el("div").with(table(name, &heads, rows));
        match noise {
            Some(noise) => element.with(paragraph(format!(
                "Runs that differ by their seed alone differ by {:.2} % (one deviation).",
                100.0 * noise.deviation
            ))),
            None => element,
        }
    }
}

/// Whether a run outside a ladder can be held against its law: finished, and scored on the same held-out set.
fn beside(run: &Run, ladder: &Ladder) -> bool {
    run.done && ladder.rungs.first().is_some_and(|rung| rung.hashes.held_out == run.hashes.held_out)
}

/// What was foretold and what came out, in a word each, for the head of the page.
pub(crate) fn cards(page: &Page) -> Option<Element> {
    /// More than so many would push the first picture off the page.
    const SHOWN: usize = 4;
    let known: Vec<_> = page.predictions.iter().filter(|one| one.outcome.is_some()).collect();
    let open: Vec<_> = page.predictions.iter().filter(|one| one.outcome.is_none()).collect();
    let shown: Vec<_> = known
        .iter()
        .rev()
        .take(SHOWN)
        .rev()
        .chain(open.iter().rev().take(SHOWN - known.len().min(SHOWN)).rev())
        .collect();
    if shown.is_empty() {
        return None;
    }
    let card = |one: &&&Foretold| {
        let about = format!("Prediction {} · {} · {} the dearest run", one.id, one.unit, times(one.reach));
        let (low, high) = one.ends[1];
        let pair = |name: &str, class: &str, value: String| {
            el("div").class(class).with(el("dt").text(name)).with(el("dd").text(value))
        };
        let mut list = el("dl").with(pair("foretold", "foretold", loss(one.loss)));
        let (verdict, class) = match &one.outcome {
            Some(outcome) => {
                list = list.with(pair("came out", "outcome", loss(outcome.loss)));
                let (held, class) = match one.held(outcome) {
                    Some(level) => (format!("inside the {level} % interval"), "verdict"),
                    None => ("outside every interval".into(), "verdict missed"),
                };
                (format!("off by {}, {held}", signed_percent(one.loss / outcome.loss - 1.0)), class)
            }
            None => (format!("90 %: {} to {}; not known yet", digits(low, 4), digits(high, 4)), "verdict"),
        };
        el("a")
            .class("card")
            .set("href", format!("#{}", one.anchor()))
            .with(el("span").class("about").text(about))
            .with(list)
            .with(el("span").class(class).text(verdict))
    };
    let rest = page.predictions.len() - shown.len();
    let cards = el("div").class("cards").all(shown.iter().map(card));
    Some(match rest {
        0 => cards,
        rest => cards.with(
            el("a")
                .class("more")
                .set("href", "#registry")
                .text(format!("and {} in the registry", count(rest, "other", "others"))),
        ),
    })
}

/// Constants of the laws with their deviations.
pub(crate) fn laws(fitted: &Fitted, name: &str) -> Option<Element> {
    let rows = fitted.rows();
    let dearest = rows.iter().max_by(|a, b| a.flops.total_cmp(&b.flops))?;
    let opinions = scaling::forecast::opinions(&rows, &dearest.target());
    if opinions.is_empty() {
        return None;
    }
    let short = |x: f64| digits(x, 4);
    let row = |one: &scaling::forecast::Opinion| -> Row {
        let constant = |(name, value, deviation): &(&str, f64, f64)| match deviation.is_finite() {
            true => format!("{name} = {} ± {}", short(*value), digits(*deviation, 2)),
            false => format!("{name} = {}", short(*value)),
        };
        let constants: Vec<_> = one.constants.iter().map(constant).collect();
        vec![word(one.law), word(minus(one.formula)), word(constants.join(", ")).class("long")].into()
    };
    Some(table(name, &["law", "formula", "constants, each with its deviation"], opinions.iter().map(row)))
}
