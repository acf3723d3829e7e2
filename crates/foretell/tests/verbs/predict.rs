//! `predict`, `verify` and `bench predict`: other people's runs, here made up from a law that is known.

use crate::common::{end, foretell, ok, refused, words};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn law(n: f64, d: f64) -> f64 {
    1.5 + 2.0 * (n / 1e6).powf(-0.3) + 1.5 * (d / 2e7).powf(-0.33)
}

/// Runs over two decades and a half of compute, alternately 0.2 % above and below the law.
fn runs() -> Vec<(f64, f64, f64)> {
    let mut runs = Vec::new();
    for size in 0..7 {
        for ratio in [10.0, 20.0, 60.0] {
            let n = 1e6 * 2f64.powi(size);
            let sign = if runs.len() % 2 == 0 { 1.0 } else { -1.0 };
            runs.push((n, n * ratio, law(n, n * ratio) * (1.0 + 0.002 * sign)));
        }
    }
    runs
}

fn csv(folder: &Path) -> PathBuf {
    let path = folder.join("runs.csv");
    let mut text = String::from("N,D,val\n");
    runs().iter().for_each(|(n, d, loss)| writeln!(text, "{n:e},{d:e},{loss}").unwrap());
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_prediction_is_registered_and_held_against_its_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let (log, registry) = (csv(folder.path()), folder.path().join("p.jsonl"));
    let places = [("log", log.as_path()), ("registry", &registry)];
    let line = "predict --log {log} --columns params=N,tokens=D,loss=val --budget N=6.4e8,D=1.28e10 --json";
    let free = ok(words(line, &places)).summary();
    assert!(free["id"].is_null() && !registry.exists());
    let truth = law(6.4e8, 1.28e10);
    let number = |name: &str| free[name].as_f64().unwrap();
    assert!((number("loss") / truth - 1.0).abs() < 0.03, "{free:?}");
    let ends = ["lo95", "lo90", "lo80", "loss", "hi80", "hi90", "hi95"].map(number);
    assert!(ends.is_sorted() && ends[0] < truth && truth < ends[6], "{ends:?}");
    // 0.64/0.064 in parameters, 12.8/3.84 in tokens.
    assert!((number("compute_ratio") - 100.0 / 3.0).abs() < 1e-6);
    assert!(free["backtest"].as_array().unwrap().len() >= 2 && free["laws"].as_array().unwrap().len() == 3);

    let line = format!("{line} --register --registry {{registry}}");
    for id in 1..=2 {
        assert_eq!(ok(words(&line, &places)).summary()["id"], id);
    }
    let verify = |more: &str| ok(words(&format!("verify{more} --registry {{registry}} --json"), &places));
    assert_eq!(verify("").summary()["outcomes"], 0);
    let outcome = verify(&format!(" 1 --loss {truth}")).summary();
    assert_eq!((&outcome["id"], &outcome["in95"]), (&1.into(), &true.into()));
    assert!((outcome["error"].as_f64().unwrap() - (number("loss") / truth - 1.0)).abs() < 1e-12);
    verify(" 2 --loss 9");
    let all = verify("").lines();
    assert_eq!(all.len(), 3);
    assert_eq!((&all[1]["in80"], &all[2]["in80"]), (&false.into(), &0.5.into()));

    // An altered entry is found, and nothing is added behind it.
    let text = fs::read_to_string(&registry).unwrap();
    let altered = text.replacen("\"loss\":", "\"loss\":1", 1);
    fs::write(&registry, &altered).unwrap();
    for command in ["verify --registry {registry}", &line] {
        let ended = end(&mut foretell(words(command, &places)));
        assert!(ended.code == Some(1) && ended.stderr.contains("line 1: was altered"), "{ended:?}");
    }
    assert_eq!(fs::read_to_string(&registry).unwrap(), altered);
}

