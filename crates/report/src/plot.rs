//! A plot: axes, points, lines, bands and what is written beside them, as an SVG element.
//!
//! Every plot is drawn for a wide page and for a narrow one, with letters of the same size, and the page shows the one
//! that fits: a picture that is only shrunk cannot be read on a telephone.

use crate::axis::Axis;
use crate::html::{Element, coordinate, el};

/// Where a plot stands, and how large it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Size {
    /// Across a wide page.
    Wide,
    /// Across a telephone.
    Narrow,
    /// One of several beside each other.
    Small,
}

impl Size {
    fn canvas(self) -> (f64, f64) {
        match self {
            Size::Wide => (820.0, 430.0),
            Size::Narrow => (360.0, 340.0),
            Size::Small => (360.0, 250.0),
        }
    }

    /// Marks on the x axis and on the y axis, about.
    pub(crate) fn marks(self) -> (usize, usize) {
        match self {
            Size::Wide => (9, 6),
            Size::Narrow => (4, 6),
            Size::Small => (4, 4),
        }
    }

    /// Whether there is room for words beside points.
    pub(crate) fn wide(self) -> bool {
        self == Size::Wide
    }
}

/// How a point looks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A dot with this radius.
    Dot(f64),
    /// A ring with this radius.
    Ring(f64),
    /// A square on its corner.
    Diamond,
}

/// What a point is, for those who ask.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// Shown where a pointer rests.
    pub(crate) title: String,
    /// The anchor of its record on this page.
    pub(crate) anchor: Option<String>,
}

impl About {
    /// The element, with what it is.
    fn of(&self, element: Element) -> Element {
        let element = match self.title.is_empty() {
            true => element,
            false => element.with(el("title").text(&self.title)),
        };
        match &self.anchor {
            // Who goes from link to link with the keyboard finds the same ones in the tables.
            Some(anchor) => el("a").set("href", format!("#{anchor}")).set("tabindex", "-1").with(element),
            None => element,
        }
    }
}

/// Space for the marks' texts.
const LEFT: f64 = 46.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 44.0;

/// Height of a line of text, and the width of a letter, about.
const LINE: f64 = 15.0;
const LETTER: f64 = 6.3;

/// A plot that is being drawn.
pub(crate) struct Plot {
    size: Size,
    x: Axis,
    y: Axis,
    right: f64,
    titles: (String, String),
    /// Below the points.
    under: Vec<Element>,
    /// Points, and lines that are not cut at the frame.
    over: Vec<Element>,
    /// What is written, each with its box: left, top, right, bottom.
    written: Vec<[f64; 4]>,
}

impl Plot {
    /// An empty plot; `right` letters fit beside its right end.
    pub(crate) fn new(
        size: Size,
        (x, x_title): (Axis, &str),
        (y, y_title): (Axis, &str),
        right: usize,
    ) -> Plot {
        Plot {
            size,
            x,
            y,
            right: 14.0 + LETTER * right as f64,
            titles: (x_title.into(), y_title.into()),
            under: Vec::new(),
            over: Vec::new(),
            written: Vec::new(),
        }
    }

