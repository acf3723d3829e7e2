//! Figures of a science book: beakers, circuits, forces.
//!
//! Held out are pairs of a reading and the colour of what is read.

use super::canvas::{Align, COLOURS, Canvas, Rgb, Spot, polar};
use super::maker::{Maker, WHICH, YES_NO, colours, numbers};

/// Colours of liquids, wires and arrows.
const PAINTS: usize = 4;
/// Marks of a beaker.
const MARKS: [usize; 3] = [4, 8, 16];
/// What a mark counts.
const STEP: [usize; 3] = [1, 1, 5];
/// Lamps of a circuit, at most.
const LAMPS: [usize; 3] = [4, 4, 8];

pub(super) fn make(maker: &mut Maker<'_>) {
    match (maker.random.below(7), maker.level) {
        (0 | 1, _) => beaker(maker),
        (2, _) => beakers(maker),
        (3, _) => lamps(maker),
        (4, 1) => lamps(maker),
        (_, 1) => push(maker),
        (4, 2) => resistors(maker),
        (4, _) => branches(maker),
        _ => forces(maker),
    }
}

fn colour(maker: &mut Maker<'_>, what: &str, paint: usize) {
    let phrasings = ["What colour is the {0}?", "Which colour does the {0} have?"];
    maker.ask("colour", &phrasings, &[what], &colours(PAINTS), paint);
}

/// Adds a picture of a beaker that is filled up to a mark, counted from 1.
fn pour(maker: &mut Maker<'_>, mark: usize, paint: usize) {
    let marks = maker.at(MARKS);
    let (mut canvas, hand, side) = (maker.canvas(), maker.hand(), maker.side());
    let (ink, line) = (canvas.ink, maker.within(1.2, 2.2));
    let labelled = maker.level > 1;
    let width = side * maker.within(0.4, 0.52);
    let room = if labelled { hand.height * 1.7 } else { 0.0 };
    let mirrored = maker.random.chance(50);
    let spare = side - width - room - 8.0;
    let left = 4.0 + maker.within(0.0, spare) + if mirrored { 0.0 } else { room };
    let (top, bottom) = (maker.within(3.0, 6.0), side - maker.within(4.0, 6.0));
    let unit = (bottom - top - 4.0) / marks as f32;
    let level = bottom - unit * mark as f32;
    let tint = maker.paint(paint);
    canvas.rect((left, level), width, bottom - level, tint);
    canvas.line(&[(left, top), (left, bottom), (left + width, bottom), (left + width, top)], ink, line);
    let edge = if mirrored { left + width } else { left };
    let inward = if mirrored { -1.0 } else { 1.0 };
    for mark in 1..=marks {
        let y = bottom - unit * mark as f32;
        let named = labelled && mark % 4 == 0;
        let long = if named || marks == 4 { 0.36 } else { 0.2 };
        canvas.line(
            &[(edge, y), (edge + inward * width * long, y)],
            ink,
            if marks == 16 { 0.9 } else { 1.2 },
        );
        if named {
            let align = if mirrored { Align::Left } else { Align::Right };
            let text = (mark * maker.at(STEP)).to_string();
            let y = y.max(hand.height * 0.6);
            canvas.write(&hand.within(room), &text, (edge - inward * 3.0, y), align, ink);
        }
    }
    let (tinted, value) = (COLOURS[paint].0, mark * maker.at(STEP));
    maker.show(canvas, format!("A beaker with {tinted} liquid up to the mark {value}."));
}

fn beaker(maker: &mut Maker<'_>) {
    let (marks, step) = (maker.at(MARKS), maker.at(STEP));
    let (mark, paint) = maker.pair(marks, PAINTS);
    pour(maker, mark + 1, paint);
    let phrasings =
        ["Up to which mark is the beaker filled?", "Which mark does the liquid reach?", "How full is it?"];
    maker.ask("level", &phrasings, &[], &numbers(step, marks, step), mark);
    colour(maker, "liquid", paint);
}

