//! The bits of a run do not depend on threads or ranks, nor on the option that named them.

use crate::common::{assert_same, ok, outcome, words, write_config};

#[test]
fn threads_and_ranks_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let toml = write_config(folder.path(), 5, &[]);
    let first = folder.path().join("first");
    ok(words("train --config {toml} --out {first} --threads 1 -q", &[("toml", &toml), ("first", &first)]));
    let first = outcome(&first);
    for options in [
        "--threads 2",
        "--threads 3",
        "--threads 1 --ranks 2",
        "--threads 4 --ranks 4",
        "--threads 3 --ranks 2",
    ] {
        let run = folder.path().join(options);
        let mut line = words("train --config {toml} -q", &[("toml", &toml)]);
        line.extend(options.split(' ').map(String::from));
        line.extend(["--out".into(), run.display().to_string()]);
        ok(line);
        assert_same(&first, &outcome(&run), options);
    }
}

#[test]
fn muon_does_not_depend_on_them_either() {
    let folder = tempfile::tempdir().unwrap();
    let toml =
        write_config(folder.path(), 3, &[("[samples]", "[optimiser]\nmatrices = \"muon\"\n\n[samples]")]);
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    let places = [("toml", toml.as_path()), ("one", &one), ("two", &two)];
    ok(words("train --config {toml} --out {one} --threads 1 -q", &places));
    ok(words("train --config {toml} --out {two} --threads 4 --ranks 2 -q", &places));
    assert_same(&outcome(&one), &outcome(&two), "muon");
}
