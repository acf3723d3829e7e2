//! Figures: sides, angles, lengths, areas.
//!
//! Held out are pairs of an answer and the colour in which its figure is drawn.

use super::canvas::{Align, COLOURS, Spot, polar, regular};
use super::maker::{Maker, colours, numbers};

/// Colours of figures.
const PAINTS: usize = 4;
/// Figures have three sides and up to so many more, less one.
const SIDES: [usize; 3] = [4, 6, 8];
/// Steps in which angles are read, in degrees, and the number of answers.
const ANGLES: [(usize, usize); 3] = [(0, 3), (20, 8), (10, 16)];

pub(super) fn make(maker: &mut Maker<'_>) {
    match (maker.random.below(3), maker.level) {
        (0, _) => sides(maker),
        (1, _) => angle(maker),
        (_, 1) => longer(maker),
        (_, 2) => {
            if maker.random.chance(50) {
                squares(maker);
            } else {
                rectangle(maker);
            }
        }
        _ => {
            if maker.random.chance(50) {
                triangle(maker);
            } else {
                rectangle(maker);
            }
        }
    }
}

/// Asks for the colour of a figure.
fn colour(maker: &mut Maker<'_>, figure: &str, paint: usize) {
    let phrasings = ["What colour is the {0}?", "In which colour is the {0} drawn?"];
    maker.ask("colour", &phrasings, &[figure], &colours(PAINTS), paint);
}

fn sides(maker: &mut Maker<'_>) {
    const NAMES: [&str; 8] =
        ["triangle", "quadrilateral", "pentagon", "hexagon", "heptagon", "octagon", "nonagon", "decagon"];
    let (more, paint) = maker.answer(maker.at(SIDES), PAINTS);
    let mut canvas = maker.canvas();
    let side = maker.side();
    let radius = side * maker.within(0.34, 0.44);
    let spare = side / 2.0 - radius - 2.0;
    let centre = (side / 2.0 + maker.within(-spare, spare), side / 2.0 + maker.within(-spare, spare));
    let corners = regular(centre, radius, more + 3, maker.random.below(360) as f32);
    let tint = maker.paint(paint);
    if maker.random.chance(50) {
        canvas.polygon(&corners, tint);
    } else {
        canvas.outline(&corners, tint, maker.within(2.0, 3.5));
    }
    let (count, tinted) = (more + 3, COLOURS[paint].0);
    maker.show(canvas, format!("A {tinted} {} with {count} sides.", NAMES[more]));
    let phrasings =
        ["How many sides does the figure have?", "How many corners does it have?", "Count the sides."];
    maker.ask("sides", &phrasings, &[], &numbers(3, maker.at(SIDES), 1), more);
    // Equally likely only where each colour goes with as many figures as the next.
    if maker.level != 2 {
        colour(maker, "figure", paint);
    }
}

fn angle(maker: &mut Maker<'_>) {
    const NAMES: [&str; 3] = ["acute", "right", "obtuse"];
    let (step, count) = maker.at(ANGLES);
    let (answer, paint) = maker.answer(count, PAINTS);
    let degrees = match (step, answer) {
        (0, 0) => maker.within(30.0, 60.0),
        (0, 1) => 90.0,
        (0, _) => maker.within(120.0, 150.0),
        _ => (step * (answer + 1)) as f32,
    };
    let mut canvas = maker.canvas();
    let side = maker.side();
    let start = maker.random.below(360) as f32;
    let long = side * maker.within(0.42, 0.5);
    // The middle of the angle lies in the middle of the picture.
    let middle = start + degrees / 2.0;
    let corner = polar((side / 2.0, side / 2.0), long * 0.42, middle + 180.0);
    let (tint, width) = (maker.paint(paint), maker.at([3.0, 2.0, 2.2]) * maker.within(0.85, 1.2));
    let ends = [polar(corner, long, start), polar(corner, long, start + degrees)];
    canvas.line(&[ends[0], corner, ends[1]], tint, width);
    if maker.random.chance(50) {
        let arc: Vec<Spot> =
            (0..=8).map(|i| polar(corner, long * 0.35, start + degrees * i as f32 / 8.0)).collect();
        let ink = canvas.ink;
        canvas.line(&arc, ink, 1.0);
    }
    let tinted = COLOURS[paint].0;
    if step == 0 {
        let name = NAMES[answer];
        let what = if answer == 1 { format!("a {name}") } else { format!("an {name}") };
        maker.show(canvas, format!("A {tinted} angle. It is {what} angle."));
        let phrasings = ["Is the angle acute, right or obtuse?", "Which kind of angle is it?"];
        maker.ask("angle", &phrasings, &[], &NAMES, answer);
    } else {
        maker.show(canvas, format!("A {tinted} angle of {degrees} degrees."));
        let phrasings = ["How many degrees has the angle?", "How large is the angle in degrees?"];
        maker.ask("angle", &phrasings, &[], &numbers(step, count, step), answer);
        colour(maker, "angle", paint);
    }
}

