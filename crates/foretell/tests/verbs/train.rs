//! `train`.

use crate::common::{World, checkpoints, contents, copy, ok, outcome, refused, words, world, write_config};
use std::fs;

#[test]
fn a_run_leaves_what_it_says_and_tells_it_as_json() {
    let World { data, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let (toml, run) = (write_config(folder.path(), 7, &[]), folder.path().join("run"));
    let places = [("toml", toml.as_path()), ("run", &run), ("data", data)];
    let ended = ok(words("train --config {toml} --out {run} --threads 1 --json", &places));
    let lines = ended.lines();
    let steps: Vec<u64> =
        lines.iter().filter(|l| l.contains_key("train/loss")).filter_map(|l| l["step"].as_u64()).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5, 6, 7]);
    let held: Vec<u64> =
        lines.iter().filter(|l| l.contains_key("val/loss")).filter_map(|l| l["step"].as_u64()).collect();
    assert_eq!(held, [4, 7]);
    let summary = ended.summary();
    assert_eq!(summary["done"], true);
    assert_eq!(summary["step"], 7);
    assert_eq!(summary["tokens"], 7 * 8 * 48);
    assert_eq!(summary["run"], run.to_str().unwrap());
    let loss = |line: &serde_json::Map<String, serde_json::Value>, name: &str| line[name].as_f64().unwrap();
    let first = lines.iter().find(|l| l.contains_key("train/loss")).unwrap();
    // A fresh model knows nothing; a narrow one with tied embeddings is also sure of it.
    assert!(loss(first, "train/loss") > f64::ln(300.0) - 0.3, "{first:?}");
    assert!(loss(&summary, "loss") < loss(first, "train/loss") - 0.2, "{summary:?}");

    // What was printed is what was recorded.
    let recorded = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let printed = ended.stdout.lines().filter(|line| line.contains("\"step\"") && !line.contains("\"done\""));
    assert_eq!(recorded.lines().collect::<Vec<_>>(), printed.collect::<Vec<_>>());
    assert!(run.join("DONE").is_file());
    let names: Vec<String> =
        checkpoints(&run).iter().map(|c| c.file_name().unwrap().to_string_lossy().into()).collect();
    assert_eq!(names, ["000000006", "000000007"]);
    for file in [
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "README.md",
        "manifest.json",
    ] {
        assert!(run.join("checkpoints/000000007").join(file).is_file(), "{file}");
    }
    let samples = fs::read_to_string(run.join("samples.jsonl")).unwrap();
    assert_eq!(samples.lines().count(), 2, "{samples}");

    // Its own run.toml makes the same run again, and people read a sentence about it.
    let again = folder.path().join("again");
    let toml = run.join("run.toml");
    let places = [("toml", toml.as_path()), ("again", &again)];
    let text = ok(words("train --config {toml} --out {again} --quiet", &places));
    assert!(text.stdout.contains("done: 7 steps, 2688 tokens"), "{text:?}");
    assert_eq!(outcome(&run), outcome(&again));
}

