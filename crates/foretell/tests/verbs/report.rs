//! `report`: records as one page.

use crate::common::{World, end, foretell, ok, refused, words, world};
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

/// A ladder that takes seconds.
const LADDER: &str = "ladder run --data {data} --out {ladder} --max 1.3e11 --span 100 --ratios 6,12 --seeds 1 --threads 2 --quiet";

/// Runs `report` in a folder, so that what is not named is looked for there.
fn report(folder: &Path, line: &str, places: &[(&str, &Path)]) -> Map<String, Value> {
    let mut command = foretell(words(&format!("report --json {line}"), places));
    let ended = end(command.current_dir(folder));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.summary()
}

#[test]
fn what_was_foretold_and_came_out_stands_on_one_page() {
    let World { data, run, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let [ladder, registry, out, foretold] =
        ["ladders/tiny", "predictions.jsonl", "page.html", "foretold"].map(|name| folder.join(name));
    let places = [
        ("data", data.as_path()),
        ("run", run),
        ("ladder", &ladder),
        ("registry", &registry),
        ("out", &out),
        ("foretold", &foretold),
    ];
    ok(words(LADDER, &places));
    ok(words("predict {ladder} --budget N=1e4,D=1e5 --registry {registry} --register --quiet", &places));
    ok(words("predict {ladder} --budget N=1e4,D=2e5 --registry {registry} --register --quiet", &places));
    ok(words("train --prediction 1 --registry {registry} --out {foretold} --quiet", &places));
    let outcome = ok(words("verify 1 --run {foretold} --registry {registry} --json", &places)).summary();

    let summary = report(folder, "{ladder} {run} {foretold} --registry {registry} --out {out}", &places);
    let page = fs::read_to_string(&out).unwrap();
    assert_eq!(summary["bytes"], page.len());
    assert_eq!((&summary["ladders"], &summary["runs"]), (&1.into(), &2.into()));
    assert_eq!((&summary["predictions"], &summary["outcomes"]), (&2.into(), &1.into()));
    assert_eq!(summary["chain_whole"], true);
    let rungs = summary["rungs"].as_u64().unwrap();
    assert!(rungs >= 6);
    // A card each for the rungs and the runs; the outcome leads to that of its run.
    assert_eq!(page.matches("<article").count() as u64, rungs + 2);
    assert!(page.contains("<td><a href=\"#run-foretold\">foretold</a></td>"));
    let observed = format!("{:.4}", outcome["observed"].as_f64().unwrap());
    assert!(page.contains("id=\"run-run\"") && !page.contains("<script") && !page.contains("http://"));
    for said in ["came out", &observed, "the chain of 3 entries is whole", "Calibration"] {
        assert!(page.contains(said), "{said}");
    }

    // Nothing named: what lies in the folder, and the usual registry; links within it do not matter.
    std::os::unix::fs::symlink(folder, folder.join("ladders/round")).unwrap();
    let summary = report(folder, "--quiet", &places);
    assert_eq!(
        (&summary["rungs"], &summary["runs"], &summary["predictions"]),
        (&rungs.into(), &1.into(), &2.into())
    );
    // Named twice it is shown once; a rung is part of its ladder.
    let rung = fs::read_dir(ladder.join("rungs")).unwrap().next().unwrap().unwrap().path();
    let twice = report(
        folder,
        "ladders/tiny ladders {rung} foretold --out {out}",
        &[&places[..], &[("rung", rung.as_path())]].concat(),
    );
    assert_eq!((&twice["ladders"], &twice["runs"]), (&1.into(), &1.into()));
    assert!(fs::read(&out).unwrap() == fs::read(folder.join("report.html")).unwrap(), "the pages differ");

    // A broken chain is said on the page, and its entries are not shown.
    let text = fs::read_to_string(&registry).unwrap();
    fs::write(&registry, text.replacen("\"loss\":", "\"loss\":1", 1)).unwrap();
    let summary = report(folder, "{ladder} --out {out}", &places);
    assert_eq!((&summary["chain_whole"], &summary["predictions"]), (&false.into(), &0.into()));
    assert!(fs::read_to_string(&out).unwrap().contains("The chain is broken"));
}

#[test]
fn what_is_no_record_is_refused() {
    let World { data, run, text } = world();
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, file: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(file), text).unwrap();
        path
    };
    let toml = made("toml", "run.toml", "seed = 'many'\n");
    let transfer = made("transfer", "transfer.json", "{\"parametrisation\":3}");
    let empty = made("empty", "notes.txt", "");
    let places = [
        ("data", data.as_path()),
        ("run", run),
        ("text", text),
        ("toml", &toml),
        ("transfer", &transfer),
        ("empty", &empty),
        ("folder", folder.path()),
    ];
    refused(
        folder.path(),
        &places,
        &[
            ("report {folder}/missing --out {folder}/r.html", "missing"),
            ("report {text} --out {folder}/r.html", "no folder"),
            ("report {empty} --out {folder}/r.html", "no ladder, no run"),
            ("report {toml} --out {folder}/r.html", "run.toml"),
            ("report {transfer} --out {folder}/r.html", "transfer.json"),
            ("report {run} --transfer {empty} --out {folder}/r.html", "transfer.json"),
            ("report {run} --registry {folder}/none.jsonl --out {folder}/r.html", "none.jsonl"),
            ("report {run} --out {empty}/notes.txt/r.html", "notes.txt"),
            ("report {run} --out {folder}", "is no report"),
            ("report {run} --out {toml}/run.toml", "is no report"),
            ("report {run} --out {folder}/..", "'..'"),
            ("report {run} --set width=3 --out {folder}/r.html", "width"),
        ],
    );
    let nowhere = end(foretell(["report"]).current_dir(&empty));
    assert!(nowhere.code == Some(1) && nowhere.stderr.contains("nothing to report"), "{nowhere:?}");
}
