//! Foreign bytes are read or refused with an error that names the file; they never end the process.

#[path = "common/damage.rs"]
mod damage;
#[path = "common/samples.rs"]
mod samples;

use std::sync::LazyLock;

use damage::{altered, damaged};
use data::Tokenizer;
use data::picture::{Bounds, Picture, Unreadable};
use proptest::prelude::*;
use samples::{JSONL, PICTURES, archive, dataset, parquet, read_as, read_dataset, read_picture};

static PARQUET: LazyLock<Vec<u8>> = LazyLock::new(parquet);
static ARCHIVE: LazyLock<Vec<u8>> = LazyLock::new(archive);

/// A trained tokenizer.json, and one of bytes alone.
static TOKENIZERS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let words = ["the lantern", "a lantern of the harbour", "the other harbour"];
    let trained = Tokenizer::train(words.into_iter(), 300).unwrap();
    [trained, Tokenizer::bytes().unwrap()].map(|tokenizer| tokenizer.json().to_vec())
});

fn edits() -> impl Strategy<Value = Vec<u8>> {
    // Even: edits of the sample. Noise alone is the case in eight.
    let edits = prop::collection::vec(any::<u8>(), 0..32).prop_map(|edits| [vec![0], edits].concat());
    prop_oneof![7 => edits, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

fn try_tokenizer(json: Vec<u8>) {
    let Ok(tokenizer) = Tokenizer::from_json(json, None) else { return };
    let mut ids = Vec::new();
    if tokenizer.encode_ordinary("The lantern, 12 é 日本\u{0}!", &mut ids).is_ok() {
        tokenizer.decode(&ids);
        assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
    }
    tokenizer.decode(&[0, tokenizer.eos(), u32::MAX]);
}

#[test]
fn samples_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read_as(folder.path(), "x.jsonl", JSONL.as_bytes()).unwrap().len(), 3);
    let rows = read_as(folder.path(), "x.parquet", &PARQUET);
    assert!(rows.unwrap_err().to_string().contains("x.parquet:2"), "the second row has no text");
    assert_eq!(read_as(folder.path(), "x.tar", &ARCHIVE).unwrap().len(), 2);
    dataset(folder.path(), &folder.path().join("data"));
    read_dataset(&folder.path().join("data")).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn lines_and_tables(edits in edits()) {
        let folder = tempfile::tempdir().unwrap();
        let valid: [(&str, &[u8]); 4] =
            [("x.jsonl", JSONL.as_bytes()), ("x.parquet", &PARQUET), ("x", &PARQUET), ("x.tar", &ARCHIVE)];
        for (name, valid) in valid {
            if let Err(error) = read_as(folder.path(), name, &damaged(valid, &edits)) {
                prop_assert!(error.to_string().contains(name), "{error}");
            }
        }
    }

    #[test]
    fn fields_of_lines(line in 0usize..4, picks in prop::collection::vec(any::<u8>(), 0..5), value: u8) {
        let folder = tempfile::tempdir().unwrap();
        let line = JSONL.lines().nth(line).unwrap_or_default();
        let _ = read_as(folder.path(), "x.jsonl", &altered(line.as_bytes(), &picks, value));
    }

    #[test]
    fn pictures(edits in edits()) {
        let bounds = Bounds { pixels: 1 << 16, ..Bounds::default() };
        for valid in PICTURES {
            let bytes = damaged(valid, &edits);
            if let Err(error) = read_picture(&bytes, &bounds) {
                prop_assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }

    #[test]
    fn tokenizers(edits in edits(), picks in prop::collection::vec(any::<u8>(), 0..5), value: u8) {
        for valid in TOKENIZERS.iter() {
            try_tokenizer(damaged(valid, &edits));
            try_tokenizer(altered(valid, &picks, value));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn data_folders(edits in edits(), picks in prop::collection::vec(any::<u8>(), 0..5), value: u8) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("data");
        dataset(folder.path(), &out);
        for name in ["manifest.json", "tokenizer.json", "train-00000.index", "train-00000.tokens"] {
            let path = out.join(name);
            let valid = std::fs::read(&path).unwrap();
            let mut files = vec![damaged(&valid, &edits)];
            if name.ends_with(".json") {
                files.push(altered(&valid, &picks, value));
            }
            for bytes in files {
                std::fs::write(&path, &bytes).unwrap();
                let _ = read_dataset(&out);
            }
            std::fs::write(&path, valid).unwrap();
        }
    }
}

/// A file of a few bytes that claims to be a large picture is refused by its header.
#[test]
fn pictures_beyond_the_bounds_are_refused_before_a_pixel_is_decoded() {
    let png = PICTURES[2];
    let with = |at: usize, value: u32| {
        let mut bytes = png.to_vec();
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        let sum = crc(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&sum.to_be_bytes());
        Picture::decode(&bytes, &Bounds::default())
    };
    assert!(with(16, 40).is_ok());
    let Bounds { pixels: most, side, .. } = Bounds::default();
    assert_eq!(with(16, 1 << 30), Err(Unreadable::Memory { most }));
    assert_eq!(with(20, 1 << 30), Err(Unreadable::Pixels { width: 40, height: 1 << 30, most, side }));
    assert_eq!(with(20, 1 << 17), Err(Unreadable::Pixels { width: 40, height: 1 << 17, most, side }));
    for at in [16, 20] {
        assert!(with(at, 0).is_err());
    }
    let decode = |bytes: &[u8], bounds: &Bounds| Picture::decode(bytes, bounds).unwrap_err();
    let small = Bounds { bytes: 100, ..Bounds::default() };
    assert_eq!(decode(png, &small), Unreadable::Bytes { bytes: png.len(), most: 100 });
    assert_eq!(decode(b"", &small), Unreadable::Empty);
    assert_eq!(decode(b"a letter, not a picture", &small), Unreadable::Format);
    assert_eq!(decode(b"BM    a bitmap", &small), Unreadable::Format);
    for valid in PICTURES {
        let error = Picture::decode(&valid[..valid.len() / 2], &Bounds::default()).err();
        assert!(matches!(error, Some(Unreadable::Damaged(_))), "{error:?}");
    }
}

/// The check of a PNG's chunk.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}