/// Two lines of different lengths.
fn longer(maker: &mut Maker<'_>) {
    let (long, short) = loop {
        let (long, short) = maker.pair(PAINTS, PAINTS);
        if long != short {
            break (long, short);
        }
    };
    let mut canvas = maker.canvas();
    let side = maker.side();
    let lengths = [side * maker.within(0.7, 0.85), side * maker.within(0.3, 0.5)];
    let width = maker.within(3.0, 4.5);
    let upright = maker.random.chance(50);
    let first = maker.random.below(2);
    for (place, which) in [first, 1 - first].into_iter().enumerate() {
        let length = lengths[which];
        let across = side * (if place == 0 { 0.3 } else { 0.7 }) + maker.within(-5.0, 5.0);
        let from = maker.within(4.0, side - 4.0 - length);
        let slope = maker.within(-4.0, 4.0);
        let ends = [(from, across - slope), (from + length, across + slope)];
        let ends = if upright { ends.map(|(x, y)| (y, x)) } else { ends };
        let tint = maker.paint([long, short][which]);
        canvas.line(&ends, tint, width);
    }
    let names = [COLOURS[long].0, COLOURS[short].0];
    maker.show(canvas, format!("Two lines. The {} line is longer than the {} line.", names[0], names[1]));
    // Named in an order that does not say which.
    let swap = maker.random.below(2);
    let named = [names[swap], names[1 - swap]];
    let phrasings =
        ["Which line is longer, the {0} or the {1} one?", "Is the {0} or the {1} line the longer one?"];
    maker.ask("longer", &phrasings, &named, &named, swap);
    let phrasings =
        ["Which line is shorter, the {0} or the {1} one?", "Is the {0} or the {1} line the shorter one?"];
    maker.ask("longer", &phrasings, &named, &named, 1 - swap);
}

/// A rectangle of unit squares, to be counted.
fn squares(maker: &mut Maker<'_>) {
    // As many squares, and how many of them lie in a row.
    const AREAS: [(usize, &[usize]); 8] = [
        (2, &[1, 2]),
        (3, &[1, 3]),
        (4, &[2, 4, 1]),
        (6, &[2, 3]),
        (8, &[2, 4]),
        (9, &[3]),
        (12, &[3, 4]),
        (16, &[4]),
    ];
    let (answer, paint) = maker.pair(AREAS.len(), PAINTS);
    let (area, rows) = AREAS[answer];
    let wide = rows[maker.random.below(rows.len())];
    let high = area / wide;
    let mut canvas = maker.canvas();
    let unit = (maker.side() - 6.0) / wide.max(high).max(3) as f32 * maker.within(0.75, 1.0);
    let left = maker.within(3.0, maker.side() - 3.0 - unit * wide as f32);
    let top = maker.within(3.0, maker.side() - 3.0 - unit * high as f32);
    let (tint, ink) = (maker.paint(paint), canvas.ink);
    canvas.rect((left, top), unit * wide as f32, unit * high as f32, tint);
    for square in 0..area {
        let at = (left + unit * (square % wide) as f32, top + unit * (square / wide) as f32);
        canvas.frame(at, unit, unit, ink, 1.0);
    }
    let tinted = COLOURS[paint].0;
    maker.show(
        canvas,
        format!("A {tinted} rectangle of {area} unit squares: {high} rows with {wide} in a row."),
    );
    let areas: Vec<String> = AREAS.iter().map(|(area, _)| area.to_string()).collect();
    let phrasings = ["How many unit squares are there?", "What is the area in unit squares?"];
    maker.ask("area", &phrasings, &[], &areas, answer);
    colour(maker, "rectangle", paint);
}

