//! The exam of a recipe: what its templates make of the rows that are held out.

use std::collections::BTreeMap;

use data::Recipe;

use crate::{Error, Item, Result};

/// At most `count` items of each family. Items whose picture or answer is wrong are errors; a recipe without held-out rows has
/// none.
pub fn recipe(recipe: &Recipe, count: usize) -> Result<Vec<Item>> {
    let (mut items, mut counts) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for number in 0..recipe.count(true) {
        let have = counts.entry(recipe.family(number)).or_default();
        if *have >= count {
            continue;
        }
        *have += 1;
        let posed = recipe.posed(true, number);
        let posed = posed.map_err(|what| Error::Item { id: format!("held out {number}"), what })?;
        items.push(Item {
            id: posed.id,
            right: posed.choices.iter().position(|choice| *choice == posed.answer).unwrap_or(0),
            choices: posed.choices.iter().map(|choice| format!("{choice}\n")).collect(),
            family: posed.family,
            level: 1,
            prompt: posed.prompt,
            answer: posed.answer,
            transcription: Vec::new(),
        });
    }
    Ok(items)
}