/// Two beakers, of which one is fuller.
fn beakers(maker: &mut Maker<'_>) {
    let marks = maker.at(MARKS);
    let right = maker.random.below(2);
    let (less, more) = loop {
        let (less, more) = (maker.pair(marks, PAINTS), maker.pair(marks, PAINTS));
        if less.0 < more.0 {
            break (less, more);
        }
    };
    for (mark, paint) in if right == 0 { [more, less] } else { [less, more] } {
        pour(maker, mark + 1, paint);
    }
    let phrasings = [
        "Which beaker holds more, the first or the second?",
        "Is there more liquid in the first or in the second beaker?",
    ];
    maker.ask("more", &phrasings, &[], &WHICH, right);
}

/// A circle with a cross: a lamp.
fn lamp(canvas: &mut Canvas, at: Spot, radius: f32, ink: Rgb) {
    let ground = canvas.ground;
    canvas.disc(at, radius, ground);
    canvas.circle(at, radius, ink, 1.3);
    for turn in [45.0, 135.0] {
        canvas.line(&[polar(at, radius, turn), polar(at, radius, turn + 180.0)], ink, 1.0);
    }
}

/// A long and a short stroke: a battery.
fn battery(canvas: &mut Canvas, at: Spot, size: f32, ink: Rgb) {
    let ground = canvas.ground;
    canvas.rect((at.0 - 2.5, at.1 - 2.5), 5.0, 5.0, ground);
    canvas.line(&[(at.0 - 2.5, at.1 - size), (at.0 - 2.5, at.1 + size)], ink, 1.3);
    canvas.line(&[(at.0 + 2.5, at.1 - size * 0.5), (at.0 + 2.5, at.1 + size * 0.5)], ink, 2.4);
}

/// A switch in an upright wire, open or closed.
fn switch(canvas: &mut Canvas, at: Spot, size: f32, closed: bool, wire: Rgb) {
    let (ground, ink) = (canvas.ground, canvas.ink);
    canvas.rect((at.0 - 3.5, at.1 - size), 7.0, 2.0 * size, ground);
    let (low, high) = ((at.0, at.1 + size), (at.0, at.1 - size));
    let end = if closed { high } else { polar(low, 2.0 * size, 140.0) };
    canvas.line(&[low, end], wire, 1.8);
    canvas.disc(low, 2.2, ink);
    canvas.disc(high, 2.2, ink);
}

/// Lamps in a row, a battery and a switch.
fn lamps(maker: &mut Maker<'_>) {
    let (count, paint) = maker.pair(maker.at(LAMPS), PAINTS);
    let closed = maker.random.chance(50);
    let (mut canvas, side) = (maker.canvas(), maker.side());
    let ink = canvas.ink;
    let (left, right) = (side * 0.1, side * maker.within(0.78, 0.86));
    let (top, bottom) = (side * maker.within(0.2, 0.3), side * maker.within(0.78, 0.86));
    let wire = maker.paint(paint);
    canvas.frame((left, top), right - left, bottom - top, wire, maker.at([2.4, 1.8, 2.0]));
    let lamps = count + 1;
    let radius = ((right - left) / (lamps as f32 * 2.6)).min(maker.at([6.5, 5.5, 8.0]));
    for place in 0..lamps {
        let x = left + (right - left) * (place as f32 + 0.5) / lamps as f32;
        lamp(&mut canvas, (x, top), radius, ink);
    }
    battery(&mut canvas, ((left + right) / 2.0, bottom), side * 0.1, ink);
    switch(&mut canvas, (right, (top + bottom) / 2.0), side * 0.13, closed, wire);
    let (state, tinted) = (if closed { "closed" } else { "open" }, COLOURS[paint].0);
    maker.show(
        canvas,
        format!("A circuit of a battery, a switch and lamps in a row. Lamps: {lamps}. The switch is {state}. The wires are {tinted}."),
    );
    let phrasings = ["How many lamps are in the circuit?", "Count the lamps."];
    maker.ask("lamps", &phrasings, &[], &numbers(1, maker.at(LAMPS), 1), count);
    let phrasings = ["Is the switch open or closed?", "Is the switch closed or open?"];
    maker.ask("switch", &phrasings, &[], &["open", "closed"], usize::from(closed));
    let phrasings = ["Do the lamps shine?", "Does a current flow?"];
    maker.ask("shine", &phrasings, &[], &YES_NO, usize::from(!closed));
    colour(maker, "wire", paint);
}

