//! Pictures from end to end: the world's as files, data, a run, samples, exams, export.

use crate::common::{checkpoints, ok, refused, words};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A world with pictures, data of it, and two short runs on it that differ in their threads.
pub(crate) struct Eyes {
    folder: tempfile::TempDir,
}

impl Eyes {
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, line: &str) -> crate::common::Ended {
        let names = ["world", "data", "one", "two", "out", "page", "pair", "back", "straight"];
        let names = names.map(|name| (name, self.at(name)));
        let places: Vec<(&str, &Path)> = names.iter().map(|(name, path)| (*name, path.as_path())).collect();
        ok(words(line, &places))
    }
}

pub(crate) const TRAIN: &str = "train --data {data} --budget N=2e4,D=8e3 --set width=16 --set head_dim=8 --set layers=2 --set seq=384 \
                     --set rows=2 --set micro_rows=1 --set steps=4 --set eval_tokens=4000 --quiet";

pub(crate) fn eyes() -> &'static Eyes {
    static EYES: LazyLock<Eyes> = LazyLock::new(|| {
        let eyes = Eyes { folder: tempfile::tempdir().unwrap() };
        eyes.run("data generate --world 7 --pictures 1 --bytes 20000 --out {world} --quiet");
        eyes.run("data build {world} --tokenizer bytes --holdout 0.1 --out {data} --quiet");
        eyes.run(&format!("{TRAIN} --threads 1 --out {{one}}"));
        eyes.run(&format!("{TRAIN} --threads 2 --out {{two}}"));
        eyes
    });
    &EYES
}

fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[test]
fn the_world_is_ordinary_files_and_its_exam_is_not_trained_on() {
    let eyes = eyes();
    let lines = fs::read_to_string(eyes.at("world/pictures-7.jsonl")).unwrap();
    // Nine kinds at three levels, and comics once more.
    assert_eq!(lines.lines().count(), 30);
    let mut named = 0;
    for line in lines.lines() {
        let document: Value = serde_json::from_str(line).unwrap();
        for image in
            document["segments"].as_array().unwrap().iter().filter_map(|segment| segment["image"].as_str())
        {
            assert!(eyes.at("world").join(image).is_file(), "{image}");
            named += 1;
        }
    }
    assert!(named >= files(&eyes.at("world/pictures-7")));
    assert!(fs::metadata(eyes.at("world/exam-7.parquet")).unwrap().len() > 100_000);
    let manifest = eyes.run("data inspect {data} --json").summary();
    let of = |split: &str, field: &str| manifest[split][field].as_u64().unwrap_or(0);
    let sum = |field: &str| of("train", field) + of("eval", field);
    assert_eq!(sum("images"), named as u64);
    assert!(sum("tiles") > sum("images"), "large pictures have several tiles");
    assert_eq!(manifest["counts"]["malformed"], 0);
    eyes.run("data inspect {data} --verify");
    eyes.run("data inspect {data} --html {page} --documents 3");
    let page = fs::read_to_string(eyes.at("page")).unwrap();
    assert!(
        page.matches("<section>").count() >= 2
            && page.contains("src=\"data:image/png;base64,")
            && !page.contains("http")
    );
    let again = "data generate --world 7 --pictures 1 --bytes 20000 --out {world}";
    refused(&eyes.at("world"), &[("world", &eyes.at("world"))], &[(again, "--force")]);
}

#[test]
fn a_run_that_sees_has_the_same_bits_on_any_number_of_threads() {
    let eyes = eyes();
    let weights =
        |run: &str| fs::read(checkpoints(&eyes.at(run)).pop().unwrap().join("model.safetensors")).unwrap();
    assert!(weights("one") == weights("two"));
    let config = fs::read_to_string(eyes.at("one/run.toml")).unwrap();
    assert!(config.contains("\ntiles = ") && config.contains("[model.eyes.vision]"), "{config}");
}

