//! Pictures on the whole way of a prediction: small runs, laws, registered, trained, judged, by family and level.

use crate::common::{World, ok, refused, words, world};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

const FAMILIES: [&str; 3] = ["scene", "clock", "chart"];

/// Pictures of a world as the documents of three families at three levels, each of which says which family it is, and questions about
/// some others of them, as JSONL beside the pictures.
fn write(world: &Path, documents: &Path, asked: &Path) {
    let (mut told, mut questions) = (String::new(), String::new());
    for (answer, family) in FAMILIES.iter().enumerate() {
        for level in 1..=3 {
            let folder = world.join(format!("pictures-7/{family}-{level}"));
            let mut pictures: Vec<PathBuf> =
                fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            pictures.sort();
            let (known, unknown) = pictures.split_at(pictures.len() / 2);
            for (copy, picture) in known.iter().cycle().take(100).enumerate() {
                let segments = json!([
                    {"image": picture}, {"text": format!("{copy} What is it?\n"), "weight": 0}, {"text": format!("a {family}\n")},
                ]);
                let _ = writeln!(told, "{}", json!({"segments": segments}));
            }
            let choices = FAMILIES.map(|family| format!("a {family}\n"));
            for (copy, picture) in unknown.iter().cycle().take(8).enumerate() {
                let name = picture.strip_prefix(world).unwrap();
                let question = json!({
                    "id": format!("{family}-{level}-{copy}"), "family": family, "level": level, "images": [name],
                    "prompt": format!("<image>{copy} What is it?\n"), "choices": choices, "answer": answer,
                });
                let _ = writeln!(questions, "{question}");
            }
        }
    }
    fs::write(documents, told).unwrap();
    fs::write(asked, questions).unwrap();
}

