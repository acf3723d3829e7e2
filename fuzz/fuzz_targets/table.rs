//! Tables of other people's runs, CSV and JSONL.
#![no_main]

use libfuzzer_sys::fuzz_target;
use record::Table;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    for table in [Table::of_csv(Path::new("x"), bytes), Table::of_jsonl(Path::new("x"), bytes)].into_iter().flatten() {
        for row in table.rows() {
            for column in &table.columns {
                let _ = row.number(column);
            }
        }
    }
});
