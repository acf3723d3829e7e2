//! `transfer`: its records, its verdict, what it refuses.

use crate::common::{World, contents, end, foretell, ok, refused, words, world};
use std::fs;

const SMALL: &str =
    "transfer --data {data} --out {out} --tokens 2000 --seeds 1 --set eval_tokens=1000 --threads 2 --json";

#[test]
fn sweeps_are_run_once_and_judged() {
    let World { data, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let [out, standard] = ["out", "standard"].map(|name| folder.path().join(name));
    let places = [("data", data.as_path()), ("out", &out), ("standard", &standard)];
    let bill = ok(words(&format!("{SMALL} --dry-run"), &places)).summary();
    assert!(bill["runs"].as_u64().unwrap() > 60 && !out.exists(), "{bill:?}");
    // A test of sixteen steps decides nothing, but it decides: 0 or 1.
    let ended = end(&mut foretell(words(SMALL, &places)));
    let text = fs::read_to_string(out.join("transfer.json")).unwrap();
    let judged: serde_json::Value = serde_json::from_str(&text).unwrap();
    let checks = judged["checks"].as_array().unwrap();
    let failed = checks.iter().filter(|check| check["passed"] == false).count();
    assert_eq!(ended.code, Some(i32::from(failed > 0)), "{ended:?}");
    assert_eq!(checks.len(), 10);
    for name in ["rate", "horizon", "batch", "decay", "warmup"] {
        let of = |sweep: &&serde_json::Value| sweep["name"] == name;
        let sweeps: Vec<_> = judged["sweeps"].as_array().unwrap().iter().filter(of).collect();
        assert_eq!(sweeps.len(), 3, "{name}");
        assert!(sweeps.iter().all(|sweep| sweep["points"].as_array().unwrap().len() >= 3), "{name}");
    }
    // Width and depth, four each, three places, ten steps.
    assert_eq!(judged["coordinates"].as_array().unwrap().len(), 8 * 3 * 10);
    // Records stay, weights do not.
    let all = contents(&out);
    assert!(all.keys().any(|path| path.ends_with("metrics.jsonl")));
    assert!(!all.keys().any(|path| path.ends_with("model.safetensors")));
    // What is done is not done again.
    let again = end(&mut foretell(words(SMALL, &places)));
    assert_eq!(again.code, ended.code);
    assert!(contents(&out) == all);
    // The same test of PyTorch's defaults: changes grow with the width.
    let line = SMALL.replace("{out}", "{standard}");
    let ended = end(&mut foretell(words(&format!("{line} --parametrisation standard"), &places)));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let other: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(standard.join("transfer.json")).unwrap()).unwrap();
    let width = |judged: &serde_json::Value| judged["checks"][0]["value"].as_f64().unwrap();
    assert_eq!(other["checks"][0]["name"], "coordinates over width");
    assert!(width(&other) > 2.0 * width(&judged), "{other} {judged}");
}

#[test]
fn bad_input_is_refused() {
    let World { data, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let [file, out] = ["file", "out"].map(|name| folder.path().join(name));
    fs::write(&file, "mine").unwrap();
    let places = [("file", file.as_path()), ("out", &out), ("data", data)];
    refused(
        folder.path(),
        &places,
        &[
            ("transfer --out {out}", "--data"),
            ("transfer --data {data}", "--out"),
            ("transfer --data {file} --out {out}", "file"),
            ("transfer --data {data} --out {out} --tokens 5", "tokens"),
            ("transfer --data {data} --out {out} --tokens many", "many"),
            ("transfer --data {data} --out {out} --seeds 0", "seeds"),
            ("transfer --data {data} --out {out} --parametrisation mine", "mine"),
            ("transfer --data {data} --out {out} --set nothing=1", "nothing"),
        ],
    );
}
