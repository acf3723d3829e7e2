//! How much to spend: the one dial. `10m`, `1e14`, or `N=1e6,D=2e7`.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a run may cost, or how big it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Budget {
    /// Wall-clock seconds on this machine, evaluations and checkpoints included.
    Seconds(f64),
    /// Floating-point operations of training, as the graph counts them.
    Flops(f64),
    /// Parameters that multiply (N) and tokens trained on (D); what is missing follows from the
    /// other by the compute-optimal rule.
    Size {
        /// N.
        parameters: Option<f64>,
        /// D.
        tokens: Option<f64>,
    },
}

/// Fewer operations than this are a typing error: the smallest model takes more in one step.
const LEAST_FLOPS: f64 = 1e6;

const UNITS: [(&str, f64); 4] = [("d", 86400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];

impl FromStr for Budget {
    type Err = Error;

    fn from_str(text: &str) -> Result<Budget> {
        let wrong = |reason: String| Error::Budget { text: text.to_string(), reason };
        let clean: String = text.chars().filter(|c| !c.is_whitespace() && *c != '_').collect();
        if clean.is_empty() {
            return Err(wrong("it is empty".into()));
        }
        let budget = if clean.contains('=') {
            size(&clean)
        } else if let Some(number) = strip_flop(&clean) {
            positive(number).map(Budget::Flops)
        } else {
            time(&clean).map(Budget::Seconds)
        };
        match budget.map_err(wrong)? {
            Budget::Flops(x) if x < LEAST_FLOPS => {
                let hint = format!("{clean} FLOP is less than one step of the smallest model");
                Err(wrong(format!("{hint}; for a time give a unit, as in {clean}m")))
            }
            Budget::Seconds(x) if x < 1.0 => Err(wrong("less than a second trains nothing".into())),
            budget => Ok(budget),
        }
    }
}

/// The number before `FLOP`, `FLOPs`, or nothing.
fn strip_flop(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let end = ["flops", "flop"].iter().find_map(|unit| lower.strip_suffix(unit));
    let number = end.map_or(text, |number| &text[..number.len()]);
    (end.is_some() || number.parse::<f64>().is_ok()).then_some(number)
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x > 0.0 && x.is_finite() => Ok(x),
        Ok(_) => Err(format!("{text} is no positive number")),
        Err(_) => Err(format!("'{text}' is no number")),
    }
}

/// `1h30m`, `90s`, `1.5h`: each unit at most once, the larger first.
fn time(text: &str) -> std::result::Result<f64, String> {
    let (mut rest, mut seconds) = (text, 0.0);
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (name, after) = after.split_at(letters);
        let name = match name {
            "sec" | "seconds" | "second" => "s",
            "min" | "minutes" | "minute" => "m",
            "hours" | "hour" => "h",
            "days" | "day" => "d",
            other => other,
        };
        let unit = units.by_ref().find(|(unit, _)| *unit == name);
        match unit {
            Some((_, length)) if !number.is_empty() => seconds += positive(number)? * length,
            _ => {
                return Err(
                    "it is neither a time (20m, 90s, 1h30m), nor FLOP (1e14), nor a size (N=1e6,D=2e7)"
                        .into(),
                );
            }
        }
        rest = after;
    }
    Ok(seconds)
}

fn size(text: &str) -> std::result::Result<Budget, String> {
    let (mut parameters, mut tokens) = (None, None);
    for part in text.split(',') {
        let (name, value) = part.split_once('=').ok_or(format!("'{part}' has no '='"))?;
        let place = match name {
            "N" | "n" => &mut parameters,
            "D" | "d" => &mut tokens,
            _ => return Err(format!("'{name}' is unknown: a size has N (parameters) and D (tokens)")),
        };
        if place.replace(positive(value)?).is_some() {
            return Err(format!("{name} comes twice"));
        }
    }
    Ok(Budget::Size { parameters, tokens })
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Budget::Seconds(seconds) => {
                let unit = UNITS.iter().find(|(_, length)| seconds >= *length && seconds % length == 0.0);
                let (name, length) = unit.unwrap_or(&("s", 1.0));
                write!(f, "{}{name}", seconds / length)
            }
            Budget::Flops(flops) => write!(f, "{flops:e}"),
            Budget::Size { parameters, tokens } => {
                let part = |name: &str, x: Option<f64>| x.map(|x| format!("{name}={x:e}"));
                let parts = [part("N", parameters), part("D", tokens)];
                f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(","))
            }
        }
    }
}

impl From<Budget> for String {
    fn from(budget: Budget) -> String {
        budget.to_string()
    }
}

impl TryFrom<String> for Budget {
    type Error = Error;

    fn try_from(text: String) -> Result<Budget> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_three_forms() {
        let parse = |text: &str| text.parse::<Budget>().unwrap();
        assert_eq!(parse("20m"), Budget::Seconds(1200.0));
        assert_eq!(parse("90s"), Budget::Seconds(90.0));
        assert_eq!(parse("2h"), Budget::Seconds(7200.0));
        assert_eq!(parse("1h30m"), Budget::Seconds(5400.0));
        assert_eq!(parse("1.5 h"), Budget::Seconds(5400.0));
        assert_eq!(parse("10min"), Budget::Seconds(600.0));
        assert_eq!(parse("1e14"), Budget::Flops(1e14));
        assert_eq!(parse("1e14 FLOP"), Budget::Flops(1e14));
        assert_eq!(parse("2.5E15flops"), Budget::Flops(2.5e15));
        let size = |parameters, tokens| Budget::Size { parameters, tokens };
        assert_eq!(parse("N=1e6,D=2e7"), size(Some(1e6), Some(2e7)));
        assert_eq!(parse("D=2e7, N=1_000_000"), size(Some(1e6), Some(2e7)));
        assert_eq!(parse("N=1e6"), size(Some(1e6), None));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let refused = |text: &str| text.parse::<Budget>().unwrap_err().to_string();
        assert!(refused("20").contains("20m"), "{}", refused("20"));
        for (text, word) in [
            ("", "empty"),
            ("twenty minutes", "N=1e6"),
            ("20x", "20m"),
            ("30m1h", "neither"),
            ("5m5m", "neither"),
            ("-5m", "neither"),
            ("0s", "positive"),
            ("0.5s", "second"),
            ("1e999", "positive"),
            ("nan", "positive"),
            ("-1e14", "positive"),
            ("N=1e6;D=2e7", "no number"),
            ("N=1e6,N=2e6", "twice"),
            ("N=", "no number"),
            ("M=3", "unknown"),
            ("N=1e6,2e7", "no '='"),
        ] {
            let said = refused(text);
            assert!(said.contains(word) && said.contains(text), "{text}: {said}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(seconds in 1u32..10_000_000, flops in 1e6..1e30f64, n in 1e3..1e12f64) {
            for budget in [
                Budget::Seconds(f64::from(seconds)),
                Budget::Flops(flops),
                Budget::Size { parameters: Some(n), tokens: None },
                Budget::Size { parameters: Some(n), tokens: Some(flops) },
            ] {
                prop_assert_eq!(budget.to_string().parse::<Budget>().unwrap(), budget);
            }
        }

        #[test]
        fn any_text_gives_a_budget_or_an_error(text in "\\PC*") {
            let _ = text.parse::<Budget>();
        }
    }
}
