//! `exam`: a model sits an exam.

use crate::arguments::Common;
use crate::checkpoint::Model;
use crate::progress::Progress;
use crate::{Failure, machine, output};
use anyhow::{Context, anyhow};
use data::Recipe;
use exam::{FamilyScore, KindScore, Left, ModelRespondent, Rendering, Shown, Sitting, Summary, WorldExam};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options of `exam`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell exam runs/eyes --tasks world
  foretell exam runs/eyes --tasks world --blind --levels 1 --items 500
  foretell exam runs/eyes --tasks world --unseen --json
  foretell exam runs/eyes --tasks world --both --words
  foretell exam runs/digits --tasks docs/recipes/mnist.toml --items 2000
  foretell exam runs/eyes --tasks docs/recipes/mathvision.toml --json")]
pub struct Options {
    /// A run, a checkpoint or a Hugging Face folder
    #[arg(value_parser = crate::arguments::path())]
    pub model: PathBuf,
    /// What is asked: `world`, pictures of the generated world, or a recipe, of whose rows those held out
    #[arg(long, value_name = "TASKS")]
    pub tasks: PathBuf,
    /// Seed of the world
    #[arg(long, value_name = "SEED", default_value_t = 7)]
    pub world: u64,
    /// Items a family and level
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    pub items: u16,
    /// Levels [default: all]
    #[arg(long, value_name = "LEVELS", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub levels: Option<Vec<u32>>,
    /// Combinations that training never shows
    #[arg(long)]
    pub unseen: bool,
    /// Withhold the pictures: a placeholder stands for each
    #[arg(long, group = "rendering")]
    pub blind: bool,
    /// Give each picture in words
    #[arg(long, group = "rendering")]
    pub transcribed: bool,
    /// Of the world's questions those that need what is written in a picture and what is drawn there
    #[arg(long)]
    pub both: bool,
    /// Give of each of the world's pictures only what is written in it, as text
    #[arg(long, group = "rendering")]
    pub words: bool,
    /// Show the world's pictures with nothing written in them
    #[arg(long, group = "rendering")]
    pub drawing: bool,
    /// Let all answers be written, right to the letter, instead of taking the likeliest choice; those to what has no choices are
    /// in any case
    #[arg(long)]
    pub written: bool,
}

impl Options {
    /// An option that only the generated world has, if one is set.
    fn of_the_world(&self) -> Option<&'static str> {
        let set = [
            (self.unseen, "--unseen"),
            (self.both, "--both"),
            (self.words, "--words"),
            (self.drawing, "--drawing"),
        ];
        set.into_iter().find(|(set, _)| *set).map(|(_, name)| name)
    }
}

/// Bytes of a recipe's cell, at most.
const CELL: usize = 64 << 20;

/// Sits the exam and prints a line a family and level.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    let model = Model::open(&options.model)?;
    let tokenizer = model.tokenizer()?;
    let look = model.look()?;
    let rendering = match (options.blind, options.transcribed || options.words) {
        (true, _) => Rendering::Blind,
        (_, true) => Rendering::Transcribed,
        _ => Rendering::Seeing,
    };
    let shown = match (options.words, options.drawing) {
        (true, _) => Shown::Words,
        (_, true) => Shown::Drawing,
        _ => Shown::Whole,
    };
    let count = options.items.into();
    let place = || options.tasks.display().to_string();
    let items = match options.tasks == Path::new("world") {
        true => {
            let levels = options.levels.clone().unwrap_or_else(|| vec![1, 2, 3]);
            if let Some(level) = levels.iter().find(|level| **level > 3) {
                return Err(Failure::Usage(format!("--levels {level}: the world has 1, 2 and 3")));
            }
            let (unseen, both) = (options.unseen, options.both);
            WorldExam { seed: options.world, levels, count, unseen, both, shown }.items()
        }
        false => {
            if let Some(name) = options.of_the_world() {
                return Err(Failure::Usage(format!("{name} is of the generated world: --tasks world")));
            }
            let recipe = Recipe::open(&options.tasks, CELL).map_err(|what| anyhow!("{}: {what}", place()))?;
            exam::recipe(&recipe, options.levels.as_deref(), count).with_context(place)?
        }
    };
    if items.is_empty() {
        let of = if options.levels.is_some() { " of these levels" } else { "" };
        return Err(anyhow!("{}: it holds no row{of} out, so there is nothing to ask", place()).into());
    }
    let device = Arc::new(machine::device(common)?);
    let mut respondent =
        ModelRespondent::new(device, &model.config, &model.params, tokenizer, look.as_ref(), model.ends());
    let mut progress = Progress::new("exam", items.len() as u64, common.quiet || common.json);
    let sitting = Sitting { rendering, written: options.written };
    let sat = sitting.sit(&items, &mut respondent, &mut |done| progress.show(done as u64, || "items".into()));
    progress.end();
    let (scores, summary) = sat.map_err(anyhow::Error::from)?;
    let width = scores.iter().map(|score| score.family.chars().count() + 2).max().unwrap_or(0).max(12);
    if !common.json {
        output::text(&format!("{:<width$}level   items   accuracy   95 % interval    chance\n", "family"))?;
    }
    for score in &scores {
        output::either(common, score, || line(score, width))?;
    }
    Ok(output::either(common, &summary, || last(&summary))?)
}

fn line(score: &FamilyScore, width: usize) -> String {
    let FamilyScore { family, level, items, accuracy, lo95, hi95, chance, not_posed, .. } = score;
    let percent = |x: &f64| 100.0 * x;
    let left = if *not_posed > 0 { format!("   {not_posed} not posed") } else { String::new() };
    format!(
        "{family:<width$}{level:>5} {items:>7} {:>9.1} % {:>7.1} to {:>5.1} % {:>7.1} %{left}\n",
        percent(accuracy),
        percent(lo95),
        percent(hi95),
        percent(chance)
    )
}

fn last(summary: &Summary) -> String {
    let levels =
        summary.by_level.iter().map(|(level, accuracy)| format!("level {level} {:.1} %", 100.0 * accuracy));
    let mut text = format!(
        "mean of families and levels {:.1} % ({}), chance {:.1} %\n",
        100.0 * summary.macro_accuracy,
        levels.collect::<Vec<_>>().join(", "),
        100.0 * summary.chance
    );
    for (kind, score) in summary.by_answer.iter().filter(|_| summary.by_answer.len() > 1) {
        let KindScore { items, accuracy, lo95, hi95, chance } = score;
        let name = if *kind == "choice" { "with choices" } else { "to be written" };
        text += &format!(
            "{items} items {name}: {:.1} % ({:.1} to {:.1} %), chance {:.1} %\n",
            100.0 * accuracy,
            100.0 * lo95,
            100.0 * hi95,
            100.0 * chance
        );
    }
    for Left { reason, items, first } in &summary.not_posed {
        text += &format!("not posed: {items} items, {reason} (the first: {first})\n");
    }
    text
}
