//! Coloured shapes: what they are, how many, how large, and how they lie to each other.
//!
//! Held out are pairs of a shape and a colour.

use super::canvas::{COLOURS, SHAPES, Spot};
use super::maker::{Maker, WHICH, an, capital, colours, held_out, numbers};

/// Colours of a level, and as many shapes.
const KINDS: [usize; 3] = [4, 8, 8];
/// Cells along a side; each holds one object at most.
const GRID: [usize; 3] = [2, 3, 4];
/// Objects of a picture, at most.
const OBJECTS: [usize; 3] = [4, 8, 12];

/// Names of rows and columns where there are two or three.
const ROWS: [&str; 3] = ["top", "middle", "bottom"];
const COLUMNS: [&str; 3] = ["left", "centre", "right"];

const COLOUR: [&str; 3] =
    ["What colour is the {0}?", "Which colour does the {0} have?", "Name the colour of the {0}."];
const SHAPE: [&str; 3] = ["What is the {0}?", "Which shape is the {0}?", "Name the shape of the {0}."];
const COUNT: [&str; 3] = ["How many {0} are there?", "Count the {0}.", "What is the number of {0}?"];

#[derive(Clone, Copy)]
struct Object {
    shape: usize,
    colour: usize,
    /// Radius as a share of the cell.
    size: f32,
    cell: usize,
}

impl Object {
    fn name(self) -> String {
        format!("{} {}", COLOURS[self.colour].0, SHAPES[self.shape])
    }

    /// Row and column.
    fn place(self, grid: usize) -> (usize, usize) {
        (self.cell / grid, self.cell % grid)
    }
}

pub(super) fn make(maker: &mut Maker<'_>) {
    match maker.random.below(6) {
        0..=2 => few(maker),
        3 => crowd(maker),
        4 => nest(maker),
        _ => compare(maker),
    }
}

/// Where a cell lies, in words.
fn whereabouts(cell: usize, grid: usize) -> String {
    let (row, column) = (cell / grid, cell % grid);
    match grid {
        2 => format!("{} {}", ROWS[row * 2], COLUMNS[column * 2]),
        3 if row == 1 && column == 1 => "centre".into(),
        3 => format!("{} {}", ROWS[row], COLUMNS[column]),
        _ => format!("cell in row {}, column {}", row + 1, column + 1),
    }
}

/// A pair that training may see.
fn seen(maker: &mut Maker<'_>) -> (usize, usize) {
    let kinds = maker.at(KINDS);
    loop {
        let (shape, colour) = (maker.random.below(kinds), maker.random.below(kinds));
        if !held_out(shape, colour) {
            return (shape, colour);
        }
    }
}

/// Adds a picture of the objects.
fn draw(maker: &mut Maker<'_>, objects: &[Object]) {
    let grid = maker.at(GRID);
    let cell = maker.side() / grid as f32;
    let mut canvas = maker.canvas();
    for object in objects {
        let (row, column) = object.place(grid);
        let radius = object.size * cell / 2.0;
        let spare = (cell / 2.0 - radius * 1.15).max(0.0);
        let (dx, dy) = (maker.within(-spare, spare), maker.within(-spare, spare));
        let at: Spot = ((column as f32 + 0.5) * cell + dx, (row as f32 + 0.5) * cell + dy);
        let (turn, paint) = (maker.within(-9.0, 9.0), maker.paint(object.colour));
        canvas.shape(object.shape, at, radius, turn, paint);
    }
    let mut told: Vec<&Object> = objects.iter().collect();
    told.sort_by_key(|object| object.cell);
    let one = |object: &&Object| {
        let large = if object.size > 0.7 { "large" } else { "small" };
        capital(&format!("a {large} {} at the {}.", object.name(), whereabouts(object.cell, grid)))
    };
    let told: Vec<String> = told.iter().map(one).collect();
    maker.show(canvas, told.join(" "));
}

