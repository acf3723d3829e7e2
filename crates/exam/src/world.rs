//! The exam of the generated world: its pictures, by family and level, none of which was drawn for training.

use data::world::{Sight, World};

use crate::Item;

/// What of each picture is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// All of it.
    #[default]
    Whole,
    /// The drawing, with nothing written in it.
    Drawing,
    /// What is written in it, as the words in which [`crate::Rendering::Transcribed`] gives a picture.
    Words,
}

/// Which of a world's items are posed.
#[derive(Clone, Debug, Default)]
pub struct WorldExam {
    /// Of the world.
    pub seed: u64,
    /// From 1 to 3.
    pub levels: Vec<u32>,
    /// Items a family and level, a picture each.
    pub count: usize,
    /// Whether they show combinations that training never shows, or other pictures of those that it shows.
    pub unseen: bool,
    /// Only questions that need what is written in the pictures and what is drawn there; families that have none are left out.
    pub both: bool,
    /// What of the pictures is shown.
    pub shown: Shown,
}

/// Exhibits in a row without a question that is wanted, after which a family is taken to have none.
const NONE: u64 = 64;

impl WorldExam {
    /// The items.
    pub fn items(&self) -> Vec<Item> {
        let world = World::new(self.seed);
        let mut items = Vec::new();
        for sight in Sight::ALL {
            for &level in &self.levels {
                let (mut have, mut last) = (0, data::world::EXAM);
                for index in data::world::EXAM.. {
                    if have == self.count || index - last > NONE {
                        break;
                    }
                    if let Some(item) = self.item(&world, sight, level, index) {
                        items.push(item);
                        (have, last) = (have + 1, index);
                    }
                }
            }
        }
        items
    }

    /// Of an exhibit, each of which asks another question.
    fn item(&self, world: &World, sight: Sight, level: u32, index: u64) -> Option<Item> {
        let exhibit = match self.shown {
            Shown::Drawing => world.wordless(sight, level, index, self.unseen),
            Shown::Whole | Shown::Words => world.exhibit(sight, level, index, self.unseen),
        };
        let wanted: Vec<_> = exhibit.questions.iter().filter(|asked| asked.both || !self.both).collect();
        let asked = wanted.get(index as usize % wanted.len().max(1))?;
        let (prompt, choices) = Item::asked(exhibit.show(&asked.prompt), &asked.choices);
        Some(Item {
            id: format!("{}-{level}-{index}", sight.name()),
            family: sight.name().into(),
            kind: asked.kind.into(),
            level,
            prompt,
            choices,
            right: asked.right,
            answer: asked.answer.clone(),
            transcription: match self.shown {
                Shown::Words => exhibit.words.clone(),
                Shown::Whole | Shown::Drawing => exhibit.transcription.clone(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::SegmentKind;

    #[test]
    fn every_family_and_level_has_its_items() {
        for unseen in [false, true] {
            let exam = WorldExam { seed: 7, levels: vec![1, 3], count: 5, unseen, ..WorldExam::default() };
            let items = exam.items();
            assert_eq!(items.len(), Sight::ALL.len() * 2 * 5);
            for item in &items {
                assert!(item.choices.len() >= 2 && item.choices[item.right] == format!("{}\n", item.answer));
                let shown = item.prompt.iter().filter(|kind| matches!(kind, SegmentKind::Image(_))).count();
                assert_eq!(shown, item.transcription.len(), "{}", item.id);
            }
        }
    }

    #[test]
    fn words_and_drawing_are_shown_apart_where_both_are_needed() {
        let exam = |shown| {
            let exam = WorldExam {
                seed: 7,
                levels: vec![1, 2],
                count: 6,
                both: true,
                shown,
                ..WorldExam::default()
            };
            exam.items()
        };
        let (whole, words, drawing) = (exam(Shown::Whole), exam(Shown::Words), exam(Shown::Drawing));
        let families: std::collections::BTreeSet<&str> =
            whole.iter().map(|item| item.family.as_str()).collect();
        assert_eq!(families.into_iter().collect::<Vec<_>>(), ["chart", "comic"]);
        assert_eq!(whole.len(), 2 * 2 * 6);
        let text = |item: &Item| {
            let text = item.prompt.iter().filter(|kind| matches!(kind, SegmentKind::Text(_)));
            (text.cloned().collect::<Vec<_>>(), item.choices.clone(), item.right)
        };
        for ((whole, words), drawing) in whole.iter().zip(&words).zip(&drawing) {
            assert_eq!(text(whole), text(words));
            assert_eq!(text(whole), text(drawing));
            assert_eq!(whole.prompt, words.prompt);
            assert_ne!(whole.prompt, drawing.prompt, "{}", whole.id);
            for (all, said) in whole.transcription.iter().zip(&words.transcription) {
                assert!(!said.is_empty() && all != said, "{}: {said}", whole.id);
            }
        }
    }
}