#[test]
fn a_budget_makes_the_plan_and_keeps_to_it() {
    let World { data, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let line = "train --data {data} --budget N=36e3 --set width=32 --set layers=2 --set steps=3 \
                --set seq=32 --set rows=4 --set eval_tokens=500 --out {run} --tensorboard --json";
    let places = [("data", data.as_path()), ("run", &run)];
    let ended = ok(words(line, &places));
    let plan = &ended.lines()[0]["plan"];
    assert!(plan.is_object(), "{ended:?}");
    assert_eq!(ended.summary()["step"], 3);
    assert_eq!(ended.summary()["tokens"], 3 * 4 * 32);
    let board = fs::read_dir(&run).unwrap().filter_map(|e| e.unwrap().file_name().into_string().ok());
    assert_eq!(board.filter(|name| name.starts_with("events.out.tfevents.")).count(), 1);
}

#[test]
fn a_run_begins_with_the_weights_of_another() {
    let World { run: other, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    // A rate of nothing: the weights stay what they were.
    let toml = write_config(folder.path(), 2, &[("peak = 0.02", "peak = 0.0")]);
    let run = folder.path().join("run");
    let places = [("toml", toml.as_path()), ("run", &run), ("other", other)];
    ok(words("train --config {toml} --out {run} --init-from {other} -q", &places));
    let weights =
        |run: &std::path::Path| fs::read(checkpoints(run).pop().unwrap().join("model.safetensors")).unwrap();
    assert!(weights(&run) == weights(other));
    let text = fs::read_to_string(run.join("run.toml")).unwrap();
    assert!(text.contains("init_from = ") && text.contains("000000150"), "{text}");
}

#[test]
fn bad_input_is_refused() {
    let World { data, run, text } = world();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let toml = write_config(folder.path(), 3, &[]);
    let [empty, garbage, nothing, occupied] = ["empty", "garbage", "nothing", "occupied"].map(at);
    fs::write(&empty, "").unwrap();
    fs::write(&garbage, b"\x00\xff\x7fELF = [[[").unwrap();
    fs::create_dir(&nothing).unwrap();
    fs::create_dir(&occupied).unwrap();
    fs::write(occupied.join("letter"), "mine").unwrap();
    let (torn, missing) = (at("torn"), at("missing"));
    crate::common::copy(data, &torn);
    let manifest = fs::read(torn.join("manifest.json")).unwrap();
    fs::write(torn.join("manifest.json"), &manifest[..manifest.len() / 2]).unwrap();
    let (cut, out) = (at("cut"), at("out"));
    crate::common::copy(data, &cut);
    let tokens = fs::read(cut.join("train-00000.tokens")).unwrap();
    fs::write(cut.join("train-00000.tokens"), &tokens[..tokens.len() / 2]).unwrap();
    let places = [
        ("toml", toml.as_path()),
        ("data", data),
        ("run", run),
        ("text", text),
        ("empty", &empty),
        ("garbage", &garbage),
        ("nothing", &nothing),
        ("occupied", &occupied),
        ("torn", &torn),
        ("cut", &cut),
        ("missing", &missing),
        ("out", &out),
    ];
    let mut table = vec![
        ("train --data {data} --out {out}", "--budget"),
        ("train --budget 1m --out {out}", "--data"),
        ("train --data {data} --budget 1m", "--out"),
        ("train --data {missing} --budget N=1e4 --out {out}", "missing"),
        ("train --data {nothing} --budget N=1e4 --out {out}", "nothing"),
        ("train --data {text} --budget N=1e4 --out {out}", "text.jsonl"),
        ("train --data {torn} --budget N=1e4 --out {out}", "manifest.json"),
        ("train --data {cut} --budget N=1e4 --out {out}", "train-00000.tokens"),
        ("train --data {run} --budget N=1e4 --out {out}", "run"),
        ("train --config {missing} --out {out}", "missing"),
        ("train --config {empty} --out {out}", "--budget"),
        ("train --config {garbage} --out {out}", "garbage"),
        ("train --config {nothing} --out {out}", "nothing"),
        ("train --config {toml} --data {missing} --out {out}", "missing"),
        ("train --config {toml} --data {cut} --out {out}", "train-00000.tokens"),
        ("train --config {toml} --out {run}", "exists already"),
        ("train --config {toml} --out {occupied}", "occupied"),
        ("train --config {toml} --out {empty}", "empty"),
        ("train --config {toml} --out {empty}/below", "empty"),
        ("train --config {toml} --out /dev/full", "/dev/full"),
        ("train --config {toml} --out /proc/run", "/proc/run"),
        ("train --config {toml} --out {out}/..", "'..'"),
        ("train --config {toml} --out {out} --set origin.init_from=elsewhere", "--init-from elsewhere"),
        ("train --config {toml} --out {out} --init-from {missing}", "missing"),
        ("train --config {toml} --out {out} --init-from {nothing}", "nothing"),
        ("train --config {toml} --out {out} --init-from {garbage}", "garbage"),
        ("train --config {toml} --out {out} --init-from {run} --set model.hidden_size=64", "embed_tokens"),
        ("train --config {toml} --out {out} --ranks 3", "ranks"),
        ("train --config {toml} --out {out} --ranks 8", "ranks"),
        ("train --config {toml} --out {out} --ranks=-1", "--ranks"),
        ("train --config {toml} --out {out} --threads 0", "--threads"),
        ("train --config {toml} --out {out} --threads 99999999999999999999", "--threads"),
        ("train --config {toml} --out {out} --isa sse9", "sse9"),
        ("train --config {toml} --out {out} --set machine.tensorboard=true", "--tensorboard"),
        ("train --config {toml} --out {out} --set colour=red", "colour"),
        ("train --config {toml} --out {out} --set optimiser=1", "optimiser"),
        ("train --config {toml} --out {out} --set data.hash=00", "hash"),
    ];
    for (set, name) in [
        ("steps=0", "steps"),
        ("steps=-1", "steps"),
        ("steps=1e30", "steps"),
        ("rows=0", "rows"),
        ("rows=7", "micro_rows"),
        ("micro_rows=3", "micro_rows"),
        ("rows=99999999999", "rows"),
        ("seed=-1", "seed"),
        ("schedule.peak=nan", "schedule.peak"),
        ("schedule.peak=-1.0", "schedule.peak"),
        ("schedule.kind=zigzag", "zigzag"),
        ("schedule.warmup_steps=99", "warmup_steps"),
        ("optimiser.matrices=sgd", "optimiser.matrices"),
        ("optimiser.beta2=1.0", "optimiser.beta2"),
        ("z_loss=inf", "z_loss"),
        ("checkpoints.keep=0", "checkpoints.keep"),
        ("model.head_dim=7", "head_dim"),
        ("model.num_key_value_heads=3", "num_key_value_heads"),
        ("model.vocab_size=10", "vocab_size"),
        ("model.hidden_size=0", "hidden_size"),
        ("model.hidden_size=16777216", "memory"),
        ("model.max_position_embeddings=0", "max_position_embeddings"),
        ("model.max_position_embeddings=1", "max_position_embeddings"),
        ("model.max_position_embeddings=16777216", "memory"),
        ("model.rms_norm_eps=nan", "rms_norm_eps"),
        ("model.hidden_act=relu", "hidden_act"),
    ] {
        let line = format!("train --config {{toml}} --out {{out}} --set {set}");
        table.push((line.leak(), name));
    }
    for (budget, name) in [
        ("0m", "0m"),
        ("-5m", "-5m"),
        ("nan", "nan"),
        ("1e999", "1e999"),
        ("N=1e40", "N=1e40"),
        ("N=0", "N=0"),
        ("soon", "soon"),
        ("N=1e4,D=0", "D=0"),
        ("N=1e4,X=3", "X"),
        ("N=1e4 --set width=0", "width"),
        ("N=1e4 --set heads=3 --set kv_heads=2", "kv_heads"),
        ("N=1e4 --set steps=0", "steps"),
        ("N=1e4 --set learning_rate=nan", "learning_rate"),
        ("N=1e4 --set seq=100000000", "seq"),
        ("N=1e13", "N=1e13"),
    ] {
        let line = format!("train --data {{data}} --out {{out}} --budget={budget}");
        table.push((line.leak(), name));
    }
    let before = contents(&world().data);
    refused(folder.path(), &places, &table);
    assert!(before == contents(&world().data));
}

#[test]
fn a_run_that_is_no_number_at_its_first_step_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let toml = write_config(folder.path(), 7, &[]);
    let [model, out] = ["model", "out"].map(|name| folder.path().join(name));
    copy(&checkpoints(&world().run).pop().unwrap(), &model);
    let file = model.join("model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&file, bytes).unwrap();
    let places = [("toml", toml.as_path()), ("model", &model), ("out", &out)];
    let line = "train --config {toml} --init-from {model} --out {out} --tensorboard";
    refused(folder.path(), &places, &[(line, "Nothing was saved yet")]);
}
