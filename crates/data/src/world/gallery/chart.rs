//! Charts: bars, lines, slices and dots, with titles, axes and legends.
//!
//! Held out are pairs of a form and a ground: a style that is never seen in training. A chart compares series;
//! at level 1 they are told by colours or by single letters, above by words of the world, in a legend or beside the
//! bars.

use super::canvas::{Align, COLOURS, Canvas, GROUNDS, Rgb, Spot, mix};
use super::letters::Hand;
use super::maker::{Maker, colours, numbers};

/// Series of a chart, at most.
const SERIES: [usize; 3] = [4, 4, 6];
/// Names that series are drawn from.
const NAMES: [usize; 3] = [4, 8, 16];
/// Values of a series are 1 to this.
const VALUES: [usize; 3] = [4, 8, 16];
/// What a step of a value counts.
const STEP: [usize; 3] = [1, 1, 5];

const FORMS: [&str; 4] = ["bar chart", "line chart", "pie chart", "dot chart"];
const PARTS: [&str; 4] = ["bar", "line", "slice", "group of dots"];

/// The greatest and the least of them.
const ENDS: [[&str; 2]; 4] =
    [["longest", "shortest"], ["highest", "lowest"], ["largest", "smallest"], ["largest", "smallest"]];

const LETTERS: [&str; 4] = ["A", "B", "C", "D"];

struct Chart {
    form: usize,
    /// Name of each series.
    names: Vec<String>,
    /// What each is drawn in.
    paints: Vec<Rgb>,
    values: Vec<usize>,
    /// Whether names are written, rather than colours meant.
    written: bool,
    title: Option<String>,
}

pub(super) fn make(maker: &mut Maker<'_>) {
    let (form, ground) = maker.pair(FORMS.len(), GROUNDS.len());
    if form == 1 && maker.random.chance(if maker.level == 1 { 60 } else { 25 }) {
        return trend(maker, ground);
    }
    let most = maker.at(SERIES);
    // Bars, lines and slices want two at least, and dots are easily too many.
    let count = if form == 3 { 2 } else { 2 + maker.random.below(most - 1) };
    let written = if maker.level == 1 { form == 0 && maker.random.chance(50) } else { true };
    let pool: Vec<&str> = match (maker.level, written) {
        (1, true) => LETTERS.to_vec(),
        (1, false) => colours(4),
        _ => maker.words(maker.at(NAMES)),
    };
    let picked = maker.shuffled(0..pool.len());
    let names: Vec<String> = picked.iter().take(count).map(|&name| pool[name].to_owned()).collect();
    let tints = if written { maker.shuffled(0..maker.at([4, 6, 8])) } else { picked };
    let tints = &tints[..count];
    // Bars with names may all look alike.
    let alike = form == 0 && written && maker.random.chance(60);
    let paints =
        tints.iter().map(|&tint| maker.paint(if alike { tints[0] } else { tint })).collect::<Vec<_>>();
    let values = values(maker, form, count);
    let subjects = maker.words(maker.at(NAMES));
    // A title takes room that what is written besides may need.
    let crowded = written && (maker.level == 1 || (maker.level == 2 && form > 0 && count > 2));
    let titled = maker.random.chance(40) && !crowded;
    let title = titled.then(|| maker.random.below(subjects.len()));
    let chart =
        Chart { form, names, paints, values, written, title: title.map(|title| subjects[title].to_owned()) };
    let mut canvas = maker.canvas_on(ground);
    draw(maker, &mut canvas, &chart);
    let told = told(maker, &chart);
    maker.show(canvas, told);
    ask(maker, &chart, &pool);
    maker.both = false;
    if let Some(title) = title {
        let phrasings = ["What is the title of the chart?", "What does the title say?"];
        maker.ask("title", &phrasings, &[], &subjects, title);
    }
}

/// A value a series: one of them, in any place, as likely as the next; the largest and the smallest stand alone.
fn values(maker: &mut Maker<'_>, form: usize, count: usize) -> Vec<usize> {
    let (most, lead) = (maker.at(VALUES), maker.random.below(maker.at(VALUES)) + 1);
    // Slices and dots are harder to compare than what stands on a line.
    let gap = match (form, maker.level) {
        (2 | 3, _) => most / 4,
        (_, 3) => 2,
        _ => 1,
    };
    loop {
        let mut values: Vec<usize> = (0..count).map(|_| 1 + maker.random.below(most)).collect();
        values[0] = lead;
        let mut sorted = values.clone();
        sorted.sort_unstable();
        let apart = |low: usize, high: usize| sorted[low] + gap <= sorted[high];
        if apart(count - 2, count - 1) && (count == 2 || apart(0, 1)) {
            return values;
        }
    }
}

