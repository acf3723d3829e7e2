//! Towns and villages, where they lie, and the roads between them.

use super::names::Names;
use super::random::Random;

/// Settlements of a world.
const COUNT: usize = 160;
const REGIONS: usize = 8;
const RIVERS: usize = 48;
/// Miles from one edge of the map to the other.
const WIDTH: u64 = 420;
/// Two settlements are at least this far apart.
const APART: u64 = 9;
/// Each settlement has a road to so many of the nearest.
const ROADS: usize = 3;

const KINDS: &[&str] = &["town", "village", "city", "port", "hamlet", "market town", "hill village"];
pub(super) const DAYS: &[&str] = &["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const SIGNS: &[&str] = &[
    "Goose", "Bell", "Lantern", "Stag", "Anchor", "Kettle", "Raven", "Plough", "Crown", "Trout", "Barrel",
    "Moon", "Badger", "Wheel", "Swan", "Oak",
];
const SIGN_COLOURS: &[&str] = &[
    "Red", "Old", "Golden", "Black", "White", "Silver", "Blue", "Sleepy", "Green", "Merry", "Crooked",
    "Copper",
];
const STONES: &[&str] = &["granite", "limestone", "sandstone", "brick", "oak", "slate", "marble", "flint"];

/// A settlement. Indices point into the lists of the [`super::World`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its index; the lower, the more often documents speak of it.
    pub id: usize,
    /// Unique name.
    pub name: String,
    /// `town`, `village`, `port`, …
    pub kind: &'static str,
    /// Name of the region it lies in.
    pub region: String,
    /// Name of the river it lies on.
    pub river: String,
    /// Miles from the western edge of the map.
    pub x: u64,
    /// Miles from the southern edge of the map.
    pub y: u64,
    /// Year of the founding.
    pub founded: u64,
    /// Who founded it.
    pub founder: String,
    /// Inhabitants.
    pub population: u64,
    /// The thing it is famous for.
    pub famous: usize,
    /// Who leads the council, a living person.
    pub mayor: usize,
    /// Name of the inn, without article: `Red Goose`.
    pub inn: String,
    /// What the houses are built of.
    pub stone: &'static str,
    /// Day of the week of the market.
    pub market_day: &'static str,
    /// Month of the feast, an invented name.
    pub feast: String,
    /// Places at the other ends of its roads, the nearest first.
    pub roads: Vec<usize>,
}

/// Settlements without the facts that need people and things.
pub(super) fn make(seed: u64, names: &mut Names, year: u64, months: &[String]) -> Vec<Place> {
    let random = &mut Random::new(seed, 2, 0);
    let regions: Vec<(String, u64, u64)> = names
        .plain(REGIONS)
        .into_iter()
        .map(|name| (name, random.between(0, WIDTH), random.between(0, WIDTH)))
        .collect();
    let rivers = names.rivers(RIVERS);
    let founders = names.plain(COUNT);
    let mut places: Vec<Place> = Vec::new();
    for (id, (name, founder)) in names.places(COUNT).into_iter().zip(founders).enumerate() {
        let (x, y) = loop {
            let (x, y) = (random.between(0, WIDTH), random.between(0, WIDTH));
            if places.iter().all(|other| square(other, x, y) >= APART * APART) {
                break (x, y);
            }
        };
        let near = |&(_, a, b): &(String, u64, u64)| a.abs_diff(x).pow(2) + b.abs_diff(y).pow(2);
        let region = (0..REGIONS).min_by_key(|&region| near(&regions[region])).unwrap_or(0);
        let kind = KINDS[random.skewed(KINDS.len())];
        let population = match kind {
            "city" => random.between(90, 400) * 100,
            "town" | "port" | "market town" => random.between(10, 90) * 100,
            _ => random.between(30, 900),
        };
        places.push(Place {
            id,
            name,
            kind,
            region: regions[region].0.clone(),
            // The rivers of a region are dealt out to it alone.
            river: rivers[region + REGIONS * random.below(RIVERS / REGIONS)].clone(),
            x,
            y,
            founded: random.between(20, year - 130),
            founder,
            population,
            famous: 0,
            mayor: 0,
            inn: format!("{} {}", random.pick(SIGN_COLOURS), random.pick(SIGNS)),
            stone: STONES[random.skewed(STONES.len())],
            market_day: random.pick(DAYS),
            feast: months[random.below(months.len())].clone(),
            roads: Vec::new(),
        });
    }
    for id in 0..places.len() {
        let mut others: Vec<usize> = (0..places.len()).filter(|&other| other != id).collect();
        others.sort_by_key(|&other| (distance(&places[id], &places[other]), other));
        others.truncate(ROADS);
        for other in others {
            for (from, to) in [(id, other), (other, id)] {
                if !places[from].roads.contains(&to) {
                    places[from].roads.push(to);
                }
            }
        }
    }
    for id in 0..places.len() {
        let mut roads = std::mem::take(&mut places[id].roads);
        roads.sort_by_key(|&other| (distance(&places[id], &places[other]), other));
        places[id].roads = roads;
    }
    places
}

fn square(place: &Place, x: u64, y: u64) -> u64 {
    place.x.abs_diff(x).pow(2) + place.y.abs_diff(y).pow(2)
}

/// Miles in a straight line, rounded to the nearest.
pub(super) fn distance(from: &Place, to: &Place) -> u64 {
    // Half a mile more than the root of the square, in half miles.
    (4 * square(from, to.x, to.y)).isqrt().div_ceil(2)
}

/// The eighth of the compass in which `to` lies, seen from `from`.
pub(super) fn direction(from: &Place, to: &Place) -> &'static str {
    let (east, north) = (to.x as i64 - from.x as i64, to.y as i64 - from.y as i64);
    // Below the tangent of an eighth of a right angle a side no longer counts.
    let flat = |side: i64, other: i64| side.abs() * 1000 < other.abs() * 414;
    match (flat(east, north), flat(north, east), east > 0, north > 0) {
        (true, _, _, true) => "north",
        (true, _, _, false) => "south",
        (_, true, true, _) => "east",
        (_, true, false, _) => "west",
        (_, _, true, true) => "north-east",
        (_, _, false, true) => "north-west",
        (_, _, true, false) => "south-east",
        (_, _, false, false) => "south-west",
    }
}