/// The same runs as somebody's tools keep them: curves in event files, and in the CSV of a chart, both beside a table of sizes.
#[test]
fn curves_of_other_tools_say_what_a_table_of_their_ends_says() {
    let folder = tempfile::tempdir().unwrap();
    let log = csv(folder.path());
    let [events, charts] = ["events", "charts"].map(|name| folder.path().join(name));
    let (mut side, mut head, mut first, mut last) =
        (String::from("run,N\n"), String::from("Step"), String::from("50"), String::from("100"));
    for (i, (n, d, loss)) in runs().iter().enumerate() {
        writeln!(side, "r{i},{n:e}").unwrap();
        let run = events.join(format!("r{i}"));
        fs::create_dir_all(&run).unwrap();
        let mut writer = record::EventWriter::new(&record::Files::new(), &run, 0.0).unwrap();
        for (step, part, more) in [(50, 0.5, 0.4), (100, 1.0, 0.0)] {
            writer.scalar("train/tokens", step, part * d, 0.0).unwrap();
            writer.scalar("eval/loss", step, loss + more, 0.0).unwrap();
        }
        write!(head, ",r{i} - eval/loss,r{i} - eval/loss__MIN,r{i} - train/tokens").unwrap();
        write!(first, ",{},,{}", loss + 0.4, 0.5 * d).unwrap();
        write!(last, ",{loss},{loss},{d}").unwrap();
    }
    fs::create_dir(&charts).unwrap();
    fs::write(charts.join("chart.csv"), format!("{head}\n{first}\n{last}\n")).unwrap();
    [&events, &charts].iter().for_each(|folder| fs::write(folder.join("runs.csv"), &side).unwrap());
    let places = [("log", log.as_path()), ("events", &events), ("charts", &charts)];
    let answer = |log: &str, columns: &str| {
        ok(words(&format!("predict --log {log}{columns} --budget N=6.4e8,D=1.28e10 --json"), &places))
    };
    let plain = answer("{log}", " --columns loss=val").summary();
    for kind in ["{events}", "{charts}"] {
        let ended = answer(kind, "");
        assert!(ended.stderr.contains("the last of each of 21 runs"), "{ended:?}");
        let found = ended.summary();
        // Event files hold single precision.
        assert!(
            (found["loss"].as_f64().unwrap() / plain["loss"].as_f64().unwrap() - 1.0).abs() < 1e-4,
            "{found:?}"
        );
        assert_eq!(found["runs"], 21);
    }
}

#[test]
fn flop_are_spent_within_what_the_runs_know() {
    let folder = tempfile::tempdir().unwrap();
    let log = csv(folder.path());
    let line = "predict --log {log} --columns loss=val --budget 1e20 --json";
    let answer = ok(words(line, &[("log", &log)])).summary();
    let target = &answer["target"];
    let (n, d) = (target["parameters"].as_f64().unwrap(), target["tokens"].as_f64().unwrap());
    assert!((6.0 * n * d / 1e20 - 1.0).abs() < 1e-9 && (10.0..=60.0).contains(&(d / n)), "{target}");
}

#[test]
fn what_cannot_be_foretold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = csv(folder.path());
    let made = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let few = made("few.csv", "N,D,loss\n1e6,1e7,3\n2e6,2e7,2.9\n4e6,4e7,2.8\n4e6,8e7,2.75\n4e6,9e7,2.74\n");
    let words_ = made("words.csv", "N,D,loss\n1e6,many,3\n");
    let perplexity = made("perplexity.csv", "N,D,loss\n1e6,1e7,33\n");
    let garbage = made("events.out.tfevents.1", "0123456789abcdef");
    let vacant = folder.path().join("vacant");
    fs::create_dir(&vacant).unwrap();
    let (empty, none) = (made("empty.csv", ""), made("none.jsonl", ""));
    let registry = folder.path().join("registry.jsonl");
    let bare = folder.path().join("bare");
    fs::create_dir(&bare).unwrap();
    fs::write(bare.join("targets.csv"), "dataset,tier\n").unwrap();
    let places = [
        ("log", log.as_path()),
        ("few", &few),
        ("words", &words_),
        ("perplexity", &perplexity),
        ("garbage", &garbage),
        ("vacant", &vacant),
        ("empty", &empty),
        ("none", &none),
        ("folder", folder.path()),
        ("registry", &registry),
        ("bare", &bare),
    ];
    refused(
        folder.path(),
        &places,
        &[
            ("predict --log {log} --budget N=1e8,D=2e9", "columns"),
            ("predict --log {log} --columns loss=x --budget N=1e8,D=2e9", "N, D, val"),
            ("predict --log {log} --columns loss --budget N=1e8,D=2e9", "role=column"),
            ("predict --log {log} --columns loss=val,loss=val --budget N=1e8,D=2e9", "twice"),
            ("predict --log {log} --columns loss=val --budget N=1e8", "both"),
            ("predict --log {log} --columns loss=val --budget 20m", "clock"),
            ("predict --log {log} --columns loss=val --budget many", "many"),
            ("predict --log {log} --columns loss=val --budget N=1e13,D=2e14", "nothing is known"),
            ("predict --log {log} --columns loss=val --budget N=1e8,D=1e13", "tokens a parameter"),
            ("predict --log {few} --budget N=1e8,D=2e9", "different runs"),
            ("predict --log {words} --budget N=1e8,D=2e9", "line 2, column D"),
            ("predict --log {perplexity} --budget N=1e8,D=2e9", "perplexity"),
            ("predict --log {empty} --budget N=1e8,D=2e9", "empty"),
            ("predict --log {none} --budget N=1e8,D=2e9", "empty"),
            ("predict --log {vacant} --budget N=1e8,D=2e9", "holds no runs"),
            ("predict --log {garbage} --budget N=1e8,D=2e9", "no event file"),
            ("predict --log {folder}/missing --budget N=1e8,D=2e9", "missing"),
            ("verify --registry {registry}", "no prediction"),
            ("verify 1 --loss nan --registry {registry}", "no prediction"),
            ("verify --loss 2 --registry {registry}", "ID"),
            ("bench predict {folder}/missing --out {folder}/p.csv", "missing"),
            ("bench predict {bare} --out {bare}/p.csv", "no table"),
        ],
    );
}

