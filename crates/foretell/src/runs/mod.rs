//! Other people's runs: a log whose columns are mapped to parameters, tokens, FLOP and loss, and checked
//! for the units that people mix up.

mod columns;
mod curve;
mod source;

pub use columns::Columns;

use crate::Failure;
use anyhow::anyhow;
use columns::{Column, Role};
use curve::Point;
use record::{Row, Table};
use scaling::Run;
use source::Source;
use std::collections::BTreeMap;
use std::path::Path;

/// Runs of a log, and what is worth saying about them.
pub struct Log {
    /// Finished runs: of a curve, its end.
    pub runs: Vec<Run>,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// Hash of the file, or of the hashes of all files.
    pub hash: String,
}

/// Losses beyond this are no nats a token: a uniform guess among a million tokens has 13.8.
const HIGHEST_LOSS: f64 = 20.0;

/// Names of runs that a note lists, at most.
const NAMED: usize = 6;

/// Reads a log: a table, the CSV of a chart, an event file, or a folder of such. Rows without a loss are
/// unfinished runs, or points between evaluations; they are left out. Of a curve only the end counts ([`curve`]),
/// for the loss on the way depends on a learning rate that has not fallen yet; so runs that were cut
/// short are left out too, and named.
pub fn read(path: &Path, columns: &Columns) -> Result<Log, Failure> {
    let Source { table, curves, mut notes } = Source::open(path, columns)?;
    let names = Names {
        params: columns.needed(Role::Params, &table)?,
        tokens: columns.needed(Role::Tokens, &table)?,
        loss: columns.needed(Role::Loss, &table)?,
        flops: columns.of(Role::Flops, &table)?,
        step: columns.of(Role::Step, &table)?,
        schedule: columns.of(Role::Schedule, &table)?,
    };
    notes.extend(names.doubts(columns, &table));
    let (run, decayed) = (columns.of(Role::Run, &table)?, columns.of(Role::Decayed, &table)?);
    let state = columns.of(Role::State, &table)?;
    let mut curve_of = BTreeMap::<String, Vec<Row>>::new();
    let mut order = Vec::new();
    for row in table.rows() {
        let key = match (&run, curves) {
            (Some(column), true) => row.required(&column.name)?.to_string(),
            _ => format!("line {}", row.line()),
        };
        let rows = curve_of.entry(key.clone()).or_default();
        if rows.is_empty() {
            order.push(key);
        }
        rows.push(row);
    }
    let (mut runs, mut short) = (Vec::new(), Vec::new());
    let (mut unfinished, mut points, mut averaged) = (0, 0, 0);
    for key in order {
        let rows = &curve_of[&key];
        let found = names.points(rows, curves)?;
        unfinished += usize::from(found.is_empty());
        points += found.len();
        let Some((end, of)) = curve::end(&found) else { continue };
        averaged += usize::from(of > 1);
        let last = rows[rows.len() - 1];
        let stopped = match (&decayed, &state) {
            (Some(column), _) if is_no(last.text(&column.name)?) => Some("its rate had not fallen".into()),
            (_, Some(column)) => last
                .text(&column.name)?
                .filter(|state| is_stopped(state))
                .map(|state| format!("it is {state}")),
            _ => None,
        };
        match stopped.or_else(|| end.cut()) {
            Some(reason) => {
                let name = match &run {
                    Some(column) => last.text(&column.name)?,
                    None => None,
                };
                short.push(format!("{} ({reason})", name.unwrap_or(&key)));
            }
            None => runs.push(end.run),
        }
    }
    let all = runs.len() + short.len();
    if unfinished > 0 {
        notes.push(format!(
            "{unfinished} {} have no loss and were left out",
            if curves { "runs" } else { "rows" }
        ));
    }
    if points > all {
        notes.push(format!("of {points} points the last of each of {all} runs counts"));
    }
    if averaged > 0 {
        notes.push(format!("of {averaged} runs the losses of the last hundredth were averaged"));
    }
    if !short.is_empty() {
        let more = short.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        short.truncate(NAMED);
        let text = format!(
            "runs that were cut short say nothing of one that is not, and were left out: {}{more}",
            short.join(", ")
        );
        if runs.is_empty() {
            return Err(anyhow!("{}: no run is left; {text}", path.display()).into());
        }
        notes.push(text);
    }
    notes.extend(units(&runs, names.flops.is_some()));
    Ok(Log { runs, notes, hash: table.hash().into() })
}