/// Different objects: each can be asked about.
fn few(maker: &mut Maker<'_>) {
    let (grid, kinds) = (maker.at(GRID), maker.at(KINDS));
    let (shape, colour) = maker.pair(kinds, kinds);
    let count = 1 + maker.random.below(maker.at(OBJECTS));
    let cells = maker.shuffled(0..grid * grid);
    let mut objects = vec![Object { shape, colour, size: maker.within(0.76, 0.84), cell: cells[0] }];
    while objects.len() < count {
        let (shape, colour) = seen(maker);
        if shape != objects[0].shape && colour != objects[0].colour {
            let size = maker.within(0.46, 0.6);
            objects.push(Object { shape, colour, size, cell: cells[objects.len()] });
        }
    }
    draw(maker, &objects);
    let (names, palette) = (&SHAPES[..kinds], colours(kinds));
    // Which is meant is said by its place, or by its size where there are many places.
    let mut meant = vec![];
    if grid < 4 {
        meant.push(format!("thing at the {}", whereabouts(objects[0].cell, grid)));
    }
    if count > 1 {
        meant.push("largest thing".into());
    }
    for meant in &meant {
        maker.ask("colour", &COLOUR, &[meant], &palette, colour);
        maker.ask("shape", &SHAPE, &[meant], names, shape);
    }
    if !maker.unseen {
        maker.ask("colour", &COLOUR, &[SHAPES[shape]], &allowed(&palette, shape), rank(colour, shape));
        let thing = format!("{} thing", palette[colour]);
        maker.ask("shape", &SHAPE, &[&thing], &allowed(names, colour), rank(shape, colour));
    }
    maker.ask("count", &COUNT, &["shapes"], &numbers(1, maker.at(OBJECTS), 1), count - 1);
    // The second one, if nothing else looks like it.
    let Some(&other) = objects.get(1) else { return };
    if objects[2..].iter().any(|third| third.name() == other.name()) {
        return;
    }
    let (one, two) = (objects[0].place(grid), other.place(grid));
    let words = [objects[0].name(), other.name()];
    let words = [words[0].as_str(), words[1].as_str()];
    if one.1 != two.1 {
        let phrasings = [
            "Is the {0} to the left or to the right of the {1}?",
            "On which side of the {1} is the {0}, left or right?",
        ];
        maker.ask("side", &phrasings, &words, &["left", "right"], usize::from(one.1 > two.1));
    }
    if one.0 != two.0 {
        let phrasings =
            ["Is the {0} above or below the {1}?", "Where is the {0}, above the {1} or below it?"];
        maker.ask("side", &phrasings, &words, &["above", "below"], usize::from(one.0 > two.0));
    }
}

/// What may stand with `other`.
fn allowed<'a>(list: &[&'a str], other: usize) -> Vec<&'a str> {
    (0..list.len()).filter(|&one| !held_out(one, other)).map(|one| list[one]).collect()
}

/// Place of `one` among those that may stand with `other`.
fn rank(one: usize, other: usize) -> usize {
    (0..one).filter(|&before| !held_out(before, other)).count()
}

/// Many objects, of which those of a colour or shape are to be counted.
fn crowd(maker: &mut Maker<'_>) {
    let (grid, kinds, most) = (maker.at(GRID), maker.at(KINDS), maker.at(OBJECTS));
    let by_colour = maker.random.chance(50);
    let lead = maker.pair(kinds, kinds);
    let count = 1 + maker.random.below(most);
    let rest = maker.random.below(grid * grid - count + 1);
    let cells = maker.shuffled(0..grid * grid);
    let mut objects: Vec<Object> = Vec::new();
    while objects.len() < count + rest {
        let (shape, colour) = if objects.is_empty() { lead } else { seen(maker) };
        let same = if by_colour { colour == lead.1 } else { shape == lead.0 };
        if same == (objects.len() < count) {
            let size = maker.within(0.6, 0.84);
            objects.push(Object { shape, colour, size, cell: cells[objects.len()] });
        }
    }
    draw(maker, &objects);
    let what = if by_colour {
        format!("{} shapes", COLOURS[lead.1].0)
    } else {
        format!("{}{}", SHAPES[lead.0], if lead.0 == 4 { "es" } else { "s" })
    };
    maker.ask("count", &COUNT, &[&what], &numbers(1, most, 1), count - 1);
}