/// What the chart shows, from either end.
fn told(maker: &mut Maker<'_>, chart: &Chart) -> String {
    let titled = chart.title.as_ref().map_or(String::new(), |title| format!(" with the title {title}"));
    let mut told = format!("A {}{titled}.", FORMS[chart.form]);
    if chart.form == 0 {
        told += &format!(" It has {} bars.", chart.names.len());
    }
    let total: usize = chart.values.iter().sum();
    let mut series: Vec<(usize, &str)> =
        chart.values.iter().copied().zip(chart.names.iter().map(String::as_str)).collect();
    series.sort_unstable();
    let end = maker.random.below(2);
    if end == 0 {
        series.reverse();
    }
    let one = |(value, name): (usize, &str)| match chart.form {
        0 | 1 => format!("{name} {}", value * maker.at(STEP)),
        2 => format!("{name} {} percent", value * 100 / total),
        _ => format!("{name} {}", dots(maker, value)),
    };
    let series: Vec<String> = series.into_iter().map(one).collect();
    told += &format!(" From the {} {}: {}.", ENDS[chart.form][end], PARTS[chart.form], series.join(", "));
    told
}

/// How many dots stand for a value.
fn dots(maker: &Maker<'_>, value: usize) -> usize {
    value * maker.at([3, 2, 2])
}

fn ask(maker: &mut Maker<'_>, chart: &Chart, pool: &[&str]) {
    let best = |sign: isize| (0..chart.values.len()).max_by_key(|&i| sign * chart.values[i] as isize);
    let place = |series: Option<usize>| {
        series.and_then(|series| pool.iter().position(|name| *name == chart.names[series])).unwrap_or(0)
    };
    let (largest, smallest) = (place(best(1)), place(best(-1)));
    let part = PARTS[chart.form];
    let (more, less): (&[&str], &[&str]) = match chart.form {
        0 if maker.level == 1 && !chart.written => (
            &["Which bar is the longest?", "What colour is the longest bar?"],
            &["Which bar is the shortest?", "What colour is the shortest bar?"],
        ),
        0 => (
            &[
                "Which bar is the longest?",
                "What has the longest bar?",
                "What does the longest bar stand for?",
            ],
            &[
                "Which bar is the shortest?",
                "What has the shortest bar?",
                "What does the shortest bar stand for?",
            ],
        ),
        1 => (
            &["Which {0} ends highest?", "Name the {0} that is highest at the right end."],
            &["Which {0} ends lowest?", "Name the {0} that is lowest at the right end."],
        ),
        _ => (
            &["Which {0} is the largest?", "What has the largest {0}?", "Name the largest {0}."],
            &["Which {0} is the smallest?", "What has the smallest {0}?", "Name the smallest {0}."],
        ),
    };
    maker.both = chart.written;
    maker.ask("largest", more, &[part], pool, largest);
    maker.ask("smallest", less, &[part], pool, smallest);
    if chart.form == 0 {
        maker.both = false;
        let most = maker.at(SERIES) - 1;
        let phrasings = ["How many bars are there?", "How many bars does the chart have?"];
        maker.ask("count", &phrasings, &[], &numbers(2, most, 1), chart.names.len() - 2);
    }
    if chart.form == 0 && maker.level > 1 {
        maker.both = true;
        let phrasings = ["How much is {0}?", "What is the value of {0}?", "Which number does {0} reach?"];
        let step = maker.at(STEP);
        let all = numbers(step, maker.at(VALUES), step);
        maker.ask("value", &phrasings, &[&chart.names[0]], &all, chart.values[0] - 1);
    }
}

/// What is left for the drawing, from (x, y) at the upper left to the lower right.
struct Area {
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
}

fn draw(maker: &mut Maker<'_>, canvas: &mut Canvas, chart: &Chart) {
    let (side, hand) = (maker.side(), maker.hand());
    let mut area = Area { left: 4.0, top: 4.0, right: side - 4.0, bottom: side - 4.0 };
    if let Some(title) = &chart.title {
        let ink = canvas.ink;
        canvas.write(&hand, title, (side / 2.0, 2.5 + hand.height * 0.6), Align::Middle, ink);
        area.top += hand.height * 1.35;
    }
    if chart.written && chart.form > 0 {
        legend(maker, canvas, chart, &hand, &mut area);
    }
    match chart.form {
        0 => bars(maker, canvas, chart, &hand, &area),
        1 => lines(maker, canvas, chart, &area),
        2 => slices(maker, canvas, chart, &area),
        _ => scatter(maker, canvas, chart, &area),
    }
}

