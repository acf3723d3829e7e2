//! Maps of the world's places: where they lie to each other, and the roads between them.
//!
//! Positions, names and roads are the world's. Held out are places, which training never sees drawn.
//!
//! Where places are told by colours alone, north is at the top and directions are asked for. Where they are told by
//! names (at level 1 by the first letter), who knows the world would know the directions without the map: so the map
//! is turned by any quarter, and how places lie on the page is asked for.

use super::super::places::Place;
use super::canvas::{Align, COLOURS, Canvas, Spot, polar};
use super::letters::Hand;
use super::maker::{Maker, YES_NO, held_out, numbers};

/// Places on a map, at most; two at least.
const PLACES: [usize; 3] = [3, 4, 6];
/// The same where names are written, and letters of a name.
const NAMED: [usize; 3] = [3, 3, 5];
const LETTERS: [usize; 3] = [99, 8, 10];
/// Directions that are asked for: the four main ones alone, or all.
const DIRECTIONS: [usize; 3] = [4, 8, 8];
/// Two marks are at least so many pixels apart.
const APART: [f32; 3] = [18.0, 15.0, 18.0];
/// Kinds of marks: colours of dots.
const MARKS: usize = 4;

const WINDS: [&str; 8] =
    ["north", "south", "east", "west", "north-east", "north-west", "south-east", "south-west"];
/// The same on a page whose top is north.
const PAGE: [&str; 8] =
    ["above", "below", "right", "left", "upper right", "upper left", "lower right", "lower left"];
/// What each becomes by a quarter turn with the clock.
const TURNED: [usize; 8] = [2, 3, 1, 0, 6, 4, 7, 5];

/// How places are told apart.
#[derive(Clone, Copy, PartialEq)]
enum Labels {
    Colours,
    Letters,
    Names,
}

pub(super) fn make(maker: &mut Maker<'_>) {
    let labels = match (maker.random.below(2), maker.level) {
        (0, _) => Labels::Colours,
        (_, 1) => Labels::Letters,
        _ => Labels::Names,
    };
    // What is asked first is drawn first: the direction from the first place to the second, or their road.
    let wind = maker.random.below(maker.at(DIRECTIONS));
    let road = labels == Labels::Colours && maker.random.chance(40);
    let roads = road.then(|| maker.random.chance(50));
    let turn = if labels == Labels::Colours { 0 } else { maker.random.below(4) };
    // What is `wind` on the page is this in the world.
    let real = (turn..4).fold(wind, |wind, _| if turn == 0 { wind } else { TURNED[wind] });
    let most = maker.at(if labels == Labels::Colours { PLACES } else { NAMED });
    let count = 2 + maker.random.below(most - 1);
    let hand = maker.hand();
    let hand = hand.within(maker.side() * 0.6);
    // Roads are facts, and most pairs of places have none, so it may take some draws.
    let (places, spots) = loop {
        let Some(places) = choose(maker, count, real, roads, labels) else { continue };
        if let Some(spots) = lay(maker, &places, turn, &hand, labels) {
            break (places, spots);
        }
    };
    let tints = maker.shuffled(0..MARKS.max(count));
    let mut canvas = maker.canvas();
    let marked = maker.random.below(count);
    draw(maker, &mut canvas, &places, &spots, &tints, labels, &hand);
    if labels == Labels::Names {
        let (radius, ink) = (maker.at([0.0, 4.6, 6.0]), canvas.ink);
        canvas.circle(spots[marked], radius, ink, 1.4);
    }
    north(maker, &mut canvas, &spots, turn);
    let mut seen = told(maker, &spots, &places, &tints, labels, turn);
    if labels == Labels::Names {
        seen.push(format!("A ring marks {}.", places[marked].name));
    }
    maker.show_all(canvas, seen);
    let names: Vec<String> = places
        .iter()
        .zip(&tints)
        .map(|(place, &tint)| match labels {
            Labels::Colours => format!("the {} place", COLOURS[tint].0),
            _ => place.name.clone(),
        })
        .collect();
    if labels == Labels::Names {
        let phrasings = ["Which place has a ring around it?", "Which place does the ring mark?"];
        maker.ask("marked", &phrasings, &[], &names, marked);
    }
    let phrasings = ["How many places are on the map?", "How many places does the map show?"];
    maker.ask("count", &phrasings, &[], &numbers(2, most - 1, 1), count - 2);
    let pair = [names[0].as_str(), names[1].as_str()];
    if roads.is_some() {
        let phrasings = ["Is there a road between {0} and {1}?", "Does a road join {0} and {1}?"];
        let joined = places[0].roads.contains(&places[1].id);
        maker.ask("road", &phrasings, &pair, &YES_NO, usize::from(!joined));
    } else if labels == Labels::Colours {
        let phrasings = [
            "Where does {1} lie, seen from {0}?",
            "In which direction from {0} is {1}?",
            "Which way is it from {0} to {1}?",
        ];
        maker.ask("direction", &phrasings, &pair, &WINDS[..maker.at(DIRECTIONS)], wind);
    } else {
        let phrasings =
            ["Where on the map is {1}, seen from {0}?", "On this map, on which side of {0} is {1}?"];
        maker.ask("side", &phrasings, &pair, &PAGE[..maker.at(DIRECTIONS)], wind);
    }
    if labels == Labels::Colours {
        farthest(maker, &places, &tints);
    }
}

