//! People of three generations, their kin, trades and tastes.

use std::collections::HashSet;

use super::names::Names;
use super::places::Place;
use super::random::Random;
use super::things::Thing;
use super::words::{COLOURS, FEARS, HOBBIES, TRADES, Trade};

/// Couples of the first generation.
const COUPLES: usize = 80;
const FAMILIES: usize = 140;
const FIRST_NAMES: usize = 150;

/// Characters; stories let people act by them.
pub(super) const TEMPERS: &[&str] = &[
    "brave", "timid", "patient", "hasty", "greedy", "generous", "honest", "sly", "merry", "gloomy",
    "curious", "stubborn",
];

/// A person. Indices point into the lists of the [`super::World`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The index.
    pub id: usize,
    /// First name; its ending tells a woman's from a man's.
    pub first: String,
    /// Family name; children have their father's, a wife keeps her own.
    pub family: String,
    /// First and family name, unique.
    pub name: String,
    /// A woman rather than a man.
    pub female: bool,
    /// Year of birth.
    pub born: u64,
    /// Year of death.
    pub died: Option<u64>,
    /// Where they were born.
    pub birthplace: usize,
    /// Where they live, or lived last.
    pub home: usize,
    /// Their work.
    pub trade: &'static Trade,
    /// Mother, where known.
    pub mother: Option<usize>,
    /// Father, where known.
    pub father: Option<usize>,
    /// Husband or wife.
    pub spouse: Option<usize>,
    /// Children, the eldest first.
    pub children: Vec<usize>,
    /// The best friend, alive.
    pub friend: usize,
    /// The rival, alive.
    pub rival: usize,
    /// The favourite food.
    pub dish: usize,
    /// The favourite colour.
    pub colour: &'static str,
    /// The character: one word, by which they act in stories.
    pub temper: &'static str,
    /// What they are afraid of.
    pub fear: &'static str,
    /// What they do in their free time.
    pub hobby: &'static str,
    /// The animal that they keep: a thing that is a beast or bird.
    pub pet: usize,
    /// What they call it.
    pub pet_name: String,
}

impl Person {
    /// Whether they live in the world's year.
    pub fn is_alive(&self) -> bool {
        self.died.is_none()
    }
}

/// Makes people while it keeps the lists that it draws from.
struct Maker<'a> {
    random: Random,
    year: u64,
    places: &'a [Place],
    first: [Vec<String>; 2],
    families: Vec<String>,
    pet_names: Vec<String>,
    dishes: Vec<usize>,
    pets: Vec<usize>,
    taken: HashSet<String>,
    people: Vec<Person>,
}

pub(super) fn make(
    seed: u64,
    names: &mut Names,
    year: u64,
    places: &[Place],
    things: &[Thing],
) -> Vec<Person> {
    let which = |keep: &dyn Fn(&Thing) -> bool| {
        things.iter().filter(|thing| keep(thing)).map(|thing| thing.id).collect::<Vec<_>>()
    };
    let mut maker = Maker {
        random: Random::new(seed, 4, 0),
        year,
        places,
        first: names.first(FIRST_NAMES),
        families: names.families(FAMILIES),
        pet_names: names.plain(60),
        dishes: which(&|thing| thing.is_food()),
        pets: which(&|thing| matches!(thing.kind, "beast" | "bird")),
        taken: HashSet::new(),
        people: Vec::new(),
    };
    let mut parents = Vec::new();
    for _ in 0..COUPLES {
        let home = maker.random.skewed(places.len());
        let born = year - maker.random.between(74, 92);
        let wife = maker.person(true, born, home, None);
        let earlier = maker.random.between(0, 9);
        let husband = maker.person(false, born - earlier, home, None);
        maker.marry(wife, husband);
        parents.push((wife, husband));
    }
    let children = maker.generation(&parents);
    let couples = maker.couples(&children);
    maker.generation(&couples);
    maker.acquaint();
    maker.people
}