fn is_no(text: Option<&str>) -> bool {
    text.is_some_and(|text| ["false", "no", "0", "0.0"].contains(&text.to_lowercase().as_str()))
}

/// What Weights & Biases says of a run that did not come to its end.
fn is_stopped(state: &str) -> bool {
    let states = ["running", "pending", "crashed", "failed", "killed", "preempting", "preempted"];
    states.contains(&state.to_lowercase().as_str())
}

/// The columns that points are made of.
struct Names {
    params: Column,
    tokens: Column,
    loss: Column,
    flops: Option<Column>,
    step: Option<Column>,
    schedule: Option<Column>,
}

impl Names {
    /// The evaluations of a run. Of a curve, what one row says holds until another says otherwise, and
    /// what is only said later held before.
    fn points(&self, rows: &[Row], curve: bool) -> Result<Vec<Point>, Failure> {
        let all = [Some(&self.params), Some(&self.tokens), self.flops.as_ref(), self.schedule.as_ref()];
        let mut held = [None; 4];
        if curve {
            for (held, column) in held.iter_mut().zip(all) {
                let Some(column) = column else { continue };
                *held = rows.iter().find_map(|row| column.number(row).transpose()).transpose()?;
            }
        }
        let mut points = Vec::new();
        for row in rows {
            let Some(loss) = self.loss.number(row)? else {
                if curve {
                    self.hold(&mut held, all, row, true)?;
                }
                continue;
            };
            self.hold(&mut held, all, row, curve)?;
            points.push(self.point(row, loss, held)?);
        }
        Ok(points)
    }

    fn hold(
        &self,
        held: &mut [Option<f64>; 4],
        all: [Option<&Column>; 4],
        row: &Row,
        curve: bool,
    ) -> Result<(), Failure> {
        for (held, column) in held.iter_mut().zip(all) {
            let Some(column) = column else { continue };
            let new = column.number(row)?;
            *held = if curve { new.or(*held) } else { new };
        }
        Ok(())
    }

    fn point(&self, row: &Row, loss: f64, held: [Option<f64>; 4]) -> Result<Point, Failure> {
        let [params, tokens, flops, schedule] = held;
        let needed = |value: Option<f64>, column: &Column| {
            value.ok_or_else(|| Failure::from(row.wrong(&column.name, "is empty")))
        };
        let (n, d) = (needed(params, &self.params)?, needed(tokens, &self.tokens)?);
        let c = match &self.flops {
            Some(column) => needed(flops, column)?,
            None => 6.0 * n * d,
        };
        let run = Run { parameters: n, tokens: d, flops: c, loss };
        run.check().map_err(|error| anyhow!("{}: {error}", row.place()))?;
        if loss > HIGHEST_LOSS {
            let what = format!(
                "{loss} falls outside 0 to 20 nats a token: is it a perplexity or a percentage? take its \
                 logarithm: --columns 'loss=ln({})'",
                self.loss.name
            );
            return Err(row.wrong(&self.loss.name, &what).into());
        }
        let step = match &self.step {
            Some(column) => column.number(row)?,
            None => None,
        };
        Ok(Point { run, progress: step.unwrap_or(d), schedule })
    }

    /// What is worth saying of the column that was taken for the loss.
    fn doubts(&self, columns: &Columns, table: &Table) -> Vec<String> {
        let Column { name, logarithm, .. } = &self.loss;
        let lower = name.to_lowercase();
        let mut notes = Vec::new();
        if !logarithm && (lower.contains("ppl") || lower.contains("perplexity")) {
            notes.push(format!(
                "'{name}' is a perplexity by its name; if so, say --columns 'loss=ln({name})'"
            ));
        }
        if lower.contains("train") {
            notes.push(format!(
                "'{name}' is a loss in training by its name: held-out losses are foretold better"
            ));
        }
        let others = columns.others(Role::Loss, name, table);
        if !others.is_empty() {
            notes.push(format!("the loss is the column '{name}', not {}", others.join(", ")));
        }
        notes
    }
}

