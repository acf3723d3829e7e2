//! Putting items to a respondent, and counting.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Item, Rendering, Result};

/// Who sits an exam.
pub trait Respondent {
    /// How likely each of the choices is to follow, in nats: of many items at once, so that they may be read side by side.
    fn choose(&mut self, items: &[&Item], rendering: Rendering) -> Result<Vec<Vec<f64>>>;

    /// What is written after the prompt, up to the end of the line.
    fn write(&mut self, items: &[&Item], rendering: Rendering) -> Result<Vec<String>>;
}

/// How an exam is sat.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sitting {
    /// How pictures are shown.
    pub rendering: Rendering,
    /// Whether answers are written, and must be right to the letter; otherwise the likeliest of the choices counts.
    pub written: bool,
}

/// Items that are posed together.
const AT_ONCE: usize = 64;

/// How a family and level came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FamilyScore {
    /// What they are about.
    pub family: String,
    /// How hard they are.
    pub level: u32,
    /// Items.
    pub items: usize,
    /// Share of them that was right.
    pub accuracy: f64,
    /// 95 % interval of the accuracy (Wilson, 1927).
    pub lo95: f64,
    /// Its upper end.
    pub hi95: f64,
    /// What blind guessing would get; 0 for written answers.
    pub chance: f64,
}

/// All families, and their mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Items.
    pub items: usize,
    /// Mean of the families' and levels' accuracies.
    pub macro_accuracy: f64,
    /// The same of each level.
    pub by_level: BTreeMap<u32, f64>,
    /// Mean of the chances.
    pub chance: f64,
}

#[derive(Default)]
struct Count {
    items: usize,
    right: usize,
    chance: f64,
}

impl Sitting {
    /// Poses all items; `told` hears how many are done.
    pub fn sit(
        &self,
        items: &[Item],
        respondent: &mut dyn Respondent,
        told: &mut dyn FnMut(usize),
    ) -> Result<(Vec<FamilyScore>, Summary)> {
        let mut counts: BTreeMap<(String, u32), Count> = BTreeMap::new();
        let mut done = 0;
        for items in items.chunks(AT_ONCE) {
            let posed: Vec<&Item> = items.iter().collect();
            let right: Vec<bool> = match self.written {
                true => {
                    let written = respondent.write(&posed, self.rendering)?;
                    items.iter().zip(written).map(|(item, text)| text.trim() == item.answer.trim()).collect()
                }
                false => {
                    let chosen = respondent.choose(&posed, self.rendering)?;
                    items.iter().zip(chosen).map(|(item, nats)| best(&nats) == Some(item.right)).collect()
                }
            };
            for (item, right) in items.iter().zip(right) {
                let count = counts.entry((item.family.clone(), item.level)).or_default();
                count.items += 1;
                count.right += usize::from(right);
                count.chance += if self.written { 0.0 } else { item.chance() };
            }
            done += items.len();
            told(done);
        }
        let scores: Vec<FamilyScore> =
            counts.into_iter().map(|((family, level), count)| score(family, level, &count)).collect();
        let summary = summary(&scores);
        Ok((scores, summary))
    }
}

/// The likeliest, the first of equals; `None` where one is no number.
fn best(nats: &[f64]) -> Option<usize> {
    if nats.iter().any(|x| x.is_nan()) {
        return None;
    }
    (0..nats.len()).reduce(|best, other| if nats[other] > nats[best] { other } else { best })
}

fn score(family: String, level: u32, count: &Count) -> FamilyScore {
    let items = count.items.max(1) as f64;
    let accuracy = count.right as f64 / items;
    let (lo95, hi95) = wilson(accuracy, items);
    FamilyScore { family, level, items: count.items, accuracy, lo95, hi95, chance: count.chance / items }
}

