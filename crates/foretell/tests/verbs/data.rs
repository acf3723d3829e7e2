//! `data build`, `data inspect`, `data generate`.

use crate::common::{World, contents, copy, documents, foretell, ok, refused, words, world};
use std::fs;
use std::path::Path;

#[test]
fn a_build_counts_what_it_read_and_is_the_same_again() {
    let World { data, text, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let again = folder.path().join("again");
    let places = [("text", text.as_path()), ("again", &again)];
    let line = "data build {text} --out {again} --vocab 300 --holdout 0.05 --threads 1 --json";
    let summary = ok(words(line, &places)).summary();
    assert_eq!(summary["counts"]["documents"], 250);
    let of = |split: &str, field: &str| summary[split][field].as_u64().unwrap();
    assert_eq!(of("train", "documents") + of("eval", "documents"), 250);
    let read = fs::read_to_string(text).unwrap();
    let texts: Vec<String> = read
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().into())
        .collect();
    let bytes: usize = texts.iter().map(String::len).sum();
    let count: usize = texts.iter().map(|text| text.split_whitespace().count()).sum();
    assert_eq!(of("train", "bytes") + of("eval", "bytes"), bytes as u64);
    assert_eq!(of("train", "words") + of("eval", "words"), count as u64);
    let names = |folder: &Path| -> Vec<_> {
        contents(folder)
            .into_iter()
            .map(|(path, bytes)| (path.strip_prefix(folder).unwrap().to_path_buf(), bytes))
            .collect()
    };
    assert!(names(data) == names(&again), "another number of threads made other bytes");
    ok(words("data inspect {again} --verify", &places));

    // One that is there is replaced only on request, and at once.
    let line = "data build {text} --out {again} --tokenizer bytes";
    refused(folder.path(), &places, &[(line, "exists already")]);
    let shorter = ok(words(&format!("{line} --force --json"), &places)).summary();
    assert_eq!(shorter["tokenizer"]["vocab_size"].as_u64().unwrap() / 100, 2);
    assert!(names(data) != names(&again));
}

#[test]
fn inspect_shows_the_text_of_documents_and_rows() {
    let World { data, text, .. } = world();
    let places = [("data", data.as_path())];
    let shown = |line: &str, number: u64| -> String {
        let view = ok(words(&format!("{line} {number} --json"), &places)).summary();
        let tokens = view.get("shown").unwrap_or_else(|| &view["parts"][0]["tokens"]);
        let texts = tokens.as_array().unwrap().iter().filter(|token| token["special"] == false);
        texts.map(|token| token["text"].as_str().unwrap()).collect()
    };
    let read = fs::read_to_string(text).unwrap();
    let number = |line: &str| {
        let document = shown(line, 2);
        let line_of = serde_json::json!({"text": document}).to_string();
        read.lines().position(|line| line == line_of)
    };
    let (trained, held) = (
        number("data inspect {data} --tokens 9999 --document"),
        number("data inspect {data} --tokens 9999 --eval --document"),
    );
    assert!(trained.is_some() && held.is_some() && trained != held, "{trained:?} {held:?}");
    assert!(read.contains(shown("data inspect {data} --seq 32 --row", 5).trim_end_matches('\u{fffd}')));
    for line in
        ["data inspect {data}", "data inspect {data} --document 0", "data inspect {data} --row 0 --seq 16"]
    {
        let ended = ok(words(line, &places));
        assert!(ended.stdout.ends_with('\n') && ended.stderr.is_empty(), "{line}: {ended:?}");
    }
    let ended = ok(words("data inspect {data} --verify --json", &places));
    assert_eq!(ended.summary()["verified"], true);
    assert_eq!(ended.summary()["foreign"], serde_json::json!([]));
    let folder = tempfile::tempdir().unwrap();
    copy(data, folder.path());
    fs::write(folder.path().join("mine.txt"), "").unwrap();
    let ended = ok(words("data inspect {data} --verify", &[("data", folder.path())]));
    assert!(ended.stderr.contains("mine.txt"), "{ended:?}");
}