impl Maker<'_> {
    fn person(
        &mut self,
        female: bool,
        born: u64,
        birthplace: usize,
        parents: Option<(usize, usize)>,
    ) -> usize {
        let id = self.people.len();
        let (first, family, name) = loop {
            let first = self.first[usize::from(!female)][self.random.skewed(FIRST_NAMES)].clone();
            let family = match parents {
                Some((_, father)) => self.people[father].family.clone(),
                None => self.families[self.random.below(FAMILIES)].clone(),
            };
            let name = format!("{first} {family}");
            if self.taken.insert(name.clone()) {
                break (first, family, name);
            }
        };
        let random = &mut self.random;
        let roads = &self.places[birthplace].roads;
        let home = if random.chance(60) { birthplace } else { roads[random.below(roads.len())] };
        let mut trade = &TRADES[random.skewed(TRADES.len())];
        if let Some((mother, father)) = parents {
            match random.below(4) {
                0 => trade = self.people[mother].trade,
                1 => trade = self.people[father].trade,
                _ => {}
            }
        }
        let age = self.year - born;
        let died = (age > 70 && random.chance(65)).then(|| born + random.between(51, age - 1));
        self.people.push(Person {
            id,
            first,
            family,
            name,
            female,
            born,
            died,
            birthplace,
            home,
            trade,
            mother: parents.map(|(mother, _)| mother),
            father: parents.map(|(_, father)| father),
            spouse: None,
            children: Vec::new(),
            friend: 0,
            rival: 0,
            dish: self.dishes[random.skewed(self.dishes.len())],
            colour: COLOURS[random.skewed(COLOURS.len())],
            temper: random.pick(TEMPERS),
            fear: FEARS[random.skewed(FEARS.len())],
            hobby: HOBBIES[random.skewed(HOBBIES.len())],
            pet: self.pets[random.skewed(self.pets.len())],
            pet_name: self.pet_names[random.skewed(self.pet_names.len())].clone(),
        });
        id
    }

    /// A couple lives in the wife's home.
    fn marry(&mut self, wife: usize, husband: usize) {
        self.people[wife].spouse = Some(husband);
        self.people[husband].spouse = Some(wife);
        self.people[husband].home = self.people[wife].home;
    }

    fn generation(&mut self, parents: &[(usize, usize)]) -> Vec<usize> {
        let mut all = Vec::new();
        for &(mother, father) in parents {
            let mut born = self.people[mother].born + self.random.between(20, 25);
            for _ in 0..self.random.between(1, 5) {
                // Nobody in these pages is younger than sixteen, or a mother beyond forty.
                if born + 16 > self.year || born > self.people[mother].born + 40 {
                    break;
                }
                let female = self.random.chance(50);
                let child = self.person(female, born, self.people[mother].home, Some((mother, father)));
                self.people[mother].children.push(child);
                self.people[father].children.push(child);
                all.push(child);
                born += self.random.between(1, 4);
            }
        }
        all
    }

    /// Marries most of a generation: each woman to the first man of another family who is free.
    fn couples(&mut self, among: &[usize]) -> Vec<(usize, usize)> {
        let mut couples = Vec::new();
        for &wife in among.iter().filter(|&&id| self.people[id].female).collect::<Vec<_>>() {
            if self.random.chance(20) {
                continue;
            }
            let free = |&&id: &&usize| {
                let (man, woman) = (&self.people[id], &self.people[wife]);
                let of_age = (woman.born - 10..=woman.born + 2).contains(&man.born);
                !man.female && man.spouse.is_none() && man.mother != woman.mother && of_age
            };
            if let Some(&husband) = among.iter().find(free) {
                self.marry(wife, husband);
                couples.push((wife, husband));
            }
        }
        couples
    }

    fn acquaint(&mut self) {
        let alive: Vec<usize> = self.people.iter().filter(|one| one.is_alive()).map(|one| one.id).collect();
        for id in 0..self.people.len() {
            let friend = self.other(&alive, &[id]);
            self.people[id].friend = friend;
            self.people[id].rival = self.other(&alive, &[id, friend]);
        }
    }

    /// Somebody alive whose first name is none of these.
    fn other(&mut self, alive: &[usize], than: &[usize]) -> usize {
        loop {
            let one = alive[self.random.skewed(alive.len())];
            if than.iter().all(|&id| self.people[id].first != self.people[one].first) {
                return one;
            }
        }
    }
}
