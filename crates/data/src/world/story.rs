//! Stories. Who is brave acts bravely, who fears water fears the river, and what was laid down somewhere is
//! found there.

use super::page::Page;
use super::people::TEMPERS;

pub(super) fn write(page: &mut Page) {
    let hero = page.living(&[]);
    let one = page.person('a', hero);
    let helper = if page.random.chance(50) { one.friend } else { page.living(&[hero]) };
    page.person('b', helper);
    page.person('c', page.world.people[hero].rival);
    page.place('p', one.home);
    page.text('g', &page.world.coin);
    if page.random.chance(40) {
        let noun = page.noun();
        page.picture(noun);
        page.choose(&[
            "{a.first} and the {d} {n}",
            "The {a.trade} of {p}",
            "{a.first} and {b.first}",
            "The {d} {n}",
            "A story from {p}",
        ]);
        page.paragraph();
    }
    begin(page);
    for _ in 0..page.random.between(0, 3) {
        let noun = page.noun();
        page.scenery(noun);
    }
    let parts = page.random.between(1, 3);
    for part in 0..parts {
        page.paragraph();
        if part > 0 {
            page.person('b', helper);
            page.choose(&[
                "[The next day|Some days later|In {p.feast}, at the feast] {a.first} was [in the {a.trade.place}|{a.hobby}|at work] again.",
                "But that was not all.",
                "A week went by, and {a.first} {a.trade.did}.",
                "When [winter|spring|summer|autumn] came, {a.first} thought of {b.first}.",
            ]);
        }
        match page.random.below(5) {
            0 => lost(page, hero),
            1 => visit(page, hero, helper),
            2 => purse(page, hero),
            3 => fright(page, hero),
            _ => hiding(page, hero, helper),
        }
        page.person('a', hero);
    }
    page.paragraph();
    let noun = page.noun();
    page.picture(noun);
    page.choose(&[
        "So much for {a.first} [and {b.first}|and the {d} {n}|of {p}].",
        "[That evening|At night] {a.first} ate {an a.dish} and slept well.",
        "From that day on, {a.first} never [laughed at|forgot|spoke ill of] {an n} again.",
        "{an d} {n} may {v} {an e} {o}, but not {an a.temper} {a.trade}.",
        "People in {p} still tell this story[| at the {p.inn}].",
        "{a.petname} knew nothing of all this and slept {m}.",
        "Since then it is said in {p}: {an d} {n} {v.does} {an e} {o}.",
        "And {a.first}? {a.he} {a.works} in {p} to this day.",
        "The {d} {n} still {w.does} there {l}.",
    ]);
}

fn begin(page: &mut Page) {
    page.choose(&[
        "In {p} there lived {an a.trade} called {a.first}.",
        "Once, [when the {p.river} was high|in the month of {p.feast}|on a {p.day}], {a}, the {a.trade} of {p}, went out early.",
        "{a} was {an a.temper} {a.trade} in {p}.",
        "Long before dawn, {a.first} the {a.trade} woke up in {p}.",
        "There was once {an a.temper} {a.man} in {p}, {a} by name, who {a.trade.did}.",
    ]);
    page.some(
        1,
        &[
            "{a.he} had {an a.pet} called {a.petname}.",
            "Everybody knew that {a.he} was {a.temper}.",
            "{a.he} loved {a.hobby}, and {a.he} feared {a.fear}.",
            "{a.his} best friend was {a.friend}, and {a.his} rival was {a.rival}.",
            "{a.he} always wore something {a.colour}.",
        ],
    );
}

