//! `completions`: what a shell needs to complete our command line.

use crate::Failure;
use crate::arguments::Arguments;
use clap::CommandFactory;

/// Options of `completions`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  foretell completions bash > ~/.local/share/bash-completion/completions/foretell"
)]
pub struct Options {
    /// Which shell
    pub shell: clap_complete::Shell,
}

/// Prints the script.
pub fn run(options: &Options) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "foretell", &mut script);
    Ok(crate::output::text(&String::from_utf8_lossy(&script))?)
}
