//! `config.json`: what is read can be written and read again.
#![no_main]

use foretell_fuzz::{config, damaged};
use libfuzzer_sys::fuzz_target;
use model::Config;

fuzz_target!(|edits: &[u8]| {
    if let Ok(read) = Config::from_json(&damaged(&config().to_json(), edits)) {
        assert_eq!(Config::from_json(&read.to_json()).unwrap(), read);
    }
});
