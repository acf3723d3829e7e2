//! What happened in the towns, year by year.

use super::people::Person;
use super::places::Place;
use super::random::Random;
use super::things::Thing;
use super::words::BUILDINGS;

/// Something that happened. Indices point into the lists of the [`super::World`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub year: u64,
    /// Where.
    pub place: usize,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The river flooded a building.
    Flood(&'static str),
    /// A building burned.
    Fire(&'static str),
    /// A building was built.
    Built(&'static str),
    /// A quarrel with another place over a thing.
    Quarrel(usize, usize),
    /// So many barrels of a thing were harvested.
    Harvest(usize, u64),
    /// A hard winter, so many weeks long.
    Winter(u64),
    /// A road to another place was paved.
    Road(usize),
    /// A person was born here, who is in the list of people.
    Birth(usize),
}

/// Events in order of year.
pub(super) fn make(
    seed: u64,
    year: u64,
    places: &[Place],
    people: &[Person],
    things: &[Thing],
) -> Vec<Event> {
    let random = &mut Random::new(seed, 5, 0);
    let mut events = Vec::new();
    for place in places {
        for _ in 0..random.between(6, 12) {
            let building = BUILDINGS[random.skewed(BUILDINGS.len())];
            let kind = match random.below(7) {
                0 => EventKind::Flood(building),
                1 => EventKind::Fire(building),
                2 => EventKind::Built(building),
                3 => EventKind::Quarrel(
                    place.roads[random.below(place.roads.len())],
                    random.skewed(things.len()),
                ),
                4 => EventKind::Harvest(random.skewed(things.len()), random.between(3, 90) * 10),
                5 => EventKind::Winter(random.between(9, 24)),
                _ => EventKind::Road(place.roads[random.below(place.roads.len())]),
            };
            let year = random.between(place.founded + 5, year - 1);
            events.push(Event { year, place: place.id, kind });
        }
    }
    events.extend(people.iter().map(|person| Event {
        year: person.born,
        place: person.birthplace,
        kind: EventKind::Birth(person.id),
    }));
    events.sort_by_key(|event| (event.year, event.place));
    events
}
