//! The documents of a recipe.

use std::path::PathBuf;

use super::{Item, Problem, Reader, ReaderConfig, Record};
use crate::recipe::Opened;
use crate::source::InputFile;

/// Makes them one after the other: what is trained on, then what is held out.
pub(super) struct RecipeReader {
    opened: Opened,
    path: PathBuf,
    most: usize,
    name: String,
    held: bool,
    next: u64,
    done: bool,
}

impl RecipeReader {
    pub(super) fn new(file: &InputFile, config: &ReaderConfig) -> RecipeReader {
        let (opened, path, name) = (file.opened.clone(), file.path.clone(), file.name.clone());
        RecipeReader { opened, path, most: config.record_bytes, name, held: false, next: 0, done: false }
    }
}

impl Reader for RecipeReader {
    fn next(&mut self) -> Option<Item> {
        if self.done {
            return None;
        }
        let recipe = match self.opened.recipe(&self.path, self.most) {
            Ok(recipe) => recipe,
            Err(what) => {
                self.done = true;
                return Some(Err(Problem { place: self.name.clone(), what: what.clone() }));
            }
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
