//! `--config` and `--set` stand for options and settings, whatever the verb.

use crate::common::{
    World, assert_same, check_error, end, foretell, ok, outcome, refused, words, world, write_config,
};
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

#[cfg(unix)]
#[test]
fn paths_that_are_no_utf8_are_refused_and_not_passed_over() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let World { run, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let bad = |before: &str| OsString::from_vec([before.as_bytes(), b"a\xff"].concat());
    let run = run.as_os_str();
    let out = folder.path().join("out").into_os_string();
    let verb = |line: &str| -> Vec<OsString> { line.split(' ').map(OsString::from).collect() };
    let lines: [(Vec<OsString>, &str); 6] = [
        ([verb("sample"), vec![run.into(), bad("--config=")]].concat(), "--config"),
        ([verb("sample"), vec![run.into()], verb("--config"), vec![bad("")]].concat(), "--config"),
        ([verb("sample"), vec![run.into(), bad("--set=prompt=")]].concat(), "--set"),
        ([verb("sample"), vec![bad("")]].concat(), "not UTF-8"),
        ([verb("train --budget N=1e4 --out"), vec![out, bad("--data=")]].concat(), "not UTF-8"),
        ([verb("train --out x"), vec![bad("--init-from=")]].concat(), "not UTF-8"),
    ];
    for (line, thing) in lines {
        let ended = end(foretell(&line).current_dir(folder.path()));
        check_error(&ended, thing, &format!("{line:?}"));
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_machine_of_a_file_is_told_not_to_count() {
    let folder = tempfile::tempdir().unwrap();
    let toml = write_config(folder.path(), 2, &[("[model]", "[machine]\nranks = 2\n\n[model]")]);
    for (rest, told) in [("", true), (" --ranks 2", false)] {
        let out = folder.path().join(format!("out{}", rest.len()));
        let line = format!("train --config {{toml}} --out {{out}} -q{rest}");
        let ended = ok(words(&line, &[("toml", &toml), ("out", &out)]));
        assert_eq!(ended.stderr.contains("[machine] of --config is not taken over"), told, "{ended:?}");
    }
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
            ("sample {run} --config /dev/zero", "/dev/zero: it is no regular file"),
            ("sample {run} --set config={file}", "command line only"),
            ("sample {run} --set help=true", "command line only"),
            ("sample {run} --set set=1", "command line only"),
        ],
    );
}
