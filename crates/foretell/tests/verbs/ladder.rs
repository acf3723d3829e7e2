//! `ladder run`, `ladder fit`, and `predict` from a ladder.

use crate::common::{World, check_error, contents, end, foretell, ok, refused, signal, wait, words, world};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// A ladder that takes seconds; its rungs see the small data set a few times.
const LADDER: &str =
    "ladder run --data {data} --out {out} --max 5e10 --span 50 --ratios 6,12,24 --threads 2 --json";

fn finished(out: &Path) -> Vec<String> {
    let rungs = fs::read_dir(out.join("rungs")).map(|all| all.map(|e| e.unwrap().path()).collect::<Vec<_>>());
    let done = rungs.unwrap_or_default().into_iter().filter(|path| path.join("DONE").exists());
    let mut names: Vec<_> =
        done.map(|path| path.file_name().unwrap().to_str().unwrap().to_string()).collect();
    names.sort();
    names
}

#[test]
fn a_ladder_is_billed_run_stopped_gone_on_with_and_foretells() {
    let World { data, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let [out, other] = ["out", "other"].map(|name| folder.path().join(name));
    let places = [("data", data.as_path()), ("out", &out), ("other", &other)];
    let bill = ok(words(&format!("{LADDER} --dry-run"), &places)).lines().remove(0);
    let rungs = bill["rungs"].as_array().unwrap();
    assert!(rungs.len() >= 6 && !out.exists(), "{bill:?}");
    let sum: f64 = rungs.iter().map(|rung| rung["flops"].as_f64().unwrap()).sum();
    assert!((bill["flops"].as_f64().unwrap() / sum - 1.0).abs() < 1e-9);

    // Stopped in the middle, wherever that is.
    let mut command = foretell(words(LADDER, &places));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    for _ in 0..600 {
        if !finished(&out).is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    signal(id, "TERM");
    let ended = wait(child, "ladder run");
    assert!(matches!(ended.code, Some(143 | 0)), "{ended:?}");
    let before = contents(&out);

    // Gone on with; a part of it in the way of a job array.
    ok(words(&format!("{LADDER} --rung 1/2"), &places));
    let summary = ok(words(LADDER, &places)).summary();
    assert_eq!((&summary["done"], finished(&out).len()), (&summary["rungs"], rungs.len()));
    // What was done when it was stopped was left alone.
    let after = contents(&out);
    for (name, bytes) in
        before.iter().filter(|(name, _)| name.ends_with("DONE") || name.ends_with("run.toml"))
    {
        assert_eq!(after.get(name), Some(bytes), "{name:?}");
    }
    // A rung is the same run alone.
    let name = finished(&out).remove(0);
    let plan = out.join("plans").join(format!("{name}.toml"));
    ok(words("train --config {plan} --out {other} --quiet", &[("plan", &plan), ("other", &other)]));
    let weights = |run: &Path| {
        let mut all: Vec<_> =
            fs::read_dir(run.join("checkpoints")).unwrap().map(|e| e.unwrap().path()).collect();
        all.sort();
        fs::read(all.pop().unwrap().join("model.safetensors")).unwrap()
    };
    assert!(weights(&other) == weights(&out.join("rungs").join(&name)));

    let laws = ok(words("ladder fit {out} --json", &places)).summary();
    assert_eq!(laws["rungs"].as_array().unwrap().len(), rungs.len());
    assert!(laws["noise"].as_f64().is_some_and(|noise| noise < 0.2), "{laws:?}");
    assert!(out.join("laws.json").exists() && !laws.contains_key("next"));
    let next =
        ok(words("ladder fit {out} --next --target N=1e5,D=2e6 --json", &places)).summary()["next"].take();
    let (first, all) = (&next["rungs"][0], next["rungs"].as_array().unwrap());
    assert!(all.len() >= 6 && next["width"].as_f64().unwrap() > 0.0, "{next}");
    assert!(
        all.iter().all(|rung| rung["candidate"]["flops"].as_f64().unwrap() > 0.0) && first["width"].is_f64()
    );
    let line = "predict {out} --budget N=2e4,D=4e5 --registry {registry} --register --json";
    let registry = folder.path().join("p.jsonl");
    let answer = ok(words(line, &[("out", &out), ("registry", &registry)])).summary();
    let worst = laws["rungs"].as_array().unwrap().iter().map(|rung| rung["run"]["loss"].as_f64().unwrap());
    let worst = worst.fold(0.0, f64::max);
    assert!((0.1..worst).contains(&answer["loss"].as_f64().unwrap()), "{answer:?}");
    assert_eq!(answer["loss_unit"], "bits a byte");
    assert_eq!(answer["source"]["rungs"].as_object().unwrap().len(), rungs.len());
}

#[test]
fn parts_of_a_job_array_make_one_ladder() {
    let World { data, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let places = [("data", data.as_path()), ("out", out.as_path())];
    let part = |k: usize| {
        let line = format!("{LADDER} --seeds 1 --rung {k}/3").replace("--threads 2", "--threads 1");
        let mut command = foretell(words(&line, &places));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for child in [1, 2, 3].map(part) {
        let ended = wait(child, "a part of a ladder");
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let all = ok(words(&format!("{LADDER} --seeds 1"), &places));
    assert_eq!(all.summary()["done"], all.summary()["rungs"]);
    let rungs = all.lines()[0]["rungs"].as_array().unwrap().len();
    assert_eq!((finished(&out).len(), all.summary()["done"].as_u64()), (rungs, Some(rungs as u64)));
}

#[test]
fn branches_cost_less_and_are_the_runs_that_they_would_have_been() {
    let World { data, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let [out, whole] = ["out", "whole"].map(|name| folder.path().join(name));
    let places = [("data", data.as_path()), ("out", out.as_path()), ("whole", &whole)];
    let line = format!("{LADDER} --seeds 1 --branches");
    let bill = |line: &str| ok(words(&format!("{line} --dry-run"), &places)).lines().remove(0);
    let (cheap, dear) = (bill(&line), bill(&format!("{LADDER} --seeds 1")));
    let flops = |bill: &serde_json::Map<String, serde_json::Value>| bill["flops"].as_f64().unwrap();
    assert!(flops(&cheap) < 0.95 * flops(&dear), "{} {}", flops(&cheap), flops(&dear));
    // Both parts of a job array: a trunk and its branches are in one.
    for part in ["1/2", "2/2"] {
        ok(words(&format!("{line} --rung {part}"), &places));
    }
    let rungs = cheap["rungs"].as_array().unwrap();
    assert_eq!(finished(&out).len(), rungs.len());
    let branch = rungs.iter().rfind(|rung| rung["branch"].is_object()).unwrap();
    let name = branch["name"].as_str().unwrap();
    let plan = fs::read_to_string(out.join(format!("plans/{name}.toml"))).unwrap();
    assert!(plan.contains("[origin.branch]") && plan.contains("kind = \"wsd\""), "{plan}");

    // The same run.toml, from its first step.
    let run = out.join("rungs").join(name);
    let config = run.join("run.toml");
    let places = [("config", config.as_path()), ("whole", &whole), ("out", &out), ("data", data)];
    ok(words("train --config {config} --out {whole} --threads 1 -q", &places));
    assert!(!fs::read_to_string(whole.join("run.toml")).unwrap().contains("[origin.branch]"));
    let last = |run: &Path| {
        let all = fs::read_dir(run.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path());
        fs::read(all.max().unwrap().join("model.safetensors")).unwrap()
    };
    assert!(last(&run) == last(&whole), "{name} differs from the whole run");

    let laws = ok(words("ladder fit {out} --json", &places));
    let fitted = &laws.summary()["rungs"];
    let own: f64 = fitted.as_array().unwrap().iter().map(|rung| rung["own_flops"].as_f64().unwrap()).sum();
    assert!((own / flops(&cheap) - 1.0).abs() < 1e-6);
    let line = "ladder run --data {data} --out {whole}/x --max 5e10 --branches --set schedule.kind=cosine";
    check_error(&end(&mut foretell(words(line, &places))), "wsd", "branches");

    // A trunk whose checkpoint is damaged is named, with what helps.
    let from = &branch["branch"];
    let trunk = out.join("rungs").join(from["run"].as_str().unwrap());
    let step = from["step"].as_u64().unwrap();
    fs::write(trunk.join(format!("checkpoints/{step:09}/model.safetensors")), "x").unwrap();
    fs::remove_dir_all(&run).unwrap();
    let line = format!("{LADDER} --seeds 1 --branches");
    check_error(&end(&mut foretell(words(&line, &places))), "remove that folder", "a damaged trunk");
}

#[test]
fn bad_ladders_are_refused() {
    let World { data, run, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let places = [("data", data.as_path()), ("run", run), ("out", &out)];
    refused(
        folder.path(),
        &places,
        &[
            ("ladder run --data {data} --out {out}", "--max"),
            ("ladder run --data {data} --out {out}/.. --max 1e11", "'..'"),
            ("ladder run --data {run} --out {out} --max 1e11", "manifest"),
            ("ladder run --data {data} --out {out} --max=-1", "max"),
            ("ladder run --data {data} --out {out} --max nan", "max"),
            ("ladder run --data {data} --out {out} --max 1e8", "rungs"),
            ("ladder run --data {data} --out {out} --max 1e11 --span 2", "span"),
            ("ladder run --data {data} --out {out} --max 1e11 --ratios x", "x"),
            ("ladder run --data {data} --out {out} --max 1e11 --seeds 0", "seeds"),
            ("ladder run --data {data} --out {out} --max 1e11 --rung 3/2", "k/n"),
            ("ladder run --data {data} --out {out} --max 1e11 --set colour=3", "colour"),
            ("ladder run --data {data} --out {out} --max 1e16", "times"),
            ("ladder fit {run}", "no ladder"),
            ("ladder fit {out}", "no ladder"),
            ("ladder fit {out} --next", "--target"),
            ("ladder fit {out} --target 1e14", "--next"),
            ("predict {run} --budget 1e14", "no ladder"),
            ("predict {run} --log {run} --budget 1e14", "--log"),
            ("predict --budget 1e14", "LADDER"),
        ],
    );
    // Nothing but a usage error where a ladder of another kind stands.
    let ladder = format!("{LADDER} --rung 1/100");
    ok(words(&ladder, &places));
    let ended = end(&mut foretell(words(&ladder.replace("5e10", "6e10"), &places)));
    assert!(ended.code == Some(2) && ended.stderr.contains("other options"), "{ended:?}");
}
