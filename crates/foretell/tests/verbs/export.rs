//! `export`.

use crate::common::{World, checkpoints, copy, ok, refused, words, world};
use std::fs;
use std::path::Path;

#[test]
fn every_type_of_number_is_written_and_read_again() {
    let World { run, text, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let nats = |model: &str| {
        let places = [("run", run.as_path()), ("folder", folder.path())];
        ok(words(&format!("score {model} --tokens 1,70,80,90,75 --json"), &places)).summary()["nats"]
            .as_f64()
            .unwrap()
    };
    let exact = nats("{run}");
    for (dtype, size, error) in [("f32", 4.0, 0.0), ("f16", 2.0, 2e-3), ("bf16", 2.0, 2e-2)] {
        for to in ["gguf", "safetensors"] {
            let out = folder.path().join(format!("{to}-{dtype}"));
            let places = [("run", run.as_path()), ("out", &out), ("text", text)];
            let line = format!("export {{run}} --to {to} --dtype {dtype} --out {{out}} --json");
            let summary = ok(words(&line, &places)).summary();
            let (bytes, parameters) =
                (summary["bytes"].as_f64().unwrap(), summary["parameters"].as_f64().unwrap());
            assert!(bytes > size * parameters, "{summary:?}");
            let got = nats(&format!("{{folder}}/{to}-{dtype}"));
            assert!((got / exact - 1.0).abs() <= error, "{to} {dtype}: {got}, not {exact}");
            assert_eq!(error == 0.0, got == exact, "{to} {dtype}");
        }
    }
}

#[test]
fn a_path_that_means_another_folder_touches_nothing() {
    let World { run, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "mine").unwrap();
    fs::create_dir(folder.path().join("hf.part")).unwrap();
    let places = [("run", run.as_path()), ("folder", folder.path())];
    let lines = [
        ("export {run} --to gguf --out {folder}/new/..", "'..'"),
        ("export {run} --to safetensors --out {folder}/new/..", "'..'"),
        ("export {run} --to safetensors --out {folder}/hf", "hf.part"),
    ];
    refused(folder.path(), &places, &lines);
    assert!(folder.path().join("mine").is_file() && folder.path().join("hf.part").is_dir());
}

#[test]
fn what_is_there_is_replaced_on_request_only() {
    let World { run, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let [file, hf] = ["model.gguf", "hf"].map(|name| folder.path().join(name));
    let places = [("run", run.as_path()), ("file", &file), ("hf", &hf)];
    for (line, out) in [
        ("export {run} --to gguf --dtype f16 --out {file}", file.clone()),
        ("export {run} --to safetensors --dtype f16 --out {hf}", hf.join("model.safetensors")),
    ] {
        ok(words(line, &places));
        let before = fs::metadata(&out).unwrap().len();
        refused(folder.path(), &places, &[(line, "--force")]);
        ok(words(&format!("{} --force", line.replace("f16", "f32")), &places));
        assert!(fs::metadata(&out).unwrap().len() > before);
    }
}

#[test]
fn a_folder_is_whole_and_says_what_the_checkpoint_says() {
    let World { run, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let [hf, gguf, back] = ["hf", "model.gguf", "back"].map(|name| folder.path().join(name));
    let places = [("run", run.as_path()), ("hf", &hf), ("gguf", &gguf), ("back", &back)];
    ok(words("export {run} --to safetensors --out {hf}", &places));
    let checkpoint = checkpoints(run).pop().unwrap();
    for file in ["generation_config.json", "README.md", "tokenizer.json"] {
        assert_eq!(fs::read(hf.join(file)).unwrap(), fs::read(checkpoint.join(file)).unwrap(), "{file}");
    }
    // A .gguf file has neither, so they are made.
    ok(words("export {run} --to gguf --out {gguf}", &places));
    ok(words("export {gguf} --to safetensors --out {back}", &places));
    let ends = |path| -> serde_json::Value {
        let file: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        file["eos_token_id"].clone()
    };
    assert_eq!(ends(back.join("generation_config.json")), 0);
    assert!(fs::read_to_string(back.join("README.md")).unwrap().contains("parameters"));
}

#[test]
fn numbers_that_the_file_would_not_hold_are_refused() {
    let World { run, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let [model, out] = ["model", "p/q/out"].map(|name| folder.path().join(name));
    copy(&checkpoints(run).pop().unwrap(), &model);
    let file = model.join("model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len();
    let places = [("model", model.as_path()), ("out", &out)];
    // The last number of the last tensor in the file.
    for (value, dtype) in [(1e6f32, "f16"), (f32::NAN, "f32"), (f32::INFINITY, "bf16")] {
        bytes[end - 4..].copy_from_slice(&value.to_le_bytes());
        fs::write(&file, &bytes).unwrap();
        let line = format!("export {{model}} --to safetensors --dtype {dtype} --out {{out}}");
        refused(folder.path(), &places, &[(&line, "tensor model.norm.weight")]);
    }
    bytes[end - 4..].copy_from_slice(&1e6f32.to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    // A norm is not stored as f16 in GGUF.
    ok(words("export {model} --to gguf --dtype f16 --out {out}", &places));
}

#[test]
fn what_export_did_not_write_is_not_replaced() {
    let World { run, text, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [hf, letter, empty, gguf, bare] = ["hf", "letter.txt", "empty", "model.gguf", "bare"].map(at);
    fs::copy(text, &letter).unwrap();
    fs::write(&empty, "").unwrap();
    copy(&checkpoints(run).pop().unwrap(), &bare);
    fs::remove_file(bare.join("tokenizer.json")).unwrap();
    let places = [
        ("run", run.as_path()),
        ("hf", &hf),
        ("letter", &letter),
        ("empty", &empty),
        ("gguf", &gguf),
        ("bare", &bare),
        ("folder", folder.path()),
    ];
    ok(words("export {run} --to safetensors --out {hf}", &places));
    ok(words("export {run} --to safetensors --out {hf} --force", &places));
    ok(words("export {run} --to gguf --out {empty} --force", &places));
    fs::write(hf.join("notes.txt"), "mine").unwrap();
    let table = [
        ("export {run} --to safetensors --out {hf} --force", "notes.txt"),
        ("export {run} --to gguf --out {letter} --force", "letter.txt is no GGUF file"),
        // It fails after the folders above were made, which then go again.
        ("export {bare} --to gguf --out {folder}/p/q/n.gguf", "tokenizer"),
    ];
    refused(folder.path(), &places, &table);
}

#[test]
fn bad_input_is_refused() {
    let World { run, text, data } = world();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [missing, nothing, occupied, file, out] = ["missing", "nothing", "occupied", "file", "out"].map(at);
    fs::create_dir(&nothing).unwrap();
    fs::create_dir(&occupied).unwrap();
    fs::write(occupied.join("letter"), "mine").unwrap();
    fs::write(&file, "mine").unwrap();
    // Copies: what is to be refused would replace them.
    let [other, checkpoint] = ["other", "checkpoint"].map(at);
    copy(run, &other);
    copy(&checkpoints(run).pop().unwrap(), &checkpoint);
    let places = [
        ("other", other.as_path()),
        ("checkpoint", &checkpoint),
        ("run", run),
        ("text", text),
        ("data", data),
        ("missing", &missing),
        ("nothing", &nothing),
        ("occupied", &occupied),
        ("file", &file),
        ("out", &out),
    ];
    let mut table = vec![
        ("export {run} --out {out}", "--to"),
        ("export {run} --to gguf", "--out"),
        ("export {run} --to onnx --out {out}", "onnx"),
        ("export {run} --to gguf --dtype q4 --out {out}", "q4"),
        ("export {missing} --to gguf --out {out}", "missing"),
        ("export {nothing} --to gguf --out {out}", "nothing"),
        ("export {text} --to gguf --out {out}", "text.jsonl"),
        ("export {data} --to gguf --out {out}", "data"),
        ("export {run} --to safetensors --out {occupied} --force", "occupied"),
    ];
    for to in ["gguf", "safetensors"] {
        for (rest, thing) in [
            ("{file}", "file"),
            ("{occupied}", "occupied"),
            ("{file}/below", "file"),
            ("/proc/model", "/proc/model"),
            ("/dev/full", "/dev/full"),
            ("{other} --force", "other"),
            ("{checkpoint} --force", "checkpoint"),
            ("/", "/"),
        ] {
            table.push((format!("export {{run}} --to {to} --out {rest}").leak(), thing));
        }
    }
    table.push(("export {run} --to gguf --out {occupied} --force", "occupied"));
    table.push(("export {run} --to safetensors --out {file} --force", "file"));
    refused(folder.path(), &places, &table);
    // Folders above what is written are made.
    ok(words("export {run} --to gguf --out {missing}/below", &places));
    ok(words("export {run} --to safetensors --out {nothing}/deep/below", &places));
}

#[test]
fn a_llava_folder_is_read_and_written_back() {
    let llava = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/golden/llava");
    let folder = tempfile::tempdir().unwrap();
    let [back, gguf] = ["back", "a.gguf"].map(|name| folder.path().join(name));
    let places = [("llava", llava.as_path()), ("back", &back), ("gguf", &gguf)];
    ok(words("export {llava} --to safetensors --out {back}", &places));
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(back.join("config.json")).unwrap()).unwrap();
    assert_eq!((&config["model_type"], &config["image_token_index"]), (&"llava".into(), &39.into()));
    let score = |model: &str| {
        ok(words(&format!("score {{{model}}} --tokens 1,2,3,4,5,6,7 --json"), &places)).summary()
    };
    assert_eq!(score("llava"), score("back"));
    refused(folder.path(), &places, &[("export {llava} --to gguf --out {gguf}", "tokenizer")]);
}
