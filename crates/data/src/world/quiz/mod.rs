//! Questions about the world, with known answers, from easy to hard.
//!
//! A prompt is the beginning of a sentence as the documents have it, and the answer how it goes on. Questions come in
//! groups that share their choices, in the same order, and each choice answers exactly one of the group. So
//! nothing that can be told from the choices alone — where one stands, how long it is, how often it is right
//! elsewhere — tells the answer: without the prompt, guessing is at chance.
//!
//! A list of held-out items that is made of the questions keeps their sentences out of training; what they ask
//! is then known from other sentences, or to be worked out.

mod cloze;
mod facts;
mod sums;

use std::collections::{BTreeMap, HashSet};

use super::World;
use super::page::Page;
use super::random::Random;
use crate::order::permute;
use crate::question::Question;

/// Questions of a family and level, as a rule.
const EACH: usize = 28;

/// What can be asked: a prompt, and how it goes on.
struct Item {
    prompt: String,
    answer: String,
}

/// A family of questions at one level.
struct Cell {
    family: &'static str,
    level: u32,
    /// Choices of a question.
    choices: usize,
    /// Questions.
    count: usize,
    items: Vec<Item>,
    /// Whether each run of so many items as there are choices is a group already; else groups are put together
    /// of items with different answers.
    grouped: bool,
}

impl Cell {
    fn new(family: &'static str, level: u32, items: Vec<Item>) -> Cell {
        Cell { family, level, choices: 4, count: EACH, items, grouped: false }
    }

    /// Groups in which every answer is another.
    fn groups(self, random: &mut Random) -> Vec<Vec<Item>> {
        let count = self.count / self.choices;
        let mut groups = Vec::new();
        if self.grouped {
            let mut items = self.items.into_iter().peekable();
            while items.peek().is_some() && groups.len() < count {
                groups.push(items.by_ref().take(self.choices).collect());
            }
            return groups;
        }
        let mut by_answer: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        for item in shuffled(self.items, random) {
            by_answer.entry(item.answer.clone()).or_default().push(item);
        }
        // Of the answers with most items left, which are the common ones, so that many groups can be made.
        while groups.len() < count {
            let mut left: Vec<(usize, u64, &String)> = by_answer
                .iter()
                .filter(|(_, items)| !items.is_empty())
                .map(|(answer, items)| (items.len(), random.next(), answer))
                .collect();
            if left.len() < self.choices {
                break;
            }
            left.sort_by(|a, b| b.cmp(a));
            let answers: Vec<String> =
                left.into_iter().take(self.choices).map(|(_, _, answer)| answer.clone()).collect();
            groups.push(answers.iter().filter_map(|answer| by_answer.get_mut(answer)?.pop()).collect());
        }
        groups
    }
}

fn shuffled<T>(mut list: Vec<T>, random: &mut Random) -> Vec<T> {
    for end in (1..list.len()).rev() {
        list.swap(end, random.below(end + 1));
    }
    list
}

impl World {
    /// Questions about the world, a function of its seed alone.
    pub fn questions(&self) -> Vec<Question> {
        let random = &mut Random::new(self.seed, 7, 0);
        let mut quiz = Quiz { world: self, random: random.clone() };
        let mut questions: Vec<Question> = Vec::new();
        let mut prompts = HashSet::new();
        let cells = [cloze::cells(&mut quiz), facts::cells(&mut quiz), sums::cells(&mut quiz)];
        for cell in cells.into_iter().flatten() {
            let (family, level) = (cell.family, cell.level);
            let mut number = 0;
            for group in cell.groups(random) {
                let group = shuffled(group, random);
                // Two questions with one prompt would tell of each other.
                if group.iter().any(|item| prompts.contains(&item.prompt)) {
                    continue;
                }
                let choices: Vec<String> = group.iter().map(|item| item.answer.clone()).collect();
                for (answer, item) in group.into_iter().enumerate() {
                    number += 1;
                    let id = format!("{family}-{level}-{number}");
                    prompts.insert(item.prompt.clone());
                    let family = family.to_string();
                    questions.push(Question {
                        id,
                        family,
                        level,
                        prompt: item.prompt,
                        choices: choices.clone(),
                        answer,
                        pictures: Vec::new(),
                    });
                }
            }
        }
        questions
    }
}

/// Who asks.
struct Quiz<'w> {
    world: &'w World,
    random: Random,
}

impl<'w> Quiz<'w> {
    /// An empty page, on which a sentence is begun.
    fn page(&mut self) -> Page<'w> {
        let mut page = Page::new(self.world, Random::new(self.random.next(), 0, 0));
        page.text('g', &self.world.coin);
        page
    }

    /// An item of a template for the prompt and one for the answer, with what `bind` binds.
    fn item(&mut self, bind: impl FnOnce(&mut Page<'w>), prompt: &str, answer: &str) -> Item {
        let mut page = self.page();
        bind(&mut page);
        page.say(prompt);
        let begin = page.text.len();
        page.inline(answer);
        let answer = page.text.split_off(begin);
        Item { prompt: page.text, answer }
    }

    /// People, those that are most spoken of first.
    fn people(&self) -> Vec<usize> {
        let count = self.world.people.len() as u64;
        (0..count).map(|rank| permute(rank, count, self.world.seed) as usize).collect()
    }
}
