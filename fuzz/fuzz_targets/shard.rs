//! A data folder: the first byte says which of its files is damaged.
#![no_main]

use foretell_fuzz::{damaged, dataset, read_dataset, with_folder};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const FILES: [&str; 3] = ["train-00000.index", "train-00000.tokens", "manifest.json"];

static VALID: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let mut files = Default::default();
    with_folder(|folder| {
        dataset(folder, &folder.join("data"));
        files = FILES.map(|name| std::fs::read(folder.join("data").join(name)).unwrap());
    });
    files
});

fuzz_target!(|input: &[u8]| {
    let Some((which, edits)) = input.split_first() else { return };
    let which = usize::from(*which) % FILES.len();
    let bytes = damaged(&VALID[which], edits);
    with_folder(|folder| {
        let (out, path) = (folder.join("data"), folder.join("data").join(FILES[which]));
        std::fs::write(&path, bytes).unwrap();
        let _ = read_dataset(&out);
        std::fs::write(path, &VALID[which]).unwrap();
    });
});