/// Two resistors in a row, whose sum is asked for.
fn resistors(maker: &mut Maker<'_>) {
    let (answer, paint) = maker.pair(8, PAINTS);
    let sum = answer + 4;
    let one = 1 + maker.random.below(sum - 1).min(8);
    let (one, other) = if sum - one > 9 { (sum - 9, 9) } else { (one, sum - one) };
    let (mut canvas, hand, side) = (maker.canvas(), maker.hand(), maker.side());
    let (ink, ground) = (canvas.ink, canvas.ground);
    let (left, right) = (side * 0.1, side * 0.9);
    let (top, bottom) = (side * maker.within(0.34, 0.42), side * maker.within(0.78, 0.86));
    let wire = maker.paint(paint);
    canvas.frame((left, top), right - left, bottom - top, wire, 1.8);
    battery(&mut canvas, (side / 2.0, bottom), side * 0.1, ink);
    for (place, value) in [one, other].into_iter().enumerate() {
        let x = side * (0.3 + 0.4 * place as f32);
        canvas.rect((x - 7.0, top - 3.5), 14.0, 7.0, ground);
        canvas.frame((x - 7.0, top - 3.5), 14.0, 7.0, ink, 1.2);
        let at = (x, top - 5.5 - hand.height * 0.65);
        canvas.write(&hand, &value.to_string(), at, Align::Middle, ink);
    }
    let tinted = COLOURS[paint].0;
    maker.show(
        canvas,
        format!("A circuit of a battery and two resistors in a row, of {one} and {other} ohm. The wires are {tinted}."),
    );
    let phrasings = ["How many ohm is the whole resistance?", "What do the resistors add up to?"];
    maker.ask("resistance", &phrasings, &[], &numbers(4, 8, 1), answer);
    colour(maker, "wire", paint);
}

/// Two branches, each with a lamp and a switch.
fn branches(maker: &mut Maker<'_>) {
    const SHINE: [&str; 4] = ["none", "A", "B", "both"];
    let (answer, paint) = maker.pair(4, PAINTS);
    let (mut canvas, hand, side) = (maker.canvas(), maker.hand(), maker.side());
    let ink = canvas.ink;
    let (left, right) = (side * 0.14, side * maker.within(0.8, 0.86));
    let (top, bottom) = (side * 0.12, side * 0.84);
    let middle = (left + right) / 2.0;
    let wire = maker.paint(paint);
    canvas.frame((left, top), right - left, bottom - top, wire, 2.0);
    canvas.line(&[(middle, top), (middle, bottom)], wire, 2.0);
    // The battery stands in the left side, turned: two strokes across the wire.
    let ground = canvas.ground;
    let y = (top + bottom) / 2.0;
    canvas.rect((left - 2.5, y - 2.5), 5.0, 5.0, ground);
    canvas.line(&[(left - 10.0, y - 2.5), (left + 10.0, y - 2.5)], ink, 1.3);
    canvas.line(&[(left - 5.0, y + 2.5), (left + 5.0, y + 2.5)], ink, 2.6);
    let swap = maker.random.below(2);
    for place in 0..2 {
        let which = place ^ swap;
        let x = if place == 0 { middle } else { right };
        let closed = answer & (1 << which) != 0;
        switch(&mut canvas, (x, top + side * 0.2), side * 0.08, closed, wire);
        lamp(&mut canvas, (x, bottom - side * 0.2), side * 0.07, ink);
        let label = (x - side * 0.07 - 3.0, bottom - side * 0.2);
        canvas.write(&hand, ["A", "B"][which], label, Align::Right, ink);
    }
    let state = |which: usize| if answer & (1 << which) != 0 { "closed" } else { "open" };
    let tinted = COLOURS[paint].0;
    maker.show(
        canvas,
        format!(
            "A circuit with two branches. The switch before lamp A is {}, the one before lamp B is {}. The wires are {tinted}.",
            state(0),
            state(1)
        ),
    );
    let phrasings = ["Which lamps shine?", "Which of the lamps A and B shine?"];
    maker.ask("shine", &phrasings, &[], &SHINE, answer);
    colour(maker, "wire", paint);
}