    /// The frame: left, top, right, bottom.
    fn frame(&self) -> [f64; 4] {
        let (width, height) = self.size.canvas();
        [LEFT, TOP, width - self.right, height - BOTTOM]
    }

    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        let [left, top, right, bottom] = self.frame();
        // What lies far outside needs no exact place.
        let near = |share: f64| share.clamp(-3.0, 4.0);
        let (x, y) = (near(self.x.share(x)), near(self.y.share(y)));
        (left + x * (right - left), bottom - y * (bottom - top))
    }

    fn path(&self, points: impl IntoIterator<Item = (f64, f64)>) -> String {
        let mut text = String::new();
        for (x, y) in points {
            if x.is_finite() && y.is_finite() {
                let (x, y) = self.place(x, y);
                let space = if text.is_empty() { "" } else { " " };
                text += &format!("{space}{},{}", coordinate(x), coordinate(y));
            }
        }
        text
    }

    /// A line through points.
    pub(crate) fn line(&mut self, points: &[(f64, f64)], class: &str, about: &About) {
        if points.len() > 1 {
            let path = self.path(points.iter().copied());
            let line = el("polyline").class(format!("line {class}")).set("points", path);
            self.under.push(about.of(line));
        }
    }

    /// What lies between two lines: x, low, high.
    pub(crate) fn band(&mut self, points: &[(f64, f64, f64)], class: &str) {
        let there = points.iter().map(|(x, low, _)| (*x, *low));
        let back = points.iter().rev().map(|(x, _, high)| (*x, *high));
        let path = self.path(there.chain(back));
        self.under.push(el("polygon").class(format!("band {class}")).set("points", path));
    }

    /// A thin upright line with a word at its head.
    pub(crate) fn upright(&mut self, x: f64, word: &str) {
        let [_, top, _, bottom] = self.frame();
        let (at, _) = self.place(x, 0.0);
        let line = el("line").class("mark").at("x1", at).at("x2", at).at("y1", top).at("y2", bottom);
        self.under.push(line);
        self.write(at - 5.0, top + 11.0, word, "quiet", "end");
    }

    /// A thin level line.
    pub(crate) fn level(&mut self, y: f64) {
        let [left, _, right, _] = self.frame();
        let (_, at) = self.place(0.0, y);
        self.under.push(el("line").class("mark").at("x1", left).at("x2", right).at("y1", at).at("y2", at));
    }

    /// An interval, upright.
    pub(crate) fn interval(&mut self, x: f64, low: f64, high: f64, class: &str) {
        let ((at, from), (_, to)) = (self.place(x, low), self.place(x, high));
        let line = el("line").class(format!("interval {class}"));
        self.over.push(line.at("x1", at).at("x2", at).at("y1", from).at("y2", to));
    }

    /// An interval, level.
    pub(crate) fn span(&mut self, low: f64, high: f64, y: f64, class: &str) {
        let ((from, at), (to, _)) = (self.place(low, y), self.place(high, y));
        let line = el("line").class(format!("interval {class}"));
        self.over.push(line.at("x1", from).at("x2", to).at("y1", at).at("y2", at));
    }

    /// A point.
    pub(crate) fn point(&mut self, x: f64, y: f64, shape: Shape, class: &str, about: &About) {
        if !(x.is_finite() && y.is_finite()) {
            return;
        }
        let (x, y) = self.place(x, y);
        let element = match shape {
            Shape::Dot(radius) => el("circle").at("cx", x).at("cy", y).at("r", radius),
            Shape::Ring(radius) => el("circle").at("cx", x).at("cy", y).at("r", radius),
            Shape::Diamond => {
                let corner = |dx: f64, dy: f64| format!("{},{}", coordinate(x + dx), coordinate(y + dy));
                let r = 6.0;
                let corners = [corner(0.0, -r), corner(r, 0.0), corner(0.0, r), corner(-r, 0.0)];
                el("polygon").set("points", corners.join(" "))
            }
        };
        let kind = if matches!(shape, Shape::Ring(_)) { "ring" } else { "point" };
        self.over.push(about.of(element.class(format!("{kind} {class}"))));
    }

    /// Writes beside what stands between two values: below it and to its left, where a falling curve leaves room; lower,
    /// where something is written already; and above it, where there is no room below.
    pub(crate) fn words(&mut self, x: f64, (low, high): (f64, f64), lines: &[(String, &str)]) {
        let ((x, under), (_, over)) = (self.place(x, low), self.place(x, high));
        let [left, ceiling, right, bottom] = self.frame();
        let longest = lines.iter().map(|(text, _)| text.chars().count()).max().unwrap_or(0);
        let width = LETTER * longest as f64;
        // Not beyond the left end.
        let end = (x + 6.0).max(left + width + 4.0).min(right);
        let height = LINE * lines.len() as f64;
        let hit = |top: f64| {
            let over =
                |[l, t, r, b]: &&[f64; 4]| end - width < *r && end > *l && top < *b && top + height > *t;
            self.written.iter().find(over).copied()
        };
        let mut top = under + 6.0;
        while let Some([.., below]) = hit(top) {
            top = below + 2.0;
        }
        if top + height > bottom - 2.0 {
            let mut above = over - 6.0 - height;
            while let Some([_, other, ..]) = hit(above) {
                above = other - 2.0 - height;
            }
            // Rather over something than outside.
            top = if above > ceiling { above } else { bottom - height - 2.0 };
        }
        for (text, class) in lines {
            top += LINE;
            self.write(end, top - 3.0, text, class, "end");
        }
    }

    /// The share of the values' range that must be left free for so many lines of words.
    pub(crate) fn room(size: Size, lines: usize) -> f64 {
        let height = size.canvas().1 - TOP - BOTTOM;
        let words = (LINE + 2.0) * lines as f64 + 6.0;
        (words / (height - words).max(1.0)).min(0.6)
    }

    /// Writes at the right end beside what ends there: (y, text, class), moved apart where they would overlap.
    pub(crate) fn beside(&mut self, labels: &[(f64, String, String)]) {
        let [_, top, right, bottom] = self.frame();
        let mut wanted: Vec<(f64, &String, &String)> =
            labels.iter().map(|(y, text, class)| (self.place(0.0, *y).1, text, class)).collect();
        wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let places = apart(&wanted.iter().map(|label| label.0).collect::<Vec<_>>(), 13.0, top, bottom);
        for (y, (_, text, class)) in places.into_iter().zip(wanted) {
            self.write(right + 6.0, y + 4.0, text, class, "start");
        }
    }

    fn write(&mut self, x: f64, y: f64, text: &str, class: &str, anchor: &str) {
        let width = LETTER * text.chars().count() as f64;
        let left = if anchor == "end" { x - width } else { x };
        self.written.push([left, y - LINE + 3.0, left + width, y + 3.0]);
        self.over.push(label(x, y, text, class, anchor));
    }

    /// The picture, with what it shows in a sentence.
    pub(crate) fn svg(self, says: &str) -> Element {
        let (width, height) = self.size.canvas();
        let [left, top, right, bottom] = self.frame();
        let mut svg = el("svg")
            .class(match self.size {
                Size::Wide => "plot wide",
                Size::Narrow => "plot narrow",
                Size::Small => "plot",
            })
            .set("viewBox", format!("0 0 {width} {height}"))
            .set("role", "img")
            .set("aria-label", says);
        for (value, text) in &self.y.ticks {
            let (_, y) = self.place(0.0, *value);
            svg = svg.with(el("line").class("grid").at("x1", left).at("x2", right).at("y1", y).at("y2", y));
            svg = svg.with(label(left - 7.0, y + 4.0, text, "tick", "end"));
        }
        for (value, text) in &self.x.ticks {
            let x = left + self.x.share(*value) * (right - left);
            svg = svg.with(
                el("line").class("axis").at("x1", x).at("x2", x).at("y1", bottom).at("y2", bottom + 4.0),
            );
            svg = svg.with(label(x, bottom + 18.0, text, "tick", "middle"));
        }
        svg = svg
            .with(el("line").class("axis").at("x1", left).at("x2", right).at("y1", bottom).at("y2", bottom));
        svg = svg.with(label(2.0, 14.0, &self.titles.1, "title", "start"));
        svg = svg.with(label(right, height - 6.0, &self.titles.0, "title", "end"));
        // A picture within the picture, which is cut at the frame.
        let cut = el("svg")
            .at("x", left)
            .at("y", top)
            .at("width", right - left)
            .at("height", bottom - top)
            .set("viewBox", [left, top, right - left, bottom - top].map(coordinate).join(" "))
            .all(self.under);
        svg.with(cut).all(self.over)
    }
}

