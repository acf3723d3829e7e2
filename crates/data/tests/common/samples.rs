//! Small valid files of the formats that are read, for what damages them.
#![allow(dead_code, unreachable_pub)]

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use data::picture::{Bounds, Filter, Picture, Preparation, Unreadable};
use data::{BuildConfig, Dataset, Document, Source, TokenizerChoice};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// One line of each kind.
pub const JSONL: &str = r#"{"text": "A lantern é \u00e9 \ud83d\ude00.", "license": "CC0-1.0", "id": 7, "meta": {"a": [1, null]}}
{"messages": [{"role": "user", "content": [{"type": "text", "text": "what"}, {"type": "image_url", "image_url": {"url": "a.png"}}]}, {"role": "assistant", "content": "a cat"}]}

{"segments": [{"text": "seen", "weight": 0.5}, {"special": "<|endoftext|>"}, {"image": "b.png"}]}
"#;

/// A picture of each format.
pub const PICTURES: [&[u8]; 5] = [
    include_bytes!("../pictures/colours/plain.jpg"),
    include_bytes!("../pictures/colours/turned.jpg"),
    include_bytes!("../pictures/colours/see-through.png"),
    include_bytes!("../pictures/colours/palette.gif"),
    include_bytes!("../pictures/colours/lossy.webp"),
];

/// Five rows in pages of two, compressed.
pub fn parquet() -> Vec<u8> {
    let texts = [Some("one"), None, Some("three é"), Some(""), Some("five five five five")];
    let columns: [(&str, ArrayRef); 3] = [
        ("text", Arc::new(StringArray::from(texts.to_vec()))),
        ("id", Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e"]))),
        ("score", Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let settings = WriterProperties::builder().set_compression(Compression::SNAPPY);
    let settings = settings.set_data_page_row_count_limit(2).set_max_row_group_row_count(Some(3)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(settings)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// A picture and its caption in an archive (WebDataset), a long name, and fields.
pub fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let long = format!("{}/b.json", "folder".repeat(30));
    let members: [(&str, &[u8]); 3] =
        [("a.png", PICTURES[2]), ("a.txt", b"a caption"), (&long, br#"{"text": "c"}"#)];
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append_data(&mut header, name, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Builds a data folder of bytes at `out`, from lines written into `folder`.
pub fn dataset(folder: &Path, out: &Path) {
    let file = folder.join("in.jsonl");
    let line = |i: usize| {
        let text = "a lantern é ".repeat(1 + i % 3);
        format!(r#"{{"segments": [{{"text": "{i}", "weight": 0.5}}, {{"text": "{text}"}}]}}"#)
    };
    std::fs::write(&file, (0..12).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    let config = BuildConfig {
        sources: vec![Source::new(file.display().to_string())],
        tokenizer: TokenizerChoice::Bytes,
        holdout: 0.3,
        ..BuildConfig::default()
    };
    data::build(&config, out, &mut |_| ()).unwrap();
}

/// Decodes a picture, and where that works makes tiles of it; its size is that which its header says.
pub fn read_picture(bytes: &[u8], bounds: &Bounds) -> Result<(), Unreadable> {
    let size = Picture::size(bytes, bounds);
    let picture = Picture::decode(bytes, bounds)?;
    assert_eq!(size, Ok((picture.width(), picture.height())));
    let told = Preparation { filter: Filter::Bilinear, ..Preparation::new(Some(32), 16) };
    let tiles = told.apply(&picture);
    assert_eq!(tiles.pixels().len(), tiles.layout().tiles() * 3 * 16 * 16);
    Ok(())
}

/// Opens a data folder, and where that works reads all of it.
pub fn read_dataset(folder: &Path) -> data::Result<()> {
    let data = Dataset::open(folder)?;
    for split in [data.train(), data.eval()] {
        let mut tokens = vec![0; split.tokens() as usize];
        split.read(0, &mut tokens)?;
        for document in 0..split.documents() {
            let tokens = split.document(document);
            assert_eq!(split.document_of(tokens.start), document);
            assert_eq!(split.document_segments(document).last().map(|(end, _)| end), Some(tokens.end));
        }
    }
    data.verify()
}

/// Reads a file of `bytes` named `name` in `folder`.
pub fn read_as(folder: &Path, name: &str, bytes: &[u8]) -> data::Result<Vec<Document>> {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    data::read_file(&path)
}
