//! Putting items to a respondent, and counting.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Error, Item, NotPosed, Reason, Rendering, Result};

/// What an item came to, or why it was not posed.
pub type Posed<T> = std::result::Result<T, NotPosed>;

/// Who sits an exam.
pub trait Respondent {
    /// How likely each of the choices is to follow, in nats: of many items at once, so that they may be read side by side.
    fn choose(&mut self, items: &[&Item], rendering: Rendering) -> Result<Vec<Posed<Vec<f64>>>>;

    /// What is written after the prompt, up to the end of the line.
    fn write(&mut self, items: &[&Item], rendering: Rendering) -> Result<Vec<Posed<String>>>;
}

/// How an exam is sat.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sitting {
    /// How pictures are shown.
    pub rendering: Rendering,
    /// Whether all answers are written, and must be right to the letter; otherwise the likeliest of the choices counts, and only
    /// items without choices are written.
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
    /// Items that were posed, one at least.
    pub items: usize,
    /// Share of them that was right.
    pub accuracy: f64,
    /// 95 % interval of the accuracy (Wilson, 1927).
    pub lo95: f64,
    /// Its upper end.
    pub hi95: f64,
    /// What blind guessing would get; 0 for written answers.
    pub chance: f64,
    /// Items that could not be posed.
    pub not_posed: usize,
    /// Each kind of question by itself, where items say their kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_kind: BTreeMap<String, KindScore>,
}

/// All families, and their mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Items that were posed.
    pub items: usize,
    /// Mean of the families' and levels' accuracies.
    pub macro_accuracy: f64,
    /// The same of each level.
    pub by_level: BTreeMap<u32, f64>,
    /// Mean of the chances.
    pub chance: f64,
    /// Items with choices (`choice`) and those whose answer is written (`written`), each by themselves.
    pub by_answer: BTreeMap<&'static str, KindScore>,
    /// Items that could not be posed, by the reason.
    pub not_posed: Vec<Left>,
}

/// How items of one kind came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindScore {
    /// Items that were posed.
    pub items: usize,
    /// Share of them that was right.
    pub accuracy: f64,
    /// 95 % interval of the accuracy.
    pub lo95: f64,
    /// Its upper end.
    pub hi95: f64,
    /// What blind guessing would get.
    pub chance: f64,
}

/// Items that could not be posed for one reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Left {
    /// The reason.
    pub reason: String,
    /// How many.
    pub items: usize,
    /// The first of them, and what is the matter with it.
    pub first: String,
}

#[derive(Default)]
struct Count {
    items: usize,
    right: usize,
    chance: f64,
    not_posed: usize,
    kinds: BTreeMap<String, Count>,
}

impl Count {
    fn add(&mut self, right: bool, chance: f64) {
        self.items += 1;
        self.right += usize::from(right);
        self.chance += chance;
    }

    /// Accuracy, its interval, and chance.
    fn shares(&self) -> (f64, (f64, f64), f64) {
        let items = self.items as f64;
        let accuracy = self.right as f64 / items;
        (accuracy, wilson(accuracy, items), self.chance / items)
    }
}

impl Sitting {
    /// Poses all items; `told` hears how many are done.
    ///
    /// # Errors
    /// [`Error::NonePosed`] if none can be; whatever the respondent fails of.
    pub fn sit(
        &self,
        items: &[Item],
        respondent: &mut dyn Respondent,
        told: &mut dyn FnMut(usize),
    ) -> Result<(Vec<FamilyScore>, Summary)> {
        let mut counts: BTreeMap<(&str, u32), Count> = BTreeMap::new();
        let mut kinds: BTreeMap<&'static str, Count> = BTreeMap::new();
        let mut left: BTreeMap<Reason, Left> = BTreeMap::new();
        let mut done = 0;
        for items in items.chunks(AT_ONCE) {
            for written in [false, true] {
                let posed: Vec<&Item> = items.iter().filter(|item| self.writes(item) == written).collect();
                for (item, right) in posed.iter().zip(self.pose(&posed, written, respondent)?) {
                    let count = counts.entry((&item.family, item.level)).or_default();
                    let chance = if written { 0.0 } else { item.chance() };
                    match right {
                        Ok(right) => {
                            count.add(right, chance);
                            if !item.kind.is_empty() {
                                count.kinds.entry(item.kind.clone()).or_default().add(right, chance);
                            }
                            let kind = if written { "written" } else { "choice" };
                            kinds.entry(kind).or_default().add(right, chance);
                        }
                        Err(NotPosed { reason, what }) => {
                            count.not_posed += 1;
                            let first = || Left {
                                reason: reason.to_string(),
                                items: 0,
                                first: format!("{}: {what}", item.id),
                            };
                            left.entry(reason).or_insert_with(first).items += 1;
                        }
                    }
                }
            }
            done += items.len();
            told(done);
        }
        if let (true, Some(one)) = (kinds.is_empty(), left.values().next()) {
            let first = format!("{}; {}", one.reason, one.first);
            return Err(Error::NonePosed { items: items.len(), first });
        }
        counts.retain(|_, count| count.items > 0);
        let scores: Vec<FamilyScore> =
            counts.into_iter().map(|((family, level), count)| score(family, level, &count)).collect();
        let mut summary = summary(&scores);
        summary.by_answer = kinds.into_iter().map(|(kind, count)| (kind, kind_score(&count))).collect();
        summary.not_posed = left.into_values().collect();
        Ok((scores, summary))
    }