fn label(x: f64, y: f64, text: &str, class: &str, anchor: &str) -> Element {
    let element = el("text").at("x", x).at("y", y).class(class);
    match anchor {
        "start" => element,
        anchor => element.set("text-anchor", anchor),
    }
    .text(text)
}

/// Places at least `gap` apart, in the order given, near where they are wanted and between two ends if they fit.
fn apart(wanted: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut places: Vec<f64> = wanted.to_vec();
    for i in 1..places.len() {
        places[i] = places[i].max(places[i - 1] + gap);
    }
    // What was pushed over the end is pushed back.
    if let Some(last) = places.last_mut() {
        *last = last.min(high);
    }
    for i in (1..places.len()).rev() {
        places[i - 1] = places[i - 1].min(places[i] - gap);
    }
    if places.first().is_some_and(|first| *first < low) {
        places.iter_mut().enumerate().for_each(|(i, place)| *place = place.max(low + gap * i as f64));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(element: &Element) -> String {
        let mut out = String::new();
        element.write(&mut out);
        out
    }

    fn plot(size: Size) -> Plot {
        let axis = || Axis::between(0.0, 1.0, 4);
        Plot::new(size, (axis(), "x"), (axis(), "y"), 0)
    }

    #[test]
    fn labels_move_apart_and_stay_inside() {
        assert_eq!(apart(&[10.0, 50.0], 13.0, 0.0, 100.0), [10.0, 50.0]);
        assert_eq!(apart(&[10.0, 12.0, 14.0], 13.0, 0.0, 100.0), [10.0, 23.0, 36.0]);
        assert_eq!(apart(&[95.0, 96.0], 13.0, 0.0, 100.0), [87.0, 100.0]);
        assert!(apart(&[], 13.0, 0.0, 100.0).is_empty());
    }

    #[test]
    fn values_are_drawn_where_the_axes_say() {
        let mut plot = plot(Size::Small);
        plot.point(0.0, 0.0, Shape::Dot(3.0), "run", &About::default());
        plot.point(
            1.0,
            1.0,
            Shape::Dot(3.0),
            "run",
            &About { title: "a<b".into(), anchor: Some("run-a".into()) },
        );
        plot.point(f64::NAN, 1.0, Shape::Dot(3.0), "run", &About::default());
        let text = written(&plot.svg("what it shows"));
        assert!(text.contains("<circle cx=\"46\" cy=\"206\" r=\"3\" class=\"point run\"/>"), "{text}");
        let link = "<a href=\"#run-a\" tabindex=\"-1\"><circle cx=\"346\" cy=\"30\" r=\"3\" class=\"point run\"><title>a&lt;b</title>";
        assert!(text.contains(link), "{text}");
        assert_eq!(text.matches("<circle").count(), 2);
        assert!(text.contains("role=\"img\" aria-label=\"what it shows\""));
    }

    #[test]
    fn what_is_written_beside_points_does_not_overlap() {
        let mut plot = plot(Size::Wide);
        for x in [0.9, 0.92, 0.94, 0.96] {
            plot.words(x, (0.3, 0.6), &[("foretold".into(), "law"), ("came out".into(), "outcome")]);
        }
        let boxes = &plot.written;
        for (i, [l, t, r, b]) in boxes.iter().enumerate() {
            let hit =
                boxes[..i].iter().any(|[l2, t2, r2, b2]| l < r2 && r > l2 && t + 0.1 < *b2 && b - 0.1 > *t2);
            assert!(!hit && *t > TOP && *b < 430.0 - BOTTOM, "{boxes:?}");
        }
    }
}
