//! Tables of runs that somebody wrote: CSV, or JSONL with an object a line. Foreign bytes: every cell is
//! text until it is asked for as something else, and an error names file, line and column.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A table as it was read.
#[derive(Clone, Debug)]
pub struct Table {
    path: PathBuf,
    /// Names of columns, in their order.
    pub columns: Vec<String>,
    rows: Vec<(u64, Vec<Option<String>>)>,
    hash: String,
}

/// A row of a table.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    table: &'a Table,
    at: usize,
}

/// A table that is put together from several files: rows with named cells, columns in the order in which
/// their names came.
#[derive(Debug)]
pub struct TableBuilder {
    table: Table,
    place: BTreeMap<String, usize>,
}

impl TableBuilder {
    /// An empty table; `path` is for errors.
    pub fn new(path: &Path) -> TableBuilder {
        let table = Table { path: path.into(), columns: Vec::new(), rows: Vec::new(), hash: String::new() };
        TableBuilder { table, place: BTreeMap::new() }
    }

    /// Adds a row that stands in some line of its file. Of cells with one name the first counts.
    pub fn row<N: Into<String>>(&mut self, line: u64, cells: impl IntoIterator<Item = (N, String)>) {
        let mut row = vec![None; self.table.columns.len()];
        for (name, value) in cells {
            let name = name.into();
            let at = *self.place.entry(name.clone()).or_insert_with(|| {
                self.table.columns.push(name);
                self.table.columns.len() - 1
            });
            row.resize(self.table.columns.len(), None);
            if row[at].is_none() && !value.is_empty() {
                row[at] = Some(value);
            }
        }
        self.table.rows.push((line, row));
    }

    /// The table, with a hash of what it was made of.
    pub fn finish(mut self, hash: String) -> Result<Table> {
        if self.table.rows.is_empty() {
            return Err(Error::damaged(&self.table.path, "has no points of runs"));
        }
        self.table.hash = hash;
        Ok(self.table)
    }
}

/// Files beyond this are no table of runs.
const LARGEST: u64 = 1 << 30;

impl Table {
    /// Reads a file: JSONL by its name (`.jsonl`, `.ndjson`, `.json`), else CSV.
    pub fn read(path: &Path) -> Result<Table> {
        let about = std::fs::metadata(path).map_err(Error::io("read", path))?;
        if !about.is_file() {
            return Err(Error::damaged(path, "is no regular file"));
        }
        if about.len() > LARGEST {
            return Err(Error::damaged(path, "is over 1 GiB, which is no table of runs"));
        }
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" | "json" => Table::of_jsonl(path, &bytes),
            _ => Table::of_csv(path, &bytes),
        }
    }

    /// CSV: the first line names the columns.
    pub fn of_csv(path: &Path, bytes: &[u8]) -> Result<Table> {
        let plain = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(plain);
        let wrong = |error: csv::Error| Error::damaged(path, error.to_string());
        let columns: Vec<String> = reader.headers().map_err(wrong)?.iter().map(String::from).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(wrong)?;
            let line = record.position().map_or(0, csv::Position::line);
            rows.push((
                line,
                record.iter().map(|cell| Some(cell.to_string()).filter(|s| !s.is_empty())).collect(),
            ));
        }
        Table::checked(path, bytes, columns, rows)
    }

    /// JSONL: an object a line; objects within objects become dotted names.
    pub fn of_jsonl(path: &Path, bytes: &[u8]) -> Result<Table> {
        let mut columns: Vec<String> = Vec::new();
        let mut place = BTreeMap::new();
        let mut rows: Vec<(u64, Vec<Option<String>>)> = Vec::new();
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line)
                .map_err(|error| Error::damaged(path, format!("line {number}: no JSON object: {error}")))?;
            let mut cells = vec![None; columns.len()];
            flatten("", &object, &mut |name, value| {
                let at = *place.entry(name.clone()).or_insert_with(|| {
                    columns.push(name);
                    cells.push(None);
                    columns.len() - 1
                });
                cells[at] = Some(value);
            });
            rows.push((number, cells));
        }
        rows.iter_mut().for_each(|(_, cells)| cells.resize(columns.len(), None));
        Table::checked(path, bytes, columns, rows)
    }

    fn checked(
        path: &Path,
        bytes: &[u8],
        columns: Vec<String>,
        rows: Vec<(u64, Vec<Option<String>>)>,
    ) -> Result<Table> {
        if columns.iter().all(String::is_empty) {
            return Err(Error::damaged(
                path,
                "is empty; a table of runs begins with the names of its columns",
            ));
        }
        Ok(Table { path: path.into(), columns, rows, hash: crate::hash(bytes) })
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.rows.len()).map(|at| Row { table: self, at })
    }

    /// Whether there is such a column.
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hash of the file.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

