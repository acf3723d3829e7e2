//! How a command ends when it does not end well.

use crate::signals;
use std::process::ExitCode;

/// Why a command failed.
pub enum Failure {
    /// The command line asks for what makes no sense: exit code 2.
    Usage(String),
    /// Something went wrong: exit code 1.
    Failed(anyhow::Error),
    /// It was interrupted, and what was done is saved: exit code 128 and the signal.
    Interrupted(String),
}

impl Failure {
    /// Of a request to a model: what it cannot be asked is bad usage.
    pub fn of_request(error: generate::Error) -> Failure {
        use generate::Error::{Context, Empty, Setting, Token};
        match error {
            Setting { .. } | Context { .. } | Empty(_) | Token { .. } => Failure::Usage(error.to_string()),
            other => other.into(),
        }
    }

    /// Of a configuration or a plan: a value that cannot be is bad usage.
    pub fn of_plan(error: plan::Error) -> Failure {
        use plan::Error::{Budget, Infeasible, Model, Setting, Train};
        let value = matches!(
            &error,
            Setting { .. }
                | Budget { .. }
                | Infeasible { .. }
                | Model(model::Error::Field { .. })
                | Train(train::Error::Setting { .. } | train::Error::Model(model::Error::Field { .. }))
        );
        if value { Failure::Usage(error.to_string()) } else { error.into() }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Failed(error.into())
    }
}

/// Prints the reason and returns the exit code.
pub fn report(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Usage(reason) => {
            eprintln!("error: {reason}\n\nFor more information, try '--help'.");
            ExitCode::from(2)
        }
        Failure::Failed(error) => {
            // Whoever closed our output wants no more of it.
            if error.chain().any(broken_pipe) {
                return ExitCode::SUCCESS;
            }
            eprintln!("error: {}", chain(error));
            ExitCode::from(1)
        }
        Failure::Interrupted(text) => {
            eprintln!("{text}");
            ExitCode::from(128 + signals::received().unwrap_or(2) as u8)
        }
    }
}

fn broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// An error and its causes, each said once.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