#[test]
fn malformed_lines_are_named_and_skipped_or_fatal() {
    let folder = tempfile::tempdir().unwrap();
    let [text, out] = ["torn.jsonl", "out"].map(|name| folder.path().join(name));
    let mut lines = documents(4, 40);
    lines.push_str("{\"text\": 17}\n{\"text\": \"no end\n[]\n{\"other\": \"field\"}\n\n{\"text\": \"\"}\n");
    fs::write(&text, lines + &documents(5, 5) + &documents(4, 3)).unwrap();
    let places = [("text", text.as_path()), ("out", &out)];
    let line = "data build {text} --out {out} --tokenizer bytes";
    refused(folder.path(), &places, &[(&format!("{line} --strict"), "torn.jsonl:41")]);
    let summary = ok(words(&format!("{line} --json"), &places)).summary();
    let counts = &summary["counts"];
    assert_eq!(counts["malformed"], 4, "{counts}");
    assert_eq!(counts["empty"], 1, "{counts}");
    assert_eq!(counts["duplicates"], 3, "{counts}");
    let told = counts["places"].to_string();
    for line in [41, 42, 43, 44] {
        assert!(told.contains(&format!("torn.jsonl:{line}")), "{told}");
    }
}

#[test]
fn a_world_is_the_same_from_the_same_seed_and_can_be_built() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, other, built] = ["a", "b", "other", "built"].map(|name| folder.path().join(name));
    let places = [("a", a.as_path()), ("b", &b), ("other", &other), ("built", &built)];
    let summary = ok(words("data generate --bytes 200000 --out {a} --json", &places)).summary();
    ok(words("data generate --bytes 200000 --out {b} -q", &places));
    ok(words("data generate --bytes 200000 --seed 2 --out {other} -q", &places));
    let read = |folder: &Path, seed: u64| fs::read(folder.join(format!("world-{seed}.jsonl"))).unwrap();
    assert_eq!(summary["bytes"], read(&a, 1).len() as u64);
    assert!(read(&a, 1) == read(&b, 1));
    assert!(read(&a, 1) != read(&other, 2));
    refused(folder.path(), &places, &[("data generate --bytes 100000 --out {a}", "exists already")]);
    ok(words("data generate --bytes 100000 --out {a} --force -q", &places));
    assert!(read(&b, 1).starts_with(&read(&a, 1)), "a longer world does not begin with the shorter");
    // Its questions are no documents, and keep out those that hold one.
    let asked = |folder: &Path| fs::read_to_string(folder.join("questions.jsonl")).unwrap();
    assert!(asked(&a) == asked(&b) && asked(&a) != asked(&other) && asked(&a).lines().count() > 1000);
    let line = "data build {b} --held-out {b}/questions.jsonl --out {built} --vocab 400 --json";
    let summary = ok(words(line, &places)).summary();
    assert_eq!(summary["tokenizer"]["vocab_size"], 400);
    assert_eq!(summary["counts"]["malformed"], 0);
    assert!(summary["counts"]["dropped"].to_string().contains("held"), "{summary:?}");
    refused(
        folder.path(),
        &places,
        &[
            ("data build {b}/questions.jsonl --out {built}2", "--held-out"),
            ("data generate --bytes 100000 --seed 2 --out {a}", "questions.jsonl"),
        ],
    );
}

#[test]
fn a_source_can_be_kept_back_and_records_be_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let [text, back, out] = ["text.jsonl", "back.jsonl", "out"].map(|name| folder.path().join(name));
    fs::write(&text, documents(2, 50) + &format!("{{\"text\": \"{}\"}}\n", "long ".repeat(1000))).unwrap();
    fs::write(&back, documents(3, 20)).unwrap();
    let places = [("text", text.as_path()), ("back", &back), ("out", &out)];
    let line = "data build {text}=2 {back} --holdout-source {back}=1 --holdout 0 --record-bytes 4000 \
                --out {out} --tokenizer bytes --json";
    let summary = ok(words(line, &places)).summary();
    assert_eq!((&summary["train"]["documents"], &summary["eval"]["documents"]), (&50.into(), &20.into()));
    assert_eq!(summary["counts"]["malformed"], 1);
    assert_eq!(summary["config"]["sources"][1]["holdout"], 1.0);
}