#[test]
fn samples_show_pictures_and_what_is_none_is_named() {
    let eyes = eyes();
    let picture = picture(eyes);
    let line = format!(
        "sample {{one}} --image {} --prompt What? --temperature 0 --tokens 8 --logprobs 1 --json",
        picture.display()
    );
    let seen = eyes.run(&line).summary();
    let blind =
        eyes.run("sample {one} --prompt What? --temperature 0 --tokens 8 --logprobs 1 --json").summary();
    assert_eq!(seen["tokens"].as_array().unwrap().len(), 8);
    assert_ne!(seen["logprobs"], blind["logprobs"]);
    assert_eq!(seen, eyes.run(&format!("{line} --threads 1")).summary());
    let text = eyes.at("data/manifest.json");
    let places = [("run", eyes.at("one")), ("text", text)];
    let places: Vec<(&str, &Path)> = places.iter().map(|(name, path)| (*name, path.as_path())).collect();
    refused(
        &eyes.at("one"),
        &places,
        &[
            ("sample {run} --image {text} --tokens 3", "none of PNG"),
            ("sample {run} --image no-such.png --tokens 3", "no-such.png"),
        ],
    );
}

#[test]
fn an_exam_counts_every_family_and_a_blind_one_sees_nothing() {
    let eyes = eyes();
    let sat = |line: &str| eyes.run(&format!("exam {{one}} --tasks world --items 3 {line} --json")).lines();
    let lines = sat("--levels 1,3");
    assert_eq!(lines.len(), 9 * 2 + 1);
    for line in &lines[..18] {
        let share = |name: &str| line[name].as_f64().unwrap();
        assert_eq!(line["items"], 3);
        assert!(share("lo95") <= share("accuracy") && share("accuracy") <= share("hi95"));
        assert!((0.2..=0.5).contains(&share("chance")), "{line:?}");
    }
    let summary = &lines[18];
    let mean = lines[..18].iter().map(|line| line["accuracy"].as_f64().unwrap()).sum::<f64>() / 18.0;
    assert!((summary["macro_accuracy"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert_eq!(sat("--levels 1 --blind").len(), 10);
    assert_eq!(sat("--levels 1 --unseen --transcribed").len(), 10);
    assert_eq!(sat("--levels 1 --written").pop().unwrap()["chance"], 0.0);
}

#[test]
fn what_is_exported_says_how_pictures_are_prepared() {
    let eyes = eyes();
    eyes.run("export {one} --to safetensors --out {out}");
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(eyes.at("out").join(name)).unwrap()).unwrap()
    };
    assert_eq!(read("preprocessor_config.json")["max_image_size"]["longest_edge"], 64);
    assert_eq!(read("processor_config.json")["image_seq_len"], 16);
    assert_eq!(read("config.json")["model_type"], "idefics3");
}

/// One that the world drew.
fn picture(eyes: &Eyes) -> PathBuf {
    let picture = eyes.at("world/pictures-7/scene-1/000000-0.png");
    if picture.exists() { picture } else { picture.with_extension("jpg") }
}

#[test]
fn a_pair_of_gguf_files_is_the_model_that_it_was_made_from() {
    let eyes = eyes();
    eyes.run("export {one} --to gguf --out {pair}");
    let sample = |model: &str| {
        let image = picture(eyes);
        let shown =
            format!("--image {} --prompt What? --temperature 0 --tokens 8 --logprobs 1", image.display());
        eyes.run(&format!("sample {{{model}}} {shown} --json")).summary()
    };
    assert_eq!(sample("pair"), sample("one"));
    eyes.run("export {pair} --to safetensors --out {back}");
    eyes.run("export {one} --to safetensors --out {straight}");
    for name in ["model.safetensors", "preprocessor_config.json", "processor_config.json"] {
        let [back, straight] =
            ["back", "straight"].map(|folder| fs::read(eyes.at(folder).join(name)).unwrap());
        assert!(back == straight, "{name}");
    }

    // Eyes that lie there already are not written over unasked, even where their text is gone.
    let beside = eyes.at("pair-mmproj");
    fs::remove_file(eyes.at("pair")).unwrap();
    let settings = eyes.at("back/preprocessor_config.json");
    let whole = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, whole.replace("\"do_image_splitting\": true", "\"do_image_splitting\": false"))
        .unwrap();
    let out = eyes.at("other.gguf");
    let places =
        [("one", eyes.at("one")), ("pair", eyes.at("pair")), ("back", eyes.at("back")), ("out", out)];
    let places: Vec<(&str, &Path)> = places.iter().map(|(name, path)| (*name, path.as_path())).collect();
    let table = [
        ("export {one} --to gguf --out {pair}", "pair-mmproj exists already"),
        ("export {back} --to gguf --out {out}", "do_image_splitting"),
    ];
    refused(&eyes.at("back"), &places, &table);
    assert!(!eyes.at("other.gguf").exists() && !eyes.at("other-mmproj.gguf").exists());
    eyes.run("export {one} --to gguf --out {pair} --force");

    let [text, whole] = [eyes.at("pair"), beside.clone()].map(|path| fs::read(path).unwrap());
    let broken = |bytes: &[u8], said: &str| {
        fs::write(&beside, bytes).unwrap();
        refused(&eyes.at("back"), &places, &[("sample {pair} --tokens 3", said)]);
    };
    broken(&whole[..whole.len() / 2], "pair-mmproj");
    broken(&text, "general.architecture");
    fs::remove_file(&beside).unwrap();
    fs::write(eyes.at("pair"), whole).unwrap();
    refused(&eyes.at("back"), &places, &[("sample {pair} --tokens 3", "eyes")]);
}

