//! Further sets from the ladder to the verification: laws, foretold, registered, trained, judged.

use crate::common::{World, check_error, documents, end, foretell, ok, words, world};
use serde_json::{Map, Value};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Questions about the little language of the tests: a word cut short, which each choice of a group ends in another prompt.
fn questions() -> String {
    let groups: [[(&str, &str); 4]; 3] = [
        [("The old bo", "at."), ("grey ho", "use."), ("over ri", "ver."), ("under st", "one.")],
        [("small bi", "rd "), ("two wal", "ks "), ("Mara si", "ngs "), ("Oskar sle", "eps ")],
        [("old gr", "ey "), ("three wai", "ts "), ("a sma", "ll "), ("and und", "er ")],
    ];
    let mut text = String::new();
    for copy in 0..10 {
        for (level, group) in (1..).zip(&groups) {
            let choices: Vec<&str> = group.iter().map(|item| item.1).collect();
            for (answer, (prompt, _)) in group.iter().enumerate() {
                let before = ["river", "stone", "the", "boat", "rain", "two"][(copy + answer) % 6];
                let line = serde_json::json!({
                    "id": format!("e{level}-{copy}-{answer}"), "family": "ending", "level": level,
                    "prompt": format!("{copy} {before} {prompt}"), "choices": choices, "answer": answer,
                });
                let _ = writeln!(text, "{line}");
            }
        }
    }
    text
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn sets_are_foretold_registered_and_judged() {
    let World { data, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let names = ["text.jsonl", "q.jsonl", "ladder", "registry", "run", "report.html"];
    let [text, asked, ladder, registry, run, page] = names.map(|name| folder.path().join(name));
    fs::write(&text, documents(9, 20)).unwrap();
    fs::write(&asked, questions()).unwrap();
    let places: [(&str, &Path); 7] = [
        ("data", data),
        ("text", &text),
        ("asked", &asked),
        ("ladder", &ladder),
        ("registry", &registry),
        ("run", &run),
        ("page", &page),
    ];
    let say = |line: &str| ok(words(line, &places));
    let json = |line: &str| say(&format!("{line} --json")).summary();
    say(
        "ladder run --data {data} --out {ladder} --max 5e10 --span 60 --ratios 6,12,24 --seeds 1 --threads 2 -q \
         --score other={text} --score asked={asked}",
    );

    let laws = json("ladder fit {ladder}");
    let sets = laws["sets"].as_array().unwrap();
    assert_eq!(sets.len(), 2);
    let rungs = sets[0]["text"]["rungs"].as_array().unwrap().len();
    assert_eq!(rungs, laws["rungs"].as_array().unwrap().len());
    let known = sets[1]["questions"]["buckets"].as_array().unwrap();
    assert_eq!(known.iter().map(|one| number(&one["best"]["questions"])).sum::<f64>(), 120.0);
    // From easy to hard.
    assert!(known.len() > 1 && known.iter().all(|one| one["chance"] == 0.25), "{known:?}");
    assert!(say("ladder fit {ladder}").stdout.contains("set asked"));

    let line = "predict {ladder} --budget N=1e4,D=1e5 --registry {registry}";
    let answer = json(&format!("{line} --register"));
    let sets = answer["sets"].as_array().unwrap();
    let [other, quiz] = [0, 1].map(|i| &sets[i]);
    assert_eq!((&other["name"], &quiz["name"]), (&"other".into(), &"asked".into()));
    assert!(
        number(&other["lo90"]) < number(&other["loss"]) && number(&other["loss"]) < number(&other["hi90"])
    );
    for bucket in quiz["buckets"].as_array().unwrap() {
        for rate in [&bucket["accuracy"], &bucket["probability"]] {
            let ends =
                ["lo95", "lo90", "lo80", "rate", "hi80", "hi90", "hi95"].map(|name| number(&rate[name]));
            assert!(ends.is_sorted() && ends[0] >= 0.0 && ends[6] <= 1.0, "{bucket}");
        }
    }
    // Fewer rungs say other things, or too little.
    let dearest = number(&answer["flops"]) / number(&answer["compute_ratio"]);
    let fewer = json(&format!("{line} --max-rung {}", (1.0 - 1e-5) * dearest));
    assert_ne!(fewer["sets"][0]["loss"], other["loss"]);
    let told = say(line).stdout;
    assert!(told.contains("set other") && told.contains("best rung"), "{told}");
    let table = |line: &&str| line.trim_start().starts_with("bucket") || line.contains("questions from easy");
    assert!(told.lines().filter(table).all(|line| line.chars().count() <= 100), "{told}");

    say("train --prediction 1 --registry {registry} --out {run} -q");
    let verify = "verify 1 --run {run} --registry {registry}";
    let verified = json(verify);
    let judged = verified["sets"].as_array().unwrap();
    assert_eq!(judged.len(), 1 + 2 * quiz["buckets"].as_array().unwrap().len());
    assert!(number(&judged[0]["error"]).abs() < 0.5, "{judged:?}");
    for one in judged {
        let (low, high) = (number(&one["interval90"][0]), number(&one["interval90"][1]));
        assert_eq!(one["in90"], (low..=high).contains(&number(&one["observed"])), "{one}");
    }
    // What stands in the run's own records.
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let last = |name: &str| {
        let line = metrics.lines().rfind(|line| line.contains(name)).unwrap();
        number(&serde_json::from_str::<Value>(line).unwrap()[name])
    };
    assert_eq!(number(&judged[0]["observed"]), last("set/other/bits_per_byte"));
    let right: f64 = judged
        .iter()
        .filter(|one| one["of"] == "accuracy")
        .zip(quiz["buckets"].as_array().unwrap())
        .map(|(one, bucket)| number(&one["observed"]) * number(&bucket["questions"]))
        .sum();
    assert!((right / 120.0 - last("set/asked/accuracy")).abs() < 1e-9);

    let all = json("verify --registry {registry}");
    assert_eq!((&all["texts"]["outcomes"], &all["outcomes"]), (&1.into(), &1.into()));
    assert_eq!(number(&all["accuracies"]["outcomes"]), 0.5 * (judged.len() - 1) as f64);
    assert!(say("verify 1 --registry {registry}").stdout.contains("asked 1 accuracy"));
    say("report {ladder} {run} --registry {registry} --out {page} -q");
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("Further sets, foretold and come out") && html.contains("asked 1 accuracy"));

    // The outcome is judged anew: its own verdict is not taken on trust, and what it must say is missed.
    let lines = fs::read_to_string(&registry).unwrap();
    let outcome: Map<String, Value> = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
    assert_eq!(outcome["sets_judged"].as_array().unwrap().len(), judged.len());
    assert_eq!(outcome["sets"][1]["answers_hash"].as_str().unwrap().len(), 64);
    // Answers that were altered are no evidence.
    fs::remove_file(&registry).unwrap();
    fs::write(&registry, lines.lines().next().unwrap().to_string() + "\n").unwrap();
    let record = run.join("questions-asked.jsonl");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text + "\n").unwrap();
    check_error(&end(&mut foretell(words(verify, &places))), "was altered", verify);
}
