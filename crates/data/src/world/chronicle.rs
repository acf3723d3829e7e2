//! What happened in a place, year by year.

use super::events::EventKind;
use super::page::Page;

pub(super) fn write(page: &mut Page) {
    let id = page.somewhere();
    page.place('p', id);
    page.choose(&[
        "Chronicle of {p}",
        "The years of {p}",
        "{p}, year by year",
        "Annals of {p} in {p.region}",
    ]);
    page.paragraph();
    page.number('y', page.world.places[id].founded);
    page.choose(&[
        "{y}: {p} is founded by {p.founder}.",
        "{y}: {p.founder} founds {p} on the {p.river}.",
        "{y}: The first house is built of {p.stone}.",
    ]);
    page.raw("\n");
    let world = page.world;
    let keep = page.random.between(50, 100) as usize;
    for event in world.events.iter().filter(|event| event.place == id) {
        if !page.random.chance(keep) {
            continue;
        }
        page.number('y', event.year);
        page.say("{y}:");
        page.raw(" ");
        match event.kind {
            EventKind::Flood(building) => {
                page.text('b', building);
                page.choose(&[
                    "the {p.river} floods the {b}.",
                    "flood; the {b} stands in the water of the {p.river}.",
                ]);
            }
            EventKind::Fire(building) => {
                page.text('b', building);
                page.choose(&["the {b} burns down.", "fire destroys the {b}.", "fire in the {b}."]);
            }
            EventKind::Built(building) => {
                page.text('b', building);
                page.choose(&[
                    "a new {b} is built of {p.stone}.",
                    "the {b} is finished.",
                    "they build {an b}.",
                ]);
            }
            EventKind::Quarrel(other, thing) => {
                page.place('r', other);
                page.thing('t', thing);
                page.choose(&[
                    "quarrel with {r} over the price of {many t}.",
                    "{p} and {r} quarrel over {many t}.",
                    "{r} sends no more {many t}.",
                ]);
            }
            EventKind::Harvest(thing, barrels) => {
                page.thing('t', thing);
                page.number('k', barrels);
                page.choose(&["{k} barrels of {many t}.", "a good year: {k} barrels of {many t}."]);
            }
            EventKind::Winter(weeks) => {
                page.number('k', weeks);
                page.choose(&[
                    "a winter of {word k} weeks.",
                    "the {p.river} is frozen for {word k} weeks.",
                    "hard winter, {word k} weeks of snow.",
                ]);
            }
            EventKind::Road(other) => {
                page.place('r', other);
                page.number('k', world.distance(id, other));
                page.choose(&[
                    "the road to {r} is paved, all {k} miles.",
                    "a new road to {r}, {k} miles long.",
                ]);
            }
            EventKind::Birth(person) => {
                page.person('a', person);
                page.choose(&[
                    "{a} is born.",
                    "birth of {a}, later {an a.trade}.",
                    "{a}, the {a.trade}, is born here.",
                ]);
            }
        }
        page.raw("\n");
        if page.random.chance(30) {
            let noun = page.noun();
            page.scenery(noun);
            page.raw("\n");
        }
    }
    page.number('y', world.year);
    page.choose(&[
        "{y}: {p} has {p.population} inhabitants, and {p.mayor} is mayor.",
        "{y}: {p.mayor} is mayor.",
        "{y}: Today {p.population} people live in {p}.",
    ]);
}
