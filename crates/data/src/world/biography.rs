//! The life of a person.

use super::page::Page;
use super::people::Person;

pub(super) fn write(page: &mut Page) {
    let id = page.anybody();
    let one = page.person('a', id);
    page.place('p', one.home);
    page.text('g', &page.world.coin);
    if page.random.chance(50) {
        page.choose(&[
            "{a}",
            "[The life of|About|On] {a}",
            "{a}, {a.trade} [of|in] {p}",
            "Who [is|was] {a}?",
        ]);
        page.paragraph();
    }
    birth(page, one);
    match page.random.below(3) {
        0 => {
            kin(page, one);
            work(page);
        }
        1 => {
            work(page);
            kin(page, one);
        }
        _ => {
            work(page);
            tastes(page);
            kin(page, one);
        }
    }
    page.paragraph();
    tastes(page);
    memory(page);
    if one.is_alive() {
        page.choose(&[
            "{a.first} is now {a.age} years old.",
            "In the year {y} {a.he} is {a.age}[| years old].",
            "Today, at {a.age}, {a.he} still [lives|works] in {p}.",
            "{a.first} has [reached|come to] the age of {a.age}.",
        ]);
    } else {
        page.choose(&[
            "{a.he} died in {a.died}, at the age of {a.age}.",
            "In {a.died}, {a.age} years old, {a.first} died [in {p}|peacefully|after a short illness].",
            "{a.first} {a.family} died in {a.died}. {a.he} was {a.age}.",
            "Death came in {a.died}, when {a.he} was {a.age}[| years old].",
        ]);
    }
}

fn birth(page: &mut Page, one: &Person) {
    page.number('y', page.world.year);
    page.choose(&[
        "{a} was born in {a.birthplace} in {a.born}.",
        "{a} was born in the year {a.born} in {a.birthplace}, {an a.birthplace.kind} [in {a.birthplace.region}|on the {a.birthplace.river}].",
        "In {a.born}, {a} was born in {a.birthplace}.",
        "Born in {a.birthplace} in {a.born}, {a} {a.is} {an a.trade}.",
        "{a} {a.is} {an a.temper} {a.man} from {a.birthplace}, born in {a.born}.",
        "The {a.trade} {a} was born in {a.born}; {a.his} birthplace is {a.birthplace}[| on the {a.birthplace.river}].",
    ]);
    // Somebody of the same age, where there is one.
    let people = &page.world.people;
    let begin = page.random.below(people.len());
    let other = (0..40)
        .map(|step| &people[(begin + step) % people.len()])
        .find(|other| other.born == one.born && other.id != one.id);
    if let Some(other) = other {
        page.person('z', other.id);
        page.any(&[
            "It was the year in which {z} was born, too.",
            "{z} [of {z.home}|from {z.home}] was born in the same year.",
        ]);
    }
}

