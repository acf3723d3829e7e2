//! TensorBoard's event files: as they are, and with the sums that a frame must have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use record::Events;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("x");
    let _ = Events::of_bytes(path, bytes);
    let _ = Events::of_bytes(path, &record::framed(bytes));
});