/// A swatch and a name a line, below or beside the drawing.
fn legend(maker: &mut Maker<'_>, canvas: &mut Canvas, chart: &Chart, hand: &Hand, area: &mut Area) {
    let (ink, line) = (canvas.ink, hand.height * 1.4);
    // In any order, so that it does not say which part is which but by colour.
    let order = maker.shuffled(0..chart.names.len());
    let columns = 2;
    let rows = chart.names.len().div_ceil(columns);
    let wide = (area.right - area.left) / columns as f32;
    area.bottom -= line * rows as f32 + 1.0;
    for (place, &series) in order.iter().enumerate() {
        let x = area.left + wide * (place % columns) as f32;
        let y = area.bottom + 1.0 + line * ((place / columns) as f32 + 0.5);
        canvas.rect((x - 1.0, y - 2.5), 5.0, 5.0, chart.paints[series]);
        let hand = hand.within(wide - 8.5);
        canvas.write(&hand, &chart.names[series], (x + 6.0, y), Align::Left, ink);
    }
}

fn bars(maker: &mut Maker<'_>, canvas: &mut Canvas, chart: &Chart, hand: &Hand, area: &Area) {
    let (ink, count, most) = (canvas.ink, chart.names.len(), maker.at(VALUES));
    // Words stand beside bars that lie; letters and colours below bars that stand.
    let lying = maker.level > 1 || (!chart.written && maker.random.chance(50));
    let label = match (chart.written, lying) {
        (false, _) => 1.0,
        (true, true) => maker.at([0.0, 24.0, 38.0]),
        (true, false) => hand.height * 1.3,
    };
    let scale = if maker.level > 1 { hand.height * 1.5 } else { 0.0 };
    let (from, to, across) = if lying {
        (area.left + label, area.right - 2.0, (area.top, area.bottom - scale))
    } else {
        (area.bottom - label, area.top, (area.left, area.right))
    };
    let along = |value: f32| from + (to - from) * value / most as f32;
    if maker.level > 1 {
        let (grid, named) = maker.at([(1, 1), (2, 4), (2, 4)]);
        let pale = mix(canvas.ground, ink, 0.3);
        for value in (0..=most).step_by(grid) {
            let x = along(value as f32);
            canvas.line(&[(x, across.0), (x, across.1)], pale, 0.8);
            if value % named == 0 {
                let text = (value * maker.at(STEP)).to_string();
                let x = x.min(maker.side() - hand.height);
                canvas.write(&hand.within(18.0), &text, (x, across.1 + scale * 0.55), Align::Middle, ink);
            }
        }
    }
    let slot = (across.1 - across.0) / count as f32;
    let thick = (slot * maker.within(0.55, 0.8)).min(maker.at([16.0, 10.0, 16.0]));
    for (place, series) in maker.shuffled(0..count).into_iter().enumerate() {
        let middle = across.0 + slot * (place as f32 + 0.5);
        let end = along(chart.values[series] as f32);
        if lying {
            canvas.rect((from, middle - thick / 2.0), end - from, thick, chart.paints[series]);
        } else {
            canvas.rect((middle - thick / 2.0, end), thick, from - end, chart.paints[series]);
        }
        if chart.written {
            let (at, align) = if lying {
                ((from - 2.0, middle), Align::Right)
            } else {
                ((middle, from + label * 0.55), Align::Middle)
            };
            canvas.write(&hand.within(label.max(slot) - 2.0), &chart.names[series], at, align, ink);
        }
    }
    let axis =
        if lying { [(from, across.0), (from, across.1)] } else { [(across.0, from), (across.1, from)] };
    canvas.line(&axis, ink, maker.within(1.0, 1.6));
}

fn axes(maker: &mut Maker<'_>, canvas: &mut Canvas, area: &Area) {
    let (ink, width) = (canvas.ink, maker.within(1.0, 1.6));
    canvas.line(&[(area.left, area.top), (area.left, area.bottom), (area.right, area.bottom)], ink, width);
}

