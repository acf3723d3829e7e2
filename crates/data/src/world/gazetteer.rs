//! A place, as an encyclopedia has it.

use super::page::Page;

pub(super) fn write(page: &mut Page) {
    let id = page.somewhere();
    let here = page.place('p', id);
    page.text('g', &page.world.coin);
    if page.random.chance(60) {
        page.choose(&["{p}", "{p} ({p.region})", "The {p.kind} of {p}", "{p} on the {p.river}"]);
        page.paragraph();
    }
    page.choose(&[
        "{p} is {an p.kind} in {p.region}[| on the river {p.river}].",
        "{p}, {an p.kind} on the {p.river}, [lies|is] in {p.region}.",
        "The {p.kind} {p} lies on the {p.river} in {p.region}.",
        "In {p.region}, on the banks of the {p.river}, [lies|stands] the {p.kind} of {p}.",
    ]);
    page.choose(&[
        "It was founded in {p.founded} by {p.founder}.",
        "It has {p.population} inhabitants.",
        "[Some|About] {p.population} people live there.",
        "{p.founder} founded it in the year {p.founded}.",
        "In {p.founded} [one|a certain] {p.founder} built the first house of {p.stone}.",
    ]);
    page.some(
        3,
        &[
            "It is [famous|known] for {p.famous}, {an p.famous.colour} {p.famous.kind}.",
            "The mayor is {p.mayor}[|, {an p.mayor.trade}|, born in {p.mayor.born}].",
            "Market is held every {p.day}.",
            "[Travellers|Strangers] sleep at the {p.inn}[|, the only inn].",
            "The houses are built of {p.stone}.",
            "The great feast is in the month of {p.feast}.",
            "It was founded in {p.founded}[| by {p.founder}].",
            "The population is {p.population}.",
        ],
    );
    page.paragraph();
    for &road in here.roads.iter().take(page.random.between(1, 4) as usize) {
        page.place('r', road);
        page.number('k', page.world.distance(id, road));
        page.text('d', page.world.direction(id, road));
        page.choose(&[
            "{r} lies {k} miles to the {d}.",
            "The road to {r} is {k} miles long and leads {d}.",
            "It is {k} miles from {p} to {r}.",
            "To the {d}, {k} miles away, is {r}, {an r.kind}[| famous for {r.famous}].",
        ]);
    }
    if page.random.chance(70) {
        let far = page.somewhere();
        if far != id {
            page.place('r', far);
            page.number('k', page.world.distance(id, far));
            page.say("From {p} to {r} the distance is {k} miles.");
        }
    }
    let homes: Vec<usize> =
        page.world.people.iter().filter(|one| one.home == id && one.is_alive()).map(|one| one.id).collect();
    if !homes.is_empty() {
        page.paragraph();
        for _ in 0..page.random.between(1, 3) {
            let one = homes[page.random.skewed(homes.len())];
            page.person('a', one);
            page.choose(&[
                "{a}, who {a.works}, lives here.",
                "The {a.trade} of the place is {a}[|, born in {a.born}].",
                "In {p} lives the {a.temper} {a.trade} {a}.",
                "{a} has {a.his} {a.trade.place} near the {p.inn}.",
            ]);
        }
    }
    page.paragraph();
    for _ in 0..page.random.between(1, 5) {
        match page.random.below(4) {
            0 => {
                let thing = page.something();
                page.thing('t', thing);
                page.number('k', page.world.price(thing, id));
                page.choose(&[
                    "At the market {an t} costs {k} {many g}.",
                    "[One pays|They ask] {k} {many g} for {an t} here.",
                    "{many t}[|, which come from {t.origin},] are sold for {k} {many g} each.",
                ]);
            }
            1 => {
                let noun = page.noun();
                page.picture(noun);
                page.choose(&[
                    "[People|The people of {p}|Old people] say that {an d} {n} {v.does} the {e} {o} {m}.",
                    "{q} the {h} [stands|lies] {an d} {n}.",
                    "Every child in {p} knows the tale of the {d} {n} and the {e} {o}.",
                ]);
            }
            _ => {
                let noun = page.noun();
                page.scenery(noun);
            }
        }
    }
}
