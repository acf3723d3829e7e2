//! The command line.

use crate::verb;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::path::{Component, PathBuf};

/// What every verb takes.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Print JSON objects, one a line, for machines
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// Show no progress
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub quiet: bool,
    /// Threads [default: one a core]
    #[arg(long, global = true, value_name = "N", help_heading = "Everywhere")]
    pub threads: Option<usize>,
    /// Instruction set: avx512, avx2, neon or portable [default: the best there is]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Everywhere")]
    pub isa: Option<String>,
    /// Read options and settings from a TOML file
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub config: Option<PathBuf>,
    /// Set an option or a setting, as if it stood in the file
    #[arg(long, global = true, value_name = "KEY=VALUE", help_heading = "Everywhere")]
    pub set: Vec<String>,
}

/// Know what a model will be before you pay for it.
#[derive(Parser, Debug)]
#[command(
    name = "foretell",
    version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("FORETELL_COMMIT"), ")"),
    args_override_self = true,
    max_term_width = 100,
    after_help = "Begin with `foretell quickstart`."
)]
pub struct Arguments {
    /// What every verb takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// The whole story on generated data, in about five minutes
    Quickstart(verb::quickstart::Options),
    /// Build, show and generate data
    #[command(subcommand)]
    Data(verb::data::Verb),
    /// What a run would be and cost, without running it
    Plan(verb::plan::Options),
    /// Train a model
    Train(verb::train::Options),
    /// Go on with a run that was stopped or killed
    Resume(verb::resume::Options),
    /// Text from a model
    Sample(verb::sample::Options),
    /// Log-probabilities, bits per byte and per word of a text
    Score(verb::score::Options),
    /// A model sits an exam
    Exam(verb::exam::Options),
    /// Write a model as GGUF or safetensors
    Export(verb::export::Options),
    /// Is training predictable here? Coordinate check and transfer of settings, as a test that can fail
    Transfer(verb::transfer::Options),
    /// Small runs, and the laws that they follow
    #[command(
        subcommand,
        after_help = "Examples:\n  foretell ladder run --data data/real --out ladders/real --max 1e11\n  foretell ladder fit ladders/real"
    )]
    Ladder(verb::ladder::Verb),
    /// Foretell the loss of a run from finished ones, with intervals
    Predict(verb::predict::Options),
    /// Hold predictions against their outcomes
    Verify(verb::verify::Options),
    /// Everything that is recorded, as one HTML page
    Report(verb::report::Options),
    /// Measure this machine and this program
    #[command(subcommand, after_help = "Example:\n  foretell bench step --size S --threads 1")]
    Bench(verb::bench::Verb),
    /// Completions for a shell
    Completions(verb::completions::Options),
}

/// Reads the command line. What begins with a minus and is a number is the value of the option before it, so that
/// it is refused for its value and not for its look.
pub fn parse(arguments: Vec<OsString>) -> Result<Arguments, clap::Error> {
    let matches = negative_numbers(Arguments::command()).try_get_matches_from(arguments)?;
    Arguments::from_arg_matches(&matches)
}

fn negative_numbers(command: Command) -> Command {
    let command = command.mut_args(|arg| match arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    });
    command.mut_subcommands(negative_numbers)
}

/// A path that is read, and may be recorded: one that is not UTF-8 cannot be written down.
pub fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|text| {
        let path = PathBuf::from(text);
        match path.to_str() {
            None => Err("it is not UTF-8, so no record could name it"),
            Some(_) => Ok(path),
        }
    })
}

/// A path at which something is made: one that ends in `..` names what is there already by another name.
pub fn new_path() -> impl TypedValueParser<Value = PathBuf> {
    path().try_map(|path| match path.components().next_back() {
        Some(Component::ParentDir) => Err("it ends in '..'; give the folder's own name"),
        _ => Ok(path),
    })
}
