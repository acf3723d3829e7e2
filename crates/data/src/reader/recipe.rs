//! The documents of a recipe.

use super::{Item, Problem, Reader, ReaderConfig, Record};
use crate::recipe::Recipe;
use crate::source::InputFile;

/// Makes them one after the other: what is trained on, then what is held out.
pub(super) struct RecipeReader {
    recipe: Result<Recipe, Option<String>>,
    name: String,
    held: bool,
    next: u64,
}

impl RecipeReader {
    pub(super) fn new(file: &InputFile, config: &ReaderConfig) -> RecipeReader {
        let recipe = Recipe::open(&file.path, config.record_bytes).map_err(Some);
        RecipeReader { recipe, name: file.name.clone(), held: false, next: 0 }
    }
}

impl Reader for RecipeReader {
    fn next(&mut self) -> Option<Item> {
        let recipe = match &mut self.recipe {
            Ok(recipe) => recipe,
            Err(what) => return what.take().map(|what| Err(Problem { place: self.name.clone(), what })),
        };
        if !self.held && self.next == recipe.count(false) {
            (self.held, self.next) = (true, 0);
        }
        if self.held && self.next == recipe.count(true) {
            return None;
        }
        let posed = recipe.posed(self.held, self.next);
        self.next += 1;
        let record = |posed: crate::Posed| Record {
            document: posed.document(&self.name),
            licence: None,
            replaced: false,
            part: false,
            held: recipe.holds_out().then_some(self.held),
        };
        Some(posed.map(record).map_err(|what| Problem { place: self.name.clone(), what }))
    }
}
