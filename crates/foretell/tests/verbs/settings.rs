//! `--config` and `--set` stand for options and settings, whatever the verb.

use crate::common::{World, assert_same, ok, outcome, refused, words, world, write_config};
use std::fs;

#[test]
fn a_file_the_command_line_and_set_say_the_same() {
    let World { data, run, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sample.toml");
    fs::write(&file, "prompt = \"The \"\ntemperature = 0\ntokens = 9\njson = true\n").unwrap();
    let places = [("run", run.as_path()), ("file", &file), ("data", data)];
    let typed = ok(words("sample {run} --prompt The_ --temperature 0 --tokens 9 --json", &places)
        .iter()
        .map(|word| word.replace("The_", "The ")));
    let from_file = ok(words("sample {run} --config {file}", &places));
    assert_eq!(typed.stdout, from_file.stdout);
    let set = ok(words(
        "--set temperature=0 sample {run} --set tokens=9 --set json=true --set=prompt=The_",
        &places,
    )
    .iter()
    .map(|word| word.replace("The_", "The ")));
    assert_eq!(typed.stdout, set.stdout);
    // What is typed wins.
    let fewer = ok(words("sample {run} --config {file} --tokens 2", &places));
    assert_eq!(fewer.summary()["tokens"].as_array().unwrap().len(), 2);
}

#[test]
fn set_overrides_the_file_in_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let [plain, set] = ["plain", "set"].map(|name| folder.path().join(name));
    let changes = [
        ("seed = 7", "seed = 8"),
        ("peak = 0.02", "peak = 0.01"),
        ("kind = \"cosine\"", "kind = \"linear\""),
    ];
    let toml = write_config(folder.path(), 4, &changes);
    ok(words("train --config {toml} --out {plain} -q", &[("toml", &toml), ("plain", &plain)]));
    let toml = write_config(folder.path(), 9, &[]);
    let line = "train --config {toml} --set seed=8 --set schedule.peak=0.01 --set schedule.kind=linear \
                --set steps=4 --out {set} -q";
    ok(words(line, &[("toml", &toml), ("set", &set)]));
    assert_same(&outcome(&plain), &outcome(&set), "--set");
}

#[test]
fn what_no_verb_knows_is_refused() {
    let World { run, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let [file, nested] = ["colour.toml", "nested.toml"].map(|name| folder.path().join(name));
    fs::write(&file, "colour = 'red'\n").unwrap();
    fs::write(&nested, "[sample]\ntokens = 3\n").unwrap();
    let places = [("run", run.as_path()), ("file", &file), ("nested", &nested)];
    refused(
        folder.path(),
        &places,
        &[
            ("sample {run} --set colour=red", "colour"),
            ("sample {run} --set", "--set"),
            ("sample {run} --set tokens", "key=value"),
            ("sample {run} --set json=perhaps", "json"),
            ("sample {run} --set tokens=few", "few"),
            ("sample {run} --config {file}", "colour"),
            ("sample {run} --config {nested}", "sample.tokens"),
            ("sample {run} --config", "--config"),
            ("sample {run} --config {run}", "--config"),
        ],
    );
}
