//! `bench`: that it runs and has the fields that others read. No figure is judged here.

use crate::common::{World, ok, refused, words, world};
use std::fs;

#[test]
fn a_step_has_the_fields_of_its_peer() {
    let line = "bench step --shape width=16,layers=1,heads=2,ffn=24,seq=16,rows=2,vocab=50 --steps 2 \
                --seconds 0 --threads 1";
    let step = ok(words(line, &[])).summary();
    let names = ["ms_median", "ms_min", "tokens_per_s", "gflop_per_s", "share_of_peak"];
    for name in names {
        assert!(step[name].as_f64().unwrap() > 0.0, "{name}: {step:?}");
    }
    assert!(step["peer"].as_str().unwrap().starts_with("foretell-"));
    assert_eq!((&step["size"], &step["threads"]), (&"S".into(), &1.into()));
    assert!(step.contains_key("peak_rss_mb"));
    let tokens = step["tokens_per_s"].as_f64().unwrap() * step["ms_median"].as_f64().unwrap() / 1e3;
    assert!((tokens - 32.0).abs() < 1e-6, "{step:?}");
    assert_eq!(step["parameters"], 4 * 16 * 16 + 3 * 16 * 24 + 50 * 16);
    // With an encoder of one layer: patches, attention, feed-forward, connector.
    let seeing = line.replace("seq=16", "seq=48,tiles=2,tile=16,patch=4");
    let step = ok(words(&seeing, &[])).summary();
    let eyes = 48 * 16 + 4 * 16 * 16 + 8 * 16 * 16 + 4 * 16 * 16;
    assert_eq!(step["parameters"], 4 * 16 * 16 + 3 * 16 * 24 + 50 * 16 + eyes);
    let profile = ok(words(&format!("{line} --profile"), &[])).lines();
    assert!(profile.iter().any(|line| line["operation"] == "linear" || line["operation"] == "attention"));
}

#[test]
fn a_probe_knows_every_operation() {
    let probe = ok(words("bench probe --threads 1", &[])).summary();
    assert!(probe["peak_flops"].as_f64().unwrap() > 1e8, "{probe:?}");
    assert!(probe["bandwidth"].as_f64().unwrap() > 1e7);
    assert!(probe["operations"].as_object().unwrap().len() > 10);
}

#[test]
fn a_race_ends_in_time_below_what_chance_gives() {
    let World { text, .. } = world();
    let line = "bench race --bytes {text} --size XXS --seconds 1 --threads 1";
    let lines = ok(words(line, &[("text", text)])).lines();
    let last = lines.last().unwrap();
    assert_eq!(last["peer"], "foretell");
    assert!(last["seconds"].as_f64().unwrap() >= 0.9, "{last:?}");
    assert!(last["bits_per_byte"].as_f64().unwrap() < 7.0, "{last:?}");
}

#[test]
fn pictures_become_tiles() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/tests/pictures");
    let [tall, wide, none] = ["tall.png", "wide.png", "cases.json"].map(|name| folder.join(name));
    let line = "bench images {tall} {wide} --longest-edge 96 --tile 48 --patch 6 --seconds 0 --json";
    let places = [("tall", tall.as_path()), ("wide", &wide), ("none", &none)];
    let made = ok(words(line, &places)).summary();
    assert_eq!((&made["pictures"], &made["tiles"]), (&2.into(), &3.0.into()), "{made:?}");
    for name in ["decode_ms", "prepare_ms", "pictures_per_s", "megapixels"] {
        assert!(made[name].as_f64().unwrap() > 0.0, "{name}: {made:?}");
    }
    refused(
        &folder,
        &places,
        &[
            ("bench images {tall} --patch 5", "--patch"),
            ("bench images {none} --seconds 0", "cases.json"),
            ("bench images missing.png", "missing.png"),
        ],
    );
}

#[test]
fn bad_input_is_refused() {
    let World { text, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let [missing, nothing, empty] = ["missing", "nothing", "empty.txt"].map(|name| folder.path().join(name));
    fs::create_dir(&nothing).unwrap();
    fs::write(&empty, "").unwrap();
    let places = [("text", text.as_path()), ("missing", &missing), ("nothing", &nothing), ("empty", &empty)];
    refused(
        folder.path(),
        &places,
        &[
            ("bench step --size XXL", "XXL"),
            ("bench step --shape width", "width"),
            ("bench step --shape width=x", "width=x"),
            ("bench step --shape colour=3", "colour"),
            ("bench step --shape width=0", "width"),
            ("bench step --size XXS --shape tiles=99", "tiles=99"),
            ("bench step --size XXS --shape tiles=2,patch=7", "patch"),
            ("bench step --size XXS --shape tiles=2,patch=0", "patch"),
            ("bench step --size XXS --shape tiles=2,scale_factor=3", "scale_factor"),
            ("bench step --shape heads=0", "heads"),
            ("bench step --shape layers=0", "layers"),
            ("bench step --shape rows=0", "rows"),
            ("bench step --shape seq=0", "seq"),
            ("bench step --shape vocab=0", "vocab"),
            ("bench step --shape width=999999999999999", "width"),
            ("bench step --shape rows=999999999 --steps 1", "rows"),
            ("bench step --size XXS --seconds -1", "--seconds -1: it must"),
            ("bench step --size XXS --seconds nan", "--seconds"),
            ("bench step --size XXS --seconds inf", "--seconds"),
            ("bench step --size XXS --steps=-1", "-1"),
            ("bench step --size XXS --threads 0", "--threads"),
            ("bench step --size XXS --isa mmx", "mmx"),
            ("bench step --set x=1", "x"),
            ("bench race", "--bytes"),
            ("bench race --bytes {missing}", "missing"),
            ("bench race --bytes {nothing}", "nothing"),
            ("bench race --bytes /dev/zero", "/dev/zero: it is no regular file"),
            ("bench race --bytes {text} --rows 1048576", "rows"),
            ("bench step --steps 0", "--steps"),
            ("bench step --size XXS --shape rows=1048576", "rows"),
            ("bench step --size XXS --shape seq=1048576", "seq"),
            ("bench race --bytes {empty}", "empty.txt"),
            ("bench race --bytes {text} --size Q", "Q"),
            ("bench race --bytes {text} --seconds 0", "--seconds"),
            ("bench race --bytes {text} --seconds nan", "--seconds"),
            ("bench race --bytes {text} --rate nan", "--rate"),
            ("bench race --bytes {text} --rate=-1", "--rate"),
            ("bench race --bytes {text} --rows 0", "rows"),
            ("bench race --bytes {text} --rows 99999999999", "rows"),
        ],
    );
}
