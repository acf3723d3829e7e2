//! What a model that sees is made of: parts with rates of their own, the decoder of another model, patches without an encoder; and
//! whether sizes of it tell of larger ones.

use crate::common::{Ended, checkpoints, end, foretell, ok, refused, words};
use crate::eyes::{TRAIN, eyes};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Models of text alone beside data with pictures.
struct Texts {
    folder: tempfile::TempDir,
}

impl Texts {
    /// Runs a line with the places here and those of [`eyes`].
    fn line(&self, line: &str, out: &Path) -> Vec<String> {
        let own =
            ["bytes", "words", "small", "text", "other"].map(|name| (name, self.folder.path().join(name)));
        let seen = ["world", "data", "one"].map(|name| (name, eyes().at(name)));
        let places = own.iter().chain(&seen).map(|(name, path)| (*name, path.as_path()));
        words(line, &places.chain([("out", out)]).collect::<Vec<_>>())
    }

    fn run(&self, line: &str, out: &Path) -> Ended {
        ok(self.line(line, out))
    }

    fn refused(&self, table: &[(&str, &str)]) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let lines: Vec<(String, &str)> =
            table.iter().map(|(line, thing)| (self.line(line, &out).join(" "), *thing)).collect();
        let lines: Vec<(&str, &str)> = lines.iter().map(|(line, thing)| (line.as_str(), *thing)).collect();
        refused(folder.path(), &[], &lines);
    }
}

const TEXT: &str = "train --budget N=1.2e4,D=2e3 --set width=16 --set head_dim=8 --set layers=2 --set seq=64 --set rows=2 \
                    --set steps=2 --set eval_tokens=500 --quiet";

/// Data of bytes and of words, a model of each, and small pictures.
fn texts() -> &'static Texts {
    static TEXTS: LazyLock<Texts> = LazyLock::new(|| {
        let texts = Texts { folder: tempfile::tempdir().unwrap() };
        let lines: String = (0..200)
            .map(|i| format!("{{\"text\": \"the {}th of many lines, {}\"}}\n", i, i * i % 77))
            .collect();
        let source = texts.folder.path().join("lines.jsonl");
        fs::write(&source, lines).unwrap();
        let source = source.display();
        let run = |line: &str| texts.run(line, Path::new("nowhere"));
        run(&format!("data build {source} --tokenizer bytes --holdout 0.1 --out {{bytes}} --quiet"));
        run(&format!("data build {source} --vocab 280 --holdout 0.1 --out {{words}} --quiet"));
        run(
            "data build {world} --tokenizer bytes --holdout 0.1 --tile 16 --longest-edge 16 --out {small} --quiet",
        );
        run(&format!("{TEXT} --data {{bytes}} --out {{text}}"));
        run(&format!("{TEXT} --data {{words}} --out {{other}}"));
        texts
    });
    &TEXTS
}

