//! Parquet tables. Panics of the `parquet` crate are fenced by the reader, so only those that leave it
//! count: the fuzzer's own hook, which aborts at any, is taken off.
#![no_main]

use foretell_fuzz::{damaged, parquet, read_as, with_folder};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| {
    std::panic::set_hook(Box::new(|_| ()));
    parquet()
});

fuzz_target!(|edits: &[u8]| with_folder(|folder| {
    let _ = read_as(folder, "x.parquet", &damaged(&VALID, edits));
}));
