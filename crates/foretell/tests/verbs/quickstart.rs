//! `quickstart`: the story, its rest after an interruption, and what it refuses.

use crate::common::{World, contents, end, foretell, ok, refused, words, world};
use std::fs;

const SMALL: &str = "--bytes 200000 --vocab 300 --set width=16 --set layers=1 --set steps=10 --set eval_tokens=1000 --set seq=96";

#[test]
fn the_story_is_told_once_and_its_rest_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("story");
    let places = [("out", out.as_path())];
    let line = format!("quickstart --out {{out}} {SMALL}");
    // What cannot be afforded can be asked for again with less.
    let dear = end(&mut foretell(words(&format!("{line} --budget 1e6"), &places)));
    assert_eq!((dear.code, out.join("run").exists()), (Some(2), false), "{dear:?}");
    let ended = ok(words(&line, &places));
    for part in ["1. ", "2. ", "3. ", "4. ", "5. "] {
        assert!(ended.stderr.lines().any(|line| line.starts_with(part)), "{part}: {ended:?}");
    }
    assert!(ended.stdout.contains("done: 10 steps") && ended.stdout.contains("17 + 25 = "), "{ended:?}");
    for path in ["world/world-1.jsonl", "data/manifest.json", "run/DONE", "run/samples.jsonl"] {
        assert!(out.join(path).is_file(), "{path}");
    }
    let before = contents(&out);
    let again = ok(words(&line, &places));
    assert!(again.stderr.contains("done before"), "{again:?}");
    assert!(contents(&out) == before);

    let other = "quickstart --out {out} --bytes 200000 --vocab 301";
    refused(folder.path(), &places, &[(other, "other options")]);

    // The rest of the story: what was lost is made again, to the same end.
    fs::remove_file(out.join("run/DONE")).unwrap();
    fs::remove_dir_all(out.join("run/checkpoints")).unwrap();
    let model = |contents: &std::collections::BTreeMap<std::path::PathBuf, Option<Vec<u8>>>| {
        contents
            .iter()
            .find(|(path, _)| path.ends_with("model.safetensors"))
            .map(|(_, bytes)| bytes.clone())
            .unwrap()
    };
    let ended = ok(words(&format!("{line} --json"), &places));
    assert_eq!(ended.summary()["done"], true, "{ended:?}");
    assert!(model(&contents(&out)) == model(&before));
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
            ("quickstart --out {out} --vocab 3", "3"),
            ("quickstart --out {out} --vocab 100", "100"),
            ("quickstart --out {out} --budget soon", "soon"),
            ("quickstart --out {out} --budget=-3m", "-3m"),
            ("quickstart --out {out} --set width=none", "width"),
            ("quickstart --out {out} --threads 0", "--threads"),
            ("quickstart --out {out} --isa mmx", "mmx"),
        ],
    );
}
