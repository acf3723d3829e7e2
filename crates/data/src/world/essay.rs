//! Thoughts on a word: nothing but habits of speech.

use super::page::Page;

pub(super) fn write(page: &mut Page) {
    let topics: Vec<&'static str> = (0..page.random.between(2, 5)).map(|_| page.noun()).collect();
    page.picture(topics[0]);
    page.choose(&[
        "On [the {n}|{many n}|the {d} {n}]",
        "What [people|the old] say of {many n}",
        "Of {many n} and {many o}",
        "Thoughts [about|upon] {an n}",
    ]);
    page.paragraph();
    for part in 0..page.random.between(2, 5) {
        page.picture(topics[0]);
        page.choose(&[
            "[Everybody|Everyone|Nobody] knows the {n}.",
            "[Consider|Think of|Take] {an d} {n}.",
            "My [grandmother|father|old teacher|neighbour|aunt] used to speak of {many n}.",
            "There are [many|few|two kinds of] {many n} in the world.",
            "[I once saw|I remember|I have never seen] {an d} {n} {q} the {h}.",
        ]);
        for _ in 0..page.random.between(3, 8) {
            // The topic comes back, and so does what was named beside it.
            let noun = match page.random.below(10) {
                0 => page.noun(),
                _ => topics[page.random.skewed(topics.len())],
            };
            if (part + page.random.below(3) as u64).is_multiple_of(2) {
                page.saying(noun)
            } else {
                page.scenery(noun)
            }
            if page.random.chance(12) {
                page.any(&[
                    "That is [the way of things|how it is|an old truth].",
                    "I [do not know|have often wondered|cannot say] why.",
                    "[Some|Others] [disagree|laugh at this].",
                    "So it has always been.",
                ]);
            }
        }
        page.paragraph();
    }
}
