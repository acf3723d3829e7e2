//! Elements of the page. Text and attributes are escaped when they are written, and every element is closed, so
//! that nothing that stands in a record can become markup.

/// An element with what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Element(Element),
    Text(String),
    /// Ours, of the program's own source.
    Own(&'static str),
}

/// An empty element.
pub(crate) fn el(name: &'static str) -> Element {
    Element { name, attributes: Vec::new(), children: Vec::new() }
}

impl Element {
    /// With an attribute.
    pub(crate) fn set(mut self, name: &'static str, value: impl ToString) -> Element {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// With classes.
    pub(crate) fn class(self, names: impl ToString) -> Element {
        self.set("class", names)
    }

    /// With a coordinate: a tenth of a pixel is more than can be seen.
    pub(crate) fn at(self, name: &'static str, value: f64) -> Element {
        self.set(name, coordinate(value))
    }

    /// With text after what is in it already.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Element {
        self.children.push(Node::Text(text.into()));
        self
    }

    /// With an element after what is in it already.
    pub(crate) fn with(mut self, child: Element) -> Element {
        self.children.push(Node::Element(child));
        self
    }

    /// With several.
    pub(crate) fn all(mut self, children: impl IntoIterator<Item = Element>) -> Element {
        self.children.extend(children.into_iter().map(Node::Element));
        self
    }

    /// With text of the program's own source, as it is.
    pub(crate) fn own(mut self, text: &'static str) -> Element {
        self.children.push(Node::Own(text));
        self
    }

    /// Writes it.
    pub(crate) fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(self.name);
        for (name, value) in &self.attributes {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            escape(value, out);
            out.push('"');
        }
        if self.children.is_empty() && CLOSES_ITSELF.contains(&self.name) {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for child in &self.children {
            match child {
                Node::Element(element) => element.write(out),
                Node::Text(text) => escape(text, out),
                Node::Own(text) => out.push_str(text),
            }
        }
        out.push_str("</");
        out.push_str(self.name);
        out.push('>');
        if BREAKS.contains(&self.name) {
            out.push('\n');
        }
    }
}

/// Elements that are written without an end where nothing is in them; HTML knows this of its own void elements and
/// of all that stand in a picture.
const CLOSES_ITSELF: [&str; 8] = ["meta", "link", "path", "circle", "line", "rect", "polyline", "polygon"];

/// Elements after which a line ends, so that two pages can be compared line by line.
const BREAKS: [&str; 14] = [
    "head", "title", "style", "header", "nav", "section", "h1", "h2", "h3", "p", "figure", "tr", "svg",
    "article",
];

/// A coordinate without digits that say nothing.
pub(crate) fn coordinate(value: f64) -> String {
    let text = format!("{:.1}", value + 0.0);
    match text.strip_suffix(".0") {
        Some("-0") => "0".into(),
        Some(whole) => whole.into(),
        None => text,
    }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            // Neither HTML nor XML has a place for these.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            // These would turn the text around them.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(element: &Element) -> String {
        let mut out = String::new();
        element.write(&mut out);
        out
    }

    #[test]
    fn nothing_becomes_markup() {
        let hostile = "<script>alert('x')</script>&\"\u{1}\u{202e}";
        let safe = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;\u{fffd}\u{fffd}";
        let element = el("span").set("title", hostile).text(hostile);
        assert_eq!(written(&element), format!("<span title=\"{safe}\">{safe}</span>"));
    }

    #[test]
    fn every_element_is_closed() {
        assert_eq!(written(&el("circle").at("r", 3.0)), "<circle r=\"3\"/>");
        assert_eq!(written(&el("td")), "<td></td>");
        assert_eq!(written(&el("a").text("b").with(el("i").text("c")).text("d")), "<a>b<i>c</i>d</a>");
    }

    #[test]
    fn coordinates_are_short() {
        let got = [1.0, 1.25, -0.01, -3.96, 100.04].map(coordinate);
        assert_eq!(got, ["1", "1.2", "0", "-4", "100"]);
    }
}
