//! Questions that the language itself answers: how a word goes on, which word comes next, who was spoken of.
//!
//! They are cut out of documents that no file of the world holds, whose indices are far beyond any. The easiest are
//! known to models that have hardly seen the world.

use std::collections::HashSet;

use super::{Cell, Item, Quiz};
use crate::heldout::HeldOut;

/// Questions of a level: what small models can tell apart lies here.
const EACH: usize = 80;

/// Index of the first document that is asked about.
const BEYOND: u64 = 1 << 48;

/// Bytes of a prompt, about.
const NEAR: usize = 60;
/// And of one in which a name is to be found again.
const FAR: usize = 200;

/// Documents in which no prompt may stand: what is said often would cost many documents to hold out.
const OFTEN: u64 = 1500;

pub(super) fn cells(quiz: &mut Quiz<'_>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for (level, family, cut) in [
        (1, "ending", Cut::Letters(1)),
        (2, "ending", Cut::Letters(2)),
        (3, "ending", Cut::Letters(3)),
        (1, "joint", Cut::Joint),
        (1, "words", Cut::Words(3)),
        (2, "words", Cut::Words(2)),
        (1, "word", Cut::Words(1)),
        (1, "name", Cut::Name(0, NEAR)),
        (2, "name", Cut::Name(NEAR, FAR)),
    ] {
        let items = collect(quiz, cut);
        cells.push(Cell { count: EACH, ..Cell::new(family, level, items) });
    }
    let items = cells.iter().flat_map(|cell| &cell.items).map(|item| (item.prompt.clone(), &item.prompt));
    let list = HeldOut::from_items(items);
    let texts: Vec<String> = (0..OFTEN).map(|index| quiz.world.document(index)).collect();
    let often: HashSet<&str> = texts.iter().flat_map(|text| list.all_in(text)).collect();
    for cell in &mut cells {
        cell.items.retain(|item| !often.contains(item.prompt.as_str()));
    }
    cells
}

/// What is cut off, of a word of letters alone.
#[derive(Clone, Copy)]
enum Cut {
    /// So many letters of a longer word.
    Letters(usize),
    /// So many words in small letters, of which the first is no short one.
    Words(usize),
    /// What joins a word to the next: a mark, or a short word.
    Joint,
    /// A capitalised word that stood at this distance before, and not nearer.
    Name(usize, usize),
}

/// Several times as many items as are needed, one a document, so that groups can be made of them.
fn collect(quiz: &mut Quiz<'_>, cut: Cut) -> Vec<Item> {
    let mut items = Vec::new();
    let mut words = HashSet::new();
    while items.len() < 4 * EACH {
        let index = BEYOND + quiz.random.next() % BEYOND;
        let text = quiz.world.document(index);
        let places: Vec<Item> = text.match_indices(' ').filter_map(|(at, _)| item(&text, at, cut)).collect();
        if places.is_empty() {
            continue;
        }
        let Item { prompt, answer } = &places[quiz.random.below(places.len())];
        // A word is asked for once, or the common ones would be all there is.
        let whole = format!("{}{answer}", prompt.rsplit(' ').next().unwrap_or_default());
        if words.insert(whole) || words.len() > 3 * EACH {
            items.push(Item { prompt: prompt.clone(), answer: answer.clone() });
        }
    }
    items
}

/// What joins words.
const JOINTS: [&str; 10] = ["and", "of", "in", "to", "the", "was", "is", "for", "with", "from"];

/// The question about the word behind a space, if it is a fit one.
fn item(text: &str, space: usize, cut: Cut) -> Option<Item> {
    let rest = &text[space + 1..];
    let word = &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())];
    // What comes behind the word ends the answer.
    let after = rest[word.len()..].chars().next().filter(|c| " ,.;\n".contains(*c))?;
    let small = word.bytes().all(|byte| byte.is_ascii_lowercase());
    let mut end = space + 1 + word.len();
    let (begin, far) = match cut {
        Cut::Letters(letters) if small && word.len() >= letters + 3 => (end - letters, NEAR),
        Cut::Words(words) if small && word.len() >= 3 => {
            for _ in 1..words {
                let next = text[end..].strip_prefix(' ')?;
                let length = next.find(|c: char| !c.is_ascii_lowercase())?;
                end += (length > 0).then_some(1 + length)?;
            }
            (space, NEAR)
        }
        Cut::Joint => match text[..space].strip_suffix([',', ';', '.']) {
            Some(before) if before.ends_with(|c: char| c.is_ascii_lowercase()) => {
                end = space;
                (before.len(), NEAR)
            }
            None if after == ' ' && JOINTS.contains(&word) => (space, NEAR),
            _ => return None,
        },
        Cut::Name(from, to)
            if after == ' ' && word.len() >= 4 && word.starts_with(|c: char| c.is_ascii_uppercase()) =>
        {
            let before = &text[..space];
            let found = before.rfind(word)?;
            let distance = space - found - word.len();
            // At the beginning of a sentence many words have a capital.
            let within = !before.ends_with(['.', '!', '?', '\n', ':', '"']) && !text[..found].ends_with(". ");
            if !within || distance < from.max(word.len()) || distance > to {
                return None;
            }
            (space, distance + word.len() + 20)
        }
        _ => return None,
    };
    // From the beginning of a word, and neither too little nor too much.
    let least = begin.checked_sub(far)?;
    let start = least + text[least..begin].find([' ', '\n'])? + 1;
    let prompt = text[start..begin].trim_start();
    let after = text[end..].chars().next().filter(|c| " ,.;\n".contains(*c))?;
    let told = prompt.chars().filter(char::is_ascii_alphabetic).count();
    let answer = format!("{}{after}", &text[begin..end]);
    (told >= 20 && !prompt.contains("\n\n")).then(|| Item { prompt: prompt.into(), answer })
}
