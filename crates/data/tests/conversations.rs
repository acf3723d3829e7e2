//! Conversations with pictures in Parquet, in the shapes in which people keep them.

#[path = "common/samples.rs"]
mod samples;

use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
};
use data::{Document, ImageRef, SegmentKind};
use samples::PICTURES;

/// A list column: each row has as many of the values as `counts` say.
fn lists(values: ArrayRef, counts: &[usize]) -> ArrayRef {
    let rows = counts.iter().map(|&count| Some(vec![Some(0); count]));
    let offsets = ListArray::from_iter_primitive::<Int32Type, _, _>(rows).offsets().clone();
    let field = RecordBatch::try_from_iter([("item", values.clone())]).unwrap().schema().field(0).clone();
    Arc::new(ListArray::new(Arc::new(field.with_nullable(true)), offsets, values, None))
}

fn texts(all: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(all.to_vec()))
}

fn structures(fields: Vec<(&str, ArrayRef)>) -> ArrayRef {
    Arc::new(StructArray::try_from(fields).unwrap())
}

fn read(folder: &Path, columns: Vec<(&str, ArrayRef)>) -> data::Result<Vec<Document>> {
    let path = folder.join("t.parquet");
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    data::read_file(&path)
}

/// What is shown and said, between the marks of messages.
fn told(document: &Document) -> Vec<String> {
    let kind = |kind: &SegmentKind| match kind {
        SegmentKind::Text(text) => Some(text.clone()),
        SegmentKind::Image(ImageRef::File(name)) => {
            Some(format!("[{}]", Path::new(name).file_name().unwrap().to_string_lossy()))
        }
        SegmentKind::Image(ImageRef::Bytes(bytes)) => {
            Some(format!("[{}]", PICTURES.iter().position(|one| one == bytes).unwrap()))
        }
        _ => None,
    };
    document.segments.iter().filter_map(|segment| kind(&segment.kind)).collect()
}

#[test]
fn parts_are_structures_beside_a_column_of_images() {
    let folder = tempfile::tempdir().unwrap();
    // As in llava-instruct-mix: parts with a type, a text or the number of an image.
    let parts = structures(vec![
        ("type", texts(&[Some("text"), Some("image"), Some("image"), Some("text")])),
        ("text", texts(&[Some("Which of "), None, None, Some("The second.")])),
        ("index", Arc::new(Int64Array::from(vec![None, Some(1), Some(0), None]))),
    ]);
    let messages = structures(vec![
        ("role", texts(&[Some("user"), Some("assistant")])),
        ("content", lists(parts.clone(), &[3, 1])),
    ]);
    let images = structures(vec![
        ("bytes", Arc::new(BinaryArray::from(vec![Some(PICTURES[2]), None]))),
        ("path", texts(&[None, Some("b.png")])),
    ]);
    let columns = |messages: &ArrayRef, images: &ArrayRef, count: usize| {
        vec![("messages", lists(messages.clone(), &[2])), ("images", lists(images.clone(), &[count]))]
    };
    let document = &read(folder.path(), columns(&messages, &images, 2)).unwrap()[0];
    assert_eq!(
        told(document),
        ["user\nWhich of ", "[b.png]", "[2]", "\n", "assistant\n", "The second.", "\n"]
    );
    let named = document.images().next().unwrap();
    assert_eq!(named, &ImageRef::File(folder.path().join("b.png").to_string_lossy().into_owned()));
    // An image that is not there.
    let error = read(folder.path(), columns(&messages, &images.slice(0, 1), 1)).unwrap_err().to_string();
    assert!(error.contains("image 1, counted from 0, of 1"), "{error}");
}

#[test]
fn parts_hold_or_name_their_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let image = structures(vec![
        ("bytes", Arc::new(BinaryArray::from(vec![None, Some(PICTURES[0]), None, None]))),
        ("path", texts(&[None, Some("ignored.png"), None, None])),
    ]);
    let url = structures(vec![("url", texts(&[None, None, Some("c.png"), None]))]);
    let parts = structures(vec![
        ("type", texts(&[Some("text"), Some("image"), Some("image_url"), Some("text")])),
        ("text", texts(&[Some("a"), None, None, Some("b")])),
        ("image", image),
        ("image_url", url),
    ]);
    let messages = structures(vec![("role", texts(&[Some("user")])), ("content", lists(parts, &[4]))]);
    let document = &read(folder.path(), vec![("messages", lists(messages, &[1]))]).unwrap()[0];
    assert_eq!(told(document), ["user\na", "[0]", "[c.png]", "b", "\n"]);
}

#[test]
fn contents_are_texts_that_may_hold_parts_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let json = r#"[{"type": "image"}, {"type": "text", "text": "What?"}]"#;
    let contents = [Some(json), Some("[a list] of words"), Some(r#"[{"a": 1}]"#), None];
    let messages = structures(vec![
        ("role", texts(&[Some("user"), Some("assistant"), Some("user"), Some("assistant")])),
        ("content", texts(&contents)),
    ]);
    let columns = |images: ArrayRef| vec![("messages", lists(messages.clone(), &[4])), ("images", images)];
    let expected = [
        "user\n",
        "[2]",
        "What?",
        "\n",
        "assistant\n",
        "[a list] of words",
        "\n",
        "user\n[{\"a\": 1}]",
        "\n",
    ];
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![PICTURES[2]]));
    let document = &read(folder.path(), columns(lists(bytes.clone(), &[1]))).unwrap()[0];
    assert_eq!(told(document)[..9], expected);
    // A single image of a row, and names of files.
    assert_eq!(told(&read(folder.path(), columns(bytes)).unwrap()[0])[..9], expected);
    let named = lists(texts(&[Some("2.png")]), &[1]);
    assert_eq!(told(&read(folder.path(), columns(named)).unwrap()[0])[1], "[2.png]");
    let none = lists(texts(&[]), &[0]);
    assert!(
        read(folder.path(), columns(none)).unwrap_err().to_string().contains("1 places for images and 0")
    );
}