#[test]
fn documents_with_held_out_items_are_dropped_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let item = "How many herons live by the mill of Tarnwick in spring?";
    let mut lines: Vec<String> = (0..60).map(|i| format!("{{\"text\": \"A page on heron {i}.\"}}")).collect();
    lines[17] = format!("{{\"text\": \"Quiz - {}\"}}", item.replace(' ', "  "));
    fs::write(place("text.jsonl"), lines.join("\n")).unwrap();
    fs::write(place("items.jsonl"), format!("Too short\n{{\"question\": \"{item}\"}}\n")).unwrap();
    let (text, items, out) = (place("text.jsonl"), place("items.jsonl"), place("out"));
    let places = [("text", text.as_path()), ("items", &items), ("out", &out)];
    let line = "data build {text} --out {out} --tokenizer bytes --held-out {items} --force --json";
    let dropped = ok(words(line, &places)).summary();
    let kept = |summary: &serde_json::Map<String, serde_json::Value>| {
        ["train", "eval"].map(|split| summary[split]["documents"].as_u64().unwrap()).iter().sum::<u64>()
    };
    assert_eq!(kept(&dropped), 59, "{dropped:?}");
    assert!(format!("{dropped:?}").contains("held-out item"), "{dropped:?}");
    let shown = ok(words(&line.replace(" --json", ""), &places));
    assert!(format!("{shown:?}").contains("too short"), "{shown:?}");
    let reported = ok(words(&format!("{line} --report-held-out"), &places)).summary();
    assert_eq!(kept(&reported), 60, "{reported:?}");
    assert!(format!("{reported:?}").contains("items.jsonl:2"), "{reported:?}");
}