/// Lets somebody act by their temper when there is danger (0), when somebody asks for help (1), when nobody
/// is looking (2). Leaves them bound to `a`.
fn act(page: &mut Page, who: usize, when: usize) {
    const DEEDS: [[&str; 3]; 12] = [
        [
            "{a.he} went straight [towards it|on], for {a.he} was brave.",
            "\"I will come with you, [whatever it is|into the dark if need be],\" said {a.first}.",
            "{a.he} [stood still|called aloud], afraid of nobody.",
        ],
        [
            "{a.he} [hid behind a hedge|trembled and ran home], as timid people do.",
            "\"I dare not,\" whispered {a.first}, [looking at the ground|and went pale].",
            "{a.he} touched nothing and [crept away|held {a.his} breath].",
        ],
        [
            "{a.he} sat down and waited until it [was over|had passed], as patient as ever.",
            "{a.first} listened to the end, [nodding|without a word], and then {a.he} helped.",
            "{a.he} sat down beside it and waited for [an hour|the whole day].",
        ],
        [
            "{a.he} ran [off|ahead] without thinking, hasty as always.",
            "{a.first} said yes before [the other had finished|{a.he} knew what it was].",
            "{a.he} snatched it up and [tripped|dropped it again] in {a.his} haste.",
        ],
        [
            "{a.he} thought first of {a.his} [money|purse] and held it fast.",
            "\"What will you pay me?\" asked {a.first}. [Greed spoke out of {a.him}.|{a.he} wanted ten {many g}.]",
            "{a.he} [counted the {many g} twice|looked around], and put everything into {a.his} pocket.",
        ],
        [
            "{a.he} gave {a.his} own [coat|lantern|bread] to those who were worse off.",
            "\"Take what you need,\" said {a.first}, generous as {a.he} was.",
            "{a.he} put [ten|five|twenty] {many g} of {a.his} own beside it.",
        ],
        [
            "{a.he} said openly that {a.he} [was afraid|did not know the way].",
            "{a.first} told the truth, [plainly|all of it], as honest people do.",
            "{a.he} [asked everybody whose it was|carried it to the mayor, {p.mayor}], for {a.he} was honest.",
        ],
        [
            "{a.he} [thought of a trick|let another go first] and smiled.",
            "\"Gladly,\" said {a.first}, and [thought of something else|had a sly plan].",
            "{a.he} hid it under {a.his} cloak and [whistled|spoke of the weather].",
        ],
        [
            "{a.he} laughed aloud and [sang a song|made a joke].",
            "{a.first} laughed: \"[Why not?|Come, then!]\" And they went singing.",
            "{a.he} danced around it [three times|merrily].",
        ],
        [
            "\"It will end badly,\" sighed {a.first}, gloomy as ever.",
            "\"What is the use?\" said {a.first}, [but came along|and shook {a.his} head].",
            "{a.he} was sure that [bad luck|nothing good] would come of it.",
        ],
        [
            "{a.he} wanted to see it [from near|better] and went closer, curious as {a.he} was.",
            "{a.first} asked [a hundred|seven] questions before {a.he} helped.",
            "{a.he} turned it over and [looked inside|smelled it], for {a.he} was curious.",
        ],
        [
            "{a.he} would not [turn back|move a step], stubborn as a mule.",
            "\"No,\" said {a.first}, and {a.he} said it [three|four] times; {a.he} was stubborn.",
            "{a.he} did not leave the spot, [whatever people said|rain or no rain].",
        ],
    ];
    let temper = page.person('a', who).temper;
    if let Some(which) = TEMPERS.iter().position(|one| *one == temper) {
        page.say(DEEDS[which][when]);
    }
}

/// Something is lost; three people are asked, and the last knows.
fn lost(page: &mut Page, hero: usize) {
    let tool = page.world.people[hero].trade.tool;
    page.choose(&[
        "One morning {a.his} {a.trade.tool} was gone.",
        "But the {a.trade.tool} was not in the {a.trade.place}.",
        "\"Where is my {a.trade.tool}?\" cried {a.first}.",
    ]);
    let mut asked = vec![hero];
    let count = page.random.between(2, 4) as usize;
    for step in 0..count {
        let next = page.living(&asked);
        asked.push(next);
        page.person('z', next);
        page.choose(&[
            "{a.he} went to {z}, {an z.trade}, and asked.",
            "{a.first} found {z} in the {z.trade.place}.",
            "Next {a.he} asked the {z.trade} {z}.",
            "In {z.home} {a.he} met {z}[|, who {z.works}].",
        ]);
        if step + 1 == count {
            page.choose(&[
                "\"I have it,\" said {z.first}. \"It lay in my {z.trade.place}, beside the {z.trade.tool}.\"",
                "And there, in the {z.trade.place}, lay the {a.trade.tool}.",
            ]);
            if tool != page.world.people[next].trade.tool {
                page.choose(&[
                    "{an z.trade} needs {an z.trade.tool} and not {an a.trade.tool}, so {z.first} gave it back.",
                    "{z.first} [kept|wanted] nothing for it.",
                ]);
            }
        } else {
            page.choose(&[
                "\"I have not seen it,\" said {z.first}, \"[I was {z.hobby}|I was in {z.home} all day].\"",
                "But {z.he} only [shrugged|spoke of {z.petname}, {z.his} {z.pet}].",
                "\"Ask somebody else. I have my {z.trade.tool}, and that is enough,\" said {z.first}.",
                "{z.first} knew nothing.",
            ]);
        }
    }
    page.person('c', asked[asked.len() - 1]);
    page.choose(&[
        "So the {a.trade.tool} of {a.first} had been with {c.first} all the time.",
        "{a.first} thanked {c.first} and went back to {p}.",
    ]);
}

