//! What Weights & Biases leaves behind: the CSV of a chart, and the folder of a run.

use crate::error::{Error, Result};
use crate::table::{Table, TableBuilder, flatten};
use std::path::Path;

/// Between a run and its metric in the CSV of a chart.
const BETWEEN: &str = " - ";

/// Ends of columns that hold the range of what was thinned out.
const RANGE: [&str; 2] = ["__MIN", "__MAX"];

/// The CSV of a chart, `Step, run - metric, run - metric__MIN, run - metric__MAX, …`, as a row for each run and step:
/// `run`, the first column under its own name, and each metric under its own. `None` if the table is none.
pub fn chart(table: &Table) -> Result<Option<Table>> {
    let Some((axis, columns)) = table.columns.split_first() else { return Ok(None) };
    let mut values = columns.iter().filter(|name| !RANGE.iter().any(|end| name.ends_with(end))).peekable();
    let split: Option<Vec<(&String, (&str, &str))>> = match values.peek() {
        Some(_) => values.map(|name| Some((name, name.rsplit_once(BETWEEN)?))).collect(),
        None => None,
    };
    let Some(split) = split else { return Ok(None) };
    let mut runs: Vec<&str> = Vec::new();
    for (_, (run, _)) in &split {
        if !runs.contains(run) {
            runs.push(run);
        }
    }
    let mut long = TableBuilder::new(table.path());
    for row in table.rows() {
        let Some(at) = row.text(axis)? else { continue };
        for run in &runs {
            let mut cells = vec![("run", run.to_string()), (axis, at.into())];
            for (column, (of, metric)) in &split {
                if let (true, Some(value)) = (of == run, row.text(column)?) {
                    cells.push((metric, value.into()));
                }
            }
            if cells.len() > 2 {
                long.row(row.line(), cells);
            }
        }
    }
    long.finish(table.hash().into()).map(Some)
}

/// What a run's folder says: the summary (`wandb-summary.json`), and the configuration (`config.yaml`) where it is;
/// names and values. Names within names are dotted.
pub fn settings(summary: &[u8], config: Option<&str>, path: &Path) -> Result<Vec<(String, String)>> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(summary)
        .map_err(|error| Error::damaged(path, format!("no JSON object: {error}")))?;
    let mut cells = Vec::new();
    flatten("", &object, &mut |name, value| cells.push((name, value)));
    cells.extend(config.map(configuration).unwrap_or_default());
    Ok(cells)
}

/// `config.yaml` as the client writes it: a name, and indented below it `value:` with a scalar or a map of scalars. What is
/// neither is passed over: lists and deeper maps name no size of a run.
fn configuration(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut name = String::new();
    // Indentation of the names inside of a value that is a map.
    let mut inside: Option<usize> = None;
    let mut in_value = false;
    for line in text.lines() {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let Some((key, value)) = line.trim().split_once(':') else { continue };
        let (key, value) = (unquoted(key), unquoted(value));
        if indent == 0 {
            (name, inside, in_value) = (key.into(), None, false);
        } else if name.starts_with("_wandb") || name.is_empty() {
        } else if indent == 2 {
            in_value = key == "value";
            inside = None;
            if in_value && !value.is_empty() {
                found.push((name.clone(), value.into()));
            }
        } else if in_value && indent == *inside.get_or_insert(indent) && !value.is_empty() {
            found.push((format!("{name}.{key}"), value.into()));
        }
    }
    found.retain(|(_, value)| value != "null" && value != "{}" && value != "[]");
    found
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let strip = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    strip('\'').or_else(|| strip('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_chart_becomes_a_row_for_each_run_and_step() {
        let text = "\"Step\",\"a - b - val/loss\",\"a - b - val/loss__MIN\",\"a - b - val/loss__MAX\",\"c - val/loss\",\"c - tokens\"\n\
                    10,3.5,3.5,3.5,,\n20,3.0,3.0,3.0,4.0,1e6\n";
        let path = Path::new("chart.csv");
        let table = chart(&Table::of_csv(path, text.as_bytes()).unwrap()).unwrap().unwrap();
        assert_eq!(table.columns, ["run", "Step", "val/loss", "tokens"]);
        let cells: Vec<Vec<_>> =
            table.rows().map(|row| row.cells().map(|(_, cell)| cell).collect()).collect();
        assert_eq!(
            cells,
            [vec!["a - b", "10", "3.5"], vec!["a - b", "20", "3.0"], vec!["c", "20", "4.0", "1e6"]]
        );
        for other in ["N,D,loss\n1,2,3\n", "step\n1\n", "step,a - x,y\n1,2,3\n"] {
            assert!(chart(&Table::of_csv(path, other.as_bytes()).unwrap()).unwrap().is_none(), "{other}");
        }
    }

    #[test]
    fn a_folder_of_a_run_says_its_summary_and_its_configuration() {
        let yaml = "wandb_version: 1\n\n_wandb:\n  desc: null\n  value:\n    cli_version: 0.16.0\nn_params:\n  desc: null\n  \
                    value: 1.25e8\nmodel:\n  value:\n    width: 64\n    deep:\n      er: 1\n    layers: 4\nname:\n  value: 'x: y'\nlist:\n  value:\n  - 1\n";
        let cells = settings(
            br#"{"val/loss": 3.5, "_step": 9, "_wandb": {"runtime": 3}}"#,
            Some(yaml),
            Path::new("x"),
        );
        let cells = cells.unwrap();
        let get = |name: &str| cells.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!(
            (get("val/loss"), get("_step"), get("n_params")),
            (Some("3.5"), Some("9"), Some("1.25e8"))
        );
        assert_eq!(
            (get("model.width"), get("model.layers"), get("name")),
            (Some("64"), Some("4"), Some("x: y"))
        );
        assert_eq!((get("model.er"), get("_wandb.cli_version"), get("list")), (None, None, None));
        assert!(settings(b"[1]", None, Path::new("x")).is_err());
    }

    proptest! {
        #[test]
        fn any_text_gives_settings(text in ".{0,200}") {
            configuration(&text);
        }
    }
}
