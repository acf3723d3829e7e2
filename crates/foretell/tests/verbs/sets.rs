//! Further sets: `--score` of `train`, `resume` and `ladder run`, and what it leaves in the records.

use crate::common::{
    World, assert_same, bad_usage, documents, foretell, ok, outcome, refused, signal, wait, wait_for_lines,
    words, world, write_config,
};
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;
use std::process::Stdio;

const QUESTIONS: &str = r#"{"id":"a","family":"sky","level":1,"prompt":"The river","choices":[" stone."," walks."," qqq."],"answer":1}
{"id":"b","family":"sky","level":2,"prompt":"The old","choices":[" boat."," zzzzz."],"answer":0}
"#;

fn metrics(run: &Path) -> Vec<Map<String, Value>> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The value of the last line that has it.
fn last(run: &Path, name: &str) -> f64 {
    let lines = metrics(run);
    let found = lines.iter().rev().find_map(|line| line.get(name)?.as_f64());
    found.unwrap_or_else(|| panic!("nothing has {name}: {:?}", lines.last()))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9 * a.abs().max(1.0)
}

#[test]
fn a_finished_model_is_scored_as_score_does_it() {
    let folder = tempfile::tempdir().unwrap();
    let toml = write_config(folder.path(), 7, &[]);
    let [text, questions, run, piece] =
        ["set.txt", "questions.jsonl", "run", "piece.txt"].map(|name| folder.path().join(name));
    // Longer than the context, so that windows overlap.
    fs::write(&text, "Mara walks under the small grey house and waits for rain. ".repeat(6)).unwrap();
    fs::write(&questions, QUESTIONS).unwrap();
    let places = [
        ("toml", toml.as_path()),
        ("run", &run),
        ("text", &text),
        ("questions", &questions),
        ("piece", &piece),
    ];
    let line = "train --config {toml} --out {run} --score plain={text} --score asked={questions} --json";
    let ended = ok(words(line, &places));
    let recorded = metrics(&run);
    let scored: Vec<_> =
        recorded.iter().filter(|line| line.keys().any(|name| name.starts_with("set/"))).collect();
    assert_eq!(scored.len(), 2);
    assert!(scored.iter().all(|line| line["step"] == 7));
    assert_eq!(ended.lines().iter().filter(|line| scored.contains(line)).count(), 2);

    let score = |path: &Path| {
        ok(words("score {run} --text {path} --json", &[("run", &run), ("path", path)])).summary()
    };
    let whole = score(&text);
    for name in ["nats", "bits_per_byte", "bits_per_word"] {
        let (a, b) = (last(&run, &format!("set/plain/{name}")), whole[name].as_f64().unwrap());
        assert!(close(a, b), "{name}: {a} {b}");
    }

    // Each answer is the text of the prompt and the choice, less the text of the prompt.
    let nats = |text: &str| {
        fs::write(&piece, text).unwrap();
        score(&piece)["nats"].as_f64().unwrap()
    };
    let of = |prompt: &str, choices: &[&str]| -> Vec<f64> {
        let before = nats(prompt);
        choices.iter().map(|choice| before - nats(&format!("{prompt}{choice}"))).collect()
    };
    let asked =
        [(of("The river", &[" stone.", " walks.", " qqq."]), 1), (of("The old", &[" boat.", " zzzzz."]), 0)];
    let lines = fs::read_to_string(run.join("questions-asked.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    let mut right = 0.0;
    for (line, (sums, answer)) in lines.iter().zip(&asked) {
        let all: f64 = sums.iter().map(|x| x.exp()).sum();
        assert!((line["log_probability"].as_f64().unwrap() - sums[*answer]).abs() < 1e-4, "{line} {sums:?}");
        assert!(
            (line["probability"].as_f64().unwrap() - sums[*answer].exp() / all).abs() < 1e-4,
            "{line} {sums:?}"
        );
        let best = sums.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        assert_eq!(line["correct"], best == *answer);
        right += f64::from(u8::from(best == *answer));
    }
    assert_eq!((lines[0]["chance"].as_f64(), lines[1]["family"].as_str()), (Some(1.0 / 3.0), Some("sky")));
    assert!(close(last(&run, "set/asked/accuracy"), right / 2.0));
    assert!(last(&run, "set/asked/mean_log_probability") < 0.0);

    // Its own run.toml makes the same run, sets included; an evaluation changes nothing of the weights.
    let (again, without) = (folder.path().join("again"), folder.path().join("without"));
    ok(words("train --config {run}/run.toml --out {again} --quiet", &[("run", &run), ("again", &again)]));
    assert_eq!(outcome(&run), outcome(&again));
    ok(words("train --config {toml} --out {without} --quiet", &[("toml", &toml), ("without", &without)]));
    let weights = "000000007/model.safetensors";
    assert_eq!(outcome(&run)[weights], outcome(&without)[weights]);
}

#[test]
fn a_run_with_sets_that_is_killed_ends_with_the_same_records() {
    let folder = tempfile::tempdir().unwrap();
    let toml = write_config(folder.path(), 40, &[("every = 3\nkeep", "every = 10\nkeep")]);
    let [text, moved, questions, whole, run] =
        ["set.jsonl", "moved.jsonl", "q.jsonl", "whole", "run"].map(|name| folder.path().join(name));
    fs::write(&text, documents(9, 60)).unwrap();
    fs::write(&questions, QUESTIONS).unwrap();
    let places = [
        ("toml", toml.as_path()),
        ("text", &text),
        ("moved", &moved),
        ("questions", &questions),
        ("whole", &whole),
        ("run", &run),
    ];
    let line = "train --config {toml} --score other={text} --score q={questions} -q --out";
    ok(words(&format!("{line} {{whole}}"), &places));
    let mut command = foretell(words(&format!("{line} {{run}}"), &places));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    wait_for_lines(&run, 25);
    signal(id, "KILL");
    wait(child, line);
    // Killed between the scores and the last checkpoint: the lines are there, the checkpoint is not.
    let mut lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    lines += "{\"step\":40,\"set/other/nats\":1.0}\n";
    fs::write(run.join("metrics.jsonl"), lines).unwrap();
    fs::write(run.join("questions-q.jsonl"), "not yet\n").unwrap();
    fs::rename(&text, &moved).unwrap();
    refused(
        folder.path(),
        &places,
        &[
            ("resume {run}", "--score other=PATH"),
            ("resume {run} --score other={toml}", "does not hold what the run was begun with"),
            ("resume {run} --score another={moved}", "no set of that name"),
        ],
    );
    ok(words("resume {run} --score other={moved} -q", &places));
    assert_same(&outcome(&whole), &outcome(&run), "killed and resumed");
    let answers = |run: &Path| fs::read_to_string(run.join("questions-q.jsonl")).unwrap();
    assert_eq!(answers(&whole), answers(&run));
}

#[test]
fn a_ladder_shares_its_sets() {
    let World { data, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let [text, other, out] = ["set.jsonl", "other.jsonl", "out"].map(|name| folder.path().join(name));
    fs::write(&text, documents(9, 20)).unwrap();
    fs::write(&other, documents(10, 20)).unwrap();
    let places = [("data", data.as_path()), ("text", &text), ("other", &other), ("out", &out)];
    let line = "ladder run --data {data} --out {out} --max 5e10 --span 50 --ratios 6,12 --seeds 1 --threads 2 --json";
    let scored = format!("{line} --score text={{text}}");
    let done = ok(words(&scored, &places)).summary();
    assert_eq!(done["done"], done["rungs"]);
    for rung in fs::read_dir(out.join("rungs")).unwrap() {
        let bits = last(&rung.unwrap().path(), "set/text/bits_per_byte");
        assert!((0.5..9.0).contains(&bits), "{bits}");
    }
    // Gone on with: with the same sets, or without naming them.
    ok(words(&scored, &places));
    ok(words(line, &places));
    bad_usage(&places, &[(&format!("{line} --score other={{other}}"), "designed without it")]);
}

#[test]
fn sets_that_cannot_be_scored_are_refused_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let toml = write_config(folder.path(), 7, &[]);
    let [run, empty, bad] = ["run", "empty.txt", "bad.jsonl"].map(|name| folder.path().join(name));
    fs::write(&empty, "\n").unwrap();
    fs::write(&bad, QUESTIONS.replace("\"answer\":0", "\"answer\":7")).unwrap();
    let places = [("toml", toml.as_path()), ("run", &run), ("empty", &empty), ("bad", &bad)];
    let train = |score: &str| format!("train --config {{toml}} --out {{run}} --score {score}");
    let lines = [
        (train("code"), "NAME=PATH"),
        (train("a/b={toml}"), "evaluation.sets.name"),
        (train("a={toml} --score a={toml}"), "two sets"),
        (train("a=/no/such/file"), "/no/such/file"),
        (train("a={empty}"), "no text"),
        (train("a={bad}"), "bad.jsonl:2"),
    ];
    let table: Vec<_> = lines.iter().map(|(line, thing)| (line.as_str(), *thing)).collect();
    refused(folder.path(), &places, &table);
}
