//! Runs the programs of the documents from their text, line by line: shares nothing with their writer.

use std::collections::HashMap;
use std::fmt::Write;

struct Machine<'t> {
    /// Indent and text.
    lines: Vec<(usize, &'t str)>,
    variables: HashMap<&'t str, i64>,
    /// Argument and body.
    functions: HashMap<&'t str, (&'t str, &'t str)>,
    output: String,
}

/// What the program prints, without the last end of line.
pub(super) fn run(source: &str) -> String {
    let lines: Vec<(usize, &str)> = source
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| (line.len() - line.trim_start().len(), line.trim()))
        .collect();
    let end = lines.len();
    let mut machine =
        Machine { lines, variables: HashMap::new(), functions: HashMap::new(), output: String::new() };
    machine.block(0, end);
    machine.output.trim_end().to_owned()
}

impl<'t> Machine<'t> {
    /// The line behind the block that line `head` opens.
    fn end(&self, head: usize) -> usize {
        let inside = |line: &&(usize, &str)| line.0 > self.lines[head].0;
        head + 1 + self.lines[head + 1..].iter().take_while(inside).count()
    }

    fn block(&mut self, mut at: usize, to: usize) {
        while at < to {
            let line = self.lines[at].1;
            let end = self.end(at);
            if let Some(head) = line.strip_prefix("def ") {
                let (name, rest) = head.split_once('(').unwrap();
                let argument = rest.strip_suffix("):").unwrap();
                self.functions
                    .insert(name, (argument, self.lines[at + 1].1.strip_prefix("return ").unwrap()));
            } else if let Some(head) = line.strip_prefix("for ") {
                let (name, list) = head.strip_suffix(':').unwrap().split_once(" in ").unwrap();
                let numbers =
                    |list: &str| list.split(", ").map(|one| one.parse().unwrap()).collect::<Vec<i64>>();
                let values = match list.strip_prefix("range(") {
                    Some(bounds) => {
                        let bounds = numbers(bounds.strip_suffix(')').unwrap());
                        (bounds[0]..bounds[1]).collect()
                    }
                    None => numbers(list.strip_prefix('[').unwrap().strip_suffix(']').unwrap()),
                };
                for value in values {
                    self.variables.insert(name, value);
                    self.block(at + 1, end);
                }
            } else if let Some(head) = line.strip_prefix("while ") {
                while self.holds(head) {
                    self.block(at + 1, end);
                }
            } else if let Some(head) = line.strip_prefix("if ") {
                let other = end < to && self.lines[end].1 == "else:" && self.lines[end].0 == self.lines[at].0;
                let last = if other { self.end(end) } else { end };
                if self.holds(head) {
                    self.block(at + 1, end);
                } else if other {
                    self.block(end + 1, last);
                }
                at = last;
                continue;
            } else if let Some(inside) = line.strip_prefix("print(") {
                let inside = inside.strip_suffix(')').unwrap();
                let (label, value) = match inside.strip_prefix('"') {
                    Some(rest) => {
                        rest.split_once("\", ").map(|(label, value)| (format!("{label} "), value)).unwrap()
                    }
                    None => (String::new(), inside),
                };
                let value = self.value(value);
                writeln!(self.output, "{label}{value}").unwrap();
            } else if let Some((name, value)) = line.split_once(" += ") {
                let value = self.variables[name] + self.value(value);
                self.variables.insert(name, value);
            } else {
                let (name, value) = line.split_once(" = ").unwrap();
                let value = self.value(value);
                self.variables.insert(name, value);
            }
            at = end;
        }
    }

    fn holds(&self, head: &str) -> bool {
        let head = head.strip_suffix(':').unwrap();
        let sides = |operator| head.split_once(operator).map(|(a, b)| (self.value(a), self.value(b)));
        let less = sides(" < ").map(|(a, b)| a < b);
        less.or(sides(" > ").map(|(a, b)| a > b)).or(sides(" == ").map(|(a, b)| a == b)).unwrap()
    }

    /// Sums of products, read from the right: what stands last binds last.
    fn value(&self, text: &str) -> i64 {
        for operators in [[" + ", " - ", " - "], [" * ", " // ", " % "]] {
            let found = operators.iter().filter_map(|one| text.rfind(one).map(|at| (at, *one))).max();
            if let Some((at, operator)) = found {
                let (left, right) = (self.value(&text[..at]), self.value(&text[at + operator.len()..]));
                return match operator {
                    " + " => left + right,
                    " - " => left - right,
                    " * " => left * right,
                    " // " => (left as f64 / right as f64).floor() as i64,
                    _ => left - right * (left as f64 / right as f64).floor() as i64,
                };
            }
        }
        if let Some((name, argument)) = text.strip_suffix(')').and_then(|call| call.split_once('(')) {
            let (parameter, body) = self.functions[name];
            let inner = Machine {
                lines: Vec::new(),
                variables: HashMap::from([(parameter, self.value(argument))]),
                functions: HashMap::new(),
                output: String::new(),
            };
            return inner.value(body);
        }
        text.parse().unwrap_or_else(|_| self.variables[text])
    }
}