/// Places of which the second lies in a direction from the first, and has a road to it or not where that is asked.
fn choose<'a>(
    maker: &mut Maker<'a>,
    count: usize,
    wind: usize,
    road: Option<bool>,
    labels: Labels,
) -> Option<Vec<&'a Place>> {
    let world = maker.world;
    let hidden = maker.random.below(count);
    let mut places: Vec<&Place> = Vec::with_capacity(count);
    for at in 0..count {
        // A few tries, then from the beginning.
        let mut found = None;
        for _ in 0..60 {
            let roads = places.first().map_or(&[][..], |first| &first.roads);
            let near = at == 1 && road == Some(true);
            let id = if near {
                roads[maker.random.below(roads.len())]
            } else {
                maker.random.below(world.places.len())
            };
            let place = &world.places[id];
            let initial = |other: &&Place| other.name.get(..1) == place.name.get(..1);
            let fits = (labels != Labels::Names || place.name.len() <= maker.at(LETTERS))
                && held_out(id, 0) == (maker.unseen && at == hidden)
                && places.iter().all(|other| other.id != id)
                && !(labels == Labels::Letters && places.iter().any(initial))
                && (at != 1
                    || road.map_or_else(
                        || world.direction(places[0].id, id) == WINDS[wind],
                        |road| road == roads.contains(&id),
                    ));
            if fits {
                found = Some(place);
                break;
            }
        }
        places.push(found?);
    }
    Some(places)
}

