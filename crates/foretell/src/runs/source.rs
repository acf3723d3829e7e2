//! Where a log comes from: a table, the CSV of a chart, event files, folders of these — all made one table of points.

use super::columns::{Columns, Role};
use crate::Failure;
use anyhow::{Context, anyhow};
use record::{Events, Row, Table, TableBuilder, wandb};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A log as a table.
#[derive(Debug)]
pub struct Source {
    /// Its points.
    pub table: Table,
    /// Rows with one name in the column `run` are the curve of one run.
    pub curves: bool,
    /// What the user should know of how it was read.
    pub notes: Vec<String>,
}

/// A table of this name in a folder says of each run what its own files do not: sizes, schedules.
const SIDE: [&str; 3] = ["runs.csv", "runs.jsonl", "runs.ndjson"];

/// What a run's folder of Weights & Biases is known by.
const SUMMARY: &str = "wandb-summary.json";

/// Files and folders that are looked at, at most; and how deep.
const MOST: (usize, usize) = (20_000, 8);

impl Source {
    /// Opens a file or a folder.
    pub fn open(path: &Path, columns: &Columns) -> Result<Source, Failure> {
        let about = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        if about.is_dir() {
            return folder(path, columns);
        }
        if is_events(path) {
            let files = BTreeMap::from([(name_of(path), vec![path.to_path_buf()])]);
            return assemble(path, columns, Found { events: files, ..Found::default() });
        }
        let table = Table::read(path)?;
        Ok(match wandb::chart(&table)? {
            Some(chart) => Source {
                table: chart,
                curves: true,
                notes: vec!["columns 'run - metric' were read as the curves of those runs".into()],
            },
            None => Source { curves: is_curve(&table, columns)?, table, notes: Vec::new() },
        })
    }
}

/// Rows are the points of curves if the column of runs is named by the user, or if there is one beside steps.
fn is_curve(table: &Table, columns: &Columns) -> Result<bool, Failure> {
    let stepped = || columns.of(Role::Step, table).map(|step| step.is_some());
    Ok(columns.asks(Role::Run) || (columns.of(Role::Run, table)?.is_some() && stepped()?))
}

/// What lies in a folder.
#[derive(Default)]
struct Found {
    /// Event files, by the folder that they are in: a run each.
    events: BTreeMap<String, Vec<PathBuf>>,
    /// Folders of Weights & Biases.
    summaries: Vec<PathBuf>,
    tables: Vec<PathBuf>,
    side: Option<PathBuf>,
}

fn folder(path: &Path, columns: &Columns) -> Result<Source, Failure> {
    if path.join("ladder.toml").exists() {
        let text = format!("{0} is a ladder: predict {0}", path.display());
        return Err(Failure::Usage(text));
    }
    let (mut found, mut seen) = (Found::default(), 0);
    walk(path, path, 0, &mut seen, &mut found)?;
    found.side = SIDE.iter().map(|name| path.join(name)).find(|side| side.exists());
    found.tables.retain(|table| Some(table) != found.side.as_ref());
    if found.events.is_empty() && found.summaries.is_empty() && found.tables.is_empty() {
        return match found.side {
            Some(side) => Source::open(&side, columns),
            None => Err(anyhow!(
                "{}: holds no runs: neither event files of TensorBoard, nor {SUMMARY}, nor tables (.csv, .jsonl)",
                path.display()
            )
            .into()),
        };
    }
    assemble(path, columns, found)
}

fn walk(
    root: &Path,
    folder: &Path,
    depth: usize,
    seen: &mut usize,
    found: &mut Found,
) -> Result<(), Failure> {
    let list = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in list {
        paths.push(entry.with_context(|| format!("cannot list {}", folder.display()))?.path());
    }
    paths.sort();
    for path in paths {
        *seen += 1;
        if *seen > MOST.0 || depth > MOST.1 {
            return Err(anyhow!(
                "{}: is over {} files or {} folders deep; name the folder of the runs",
                root.display(),
                MOST.0,
                MOST.1
            )
            .into());
        }
        let about =
            std::fs::symlink_metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let run = || folder.strip_prefix(root).ok().filter(|run| !run.as_os_str().is_empty()).map(name_of);
        if about.is_dir() {
            walk(root, &path, depth + 1, seen, found)?;
        } else if about.is_file() && is_events(&path) {
            found.events.entry(run().unwrap_or_else(|| name_of(root))).or_default().push(path);
        } else if about.is_file() && path.file_name().is_some_and(|name| name == SUMMARY) {
            found.summaries.push(path);
        } else if path
            .extension()
            .is_some_and(|end| ["csv", "jsonl", "ndjson"].iter().any(|known| end == *known))
        {
            found.tables.push(path);
        }
    }
    Ok(())
}

