//! `bench evidence`.

use crate::common::{check_error, end, foretell, ok, words, world};
use std::fs;
use std::path::Path;

/// Two ladders of different seeds and a target of either.
fn named(data: &Path, bounds: &str) -> String {
    let mut text = String::new();
    for (name, seed) in [("one", 1), ("two", 11)] {
        text += &format!(
            "[[ladder]]\nname = '{name}'\ndata = '{}'\nmax = 5e10\nspan = 60\nratios = [6, 12]\nseeds = 1\nseed = {seed}\n",
            data.display()
        );
    }
    text + &format!(
        "[[target]]\nname = 'small'\nladders = ['one', 'two']\nbudget = 'N=1e4,D=1e5'\nseed = 7\nbounds = {bounds}\n"
    )
}

#[test]
fn what_a_file_names_is_made_foretold_and_judged_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("named.toml"), named(&world().data, "[5e10]")).unwrap();
    let places = [("file", at("named.toml")), ("out", at("out")), ("records", at("records"))];
    let places: Vec<(&str, &Path)> = places.iter().map(|(name, path)| (*name, path.as_path())).collect();
    let line = words("bench evidence {file} --out {out} --records {records} --threads 2 -q", &places);
    let first = ok(line.clone()).stdout;
    assert!(first.contains("ladder one") && first.contains("came out"), "{first}");
    let registry = fs::read_to_string(at("out/predictions.jsonl")).unwrap();
    let kinds = |kind: &str| registry.matches(&format!("\"kind\":\"{kind}\"")).count();
    assert_eq!((kinds("prediction"), kinds("outcome")), (2, 2), "{registry}");

    // One run serves both; it began after them, and names the later one.
    let records = fs::read_to_string(at("records/evidence.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5, "{records}");
    assert_eq!(lines[3]["observed"], lines[4]["observed"]);
    assert_ne!(lines[3]["predicted"], lines[4]["predicted"]);
    assert_eq!(lines[3]["memory_error"], 0.0, "{records}");
    assert!(registry.matches("\"order\":\"hash\"").count() == 2, "{registry}");
    for name in ["predictions.jsonl", "one.toml", "two.json"] {
        assert!(at("records").join(name).is_file(), "{name}");
    }

    // Again: nothing is added.
    ok(line.clone());
    assert_eq!(fs::read_to_string(at("out/predictions.jsonl")).unwrap(), registry);

    // A prediction that comes after its run began is none.
    fs::write(at("named.toml"), named(&world().data, "[5e10, 4.9e10]")).unwrap();
    check_error(&end(&mut foretell(line)), "has begun", "evidence");
}

#[test]
fn what_names_nothing_sound_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("named.toml");
    let out = folder.path().join("out");
    let whole = named(&world().data, "[5e10]");
    for (text, thing) in [
        (whole.replace("name = 'two'", "name = 'one'"), "two of the name"),
        (whole.replace("name = 'two'", "name = '../two'"), "letters, digits"),
        (whole.replace("['one', 'two']", "['three']"), "no ladder three"),
        (whole.replace("[5e10]", "[]"), "no bounds"),
        (whole.replace("N=1e4,D=1e5", "soon"), "soon"),
        (whole.replace("seed = 7", "seed = 7\nbudgte = 1"), "budgte"),
        ("\u{0}".into(), "named.toml"),
    ] {
        fs::write(&file, text).unwrap();
        let line = words("bench evidence {file} --out {out} -q", &[("file", &file), ("out", &out)]);
        check_error(&end(&mut foretell(line)), thing, thing);
        assert!(!out.exists());
    }
}
