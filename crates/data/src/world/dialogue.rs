//! Two people in conversation: questions and answers about what is so.

use super::page::Page;

pub(super) fn write(page: &mut Page) {
    let first = page.living(&[]);
    let one = page.person('a', first);
    let second = if page.random.chance(50) { one.friend } else { page.living(&[first]) };
    page.person('b', second);
    page.text('g', &page.world.coin);
    page.place('p', one.home);
    if page.random.chance(60) {
        page.choose(&[
            "{a}, {an a.trade}, meets {b}, {an b.trade}, at the {p.inn} in {p}.",
            "{a} and {b} are sitting [by the fire|on a bench] in {p}.",
            "On {p.day}, at the market of {p}, {a} talks to {b}.",
            "{b.first} visits {a.first} in the {a.trade.place}.",
        ]);
        page.paragraph();
    }
    turn(page, true, "Good [morning|evening|day], {b.first}[!|. How is {b.petname}?]");
    turn(
        page,
        false,
        "Good day, {b.first}. [How is work in the {b.trade.place}?|What news from {b.home}?|You look tired.|I have a question.|Are you still as {b.temper} as ever?]",
    );
    let mut asks = page.random.chance(50);
    for _ in 0..page.random.between(4, 14) {
        exchange(page, asks);
        asks ^= page.random.chance(40);
    }
    turn(
        page,
        asks,
        "[Thank you.|I must go now.|That is good to know.|It is late.] [Farewell|Goodbye|Until {p.day}], {b.first}[.|!]",
    );
    turn(page, !asks, "[Farewell|Goodbye|Go well], {b.first}[.|!]");
}

/// A line of the first speaker if `first`, else of the second. In the template `a` speaks to `b`.
fn turn(page: &mut Page, first: bool, template: &str) {
    page.swapped(!first, |page| {
        page.say("{a.first}:");
        page.line(template);
    });
}

/// A question and its answer; in both, `a` is who asks and `b` who answers.
fn exchange(page: &mut Page, asks: bool) {
    let world = page.world;
    let noun = page.noun();
    let (question, answer) = match page.random.below(9) {
        0 | 1 => {
            let other = page.anybody();
            page.person('c', other);
            let asked = [
                (
                    "Where was {c} born?",
                    "[In {c.birthplace}|{c.he} was born in {c.birthplace}], in {c.born}.",
                ),
                ("What is {c}'s trade?", "{c.he} {c.is} {an c.trade}: {c.he} {c.works}."),
                ("Who is {c}?", "{an c.trade} in {c.home}. {c.he} {c.is} {c.temper}."),
                ("What does {c} fear?", "{c.fear}, [I believe|they say]."),
                ("What is the favourite dish of {c}?", "{c.dish}, {an c.dish.kind}."),
                ("Where does one find {c}?", "In {c.home}[|, unless I am mistaken]."),
                ("What does {c} do in {c.his} free time?", "{c.he} {c.loves} {c.hobby}."),
                ("In what year was {c} born?", "In {c.born}."),
            ];
            asked[page.random.skewed(asked.len())]
        }
        2 => {
            let place = page.somewhere();
            page.place('r', place);
            let asked = [
                ("On which river lies {r}?", "On the {r.river}."),
                ("Who founded {r}?", "{r.founder}, in {r.founded}."),
                ("What is {r} famous for?", "For {r.famous}, {an r.famous.colour} {r.famous.kind}."),
                ("Who is mayor of {r}?", "{r.mayor}, the {r.mayor.trade}."),
                ("When is market day in {r}?", "On {r.day}."),
                ("In which region is {r}?", "In {r.region}."),
                ("How many people live in {r}?", "{r.population}."),
                ("Where can I sleep in {r}?", "At the {r.inn}."),
            ];
            asked[page.random.skewed(asked.len())]
        }
        3 => {
            let (from, to) = (page.somewhere(), page.somewhere());
            page.place('r', from);
            page.place('s', to);
            page.number('k', world.distance(from, to));
            page.text('d', world.direction(from, to));
            if from == to {
                ("Is {r} far?", "[That depends on where you are.|I have never been there.]")
            } else {
                ("How far is it from {r} to {s}?", "{k} miles[|, to the {d}].")
            }
        }
        4 | 5 => {
            let thing = page.something();
            let place = page.somewhere();
            page.thing('t', thing);
            page.place('r', place);
            page.number('k', world.price(thing, place));
            let asked = [
                ("What is {an t}?", "{an t.kind}, {t.shape} and {t.colour}."),
                ("What does {an t} cost in {r}?", "{k} {many g}."),
                ("Where do the best {many t} come from?", "From {t.origin}."),
                ("What is {an t} used for?", "One uses it {t.purpose}."),
                ("When does one find {many t}?", "In {t.season}, {t.habitat}."),
                ("How does {an t} taste?", "{t.taste}."),
            ];
            asked[page.random.skewed(asked.len())]
        }
        6 => {
            let (left, right) = (page.random.between(2, 99), page.random.between(2, 99));
            page.number('j', left);
            page.number('k', right);
            match page.random.below(3) {
                0 => {
                    page.number('u', left + right);
                    ("How much is {j} and {k}?", "{u}.")
                }
                1 => {
                    page.number('u', left * (right % 10 + 2));
                    page.number('k', right % 10 + 2);
                    ("What is {k} times {j}?", "{u}.")
                }
                _ => {
                    let (high, low) = (left.max(right), left.min(right));
                    page.number('j', high);
                    page.number('k', low);
                    page.number('u', high - low);
                    ("If I have {j} {many g} and spend {k}, what is left?", "{u}.")
                }
            }
        }
        7 => {
            page.picture(noun);
            let asked = [
                (
                    "Have you seen the {d} {n}?",
                    "[No, only {an e} {o}.|It was {q} the {h}.|Yes, it {w.past} {l}.]",
                ),
                ("Why do {many n} {v} {many o}?", "Because {many n} are {d}, and {many o} are {e}."),
                ("Who {v.past} the {o}?", "The {d} {n}, {m}."),
            ];
            asked[page.random.skewed(asked.len())]
        }
        _ => {
            let asked = [
                ("Do you still love {b.hobby}?", "[Of course|Always|More than ever]. And you {a.hobby}?"),
                ("How old are you, {b.first}?", "I am {b.age}."),
                ("Are you not afraid of {b.fear}?", "[Very much.|Yes, as always.|Do not speak of it.]"),
                ("Who is your best friend?", "{b.friend}[|, from {b.friend.home}]."),
                ("What is your favourite colour?", "{b.colour}."),
                ("Where do you live now?", "In {b.home}, as {an b.trade}."),
            ];
            asked[page.random.skewed(asked.len())]
        }
    };
    page.swapped(!asks, |page| {
        page.say("{a.first}:");
        page.line(question);
        page.say("{b.first}:");
        page.line(answer);
    });
    if page.random.chance(25) {
        let noun = page.noun();
        page.swapped(asks, |page| {
            page.say("{a.first}:");
            page.saying(noun);
            page.raw("\n");
        });
    }
}
