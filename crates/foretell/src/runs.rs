//! Other people's runs: a table whose columns are mapped to parameters, tokens, FLOP and loss, and
//! checked for the units that people mix up.

use crate::Failure;
use anyhow::anyhow;
use record::Table;
use scaling::Run;
use std::collections::BTreeMap;
use std::path::Path;

/// A role, the names by which its column is known, and whether it must be there.
const ROLES: [(&str, &[&str], bool); 5] = [
    ("params", &["params", "params_N", "N", "n_params", "parameters", "model_size"], true),
    ("tokens", &["tokens", "tokens_D", "D", "n_tokens", "train_tokens"], true),
    ("loss", &["loss", "val_loss", "val/loss", "eval/loss", "final_loss"], true),
    ("flops", &["flops", "flops_C", "C", "compute"], false),
    ("run", &[], false),
];

/// Which column is what: `params=N,tokens=D,loss=val,flops=C,run=name`, the rest by their usual names.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    by_role: BTreeMap<&'static str, String>,
}

impl Columns {
    /// Reads `role=column,…`.
    pub fn parse(text: &str) -> Result<Columns, Failure> {
        let mut columns = Columns::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let roles = || ROLES.map(|(role, ..)| role).join(", ");
            let wrong = |what: String| Failure::Usage(format!("--columns {part}: {what}"));
            let (role, column) = part
                .split_once('=')
                .ok_or_else(|| wrong(format!("write it as role=column; roles: {}", roles())))?;
            let (role, ..) = ROLES
                .iter()
                .find(|(name, ..)| *name == role)
                .ok_or_else(|| wrong(format!("there is no role '{role}', only {}", roles())))?;
            if columns.by_role.insert(role, column.into()).is_some() {
                return Err(wrong(format!("{role} comes twice")));
            }
        }
        Ok(columns)
    }

    /// The column of a role in a table; `None` for one that need not be there.
    fn of(&self, role: &str, table: &Table) -> Result<Option<String>, Failure> {
        if let Some(column) = self.by_role.get(role) {
            return match table.has(column) {
                true => Ok(Some(column.clone())),
                false => Err(Failure::Usage(format!(
                    "--columns {role}={column}: {} has the columns {}",
                    table.path().display(),
                    table.columns.join(", ")
                ))),
            };
        }
        let (_, names, needed) = ROLES.iter().find(|(name, ..)| *name == role).unwrap_or(&ROLES[4]);
        match names.iter().find(|name| table.has(name)) {
            Some(name) => Ok(Some((*name).into())),
            None if !needed => Ok(None),
            None => Err(Failure::Usage(format!(
                "{}: which column has the {role}? say --columns {role}=NAME; there are {}",
                table.path().display(),
                table.columns.join(", ")
            ))),
        }
    }
}

/// Runs of a log, and what is worth saying about them.
pub struct Log {
    /// Finished runs: of a curve, its last point.
    pub runs: Vec<Run>,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// Hash of the file.
    pub hash: String,
}

/// Losses beyond this are no nats a token: a uniform guess among a million tokens has 13.8.
const HIGHEST_LOSS: f64 = 20.0;

/// Reads a log. Rows without a loss are unfinished runs, which are counted and left out. With a `run` column,
/// rows of one run are its curve: only the last counts, for the loss on the way depends on a
/// learning rate that has not fallen yet.
pub fn read(path: &Path, columns: &Columns) -> Result<Log, Failure> {
    let table = Table::read(path)?;
    let column = |role: &str| columns.of(role, &table);
    let (params, tokens, loss) = (column("params")?, column("tokens")?, column("loss")?);
    let (params, tokens, loss) =
        (params.unwrap_or_default(), tokens.unwrap_or_default(), loss.unwrap_or_default());
    let (flops, run) = (column("flops")?, column("run")?);
    let (mut runs, mut last) = (Vec::<Run>::new(), BTreeMap::<String, usize>::new());
    let (mut unfinished, mut points) = (0, 0);
    for row in table.rows() {
        let Some(value) = row.number(&loss)? else {
            unfinished += 1;
            continue;
        };
        let (n, d) = (row.needed(&params)?, row.needed(&tokens)?);
        let c = match &flops {
            Some(column) => row.needed(column)?,
            None => 6.0 * n * d,
        };
        let found = Run { parameters: n, tokens: d, flops: c, loss: value };
        found.check().map_err(|error| anyhow!("{} line {}: {error}", path.display(), row.line()))?;
        if value > HIGHEST_LOSS {
            let what =
                "falls outside 0 to 20 nats a token: is it a perplexity or a percentage? take its logarithm";
            return Err(row.wrong(&loss, &format!("{value} {what}")).into());
        }
        points += 1;
        let name = match &run {
            Some(column) => row.required(column)?.to_string(),
            None => row.line().to_string(),
        };
        match last.get(&name) {
            Some(&at) if runs[at].tokens > d => {}
            Some(&at) => runs[at] = found,
            None => {
                last.insert(name, runs.len());
                runs.push(found);
            }
        }
    }
    let mut notes = Vec::new();
    if unfinished > 0 {
        notes.push(format!("{unfinished} rows have no loss and were left out"));
    }
    if points > runs.len() {
        notes.push(format!("of {points} points the last of each of {} runs counts", runs.len()));
    }
    notes.extend(units(&runs, flops.is_some()));
    Ok(Log { runs, notes, hash: table.hash().into() })
}

