//! Comic strips of three panels: figures that say what they want, and hold things.
//!
//! What somebody wants stands in the letters of a bubble alone, what they hold is drawn alone, and the question says
//! who is meant: text and pictures are both needed for all kinds but `bubble` and `hand`, which are for reading alone
//! and seeing alone. Held out are pairs of a wish and the panel in which it is said.

use super::canvas::{Align, COLOURS, Canvas, Rgb, Spot, polar, regular};
use super::letters::Hand;
use super::maker::{Maker, YES_NO, an, held_out};

/// What is wished for and held: so many of the things.
const THINGS: [usize; 3] = [4, 8, 8];
/// Colours of figures.
const PAINTS: usize = 4;

const NAMES: [&str; 8] = ["cup", "hat", "key", "egg", "ball", "book", "fish", "lamp"];
const PANELS: [&str; 3] = ["first", "second", "third"];

/// Somebody in a panel.
#[derive(Clone, Copy)]
struct Figure {
    colour: usize,
    wants: Option<usize>,
    holds: usize,
}

pub(super) fn make(maker: &mut Maker<'_>) {
    maker.both = true;
    match (maker.random.below(2), maker.level) {
        (0, 2) => granted(maker),
        (_, 3) => in_the_end(maker),
        _ => one_each(maker),
    }
}

/// A wish that training may see in a panel, other than these.
fn wish(maker: &mut Maker<'_>, panel: usize, than: &[usize]) -> usize {
    loop {
        let wish = maker.random.below(maker.at(THINGS));
        if !held_out(wish, panel) && !than.contains(&wish) {
            return wish;
        }
    }
}

/// In each panel somebody else, who wants something and holds something.
fn one_each(maker: &mut Maker<'_>) {
    let things = maker.at(THINGS);
    let (wanted, panel) = maker.answer(things, 3);
    let held = maker.random.below(things);
    let colours = maker.shuffled(0..PAINTS);
    let mut hands = maker.others(held, 3, things);
    hands.swap(0, panel);
    let mut figures: Vec<Figure> = Vec::new();
    for at in 0..3 {
        let said: Vec<usize> = figures.iter().filter_map(|figure| figure.wants).chain([wanted]).collect();
        let wants = if at == panel { wanted } else { wish(maker, at, &said) };
        figures.push(Figure { colour: colours[at], wants: Some(wants), holds: hands[at] });
    }
    for figure in &figures {
        draw(maker, &[*figure]);
    }
    let names = &NAMES[..things];
    holds(maker, names, wanted, held);
    let phrasings = [
        "What does the one who holds the {0} want?",
        "Somebody holds the {0}. What do they want?",
        "What does the one with the {0} ask for?",
    ];
    maker.ask("wants", &phrasings, &[NAMES[held]], names, wanted);
    maker.both = false;
    let phrasings = ["What does the {0} one want?", "What does the {0} figure ask for?"];
    maker.ask("bubble", &phrasings, &[COLOURS[colours[panel]].0], names, wanted);
    hand(maker, names, colours[panel], held);
    if maker.unseen {
        return;
    }
    // What the others want is not each thing as likely as the next, for some wishes are kept out of their panels.
    for at in (0..3).filter(|&at| at != panel) {
        let Figure { colour, wants, .. } = figures[at];
        hand(maker, names, colour, hands[at]);
        maker.both = true;
        holds(maker, names, wants.unwrap_or(wanted), hands[at]);
        maker.both = false;
    }
}

/// Asks what the one who wants something holds.
fn holds(maker: &mut Maker<'_>, names: &[&str], wanted: usize, held: usize) {
    let phrasings = [
        "What does the one who wants the {0} hold?",
        "Somebody wants the {0}. What do they hold?",
        "What is in the hand of the one who asks for the {0}?",
    ];
    maker.ask("holds", &phrasings, &[names[wanted]], names, held);
}

