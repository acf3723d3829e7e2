//! Questions whose answers are to be worked out, or looked up in the prompt.

use super::{Cell, EACH, Item, Page, Quiz};

/// Differences of the four results of a group from the first: a digit more or less, here or there.
const APART: [u64; 4] = [0, 1, 10, 11];

pub(super) fn cells(quiz: &mut Quiz<'_>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = (1..).zip([4, 7, 12]).map(|(level, wares)| bill(quiz, level, wares)).collect();
    for (level, carries) in [(1, false), (2, true)] {
        cells.push(together(quiz, level, carries));
        cells.push(left(quiz, level, carries));
    }
    for (level, low, high) in [(1, 3, 9), (2, 10, 30), (3, 31, 99)] {
        cells.push(product(quiz, level, low, high));
    }
    for digits in 2..=4 {
        cells.push(worked(quiz, digits - 1, digits));
    }
    cells
}

fn grouped(family: &'static str, level: u32, items: Vec<Item>) -> Cell {
    Cell { grouped: true, ..Cell::new(family, level, items) }
}

/// A price in a list of some.
fn bill(quiz: &mut Quiz<'_>, level: u32, wares: usize) -> Cell {
    let world = quiz.world;
    let mut items = Vec::new();
    while items.len() < EACH {
        let mut page = quiz.page();
        let here = page.somewhere();
        let mut list: Vec<usize> = Vec::new();
        while list.len() < wares {
            let thing = page.something();
            let price = world.price(thing, here);
            if list.iter().all(|&other| world.price(other, here) != price) {
                list.push(thing);
            }
        }
        let buyer = page.living(&[]);
        let first = page.random.below(wares);
        for step in 0..4 {
            let asked = list[(first + step * wares / 4) % wares];
            let count = page.random.between(2, 9);
            let bind = |page: &mut Page<'_>| {
                page.place('p', here);
                page.say("Prices at {p}\n\n");
                for &thing in &list {
                    page.thing('t', thing);
                    page.number('k', world.price(thing, here));
                    page.line("{t}: {k} {many g}");
                }
                page.person('a', buyer);
                page.line("\nThe bill of {a}:");
                page.thing('t', asked);
                page.number('k', world.price(asked, here));
                page.number('c', count);
            };
            items.push(quiz.item(bind, "{c} {many t}: {c} *", " {k} ="));
        }
    }
    grouped("bill", level, items)
}

/// Binds two people of different first names, a thing and three numbers.
fn bind(quiz: &mut Quiz<'_>, numbers: [u64; 3]) -> impl FnOnce(&mut Page<'_>) + use<> {
    let mut page = quiz.page();
    let (first, thing) = (page.living(&[]), page.something());
    let second = page.living(&[first]);
    move |page| {
        page.person('a', first);
        page.person('b', second);
        page.thing('t', thing);
        for (letter, number) in ['i', 'j', 'k'].into_iter().zip(numbers) {
            page.number(letter, number);
        }
    }
}

/// Groups of four results, each with a number from 2 to 9 with which `fits` is content.
fn results(quiz: &mut Quiz<'_>, fits: impl Fn(u64, u64) -> bool) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    while all.len() < EACH {
        let least = quiz.random.between(12, 88);
        let fitting = |result: u64| (2..=9).filter(|&number| fits(result, number)).collect::<Vec<_>>();
        let numbers = APART.map(|apart| fitting(least + apart));
        if numbers.iter().all(|numbers| !numbers.is_empty()) {
            all.extend(
                APART
                    .iter()
                    .zip(numbers)
                    .map(|(apart, numbers)| (least + apart, numbers[quiz.random.below(numbers.len())])),
            );
        }
    }
    all
}

fn together(quiz: &mut Quiz<'_>, level: u32, carries: bool) -> Cell {
    let prompt = "{a} has {i} {many t} and {b} has {j}. How many do they have together? {i} + {j} =";
    let sums = results(quiz, |sum, j| sum >= j + 3 && ((sum - j) % 10 + j > 9) == carries);
    let items = sums.into_iter().map(|(sum, j)| {
        let bind = bind(quiz, [sum - j, j, sum]);
        quiz.item(bind, prompt, " {k},")
    });
    grouped("together", level, items.collect())
}

fn left(quiz: &mut Quiz<'_>, level: u32, borrows: bool) -> Cell {
    let prompt =
        "{a.first} had {i} {many t} and gave {j} of them to {b.first}. How many are left? {i} - {j} =";
    let rests = results(quiz, |rest, j| rest + j <= 99 && (rest % 10 + j > 9) == borrows);
    let items = rests.into_iter().map(|(rest, j)| {
        let bind = bind(quiz, [rest + j, j, rest]);
        quiz.item(bind, prompt, " {k},")
    });
    grouped("left", level, items.collect())
}

fn product(quiz: &mut Quiz<'_>, level: u32, low: u64, high: u64) -> Cell {
    let prompt = "{b} sells {j} {many t} for {i} {many g} each. How much is that? {j} * {i} =";
    let mut items = Vec::new();
    while items.len() < EACH {
        // Four products of which none is far from the others.
        let (i, j) = (quiz.random.between(low, high - 1), quiz.random.between(2, 11));
        for (i, j) in [(i, j), (i + 1, j), (i, j + 1), (i + 1, j + 1)] {
            let bind = bind(quiz, [i, j, i * j]);
            items.push(quiz.item(bind, prompt, " {k},"));
        }
        let group = &items[items.len() - 4..];
        if (1..4).any(|one| group[..one].iter().any(|other| other.answer == group[one].answer)) {
            items.truncate(items.len() - 4);
        }
    }
    grouped("product", level, items)
}

/// The result of a sum that was worked digit by digit, which has to be read off it.
fn worked(quiz: &mut Quiz<'_>, level: u32, digits: u32) -> Cell {
    let mut items = Vec::new();
    let (low, high) = (10u64.pow(digits - 1), 10u64.pow(digits) - 1);
    while items.len() < EACH {
        // The least sum of a group is in the range of two such numbers.
        let least = quiz.random.between(2 * low, 2 * high - APART[3]);
        for apart in APART {
            let sum = least + apart;
            let a = quiz.random.between(low.max(sum.saturating_sub(high)), high.min(sum - low));
            let mut page = quiz.page();
            super::super::arithmetic::add(&mut page, a, sum - a);
            let text = page.text;
            let Some(cut) = text.rfind(" = ") else { continue };
            let (prompt, answer) = text.split_at(cut + 2);
            items.push(Item { prompt: prompt.into(), answer: answer.into() });
        }
    }
    grouped("worked", level, items)
}