/// Where the marks stand, if they and what is written below them keep clear of each other.
fn lay(
    maker: &mut Maker<'_>,
    places: &[&Place],
    turn: usize,
    hand: &Hand,
    labels: Labels,
) -> Option<Vec<Spot>> {
    let (side, apart) = (maker.side(), maker.at(APART));
    let miles: Vec<(i64, i64)> = places
        .iter()
        .map(|place| (0..turn).fold((place.x as i64, place.y as i64), |(x, y), _| (y, -x)))
        .collect();
    let left = miles.iter().map(|at| at.0).min().unwrap_or(0);
    let bottom = miles.iter().map(|at| at.1).min().unwrap_or(0);
    let (wide, tall) = miles
        .iter()
        .fold((1, 1), |(wide, tall), at| (i64::max(wide, at.0 - left), i64::max(tall, at.1 - bottom)));
    let margin = match labels {
        Labels::Colours => (7.0, 7.0),
        Labels::Letters => (11.0, 11.0),
        Labels::Names => (maker.at([0.0, 9.0, 16.0]), 8.0),
    };
    // As large as fits, in the same scale both ways, somewhere.
    let room = (side - 2.0 * margin.0, side - 2.0 * margin.1);
    let scale = (room.0 / wide as f32).min(room.1 / tall as f32) * maker.within(0.85, 1.0);
    let shift = (
        maker.within(0.0, room.0 - scale * wide as f32) + margin.0,
        maker.within(0.0, room.1 - scale * tall as f32) + margin.1,
    );
    let spots: Vec<Spot> = miles
        .iter()
        .map(|at| {
            let (x, y) = (scale * (at.0 - left) as f32, scale * (at.1 - bottom) as f32);
            (shift.0 + x, side - shift.1 - y)
        })
        .collect();
    let clear = |one: Spot, other: Spot| (one.0 - other.0).abs().max((one.1 - other.1).abs()) >= apart;
    let apart = (0..spots.len()).all(|one| (0..one).all(|other| clear(spots[one], spots[other])));
    if !apart || labels != Labels::Names {
        return apart.then_some(spots);
    }
    let words: Vec<(Spot, f32)> =
        spots.iter().zip(places).map(|(&spot, place)| name_at(maker, hand, &place.name, spot)).collect();
    let tall = hand.height * 1.5;
    let read = (0..spots.len()).all(|one| {
        let ((x, y), wide) = words[one];
        (0..spots.len()).filter(|&other| other != one).all(|other| {
            let ((a, b), width) = words[other];
            let (mark_x, mark_y) = spots[other];
            ((x - a).abs() > (wide + width) / 2.0 + 1.5 || (y - b).abs() > tall)
                && ((x - mark_x).abs() > wide / 2.0 + 6.0 || (y - mark_y).abs() > hand.height / 2.0 + 6.5)
        })
    });
    read.then_some(spots)
}

/// Where the middle of a name stands that belongs to a mark, below it or above, and how wide it is.
fn name_at(maker: &Maker<'_>, hand: &Hand, name: &str, spot: Spot) -> (Spot, f32) {
    let side = maker.side();
    let wide = hand.width(name);
    let half = wide / 2.0 + 1.5;
    let x = spot.0.clamp(half, (side - half).max(half));
    let off = maker.at([0.0, 5.5, 7.0]) + hand.height * 0.6;
    let y = if spot.1 + off + hand.height * 0.7 > side { spot.1 - off } else { spot.1 + off };
    ((x, y), wide)
}

fn draw(
    maker: &mut Maker<'_>,
    canvas: &mut Canvas,
    places: &[&Place],
    spots: &[Spot],
    tints: &[usize],
    labels: Labels,
    hand: &Hand,
) {
    let (ink, ground) = (canvas.ink, canvas.ground);
    let width = maker.at([2.4, 1.4, 1.8]) * maker.within(0.8, 1.2);
    for (one, place) in places.iter().enumerate() {
        for other in 0..one {
            if place.roads.contains(&places[other].id) {
                canvas.line(&[spots[one], spots[other]], ink, width);
            }
        }
    }
    let radius = maker.at([5.5, 2.6, 3.2]) * maker.within(0.9, 1.1);
    let plain = maker.random.below(8);
    for (at, place) in places.iter().enumerate() {
        let spot = spots[at];
        match labels {
            Labels::Colours => {
                let paint = maker.paint(tints[at]);
                canvas.disc(spot, radius, paint);
            }
            Labels::Letters => {
                canvas.disc(spot, hand.height * 0.72, ground);
                canvas.circle(spot, hand.height * 0.72, ink, 0.8);
                let hand = super::letters::Hand { height: hand.height * 0.95, ..*hand };
                canvas.write(&hand, place.name.get(..1).unwrap_or_default(), spot, Align::Middle, ink);
            }
            Labels::Names => {
                let paint = maker.paint(plain);
                canvas.disc(spot, radius, paint);
                let (at, _) = name_at(maker, hand, &place.name, spot);
                canvas.write(hand, &place.name, at, Align::Middle, ink);
            }
        }
    }
}

