//! Questions whose answers must have been read in other sentences, or stand in the prompt.

use super::super::people::Person;
use super::{Cell, Quiz};

/// What is asked about, and the letter that stands for it.
#[derive(Clone, Copy)]
enum About {
    People(fn(&Person) -> bool),
    Places,
    Things,
}

/// A family of questions about facts.
struct Fact {
    family: &'static str,
    about: About,
    /// Whether what is seldom spoken of is a level of its own.
    levels: bool,
    choices: usize,
    prompt: &'static str,
    answer: &'static str,
}

const ANYBODY: About = About::People(|_| true);

const FACTS: &[Fact] = &[
    Fact {
        family: "pronoun",
        about: ANYBODY,
        levels: false,
        choices: 2,
        prompt: "{a} was born in {a.birthplace} in {a.born}.",
        answer: " {a.he} ",
    },
    Fact {
        family: "kin",
        about: About::People(|one| one.mother.is_some()),
        levels: false,
        choices: 4,
        prompt: "{a} was born in {a.birthplace} in {a.born}. {a.he} {a.is} the {a.son} of {a.mother} and {a.father.first}",
        answer: " {a.family}.",
    },
    Fact {
        family: "age",
        about: About::People(|one| !one.is_alive()),
        levels: false,
        choices: 4,
        prompt: "{a} was born in {a.birthplace} in {a.born}. {a.he} died in {a.died}, at the age of",
        answer: " {a.age}.",
    },
    Fact {
        family: "kind",
        about: About::Things,
        levels: true,
        choices: 4,
        prompt: "The {t} is {an t.shape}, {t.colour}",
        answer: " {t.kind}.",
    },
    Fact {
        family: "region",
        about: About::Places,
        levels: true,
        choices: 4,
        prompt: "{p} is {an p.kind} in",
        answer: " {p.region}.",
    },
    Fact {
        family: "birthplace",
        about: ANYBODY,
        levels: true,
        choices: 4,
        prompt: "{a} was born in the year {a.born} in",
        answer: " {a.birthplace},",
    },
    Fact {
        family: "trade",
        about: ANYBODY,
        levels: true,
        choices: 4,
        prompt: "Born in {a.birthplace} in {a.born}, {a} {a.is}",
        answer: " {an a.trade}.",
    },
    Fact {
        family: "origin",
        about: About::Things,
        levels: true,
        choices: 4,
        prompt: "Of all {many t}, those from",
        answer: " {t.origin} are",
    },
];

/// Ends of the levels in the order in which people, places and things are spoken of: each level is spoken of
/// about as much as all that come after it.
const ENDS: [usize; 3] = [63, 255, usize::MAX];

pub(super) fn cells(quiz: &mut Quiz<'_>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = FACTS.iter().flat_map(|fact| ask(quiz, fact)).collect();
    cells.extend(distances(quiz));
    cells
}

/// The cells of a family.
fn ask(quiz: &mut Quiz<'_>, fact: &Fact) -> Vec<Cell> {
    let world = quiz.world;
    let ids: Vec<usize> = match fact.about {
        About::People(_) => quiz.people(),
        About::Places => (0..world.places.len()).collect(),
        About::Things => (0..world.things.len()).collect(),
    };
    let ends = if fact.levels { &ENDS[..] } else { &ENDS[2..] };
    let mut begin = 0;
    let mut cells = Vec::new();
    for (level, &end) in (1..).zip(ends) {
        let end = end.min(ids.len());
        let mut items = Vec::new();
        for &id in &ids[begin.min(end)..end] {
            let asked = match fact.about {
                About::People(fits) => fits(&world.people[id]),
                About::Places | About::Things => true,
            };
            if asked {
                let bind = |page: &mut super::Page<'_>| match fact.about {
                    About::People(_) => drop(page.person('a', id)),
                    About::Places => drop(page.place('p', id)),
                    About::Things => drop(page.thing('t', id)),
                };
                items.push(quiz.item(bind, fact.prompt, fact.answer));
            }
        }
        begin = end;
        cells.push(Cell { choices: fact.choices, ..Cell::new(fact.family, level, items) });
    }
    cells
}

/// Miles between neighbours, and between any places that are often spoken of.
fn distances(quiz: &mut Quiz<'_>) -> Vec<Cell> {
    let world = quiz.world;
    let often = ENDS[0].min(world.places.len());
    let near = (0..often).filter_map(|id| Some((id, *world.places[id].roads.first()?))).collect();
    let far = (0..often).map(|id| (id, (id + 1 + quiz.random.below(often - 1)) % often)).collect();
    let mut cells = Vec::new();
    for (level, pairs) in (1..).zip([near, far] as [Vec<(usize, usize)>; 2]) {
        let mut items = Vec::new();
        for (from, to) in pairs {
            let bind = |page: &mut super::Page<'_>| {
                page.place('p', from);
                page.place('r', to);
                page.number('k', world.distance(from, to));
            };
            items.push(quiz.item(bind, "From {p} to {r} the distance is", " {k} miles."));
        }
        cells.push(Cell::new("distance", level, items));
    }
    cells
}
