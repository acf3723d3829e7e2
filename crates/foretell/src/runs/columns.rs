//! Which column of a log is what.

use crate::Failure;
use record::{Row, Table};
use std::collections::BTreeMap;

/// What a column can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// N.
    Params,
    /// D.
    Tokens,
    /// Held-out loss.
    Loss,
    /// C.
    Flops,
    /// Whose point a row is.
    Run,
    /// What orders the points of a run.
    Step,
    /// Tokens after which the run's schedule would have ended.
    Schedule,
    /// Whether the rate had fallen when the loss was taken.
    Decayed,
    /// Whether the run came to its end.
    State,
}

/// Every role, its name, and the names by which its column is known, in the order in which they are looked for. Single letters are
/// told apart by case; of the others neither case nor `/`, `.`, `-`, `_` and blanks matter, nor a leading `config.` or `summary.`.
const ROLES: [(Role, &str, &[&str]); 9] = [
    (
        Role::Params,
        "params",
        &[
            "params",
            "params_N",
            "N",
            "n_params",
            "num_params",
            "parameters",
            "n_parameters",
            "num_parameters",
            "non_embedding_params",
            "params_non_embedding",
            "total_params",
            "model_size",
            "model_params",
        ],
    ),
    (
        Role::Tokens,
        "tokens",
        &[
            "tokens",
            "tokens_D",
            "D",
            "n_tokens",
            "num_tokens",
            "train_tokens",
            "total_tokens",
            "tokens_seen",
            "train/tokens",
            "throughput/total_tokens",
            "consumed_tokens",
            "tokens_trained",
            "train/total_tokens",
        ],
    ),
    (
        Role::Loss,
        "loss",
        &[
            "val_loss",
            "valid_loss",
            "validation_loss",
            "eval_loss",
            "test_loss",
            "loss/val",
            "loss/validation",
            "val/bits_per_byte",
            "val_bpb",
            "eval_bpb",
            "final_loss",
            "loss",
            "bpb",
            "train_loss",
        ],
    ),
    (
        Role::Flops,
        "flops",
        &["flops", "flops_C", "C", "compute", "total_flops", "train_flops", "flops_budget"],
    ),
    (Role::Run, "run", &["run", "run_id", "run_name", "Name"]),
    (Role::Step, "step", &["step", "_step", "global_step", "trainer/global_step", "iteration", "iter"]),
    (Role::Schedule, "schedule", &["schedule_tokens", "schedule", "scheduled_tokens"]),
    (Role::Decayed, "decayed", &["decayed"]),
    (Role::State, "state", &["state"]),
];

/// A column and what is done to its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its numbers are multiplied by.
    pub factor: f64,
    /// Whether the logarithm is taken first: of a perplexity.
    pub logarithm: bool,
}

impl Column {
    fn plain(name: &str) -> Column {
        Column { name: name.into(), factor: 1.0, logarithm: false }
    }

    /// `name`, `name*1e6` or `ln(name)`; a table that has a column of just that name means it.
    fn parse(text: &str, table: &Table) -> Column {
        if table.has(text) {
            return Column::plain(text);
        }
        let inner = text.strip_prefix("ln(").and_then(|rest| rest.strip_suffix(')'));
        if let Some(name) = inner {
            return Column { logarithm: true, ..Column::plain(name) };
        }
        let factor =
            text.rsplit_once('*').and_then(|(name, factor)| Some((name, factor.parse::<f64>().ok()?)));
        match factor {
            Some((name, factor)) if factor.is_finite() && factor > 0.0 => {
                Column { factor, ..Column::plain(name) }
            }
            _ => Column::plain(text),
        }
    }