/// An arrow to the north in a corner with room for it. Where north is the top it may be missing.
fn north(maker: &mut Maker<'_>, canvas: &mut Canvas, spots: &[Spot], turn: usize) {
    if turn == 0 && maker.random.chance(60) {
        return;
    }
    let (side, ink) = (maker.side(), canvas.ink);
    let corners = [(9.0, 9.0), (side - 9.0, 9.0), (9.0, side - 9.0), (side - 9.0, side - 9.0)];
    let free = |corner: &Spot| {
        spots.iter().all(|spot| (spot.0 - corner.0).abs() > 22.0 || (spot.1 - corner.1).abs() > 18.0)
    };
    if let Some(&corner) = corners.iter().find(|corner| free(corner)) {
        let up = 90.0 - 90.0 * turn as f32;
        canvas.arrow(polar(corner, 6.0, up + 180.0), polar(corner, 6.0, up), ink, 1.2);
    }
}

/// What the map shows, by the page alone.
fn told(
    maker: &Maker<'_>,
    spots: &[Spot],
    places: &[&Place],
    tints: &[usize],
    labels: Labels,
    turn: usize,
) -> Vec<String> {
    let name = |at: usize| match labels {
        Labels::Colours => format!("the {} place", COLOURS[tints[at]].0),
        _ => places[at].name.clone(),
    };
    let mut told = vec![format!("A map of {} places.", places.len())];
    let ways = if labels == Labels::Colours {
        ["west to east", "north to south"]
    } else {
        ["left to right", "top to bottom"]
    };
    let across: [fn(Spot) -> f32; 2] = [|spot| spot.0, |spot| spot.1];
    for (way, place) in ways.into_iter().zip(across) {
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by(|&one, &other| place(spots[one]).total_cmp(&place(spots[other])));
        let order: Vec<String> = order.into_iter().map(name).collect();
        told.push(format!("From {way}: {}.", order.join(", ")));
    }
    for one in 0..places.len() {
        for other in (0..one).filter(|&other| places[one].roads.contains(&places[other].id)) {
            told.push(format!("A road joins {} and {}.", name(one), name(other)));
        }
    }
    for other in 1..places.len() {
        let real = maker.world.direction(places[0].id, places[other].id);
        let wind = WINDS.iter().position(|wind| *wind == real).unwrap_or(0);
        let way = if labels == Labels::Colours {
            format!("to the {real}")
        } else {
            format!("on the page: {}", PAGE[(0..turn).fold(wind, |wind, _| TURNED[wind])])
        };
        told.push(format!("Seen from {}, {} lies {way}.", name(0), name(other)));
    }
    told
}

/// Which of the coloured places lies at an end of the map.
fn farthest(maker: &mut Maker<'_>, places: &[&Place], tints: &[usize]) {
    let way = maker.random.below(4);
    let far = |place: &Place| match way {
        0 => place.y as i64,
        1 => -(place.y as i64),
        2 => place.x as i64,
        _ => -(place.x as i64),
    };
    let mut ends: Vec<(i64, usize)> = places.iter().map(|place| far(place)).zip(0..).collect();
    ends.sort_unstable();
    let (last, before, first) = (ends[ends.len() - 1], ends[ends.len() - 2], ends[0]);
    // Not by a hair.
    if (last.0 - before.0) * 6 < last.0 - first.0 {
        return;
    }
    let all: Vec<&str> = tints.iter().map(|&tint| COLOURS[tint].0).collect();
    let phrasings = ["Which place lies farthest {0}?", "Name the place that lies farthest {0}."];
    maker.ask("farthest", &phrasings, &[WINDS[way]], &all, last.1);
}