/// A shape inside of a frame, and others outside of it.
fn nest(maker: &mut Maker<'_>) {
    let (kinds, side) = (maker.at(KINDS), maker.side());
    let (shape, colour) = maker.pair(kinds, kinds);
    let outside = loop {
        let (other, paint) = seen(maker);
        if other != shape && paint != colour {
            break (other, paint);
        }
    };
    let mut canvas = maker.canvas();
    let large = maker.at([0.31, 0.24, 0.2]) * side;
    let small = maker.at([0.14, 0.1, 0.09]) * side;
    // The frame lies in one half of the picture, what is outside in the other.
    let flip = |left: f32, mirrored: bool| if mirrored { side - left } else { left };
    let (across, down) = (maker.random.chance(50), maker.random.chance(50));
    let centre = (flip(large + 4.0, across), flip(large + maker.within(3.0, 6.0), down));
    let square = maker.random.chance(50);
    let (ink, line) = (canvas.ink, maker.within(1.5, 2.5));
    if square {
        canvas.frame((centre.0 - large, centre.1 - large), 2.0 * large, 2.0 * large, ink, line);
    } else {
        canvas.circle(centre, large, ink, line);
    }
    let paint = maker.paint(colour);
    canvas.shape(shape, centre, small * maker.within(0.9, 1.1), maker.within(-9.0, 9.0), paint);
    let beside =
        (flip(side - small * 1.2 - 2.0, across), flip(side - small * 1.2 - maker.within(1.0, 4.0), down));
    let paint = maker.paint(outside.1);
    canvas.shape(outside.0, beside, small * maker.within(0.9, 1.1), maker.within(-9.0, 9.0), paint);
    let frame = if square { "square frame" } else { "round frame" };
    let (inner, outer) = (
        an(&format!("{} {}", COLOURS[colour].0, SHAPES[shape])),
        an(&format!("{} {}", COLOURS[outside.1].0, SHAPES[outside.0])),
    );
    maker.show(
        canvas,
        format!(
            "Inside of a {frame} is {inner}. Outside of it is {outer}. There are two shapes and a frame."
        ),
    );
    let phrasings = ["Which shape is inside of the frame?", "What does the frame surround?"];
    maker.ask("inside", &phrasings, &[], &SHAPES[..kinds], shape);
    let phrasings =
        ["What colour is the shape inside of the frame?", "Name the colour of what the frame surrounds."];
    maker.ask("inside", &phrasings, &[], &colours(kinds), colour);
    let phrasings = ["Is the frame square or round?", "Which is the frame, round or square?"];
    maker.ask("frame", &phrasings, &[], &["square", "round"], usize::from(!square));
}

/// Two pictures, of which one has more.
fn compare(maker: &mut Maker<'_>) {
    let (grid, kinds, most) = (maker.at(GRID), maker.at(KINDS), maker.at(OBJECTS));
    let right = maker.random.below(2);
    let gap = maker.at([2, 2, 1]);
    let few = 1 + maker.random.below(most - gap);
    let many = few + gap + maker.random.below(most - few - gap + 1);
    let counts = if right == 0 { [many, few] } else { [few, many] };
    let shown = maker.random.below(2);
    let mut objects = Vec::new();
    for (picture, count) in counts.into_iter().enumerate() {
        let cells = maker.shuffled(0..grid * grid);
        objects.clear();
        for &cell in cells.iter().take(count) {
            let first = picture == shown && objects.is_empty();
            let (shape, colour) = if first { maker.pair(kinds, kinds) } else { seen(maker) };
            objects.push(Object { shape, colour, size: maker.within(0.56, 0.84), cell });
        }
        draw(maker, &objects);
    }
    let phrasings = [
        "Which picture has more shapes, the first or the second?",
        "Are there more shapes in the first or in the second picture?",
    ];
    maker.ask("more", &phrasings, &[], &WHICH, right);
}
