//! Figures and tables as they stand on the page: a heading, the picture in its sizes, what is to be known of it, and
//! the numbers below.

use crate::html::{Element, el};
use crate::plot::Size;

/// A figure: a picture for wide and narrow pages, a caption, and a table that opens.
pub(crate) fn figure(
    heading: &str,
    caption: Element,
    draw: impl Fn(Size) -> Element,
    numbers: Element,
) -> Element {
    plain(heading, caption).all([Size::Wide, Size::Narrow].map(draw)).with(opened("Numbers", numbers))
}

/// A figure of several small pictures beside each other.
pub(crate) fn several(
    heading: &str,
    caption: Element,
    pictures: Vec<(String, Element)>,
    numbers: Element,
) -> Element {
    let one = |(title, picture): (String, Element)| el("div").with(el("h4").text(title)).with(picture);
    let all = el("div").class("several").all(pictures.into_iter().map(one));
    plain(heading, caption).with(all).with(opened("Numbers", numbers))
}

fn plain(heading: &str, caption: Element) -> Element {
    el("figure").with(el("figcaption").with(el("h3").text(heading)).with(caption))
}

/// What is only shown when it is asked for.
pub(crate) fn opened(name: &str, content: Element) -> Element {
    el("details").with(el("summary").text(name)).with(content)
}

/// A cell of a table.
pub(crate) struct Cell(Element);

/// A word.
pub(crate) fn word(text: impl Into<String>) -> Cell {
    Cell(el("td").text(text))
}

/// A number, in a column that is set to the right.
pub(crate) fn number(text: impl Into<String>) -> Cell {
    Cell(el("td").class("n").text(text))
}

/// A word that leads to a record.
pub(crate) fn link(text: &str, anchor: Option<&str>) -> Cell {
    Cell(el("td").with(reference(text, anchor)))
}

/// A link within the page.
pub(crate) fn reference(text: &str, anchor: Option<&str>) -> Element {
    match anchor {
        Some(anchor) => el("a").set("href", format!("#{anchor}")).text(text),
        None => el("span").text(text),
    }
}

impl Cell {
    /// With a class.
    pub(crate) fn class(self, name: &str) -> Cell {
        Cell(self.0.set("data-is", name))
    }
}

/// A row of a table, with the anchor that leads to it.
pub(crate) struct Row {
    pub(crate) cells: Vec<Cell>,
    pub(crate) anchor: Option<String>,
}

impl From<Vec<Cell>> for Row {
    fn from(cells: Vec<Cell>) -> Row {
        Row { cells, anchor: None }
    }
}

/// A table; a heading that begins with `#` is of a column of numbers. Where the page is too narrow for it, it is
/// moved by itself.
pub(crate) fn table(name: &str, heads: &[&str], rows: impl IntoIterator<Item = Row>) -> Element {
    let head = |text: &&str| match text.strip_prefix('#') {
        Some(text) => el("th").set("scope", "col").class("n").text(text),
        None => el("th").set("scope", "col").text(*text),
    };
    let row = |row: Row| {
        let element = match row.anchor {
            Some(anchor) => el("tr").set("id", anchor),
            None => el("tr"),
        };
        element.all(row.cells.into_iter().map(|cell| cell.0))
    };
    let table = el("table")
        .with(el("thead").with(el("tr").all(heads.iter().map(head))))
        .with(el("tbody").all(rows.into_iter().map(row)));
    el("div").class("scroll").set("tabindex", "0").set("role", "region").set("aria-label", name).with(table)
}

/// A paragraph.
pub(crate) fn paragraph(text: impl Into<String>) -> Element {
    el("p").text(text)
}

/// A sign of the key to a figure, drawn as in the figure, and its meaning.
pub(crate) fn key(kind: &str, class: &str, meaning: &str) -> Element {
    let sign = match kind {
        "line" => el("line")
            .class(format!("line {class}"))
            .set("x1", "1")
            .set("x2", "21")
            .set("y1", "7")
            .set("y2", "7"),
        "band" => el("rect")
            .class(format!("band {class}"))
            .set("x", "1")
            .set("y", "1")
            .set("width", "20")
            .set("height", "12"),
        "diamond" => el("polygon").class(format!("point {class}")).set("points", "11,1 17,7 11,13 5,7"),
        "ring" => el("circle").class(format!("ring {class}")).set("cx", "11").set("cy", "7").set("r", "4.5"),
        _ => el("circle").class(format!("point {class}")).set("cx", "11").set("cy", "7").set("r", "4"),
    };
    let sign = el("svg").class("sign").set("viewBox", "0 0 22 14").set("aria-hidden", "true").with(sign);
    el("span").class("key").with(sign).text(meaning)
}

/// Signs beside each other.
pub(crate) fn keys(all: impl IntoIterator<Item = Element>) -> Element {
    el("p").class("keys").all(all)
}
