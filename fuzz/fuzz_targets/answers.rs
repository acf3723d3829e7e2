//! Questions, and what runs recorded of their answers; edits of valid lines.
#![no_main]

use foretell_fuzz::{damaged, with_folder};
use libfuzzer_sys::fuzz_target;
use record::Answered;
use std::path::Path;

const QUESTIONS: &str = r#"{"id":"a","family":"sky","level":1,"prompt":"The river","choices":[" stone."," walks."],"answer":1}
{"id":"b","family":"sky","level":2,"prompt":"The old","choices":[" boat."," zzz."],"answer":0}
"#;

const ANSWERS: &str = r#"{"id":"a","family":"sky","level":1,"probability":0.5,"log_probability":-3.5,"chance":0.5,"correct":true}
{"id":"b","family":"sky","level":2,"probability":0.25,"log_probability":-9.0,"chance":0.5,"correct":false}
"#;

fuzz_target!(|edits: &[u8]| with_folder(|folder| {
    let _ = Answered::read(Path::new("x"), &damaged(ANSWERS.as_bytes(), edits));
    let file = folder.join("questions.jsonl");
    if std::fs::write(&file, damaged(QUESTIONS.as_bytes(), edits)).is_ok() {
        let _ = data::holds_questions(&file);
        let _ = data::questions(&file);
    }
}));