fn kin(page: &mut Page, one: &Person) {
    if one.mother.is_some() {
        page.choose(&[
            "{a.his} mother is {a.mother}, {a.his} father {a.father}.",
            "{a.he} is [the|a] {a.son} of {a.mother} and {a.father}[| of {a.mother.home}].",
            "{a.his} parents are the {a.mother.trade} {a.mother} and the {a.father.trade} {a.father}.",
            "{a.his} father, {a.father}, was born in {a.father.birthplace}; {a.his} mother, {a.mother}, in {a.mother.birthplace}.",
            "{a.mother}, {a.his} mother, {a.mother.works}[|, and {a.mother.loves} {a.mother.hobby}].",
        ]);
        let siblings: Vec<usize> = page.world.siblings(one.id);
        if !siblings.is_empty() && page.random.chance(60) {
            let other = siblings[page.random.below(siblings.len())];
            page.person('s', other);
            page.number('k', siblings.len() as u64);
            page.choose(&[
                "{a.he} has a {s.brother}, {s.first}[|, who {s.works}|, born in {s.born}].",
                "{s.first}, {a.his} {s.brother}, {s.lives} in {s.home}.",
                "[One of {a.his} siblings|Among {a.his} kin] is the {s.trade} {s}.",
            ]);
        }
    } else {
        page.choose(&[
            "Of {a.his} parents [little|nothing] is known.",
            "Nobody [remembers|knows] {a.his} parents.",
            "The {a.family} family is [old|known] in {a.birthplace}.",
        ]);
    }
    if one.spouse.is_some() {
        page.choose(&[
            "{a.he} [married|was wed to|took the hand of] {a.spouse}[|, {an a.spouse.trade}|, {an a.spouse.trade} from {a.spouse.birthplace}].",
            "{a.his} {a.spouse.husband} is the {a.spouse.trade} {a.spouse}.",
            "{a.he} met {a.spouse} in {a.spouse.birthplace}, and they married.",
        ]);
    } else {
        page.choose(&[
            "{a.he} never married.",
            "{a.he} {a.has} [neither wife nor husband|no family of {a.his} own].",
            "{a.he} {a.lives} alone[| with {a.petname}].",
        ]);
    }
    if one.children.is_empty() {
        if page.random.chance(40) {
            page.say("{a.he} {a.has} no children.");
        }
        return;
    }
    page.number('k', one.children.len() as u64);
    if one.children.len() == 1 {
        page.person('c', one.children[0]);
        page.choose(&[
            "{a.he} {a.has} one {c.son}, {c.first}[|, born in {c.born}].",
            "{c}, [{an c.trade}|who {c.works}], is {a.his} only child.",
        ]);
        return;
    }
    page.choose(&[
        "{a.he} {a.has} {word k} children:",
        "{a.first} {a.has} {word k} children:",
        "Of {a.his} {word k} children people know the names:",
    ]);
    for (place, &child) in one.children.iter().enumerate() {
        page.person('c', child);
        page.raw(match place {
            0 => " ",
            _ if place + 1 == one.children.len() => " and ",
            _ => ", ",
        });
        page.inline("{c.first}");
    }
    page.raw(".");
    if page.random.chance(50) {
        let child = one.children[page.random.below(one.children.len())];
        page.person('c', child);
        page.choose(&[
            "{c.first}, born in {c.born}, {c.is} {an c.trade} in {c.home}.",
            "{c.first} {c.works} in {c.home}.",
            "{c.first} {c.loves} {c.hobby}.",
        ]);
    }
}

fn work(page: &mut Page) {
    page.choose(&[
        "{a.he} {a.lives} in {p} and {a.works}.",
        "{a.he} {a.is} {an a.trade} in {p}[|, {an p.kind} in {p.region}].",
        "In {p}, {a.he} {a.works}.",
        "{a.his} {a.trade.place} [stands|lies] near the {p.inn}, the inn of {p}.",
        "{a.his} {a.trade.tool} is [always at hand|never far|known all over {p}], for {a.he} {a.is} {an a.trade}.",
        "As {an a.trade}, {a.he} {a.works} [in the {a.trade.place}|in {p}|every day but {p.day}, which is market day in {p}].",
    ]);
    if page.random.chance(50) {
        page.some(
            1,
            &[
                "{a.he} {a.is} {a.temper}, as everybody in {p} [knows|will tell you].",
                "People call {a.him} {a.temper}.",
                "{a.he} learnt the trade from {an a.temper} [old man|woman|uncle] in {a.birthplace}.",
                "Like all houses there, {a.his} {a.trade.place} is built of {p.stone}.",
            ],
        );
    }
}

fn tastes(page: &mut Page) {
    let count = page.random.between(1, 4) as usize;
    page.some(count, &[
        "[{a.he} {a.loves}|{a.his} favourite pastime {a.is}] {a.hobby}.",
        "{a.his} favourite dish {a.is} {a.dish}, [{an a.dish.taste} {a.dish.kind}|{an a.dish.kind} from {a.dish.origin}|which costs about {a.dish.price} {many g}].",
        "{a.his} favourite colour {a.is} {a.colour}.",
        "{a.he} {a.is} afraid of {a.fear}.",
        "{a.he} {a.keeps} {an a.pet} [called|named] {a.petname}.",
        "{a.his} best friend is {a.friend}[|, {an a.friend.trade} in {a.friend.home}].",
        "{a.he} and {a.rival} [cannot stand each other|are rivals|have quarrelled for years].",
    ]);
}

/// Something that somebody remembers.
fn memory(page: &mut Page) {
    for _ in 0..page.random.between(1, 6) {
        let noun = page.noun();
        if page.random.chance(50) {
            page.picture(noun);
            page.choose(&[
                "Once {a.he} {v.past} {an e} {o} {m}.",
                "As a child {a.he} {v.past} the {d} {n} of {a.his} [aunt|uncle|teacher|grandmother].",
                "{a.he} used to say: \"{an d} {n} {v.does} the {e} {o}.\"",
                "In {a.his} house there {a.is} {an d} {n}, {q} {an e} {o}.",
            ]);
        } else {
            page.scenery(noun);
        }
    }
}