/// What looks like a mistaken unit.
fn units(runs: &[Run], flops_given: bool) -> Vec<String> {
    let median = |of: fn(&Run) -> f64| scaling::median(runs.iter().map(of)).unwrap_or(1.0);
    let mut notes = Vec::new();
    let (ratio, share) = (median(Run::ratio), median(|run| run.flops / (6.0 * run.parameters * run.tokens)));
    if median(|run| run.parameters) < 1e3 {
        notes.push("parameters look like millions or billions; write 7e9 for 7 billion".to_string());
    }
    if !(0.1..=1e5).contains(&ratio) {
        notes.push(format!(
            "the median run has {ratio:.3e} tokens a parameter: are both in the same unit, and is it tokens and not steps?"
        ));
    }
    if flops_given && (0.15..0.5).contains(&share) {
        notes.push(format!(
            "FLOP are {share:.2} of 6·N·D: tokens look like bytes, or parameters count the embedding"
        ));
    } else if flops_given && !(0.5..=5.0).contains(&share) {
        notes.push(format!("FLOP are {share:.2e} times 6·N·D: look at the units of all three"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str, columns: &str) -> Result<Log, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.csv");
        std::fs::write(&path, text).unwrap();
        let said = |failure| match failure {
            Failure::Usage(text) | Failure::Interrupted(text) => text,
            Failure::Failed(error) => error.to_string(),
        };
        Columns::parse(columns).and_then(|columns| read(&path, &columns)).map_err(said)
    }

    #[test]
    fn columns_are_mapped_or_known_by_their_names() {
        let mapped = log("a,b,c\n1e6,2e7,3.5\n2e6,4e7,\n", "params=a,tokens=b,loss=c").unwrap();
        let run = Run { parameters: 1e6, tokens: 2e7, flops: 1.2e14, loss: 3.5 };
        assert_eq!(mapped.runs, [run]);
        assert!(mapped.notes[0].contains("1 rows have no loss"), "{:?}", mapped.notes);
        assert_eq!(log("N,D,val_loss,C\n1e6,2e7,3.5,1.2e14\n", "").unwrap().runs, [run]);
        assert!(log("N,D,x\n1,1,1\n", "").err().unwrap().contains("which column has the loss"));
        assert!(log("N,D,x\n1,1,1\n", "loss=y").err().unwrap().contains("N, D, x"));
        assert!(log("N,D,x\n1,1,1\n", "height=y").err().unwrap().contains("no role 'height'"));
    }

    #[test]
    fn of_a_curve_the_end_counts() {
        let text = "id,N,D,loss\na,1e6,1e7,4\nb,1e6,1e7,4.1\na,1e6,3e7,3\na,1e6,2e7,3.5\n";
        let log = log(text, "run=id").unwrap();
        assert_eq!(log.runs.iter().map(|run| run.loss).collect::<Vec<_>>(), [3.0, 4.1]);
        assert!(log.notes[0].contains("of 4 points"));
    }

    #[test]
    fn mistaken_units_are_pointed_out() {
        assert!(log("N,D,loss\n1e6,2e7,35\n", "").err().unwrap().contains("perplexity"));
        let notes = |text: &str| log(text, "").unwrap().notes.join("; ");
        assert!(notes("N,D,loss\n70,1400,3\n").contains("millions"));
        assert!(notes("N,D,loss\n7e9,140,3\n").contains("same unit"));
        assert!(notes("N,D,loss,C\n1e6,8e7,3,1.2e14\n").contains("bytes"));
        assert!(notes("N,D,loss,C\n1e6,2e7,3,120\n").contains("units of all three"));
        assert!(log("N,D,loss\n1e6,0,3\n", "").err().unwrap().contains("line 2: tokens of 0"));
    }
}