#[test]
fn accuracy_by_family_and_level_is_foretold_registered_and_judged() {
    let World { data: text, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let names = ["world", "shown.jsonl", "data", "out/ladder", "out/registry", "out/run", "out/page"];
    fs::create_dir(at("out")).unwrap();
    let [pictures, shown, data, ladder, registry, run, page] = names.map(at);
    let (asked, exam) = (pictures.join("asked.jsonl"), pictures.join("exam-7.parquet"));
    let places: [(&str, &Path); 10] = [
        ("text", text),
        ("world", &pictures),
        ("shown", &shown),
        ("asked", &asked),
        ("exam", &exam),
        ("data", &data),
        ("ladder", &ladder),
        ("registry", &registry),
        ("run", &run),
        ("page", &page),
    ];
    let say = |line: &str| ok(words(line, &places));
    let json = |line: &str| say(&format!("{line} --json")).summary();
    say("data generate --world 7 --pictures 8 --bytes 400000 --out {world} --quiet");
    write(&pictures, &shown, &asked);
    let build = "data build {shown} {world}/world-7.jsonl --out {data} --tokenizer bytes --tile 16 --longest-edge 16 --holdout 0.05";
    // What is asked about is not trained on, and what is trained on is not dropped for it. The text keeps the loss from nought.
    let built = json(&format!("{build} --held-out {{asked}}"));
    assert_eq!(built["counts"]["held_out_items"], 0);
    assert!(number(&built["counts"]["documents"]) > 900.0);

    let climb = "ladder run --data {data} --out {ladder} --max 1.6e11 --span 32 --ratios 6,12 --seeds 1 --threads 2 \
                 --score eyes={asked}";
    // Of pictures that its rows have no room for, or that its model would not see.
    let line = "ladder run --data {data} --out {ladder} --max 5e10 --span 30 --ratios 6,12,24";
    refused(
        &at("out"),
        &places,
        &[
            (&format!("{line} --set seq=64 --score eyes={{exam}}"), "where 64 and"),
            ("train --data {text} --budget N=1e4,D=1e4 --out {run} --score eyes={asked}", "no eyes"),
        ],
    );
    // Without an encoder, or with one wider than the rule's, rungs are of other sizes, and rows of other lengths are in their cost.
    let bill = |set: &str| {
        let bill = json(&format!("{climb} --dry-run {set}"));
        let rungs = bill["rungs"].as_array().unwrap();
        let least = rungs.iter().map(|rung| number(&rung["parameters"])).fold(f64::MAX, f64::min);
        let dearest = rungs.iter().map(|rung| number(&rung["flops"])).fold(0.0, f64::max);
        (least, dearest)
    };
    let [wide, rule, none] =
        ["eyes_width=32", "eyes_layers=2", "eyes_layers=0"].map(|set| bill(&format!("--set {set}")).0);
    assert!(none < rule && rule < wide, "{none} {rule} {wide}");
    let (_, dearest) = bill("--set seq=512");
    assert!((1.5e11..1.7e11).contains(&dearest), "{dearest}");
    say(&format!("{climb} --quiet"));
    // Of other data than that of the ladder.
    refused(
        &at("out"),
        &places,
        &[
            (&climb.replace("{data}", "{text}"), "is not the data"),
            ("predict {ladder} --data {text} --budget N=1e4,D=1e5", "not the data"),
        ],
    );

    let laws = json("ladder fit {ladder}");
    let rungs = laws["rungs"].as_array().unwrap();
    for rung in rungs {
        // What was counted beforehand is what the run counted: N and C have the encoder, D the tokens of its tiles.
        let name = rung["name"].as_str().unwrap();
        let toml = fs::read_to_string(ladder.join(format!("rungs/{name}/run.toml"))).unwrap();
        let config = train::TrainConfig::from_toml(&toml, Path::new(name)).unwrap();
        let run = &rung["run"];
        assert!(config.tiles > 0 && config.model.eyes.is_some());
        assert_eq!(number(&run["parameters"]), config.model.multiplying() as f64);
        assert_eq!(number(&run["flops"]), train::step_flops(&config).unwrap() * config.steps as f64);
        assert_eq!(number(&run["tokens"]), (config.steps * config.step_tokens()) as f64);
    }
    let known = laws["sets"][0]["questions"]["buckets"].as_array().unwrap();
    let expected: Vec<String> = ["chart", "clock", "scene"]
        .iter()
        .flat_map(|family| (1..=3).map(move |level| format!("{family}-{level}")))
        .collect();
    assert_eq!(known.iter().map(|one| one["bucket"]["name"].as_str().unwrap()).collect::<Vec<_>>(), expected);
    assert!(
        known
            .iter()
            .all(|one| one["best"]["questions"] == 8 && (number(&one["chance"]) - 1.0 / 3.0).abs() < 1e-12)
    );
    assert!(say("ladder fit {ladder} --next --target 1e12").stdout.contains("by family and level"));

    let line = "predict {ladder} --budget N=2e4,D=1e5 --registry {registry}";
    let answer = json(&format!("{line} --register"));
    let buckets = answer["sets"][0]["buckets"].as_array().unwrap();
    assert_eq!(buckets.iter().map(|one| one["name"].as_str().unwrap()).collect::<Vec<_>>(), expected);
    for rate in buckets.iter().flat_map(|one| [&one["accuracy"], &one["probability"]]) {
        let ends = ["lo95", "lo90", "lo80", "rate", "hi80", "hi90", "hi95"].map(|name| number(&rate[name]));
        assert!(ends.is_sorted() && ends[0] >= 0.0 && ends[6] <= 1.0, "{rate}");
    }
    assert!(say(line).stdout.contains("by family and level"));
    assert!(answer["run"]["config"].as_str().unwrap().contains("kind = \"pictured\""));

    say("train --prediction 1 --registry {registry} --out {run} --quiet");
    let verified = json("verify 1 --run {run} --registry {registry}");
    let entries = fs::read_to_string(&registry).unwrap();
    let outcome: Value = serde_json::from_str(entries.lines().nth(1).unwrap()).unwrap();
    assert_eq!(outcome["memory_bytes"], outcome["foretold_memory_bytes"]);
    let judged = verified["sets"].as_array().unwrap();
    assert_eq!(judged.len(), 2 * expected.len());
    let lines = fs::read_to_string(run.join("questions-eyes.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for one in judged.iter().filter(|one| one["of"] == "accuracy") {
        let own = lines.iter().filter(|line| {
            format!("{}-{}", line["family"].as_str().unwrap(), line["level"])
                == one["bucket"].as_str().unwrap()
        });
        let right = own.filter(|line| line["correct"] == true).count();
        assert_eq!(number(&one["observed"]), right as f64 / 8.0, "{one}");
    }
    say("report {ladder} {run} --registry {registry} --out {page} --quiet");
    assert!(fs::read_to_string(&page).unwrap().contains("eyes scene-1 accuracy"));
}
