//! `foretell`: know what a model will be before you pay for it. The command line: one file a verb.
#![forbid(unsafe_code)]
// A program exports nothing; `pub` says what the other files of it use.
#![allow(unreachable_pub)]

mod answer;
mod arguments;
mod checkpoint;
mod failure;
mod fleet;
mod foretold_sets;
mod initial;
mod input;
mod known;
mod ladder;
mod machine;
mod memory;
mod next_rung;
mod outcome;
mod output;
mod prediction;
mod progress;
mod reached;
mod runs;
mod sets;
mod settings;
mod signals;
mod target;
mod trials;
mod verb;

use arguments::{Arguments, Verb};
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let (arguments, settings) = match settings::expand(std::env::args_os()) {
        Ok(expanded) => expanded,
        Err(error) => return failure::report(&Failure::Usage(error)),
    };
    let arguments = match arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output and are no failure. A closed pipe is none either.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match run(arguments, settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

fn run(arguments: Arguments, settings: settings::Settings) -> Result<(), Failure> {
    let common = &arguments.common;
    match &arguments.verb {
        Verb::Quickstart(options) => return verb::quickstart::run(options, common, &settings),
        Verb::Plan(options) => return verb::plan::run(options, common, &settings),
        Verb::Train(options) => return verb::train::run(options, common, &settings),
        Verb::Transfer(options) => return verb::transfer::run(options, common, &settings),
        Verb::Ladder(verb) => return verb::ladder::run(verb, common, &settings),
        _ => settings.refuse()?,
    }
    match &arguments.verb {
        Verb::Quickstart(_) | Verb::Plan(_) | Verb::Train(_) | Verb::Ladder(_) | Verb::Transfer(_) => Ok(()),
        Verb::Data(verb) => verb::data::run(verb, common),
        Verb::Resume(options) => verb::resume::run(options, common),
        Verb::Sample(options) => verb::sample::run(options, common),
        Verb::Score(options) => verb::score::run(options, common),
        Verb::Exam(options) => verb::exam::run(options, common),
        Verb::Export(options) => verb::export::run(options, common),
        Verb::Predict(options) => verb::predict::run(options, common),
        Verb::Verify(options) => verb::verify::run(options, common),
        Verb::Report(options) => verb::report::run(options, common),
        Verb::Bench(verb) => verb::bench::run(verb, common),
        Verb::Completions(options) => verb::completions::run(options),
    }
}
