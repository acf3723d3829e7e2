//! The exam of a recipe: what its templates make of the rows that are held out.

use std::collections::HashMap;

use data::Recipe;

use crate::{Error, Item, Result};

/// At most `count` items of each family and level, of all levels or of some. Rows that templates do not fit are errors; a recipe
/// without held-out rows has no items.
pub fn recipe(recipe: &Recipe, levels: Option<&[u32]>, count: usize) -> Result<Vec<Item>> {
    let (mut items, mut counts) = (Vec::new(), HashMap::<(String, u32), usize>::new());
    let wanted = |level| levels.is_none_or(|levels| levels.contains(&level));
    for number in 0..recipe.count(true) {
        // What its templates say without a row need not be drawn to be left out.
        if let Some((family, level)) = recipe.kind(number)
            && (!wanted(level) || counts.get(&(family.to_owned(), level)).is_some_and(|have| *have >= count))
        {
            continue;
        }
        let posed = recipe.posed(true, number);
        let posed = posed.map_err(|what| Error::Item { id: format!("held out {number}"), what })?;
        let have = counts.entry((posed.family.clone(), posed.level)).or_default();
        if !wanted(posed.level) || *have >= count {
            continue;
        }
        *have += 1;
        let (prompt, choices) = Item::asked(posed.prompt, &posed.choices);
        items.push(Item {
            id: posed.id,
            right: posed.choices.iter().position(|choice| *choice == posed.answer).unwrap_or(0),
            choices,
            family: posed.family,
            kind: String::new(),
            level: posed.level,
            prompt,
            answer: posed.answer,
            transcription: posed.transcription,
        });
    }
    Ok(items)
}