#[test]
fn bad_input_of_build_is_refused() {
    let World { text, data, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [empty, garbage, nothing, missing, out, torn, gz] =
        ["empty.txt", "garbage.toml", "nothing", "missing", "out", "torn.json", "torn.jsonl.gz"].map(at);
    fs::write(&empty, "").unwrap();
    fs::write(&garbage, b"\x00\xff\x7fELF = [[[").unwrap();
    fs::create_dir(&nothing).unwrap();
    let tokenizer = fs::read(data.join("tokenizer.json")).unwrap();
    fs::write(&torn, &tokenizer[..tokenizer.len() / 2]).unwrap();
    fs::write(&gz, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c").unwrap();
    let [parquet, table] = ["torn.parquet", "table.toml"].map(at);
    fs::write(&parquet, b"PAR1 and no more").unwrap();
    fs::write(&table, "colour = 'red'\n").unwrap();
    let places = [
        ("text", text.as_path()),
        ("data", data),
        ("empty", &empty),
        ("garbage", &garbage),
        ("nothing", &nothing),
        ("missing", &missing),
        ("out", &out),
        ("torn", &torn),
        ("gz", &gz),
        ("parquet", &parquet),
        ("table", &table),
    ];
    let mut table = vec![
        ("data build --out {out}", "SOURCE"),
        ("data build {text}", "--out"),
        ("data build {text} --out {out}/..", "'..'"),
        ("data build {missing} --out {out}", "missing"),
        ("data build {missing}/*.txt --out {out}", "missing"),
        ("data build {empty} --out {out}", "empty"),
        ("data build {nothing} --out {out}", "nothing"),
        ("data build {gz} --out {out} --strict", "torn.jsonl.gz"),
        ("data build {gz} --out {out}", "torn.jsonl.gz"),
        ("data build {parquet} --out {out} --strict", "torn.parquet"),
        ("data build /dev/null --out {out}", "/dev/null"),
        ("data build /dev/zero --out {out}", "/dev/zero"),
        ("data build {text} --out {out} --rules /dev/zero", "/dev/zero"),
        ("data build {text} --out {out} --held-out /dev/zero", "/dev/zero"),
        ("data build {text} --out {out} --tokenizer /dev/zero", "/dev/zero"),
        ("data build {text} --out {out} --holdout-source {text}", "SOURCE=SHARE"),
        ("data build {text} --out {out} --holdout-source {text}=all", "text.jsonl=all"),
        ("data build {text} --out {out} --holdout-source {text}=2", "hold-out"),
        ("data build {text} --out {out} --holdout-source {text}=1", "train on"),
        ("data build {text} --out {out} --holdout-source {missing}=1", "missing"),
        ("data build {text}=2 --out {out} --holdout-source {text}=1", "weight"),
        ("data build {text}=0 --out {out}", "weight"),
        ("data build {text}=-1 --out {out}", "weight"),
        ("data build {text}=nan --out {out}", "weight"),
        ("data build {text}=1e999 --out {out}", "weight"),
        ("data build {text} --out {nothing}/../empty.txt", "empty.txt"),
        ("data build {text} --out {empty}/below", "empty.txt"),
        ("data build {text} --out {data}", "exists already"),
        ("data build {text} --out {text} --force", "text.jsonl"),
        ("data build {text} --out /proc/data", "/proc"),
        ("data build {text} --out /", "/"),
        ("data build {text} --out {out} --rules {missing}", "missing"),
        ("data build {text} --out {out} --rules {garbage}", "garbage.toml"),
        ("data build {text} --out {out} --rules {table}", "table.toml"),
        ("data build {text} --out {out} --rules {nothing}", "nothing"),
        ("data build {text} --out {out} --held-out {missing}", "missing"),
        ("data build {text} --out {out} --held-out {garbage}", "garbage.toml"),
        ("data build {text} --out {out} --held-out {nothing}", "nothing"),
        ("data build {text} --out {out} --report-held-out", "--held-out"),
        ("data build {text} --out {out} --set colour=red", "colour"),
    ];
    for (options, thing) in [
        ("--tokenizer {missing}", "missing"),
        ("--tokenizer {nothing}", "nothing"),
        ("--tokenizer {torn}", "torn.json"),
        ("--tokenizer {empty}", "empty.txt"),
        ("--tokenizer {garbage}", "garbage.toml"),
        ("--tokenizer bytes --vocab 300", "--vocab"),
        ("--vocab 0", "0"),
        ("--vocab 10", "10"),
        ("--vocab=-1", "-1"),
        ("--vocab 99999999999", "99999999999"),
        ("--vocab many", "many"),
        ("--holdout=-0.1", "hold"),
        ("--holdout 1.5", "hold"),
        ("--holdout nan", "hold"),
        ("--holdout 1", "train"),
        ("--record-bytes 7", "record"),
        ("--sample-bytes 0", "sample"),
        ("--sample-bytes=-1", "sample-bytes"),
        ("--cut-bytes=-1", "cut-bytes"),
        ("--shard-tokens 0", "shard"),
        ("--exclude [", "["),
        ("--exclude *", "text.jsonl"),
        ("--text-field nope", "nope"),
        ("--threads 0", "--threads"),
    ] {
        table.push((format!("data build {{text}} --out {{out}} {options}").leak(), thing));
    }
    refused(folder.path(), &places, &table);
}

#[test]
fn bad_input_of_inspect_and_generate_is_refused() {
    let World { data, text, run } = world();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [missing, nothing, torn, altered, out, file] =
        ["missing", "nothing", "torn", "altered", "out", "file"].map(at);
    fs::create_dir(&nothing).unwrap();
    fs::write(&file, "mine").unwrap();
    copy(data, &torn);
    fs::write(torn.join("manifest.json"), "{\"format\":").unwrap();
    copy(data, &altered);
    let tokens = altered.join("train-00000.tokens");
    let mut bytes = fs::read(&tokens).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&tokens, bytes).unwrap();
    let places = [
        ("data", data.as_path()),
        ("text", text),
        ("run", run),
        ("missing", &missing),
        ("nothing", &nothing),
        ("torn", &torn),
        ("altered", &altered),
        ("out", &out),
        ("file", &file),
    ];
    refused(
        folder.path(),
        &places,
        &[
            ("data inspect", "DATA"),
            ("data inspect {missing}", "missing"),
            ("data inspect {nothing}", "nothing"),
            ("data inspect {text}", "text.jsonl"),
            ("data inspect {run}", "run"),
            ("data inspect {torn}", "manifest.json"),
            ("data inspect {altered} --verify", "train-00000.tokens"),
            ("data inspect {data} --document 99999", "99999"),
            ("data inspect {data} --document 18446744073709551615", "18446744073709551615"),
            ("data inspect {data} --document=-1", "-1"),
            ("data inspect {data} --row 0 --document 0", "--document"),
            ("data inspect {data} --seq 8", "--row"),
            ("data inspect {data} --document 0 --seq 8", "--seq"),
            ("data inspect {data} --seed 8", "--row"),
            ("data inspect {data} --tokens 8", "--document"),
            ("data inspect {data} --row 0 --tokens 8", "--tokens"),
            ("data inspect {data} --eval", "--row"),
            ("data inspect {data} --verify --row 0", "--row"),
            ("data inspect {data} --row 0 --seq 0", "0"),
            ("data inspect {data} --row 0 --seq 99999999999999", "99999999999999"),
            ("data generate", "--out"),
            ("data generate --out {file}", "file"),
            ("data generate --out {file}/below", "file"),
            ("data generate --out /proc/world", "/proc/world"),
            ("data generate --out /dev/full", "/dev/full"),
            ("data generate --bytes 0 --out {out}", "bytes"),
            ("data generate --bytes=-1 --out {out}", "-1"),
            ("data generate --seed x --out {out}", "x"),
        ],
    );
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let World { data, .. } = world();
    let mut command =
        foretell(["data", "inspect"].map(String::from).into_iter().chain([data.display().to_string()]));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let ended = crate::common::wait(child, "inspect");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap();
    crate::common::check_error(&crate::common::wait(child, "inspect"), "No space", "inspect > /dev/full");
}