/// What looks like a mistaken unit.
fn units(runs: &[Run], flops_given: bool) -> Vec<String> {
    let median = |of: fn(&Run) -> f64| scaling::median(runs.iter().map(of)).unwrap_or(1.0);
    let mut notes = Vec::new();
    let (ratio, share) = (median(Run::ratio), median(|run| run.flops / (6.0 * run.parameters * run.tokens)));
    if median(|run| run.parameters) < 1e3 {
        notes.push("parameters look like millions or billions; write 7e9 for 7 billion, or --columns 'params=NAME*1e6'".to_string());
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
    fn numbers_come_with_suffixes_factors_and_logarithms() {
        let run = Run { parameters: 1.25e8, tokens: 2.5e9, flops: 1.875e18, loss: 3.5 };
        let close = |log: Log| {
            let [one] = log.runs[..] else { panic!("{:?}", log.runs) };
            let pairs = [
                (one.parameters, run.parameters),
                (one.tokens, run.tokens),
                (one.flops, run.flops),
                (one.loss, run.loss),
            ];
            assert!(pairs.iter().all(|(a, b)| (a / b - 1.0).abs() < 1e-9), "{one:?}");
        };
        close(log("model_size,D,loss\n125M,2.5B,3.5\n", "").unwrap());
        close(log("Num Params,Tokens,Eval/Loss\n\"125,000,000\",2_500 M,3.5\n", "").unwrap());
        let line = "params=size*1e6,tokens=step*1e6,loss=ln(ppl)";
        close(log(&format!("size,step,ppl\n125,2500,{}\n", 3.5f64.exp()), line).unwrap());
        assert!(log("N,D,loss\n7X,2,3\n", "").err().unwrap().contains("'7X' is no number"));
        assert!(log("N,D,val_ppl\n1e6,2e7,3\n", "loss=val_ppl").unwrap().notes[0].contains("perplexity"));
    }

    #[test]
    fn a_held_out_loss_is_preferred_and_said() {
        let found = log("N,D,train_loss,loss/val\n1e6,2e7,3,3.5\n", "").unwrap();
        assert_eq!(found.runs[0].loss, 3.5);
        assert!(found.notes[0].contains("'loss/val', not train_loss"), "{:?}", found.notes);
        assert!(log("N,D,train_loss\n1e6,2e7,3\n", "").unwrap().notes[0].contains("in training"));
    }

    #[test]
    fn runs_that_were_cut_short_are_named_and_left_out() {
        let text = "Name,State,N,D,loss,schedule_tokens,decayed\na,finished,1e6,2e7,3,2e7,true\n\
                    b,crashed,1e6,1e7,3.5,,\nc,finished,1e6,1e7,3.5,2e7,\nd,finished,1e6,2e7,3.5,,False\n";
        let found = log(text, "").unwrap();
        assert_eq!(found.runs.len(), 1);
        let note = found.notes.iter().find(|note| note.contains("cut short")).unwrap();
        for reason in ["b (it is crashed)", "c (it did 50 % of its schedule)", "d (its rate had not fallen)"]
        {
            assert!(note.contains(reason), "{note}");
        }
        assert!(log("N,D,loss,decayed\n1e6,2e7,3,0\n", "").err().unwrap().contains("no run is left"));
    }

    #[test]
    fn what_a_curve_says_in_one_row_holds_in_others() {
        // As the history of a run has it: tokens and losses in rows of their own, sizes once.
        let text = "run,_step,N,tokens,loss\na,1,1e6,,\na,10,,1e6,\na,10,,,4\na,100,,1e7,\na,100,,,3\n";
        let found = log(text, "").unwrap();
        assert_eq!((found.runs.len(), found.runs[0].tokens, found.runs[0].loss), (1, 1e7, 3.0));
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