pub(crate) fn flatten(
    prefix: &str,
    object: &serde_json::Map<String, serde_json::Value>,
    into: &mut impl FnMut(String, String),
) {
    for (name, value) in object {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            serde_json::Value::Object(inner) => flatten(&name, inner, into),
            serde_json::Value::Null => {}
            serde_json::Value::String(text) => into(name, text.clone()),
            other => into(name, other.to_string()),
        }
    }
}

impl<'a> Row<'a> {
    /// A cell, if it is not empty; a column that is not there is an error.
    pub fn text(&self, column: &str) -> Result<Option<&'a str>> {
        let at = self.table.columns.iter().position(|name| name == column).ok_or_else(|| {
            let what = format!("has no column '{column}'; its columns are {}", self.table.columns.join(", "));
            Error::damaged(&self.table.path, what)
        })?;
        Ok(self.table.rows[self.at].1.get(at).and_then(Option::as_deref))
    }

    /// A number, if the cell is not empty.
    pub fn number(&self, column: &str) -> Result<Option<f64>> {
        let Some(text) = self.text(column)? else { return Ok(None) };
        let number = text.replace(['_', ' '], "").parse::<f64>().ok().filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| self.wrong(column, &format!("'{text}' is no number")))
    }

    /// A cell that must be there.
    pub fn required(&self, column: &str) -> Result<&'a str> {
        self.text(column)?.ok_or_else(|| self.wrong(column, "is empty"))
    }

    /// A number that must be there.
    pub fn needed(&self, column: &str) -> Result<f64> {
        self.number(column)?.ok_or_else(|| self.wrong(column, "is empty"))
    }

    /// An error that names file, line and column.
    pub fn wrong(&self, column: &str, what: &str) -> Error {
        Error::damaged(&self.table.path, format!("line {}, column {column}: {what}", self.line()))
    }

    /// File and line, for messages.
    pub fn place(&self) -> String {
        format!("{} line {}", self.table.path.display(), self.line())
    }

    /// Cells that are not empty, with the names of their columns.
    pub fn cells(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let cells = &self.table.rows[self.at].1;
        let named = self.table.columns.iter().zip(cells);
        named.filter_map(|(name, cell)| Some((name.as_str(), cell.as_deref()?)))
    }

    /// Its line in the file, from 1.
    pub fn line(&self) -> u64 {
        self.table.rows[self.at].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn csv_and_jsonl_say_the_same() {
        let path = Path::new("runs.csv");
        let csv = Table::of_csv(path, b"\xef\xbb\xbfname, N ,loss\na,1e6,\"2.5\"\nb,2_000_000,\n").unwrap();
        let jsonl =
            b"{\"name\":\"a\",\"N\":1e6,\"loss\":2.5}\n\n{\"name\":\"b\",\"N\":2000000,\"loss\":null}\n";
        let jsonl = Table::of_jsonl(path, jsonl).unwrap();
        for table in [csv, jsonl] {
            let rows: Vec<_> = table.rows().collect();
            assert_eq!(rows[0].needed("N").unwrap(), 1e6);
            assert_eq!(rows[1].needed("N").unwrap(), 2e6);
            assert_eq!(rows[0].number("loss").unwrap(), Some(2.5));
            assert_eq!(rows[1].number("loss").unwrap(), None);
        }
        let nested = Table::of_jsonl(path, br#"{"summary":{"val/loss":3.0},"tags":[1]}"#).unwrap();
        assert_eq!(nested.columns, ["summary.val/loss", "tags"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let path = Path::new("runs.csv");
        let table = Table::of_csv(path, b"N,loss\n1,x\n2,nan\n").unwrap();
        let said =
            |row: usize, column| table.rows().nth(row).unwrap().number(column).unwrap_err().to_string();
        assert!(
            said(0, "loss").contains("runs.csv: line 2, column loss: 'x' is no number"),
            "{}",
            said(0, "loss")
        );
        assert!(said(1, "loss").contains("line 3"), "{}", said(1, "loss"));
        assert!(said(0, "tokens").contains("its columns are N, loss"));
        assert!(Table::of_csv(path, b"").unwrap_err().to_string().contains("empty"));
        assert!(Table::of_csv(path, b"a,b\n1\n").unwrap_err().to_string().contains("line: 2"));
        assert!(Table::of_jsonl(path, b"{}\n[1]\n").unwrap_err().to_string().contains("line 2"));
        assert!(Table::read(Path::new("/")).unwrap_err().to_string().contains("regular"));
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Table::of_csv(Path::new("x"), &bytes);
            let _ = Table::of_jsonl(Path::new("x"), &bytes);
        }
    }
}
