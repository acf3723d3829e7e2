//! `score`, of every form that a model has.

use crate::common::{World, checkpoints, ok, refused, words, world};
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

fn score(model: &Path, rest: &str, places: &[(&str, &Path)]) -> Map<String, Value> {
    let places = [places, &[("model", model)]].concat();
    ok(words(&format!("score {{model}} {rest} --json"), &places)).summary()
}

/// All numbers of two scores agree.
fn assert_close(a: &Map<String, Value>, b: &Map<String, Value>, what: &str) {
    assert_eq!(a["tokens"], b["tokens"], "{what}");
    let logprobs = |s: &Map<String, Value>| -> Vec<Option<f64>> {
        s["logprobs"].as_array().unwrap().iter().map(Value::as_f64).collect()
    };
    let (x, y) = (logprobs(a), logprobs(b));
    assert!(x.len() == y.len() && x[0].is_none() && y[0].is_none(), "{what}");
    for (place, (x, y)) in x.iter().zip(&y).enumerate().skip(1) {
        assert!((x.unwrap() - y.unwrap()).abs() < 1e-6, "{what} {place}: {x:?} {y:?}");
    }
    for name in ["bits_per_byte", "bits_per_word"] {
        assert!((a[name].as_f64().unwrap() - b[name].as_f64().unwrap()).abs() < 1e-6, "{what} {name}");
    }
}

#[test]
fn every_form_of_a_model_scores_and_samples_alike() {
    let World { run, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let [gguf, hf, text, back] =
        ["model.gguf", "hf", "text.txt", "back"].map(|name| folder.path().join(name));
    // Also what the data never held: other letters, numbers, line ends, a reserved token as text.
    fs::write(&text, "Mara sings under the old house.\r\n\n\tÜber 12345 Flüße: 水 🦀 <|endoftext|> don't\n")
        .unwrap();
    let places = [("run", run.as_path()), ("gguf", &gguf), ("hf", &hf), ("back", &back)];
    ok(words("export {run} --to gguf --out {gguf}", &places));
    ok(words("export {run} --to safetensors --out {hf}", &places));
    ok(words("export {gguf} --to safetensors --out {back}", &places));
    let checkpoint = checkpoints(run).pop().unwrap();
    let expected = score(run, "--text {text}", &[("text", &text)]);
    let sample = |model: &Path| {
        let ended = ok([
            "sample",
            model.to_str().unwrap(),
            "--prompt",
            "Mara ",
            "--temperature",
            "0",
            "--tokens",
            "20",
            "--json",
        ]);
        ended.summary()
    };
    for model in [&checkpoint, &gguf, &hf, &back] {
        let what = model.display().to_string();
        assert_close(&expected, &score(model, "--text {text}", &[("text", &text)]), &what);
        assert_eq!(sample(run), sample(model), "{what}");
    }
}

#[test]
fn bits_are_nats_over_bytes_and_words() {
    let World { run, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.txt");
    let line = "Oskar waits for rain and sings. The small boat sleeps under two stones.";
    fs::write(&text, line).unwrap();
    let found = score(run, "--text {text}", &[("text", &text)]);
    let logprobs = found["logprobs"].as_array().unwrap();
    let nats = found["nats"].as_f64().unwrap();
    let sum: f64 = logprobs.iter().filter_map(Value::as_f64).sum();
    assert!((nats + sum).abs() < 1e-9, "{nats} {sum}");
    let bits = nats / std::f64::consts::LN_2;
    let words = line.split_whitespace().count() as f64;
    assert!((found["bits_per_byte"].as_f64().unwrap() - bits / line.len() as f64).abs() < 1e-9);
    assert!((found["bits_per_word"].as_f64().unwrap() - bits / words).abs() < 1e-9);
    // The same tokens as numbers.
    let list: Vec<String> = found["tokens"].as_array().unwrap().iter().map(Value::to_string).collect();
    let same = score(run, &format!("--tokens {}", list.join(",")), &[]);
    assert_eq!(found["logprobs"], same["logprobs"]);
    // For people, and with few tokens to see.
    let shown = ok(words_of(run, &text, "")).stdout;
    assert!(shown.contains("bits a byte") && shown.contains("perplexity"), "{shown}");
    let short = score(run, "--text {text} --context 4", &[("text", &text)]);
    assert_eq!(short["logprobs"].as_array().unwrap()[..4], logprobs[..4]);
    assert_ne!(short["nats"], found["nats"]);
}

#[test]
fn one_token_costs_nothing() {
    let run = &world().run;
    let shown = ok(words("score {run} --tokens 5", &[("run", run)])).stdout;
    assert!(shown.contains("0 tokens, 0.0 nats"), "{shown}");
    assert_eq!(score(run, "--tokens 5", &[])["nats"].to_string(), "0.0");
}

fn words_of(run: &Path, text: &Path, rest: &str) -> Vec<String> {
    words(&format!("score {{run}} --text {{text}}{rest}"), &[("run", run), ("text", text)])
}

#[test]
fn bad_input_is_refused() {
    let World { run, text, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let [missing, nothing, empty] = ["missing", "nothing", "empty.txt"].map(|name| folder.path().join(name));
    fs::create_dir(&nothing).unwrap();
    fs::write(&empty, "").unwrap();
    let places = [
        ("run", run.as_path()),
        ("text", text),
        ("missing", &missing),
        ("nothing", &nothing),
        ("empty", &empty),
    ];
    refused(
        folder.path(),
        &places,
        &[
            ("score", "MODEL"),
            ("score {run}", "--text"),
            ("score {run} --text {missing}", "missing"),
            ("score {run} --text {nothing}", "nothing"),
            ("score {run} --text /dev/zero", "/dev/zero: it is no regular file"),
            ("score {run} --text {empty}", "empty.txt"),
            ("score {run} --text {text} --tokens 1", "--tokens"),
            ("score {run} --tokens 1,x", "x"),
            ("score {run} --tokens=-1", "-1"),
            ("score {run} --tokens 1,2,99999", "99999"),
            ("score {run} --tokens=", "--tokens"),
            ("score {run} --tokens 1,2 --context 0", "context"),
            ("score {run} --tokens 1,2 --context 99999999999", "context"),
            ("score {missing} --tokens 1,2", "missing"),
            ("score {nothing} --tokens 1,2", "nothing"),
            ("score {empty} --tokens 1,2", "empty.txt"),
            ("score {text} --tokens 1,2", "text.jsonl"),
            ("score {run} --tokens 1,2 --threads 0", "--threads"),
            ("score {run} --tokens 1,2 --set seed=3", "seed"),
        ],
    );
}
