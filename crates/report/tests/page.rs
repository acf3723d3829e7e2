//! A page with everything on it, made of records that are written first: it is well-formed, says what it should, leads
//! nowhere else, and takes no markup from a record. The page is left in `target/tmp/report.html`, for
//! `scripts/report.py` to look at.

mod common;

use common::{Page, answers, registry, write_ladder, write_run};
use report::{Ladder, Ledger, Report, Run, Transfer};
use std::path::Path;

const TRANSFER: &str = include_str!("transfer.json");

/// Everything that a page can show, in a folder.
fn everything(folder: &Path, rungs: usize) -> Report {
    let rungs = write_ladder(&folder.join("rungs"), rungs);
    let read = |(name, parameters): &(String, f64)| {
        Run::read(&folder.join("rungs").join(name), name, Some(*parameters)).unwrap()
    };
    let rungs: Vec<Run> = rungs.iter().map(read).collect();
    // A hundred times the dearest rung's compute, twenty tokens a parameter.
    let (n, d) = (1e7, 2e8);
    write_run(&folder.join("target"), n, d, 4, 1.004, true);
    let target = Run::read(&folder.join("target"), "target", Some(n)).unwrap();
    let entries = registry(&folder.join("predictions.jsonl"), &rungs, &target);
    std::fs::write(folder.join("transfer.json"), TRANSFER).unwrap();
    let transfer = Transfer::read(folder).unwrap();
    let ladder = Ladder {
        name: "bytes".into(),
        folder: "ladders/bytes".into(),
        rungs,
        unfinished: vec!["late".into()],
    };
    Report {
        version: "0.1.0 (test)".into(),
        ladders: vec![ladder],
        runs: vec![target],
        ledger: Some(Ledger { file: "predictions.jsonl".into(), entries: Ok(entries) }),
        transfers: vec![("transfer".into(), transfer)],
    }
}

#[test]
fn a_page_with_everything_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let report = everything(folder.path(), 30);
    let text = report.page();
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.html"), &text).unwrap();
    assert_eq!(text, report.page(), "the same records give the same page");
    let page = Page::parse(&text);
    page.check();
    let sections = ["loss", "capability", "back-tests", "transfer", "curves", "registry", "records"];
    for section in sections {
        assert!(page.ids.contains(section), "{section}");
    }
    assert!(text.len() < 420_000, "{} bytes for 30 rungs", text.len());
    // 30 rungs in two sizes and two signs of the key, in the figures of the held-out loss and of that of the code.
    let (begin, end) =
        (text.find("<section id=\"loss\"").unwrap(), text.find("<section id=\"capability\"").unwrap());
    let dots = |class: &str| text[begin..end].matches(&format!("class=\"point {class}\"")).count();
    // Six rungs or more were not used for the prediction whose law is drawn, and are rings.
    let rings = text[begin..end].matches("class=\"ring rung").count();
    assert!(rings > 12, "{rings}");
    assert_eq!(dots("rung") + dots("rung far") + rings, 2 * (2 * 30 + 2) + 1);
    // Every point of a rung leads to its record.
    for rung in &report.ladders[0].rungs {
        let anchor = format!("run-{}", rung.name);
        assert!(page.ids.contains(anchor.as_str()), "{anchor}");
        assert!(page.links.iter().filter(|link| **link == anchor).count() >= 4, "{anchor}");
    }
    assert!(text.contains("inside the 80 % interval") && text.contains("came out"));
    assert!(text.contains("the chain of 4 entries is whole"));
    assert!(
        text.contains("level 3")
            && text.contains("Coordinate check over width")
            && text.contains("Loss against rate")
    );
    assert_eq!(report.predictions(), (3, 1));
}

#[test]
fn sections_without_records_are_left_out() {
    let page = Report::default().page();
    let parsed = Page::parse(&page);
    parsed.check();
    assert!(!page.contains("<section") && !page.contains("<svg"));
    // A ladder with a rung that has nothing but its first steps.
    let folder = tempfile::tempdir().unwrap();
    write_run(folder.path(), 1e4, 2e5, 1, 1.0, false);
    let run = Run::read(folder.path(), "only", None).unwrap();
    let report = Report { runs: vec![run], ..Report::default() };
    let page = report.page();
    Page::parse(&page).check();
    assert!(
        page.contains("id=\"curves\"")
            && !page.contains("id=\"loss\"")
            && !page.contains("id=\"capability\"")
    );
}

#[test]
fn nothing_in_a_record_becomes_markup() {
    let hostile = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;";
    let folder = tempfile::tempdir().unwrap();
    let mut report = everything(folder.path(), 9);
    let transfer = &mut report.transfers[0].1;
    transfer.parametrisation = hostile.into();
    transfer.checks[0].name = hostile.into();
    transfer.checks[0].text = hostile.into();
    transfer.coordinates.iter_mut().for_each(|one| one.layer = hostile.into());
    transfer.sweeps.iter_mut().for_each(|sweep| sweep.name = hostile.into());
    report.transfers[0].0 = hostile.into();
    let ladder = &mut report.ladders[0];
    (ladder.name, ladder.folder) = (hostile.into(), hostile.into());
    for run in ladder.rungs.iter_mut().chain(&mut report.runs) {
        run.name = hostile.into();
        (run.version, run.hashes.data, run.hashes.config) = (hostile.into(), hostile.into(), hostile.into());
        run.sets = [(hostile.to_string(), 2.0)].into();
        run.questions = [(hostile.to_string(), answers(1.0, hostile))].into();
    }
    let ledger = report.ledger.as_mut().unwrap();
    ledger.file = hostile.into();
    for entry in ledger.entries.iter_mut().flatten() {
        entry.hash = hostile.into();
        for name in ["loss_unit", "version", "source"] {
            entry.body.insert(name.into(), hostile.into());
        }
    }
    Page::parse(&report.page()).check();
    report.version = hostile.into();
    report.ledger = Some(Ledger { file: hostile.into(), entries: Err(hostile.into()) });
    let page = report.page();
    Page::parse(&page).check();
    assert!(page.contains("The chain is broken"));
}