/// A rectangle with the lengths of its sides, for perimeter or area.
fn rectangle(maker: &mut Maker<'_>) {
    // Half of a perimeter is a sum; an area is one of these products.
    const PRODUCTS: [(usize, usize); 8] = [(2, 3), (2, 4), (3, 4), (3, 5), (4, 5), (4, 6), (5, 6), (5, 7)];
    let area = maker.level == 3 && maker.random.chance(50);
    let (answer, paint) = maker.pair(8, PAINTS);
    let (one, other) = if area {
        PRODUCTS[answer]
    } else {
        let half = answer + 4;
        let one = 1 + maker.random.below(half - 1);
        (one, half - one)
    };
    let (wide, high) = if maker.random.chance(50) { (one, other) } else { (other, one) };
    let (mut canvas, hand, side) = (maker.canvas(), maker.hand(), maker.side());
    let room = side - 2.5 * hand.height - 6.0;
    let most = wide.max(high).max(1) as f32;
    // Not in scale where one side would be too short to see.
    let long = |length: usize| room * (0.35 + 0.55 * length as f32 / most);
    let (width, height) = (long(wide), long(high));
    let left = 2.0 + maker.within(0.0, room - width) + 1.5 * hand.height;
    let top = 2.0 + maker.within(0.0, room - height) + 1.5 * hand.height;
    let (tint, ink) = (maker.paint(paint), canvas.ink);
    if maker.random.chance(50) {
        canvas.rect((left, top), width, height, tint);
    } else {
        canvas.frame((left, top), width, height, tint, maker.within(1.6, 3.0));
    }
    let above = (left + width / 2.0, top - hand.height * 0.9);
    canvas.write(&hand, &wide.to_string(), above, Align::Middle, ink);
    let beside = (left - hand.height * 0.8, top + height / 2.0);
    canvas.write(&hand, &high.to_string(), beside, Align::Middle, ink);
    let tinted = COLOURS[paint].0;
    maker.show(canvas, format!("A {tinted} rectangle, {wide} wide and {high} high."));
    if area {
        let areas: Vec<String> = PRODUCTS.iter().map(|(one, other)| (one * other).to_string()).collect();
        let phrasings = ["What is the area of the rectangle?", "How large is the rectangle?"];
        maker.ask("area", &phrasings, &[], &areas, answer);
    } else {
        let phrasings = ["What is the perimeter of the rectangle?", "How long are all four sides together?"];
        maker.ask("perimeter", &phrasings, &[], &numbers(8, 8, 2), answer);
    }
    colour(maker, "rectangle", paint);
}

/// A triangle with two of its angles.
fn triangle(maker: &mut Maker<'_>) {
    let (answer, paint) = maker.pair(12, PAINTS);
    let third = 20 + 10 * answer;
    let rest = (180 - third) / 10;
    let one = 10 * (2 + maker.random.below(rest - 3)).min(rest - 2);
    let other = 180 - third - one;
    let (mut canvas, hand, side) = (maker.canvas(), maker.hand(), maker.side());
    // Corners on a circle, seen from whose centre a side is twice as wide as from the corner across.
    let start = maker.random.below(360) as f32;
    let centre = (side / 2.0, side / 2.0);
    let turns = [0.0, 2.0 * one as f32, 2.0 * (one + other) as f32];
    let corners = turns.map(|turn| polar(centre, side * 0.34, start + turn));
    let (tint, ink) = (maker.paint(paint), canvas.ink);
    canvas.outline(&corners, tint, maker.within(1.5, 2.5));
    // The side from corner 0 to 1 is seen from corner 2, and so on.
    let labels = [other.to_string(), "?".to_string(), one.to_string()];
    for (turn, label) in turns.iter().zip(&labels) {
        let at = polar(centre, side * 0.34 + hand.height * 1.1, start + turn);
        canvas.write(&hand, label, at, Align::Middle, ink);
    }
    let tinted = COLOURS[paint].0;
    maker.show(canvas, format!("A {tinted} triangle. Two of its angles are {one} and {other} degrees."));
    let phrasings =
        ["How many degrees is the third angle?", "How large is the angle with the question mark?"];
    maker.ask("third", &phrasings, &[], &numbers(20, 12, 10), answer);
    colour(maker, "triangle", paint);
}