/// A way to somebody in another town, and what is met on it.
fn visit(page: &mut Page, hero: usize, helper: usize) {
    let world = page.world;
    let (from, to) = (world.people[hero].home, world.people[helper].home);
    page.place('r', to);
    page.number('k', world.distance(from, to));
    let noun = page.noun();
    if from == to {
        page.say("{a.first} wanted to visit {b}, who lived in {p} too.");
    } else {
        page.text('d', world.direction(from, to));
        page.choose(&[
            "{a.first} wanted to visit {b} in {r}, {k} miles to the {d}.",
            "From {p} to {r} it is {k} miles; there lived {b}, whom {a.first} wanted to see.",
        ]);
    }
    page.picture(noun);
    page.choose(&[
        "On the way {a.he} met {an d} {n}.",
        "Then, {m}, came {an d} {n}.",
        "But {an n} {v.past} the {o} on the road.",
    ]);
    act(page, hero, 0);
    page.scenery(noun);
    page.person('b', helper);
    page.choose(&[
        "[At last|In the evening] {a.first} came to the {b.trade.place} of {b.first}.",
        "{b.first} was [at work|{b.hobby}] when {a.first} arrived.",
    ]);
    page.choose(&[
        "They ate {an b.dish}, which {b.first} loved[|, and {an a.dish} for {a.first}].",
        "\"How is {a.petname}?\" asked {b.first}.",
        "{b.first}, {b.temper} as {b.he} was, [laughed|said nothing].",
    ]);
}

/// Money lies in the road.
fn purse(page: &mut Page, hero: usize) {
    page.draw('k', 5, 90);
    page.choose(&[
        "In the road lay a purse with {k} {many g}.",
        "Behind the {p.inn} {a.he} found {k} {many g} in {an a.colour} purse.",
        "\"What is this?\" said {a.first}. It was a purse, and in it were {k} {many g}.",
    ]);
    act(page, hero, 2);
    let rival = page.world.people[hero].rival;
    page.person('c', rival);
    page.choose(&[
        "Now {c} came along, {a.his} rival, {an c.temper} {c.trade}.",
        "{c} had seen it all. {c.he} and {a.first} were rivals.",
    ]);
    page.choose(&[
        "\"[That is mine|Give it to me],\" said {c.first}.",
        "\"Whose is that?\" asked {c.first}.",
    ]);
    // The rival acts by a temper of their own.
    act(page, rival, 2);
    page.person('a', hero);
    let had = page.draw('k', 5, 90);
    let spent = page.draw('i', 1, had);
    page.number('j', had - spent);
    page.choose(&[
        "There had been {k} {many g}; {i} went to the poor, and {j} were left.",
        "Of {k} {many g} they spent {i} at the {p.inn}, so that {j} remained.",
    ]);
}

