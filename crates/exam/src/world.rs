//! The exam of the generated world: its pictures, by family and level, none of which was drawn for training.

use data::world::{Sight, World};

use crate::Item;

/// Which pictures are asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pool {
    /// Of combinations that training shows, in other pictures.
    #[default]
    Seen,
    /// Of combinations that training never shows.
    Unseen,
}

/// `count` items a family and level of a world, a picture each.
pub fn world(seed: u64, levels: &[u32], count: usize, pool: Pool) -> Vec<Item> {
    let world = World::new(seed);
    let mut items = Vec::new();
    for sight in Sight::ALL {
        for &level in levels {
            let mut index = data::world::EXAM;
            let end = items.len() + count;
            while items.len() < end {
                let exhibit = world.exhibit(sight, level, index, pool == Pool::Unseen);
                // Another question of each.
                let asked = exhibit.questions.get(index as usize % exhibit.questions.len().max(1));
                if let Some(asked) = asked {
                    items.push(Item {
                        id: format!("{}-{level}-{index}", sight.name()),
                        family: sight.name().into(),
                        level,
                        prompt: exhibit.show(&asked.prompt),
                        choices: asked.choices.iter().map(|choice| format!("{choice}\n")).collect(),
                        right: asked.right,
                        answer: asked.answer.clone(),
                        transcription: exhibit.transcription.clone(),
                    });
                }
                index += 1;
            }
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_and_level_has_its_items() {
        for pool in [Pool::Seen, Pool::Unseen] {
            let items = world(7, &[1, 3], 5, pool);
            assert_eq!(items.len(), Sight::ALL.len() * 2 * 5);
            for item in &items {
                assert!(item.choices.len() >= 2 && item.choices[item.right] == format!("{}\n", item.answer));
                let shown =
                    item.prompt.iter().filter(|kind| matches!(kind, data::SegmentKind::Image(_))).count();
                assert_eq!(shown, item.transcription.len(), "{}", item.id);
            }
        }
    }
}