/// A box, pushed in one of four directions.
fn push(maker: &mut Maker<'_>) {
    const WAYS: [&str; 4] = ["right", "up", "left", "down"];
    let (way, paint) = maker.pair(4, PAINTS);
    let (mut canvas, side) = (maker.canvas(), maker.side());
    let (ink, tint) = (canvas.ink, maker.paint(paint));
    let angle = 90.0 * way as f32;
    let half = side * maker.within(0.13, 0.18);
    let centre = polar((side / 2.0, side / 2.0), side * 0.2, angle + 180.0);
    let centre = (centre.0 + maker.within(-4.0, 4.0), centre.1 + maker.within(-4.0, 4.0));
    canvas.frame((centre.0 - half, centre.1 - half), 2.0 * half, 2.0 * half, ink, maker.within(1.5, 2.5));
    let long = side * maker.within(0.36, 0.44);
    canvas.arrow(polar(centre, half + 2.0, angle), polar(centre, half + long, angle), tint, 4.0);
    let tinted = COLOURS[paint].0;
    maker.show(canvas, format!("A box and a {tinted} arrow of force that points {}.", WAYS[way]));
    let phrasings = ["Which way is the box pulled?", "In which direction does the force point?"];
    maker.ask("force", &phrasings, &[], &WAYS, way);
    colour(maker, "arrow", paint);
}

/// A box between two forces with numbers.
fn forces(maker: &mut Maker<'_>) {
    let (answer, paint) = maker.pair(8, PAINTS);
    let net = answer + 1;
    let less = 1 + maker.random.below(9 - net.min(8));
    let more = less + net;
    let rightward = maker.random.chance(50);
    let (mut canvas, hand, side) = (maker.canvas(), maker.hand(), maker.side());
    let (ink, tint) = (canvas.ink, maker.paint(paint));
    let centre = (side / 2.0 + maker.within(-2.0, 2.0), side * maker.within(0.5, 0.62));
    let half = side * maker.within(0.09, 0.12);
    canvas.frame((centre.0 - half, centre.1 - half), 2.0 * half, 2.0 * half, ink, 1.6);
    for (force, to_right) in [(more, rightward), (less, !rightward)] {
        let sign = if to_right { 1.0 } else { -1.0 };
        // At the last level the numbers alone tell.
        let long = side * maker.at([0.3, 0.14 + 0.018 * force as f32, 0.28]);
        let from = (centre.0 + sign * (half + 1.5), centre.1);
        let to = (from.0 + sign * long, centre.1);
        canvas.arrow(from, to, tint, maker.at([3.0, 1.8, 2.4]));
        let above = ((from.0 + to.0) / 2.0, centre.1 - hand.height * 1.3);
        canvas.write(&hand, &force.to_string(), above, Align::Middle, ink);
    }
    let (left, right) = if rightward { (less, more) } else { (more, less) };
    let tinted = COLOURS[paint].0;
    maker.show(
        canvas,
        format!(
            "A box between two {tinted} arrows: a force of {left} to the left, one of {right} to the right."
        ),
    );
    let phrasings = ["Which way does the box move?", "In which direction is the stronger force?"];
    maker.ask("moves", &phrasings, &[], &["left", "right"], usize::from(rightward));
    let phrasings = ["How large is the net force?", "By how much is one force stronger than the other?"];
    maker.ask("net", &phrasings, &[], &numbers(1, 8, 1), answer);
    colour(maker, "arrow", paint);
}
