//! `plan`.

use crate::common::{World, assert_same, bad_usage, end, foretell, ok, outcome, refused, words, world};
use std::fs;

#[test]
fn a_plan_says_what_the_run_then_is() {
    let World { data, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let places = [("data", data.as_path()), ("run", &run)];
    let settings = "--data {data} --budget N=36e3 --set width=32 --set layers=2 --set seq=32 --set rows=4 \
                    --set steps=3 --set eval_tokens=500 --threads 1";
    let plan = ok(words(&format!("plan {settings} --json"), &places)).summary();
    let number = |name: &str| plan[name].as_f64().unwrap();
    assert_eq!(plan["shape"]["width"], 32);
    assert_eq!(plan["shape"]["layers"], 2);
    assert_eq!(plan["tokens"], 3 * 4 * 32);
    assert!((number("six_nd") / (6.0 * number("parameters") * number("tokens")) - 1.0).abs() < 1e-9);
    let parts: f64 = plan["memory"].as_object().unwrap().values().map(|v| v.as_f64().unwrap()).sum();
    assert_eq!(number("memory_bytes"), parts);
    let seconds = &plan["seconds"];
    assert!(seconds["total"].as_f64().unwrap() > 0.0);
    let text = ok(words(&format!("plan {settings}"), &places)).stdout;
    for name in ["parameters N", "tokens D", "FLOPs C", "memory", "time"] {
        assert!(text.contains(name), "{text}");
    }

    ok(words(&format!("train {settings} --out {{run}} -q"), &places));
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let last: serde_json::Value = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .rfind(|line: &serde_json::Value| line.get("train/flops").is_some())
        .unwrap();
    assert_eq!(last["train/tokens"], plan["tokens"]);
    let flops = last["train/flops"].as_f64().unwrap();
    assert!((flops / number("flops") - 1.0).abs() < 1e-9, "{flops} {plan:?}");
}

#[test]
fn what_a_size_buys_does_not_depend_on_threads() {
    let World { data, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let train = |threads: usize| {
        let run = folder.path().join(threads.to_string());
        let line = format!(
            "train --data {{data}} --budget N=36e3 --set layers=2 --set seq=32 --set rows=16 --set steps=3 \
             --set eval_tokens=500 --set evals=1 --out {{run}} -q --threads {threads}"
        );
        ok(words(&line, &[("data", data), ("run", &run)]));
        outcome(&run)
    };
    let one = train(1);
    for threads in [2, 4] {
        assert_same(&one, &train(threads), "threads");
    }
}

#[test]
fn a_plan_needs_no_data() {
    let plan = ok(words("plan --vocab 1000 --budget 1e10 --set steps=50 --json", &[])).summary();
    assert_eq!(plan["shape"]["vocab"], 1000);
    assert!(plan["epochs"].is_null());
}

/// A machine that is a thousand times as fast as any.
const MACHINE: &str =
    "name = \"made up\"\npeak_flops = 1e15\nbandwidth = 1e14\ndevices = 4\nefficiency = 0.5\n";

#[test]
fn a_run_is_planned_for_a_machine_that_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let made_up = file("made-up.toml", MACHINE);
    let small = file("small.toml", &format!("{MACHINE}memory = 1e6\n"));
    let strange = file("strange.toml", &format!("{MACHINE}colour = 3\n"));
    let none = file("none.toml", &MACHINE.replace("0.5", "0"));
    let knitting = file("knitting.toml", &format!("{MACHINE}[operations.knitting]\noverhead = 1e-3\n"));
    let places = [
        ("folder", folder.path()),
        ("made", &made_up),
        ("small", &small),
        ("strange", &strange),
        ("none", &none),
        ("knitting", &knitting),
    ];
    let line = "plan --vocab 300 --budget N=1e5,D=1e6 --machine {made}";
    let plan = ok(words(&format!("{line} --json"), &places)).summary();
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    assert_eq!(plan["machine"], "made up");
    assert!(number(&plan["share_of_peak"]) <= 0.5, "{plan:?}");
    // The same every time: nothing was timed.
    assert_eq!(plan, ok(words(&format!("{line} --json"), &places)).summary());
    let text = ok(words(line, &places)).stdout;
    assert!(text.contains("made up, from a description"), "{text}");
    // So much time buys far more there than here.
    let timed = ok(words("plan --vocab 300 --budget 1m --machine {made} --json", &places)).summary();
    assert!(number(&timed["flops"]) > 1e15, "{timed:?}");
    assert!((0.5..1.1).contains(&(number(&timed["seconds"]["total"]) / 60.0)), "{timed:?}");
    refused(
        folder.path(),
        &places,
        &[
            ("plan --vocab 300 --budget 1e9 --machine {folder}/missing", "machines/"),
            ("plan --vocab 300 --budget 1e9 --machine {folder}", "regular file"),
            ("plan --vocab 300 --budget 1e9 --machine {strange}", "colour"),
            ("plan --vocab 300 --budget 1e9 --machine {none}", "efficiency"),
            ("plan --vocab 300 --budget 1e9 --machine {knitting}", "knitting"),
            ("plan --vocab 300 --budget N=1e6 --machine {small}", "MB of memory are needed"),
        ],
    );
}

#[test]
fn bad_input_is_refused() {
    let World { data, text, run } = world();
    let folder = tempfile::tempdir().unwrap();
    let [missing, nothing] = ["missing", "nothing"].map(|name| folder.path().join(name));
    fs::create_dir(&nothing).unwrap();
    let places = [
        ("data", data.as_path()),
        ("text", text),
        ("run", run),
        ("missing", &missing),
        ("nothing", &nothing),
    ];
    let mut table = vec![
        ("plan", "--budget"),
        ("plan --budget 1m", "--data"),
        ("plan --data {data}", "--budget"),
        ("plan --data {data} --vocab 300 --budget 1m", "--vocab"),
        ("plan --data {missing} --budget 1m", "missing"),
        ("plan --data {nothing} --budget 1m", "nothing"),
        ("plan --data {text} --budget 1m", "text.jsonl"),
        ("plan --data {run} --budget 1m", "run"),
        ("plan --vocab 0 --budget 1e9", "vocab"),
        ("plan --vocab=-1 --budget 1e9", "-1"),
        ("plan --vocab 99999999999999 --budget 1e9", "vocab"),
        ("plan --vocab 300 --budget 1e9 --threads 0", "--threads"),
        ("plan --vocab 300 --budget 1e9 --isa neon9", "neon9"),
    ];
    for (rest, thing) in [
        ("0", "0"),
        ("-1e9", "-1e9"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("", "budget"),
        ("1e-300", "1e-300"),
        ("0s", "0s"),
        ("5parsecs", "5parsecs"),
        ("N=,D=", "N="),
        ("D=1e6,D=1e7", "D"),
        ("1e9 --set colour=red", "colour"),
        ("1e9 --set width=7.5", "width"),
        ("1e9 --set width=99999999999999999", "width"),
        ("1e9 --set width=17 --set layers=1 --set head_dim=5", "head"),
        ("1e9 --set layers=0", "layers"),
        ("1e9 --set layers=1e9", "layers"),
        ("1e9 --set heads=0", "heads"),
        ("1e9 --set head_dim=0", "head_dim"),
        ("1e9 --set ffn=0", "ffn"),
        ("1e9 --set seq=0", "seq"),
        ("1e9 --set seq=1e17", "seq"),
        ("1e9 --set rows=0", "rows"),
        ("1e9 --set rows=6 --set micro_rows=4 --set steps=3", "micro_rows"),
        ("1e9 --set steps=0", "steps"),
        ("1e9 --set steps=1e17", "steps"),
        ("1e9 --set tied=maybe", "tied"),
        ("1e9 --set evals=-1", "evals"),
        ("1e9 --set max_epochs=0", "max_epochs"),
        ("1e9 --set tokens_per_parameter=nan", "tokens_per_parameter"),
        ("1e9 --set learning_rate=99 --set steps=3", "peak"),
        ("1e9 --set warmup_steps=50 --set steps=3", "warmup_steps"),
        ("1e9 --set optimiser.decay=-1 --set steps=3", "optimiser.decay"),
        ("1e9 --set optimiser.beta1=high --set steps=3", "optimiser.beta1"),
    ] {
        table.push((format!("plan --vocab 300 --budget={rest}").leak(), thing));
    }
    table.push(("plan --vocab 300 --budget N=3e10,D=1e6", "MB of memory are needed and"));
    refused(folder.path(), &places, &table);
    bad_usage(
        &places,
        &[
            ("plan --vocab 300 --budget 1e300", "1e300"),
            ("plan --vocab 300 --budget N=1e40", "N=1e40"),
            ("plan --vocab 300 --budget 1e9 --set steps=99999999999999", "between 1 and"),
            ("plan --vocab 300 --budget 1e9 --set steps=3 --set micro_rows=3", "micro_rows"),
            ("plan --vocab 300 --budget 1e9 --set steps=3 --set schedule.peak=99", "schedule.peak"),
            ("plan --vocab 300 --budget 1e9 --set steps=3 --set z_loss=7", "z_loss"),
            ("plan --vocab 300 --budget 1e9 --set steps=3 --set model.rms_norm_eps=7", "rms_norm_eps"),
        ],
    );
}

#[test]
fn a_plan_says_what_it_takes_of_the_budget_and_how_to_have_more_passes() {
    let World { data, .. } = world();
    let places = [("data", data.as_path())];
    let plan = "plan --vocab 300 --budget N=2e4,D=1e6 --set steps=7 --json";
    let notes = ok(words(plan, &[])).summary()["notes"].to_string();
    assert!(notes.contains("steps = 7 was set") && notes.contains("D=1e6"), "{notes}");
    let line = "plan --data {data} --budget N=2e4,D=1e4 --set max_epochs=0.00001";
    let said = end(&mut foretell(words(line, &places))).stderr;
    let remedy = said.split("--set ").nth(1).unwrap_or_else(|| panic!("{said}"));
    ok(words(&line.replace("max_epochs=0.00001", remedy.trim()), &places));
}

#[test]
fn steps_that_nobody_would_wait_for_are_planned_in_a_moment() {
    // A step of either takes minutes, which no command of these tests may.
    let plan = "plan --vocab 300 --budget 1e18 --set rows=1048576 --set width=32 --set layers=2 --json";
    ok(words(plan, &[]));
    let plan =
        "plan --vocab 300 --budget 1e15 --set seq=1048576 --set rows=1 --set width=16 --set layers=1 --json";
    let ended = ok(words(plan, &[])).summary();
    assert!(ended["notes"].to_string().contains("none was tried"), "{ended:?}");
}