/// The bytes of a tensor of a run's last checkpoint.
fn tensor(run: &Path, name: &str) -> Vec<u8> {
    let bytes = fs::read(checkpoints(run).pop().unwrap().join("model.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let [start, end] = [0, 1].map(|i| header[name]["data_offsets"][i].as_u64().unwrap() as usize);
    bytes[8 + length..][start..end].to_vec()
}

const EMBEDDING: &str = "model.text_model.embed_tokens.weight";
const PIXELS: &str = "model.vision_model.embeddings.patch_embedding.weight";

#[test]
fn parts_have_rates_of_their_own_and_frozen_ones_cost_less() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let line = TRAIN.strip_prefix("train").unwrap().replace("--quiet", "--json");
    let plan = |more: &str| texts().run(&format!("plan{line}{more}"), &out).summary();
    let (all, some) = (plan(""), plan(" --set optimiser.rates.encoder=0"));
    for field in ["flops", "memory_bytes", "checkpoint_bytes"] {
        assert!(some[field].as_f64().unwrap() < all[field].as_f64().unwrap(), "{field}");
    }
    assert_eq!(some["parameters"], all["parameters"]);
    assert!(some["notes"].to_string().contains("encoder frozen"), "{some:?}");

    texts().run(
        &format!("{TRAIN} --set optimiser.rates.encoder=0 --set optimiser.rates.connector=0.5 --out {{out}}"),
        &out,
    );
    let text = fs::read_to_string(out.join("run.toml")).unwrap();
    assert!(text.contains("[optimiser.rates]\nencoder = 0.0\nconnector = 0.5\ndecoder = 1.0\n"), "{text}");
    let one = eyes().at("one");
    assert!(!fs::read_to_string(one.join("run.toml")).unwrap().contains("rates"));
    // All weights are saved, and those that are frozen are as another run of the seed began.
    let fresh = folder.path().join("fresh");
    texts().run(&format!("{TRAIN} --set learning_rate=1e-9 --set optimiser.decay=0 --out {{out}}"), &fresh);
    let close = |name: &str| {
        let floats = |run: &Path| {
            let bytes = tensor(run, name);
            bytes.as_chunks::<4>().0.iter().map(|&x| f32::from_le_bytes(x)).collect::<Vec<_>>()
        };
        floats(&out).iter().zip(floats(&fresh)).all(|(a, b)| (a - b).abs() < 1e-6)
    };
    assert!(close(PIXELS) && !close(EMBEDDING));

    texts().refused(&[
        (&format!("{TRAIN} --out {{out}} --set optimiser.rates.encoder=-1"), "optimiser.rates.encoder"),
        (&format!("{TRAIN} --out {{out}} --set optimiser.rates.head=1"), "optimiser.rates.head"),
        (&format!("{TRAIN} --out {{out}} --set optimiser.rates.decoder=fast"), "optimiser.rates.decoder"),
        (&format!("{TEXT} --data {{bytes}} --out {{out}} --set optimiser.rates.encoder=0"), "no encoder"),
        (
            &format!("{TEXT} --data {{bytes}} --out {{out}} --set optimiser.rates.decoder=0"),
            "nothing is trained",
        ),
        (&format!("{TEXT} --data {{bytes}} --out {{out}} --set eyes_layers=1"), "no pictures"),
        (&format!("{TRAIN} --out {{out}} --set eyes_width=12"), "eyes_width = 12"),
        (&format!("{TRAIN} --out {{out}} --set eyes_layers=0 --set optimiser.rates.encoder=2"), "no encoder"),
    ]);
}

#[test]
fn a_model_of_text_becomes_the_decoder_of_one_that_sees() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let line = TRAIN.strip_suffix(" --quiet").unwrap();
    let ended = texts()
        .run(&format!("{line} --init-from {{text}} --set optimiser.rates.decoder=0 --out {{out}}"), &out);
    assert!(ended.stderr.contains("39 rows of the vocabulary"), "{ended:?}");
    let (own, taken) =
        (tensor(&out, EMBEDDING), tensor(&texts().folder.path().join("text"), "model.embed_tokens.weight"));
    assert_eq!((own.len(), taken.len()), (298 * 16 * 4, 259 * 16 * 4));
    assert!(own[..taken.len()] == taken[..]);
    let begun = tensor(&eyes().at("one"), PIXELS);
    assert!(tensor(&out, PIXELS).len() == begun.len());
    // What has eyes begins another with the same, and sizes are the model's.
    let again = folder.path().join("again");
    texts().run(&format!("{TRAIN} --init-from {{one}} --out {{out}}"), &again);
    texts().refused(&[
        (&format!("{TEXT} --data {{bytes}} --init-from {{one}} --out {{out}}"), "shows no pictures"),
        (&format!("{TRAIN} --init-from {{other}} --out {{out}}"), "--tokenizer"),
        (&format!("{TRAIN} --init-from {{text}} --out {{out}} --set width=24"), "width = 16"),
        (&format!("{TRAIN} --init-from {{one}} --out {{out}} --set eyes_layers=2"), "has its encoder"),
        (&format!("{} --init-from {{one}} --out {{out}}", TRAIN.replace("{data}", "{small}")), "--tile 64"),
    ]);
}

#[test]
fn patches_go_into_the_decoder_without_an_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let ended = texts()
        .run(&format!("{} --set eyes_layers=0 --out {{out}}", TRAIN.strip_suffix(" --quiet").unwrap()), &out);
    assert!(ended.stderr.contains("no encoder"), "{ended:?}");
    let checkpoint = checkpoints(&out).pop().unwrap();
    let config: Value = serde_json::from_slice(&fs::read(checkpoint.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["model_type"], "foretell_patches");
    let map = tensor(&out, "model.connector.modality_projection.proj.weight");
    assert_eq!(map.len(), 16 * 4 * 192 * 4);
    let sample = "sample {out} --prompt What? --temperature 0 --tokens 4 --logprobs 1 --json";
    let picture = pictures(&eyes().at("world/pictures-7/scene-1")).remove(0);
    let seen = texts().run(&format!("{sample} --image {}", picture.display()), &out).summary();
    assert_ne!(seen["logprobs"], texts().run(sample, &out).summary()["logprobs"]);
    texts().run("exam {out} --tasks world --items 1 --levels 1 --json", &out);
    let export =
        |to: &str| texts().line(&format!("export {{out}} --to {to} --out {{out}}/exported"), &out).join(" ");
    for to in ["gguf", "safetensors"] {
        refused(&out, &[], &[(&export(to), "foretell_patches")]);
    }
}

fn pictures(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn transfer_includes_the_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let line = "transfer --data {small} --out {out} --tokens 1000 --seeds 1 --set eval_tokens=500 --threads 2 --json";
    // A test of so few steps decides nothing, but it decides: 0 or 1.
    let ended = end(&mut foretell(texts().line(line, &out)));
    assert!(matches!(ended.code, Some(0 | 1)), "{ended:?}");
    let judged: Value = serde_json::from_slice(&fs::read(out.join("transfer.json")).unwrap()).unwrap();
    assert_eq!(judged["checks"].as_array().unwrap().len(), 10);
    let coordinates = judged["coordinates"].as_array().unwrap();
    // Width and depth, four each, six places, ten steps.
    assert_eq!(coordinates.len(), 8 * 6 * 10);
    for place in ["encoder in the middle", "encoder at the end", "what is seen"] {
        let of = coordinates.iter().filter(|one| one["layer"] == place);
        assert!(
            of.clone().count() == 80 && of.clone().all(|one| one["value"].as_f64().unwrap() > 0.0),
            "{place}"
        );
    }
    let bill = |more: &str| {
        texts().run(&format!("{line} --dry-run{more}"), &out).summary()["flops"].as_f64().unwrap()
    };
    assert!(bill(" --set eyes_layers=0") < bill(""));
}
