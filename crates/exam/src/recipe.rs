//! The exam of a recipe: what its templates make of the rows that are held out.

use data::Recipe;

use crate::{Error, Item, Result};

/// At most `count` items of each family. Items whose picture or answer is wrong are errors; a recipe without held-out rows has
/// none.
pub fn recipe(recipe: &Recipe, count: usize) -> Result<Vec<Item>> {
    let mut items: Vec<Item> = Vec::new();
    for number in 0..recipe.count(true) {
        let posed = recipe.posed(true, number);
        let posed = posed.map_err(|what| Error::Item { id: format!("held out {number}"), what })?;
        if items.iter().filter(|item| item.family == posed.family).count() >= count {
            continue;
        }
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