    /// Whether the answer to an item is written.
    fn writes(&self, item: &Item) -> bool {
        self.written || item.choices.is_empty()
    }

    /// Whether the answers to some items are right.
    fn pose(
        &self,
        items: &[&Item],
        written: bool,
        respondent: &mut dyn Respondent,
    ) -> Result<Vec<Posed<bool>>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let asked = items.iter();
        Ok(match written {
            true => {
                let written = respondent.write(items, self.rendering)?;
                let right = |item: &Item, text: String| text.trim() == item.answer.trim();
                asked.zip(written).map(|(item, text)| text.map(|text| right(item, text))).collect()
            }
            false => {
                let chosen = respondent.choose(items, self.rendering)?;
                let right = |item: &Item, nats: Vec<f64>| best(&nats) == Some(item.right);
                asked.zip(chosen).map(|(item, nats)| nats.map(|nats| right(item, nats))).collect()
            }
        })
    }
}

/// The likeliest, the first of equals; `None` where one is no number.
fn best(nats: &[f64]) -> Option<usize> {
    if nats.iter().any(|x| x.is_nan()) {
        return None;
    }
    (0..nats.len()).reduce(|best, other| if nats[other] > nats[best] { other } else { best })
}

fn score(family: &str, level: u32, count: &Count) -> FamilyScore {
    let (accuracy, (lo95, hi95), chance) = count.shares();
    let (family, items, not_posed) = (family.to_owned(), count.items, count.not_posed);
    let by_kind = count.kinds.iter().map(|(kind, count)| (kind.clone(), kind_score(count))).collect();
    FamilyScore { family, level, items, accuracy, lo95, hi95, chance, not_posed, by_kind }
}

fn kind_score(count: &Count) -> KindScore {
    let (accuracy, (lo95, hi95), chance) = count.shares();
    KindScore { items: count.items, accuracy, lo95, hi95, chance }
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
        by_answer: BTreeMap::new(),
        not_posed: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows the answers of one family, and always takes the first choice in others.
    struct Half;

    impl Respondent for Half {
        fn choose(&mut self, items: &[&Item], rendering: Rendering) -> Result<Vec<Posed<Vec<f64>>>> {
            let nats = |item: &&Item| {
                if item.family == "long" {
                    return Err(NotPosed { reason: Reason::Length, what: "9 tokens".into() });
                }
                let knows = item.family == "known" && rendering == Rendering::Seeing;
                let chosen = if knows { item.right } else { 0 };
                let nats = |choice| if choice == chosen { -1.0 } else { -2.0 };
                Ok((0..item.choices.len()).map(nats).collect())
            };
            Ok(items.iter().map(nats).collect())
        }

        fn write(&mut self, items: &[&Item], _: Rendering) -> Result<Vec<Posed<String>>> {
            let text = |item: &&Item| Ok(format!(" {}", if item.level == 1 { "y" } else { "z" }));
            Ok(items.iter().map(text).collect())
        }
    }

    fn items() -> Vec<Item> {
        let item = |at: usize| Item {
            id: at.to_string(),
            family: if at.is_multiple_of(2) { "known" } else { "other" }.into(),
            kind: if at.is_multiple_of(4) { "fourth" } else { "" }.into(),
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
        let kinds =
            scores.iter().flat_map(|score| score.by_kind.iter().map(|(kind, of)| (kind.as_str(), of.items)));
        assert_eq!(kinds.collect::<Vec<_>>(), [("fourth", 25), ("fourth", 25)]);
        assert_eq!((all.items, all.macro_accuracy, all.chance), (200, 0.5, 0.5));
        let blind = Sitting { rendering: Rendering::Blind, written: false };
        assert_eq!(blind.sit(&items, &mut Half, &mut |_| ()).unwrap().1.macro_accuracy, 0.0);
        let written = Sitting { written: true, ..Sitting::default() };
        let by_level = written.sit(&items, &mut Half, &mut |_| ()).unwrap().1.by_level;
        assert_eq!(by_level.into_iter().collect::<Vec<_>>(), [(1, 1.0), (2, 0.0)]);
    }

    #[test]
    fn what_has_no_choices_is_written_and_what_cannot_be_posed_is_counted() {
        let mut items = items();
        items[3].choices.clear();
        items[4].family = "long".into();
        items[6].family = "long".into();
        items[8].family = "long".into();
        items[8].choices.clear();
        let (scores, all) = Sitting::default().sit(&items, &mut Half, &mut |_| ()).unwrap();
        let long = scores.iter().find(|score| score.family == "long").unwrap();
        assert_eq!((long.items, long.not_posed, long.accuracy, long.chance), (1, 2, 1.0, 0.0));
        assert_eq!((all.items, scores.iter().map(|score| score.not_posed).sum::<usize>()), (198, 2));
        let of = |kind: &str| {
            (all.by_answer[kind].items, all.by_answer[kind].accuracy, all.by_answer[kind].chance)
        };
        assert_eq!((of("choice"), of("written")), ((196, 97.0 / 196.0, 0.5), (2, 1.0, 0.0)));
        let reason = Reason::Length.to_string();
        assert_eq!(all.not_posed, [Left { reason, items: 2, first: "4: 9 tokens".into() }]);
        let none = Sitting::default().sit(&items[4..5], &mut Half, &mut |_| ());
        assert!(none.unwrap_err().to_string().contains("9 tokens"));
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