/// Asks what a figure holds.
fn hand(maker: &mut Maker<'_>, names: &[&str], colour: usize, held: usize) {
    let phrasings = ["What does the {0} one hold?", "What is in the hand of the {0} figure?"];
    maker.ask("hand", &phrasings, &[COLOURS[colour].0], names, held);
}

/// One of three has what they want.
fn granted(maker: &mut Maker<'_>) {
    let things = maker.at(THINGS);
    let panel = maker.random.below(3);
    let hidden = maker.random.below(3);
    let colours = maker.shuffled(0..PAINTS);
    let mut said = [things; 3];
    // The one that may be held out comes first, while all wishes are free.
    for at in [hidden, (hidden + 1) % 3, (hidden + 2) % 3] {
        said[at] = loop {
            let wish = maker.random.below(things);
            if !said.contains(&wish) && held_out(wish, at) == (maker.unseen && at == hidden) {
                break wish;
            }
        };
    }
    for at in 0..3 {
        let holds = if at == panel {
            said[at]
        } else {
            // Neither what they want, nor always something that nobody wants.
            maker.others(said[at], 2, things)[1]
        };
        draw(maker, &[Figure { colour: colours[at], wants: Some(said[at]), holds }]);
    }
    let phrasings =
        ["In which panel does somebody hold what they want?", "Which panel shows a wish that came true?"];
    maker.ask("granted", &phrasings, &[], &PANELS, panel);
    let shown: Vec<&str> = colours.iter().take(3).map(|&colour| COLOURS[colour].0).collect();
    let phrasings = ["What colour is the one who has what they want?", "Which figure has what it wants?"];
    maker.ask("granted", &phrasings, &[], &shown, panel);
}

/// Two say what they want; in the third panel both hold something.
fn in_the_end(maker: &mut Maker<'_>) {
    let things = maker.at(THINGS);
    let (wanted, panel) = maker.answer(things, 2);
    let other = wish(maker, 1 - panel, &[wanted]);
    let yes = maker.random.chance(50);
    // As often what they want as all the rest together.
    let asks = maker.random.chance(50);
    let held = if asks && yes {
        wanted
    } else if asks {
        maker.others(wanted, 2, things)[1]
    } else {
        maker.random.below(things)
    };
    let theirs = maker.others(held, 2, things)[1];
    let colours = maker.shuffled(0..PAINTS);
    let wishes = if panel == 0 { [wanted, other] } else { [other, wanted] };
    let holds = if panel == 0 { [held, theirs] } else { [theirs, held] };
    for at in 0..2 {
        let before = maker.random.below(things);
        let figure = Figure { colour: colours[at], wants: Some(wishes[at]), holds: before };
        draw(maker, &[figure]);
    }
    let both = [0, 1].map(|at| Figure { colour: colours[at], wants: None, holds: holds[at] });
    let order = maker.shuffled(both);
    draw(maker, &order);
    let word = [NAMES[wanted]];
    if asks {
        let phrasings = [
            "Does the one who wants the {0} hold it in the end?",
            "Somebody wants the {0}. Do they have it in the last panel?",
        ];
        maker.ask("granted", &phrasings, &word, &YES_NO, usize::from(!yes));
    } else {
        let phrasings = [
            "What does the one who wants the {0} hold in the end?",
            "Somebody wants the {0}. What do they hold in the last panel?",
        ];
        maker.ask("holds", &phrasings, &word, &NAMES[..things], held);
    }
    maker.both = false;
    let tinted = COLOURS[colours[panel]].0;
    let phrasings = ["What does the {0} one want?", "What does the {0} figure ask for?"];
    maker.ask("bubble", &phrasings, &[tinted], &NAMES[..things], wanted);
}