fn is_events(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains("tfevents"))
}

/// A path as a run's name.
fn name_of(path: &Path) -> String {
    let absolute = || path.canonicalize().ok()?.file_name().map(|name| name.to_string_lossy().into_owned());
    match path.is_absolute() {
        true => path.file_name().map(|name| name.to_string_lossy().into_owned()).or_else(absolute),
        false => Some(path.display().to_string()),
    }
    .unwrap_or_else(|| "run".into())
}

/// One table of all: a row for each point, with what the side table says of its run.
fn assemble(path: &Path, columns: &Columns, found: Found) -> Result<Source, Failure> {
    let mut builder = TableBuilder::new(path);
    let (mut notes, mut hashes) = (Vec::new(), Vec::new());
    let side = found.side.as_deref().map(Table::read).transpose()?;
    let mut sides = BTreeMap::<&str, Row>::new();
    if let Some(table) = &side {
        let run = columns.of(Role::Run, table)?.ok_or_else(|| {
            Failure::Usage(format!(
                "{}: has no column 'run' by which its rows find their runs",
                table.path().display()
            ))
        })?;
        for row in table.rows() {
            sides.insert(row.required(&run.name)?, row);
        }
        hashes.push(table.hash().to_string());
    }
    let mut add = |run: &str, line: u64, cells: &mut dyn Iterator<Item = (String, String)>| {
        let beside = sides.get(run).map(|row| row.cells()).into_iter().flatten();
        let beside = beside.map(|(name, cell)| (name.to_string(), cell.to_string()));
        builder.row(line, [("run".to_string(), run.to_string())].into_iter().chain(cells).chain(beside));
    };
    for (run, paths) in &found.events {
        let mut points = BTreeMap::<u64, BTreeMap<String, f64>>::new();
        let mut settings = BTreeMap::new();
        for path in paths {
            let bytes = crate::input::read(path)?;
            let events = Events::of_bytes(path, &bytes)?;
            hashes.push(record::hash(&bytes));
            if events.torn {
                notes
                    .push(format!("{}: ends inside of a record; what is before it was read", path.display()));
            }
            // A run that was gone on with writes some steps again: the last word counts.
            for one in events.scalars {
                points.entry(one.step).or_default().insert(one.tag, one.value);
            }
            settings.extend(events.settings);
        }
        for (step, values) in &points {
            let values = values.iter().map(|(tag, value)| (tag.clone(), value.to_string()));
            let cells = settings.iter().map(|(name, value)| (name.clone(), value.clone()));
            add(run, *step, &mut values.chain([("step".to_string(), step.to_string())]).chain(cells));
        }
    }
    for path in &found.summaries {
        let files = path.parent().unwrap_or(path);
        let config = std::fs::read_to_string(files.join("config.yaml")).ok();
        let bytes = crate::input::read(path)?;
        let cells = wandb::settings(&bytes, config.as_deref(), path)?;
        hashes.extend([record::hash(&bytes), record::hash(config.unwrap_or_default().as_bytes())]);
        let home = if files.ends_with("files") { files.parent().unwrap_or(files) } else { files };
        add(&name_of(&home.canonicalize().unwrap_or(home.into())), 1, &mut cells.into_iter());
    }
    for path in &found.tables {
        let table = Table::read(path)?;
        hashes.push(table.hash().to_string());
        let table = wandb::chart(&table)?.unwrap_or(table);
        let run = columns.of(Role::Run, &table).ok().flatten();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        for row in table.rows() {
            let name = match &run {
                Some(column) => row.required(&column.name)?,
                None => &stem,
            };
            add(name, row.line(), &mut row.cells().map(|(name, cell)| (name.to_string(), cell.to_string())));
        }
    }
    hashes.sort();
    let hash = record::hash(hashes.concat().as_bytes());
    Ok(Source { table: builder.finish(hash)?, curves: true, notes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{EventWriter, Files};
    use std::fs;

    fn read(path: &Path, columns: &str) -> Result<super::super::Log, String> {
        let said = |failure| match failure {
            Failure::Usage(text) | Failure::Interrupted(text) => text,
            Failure::Failed(error) => error.to_string(),
        };
        Columns::parse(columns).and_then(|columns| super::super::read(path, &columns)).map_err(said)
    }

    fn losses(path: &Path, columns: &str) -> Vec<(f64, f64, f64)> {
        let log = read(path, columns).unwrap();
        log.runs.iter().map(|run| (run.parameters, run.tokens, run.loss)).collect()
    }

    /// Two runs' event files; the second was gone on with in another file.
    fn events(folder: &Path) {
        for (run, files) in [
            ("small", vec![vec![(1, 4.0), (2, 3.5)]]),
            ("large", vec![vec![(1, 3.0), (2, 9.0)], vec![(2, 2.5)]]),
        ] {
            let folder = folder.join("logs").join(run);
            fs::create_dir_all(&folder).unwrap();
            for (number, points) in files.into_iter().enumerate() {
                let mut writer = EventWriter::new(&Files::new(), &folder, number as f64).unwrap();
                for (step, loss) in points {
                    writer.scalar("val/loss", step, loss, 0.0).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_folder_of_event_files_finds_sizes_in_a_table_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        events(folder.path());
        let said = read(folder.path(), "").err().unwrap();
        assert!(said.contains("which column has the params") && said.contains("val/loss"), "{said}");
        let side = "run,N\nlogs/small,1e6\nlogs/large,1e7\nother,1\n";
        fs::write(folder.path().join("runs.csv"), side).unwrap();
        let found = losses(folder.path(), "tokens=step*1e7");
        assert_eq!(found, [(1e7, 2e7, 2.5), (1e6, 2e7, 3.5)]);
        // A file alone is a run, too.
        let file = fs::read_dir(folder.path().join("logs/small")).unwrap().next().unwrap().unwrap().path();
        assert_eq!(losses(&file, "params=step*1e6,tokens=step*1e7"), [(2e6, 2e7, 3.5)]);
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 3]).unwrap();
        let notes = read(folder.path(), "tokens=step*1e7").unwrap().notes;
        assert!(notes[0].contains("inside of a record"), "{notes:?}");
    }

    #[test]
    fn folders_of_weights_and_biases_and_histories_are_runs() {
        let folder = tempfile::tempdir().unwrap();
        for (run, n) in [("run-1", 1e6), ("run-2", 1e7)] {
            let files = folder.path().join(run).join("files");
            fs::create_dir_all(&files).unwrap();
            fs::write(files.join("wandb-summary.json"), r#"{"eval": {"loss": 3.0}, "total_tokens": 2e7}"#)
                .unwrap();
            fs::write(files.join("config.yaml"), format!("n_params:\n  desc: null\n  value: {n}\n")).unwrap();
        }
        assert_eq!(losses(folder.path(), ""), [(1e6, 2e7, 3.0), (1e7, 2e7, 3.0)]);
        let other = tempfile::tempdir().unwrap();
        let history = "{\"_step\":1,\"tokens\":1e6}\n{\"_step\":2,\"val/loss\":3,\"_runtime\":2}\n";
        fs::write(other.path().join("a.jsonl"), history).unwrap();
        fs::write(other.path().join("runs.jsonl"), "{\"run\":\"a\",\"config\":{\"num_params\":\"1M\"}}\n")
            .unwrap();
        assert_eq!(losses(other.path(), ""), [(1e6, 1e6, 3.0)]);
    }

    #[test]
    fn a_chart_is_read_with_its_runs() {
        let folder = tempfile::tempdir().unwrap();
        let chart = "Step,a - loss,a - loss__MIN,a - loss__MAX,b - loss\n1,4,4,4,3\n2,3.5,3,4,\n";
        fs::write(folder.path().join("chart.csv"), chart).unwrap();
        fs::write(folder.path().join("runs.csv"), "Name,N\na,1e6\nb,2e6\n").unwrap();
        assert_eq!(losses(folder.path(), "tokens=Step*1e7"), [(1e6, 2e7, 3.5), (2e6, 1e7, 3.0)]);
        let said = read(&folder.path().join("chart.csv"), "").err().unwrap();
        assert!(said.contains("params") && said.contains("Step"), "{said}");
    }

    #[test]
    fn what_holds_no_runs_is_refused_with_what_would() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path(), "").err().unwrap().contains("event files"));
        fs::write(folder.path().join("ladder.toml"), "").unwrap();
        assert!(read(folder.path(), "").err().unwrap().contains("is a ladder"));
        let file = folder.path().join("events.out.tfevents.1");
        fs::write(&file, b"never an event file").unwrap();
        assert!(read(&file, "").err().unwrap().contains("byte 0"));
        assert!(read(&folder.path().join("missing"), "").err().unwrap().contains("missing"));
    }
}
