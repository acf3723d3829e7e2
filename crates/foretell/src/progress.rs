//! Progress bars on standard error; lines where it is no terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// A bar over `length` units, with a message.
pub struct Progress {
    bar: ProgressBar,
    lines: Option<Lines>,
}

/// Where there is no terminal, a line now and then.
struct Lines {
    title: String,
    last: Instant,
}

const BETWEEN_LINES: Duration = Duration::from_secs(10);

impl Progress {
    /// A bar; `quiet` shows nothing.
    pub fn new(title: &str, length: u64, quiet: bool) -> Progress {
        if quiet {
            return Progress { bar: ProgressBar::hidden(), lines: None };
        }
        let bar = ProgressBar::new(length);
        let template = "{prefix} {bar:24} {pos}/{len} {msg} {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_prefix(title.to_string());
        let lines = bar.is_hidden().then(|| Lines { title: title.into(), last: Instant::now() });
        Progress { bar, lines }
    }

    /// Shows a position and a message.
    pub fn show(&mut self, position: u64, message: impl FnOnce() -> String) {
        match &mut self.lines {
            Some(lines) if lines.last.elapsed() >= BETWEEN_LINES => {
                lines.last = Instant::now();
                let length = self.bar.length().unwrap_or(0);
                eprintln!("{} {position}/{length} {}", lines.title, message());
            }
            Some(_) => {}
            None if !self.bar.is_hidden() => {
                self.bar.set_position(position);
                self.bar.set_message(message());
            }
            None => {}
        }
    }

    /// How long the work is.
    pub fn set_length(&self, length: u64) {
        self.bar.set_length(length);
    }

    /// Prints a line above the bar.
    pub fn note(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// Removes the bar.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
