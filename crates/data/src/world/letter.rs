//! A letter from one to another: kin or friends.

use super::World;
use super::page::Page;

pub(super) fn write(page: &mut Page) {
    let from = page.living(&[]);
    let writer = page.person('a', from);
    let kin: Vec<usize> =
        [writer.mother, writer.father, writer.spouse, Some(writer.friend), Some(writer.rival)]
            .into_iter()
            .flatten()
            .chain(writer.children.iter().copied())
            .chain(page.world.siblings(from))
            .filter(|&id| page.world.people[id].is_alive() && page.world.people[id].first != writer.first)
            .collect();
    let to = kin[page.random.below(kin.len())];
    let reader = page.person('b', to);
    page.place('p', writer.home);
    page.place('r', reader.home);
    page.text('g', &page.world.coin);
    page.draw('k', 1, 30);
    page.month('x');
    page.number('y', page.world.year);
    page.choose(&[
        "{p}, {k} {x} {y}",
        "{p}, in the month of {x}, {y}",
        "Written in {p} on the {k} of {x}",
        "{p}",
    ]);
    page.paragraph();
    page.text('z', relation(page.world, to, from));
    page.text('j', relation(page.world, from, to));
    page.choose(&[
        "Dear {b.first},",
        "My dear {z},",
        "Dear {z},",
        "{b.first}, my {z},",
        "To my {z} {b} in {r}",
    ]);
    page.paragraph();
    opening(page);
    if page.random.chance(60) {
        page.paragraph();
    }
    for _ in 0..page.random.between(4, 12) {
        news(page, from, to);
        if page.random.chance(20) {
            page.paragraph();
        }
    }
    page.paragraph();
    page.choose(&[
        "Your {j}, {a.first}",
        "With love, {a.first}",
        "[Ever yours|As always|Farewell], {a}",
        "{a.first}, your {j} in {p}",
    ]);
    if page.random.chance(15) {
        page.paragraph();
        page.raw("P.S.");
        let noun = page.noun();
        page.picture(noun);
        page.choose(&[
            "Do not forget the {d} {n}!",
            "{a.petname} sends [greetings|a feather|its love].",
            "Who {v.past} the {o}?",
        ]);
    }
}

/// What `one` is to the other.
fn relation(world: &World, one: usize, other: usize) -> &'static str {
    let (this, that) = (&world.people[one], &world.people[other]);
    let of = |woman, man| if this.female { woman } else { man };
    if this.mother == Some(other) || this.father == Some(other) {
        of("daughter", "son")
    } else if this.spouse == Some(other) {
        of("wife", "husband")
    } else if that.mother == Some(one) || that.father == Some(one) {
        of("mother", "father")
    } else if this.mother.is_some() && this.mother == that.mother {
        of("sister", "brother")
    } else if this.friend == other || that.friend == one {
        "friend"
    } else {
        "neighbour"
    }
}

fn opening(page: &mut Page) {
    page.choose(&[
        "I hope this letter finds you well[| in {r}].",
        "Thank you for your letter[| from {r}].",
        "It is long since I heard from you.",
        "How are you[|, and how is {r}]?",
        "You asked [how I am|for news of {p}], so here it is.",
        "[At last|Today] I have an hour for writing[|, since {p.day} is over and the market is closed].",
    ]);
    page.choose(&[
        "[Here in {p}|In {p}] all is well.",
        "I am still {an a.trade}, and my {a.trade.tool} [is worn|keeps me busy].",
        "There is much to do in the {a.trade.place}.",
        "{a.petname}, my {a.pet}, is [well|sick|fat].",
        "I am {a.age} now and feel [it|young].",
    ]);
}

fn news(page: &mut Page, from: usize, to: usize) {
    let noun = page.noun();
    match page.random.below(9) {
        0 => {
            let thing = page.something();
            page.thing('t', thing);
            let count = page.random.between(2, 12);
            let price = page.world.price(thing, page.world.people[from].home);
            page.number('c', count);
            page.number('u', price);
            page.number('s', price * count);
            page.choose(&[
                "At the market I bought {word c} {many t} at {u} {many g} each, which made {s} {many g}.",
                "{many t} cost {u} {many g} now, so {c} of them cost {s} {many g}.",
            ]);
        }
        1 => {
            let other = page.living(&[from, to]);
            page.person('c', other);
            page.choose(&[
                "{c}, the {c.trade} of {c.home}, [was here|came by|asked after you].",
                "Do you remember {c}? {c.he} {c.works} in {c.home} and is as {c.temper} as ever.",
                "{c.first} {c.family}'s {c.pet}, {c.petname}, [ran away|is sick|has young].",
                "I met {c} at the {p.inn}; {c.he} [spoke only of|still loves] {c.hobby}.",
                "{c} is still afraid of {c.fear}!",
            ]);
        }
        2 => page.choose(&[
            "Do you still [love|care for] {b.hobby}?",
            "Here is {an b.dish} for you, since you love them.",
            "I saw {an b.colour} [cloth|scarf|coat] and thought of you, since {b.colour} is your colour.",
            "How is {b.petname}? {an b.pet} needs [care|room|rest].",
            "Does the {b.trade.place} [leave you any rest|go well]?",
            "I know that you fear {b.fear}, but [come all the same|be brave].",
            "Stay as {b.temper} as you are.",
        ]),
        3 => {
            let miles = page.world.distance(page.world.people[from].home, page.world.people[to].home);
            page.number('k', miles);
            if miles == 0 {
                page.say("We live in the same {p.kind}, and yet we [write|never meet].");
            } else {
                page.choose(&[
                    "It is only {k} miles from {p} to {r}; come and visit me.",
                    "If it were not {k} miles to {r}, I would come [at once|tomorrow].",
                    "In {r.feast}, when {r} has its feast, I shall come[|, though it is {k} miles].",
                ]);
            }
        }
        4 => {
            page.picture(noun);
            page.choose(&[
                "I dreamt of {an d} {n} that {v.past} {an e} {o}.",
                "Yesterday {an n} {v.past} my {e} {o} {m}.",
                "Please send me {an d} {n} [soon|before winter|if you can].",
                "The {n} {q} the {h} {w.past} {l}.",
                "My {n} is {d} again, and I {v.past} the {o} {m}.",
            ]);
        }
        5 => page.choose(&[
            "{a.friend.first} [sends greetings|often speaks of you|is a good friend].",
            "{a.rival.first} {a.rival.family} has [insulted|annoyed|cheated] me again; you know how {a.rival.temper} {a.rival.he} is.",
            "In the evening I love {a.hobby}, as you know.",
            "I ate {an a.dish} again, my favourite.",
            "The mayor, {p.mayor}, wants [new taxes|a new bridge|to speak to us all].",
            "The {p.river} is [high|low|frozen] this week.",
        ]),
        6 => page.saying(noun),
        _ => page.scenery(noun),
    }
}
