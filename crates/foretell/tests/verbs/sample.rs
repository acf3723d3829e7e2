//! `sample`.

use crate::common::{World, checkpoints, copy, ok, refused, words, world};
use std::fs;
use std::path::Path;

fn texts(line: &str) -> Vec<serde_json::Map<String, serde_json::Value>> {
    let line = words(&format!("sample {{run}} {line} --json"), &[("run", &world().run)]);
    ok(line.iter().map(|word| word.replace('_', " "))).lines()
}

fn text(line: &str) -> String {
    texts(line)[0]["text"].as_str().unwrap().into()
}

#[test]
fn the_same_seed_draws_the_same_text_whatever_runs_beside_it() {
    let one = text("--prompt The_ --seed 5 --tokens 20");
    assert_eq!(one, text("--prompt The_ --seed 5 --tokens 20 --threads 1"));
    assert_ne!(one, text("--prompt The_ --seed 6 --tokens 20"));
    let three = texts("--prompt The_ --seed 5 --tokens 20 -n 3");
    assert_eq!(three.len(), 3);
    assert_eq!(three[0]["text"], one.as_str());
    assert!(three[1]["text"] != three[0]["text"] && three[2]["text"] != three[1]["text"]);
    // For people: the prompt and its continuation.
    let shown =
        ok(["sample", world().run.to_str().unwrap(), "--prompt", "The ", "--seed", "5", "--tokens", "20"]);
    assert_eq!(shown.stdout, format!("The {one}\n"));
    let many = ok([
        "sample",
        world().run.to_str().unwrap(),
        "--prompt",
        "The ",
        "--seed",
        "5",
        "--tokens",
        "20",
        "-n",
        "3",
    ]);
    assert!(many.stdout.starts_with(&format!("--- 0\nThe {one}\n--- 1\n")), "{many:?}");
}

#[test]
fn temperature_nothing_and_top_one_take_the_most_probable() {
    let most = text("--prompt The_ --temperature 0 --tokens 12");
    assert_eq!(most, text("--prompt The_ --temperature 0 --tokens 12 --seed 9"));
    assert_eq!(most, text("--prompt The_ --top-k 1 --tokens 12 --seed 3"));
    assert_eq!(most, text("--prompt The_ --top-p 0.000001 --tokens 12 --seed 4"));
    assert_eq!(most, text("--prompt The_ --min-p 1 --tokens 12 --seed 4"));
    assert_ne!(most, text("--prompt The_ --temperature 0 --tokens 12 --repetition-penalty 50"));
}

#[test]
fn log_probabilities_are_those_of_score() {
    let drawn = &texts("--prompt The_ --seed 5 --tokens 8 --logprobs 3")[0];
    let logprobs = drawn["logprobs"].as_array().unwrap();
    let tokens: Vec<u64> = drawn["tokens"].as_array().unwrap().iter().map(|t| t.as_u64().unwrap()).collect();
    assert!(logprobs.len() >= tokens.len() && tokens.len() >= 2);
    for (entry, token) in logprobs.iter().zip(&tokens) {
        assert_eq!(entry["token"], *token);
        let top: Vec<f64> =
            entry["top"].as_array().unwrap().iter().map(|t| t["logprob"].as_f64().unwrap()).collect();
        assert!(top.len() == 3 && top.is_sorted_by(|a, b| a >= b), "{top:?}");
        assert!(top[0] >= entry["logprob"].as_f64().unwrap());
    }
    // The prompt's tokens are those that `data inspect` shows of such a text: here from the scored file.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prompt");
    fs::write(&file, "The ").unwrap();
    let run = &world().run;
    let prompt = ok(words("score {run} --text {file} --json", &[("run", run), ("file", &file)])).summary();
    let mut all: Vec<u64> =
        prompt["tokens"].as_array().unwrap().iter().map(|t| t.as_u64().unwrap()).collect();
    let first = all.len();
    all.extend(&tokens);
    let list = all.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let score = ok(words(&format!("score {{run}} --tokens {list} --json"), &[("run", run)])).summary();
    for (place, entry) in logprobs.iter().take(tokens.len()).enumerate() {
        let (a, b) = (entry["logprob"].as_f64().unwrap(), score["logprobs"][first + place].as_f64().unwrap());
        assert!((a - b).abs() < 1e-6, "{place}: {a} {b}");
    }
}

#[test]
fn stop_strings_end_the_text_and_do_not_belong_to_it() {
    let whole = text("--prompt The_ --seed 5 --tokens 20");
    let middle: String = whole.chars().skip(whole.chars().count() / 2).take(2).collect();
    let stopped =
        &texts(&format!("--prompt The_ --seed 5 --tokens 20 --stop {}", middle.replace(' ', "_")))[0];
    let expected = &whole[..whole.find(&middle).unwrap()];
    assert_eq!(stopped["text"], expected);
    assert_eq!(stopped["finish"], "stop");
    assert_eq!(texts("--tokens 3 --seed 1")[0]["finish"], "length");
}