/// The hero meets what the hero fears.
fn fright(page: &mut Page, hero: usize) {
    page.choose(&[
        "Now {a.first} feared nothing so much as {a.fear}.",
        "But there was one thing that {a.first} feared: {a.fear}.",
        "{a.fear}! {a.first} feared nothing more.",
    ]);
    for _ in 0..page.random.between(1, 3) {
        let noun = page.noun();
        page.scenery(noun);
    }
    page.person('b', page.world.people[hero].friend);
    page.choose(&[
        "Then came {b}, {a.his} best friend, [from {b.home}|with {b.petname}].",
        "Luckily {b} was near, the best friend that {a.first} had.",
    ]);
    page.choose(&[
        "\"I fear {b.fear},\" said {b.first}. \"And you fear {a.fear}. [So we are even.|Let us go together.]\"",
        "\"[Do not be afraid|Hold my hand],\" said {b.first}, who [only feared|was afraid only of] {b.fear}.",
    ]);
    act(page, hero, 1);
    let helper = page.world.people[hero].friend;
    page.choose(&["And {b.first}?", "{b.first} was [different|of another kind]."]);
    act(page, helper, 0);
    page.person('a', hero);
    page.choose(&[
        "After that {a.first} feared {a.fear} [a little less|as much as before].",
        "They laughed about {a.fear} and about {b.fear}.",
    ]);
}

/// Things are carried from hand to hand and from room to room; at the end it is told where they are.
fn hiding(page: &mut Page, hero: usize, helper: usize) {
    const ROOMS: [&str; 8] = ["kitchen", "cellar", "attic", "garden", "stable", "barn", "hall", "tower"];
    const ITEMS: [&str; 10] =
        ["key", "letter", "ring", "lantern", "map", "bottle", "book", "purse", "bell", "knife"];
    let third = page.living(&[hero, helper]);
    let people = [hero, helper, third];
    page.person('z', third);
    page.choose(&[
        "{a.first}, {b.first} and {z} were in the house.",
        "That day {b} and {z} had come to {a.first}.",
    ]);
    let first = page.random.below(ITEMS.len());
    let items = [ITEMS[first], ITEMS[(first + 1 + page.random.below(ITEMS.len() - 1)) % ITEMS.len()]];
    // Where each item lies, or who carries it; and where everybody is.
    let mut at: [Result<usize, usize>; 2] = [Ok(page.random.below(8)), Ok(page.random.below(8))];
    let mut room = [0; 3].map(|_: usize| page.random.below(8));
    for (item, place) in items.into_iter().zip(at) {
        page.text('i', item);
        page.text('r', ROOMS[place.unwrap_or(0)]);
        page.choose(&["The {i} was in the {r}.", "In the {r} lay the {i}."]);
    }
    for (which, &room) in room.iter().enumerate() {
        page.person('z', people[which]);
        page.text('r', ROOMS[room]);
        page.choose(&["{z.first} was in the {r}.", "{z.first} sat in the {r}."]);
    }
    page.paragraph();
    for _ in 0..page.random.between(4, 12) {
        let who = page.random.below(3);
        page.person('z', people[who]);
        let carried = (0..2).find(|&item| at[item] == Err(who));
        let here = (0..2).find(|&item| at[item] == Ok(room[who]));
        match (carried, here) {
            (Some(item), _) if page.random.chance(45) => {
                at[item] = Ok(room[who]);
                page.text('i', items[item]);
                page.choose(&["{z.first} put the {i} down.", "{z.first} left the {i} there."]);
            }
            (_, Some(item)) if page.random.chance(70) => {
                at[item] = Err(who);
                page.text('i', items[item]);
                page.choose(&["{z.first} took the {i}.", "{z.first} picked up the {i}."]);
            }
            _ => {
                // Towards something that lies about, more often than not.
                let lying: Vec<usize> = at.iter().filter_map(|place| place.ok()).collect();
                let to = if lying.is_empty() || page.random.chance(40) {
                    page.random.below(8)
                } else {
                    lying[page.random.below(lying.len())]
                };
                if to == room[who] {
                    continue;
                }
                room[who] = to;
                page.text('r', ROOMS[to]);
                page.choose(&["{z.first} went to the {r}.", "{z.first} walked into the {r}."]);
            }
        }
        if page.random.chance(12) {
            let noun = page.noun();
            page.scenery(noun);
        }
    }
    page.paragraph();
    for (item, place) in items.into_iter().zip(at) {
        page.text('i', item);
        match place {
            Ok(place) => {
                page.text('r', ROOMS[place]);
                page.choose(&["In the end the {i} was in the {r}.", "Where was the {i}? In the {r}."]);
            }
            Err(who) => {
                page.person('z', people[who]);
                page.choose(&["In the end {z.first} had the {i}.", "Who had the {i}? {z.first}."]);
            }
        }
    }
}
