//! Little programs in a language like Python, and what they print.
//!
//! A program is made as a tree and run by walking it; it is kept only if its numbers and its output stay
//! small.

use std::fmt::{Display, Formatter, Result, Write};

use super::page::Page;
use super::random::Random;

const VARIABLES: [&str; 10] = ["x", "y", "total", "a", "b", "count", "k", "i", "rest", "j"];
/// The argument of the function.
const PARAMETER: &str = "n";
const FUNCTIONS: &[&str] = &["grow", "f", "twice", "step", "cost", "g", "area", "change"];
/// Larger numbers are not met in these pages.
const LARGEST: i64 = 100_000;
const MOST_STEPS: usize = 150;
const MOST_OUTPUT: usize = 400;

enum Expression {
    Number(i64),
    /// Index into [`VARIABLES`].
    Variable(usize),
    Parameter,
    /// `+`, `-` or `*`; or `//` or `%`, by a positive number.
    Binary(&'static str, Box<Expression>, Box<Expression>),
    /// The function, of one argument.
    Call(&'static str, Box<Expression>),
}

/// `<`, `>` or `==` between two values.
struct Condition(Expression, &'static str, Expression);

enum Statement {
    Assign(usize, Expression),
    /// `x += …`
    Add(usize, Expression),
    /// Words, if any, and a value.
    Print(String, Expression),
    /// `for i in range(from, to):`
    Range(usize, i64, i64, Vec<Statement>),
    /// `for i in [3, 1, 2]:`
    Each(usize, Vec<i64>, Vec<Statement>),
    If(Condition, Vec<Statement>, Vec<Statement>),
    /// `while x < limit:`, whose body adds to x.
    While(Condition, Vec<Statement>),
}

struct Program {
    /// Name and body of a function of [`PARAMETER`].
    function: Option<(&'static str, Expression)>,
    statements: Vec<Statement>,
}

pub(super) fn write(page: &mut Page) {
    for _ in 0..page.random.between(2, 5) {
        let (program, output) = loop {
            let label = page.something();
            let label = &page.world.things[label].name;
            let program =
                Maker { random: &mut page.random, known: Vec::new(), function: None, label }.program();
            if let Some(output) = run(&program) {
                break (program, output);
            }
        };
        page.paragraph();
        page.choose(&["Program:", "What does this program print?", "A program:", "Read this program:"]);
        page.paragraph();
        page.raw(&program);
        page.raw("\n");
        page.choose(&["Output:", "It prints:", "Answer:"]);
        page.paragraph();
        page.raw(output);
    }
}

/// Makes programs that use no variable before it has a value.
struct Maker<'a> {
    random: &'a mut Random,
    known: Vec<usize>,
    function: Option<&'static str>,
    /// A word of the world to print beside a value.
    label: &'a str,
}

impl Maker<'_> {
    fn program(mut self) -> Program {
        let function = self.random.chance(35).then(|| {
            let name = FUNCTIONS[self.random.skewed(FUNCTIONS.len())];
            let operator = ["*", "+", "-"][self.random.skewed(3)];
            let first = Expression::Binary(operator, Box::new(Expression::Parameter), Box::new(self.small()));
            let body = match self.random.below(3) {
                0 => Expression::Binary("+", Box::new(first), Box::new(Expression::Parameter)),
                1 => Expression::Binary("-", Box::new(first), Box::new(self.small())),
                _ => first,
            };
            (name, body)
        });
        let mut statements = Vec::new();
        for _ in 0..self.random.between(1, 3) {
            let value = self.value();
            statements.push(self.assign(value));
        }
        // Calls begin only once there is something to call with.
        self.function = function.as_ref().map(|&(name, _)| name);
        for _ in 0..self.random.between(1, 4) {
            statements.push(self.statement(2));
        }
        for _ in 0..self.random.between(1, 3) {
            statements.push(self.print());
        }
        Program { function, statements }
    }

    fn small(&mut self) -> Expression {
        Expression::Number(1 + self.random.skewed(12) as i64)
    }

    fn known(&mut self) -> usize {
        self.known[self.random.below(self.known.len())]
    }

    /// A number or a variable.
    fn value(&mut self) -> Expression {
        if self.known.is_empty() || self.random.chance(40) {
            Expression::Number(self.random.skewed(100) as i64)
        } else {
            Expression::Variable(self.known())
        }
    }

    fn expression(&mut self) -> Expression {
        let left = Box::new(self.value());
        match self.random.below(10) {
            0..=3 => Expression::Binary("+", left, Box::new(self.value())),
            4 | 5 => Expression::Binary("-", left, Box::new(self.value())),
            6 => Expression::Binary("*", left, Box::new(self.small())),
            7 => Expression::Binary(if self.random.chance(50) { "//" } else { "%" }, left, {
                Box::new(Expression::Number(self.random.between(2, 9) as i64))
            }),
            8 => match self.function {
                Some(name) => Expression::Call(name, left),
                None => *left,
            },
            _ => {
                let product = Expression::Binary("*", left, Box::new(self.small()));
                Expression::Binary("+", Box::new(product), Box::new(self.value()))
            }
        }
    }

    fn assign(&mut self, value: Expression) -> Statement {
        let variable = self.random.skewed(VARIABLES.len());
        if !self.known.contains(&variable) {
            self.known.push(variable);
        }
        Statement::Assign(variable, value)
    }

    fn print(&mut self) -> Statement {
        let label = if self.random.chance(20) { self.label.to_owned() } else { String::new() };
        let value =
            if self.random.chance(60) { Expression::Variable(self.known()) } else { self.expression() };
        Statement::Print(label, value)
    }

    /// Statements of their own scope: what they assign first is unknown after them.
    fn block(&mut self, depth: usize) -> Vec<Statement> {
        let before = self.known.len();
        let block = (0..self.random.between(1, 2)).map(|_| self.statement(depth - 1)).collect();
        self.known.truncate(before);
        block
    }

    fn statement(&mut self, depth: usize) -> Statement {
        match self.random.below(if depth == 0 { 7 } else { 12 }) {
            0 | 1 => {
                let value = self.expression();
                self.assign(value)
            }
            2..=4 => {
                let value = self.expression();
                Statement::Add(self.known(), value)
            }
            5 | 6 => self.print(),
            7 | 8 => {
                let (variable, before) = self.counter();
                let from = self.random.skewed(6) as i64;
                let to = from + self.random.between(2, 6) as i64;
                let body = self.block(depth);
                self.known.truncate(before);
                Statement::Range(variable, from, to, body)
            }
            9 => {
                let (variable, before) = self.counter();
                let list = (0..self.random.between(2, 6)).map(|_| self.random.skewed(40) as i64).collect();
                let body = self.block(depth);
                self.known.truncate(before);
                Statement::Each(variable, list, body)
            }
            10 => {
                let operator = ["<", ">", "=="][self.random.skewed(3)];
                let condition = Condition(self.value(), operator, self.value());
                let yes = self.block(depth);
                let no = if self.random.chance(60) { self.block(depth) } else { Vec::new() };
                Statement::If(condition, yes, no)
            }
            _ => {
                let variable = self.known();
                let limit = Expression::Number(self.random.between(10, 120) as i64);
                let mut body = self.block(depth);
                let step = if self.random.chance(50) { self.small() } else { Expression::Variable(variable) };
                body.push(Statement::Add(variable, step));
                Statement::While(Condition(Expression::Variable(variable), "<", limit), body)
            }
        }
    }

    /// A variable to count with, known from here on; and how many were known before.
    fn counter(&mut self) -> (usize, usize) {
        let before = self.known.len();
        let free: Vec<usize> = (0..VARIABLES.len()).rev().filter(|one| !self.known.contains(one)).collect();
        let variable = free.get(self.random.skewed(free.len())).copied().unwrap_or(0);
        if !free.is_empty() {
            self.known.push(variable);
        }
        (variable, before)
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter) -> Result {
        match self {
            Expression::Number(number) => write!(f, "{number}"),
            Expression::Variable(variable) => f.write_str(VARIABLES[*variable]),
            Expression::Parameter => f.write_str(PARAMETER),
            // Products stand inside sums alone, so that no brackets are needed.
            Expression::Binary(operator, left, right) => write!(f, "{left} {operator} {right}"),
            Expression::Call(name, argument) => write!(f, "{name}({argument})"),
        }
    }
}

impl Display for Program {
    fn fmt(&self, f: &mut Formatter) -> Result {
        if let Some((name, body)) = &self.function {
            write!(f, "def {name}({PARAMETER}):\n    return {body}\n\n")?;
        }
        lines(&self.statements, 0, f)
    }
}

fn lines(statements: &[Statement], indent: usize, f: &mut Formatter) -> Result {
    for statement in statements {
        write!(f, "{:indent$}", "")?;
        match statement {
            Statement::Assign(variable, value) => writeln!(f, "{} = {value}", VARIABLES[*variable])?,
            Statement::Add(variable, value) => writeln!(f, "{} += {value}", VARIABLES[*variable])?,
            Statement::Print(label, value) if label.is_empty() => writeln!(f, "print({value})")?,
            Statement::Print(label, value) => writeln!(f, "print(\"{label}\", {value})")?,
            Statement::Range(variable, from, to, body) => {
                writeln!(f, "for {} in range({from}, {to}):", VARIABLES[*variable])?;
                lines(body, indent + 4, f)?;
            }
            Statement::Each(variable, list, body) => {
                writeln!(f, "for {} in {list:?}:", VARIABLES[*variable])?;
                lines(body, indent + 4, f)?;
            }
            Statement::If(Condition(left, operator, right), yes, no) => {
                writeln!(f, "if {left} {operator} {right}:")?;
                lines(yes, indent + 4, f)?;
                if !no.is_empty() {
                    writeln!(f, "{:indent$}else:", "")?;
                    lines(no, indent + 4, f)?;
                }
            }
            Statement::While(Condition(left, operator, right), body) => {
                writeln!(f, "while {left} {operator} {right}:")?;
                lines(body, indent + 4, f)?;
            }
        }
    }
    Ok(())
}

/// A run so far.
struct Run<'p> {
    program: &'p Program,
    values: [i64; VARIABLES.len()],
    parameter: i64,
    output: String,
    steps: usize,
}

/// What a program prints; `None` if it runs too long, prints too much or meets too large a number.
fn run(program: &Program) -> Option<String> {
    let values = [0; VARIABLES.len()];
    let mut run = Run { program, values, parameter: 0, output: String::new(), steps: 0 };
    run.all(&program.statements)?;
    Some(run.output)
}

impl Run<'_> {
    fn value(&mut self, expression: &Expression) -> Option<i64> {
        let value = match expression {
            Expression::Number(number) => *number,
            Expression::Variable(variable) => self.values[*variable],
            Expression::Parameter => self.parameter,
            Expression::Binary(operator, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                match *operator {
                    "+" => left + right,
                    "-" => left - right,
                    "*" => left * right,
                    "//" => left.checked_div_euclid(right)?,
                    _ => left.checked_rem_euclid(right)?,
                }
            }
            Expression::Call(_, argument) => {
                self.parameter = self.value(argument)?;
                let program = self.program;
                self.value(&program.function.as_ref()?.1)?
            }
        };
        (value.abs() <= LARGEST).then_some(value)
    }