#[test]
fn every_end_token_of_a_model_ends_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    copy(&checkpoints(&world().run).pop().unwrap(), &model);
    let line = "sample {model} --prompt a --seed 5 --tokens 20 --json";
    let draw = || ok(words(line, &[("model", &model)])).summary();
    let whole = draw();
    let tokens = whole["tokens"].as_array().unwrap();
    assert!(tokens.len() > 4, "{whole:?}");
    let (third, first) = (&tokens[2], tokens.iter().position(|token| *token == tokens[2]).unwrap());
    let generation = model.join("generation_config.json");
    for ends in [serde_json::json!([299, third]), third.clone()] {
        fs::write(&generation, serde_json::json!({"eos_token_id": ends}).to_string()).unwrap();
        let ended = draw();
        assert_eq!(ended["tokens"].as_array().unwrap()[..], tokens[..first]);
        assert_eq!(ended["finish"], "stop");
    }
    fs::write(&generation, "{\"eos_token_id\": [\"x\"]}").unwrap();
    refused(
        folder.path(),
        &[("model", &model)],
        &[("sample {model}", "generation_config.json: eos_token_id")],
    );
}

/// Damaged copies of a checkpoint, and what names them.
fn damaged(folder: &Path) -> Vec<(String, &'static str)> {
    let checkpoint = checkpoints(&world().run).pop().unwrap();
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let damages: [(&str, Damage); 8] = [
        ("config.json", |_| Vec::new()),
        ("config.json", |bytes| bytes[..bytes.len() / 2].to_vec()),
        ("config.json", |bytes| {
            String::from_utf8(bytes).unwrap().replace("\"hidden_size\": 32", "\"hidden_size\": 64").into()
        }),
        ("config.json", |bytes| {
            String::from_utf8(bytes)
                .unwrap()
                .replace("\"hidden_size\": 32", "\"hidden_size\": 16777216")
                .into()
        }),
        ("model.safetensors", |_| Vec::new()),
        ("model.safetensors", |bytes| bytes[..bytes.len() / 2].to_vec()),
        ("model.safetensors", |_| b"\xff\xff\xff\xff\xff\xff\xff\x7f{}".to_vec()),
        ("tokenizer.json", |bytes| bytes[..bytes.len() / 2].to_vec()),
    ];
    damages
        .into_iter()
        .enumerate()
        .map(|(number, (file, damage))| {
            let name = format!("damaged-{number}");
            copy(&checkpoint, &folder.join(&name));
            let path = folder.join(&name).join(file);
            let bytes = damage(fs::read(&path).unwrap());
            fs::write(&path, bytes).unwrap();
            (name, file)
        })
        .collect()
}

#[test]
fn bad_input_is_refused() {
    let World { data, text, run } = world();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [missing, nothing, garbage, empty, torn, bare] =
        ["missing", "nothing", "garbage.gguf", "empty.gguf", "torn.gguf", "bare"].map(at);
    fs::create_dir(&nothing).unwrap();
    fs::write(&garbage, b"GGUF\x03\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f garbage").unwrap();
    fs::write(&empty, "").unwrap();
    ok(words("export {run} --to gguf --out {torn} -q", &[("run", run), ("torn", &torn)]));
    let bytes = fs::read(&torn).unwrap();
    fs::write(&torn, &bytes[..bytes.len() / 2]).unwrap();
    copy(&checkpoints(run).pop().unwrap(), &bare);
    fs::remove_file(bare.join("tokenizer.json")).unwrap();
    let damaged = damaged(folder.path());
    let places = [
        ("data", data.as_path()),
        ("text", text),
        ("run", run),
        ("missing", &missing),
        ("nothing", &nothing),
        ("garbage", &garbage),
        ("empty", &empty),
        ("torn", &torn),
        ("bare", &bare),
        ("folder", folder.path()),
    ];
    let mut table: Vec<(String, &str)> = damaged
        .iter()
        .map(|(name, file)| {
            // The folder is always named; the file where it is one that the reader opens.
            (
                format!("sample {{folder}}/{name} --tokens 2"),
                if *file == "tokenizer.json" { file } else { name.as_str() },
            )
        })
        .collect();
    for (rest, thing) in [
        ("", "MODEL"),
        ("{missing}", "missing"),
        ("{nothing}", "nothing"),
        ("{garbage}", "garbage.gguf"),
        ("{empty}", "empty.gguf"),
        ("{torn}", "torn.gguf"),
        ("{text}", "text.jsonl"),
        ("{data}", "data"),
        ("{bare}", "bare"),
        ("/dev/null", "/dev/null"),
        ("{run} --tokens 0", "0"),
        ("{run} --tokens 99999", "99999"),
        ("{run} --tokens=-1", "-1"),
        ("{run} --temperature -1", "temperature = -1 is out of range"),
        ("{run} --top-p -0.5", "top_p = -0.5 is out of range"),
        ("{run} --temperature nan", "temperature"),
        ("{run} --temperature inf", "temperature"),
        ("{run} --top-p 1.5", "top_p"),
        ("{run} --top-p nan", "top_p"),
        ("{run} --min-p 2", "min_p"),
        ("{run} --min-p nan", "min_p"),
        ("{run} --repetition-penalty 0", "repetition_penalty"),
        ("{run} --repetition-penalty nan", "repetition_penalty"),
        ("{run} -n 0", "0"),
        ("{run} -n 99999999999999", "99999999999999"),
        ("{run} --top-k=-1", "-1"),
        ("{run} --seed=-1", "-1"),
        ("{run} --logprobs 3", "--json"),
        ("{run} --logprobs 99999999 --json --tokens 2", "logprobs"),
        ("{run} --threads 0", "--threads"),
        ("{run} --isa mmx", "mmx"),
    ] {
        table.push((format!("sample {rest}").trim_end().to_string(), thing));
    }
    let long = format!("sample {{run}} --prompt {}", "a.b.".repeat(500));
    table.push((long, "context"));
    let table: Vec<(&str, &str)> = table.iter().map(|(line, thing)| (line.as_str(), *thing)).collect();
    refused(folder.path(), &places, &table);
}