/// Items with and without choices, too long, without their picture, with and without words for it.
#[test]
fn an_exam_of_rows_counts_what_cannot_be_posed() {
    let eyes = eyes();
    let folder = tempfile::tempdir().unwrap();
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/tests/pictures/colours/plain.jpg");
    fs::copy(picture, folder.path().join("a.jpg")).unwrap();
    let long = "so ".repeat(200);
    let rows = [
        r#"{"q": "Which?", "image": "a.jpg", "options": ["x", "y"], "answer": "x", "level": 1}"#.into(),
        r#"{"q": "How many?", "image": "a.jpg", "options": [], "answer": "3", "level": 1}"#.into(),
        format!(r#"{{"q": "{long}?", "image": "a.jpg", "options": ["x", "y"], "answer": "y", "level": 2}}"#),
        r#"{"q": "Gone?", "image": "none.jpg", "options": ["x", "y"], "answer": "y", "level": 2}"#.into(),
        r#"{"q": "Last?", "image": "a.jpg", "options": ["x", "y"], "answer": "y", "level": 3}"#.into(),
    ];
    fs::write(folder.path().join("rows.jsonl"), rows.join("\n")).unwrap();
    let text = "[rows]\npath = \"rows.jsonl\"\nheld_out = \"true\"\nlongest_edge = 64\n\
                [[document]]\nfamily = \"all\"\nlevel = \"{{ level }}\"\nprompt = \"{{ image }}{{ q }}\\n\"\n\
                answer = \"{{ answer }}\"\nchoices = \"options\"\n";
    let [mute, telling] = ["mute.toml", "telling.toml"].map(|name| folder.path().join(name));
    fs::write(&mute, text).unwrap();
    fs::write(&telling, format!("{text}transcription = [\"A picture of {{{{ level }}}}.\"]\n")).unwrap();
    let run = eyes.at("one");
    let places: [(&str, &Path); 3] = [("run", &run), ("mute", &mute), ("telling", &telling)];
    let sat = |line: &str| ok(words(&format!("exam {{run}} {line} --json"), &places)).lines();

    let lines = sat("--tasks {mute}");
    let counted: Vec<_> =
        lines[..2].iter().map(|line| (line["level"].as_u64(), line["items"].as_u64())).collect();
    assert_eq!(counted, [(Some(1), Some(2)), (Some(3), Some(1))]);
    let summary = &lines[2];
    assert_eq!((&summary["items"], &lines[0]["chance"]), (&3.into(), &0.25.into()));
    assert_eq!(
        (&summary["by_answer"]["choice"]["items"], &summary["by_answer"]["choice"]["chance"]),
        (&2.into(), &0.5.into())
    );
    assert_eq!(summary["by_answer"]["written"]["items"], 1);
    let left = |summary: &serde_json::Map<String, Value>| -> Vec<(String, u64)> {
        let left = summary["not_posed"].as_array().unwrap().iter();
        left.map(|one| (one["first"].as_str().unwrap().into(), one["items"].as_u64().unwrap())).collect()
    };
    let seen = left(summary);
    assert!(
        seen.len() == 2 && seen[0].0.contains("the model's context is 384") && seen[1].0.contains("none.jpg"),
        "{seen:?}"
    );
    // Who does not look at a picture does not miss it.
    let blind = sat("--tasks {mute} --blind").pop().unwrap();
    assert_eq!((&blind["items"], left(&blind).len()), (&4.into(), 1));
    let told = sat("--tasks {telling} --transcribed").pop().unwrap();
    assert_eq!((&told["items"], left(&told).len()), (&4.into(), 1));
    assert_eq!(sat("--tasks {mute} --levels 3 --written").pop().unwrap()["by_answer"]["written"]["items"], 1);
    let people = ok(words("exam {run} --tasks {mute} --quiet", &places)).stdout;
    assert!(people.contains("not posed: 1 items, longer than the model's context"), "{people}");
    refused(
        &run,
        &places,
        &[
            ("exam {run} --tasks {mute} --transcribed", "without a transcription"),
            ("exam {run} --tasks {mute} --levels 2", "none of 2 items can be posed"),
            ("exam {run} --tasks {mute} --levels 7", "no row of these levels"),
            ("exam {run} --tasks world --levels 4", "--levels 4"),
        ],
    );
}

/// Problems that people wrote, with pictures of all sizes: read, shown, and sat by a model that knows nothing of them.
#[test]
fn mathvision_is_read_shown_and_sat() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !root.join("../shared").exists() {
        eprintln!("skipped: there is no ../shared beside the project");
        return;
    }
    let eyes = eyes();
    let folder = tempfile::tempdir().unwrap();
    let [data, page, run] = [folder.path().join("data"), folder.path().join("page.html"), eyes.at("one")];
    let recipe = root.join("docs/recipes/mathvision.toml");
    let places: [(&str, &Path); 4] = [("data", &data), ("page", &page), ("run", &run), ("recipe", &recipe)];
    let manifest = ok(words("data build {recipe} --tokenizer bytes --out {data} --json", &places)).summary();
    assert_eq!((&manifest["eval"]["documents"], &manifest["eval"]["images"]), (&304.into(), &304.into()));
    assert_eq!((&manifest["train"]["documents"], &manifest["counts"]["malformed"]), (&0.into(), &0.into()));
    // A problem with letters for answers, which its picture explains, and one with words.
    let shown = |number: u32| {
        ok(words(&format!("data inspect {{data}} --eval --document {number} --tokens 900"), &places)).stdout
    };
    let [letters, number] = [shown(2), shown(0)].map(|text| text.replace(['(', ')', '|'], ""));
    assert!(
        letters.contains("Misty the cat has five kittens") && letters.contains("<global-img>"),
        "{letters}"
    );
    assert!(number.contains("How many different digits can you find"), "{number}");
    ok(words("data inspect {data} --eval --html {page} --documents 4", &places));
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.matches("<section>").count() == 4 && html.matches("data:image/png").count() >= 12);
    let refusal = [
        ("train --data {data} --budget 1e9 --out {run}-none", "all of it is held out"),
        ("ladder run --data {data} --max 1e8 --out {run}-none", "all of it is held out"),
        ("data inspect {data} --document 0", "document 0"),
        ("exam {run} --tasks {recipe} --transcribed", "without a transcription"),
    ];
    refused(folder.path(), &places, &refusal);

    let lines = ok(words("exam {run} --tasks {recipe} --levels 1 --json", &places)).lines();
    let (summary, families) = lines.split_last().unwrap();
    let posed = summary["items"].as_u64().unwrap();
    let left: u64 =
        summary["not_posed"].as_array().unwrap().iter().map(|left| left["items"].as_u64().unwrap()).sum();
    assert_eq!(
        (posed + left, families.iter().map(|line| line["items"].as_u64().unwrap()).sum()),
        (53, posed)
    );
    assert!(families.iter().any(|line| line["family"] == "metric geometry - length"));
    assert!((summary["by_answer"]["choice"]["chance"].as_f64().unwrap() - 0.2).abs() < 1e-9);
    // It has learnt nothing of the kind.
    let lucky = &summary["by_answer"]["choice"];
    assert!(lucky["lo95"].as_f64().unwrap() <= 0.2, "{lucky}");
    assert!(summary["by_answer"]["written"]["accuracy"].as_f64().unwrap() < 0.2);
}
