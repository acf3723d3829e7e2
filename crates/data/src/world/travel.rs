//! A journey along the roads, from place to place, with its miles added up.

use super::page::Page;

pub(super) fn write(page: &mut Page) {
    let world = page.world;
    let traveller = page.living(&[]);
    let one = page.person('a', traveller);
    let mut here = if page.random.chance(50) { one.home } else { page.somewhere() };
    let start = here;
    page.place('p', start);
    page.draw('k', 1, 30);
    page.month('x');
    page.text('g', &world.coin);
    page.choose(&[
        "A journey from {p}",
        "{a.first}'s travels",
        "Travels of {an a.trade}",
        "From {p}, in the month of {x}",
        "What {a} saw on the road",
    ]);
    page.paragraph();
    page.choose(&[
        "On the {k} of {x} {a}, {an a.trade} from {a.home}, left {p}.",
        "{a} set out from {p} on the {k} of {x}[|, with {a.his} {a.trade.tool} and little else].",
        "In {x}, the {a.trade} {a} began a journey in {p}.",
    ]);
    let mut legs: Vec<u64> = Vec::new();
    let mut seen = vec![here];
    for _ in 0..page.random.between(2, 7) {
        let fresh: Vec<usize> =
            world.places[here].roads.iter().copied().filter(|road| !seen.contains(road)).collect();
        if fresh.is_empty() {
            break;
        }
        let next = fresh[page.random.skewed(fresh.len())];
        let miles = world.distance(here, next);
        page.place('p', here);
        page.place('r', next);
        page.number('k', miles);
        page.text('d', world.direction(here, next));
        page.paragraph();
        page.choose(&[
            "From {p} the road leads {k} miles {d} to {r}.",
            "{a.he} went {d} for {k} miles and came to {r}.",
            "{r} is {k} miles {d} of {p}, and {a.first} [walked all day|rode with a carter|took the short way].",
            "The next place was {r}, {k} miles to the {d}.",
        ]);
        arrival(page, next);
        legs.push(miles);
        seen.push(next);
        here = next;
    }
    page.paragraph();
    page.place('p', here);
    page.place('r', start);
    let total: u64 = legs.iter().sum();
    page.number('k', total);
    page.choose(&["In all {a.he} had travelled", "The whole way was", "That made"]);
    page.raw(" ");
    if legs.len() > 1 {
        let sum: Vec<String> = legs.iter().map(u64::to_string).collect();
        page.raw(format_args!("{} = ", sum.join(" + ")));
    }
    page.inline("{k} miles.");
    page.number('k', world.distance(here, start));
    page.choose(&[
        "In a straight line it is {k} miles from {p} [back |]to {r}.",
        "A bird would fly {k} miles from {p} to {r}.",
    ]);
    if here == one.home {
        page.say("So {a.first} was at home [at last|again].");
    }
}

fn arrival(page: &mut Page, here: usize) {
    let world = page.world;
    page.some(
        2,
        &[
            "It is {an r.kind} on the {r.river}[|, founded in {r.founded}].",
            "{a.he} slept at the {r.inn}.",
            "The houses are of {r.stone}.",
            "There the mayor is {r.mayor}.",
            "{r.famous}, {an r.famous.kind}, is what {r} is [famous|known] for.",
            "{r.population} people live in {r}.",
        ],
    );
    for _ in 0..page.random.between(0, 3) {
        let noun = page.noun();
        page.scenery(noun);
    }
    if page.random.chance(40) {
        let friends: Vec<usize> =
            world.people.iter().filter(|one| one.home == here && one.is_alive()).map(|one| one.id).collect();
        if !friends.is_empty() {
            let friend = friends[page.random.skewed(friends.len())];
            page.person('b', friend);
            page.choose(&[
                "There {a.first} met {b}, who {b.works}[| and is {b.temper}].",
                "{a.he} had supper with {b}, {an b.temper} {b.trade} who loves {b.hobby}.",
                "In the {b.trade.place} of {b} [there was work|{a.he} rested].",
            ]);
        }
    }
    if page.random.chance(40) {
        let thing = page.something();
        page.thing('t', thing);
        page.number('u', world.price(thing, here));
        page.choose(&[
            "{a.he} bought {an t.colour} {t} for {u} {many g}.",
            "For {an t} they asked {u} {many g}.",
            "{an t} costs {u} {many g} there[|, and the best come from {t.origin}].",
        ]);
    }
}
