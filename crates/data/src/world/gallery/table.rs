//! Tables of numbers, with names for rows and columns.
//!
//! Held out are pairs of a number and a cell: a number is never seen there, but elsewhere.

use super::canvas::Align;
use super::maker::{Maker, capital, held_out, numbers};

const ROWS: [usize; 3] = [2, 3, 5];
const COLUMNS: [usize; 3] = [2, 2, 3];
/// Numbers are 1 to this.
const NUMBERS: [usize; 3] = [4, 12, 96];
/// Names that rows are drawn from.
const NAMES: [usize; 3] = [4, 8, 16];

const HEADS: [&str; 4] = ["cost", "size", "days", "sold"];

pub(super) fn make(maker: &mut Maker<'_>) {
    let (rows, columns, most) = (maker.at(ROWS), maker.at(COLUMNS), maker.at(NUMBERS));
    let pool: Vec<&str> =
        if maker.level == 1 { vec!["A", "B", "C", "D"] } else { maker.words(maker.at(NAMES)) };
    let all_heads = if maker.level == 1 { ["X", "Y", "Z", "W"] } else { HEADS };
    let names = maker.shuffled(0..pool.len());
    let heads: Vec<&str> = maker.shuffled(all_heads).into_iter().take(columns).collect();
    let row = |row: usize| pool[names[row]];
    // The cell that is asked about, and the column in which numbers are compared.
    let (number, cell) = maker.pair(most, rows * columns);
    let compared = maker.random.below(columns);
    let largest = maker.random.below(rows);
    let values: Vec<usize> = loop {
        let fill = |maker: &mut Maker<'_>, place: usize| loop {
            let value = maker.random.below(most);
            if !held_out(value, place) {
                return value;
            }
        };
        let mut values: Vec<usize> = (0..rows * columns).map(|place| fill(maker, place)).collect();
        values[cell] = number;
        let column = |row: usize| values[row * columns + compared];
        if (0..rows).all(|row| row == largest || column(row) < column(largest)) {
            break values;
        }
        // What is asked about the cell must not depend on the comparison.
        if cell % columns == compared {
            break values;
        }
    };
    draw(maker, &values, &heads, &(0..rows).map(row).collect::<Vec<_>>());
    let (at, head) = (row(cell / columns), heads[cell % columns]);
    let phrasings = if maker.level == 1 {
        [
            "Which number stands in row {0}, column {1}?",
            "What is in row {0} and column {1}?",
            "Row {0}, column {1}: which number?",
        ]
    } else {
        ["What is the {1} of {0}?", "Which {1} does {0} have?", "Look up the {1} of {0}."]
    };
    maker.ask("cell", &phrasings, &[at, head], &numbers(1, most, 1), number);
    if cell % columns != compared {
        let phrasings = if maker.level == 1 {
            ["Which row has the largest number in column {0}?", "In column {0}, which row has most?"]
        } else {
            ["Which has the largest {0}?", "In the column {0}, which has most?"]
        };
        maker.ask("largest", &phrasings, &[heads[compared]], &pool, names[largest]);
    }
    let phrasings =
        ["What is the name of the first column?", "What stands above the first column of numbers?"];
    let first = all_heads.iter().position(|head| *head == heads[0]).unwrap_or(0);
    maker.ask("head", &phrasings, &[], &all_heads, first);
    let same =
        values.iter().enumerate().filter(|&(at, &value)| at % columns == cell % columns && value == number);
    if same.count() == 1 && maker.level > 1 {
        let phrasings = ["Which has a {0} of {1}?", "Whose {0} is {1}?"];
        maker.ask("row", &phrasings, &[head, &(number + 1).to_string()], &pool, names[cell / columns]);
    }
}

fn draw(maker: &mut Maker<'_>, values: &[usize], heads: &[&str], names: &[&str]) {
    let (rows, columns, side) = (names.len(), heads.len(), maker.side());
    let (mut canvas, hand) = (maker.canvas(), maker.hand());
    let ink = canvas.ink;
    let label = maker.at([18.0, 26.0, 38.0]);
    let high = (side - 4.0) / (rows + 1) as f32;
    let high = high.min(hand.height * maker.within(1.6, 2.2));
    let wide = (side - 4.0 - label) / columns as f32;
    let top = maker.within(2.0, side - 2.0 - high * (rows + 1) as f32);
    // Names stand on the left or on the right.
    let mirrored = maker.random.chance(30);
    let (names_at, numbers_at) = if mirrored { (side - 2.0 - label, 2.0) } else { (2.0, 2.0 + label) };
    let middle = |line: usize| top + high * (line as f32 + 0.5);
    let paint = maker.random.below(8);
    let shade = maker.paint(paint);
    if maker.random.chance(30) {
        canvas.rect((2.0, top + high - 1.0), side - 4.0, 2.0, shade);
    }
    for (column, head) in heads.iter().enumerate() {
        let x = numbers_at + wide * (column as f32 + 0.5);
        canvas.write(&hand.within(wide - 2.0), head, (x, middle(0)), Align::Middle, ink);
        for row in 0..rows {
            let number = (values[row * columns + column] + 1).to_string();
            canvas.write(&hand.within(wide - 2.0), &number, (x, middle(row + 1)), Align::Middle, ink);
        }
    }
    for (row, name) in names.iter().enumerate() {
        let at = (names_at + label / 2.0, middle(row + 1));
        canvas.write(&hand.within(label - 3.0), name, at, Align::Middle, ink);
    }
    let line = maker.within(0.7, 1.2);
    let bottom = top + high * (rows + 1) as f32;
    if maker.random.chance(50) {
        canvas.frame((1.5, top), side - 3.0, bottom - top, ink, line);
        for row in 1..=rows {
            let y = top + high * row as f32;
            canvas.line(&[(1.5, y), (side - 1.5, y)], ink, line * 0.7);
        }
        let x = if mirrored { names_at } else { numbers_at };
        canvas.line(&[(x, top), (x, bottom)], ink, line);
    } else {
        canvas.line(&[(1.5, top + high), (side - 1.5, top + high)], ink, line);
    }
    let mut told = vec![format!("A table with the columns {}.", heads.join(", "))];
    for (row, name) in names.iter().enumerate() {
        let of = |column: usize| format!("{} {}", heads[column], values[row * columns + column] + 1);
        let cells: Vec<String> = maker.shuffled(0..columns).into_iter().map(of).collect();
        told.push(format!("{}: {}.", capital(name), cells.join(", ")));
    }
    maker.show_all(canvas, told);
}
