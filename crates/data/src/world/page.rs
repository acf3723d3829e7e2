//! A page being written: sentences from templates, whose slots are filled with facts of the world.
//!
//! A template is a sentence, or a few. `[this|that]` stands for one of its alternatives, the first the most
//! likely; alternatives may hold slots and further brackets. `{a.home.river}` is filled by following
//! attributes from what is bound to the letter `a`, so a sentence says what the world says. `{an a.trade}`
//! puts the article before it, `{many t}` is its plural, `{word k}` a number in words. The first letter of a
//! sentence is made a capital.

use std::fmt::Write;

use super::grammar;
use super::people::Person;
use super::places::Place;
use super::random::Random;
use super::things::Thing;
use super::words::Trade;
use super::{Genre, World};
use crate::order::permute;

/// What a slot can stand for.
#[derive(Clone, Copy)]
pub(super) enum Value<'w> {
    Person(&'w Person),
    Place(&'w Place),
    Thing(&'w Thing),
    Trade(&'w Trade),
    /// Base and past.
    Verb(&'static str, &'static str),
    Number(u64),
    Text(&'w str),
}

/// A document in the making.
pub(super) struct Page<'w> {
    pub(super) world: &'w World,
    pub(super) random: Random,
    pub(super) text: String,
    scene: [Option<Value<'w>>; 26],
    /// Whether the next letter begins a sentence.
    start: bool,
}

impl<'w> Page<'w> {
    pub(super) fn new(world: &'w World, random: Random) -> Page<'w> {
        Page { world, random, text: String::with_capacity(4096), scene: [None; 26], start: true }
    }

    /// Lets a small letter stand for a value in the templates that follow.
    pub(super) fn bind(&mut self, letter: char, value: Value<'w>) {
        if let Some(slot) = self.scene.get_mut((letter as usize).wrapping_sub('a' as usize)) {
            *slot = Some(value);
        }
    }

    /// Binds a person, by index.
    pub(super) fn person(&mut self, letter: char, id: usize) -> &'w Person {
        let person = &self.world.people[id];
        self.bind(letter, Value::Person(person));
        person
    }

    /// Binds a place, by index.
    pub(super) fn place(&mut self, letter: char, id: usize) -> &'w Place {
        let place = &self.world.places[id];
        self.bind(letter, Value::Place(place));
        place
    }

    /// Binds a thing, by index.
    pub(super) fn thing(&mut self, letter: char, id: usize) -> &'w Thing {
        let thing = &self.world.things[id];
        self.bind(letter, Value::Thing(thing));
        thing
    }

    /// Anybody; some are spoken of more often than others.
    pub(super) fn anybody(&mut self) -> usize {
        let count = self.world.people.len();
        permute(self.random.skewed(count) as u64, count as u64, self.world.seed) as usize
    }

    /// Anybody alive whose first name is none of these people's.
    pub(super) fn living(&mut self, but: &[usize]) -> usize {
        loop {
            let id = self.anybody();
            let people = &self.world.people;
            if people[id].is_alive() && but.iter().all(|&other| people[other].first != people[id].first) {
                return id;
            }
        }
    }

    /// Any place.
    pub(super) fn somewhere(&mut self) -> usize {
        self.random.skewed(self.world.places.len())
    }

    /// Any thing.
    pub(super) fn something(&mut self) -> usize {
        self.random.skewed(self.world.things.len())
    }

    pub(super) fn number(&mut self, letter: char, value: u64) {
        self.bind(letter, Value::Number(value));
    }

    /// Binds a number drawn from `low..=high`.
    pub(super) fn draw(&mut self, letter: char, low: u64, high: u64) -> u64 {
        let value = self.random.between(low, high);
        self.number(letter, value);
        value
    }

    /// Binds an invented month.
    pub(super) fn month(&mut self, letter: char) {
        let world = self.world;
        let which = self.random.below(world.months.len());
        self.text(letter, &world.months[which]);
    }

    pub(super) fn text(&mut self, letter: char, value: &'w str) {
        self.bind(letter, Value::Text(value));
    }

    /// Writes with `a` and `b` standing for each other, if `swap`.
    pub(super) fn swapped(&mut self, swap: bool, write: impl FnOnce(&mut Page<'w>)) {
        if swap {
            self.scene.swap(0, 1);
        }
        write(self);
        if swap {
            self.scene.swap(0, 1);
        }
    }

    /// Writes a sentence behind what is there.
    pub(super) fn say(&mut self, template: &str) {
        if !self.text.is_empty() && !self.text.ends_with(['\n', ' ']) {
            self.text.push(' ');
        }
        self.start = true;
        self.expand(template);
    }

    /// Goes on in the middle of a sentence.
    pub(super) fn inline(&mut self, template: &str) {
        self.start = false;
        self.expand(template);
    }

    /// Says one of these, the first the most likely.
    pub(super) fn choose(&mut self, templates: &[&str]) {
        let which = self.random.skewed(templates.len());
        self.say(templates[which]);
    }

    /// Says one of these, each equally likely.
    pub(super) fn any(&mut self, templates: &[&str]) {
        let which = self.random.below(templates.len());
        self.say(templates[which]);
    }

    /// Says `count` different ones of these, in their order.
    pub(super) fn some(&mut self, count: usize, templates: &[&str]) {
        let mut left = count.min(templates.len());
        for (place, template) in templates.iter().enumerate() {
            if self.random.below(templates.len() - place) < left {
                self.say(template);
                left -= 1;
            }
        }
    }

    /// Ends the paragraph.
    pub(super) fn paragraph(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push_str(if self.text.ends_with('\n') { "\n" } else { "\n\n" });
        }
    }

    /// Says something and ends the line.
    pub(super) fn line(&mut self, template: &str) {
        self.say(template);
        self.text.push('\n');
    }

    /// Writes text as it is: programs, tables, sums.
    pub(super) fn raw(&mut self, text: impl std::fmt::Display) {
        // A string takes whatever is written to it.
        let _ = write!(self.text, "{text}");
    }

    fn expand(&mut self, template: &str) {
        let mut rest = template;
        while let Some(at) = rest.find(['{', '[']) {
            self.literal(&rest[..at]);
            let inside = &rest[at + 1..];
            if rest[at..].starts_with('{') {
                let end = inside.find('}').unwrap_or(inside.len());
                self.slot(&inside[..end]);
                rest = inside.get(end + 1..).unwrap_or("");
            } else {
                let (option, after) = choice(inside, &mut self.random);
                self.expand(option);
                rest = after;
            }
        }
        self.literal(rest);
    }

    /// Appends words of a template, with capitals where sentences and quotations begin.
    fn literal(&mut self, words: &str) {
        for c in words.chars() {
            match c {
                '"' if self.text.is_empty() || self.text.ends_with([' ', '\n']) => self.start = true,
                ' ' if self.text.ends_with(['.', '!', '?']) => self.start = true,
                // After a question in quotation marks the sentence may go on.
                ' ' if self.text.ends_with(".\"") => self.start = true,
                _ => {}
            }
            if self.start && c.is_ascii_alphanumeric() {
                self.start = false;
                self.text.push(c.to_ascii_uppercase());
            } else {
                self.text.push(c);
            }
        }
    }

    fn slot(&mut self, slot: &str) {
        let (how, path) = slot.split_once(' ').unwrap_or(("", slot));
        let Some(value) = self.value(path) else {
            debug_assert!(false, "nothing fills {{{slot}}} after: {}", self.text);
            return;
        };
        let begin = self.text.len();
        match (how, value) {
            ("many", Value::Thing(thing)) => grammar::inflect(&thing.name, &mut self.text),
            ("many", Value::Text(noun)) => grammar::plural(noun, &mut self.text),
            ("word", Value::Number(number)) => grammar::number(number, &mut self.text),
            _ => self.write(value),
        }
        if how == "an" {
            let article = grammar::article(&self.text[begin..]);
            self.text.insert_str(begin, article);
        }
        if self.start {
            self.start = false;
            if let Some(first) = self.text.get_mut(begin..begin + 1) {
                first.make_ascii_uppercase();
            }
        }
    }

    fn write(&mut self, value: Value) {
        match value {
            Value::Person(person) => self.text.push_str(&person.name),
            Value::Place(place) => self.text.push_str(&place.name),
            Value::Thing(thing) => self.text.push_str(&thing.name),
            Value::Trade(trade) => self.text.push_str(trade.name),
            Value::Verb(base, _) => self.text.push_str(base),
            Value::Text(text) => self.text.push_str(text),
            Value::Number(number) => self.raw(number),
        }
    }

    fn value(&self, path: &str) -> Option<Value<'w>> {
        let mut steps = path.split('.');
        let letter = *steps.next()?.as_bytes().first()?;
        let bound = (*self.scene.get(usize::from(letter.wrapping_sub(b'a')))?)?;
        steps.try_fold(bound, |value, key| self.attribute(value, key))
    }

    /// Follows an attribute.
    fn attribute(&self, value: Value<'w>, key: &str) -> Option<Value<'w>> {
        use Value::{Number, Text};
        let world = self.world;
        let person = |id: usize| Value::Person(&world.people[id]);
        let place = |id: usize| Value::Place(&world.places[id]);
        let thing = |id: usize| Value::Thing(&world.things[id]);
        Some(match value {
            Value::Person(one) => match key {
                "first" => Text(&one.first),
                "family" => Text(&one.family),
                "he" => Text(if one.female { "she" } else { "he" }),
                "him" => Text(if one.female { "her" } else { "him" }),
                "his" => Text(if one.female { "her" } else { "his" }),
                "man" => Text(if one.female { "woman" } else { "man" }),
                "son" => Text(if one.female { "daughter" } else { "son" }),
                "brother" => Text(if one.female { "sister" } else { "brother" }),
                "husband" => Text(if one.female { "wife" } else { "husband" }),
                // Verbs in the present of the living and the past of the dead.
                "is" => Text(if one.is_alive() { "is" } else { "was" }),
                "has" => Text(if one.is_alive() { "has" } else { "had" }),
                "lives" => Text(if one.is_alive() { "lives" } else { "lived" }),
                "loves" => Text(if one.is_alive() { "loves" } else { "loved" }),
                "keeps" => Text(if one.is_alive() { "keeps" } else { "kept" }),
                "works" => Text(if one.is_alive() { one.trade.does } else { one.trade.did }),
                "born" => Number(one.born),
                "died" => Number(one.died?),
                "age" => Number(one.died.unwrap_or(world.year) - one.born),
                "birthplace" => place(one.birthplace),
                "home" => place(one.home),
                "trade" => Value::Trade(one.trade),
                "mother" => person(one.mother?),
                "father" => person(one.father?),
                "spouse" => person(one.spouse?),
                "friend" => person(one.friend),
                "rival" => person(one.rival),
                "dish" => thing(one.dish),
                "colour" => Text(one.colour),
                "temper" => Text(one.temper),
                "fear" => Text(one.fear),
                "hobby" => Text(one.hobby),
                "pet" => thing(one.pet),
                "petname" => Text(&one.pet_name),
                _ => return None,
            },
            Value::Place(one) => match key {
                "kind" => Text(one.kind),
                "region" => Text(&one.region),
                "river" => Text(&one.river),
                "founded" => Number(one.founded),
                "founder" => Text(&one.founder),
                "population" => Number(one.population),
                "famous" => thing(one.famous),
                "mayor" => person(one.mayor),
                "inn" => Text(&one.inn),
                "stone" => Text(one.stone),
                "day" => Text(one.market_day),
                "feast" => Text(&one.feast),
                "near" => place(*one.roads.first()?),
                _ => return None,
            },
            Value::Thing(one) => match key {
                "kind" => Text(one.kind),
                "colour" => Text(one.colour),
                "shape" => Text(one.shape),
                "taste" => Text(one.taste),
                "habitat" => Text(one.habitat),
                "season" => Text(one.season),
                "purpose" => Text(one.purpose),
                "origin" => place(one.origin),
                "price" => Number(one.price),
                "companion" => thing(one.companion),
                _ => return None,
            },
            Value::Trade(one) => match key {
                "tool" => Text(one.tool),
                "place" => Text(one.place),
                "did" => Text(one.did),
                "does" => Text(one.does),
                _ => return None,
            },
            Value::Verb(base, past) => match key {
                "past" => Text(past),
                // What lists hold in the third person would hide the pairs; no verb here is irregular in it.
                "does" => Text(world.third_person(base)?),
                _ => return None,
            },
            Number(_) | Text(_) => return None,
        })
    }
}

/// One of the alternatives in front of a closing bracket, and what is behind it.
fn choice<'t>(inside: &'t str, random: &mut Random) -> (&'t str, &'t str) {
    let mut bars = [0; 24];
    let (mut count, mut depth, mut end) = (0, 0, inside.len());
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' if depth > 0 => depth -= 1,
            b']' => {
                end = at;
                break;
            }
            b'|' if depth == 0 && count < bars.len() => {
                bars[count] = at;
                count += 1;
            }
            _ => {}
        }
    }
    let which = random.skewed(count + 1);
    let from = if which == 0 { 0 } else { bars[which - 1] + 1 };
    let to = if which == count { end } else { bars[which] };
    (&inside[from..to], inside.get(end + 1..).unwrap_or(""))
}

impl Genre {
    /// Writes a document of this genre.
    pub(super) fn write(self, page: &mut Page) {
        let writer: fn(&mut Page) = match self {
            Genre::Biography => super::biography::write,
            Genre::Gazetteer => super::gazetteer::write,
            Genre::Herbal => super::herbal::write,
            Genre::Letter => super::letter::write,
            Genre::Travel => super::travel::write,
            Genre::Dialogue => super::dialogue::write,
            Genre::Market => super::market::write,
            Genre::Arithmetic => super::arithmetic::write,
            Genre::Program => super::program::write,
            Genre::Story => super::story::write,
            Genre::Chronicle => super::chronicle::write,
            Genre::Essay => super::essay::write,
        };
        writer(page);
    }
}
