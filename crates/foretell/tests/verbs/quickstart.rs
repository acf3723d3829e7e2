//! `quickstart`: the story, its rest after an interruption, and what it refuses.

use crate::common::{World, contents, foretell, ok, refused, words, world};
use std::fs;

const SMALL: &str = "--bytes 600000 --pictures 0 --max 4e10 --set eval_tokens=2000";

#[test]
fn the_story_is_told_once_and_its_rest_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("story");
    let places = [("out", out.as_path())];
    let line = format!("quickstart --out {{out}} {SMALL} --budget 3e11");
    let ended = ok(words(&line, &places));
    for part in ["1. ", "2. ", "3. ", "4. ", "5. ", "6. ", "7. ", "8. "] {
        assert!(ended.stderr.lines().any(|line| line.starts_with(part)), "{part}: {ended:?}");
    }
    for part in ["registered as 1", "predicted", "observed", "17 + 25 = ", "report.html"] {
        assert!(ended.stdout.contains(part), "{part}: {ended:?}");
    }
    for path in ["world/world-1.jsonl", "data/manifest.json", "ladder/ladder.toml", "run/DONE", "report.html"]
    {
        assert!(out.join(path).is_file(), "{path}");
    }
    let entries = || fs::read_to_string(out.join("predictions.jsonl")).unwrap();
    let registered = entries();
    assert_eq!(registered.lines().count(), 2, "a prediction and its outcome: {registered}");
    let before = contents(&out);
    let again = ok(words(&line, &places));
    assert!(again.stderr.contains("done before"), "{again:?}");
    assert_eq!(entries(), registered);

    let other = "quickstart --out {out} --bytes 200000";
    refused(folder.path(), &places, &[(other, "other options")]);

    // The rest of the story: what was lost is made again, to the same end.
    fs::remove_file(out.join("run/DONE")).unwrap();
    fs::remove_dir_all(out.join("run/checkpoints")).unwrap();
    let model = |contents: &std::collections::BTreeMap<std::path::PathBuf, Option<Vec<u8>>>| {
        contents
            .iter()
            .find(|(path, _)| path.iter().any(|part| part == "run") && path.ends_with("model.safetensors"))
            .map(|(_, bytes)| bytes.clone())
            .unwrap()
    };
    let ended = ok(words(&format!("{line} --json"), &places));
    assert_eq!(ended.summary()["done"], true, "{ended:?}");
    assert!(model(&contents(&out)) == model(&before));
}

/// Minutes, because models with eyes are no smaller than 1e10 FLOP and a prediction wants thirty times as much.
#[test]
fn with_pictures_it_also_tells_what_it_sees() {
    if std::env::var_os("FORETELL_LONG_TESTS").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("story");
    let line = "quickstart --out {out} --bytes 600000 --pictures 20 --max 7.5e11 --budget 1.5e12 --set eval_tokens=2000";
    let ended = foretell(words(line, &[("out", out.as_path())])).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(told.matches("the answer is").count(), 9, "a picture of each kind: {told}");
    assert!(out.join("world/pictures-1.jsonl").is_file() && out.join("asked").is_dir());
}

/// By default its ladder spans what a prediction wants, and an eighth of it is told, or refused, before anything runs.
#[test]
fn the_ladder_of_its_defaults_carries_a_prediction() {
    let folder = tempfile::tempdir().unwrap();
    let [world, data, ladder, story] =
        ["world", "data", "ladder", "story"].map(|name| folder.path().join(name));
    let places = [("world", world.as_path()), ("data", &data), ("ladder", &ladder), ("story", &story)];
    let say = |line: &str| ok(words(line, &places));
    let help = say("quickstart --help").stdout;
    let default = |option: &str| {
        let told = help.split_once(&format!("--{option} <")).unwrap().1;
        told.split_once("[default: ").unwrap().1.split_once(']').unwrap().0.parse::<f64>().unwrap()
    };
    // A hundredth of its data, in the same proportions.
    let [bytes, pictures] = ["bytes", "pictures"].map(|option| default(option) / 100.0);
    say(&format!("data generate --world 1 --bytes {bytes} --pictures {pictures} --out {{world}} --quiet"));
    say(
        "data build {world}/world-1.jsonl {world}/pictures-1.jsonl --tokenizer bytes --longest-edge 64 --out {data} --quiet",
    );
    for (max, enough) in [(default("max"), true), (default("max") / 8.0, false)] {
        let line = format!("ladder run --data {{data}} --out {{ladder}} --max {max} --set seq=256 --dry-run");
        let ended = say(&line);
        assert_eq!(ended.stderr.contains("the rungs span"), !enough, "{max}: {ended:?}");
    }
    let eighth = default("max") / 8.0;
    let line = format!("quickstart --out {{story}} --bytes {bytes} --pictures {pictures} --max {eighth}");
    refused(&data, &places, &[(&line, "the rungs span")]);
    assert!(!story.join("ladder").exists(), "nothing ran");
}

#[test]
fn bad_input_is_refused() {
    let World { text, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let [file, out] = ["file", "out"].map(|name| folder.path().join(name));
    fs::write(&file, "mine").unwrap();
    let places = [("file", file.as_path()), ("out", &out), ("text", text)];
    refused(
        folder.path(),
        &places,
        &[
            ("quickstart --out {file}", "file"),
            ("quickstart --out {file}/below", "file"),
            ("quickstart --out /proc/story", "/proc/story"),
            ("quickstart --out /dev/full", "/dev/full"),
            ("quickstart --out {out}/..", "'..'"),
            ("quickstart --out {out} --bytes 0", "bytes"),
            ("quickstart --out {out} --bytes=-1", "-1"),
            ("quickstart --out {out} --max 1e7", "rungs fit"),
            ("quickstart --out {out} --max none", "none"),
            ("quickstart --out {out} --budget soon", "soon"),
            ("quickstart --out {out} --budget=-3m", "-3m"),
            ("quickstart --out {out} --set width=none", "width"),
            ("quickstart --out {out} --threads 0", "--threads"),
            ("quickstart --out {out} --isa mmx", "mmx"),
        ],
    );
}
