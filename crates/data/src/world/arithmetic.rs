//! Sums worked digit by digit, with their carries.

use super::page::Page;

const COLUMNS: [&str; 8] = [
    "ones",
    "tens",
    "hundreds",
    "thousands",
    "ten thousands",
    "hundred thousands",
    "millions",
    "ten millions",
];

pub(super) fn write(page: &mut Page) {
    page.choose(&["Sums", "Arithmetic", "Exercises", "From the school book", "Reckoning"]);
    page.paragraph();
    for _ in 0..page.random.between(4, 10) {
        match page.random.below(7) {
            0 | 1 => addition(page),
            2 | 3 => subtraction(page),
            4 => multiplication(page),
            5 => division(page),
            _ => story(page),
        }
        page.paragraph();
    }
}

/// A number of one to four digits, the shorter the likelier.
fn operand(page: &mut Page) -> u64 {
    let limit = [10, 100, 1000, 10000][page.random.below(4)];
    page.random.between(limit / 10, limit - 1)
}

fn digit(value: u64, column: usize) -> u64 {
    value / 10u64.pow(column as u32) % 10
}

fn digits(value: u64) -> usize {
    value.to_string().len()
}

fn addition(page: &mut Page) {
    let (a, b) = (operand(page), operand(page));
    add(page, a, b);
}

/// A sum, worked out.
pub(super) fn add(page: &mut Page, a: u64, b: u64) {
    let wide = digits(a + b) + 2;
    page.raw(format_args!("{a} + {b}\n{a:>wide$}\n+{b:>rest$}\n", rest = wide - 1));
    page.raw(format_args!("{}\n", "-".repeat(wide)));
    let mut carry = 0;
    for (column, name) in COLUMNS.iter().enumerate().take(digits(a).max(digits(b))) {
        let (x, y) = (digit(a, column), digit(b, column));
        let sum = x + y + carry;
        page.raw(format_args!("{name}: {x} + {y}"));
        if carry > 0 {
            page.raw(" + 1");
        }
        page.raw(format_args!(" = {sum}"));
        if sum > 9 {
            page.raw(format_args!(", write {}, carry 1", sum % 10));
        }
        page.raw("\n");
        carry = sum / 10;
    }
    page.raw(format_args!("So {a} + {b} = {}.", a + b));
}

fn subtraction(page: &mut Page) {
    let (a, b) = (operand(page), operand(page));
    let (a, b) = (a.max(b), a.min(b));
    page.raw(format_args!("{a} - {b}\n"));
    let mut borrow = 0;
    for (column, name) in COLUMNS.iter().enumerate().take(digits(a)) {
        let (x, y) = (digit(a, column), digit(b, column) + borrow);
        page.raw(format_args!("{name}: "));
        if x < y {
            page.raw(format_args!("{x} is less than {y}, borrow: {} - {y} = {}\n", x + 10, x + 10 - y));
        } else {
            page.raw(format_args!("{x} - {y} = {}\n", x - y));
        }
        borrow = u64::from(x < y);
    }
    page.raw(format_args!("So {a} - {b} = {}.", a - b));
}

fn multiplication(page: &mut Page) {
    let a = operand(page);
    let b = if page.random.chance(60) { page.random.between(2, 9) } else { page.random.between(11, 99) };
    page.raw(format_args!("{a} * {b}\n"));
    let mut parts = Vec::new();
    for column in 0..digits(b) {
        let factor = digit(b, column) * 10u64.pow(column as u32);
        if factor > 0 {
            page.raw(format_args!("{a} * {factor} = {}\n", a * factor));
            parts.push((a * factor).to_string());
        }
    }
    if parts.len() > 1 {
        page.raw(format_args!("{} = {}\n", parts.join(" + "), a * b));
    }
    page.raw(format_args!("So {a} * {b} = {}.", a * b));
}

fn division(page: &mut Page) {
    let (a, b) = (operand(page), page.random.between(2, 12));
    let (quotient, rest) = (a / b, a % b);
    page.raw(format_args!(
        "{a} / {b}\n{b} * {quotient} = {}\n{a} - {} = {rest}\n",
        b * quotient,
        b * quotient
    ));
    page.raw(format_args!("So {a} / {b} is {quotient}, remainder {rest}."));
}

/// A sum with people and things in it.
fn story(page: &mut Page) {
    let world = page.world;
    let (first, thing) = (page.living(&[]), page.something());
    let second = page.living(&[first]);
    page.person('a', first);
    page.person('b', second);
    page.thing('t', thing);
    page.text('g', &world.coin);
    let (i, j) = (page.draw('i', 3, 99), page.draw('j', 2, 12));
    match page.random.below(4) {
        0 => {
            page.number('k', i + j);
            page.say("{a} has {i} {many t} and {b} has {j}. How many do they have together? {i} + {j} = {k}, so they have {k} {many t}.");
        }
        1 if i > j => {
            page.number('k', i - j);
            page.say("{a.first} had {i} {many t} and gave {j} of them to {b.first}. How many are left? {i} - {j} = {k}, so {k} {many t} are left.");
        }
        2 => {
            page.number('u', i / j);
            page.number('v', i % j);
            page.say("{i} {many t} are shared by {j} children. How many does each get? Each gets {u}, and {v} are left over.");
        }
        _ => {
            page.number('k', i * j);
            page.say("{b} sells {j} {many t} for {i} {many g} each. How much is that? {j} * {i} = {k}, so it is {k} {many g}.");
        }
    }
}
