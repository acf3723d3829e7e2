//! From a prediction to a registered run to its verification, and what tries to pass for an outcome.

use crate::common::{World, check_error, contents, copy, end, foretell, ok, signal, wait, words, world};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

/// A finished ladder, made by whoever asks first.
static LADDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("registered-ladder");
    let _ = fs::remove_dir_all(&out);
    let line =
        "ladder run --data {data} --out {out} --max 5e10 --span 60 --ratios 6,12,24 --seeds 1 --threads 2 -q";
    ok(words(line, &[("data", &world().data), ("out", &out)]));
    out
});

/// A second or so of training.
const BUDGET: &str = "N=1e4,D=1e5";

/// A folder with the places that the tests name.
struct Scene {
    _folder: tempfile::TempDir,
    places: Vec<(&'static str, PathBuf)>,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let mut places: Vec<(&'static str, PathBuf)> =
            ["registry", "run", "early", "other", "toml", "moved"].map(|n| (n, folder.path().join(n))).into();
        places.push(("ladder", LADDER.clone()));
        places.push(("data", world().data.clone()));
        Scene { _folder: folder, places }
    }

    fn at(&self, name: &str) -> &Path {
        &self.places.iter().find(|place| place.0 == name).unwrap().1
    }

    fn words(&self, line: &str) -> Vec<String> {
        let places: Vec<(&str, &Path)> =
            self.places.iter().map(|(name, path)| (*name, path.as_path())).collect();
        words(line, &places)
    }

    fn ok(&self, line: &str) -> Map<String, Value> {
        ok(self.words(&format!("{line} --json"))).summary()
    }

    fn refused(&self, line: &str, things: &[&str]) {
        let ended = end(&mut foretell(self.words(line)));
        things.iter().for_each(|thing| check_error(&ended, thing, line));
    }

    fn register(&self) -> Map<String, Value> {
        self.ok(&format!("predict {{ladder}} --budget {BUDGET} --register --registry {{registry}}"))
    }

    fn lines(&self) -> Vec<Map<String, Value>> {
        let text = fs::read_to_string(self.at("registry")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

const TRAIN: &str = "train --prediction 1 --registry {registry} --out {run}";
const VERIFY: &str = "verify 1 --run {run} --registry {registry}";

#[test]
fn a_ladders_next_run_is_foretold_trained_killed_gone_on_with_and_verified() {
    let scene = Scene::new();
    copy(scene.at("data"), scene.at("moved"));
    let line =
        "predict {ladder} --budget 1e11 --seed 5 --threads 2 --data {moved} --register --registry {registry}";
    let answer = scene.ok(line);
    let run = &answer["run"];
    let number = |value: &Value| value.as_f64().unwrap();
    assert_eq!((&answer["id"], &run["seed"], &run["threads"]), (&1.into(), &5.into(), &2.into()));
    // The FLOP are met, to a step.
    assert!((number(&run["flops"]) / 1e11 - 1.0).abs() < 0.02, "{run}");
    assert_eq!(run["shape"]["head_dim"], 8);
    assert!((1.5..3.0).contains(&number(&answer["compute_ratio"])), "{answer:?}");
    assert!(number(&run["seconds"]["total"]) > 0.0 && number(&run["disk_bytes"]) > 0.0);
    let words = &answer["bits_per_word"];
    let ratio = number(&words["loss"]) / number(&answer["loss"]);
    assert!((number(&words["hi95"]) / number(&answer["hi95"]) / ratio - 1.0).abs() < 1e-9 && ratio > 2.0);
    let entry = scene.lines().remove(0);
    assert_eq!((&entry["run"], &entry["version"]), (run, &answer["version"]));
    assert!(
        entry["source"]["rungs"].as_object().unwrap().values().all(|hash| hash.as_str().unwrap().len() == 64)
    );

    // Killed on its way, gone on with, and still the run of its prediction.
    let train = scene.words(TRAIN);
    let child = foretell(&train).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    crate::common::wait_for_lines(scene.at("run"), 5);
    let verify = |things: &[&str]| scene.refused(VERIFY, things);
    verify(&["not done", "foretell resume"]);
    signal(child.id(), "TERM");
    assert_eq!(wait(child, "train --prediction").code, Some(143));
    ok(scene.words("resume {run} -q"));
    let verified = scene.ok(VERIFY);
    let error = number(&answer["loss"]) / number(&verified["observed"]) - 1.0;
    assert!((number(&verified["error"]) - error).abs() < 1e-12 && error.abs() < 0.3, "{verified:?}");
    assert_eq!(verified["memory_error"], 0.0);
    assert!(verified["seconds_error"].is_f64());
    let outcome = scene.lines().remove(1);
    assert_eq!((&outcome["order"], &outcome["of"]), (&"hash".into(), &1.into()));
    // Once; then it is shown.
    verify(&["has its outcome already"]);
    assert_eq!(scene.ok("verify 1 --registry {registry}")["observed"], verified["observed"]);
    assert_eq!(scene.lines().len(), 2);
    assert_eq!(scene.ok("verify --registry {registry}")["outcomes"], 1);
    // The folder is taken.
    scene.refused(TRAIN, &["exists already"]);
}

#[test]
fn a_prediction_uses_the_rungs_that_it_may_and_a_run_serves_several() {
    let scene = Scene::new();
    let line = format!("predict {{ladder}} --budget {BUDGET} --register --registry {{registry}}");
    let all = scene.ok(&line);
    let dearest = all["flops"].as_f64().unwrap() / all["compute_ratio"].as_f64().unwrap();
    let bound = dearest * (1.0 - 1e-5);
    let some = scene.ok(&format!("{line} --max-rung {bound}"));
    assert_eq!(some["max_rung"], bound);
    assert!(
        some["runs"].as_u64() < all["runs"].as_u64()
            && some["compute_ratio"].as_f64() > all["compute_ratio"].as_f64()
    );
    let toml = "name = \"made up\"\npeak_flops = 1e15\nbandwidth = 1e14\nefficiency = 0.5\n";
    fs::write(scene.at("toml"), toml).unwrap();
    let there = scene.ok(&format!("predict {{ladder}} --budget {BUDGET} --machine {{toml}}"));
    assert_eq!((&there["run"]["machine"], &there["loss"]), (&"made up".into(), &all["loss"]));
    assert!(there["run"]["seconds"]["step"].as_f64() < all["run"]["seconds"]["step"].as_f64());
    scene.refused(&format!("{line} --max-rung 10"), &["--max-rung", "cheapest"]);
    scene.refused(&format!("{line} --max-rung=-1"), &["--max-rung"]);
    scene.ok(TRAIN);
    for id in [1, 2] {
        let outcome = scene.ok(&format!("verify {id} --run {{run}} --registry {{registry}}"));
        assert_eq!(outcome["id"], id);
    }
    let order: Vec<_> = scene.lines()[2..].iter().map(|line| line["order"].clone()).collect();
    assert_eq!(order, ["hash", "clock"]);
}

#[test]
fn what_is_no_outcome_is_refused_with_its_reasons() {
    let scene = Scene::new();
    let free = scene.ok(&format!("predict {{ladder}} --budget {BUDGET}"));
    fs::write(scene.at("toml"), free["run"]["config"].as_str().unwrap()).unwrap();
    // The same run, before its prediction.
    scene.ok("train --config {toml} --out {early}");
    std::thread::sleep(Duration::from_millis(1100));
    scene.register();
    let before = contents(scene.at("registry").parent().unwrap());
    scene.refused(
        "verify 1 --run {early} --registry {registry}",
        &["no outcome of prediction 1", "before the prediction"],
    );
    scene.refused("verify 1 --run {other} --registry {registry}", &["other"]);
    scene.refused("verify 1 --registry {registry}", &["runs/prediction-1"]);
    scene.refused("verify 1 --loss 2.5 --registry {registry}", &["--loss", "evidence", "--run"]);
    scene.refused("train --prediction 2 --registry {registry}", &["entry 2 is no prediction"]);
    scene.refused("train --prediction 1 --registry {registry} --budget 1e9", &["--budget"]);
    scene.refused("train --prediction 1 --registry {registry} --set steps=20", &["steps"]);
    scene.refused("train --config {toml} --out {other} --set origin.started=1", &["origin.started"]);
    assert!(before == contents(scene.at("registry").parent().unwrap()));

    // After it, but another run.
    for (change, reasons) in [
        (
            "model.hidden_size=24 --set model.num_attention_heads=1 --set model.num_key_value_heads=1 --set steps=20",
            ["shape: model.hidden_size = 24", "tokens: steps = 20"],
        ),
        (
            "evaluation.tokens=500 --set seed=9 --set steps=20",
            ["held-out set: evaluation.tokens = 500", "settings: seed = 9"],
        ),
    ] {
        ok(scene.words(&format!("train --config {{toml}} --out {{other}} -q --set {change}")));
        let line = "verify 1 --run {other} --registry {registry}";
        scene.refused(line, &[reasons[0], reasons[1], "no outcome of prediction 1"]);
        // Its run.toml replaced by the target's does not help.
        fs::copy(scene.at("toml"), scene.at("other").join("run.toml")).unwrap();
        scene.refused(line, &["run.toml: was altered"]);
        fs::remove_dir_all(scene.at("other")).unwrap();
    }

    // Other data.
    let World { text, .. } = world();
    let line = format!("data build {} --out {{moved}} --vocab 300 --holdout 0.1", text.display());
    ok(scene.words(&line));
    scene.refused(&format!("{TRAIN} --data {{moved}}"), &["not that of prediction 1", "--data"]);
    scene.refused(
        &format!("predict {{ladder}} --budget {BUDGET} --data {{moved}}"),
        &["not the data", "--data"],
    );
    assert!(!scene.at("run").exists());

    // The run itself, and then altered.
    scene.ok(TRAIN);
    for name in ["metrics.jsonl", "run.toml", "DONE"] {
        let path = scene.at("run").join(name);
        let text = fs::read_to_string(&path).unwrap();
        let altered = match name {
            "metrics.jsonl" => text.replace("\"val/bits_per_byte\":", "\"val/bits_per_byte\":1"),
            "run.toml" => text.replace("started = 1", "started = 2"),
            _ => String::new(),
        };
        assert_ne!(text, altered);
        fs::write(&path, altered).unwrap();
        scene.refused(VERIFY, &[name]);
        fs::write(&path, text).unwrap();
    }
    let weights = crate::common::checkpoints(scene.at("run")).pop().unwrap().join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[1..]).unwrap();
    scene.refused(VERIFY, &["model.safetensors", "no sound checkpoint"]);
    fs::write(&weights, &bytes).unwrap();
    // Of another registry, whose entry has another hash.
    let text = fs::read_to_string(scene.at("registry")).unwrap();
    fs::remove_file(scene.at("registry")).unwrap();
    scene.register();
    scene.refused(VERIFY, &["before the prediction", "this registry has not"]);
    fs::write(scene.at("registry"), &text).unwrap();
    scene.ok(VERIFY);
}

#[test]
fn a_registry_that_was_tampered_with_runs_and_verifies_nothing() {
    let scene = Scene::new();
    for _ in 0..3 {
        scene.register();
    }
    scene.ok(TRAIN);
    let text = fs::read_to_string(scene.at("registry")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let altered = lines[0].replace("\"steps\":", "\"steps\":1");
    for (tampered, reason) in [
        (vec![altered.as_str(), lines[1], lines[2]], "line 1: was altered"),
        (vec![lines[0], lines[2]], "line 2"),
        (vec![lines[1], lines[0], lines[2]], "line 1"),
        (vec![lines[1], lines[2]], "line 1"),
    ] {
        fs::write(scene.at("registry"), tampered.join("\n") + "\n").unwrap();
        for line in [VERIFY, "train --prediction 1 --registry {registry} --out {other}"] {
            scene.refused(line, &[reason]);
        }
        assert!(!scene.at("other").exists());
    }
    // Two at once: one outcome, and the other is told.
    fs::write(scene.at("registry"), &text).unwrap();
    let spawn =
        || foretell(scene.words(VERIFY)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ended = [spawn(), spawn()].map(|child| wait(child, VERIFY));
    let mut codes = ended.each_ref().map(|ended| ended.code);
    codes.sort();
    assert_eq!(codes, [Some(0), Some(1)], "{ended:?}");
    assert_eq!(scene.lines().len(), 4);
    // Killed in the middle of its line: never acknowledged, and verified again.
    let whole = fs::read_to_string(scene.at("registry")).unwrap();
    for cut in [1, 40, whole.len() - text.len() - 1] {
        fs::write(scene.at("registry"), &whole[..text.len() + cut]).unwrap();
        assert_eq!(scene.ok("verify --registry {registry}")["outcomes"], 0);
        scene.ok(VERIFY);
        assert_eq!(scene.lines().len(), 4);
    }
    // An outcome that was typed is none of a run of ours, even in a sound chain.
    fs::write(scene.at("registry"), &text).unwrap();
    let body = serde_json::json!({"of": 2, "source": "given by hand", "observed": 2.0});
    let registry = record::Registry::at(scene.at("registry"));
    registry.append(u64::MAX, "outcome", body.as_object().unwrap().clone()).unwrap();
    scene.refused("verify --registry {registry}", &["entry 4", "names no record"]);
    scene.refused(VERIFY, &["entry 4"]);
}