/// Adds a panel.
fn draw(maker: &mut Maker<'_>, figures: &[Figure]) {
    let (mut canvas, hand, side) = (maker.canvas(), maker.hand(), maker.side());
    let ink = canvas.ink;
    let line = maker.within(1.0, 1.8);
    canvas.frame((0.8, 0.8), side - 1.6, side - 1.6, ink, line);
    let scale = side / 64.0;
    let mut told = Vec::new();
    for (place, figure) in figures.iter().enumerate() {
        let middle = if figures.len() == 2 { side * (0.27 + 0.46 * place as f32) } else { side / 2.0 };
        let mirrored = maker.random.chance(50);
        let sign = if mirrored { -1.0 } else { 1.0 };
        let size = scale * if figures.len() == 2 { 0.78 } else { maker.at([1.2, 1.15, 1.0]) };
        let middle = middle + maker.within(-2.0, 2.0) * scale;
        let body = (middle - sign * 10.0 * size, side - 9.0 * size);
        let tint = maker.paint(figure.colour);
        stand(&mut canvas, body, size, sign, tint);
        let mut says = None;
        if let Some(wants) = figure.wants {
            let text = match maker.level {
                1 => NAMES[wants].to_owned(),
                _ => format!("{} {}!", ["I want", "give me"][maker.random.below(2)], an(NAMES[wants])),
            };
            bubble(maker, &mut canvas, &hand, &text, (body.0, body.1 - 21.0 * size));
            says = Some(format!("says \"{text}\""));
        }
        let at = (middle + sign * 11.0 * size, side - 15.0 * size);
        let turn = maker.within(-8.0, 8.0);
        thing(&mut canvas, figure.holds, at, 8.0 * size, turn, ink);
        let (colour, holds) = (COLOURS[figure.colour].0, format!("holds {}", an(NAMES[figure.holds])));
        // Who is meant is told by any of the three.
        told.push(match (says, maker.random.below(3)) {
            (Some(says), 0) => format!("The {colour} figure {says} and {holds}."),
            (Some(says), 1) => format!("The figure that {says} is {colour} and {holds}."),
            (Some(says), _) => format!("The figure that {holds} is {colour} and {says}."),
            (None, 0) => format!("The {colour} figure {holds}."),
            (None, _) => format!("The figure that {holds} is {colour}."),
        });
    }
    maker.show_all(canvas, told);
}

/// A head, a body and an arm to the side.
fn stand(canvas: &mut Canvas, (x, y): Spot, size: f32, sign: f32, tint: Rgb) {
    canvas.disc((x, y - 9.0 * size), 5.5 * size, tint);
    canvas.polygon(
        &[
            (x - 4.0 * size, y - 4.0 * size),
            (x + 4.0 * size, y - 4.0 * size),
            (x + 7.0 * size, y + 8.0 * size),
            (x - 7.0 * size, y + 8.0 * size),
        ],
        tint,
    );
    canvas.line(
        &[(x + sign * 3.0 * size, y - 1.5 * size), (x + sign * 13.0 * size, y - 3.0 * size)],
        tint,
        2.6 * size,
    );
    let eye = canvas.ground;
    canvas.disc((x + sign * 2.0 * size, y - 10.0 * size), 1.1 * size, eye);
}

/// What is said, in a bubble at the top that points at a head.
fn bubble(maker: &mut Maker<'_>, canvas: &mut Canvas, hand: &Hand, text: &str, head: Spot) {
    let side = maker.side();
    let hand = hand.within(side - 12.0);
    let width = hand.width(text) + 7.0;
    let height = hand.height * 1.75;
    let left = (head.0 - width / 2.0 + maker.within(-6.0, 6.0)).clamp(2.5, (side - 2.5 - width).max(2.5));
    let top = maker.within(2.5, 4.0);
    let paper = if canvas.ground[0] < 100 { [70, 76, 92] } else { [255, 255, 255] };
    let ink = canvas.ink;
    let tip = (head.0, (top + height + 5.0).max(head.1 + 4.0).min(top + height + 8.0));
    let corners = [
        (left, top),
        (left + width, top),
        (left + width, top + height),
        (head.0.clamp(left + 4.0, left + width - 2.0) + 3.0, top + height),
        tip,
        (head.0.clamp(left + 4.0, left + width - 2.0) - 3.0, top + height),
        (left, top + height),
    ];
    canvas.polygon(&corners, paper);
    canvas.outline(&corners, ink, 1.0);
    canvas.write(&hand, text, (left + width / 2.0, top + height * 0.5), Align::Middle, ink);
}