    fn holds(&mut self, Condition(left, operator, right): &Condition) -> Option<bool> {
        let (left, right) = (self.value(left)?, self.value(right)?);
        Some(match *operator {
            "<" => left < right,
            ">" => left > right,
            _ => left == right,
        })
    }

    fn all(&mut self, statements: &[Statement]) -> Option<()> {
        statements.iter().try_for_each(|statement| self.one(statement))
    }

    fn one(&mut self, statement: &Statement) -> Option<()> {
        self.steps += 1;
        if self.steps > MOST_STEPS || self.output.len() > MOST_OUTPUT {
            return None;
        }
        match statement {
            Statement::Assign(variable, value) => self.values[*variable] = self.value(value)?,
            Statement::Add(variable, value) => {
                // One step more than the limit allows is refused when it is next read.
                self.values[*variable] += self.value(value)?;
            }
            Statement::Print(label, value) => {
                let value = self.value(value)?;
                let gap = if label.is_empty() { "" } else { " " };
                writeln!(self.output, "{label}{gap}{value}").ok()?;
            }
            Statement::Range(variable, from, to, body) => {
                for value in *from..*to {
                    self.values[*variable] = value;
                    self.all(body)?;
                }
            }
            Statement::Each(variable, list, body) => {
                for &value in list {
                    self.values[*variable] = value;
                    self.all(body)?;
                }
            }
            Statement::If(condition, yes, no) => {
                let branch = if self.holds(condition)? { yes } else { no };
                self.all(branch)?;
            }
            Statement::While(condition, body) => {
                while self.holds(condition)? {
                    self.all(body)?;
                }
            }
        }
        Some(())
    }
}