/// Wilson's 95 % interval of a share of `items` (Wilson, JASA 22, 1927).
fn wilson(share: f64, items: f64) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    let square = Z * Z / items;
    let middle = (share + square / 2.0) / (1.0 + square);
    let half = Z / (1.0 + square) * (share * (1.0 - share) / items + square / (4.0 * items)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count.max(1))
}

fn summary(scores: &[FamilyScore]) -> Summary {
    let levels: std::collections::BTreeSet<u32> = scores.iter().map(|score| score.level).collect();
    let of = |level: u32| {
        mean(scores.iter().filter(move |score| score.level == level).map(|score| score.accuracy))
    };
    Summary {
        items: scores.iter().map(|score| score.items).sum(),
        macro_accuracy: mean(scores.iter().map(|score| score.accuracy)),
        by_level: levels.into_iter().map(|level| (level, of(level))).collect(),
        chance: mean(scores.iter().map(|score| score.chance)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows the answers of one family, and always takes the first choice in others.
    struct Half;

    impl Respondent for Half {
        fn choose(&mut self, items: &[&Item], rendering: Rendering) -> Result<Vec<Vec<f64>>> {
            let nats = |item: &&Item| {
                let knows = item.family == "known" && rendering == Rendering::Seeing;
                let chosen = if knows { item.right } else { 0 };
                (0..item.choices.len()).map(|choice| if choice == chosen { -1.0 } else { -2.0 }).collect()
            };
            Ok(items.iter().map(nats).collect())
        }

        fn write(&mut self, items: &[&Item], _: Rendering) -> Result<Vec<String>> {
            Ok(items.iter().map(|item| format!(" {}", if item.level == 1 { "y" } else { "z" })).collect())
        }
    }

    fn items() -> Vec<Item> {
        let item = |at: usize| Item {
            id: at.to_string(),
            family: if at.is_multiple_of(2) { "known" } else { "other" }.into(),
            level: 1 + (at / 100) as u32,
            prompt: Vec::new(),
            choices: vec!["x".into(), "y".into()],
            right: 1,
            answer: "y".into(),
            transcription: Vec::new(),
        };
        (0..200).map(item).collect()
    }

    #[test]
    fn families_and_levels_are_counted_apart() {
        let items = items();
        let mut heard = Vec::new();
        let (scores, all) = Sitting::default().sit(&items, &mut Half, &mut |done| heard.push(done)).unwrap();
        assert_eq!(heard, [64, 128, 192, 200]);
        let shown: Vec<_> =
            scores.iter().map(|s| (s.family.as_str(), s.level, s.items, s.accuracy, s.chance)).collect();
        assert_eq!(
            shown,
            [
                ("known", 1, 50, 1.0, 0.5),
                ("known", 2, 50, 1.0, 0.5),
                ("other", 1, 50, 0.0, 0.5),
                ("other", 2, 50, 0.0, 0.5)
            ]
        );
        assert_eq!((all.items, all.macro_accuracy, all.chance), (200, 0.5, 0.5));
        let blind = Sitting { rendering: Rendering::Blind, written: false };
        assert_eq!(blind.sit(&items, &mut Half, &mut |_| ()).unwrap().1.macro_accuracy, 0.0);
        let written = Sitting { written: true, ..Sitting::default() };
        let by_level = written.sit(&items, &mut Half, &mut |_| ()).unwrap().1.by_level;
        assert_eq!(by_level.into_iter().collect::<Vec<_>>(), [(1, 1.0), (2, 0.0)]);
    }

    /// Brown, Cai and DasGupta, Statistical Science 16 (2001), tabulate no ends of it; these are its formula by hand.
    #[test]
    fn intervals_are_wilsons() {
        let close = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 1e-4 && (b - d).abs() < 1e-4;
        assert!(close(wilson(0.5, 10.0), (0.2366, 0.7634)));
        assert!(close(wilson(0.0, 10.0), (0.0, 0.2775)));
        assert!(close(wilson(0.9, 50.0), (0.7864, 0.9565)), "{:?}", wilson(0.9, 50.0));
    }
}
