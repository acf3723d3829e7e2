//! A thing, as an encyclopedia has it.

use super::page::Page;

pub(super) fn write(page: &mut Page) {
    let id = page.something();
    let thing = page.thing('t', id);
    page.text('g', &page.world.coin);
    if page.random.chance(60) {
        page.choose(&["{t}", "The {t}", "{many t}", "{t} ({t.kind})"]);
        page.paragraph();
    }
    page.choose(&[
        "The {t} is {an t.shape}, {t.colour} {t.kind}.",
        "{an t} is {an t.kind}, {t.shape} and {t.colour}.",
        "The {t} is {an t.kind} from {t.origin}.",
        "Of all {many t}, those from {t.origin} are [held to be|said to be|called] the best.",
        "[Many|Few] know the {t}, {an t.colour} {t.kind}.",
    ]);
    page.some(
        2,
        &[
            "It is {t.shape} and {t.colour}.",
            "It is found {t.habitat}.",
            "Its season is {t.season}.",
            "The best {many t} come from {t.origin}.",
            "It tastes {t.taste}.",
        ],
    );
    match page.random.below(3) {
        0 if thing.is_animal() => page.choose(&[
            "It [lives|dwells] {t.habitat} and feeds on {many t.companion}.",
            "It is most often seen in {t.season}, {t.habitat}.",
        ]),
        1 => page.choose(&[
            "It is used {t.purpose}.",
            "People use it {t.purpose}.",
            "In {t.origin} it is used {t.purpose}.",
        ]),
        _ => page.choose(&[
            "Where there is {an t}, {an t.companion} is not far.",
            "It is often [mistaken for|sold with|found beside] the {t.companion}, {an t.companion.colour} {t.companion.kind}.",
        ]),
    }
    page.choose(&[
        "{an t} costs {t.price} {many g}[| as a rule].",
        "The usual price is {t.price} {many g}.",
        "One pays {t.price} {many g} for it[|, more where it is rare].",
    ]);
    page.paragraph();
    let lovers: Vec<usize> =
        page.world.people.iter().filter(|one| one.dish == id || one.pet == id).map(|one| one.id).collect();
    if !lovers.is_empty() {
        for _ in 0..page.random.between(1, 2) {
            let lover = lovers[page.random.below(lovers.len())];
            let one = page.person('a', lover);
            if one.dish == id {
                page.choose(&[
                    "{a} of {a.home} {a.loves} {many t} above all.",
                    "It {a.is} the favourite dish of {a}, {an a.trade}.",
                ]);
            } else {
                page.choose(&[
                    "{a} of {a.home} {a.keeps} one, called {a.petname}.",
                    "The {t} of {a} {a.is} called {a.petname}.",
                ]);
            }
        }
    }
    for _ in 0..page.random.between(1, 3) {
        let place = page.somewhere();
        page.place('p', place);
        page.number('k', page.world.price(id, place));
        page.choose(&[
            "In {p} {an t} costs {k} {many g}.",
            "At the market of {p}, held on {p.day}, it is sold for {k} {many g}.",
            "{p} pays {k} {many g}.",
        ]);
    }
    page.paragraph();
    for _ in 0..page.random.between(3, 8) {
        let noun = page.noun();
        if page.random.chance(45) {
            page.picture(noun);
            page.choose(&[
                "An old [remedy|recipe|rule] says: {v} the {t} with {an d} {n} {m}.",
                "{an t} that {w.does} {l} is [worth|as good as] {an d} {n}.",
                "[Children|Old women|Sailors|Shepherds] call it the {d} {n}.",
                "The {n} {v.does} the {t} as the {o} {v.does} the {e} {n}.",
                "{many t} are kept {q} the {h}, [beside|under|near] {an e} {o}.",
            ]);
        } else {
            page.saying(noun);
        }
    }
}