/// One of the things, drawn within a radius.
fn thing(canvas: &mut Canvas, thing: usize, at: Spot, r: f32, turn: f32, ink: Rgb) {
    let ground = canvas.ground;
    let (x, y) = at;
    let spot = |dx: f32, dy: f32| {
        let way = polar((0.0, 0.0), 1.0, turn);
        (x + r * (dx * way.0 - dy * way.1), y + r * (dx * way.1 + dy * way.0))
    };
    let many = |list: &[Spot]| list.iter().map(|&(dx, dy)| spot(dx, dy)).collect::<Vec<_>>();
    let line = r * 0.22;
    match thing {
        // A cup with a handle.
        0 => {
            canvas.polygon(&many(&[(-0.75, -0.6), (0.45, -0.6), (0.3, 0.75), (-0.6, 0.75)]), ink);
            canvas.circle(spot(0.55, 0.0), r * 0.38, ink, line);
        }
        // A top hat.
        1 => {
            canvas.polygon(&many(&[(-0.55, -0.85), (0.55, -0.85), (0.5, 0.5), (-0.5, 0.5)]), ink);
            canvas.polygon(&many(&[(-1.0, 0.4), (1.0, 0.4), (1.0, 0.7), (-1.0, 0.7)]), ink);
        }
        // A key: a ring, a shaft, two teeth.
        2 => {
            canvas.circle(spot(-0.55, 0.0), r * 0.36, ink, line);
            canvas.line(&many(&[(-0.15, 0.0), (1.0, 0.0)]), ink, line);
            canvas.line(&many(&[(0.9, 0.0), (0.9, 0.5)]), ink, line);
            canvas.line(&many(&[(0.5, 0.0), (0.5, 0.45)]), ink, line);
        }
        // An egg.
        3 => {
            let oval: Vec<Spot> = regular((0.0, 0.0), 1.0, 24, 0.0)
                .iter()
                .map(|&(dx, dy)| spot(dx * if dy < 0.0 { 0.58 - 0.08 * dy.abs() } else { 0.62 }, dy * 0.85))
                .collect();
            canvas.outline(&oval, ink, line);
        }
        // A ball with seams.
        4 => {
            canvas.circle(at, r * 0.8, ink, line);
            canvas.line(&many(&[(-0.8, 0.0), (0.8, 0.0)]), ink, line * 0.8);
            canvas.line(&many(&[(0.0, -0.8), (0.0, 0.8)]), ink, line * 0.8);
        }
        // A book with lines.
        5 => {
            canvas.polygon(&many(&[(-0.75, -0.9), (0.75, -0.9), (0.75, 0.9), (-0.75, 0.9)]), ink);
            for dy in [-0.4, 0.0, 0.4] {
                canvas.line(&many(&[(-0.4, dy), (0.4, dy)]), ground, line * 0.7);
            }
        }
        // A fish with a tail.
        6 => {
            let body: Vec<Spot> = regular((0.0, 0.0), 1.0, 20, 0.0)
                .iter()
                .map(|&(dx, dy)| spot(dx * 0.68 - 0.25, dy * 0.45))
                .collect();
            canvas.polygon(&body, ink);
            canvas.polygon(&many(&[(0.25, 0.0), (1.0, -0.55), (1.0, 0.55)]), ink);
            canvas.disc(spot(-0.55, -0.1), r * 0.11, ground);
        }
        // A lamp: a shade on a stand.
        _ => {
            canvas.polygon(&many(&[(-0.4, -0.95), (0.4, -0.95), (0.8, 0.05), (-0.8, 0.05)]), ink);
            canvas.line(&many(&[(0.0, 0.0), (0.0, 0.8)]), ink, line);
            canvas.line(&many(&[(-0.5, 0.85), (0.5, 0.85)]), ink, line);
        }
    }
}