/// A line a series, which ends at its value and comes from anywhere.
fn lines(maker: &mut Maker<'_>, canvas: &mut Canvas, chart: &Chart, area: &Area) {
    axes(maker, canvas, area);
    let most = maker.at(VALUES);
    let points = maker.at([2, 3, 5]);
    let width = maker.at([3.0, 2.0, 2.0]) * maker.within(0.8, 1.2);
    for series in 0..chart.names.len() {
        let spots: Vec<Spot> = (0..points)
            .map(|point| {
                let last = point + 1 == points;
                let value = if last { chart.values[series] } else { 1 + maker.random.below(most) };
                let x = area.left + 4.0 + (area.right - area.left - 6.0) * point as f32 / (points - 1) as f32;
                let tall = area.bottom - area.top - 6.0;
                (x, area.bottom - 4.0 - tall * (value - 1) as f32 / (most - 1) as f32)
            })
            .collect();
        canvas.line(&spots, chart.paints[series], width);
    }
}

fn slices(maker: &mut Maker<'_>, canvas: &mut Canvas, chart: &Chart, area: &Area) {
    let centre = ((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0);
    let radius = (area.right - area.left).min(area.bottom - area.top) / 2.0 - maker.within(0.0, 2.0);
    let total: usize = chart.values.iter().sum();
    let mut angle = maker.random.below(360) as f32;
    for series in maker.shuffled(0..chart.names.len()) {
        let wide = 360.0 * chart.values[series] as f32 / total as f32;
        canvas.slice(centre, radius, angle, angle + wide, chart.paints[series]);
        angle += wide;
    }
    if maker.random.chance(25) {
        let ground = canvas.ground;
        canvas.disc(centre, radius * 0.35, ground);
    }
}

/// Dots of two colours.
fn scatter(maker: &mut Maker<'_>, canvas: &mut Canvas, chart: &Chart, area: &Area) {
    axes(maker, canvas, area);
    let radius = maker.at([3.2, 2.0, 2.4]);
    let mut spots: Vec<Spot> = Vec::new();
    let mut series: Vec<usize> = Vec::new();
    for (one, &value) in chart.values.iter().enumerate() {
        series.extend(std::iter::repeat_n(one, dots(maker, value)));
    }
    for one in maker.shuffled(series) {
        let margin = radius + 2.0;
        let mut spot = (0.0, 0.0);
        // Not upon another, as far as there is room.
        for _ in 0..30 {
            spot = (
                maker.within(area.left + margin, area.right - margin),
                maker.within(area.top + margin, area.bottom - margin),
            );
            let near = |other: &Spot| (other.0 - spot.0).powi(2) + (other.1 - spot.1).powi(2);
            if spots.iter().all(|other| near(other) > (2.1 * radius).powi(2)) {
                break;
            }
        }
        spots.push(spot);
        canvas.disc(spot, radius, chart.paints[one]);
    }
}

/// One line that rises, falls, or stays.
fn trend(maker: &mut Maker<'_>, ground: usize) {
    const WAYS: [&str; 4] = ["rises", "falls", "stays level", "rises and falls"];
    let way = maker.random.below(4);
    let mut canvas = maker.canvas_on(ground);
    let side = maker.side();
    let area = Area { left: 5.0, top: 4.0, right: side - 4.0, bottom: side - 5.0 };
    axes(maker, &mut canvas, &area);
    let tint = maker.random.below(maker.at([4, 6, 8]));
    let paint = maker.paint(tint);
    let points = maker.at([3, 5, 7]);
    let shake = maker.at([0.02, 0.05, 0.08]);
    let (low, high) = (maker.within(0.1, 0.3), maker.within(0.7, 0.9));
    let level = maker.within(0.3, 0.7);
    let spots: Vec<Spot> = (0..points)
        .map(|point| {
            let share = point as f32 / (points - 1) as f32;
            let height = match way {
                0 => low + (high - low) * share,
                1 => high - (high - low) * share,
                2 => level,
                _ => low + (high - low) * (1.0 - (2.0 * share - 1.0).abs()),
            };
            let height = height + maker.within(-shake, shake);
            (
                area.left + 4.0 + (area.right - area.left - 6.0) * share,
                area.bottom - (area.bottom - area.top) * height,
            )
        })
        .collect();
    let width = maker.at([3.0, 2.0, 2.0]) * maker.within(0.8, 1.2);
    canvas.line(&spots, paint, width);
    if maker.random.chance(40) {
        for &spot in &spots {
            canvas.disc(spot, width * 1.2, paint);
        }
    }
    let colour = COLOURS[tint].0;
    maker.show(canvas, format!("A line chart. The line is {colour} and {}.", WAYS[way]));
    maker.ask("trend", &["What does the line do?", "How does the line run?"], &[], &WAYS, way);
    let phrasings = ["What colour is the line?", "Which colour does the line have?"];
    maker.ask("colour", &phrasings, &[], &colours(maker.at([4, 6, 8])), tint);
}