/// A folder in the layout of strangers' runs: two data sets, three cuts each.
fn strangers(folder: &Path, spoil: impl Fn(f64, f64) -> Option<f64>, target_loss: &str) {
    fs::create_dir_all(folder).unwrap();
    let mut text = String::from("dataset,run_id,params_N,tokens_D,flops_C,loss,extra\n");
    for set in ["one", "two"] {
        for (i, (n, d, loss)) in runs().iter().enumerate() {
            let c = 6.0 * n * d;
            let loss = spoil(c, *loss).map_or(String::new(), |loss| loss.to_string());
            writeln!(text, "{set},r{i},{n},{d},{c},{loss},\"{{\"\"epoch_outlier\"\":0}}\"").unwrap();
        }
        writeln!(text, "{set},bad,2e6,4e7,4.8e14,99,\"{{\"\"epoch_outlier\"\":1}}\"").unwrap();
    }
    fs::write(folder.join("runs.csv"), text).unwrap();
    let mut targets = String::from("dataset,tier,target_run_id,flops_C,loss,best_in_tier\n");
    let mut splits = String::from("dataset,tier,f,C_cut,n_train,n_sizes,n_targets,feasible\n");
    for set in ["one", "two"] {
        writeln!(targets, "{set},top,r20,1,{target_loss},1").unwrap();
        for f in [10.0, 30.0, 100.0] {
            writeln!(splits, "{set},top,{f},{},9,3,1,1", CUT * 10.0 / f).unwrap();
        }
        writeln!(splits, "{set},top,1e6,1,0,0,1,0").unwrap();
    }
    fs::write(folder.join("targets.csv"), targets).unwrap();
    fs::write(folder.join("splits.csv"), splits).unwrap();
}

/// A tenth of the dearest run's compute.
const CUT: f64 = 6.0 * 6.4e7 * 3.84e9 / 10.0;

#[test]
fn strangers_runs_are_foretold_without_a_look_above_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, blank] = ["whole", "blank"].map(|name| folder.path().join(name));
    strangers(&whole, |_, loss| Some(loss), "2.0");
    strangers(&blank, |c, loss| (c <= CUT).then_some(loss), "");
    let out = folder.path().join("p.csv");
    let predict = |from: &Path| {
        let places = [("from", from), ("out", out.as_path())];
        assert_eq!(ok(words("bench predict {from} --out {out} --json", &places)).summary()["predictions"], 6);
        fs::read_to_string(&out).unwrap()
    };
    let text = predict(&whole);
    assert_eq!(text, predict(&blank));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "dataset,target_run_id,f,pred,lo80,hi80,lo90,hi90,lo95,hi95");
    let truth = law(6.4e7, 3.84e9);
    for line in &lines[1..] {
        let numbers: Vec<f64> = line.split(',').skip(3).map(|cell| cell.parse().unwrap()).collect();
        assert!((numbers[0] / truth - 1.0).abs() < 0.05, "{line}");
        let [pred, lo80, hi80, lo90, hi90, lo95, hi95] = numbers[..] else { panic!("{line}") };
        assert!([lo95, lo90, lo80, pred, hi80, hi90, hi95].is_sorted(), "{line}");
    }
    // A data set without targets is passed over.
    fs::write(whole.join("splits.csv"), "dataset,tier,f,C_cut,feasible\nthree,top,10,1,1\n").unwrap();
    let places = [("from", whole.as_path()), ("out", out.as_path())];
    assert_eq!(ok(words("bench predict {from} --out {out} --json", &places)).summary()["predictions"], 0);
}
