//! Clocks with hands, and with figures.
//!
//! Held out are pairs of an hour and a part of the hour.

use super::canvas::{Align, Canvas, polar};
use super::maker::{Maker, WHICH, held_out, numbers};

/// Hours that are shown: so many, the last of them twelve.
const HOURS: [usize; 3] = [4, 12, 12];
/// Parts of an hour that are shown.
const PARTS: [usize; 3] = [4, 4, 12];

pub(super) fn make(maker: &mut Maker<'_>) {
    if maker.random.chance(20) {
        return later(maker);
    }
    let (hours, parts) = (maker.at(HOURS), maker.at(PARTS));
    let (hour, part) = maker.pair(hours, parts);
    face(maker, hour, part);
    let phrasings = ["Which hour does the clock show?", "What is the hour?", "Which full hour was last?"];
    maker.ask("hour", &phrasings, &[], &numbers(12 / hours, hours, 12 / hours), hour);
    let phrasings = ["How many minutes past the hour is it?", "Which minute does the clock show?"];
    maker.ask("minute", &phrasings, &[], &numbers(0, parts, 60 / parts), part);
    if maker.level > 1 {
        let all = (0..hours).flat_map(|hour| (0..parts).map(move |part| (hour, part)));
        let all: Vec<_> = all.filter(|&(hour, part)| held_out(hour, part) == maker.unseen).collect();
        let times: Vec<String> = all.iter().map(|&(hour, part)| time(hour, part, hours, parts)).collect();
        let right = all.iter().position(|&other| other == (hour, part)).unwrap_or(0);
        maker.ask("time", &["What time is it?", "What time does the clock show?"], &[], &times, right);
    }
}

/// `7:05`.
fn time(hour: usize, part: usize, hours: usize, parts: usize) -> String {
    format!("{}:{:02}", (hour + 1) * 12 / hours, part * 60 / parts)
}

/// Adds a picture of a clock.
fn face(maker: &mut Maker<'_>, hour: usize, part: usize) {
    let (hours, parts) = (maker.at(HOURS), maker.at(PARTS));
    let text = time(hour, part, hours, parts);
    let mut canvas = maker.canvas();
    if maker.random.chance(25) {
        figures(maker, &mut canvas, &text);
        maker.show(canvas, format!("A clock with figures shows {text}."));
        return;
    }
    let side = maker.side();
    let radius = side * maker.within(0.4, 0.46);
    let spare = side / 2.0 - radius - 1.5;
    let centre = (side / 2.0 + maker.within(-spare, spare), side / 2.0 + maker.within(-spare, spare));
    let (ink, line) = (canvas.ink, maker.within(1.0, 2.2));
    let square = maker.random.chance(20);
    if maker.random.chance(40) {
        let tint = maker.random.below(8);
        let paint = maker.paint(tint);
        if square {
            canvas.frame((centre.0 - radius, centre.1 - radius), 2.0 * radius, 2.0 * radius, paint, 3.0);
        } else {
            canvas.circle(centre, radius, paint, 3.0);
        }
    } else if square {
        canvas.frame((centre.0 - radius, centre.1 - radius), 2.0 * radius, 2.0 * radius, ink, line);
    } else {
        canvas.circle(centre, radius, ink, line);
    }
    // Numerals need room: the four quarters alone, where the picture is small.
    let numerals = maker.level > 1 && maker.random.chance(50);
    let hand = maker.hand();
    let every = if maker.level == 3 { 1 } else { 3 };
    for mark in 1..=12 {
        let angle = 90.0 - 30.0 * mark as f32;
        if numerals && mark % every == 0 {
            let at = polar(centre, radius - 2.0 - hand.height * 0.75, angle);
            canvas.write(&hand, &mark.to_string(), at, Align::Middle, ink);
        } else if maker.level > 1 || mark % 3 == 0 {
            let long = if mark % 3 == 0 { 5.0 } else { 3.0 };
            canvas.line(
                &[polar(centre, radius - 2.0, angle), polar(centre, radius - 2.0 - long, angle)],
                ink,
                1.2,
            );
        }
    }
    let minutes = (part * 60 / parts) as f32;
    let clock_hour = ((hour + 1) * 12 / hours) as f32;
    let thick = maker.at([4.0, 3.0, 4.0]) * maker.within(0.85, 1.15);
    let (short, long) = (radius * maker.within(0.42, 0.5), radius * maker.within(0.74, 0.82));
    canvas.line(&[centre, polar(centre, short, 90.0 - 30.0 * clock_hour - minutes / 2.0)], ink, thick);
    let hands = if maker.random.chance(30) { maker.paint(0) } else { ink };
    canvas.line(&[centre, polar(centre, long, 90.0 - 6.0 * minutes)], hands, thick * 0.55);
    canvas.disc(centre, thick * 0.6, ink);
    maker.show(canvas, format!("A clock with hands shows {text}."));
}

/// Figures on a plate, as large as the level has them.
fn figures(maker: &mut Maker<'_>, canvas: &mut Canvas, text: &str) {
    let (side, hand) = (maker.side(), maker.hand());
    let hand = hand.within(side - 16.0);
    let width = hand.width(text);
    let spare = (side - width - 12.0) / 2.0;
    let at = (
        side / 2.0 + maker.within(-spare, spare),
        side / 2.0 + maker.within(-0.5, 0.5) * (side - 3.0 * hand.height),
    );
    let (ink, line) = (canvas.ink, maker.within(1.0, 2.0));
    let corner = (at.0 - width / 2.0 - 4.0, at.1 - hand.height);
    canvas.frame(corner, width + 8.0, hand.height * 2.0, ink, line);
    canvas.write(&hand, text, at, Align::Middle, ink);
}

/// Two clocks, of which one is later.
fn later(maker: &mut Maker<'_>) {
    let (hours, parts) = (maker.at(HOURS), maker.at(PARTS));
    let right = maker.random.below(2);
    // The hours differ, so that hands need not be read closer than that; twelve is both late and early.
    let (early, late) = loop {
        let (one, other) = (maker.pair(hours - 1, parts), maker.pair(hours - 1, parts));
        if one.0 < other.0 {
            break (one, other);
        }
    };
    let shown = if right == 0 { [late, early] } else { [early, late] };
    for (hour, part) in shown {
        face(maker, hour, part);
    }
    let phrasings = [
        "Which clock shows the later time, the first or the second?",
        "Is it later on the first or on the second clock?",
    ];
    maker.ask("later", &phrasings, &[], &WHICH, right);
}