    /// The number of a row, if there is one. It may end in k, M, B (or G) and T, and have `_`, `,` and blanks within.
    pub fn number(&self, row: &Row) -> Result<Option<f64>, Failure> {
        let Some(text) = row.text(&self.name)? else { return Ok(None) };
        let plain = text.replace(['_', ' ', ','], "");
        let suffix = match plain.chars().next_back() {
            Some('k' | 'K') => 1e3,
            Some('m' | 'M') => 1e6,
            Some('b' | 'B' | 'g' | 'G') => 1e9,
            Some('t' | 'T') => 1e12,
            _ => 1.0,
        };
        let digits = if suffix == 1.0 { &plain[..] } else { &plain[..plain.len() - 1] };
        let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
        let Some(number) = number else {
            return Err(row.wrong(&self.name, &format!("'{text}' is no number")).into());
        };
        let number = if self.logarithm { number.ln() } else { number };
        Ok(Some(number * suffix * self.factor))
    }
}

/// Which column is what: `params=N,tokens=D,loss=val,flops=C,run=name`, the rest by their usual names.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    asked: BTreeMap<Role, String>,
}

impl Columns {
    /// Reads `role=column,…`.
    pub fn parse(text: &str) -> Result<Columns, Failure> {
        let mut columns = Columns::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let roles = || ROLES.map(|(_, name, _)| name).join(", ");
            let wrong = |what: String| Failure::Usage(format!("--columns {part}: {what}"));
            let (role, column) = part
                .split_once('=')
                .ok_or_else(|| wrong(format!("write it as role=column; roles: {}", roles())))?;
            let (key, ..) = ROLES
                .iter()
                .find(|(_, name, _)| *name == role)
                .ok_or_else(|| wrong(format!("there is no role '{role}', only {}", roles())))?;
            if columns.asked.insert(*key, column.into()).is_some() {
                return Err(wrong(format!("{role} comes twice")));
            }
        }
        Ok(columns)
    }

    /// Whether a role's column was named.
    pub fn asks(&self, role: Role) -> bool {
        self.asked.contains_key(&role)
    }

    /// The column of a role in a table, as it was asked for or by a usual name.
    pub fn of(&self, role: Role, table: &Table) -> Result<Option<Column>, Failure> {
        let (_, word, names) = about(role);
        if let Some(text) = self.asked.get(&role) {
            let column = Column::parse(text, table);
            return match table.has(&column.name) {
                true => Ok(Some(column)),
                false => Err(Failure::Usage(format!(
                    "--columns {word}={text}: {} has the columns {}",
                    table.path().display(),
                    listed(table)
                ))),
            };
        }
        let known = names.iter().find_map(|name| table.columns.iter().find(|column| same(name, column)));
        Ok(known.map(|name| Column::plain(name)))
    }

    /// Other columns that could have been the role's, where none was asked for.
    pub fn others<'a>(&self, role: Role, name: &str, table: &'a Table) -> Vec<&'a str> {
        let known = |column: &&'a String| about(role).2.iter().any(|known| same(known, column));
        let others = table.columns.iter().filter(|column| *column != name).filter(known);
        if self.asks(role) { Vec::new() } else { others.map(String::as_str).collect() }
    }

    /// The column of a role that must be there.
    pub fn needed(&self, role: Role, table: &Table) -> Result<Column, Failure> {
        let word = about(role).1;
        self.of(role, table)?.ok_or_else(|| {
            Failure::Usage(format!(
                "{}: which column has the {word}? say --columns {word}=NAME; there are {}",
                table.path().display(),
                listed(table)
            ))
        })
    }
}

fn about(role: Role) -> (Role, &'static str, &'static [&'static str]) {
    // Every role has its row.
    *ROLES.iter().find(|(one, ..)| *one == role).unwrap_or(&ROLES[0])
}

/// The columns of a table for people: forty of them.
fn listed(table: &Table) -> String {
    let shown = table.columns.iter().take(40).cloned().collect::<Vec<_>>().join(", ");
    match table.columns.len().saturating_sub(40) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Whether a usual name and a column's are one.
fn same(name: &str, column: &str) -> bool {
    let bare = |text: &str| -> String {
        text.chars()
            .filter(|c| !matches!(c, '/' | '.' | '-' | '_' | ' '))
            .flat_map(char::to_lowercase)
            .collect()
    };
    if name.len() == 1 {
        return name == column;
    }
    let column =
        ["config.", "summary."].iter().find_map(|prefix| column.strip_prefix(prefix)).unwrap_or(column);
    bare(name) == bare(column)
}
