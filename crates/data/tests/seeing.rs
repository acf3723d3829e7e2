//! Data with pictures: what is built, how rows are packed, what a batch shows.

#[path = "common/samples.rs"]
mod samples;

use std::path::Path;
use std::sync::Arc;

use data::picture::{Bounds, Picture, Preparation};
use data::{
    Batch, BuildConfig, Dataset, Document, EvalSet, ImageRef, Look, Order, Seeing, Segment, SegmentKind,
    Source, TokenizerChoice,
};
use samples::PICTURES;

const SEQ: usize = 96;
const TILES: usize = 4;

fn seeing() -> Seeing {
    Seeing { preparation: Preparation::new(None, 16), patch: 4, scale_factor: 2, grid: 6, bare: false }
}

fn config(source: &Path) -> BuildConfig {
    BuildConfig {
        sources: vec![Source::new(source.display().to_string())],
        tokenizer: TokenizerChoice::Bytes,
        holdout: 0.2,
        seeing: seeing(),
        ..BuildConfig::default()
    }
}

/// Pictures as files, in subfolders and in a line itself, and documents of all kinds with them.
fn source(folder: &Path) {
    std::fs::create_dir_all(folder.join("p")).unwrap();
    for (number, bytes) in PICTURES.iter().enumerate() {
        std::fs::write(folder.join(format!("p/{number}.img")), bytes).unwrap();
    }
    let mut lines = String::new();
    for at in 0..40 {
        let file = format!("p/{}.img", at % 5);
        lines += &match at % 5 {
            0 => format!(r#"{{"segments":[{{"image":"{file}"}},{{"text":"first {at}"}}]}}"#),
            1 => format!(r#"{{"segments":[{{"text":"last {at}"}},{{"image":"{file}","weight":0}}]}}"#),
            2 => format!(
                r#"{{"segments":[{{"text":"{at}"}},{{"image":"{file}"}},{{"image":"p/0.img"}},{{"text":"two"}}]}}"#
            ),
            3 => format!(r#"{{"text":"no picture at all {at}"}}"#),
            _ => format!(
                r#"{{"messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/jpeg;base64,{}"}}}},{{"type":"text","text":"what {at}?"}}]}},{{"role":"assistant","content":"x"}}]}}"#,
                base64(PICTURES[0])
            ),
        };
        lines.push('\n');
    }
    std::fs::write(folder.join("a.jsonl"), lines).unwrap();
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        let digit = move |at: usize| match at <= three.len() {
            true => DIGITS[(bits >> (18 - 6 * at)) as usize & 63] as char,
            false => '=',
        };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

fn built() -> (tempfile::TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    source(&folder.path().join("source"));
    data::build(&config(&folder.path().join("source/a.jsonl")), &folder.path().join("data"), &mut |_| ())
        .unwrap();
    let dataset = Dataset::open(&folder.path().join("data")).unwrap();
    (folder, dataset)
}

fn look(dataset: &Dataset) -> Look {
    // Any order: a model has its own.
    Look { order: (0..16).rev().collect(), tiles: TILES, ..dataset.look().unwrap().clone() }
}

#[test]
fn what_is_built_holds_every_picture_once_and_its_tokens_in_their_place() {
    let (folder, dataset) = built();
    dataset.verify().unwrap();
    dataset.verify_split().unwrap();
    assert_eq!(dataset.foreign().unwrap(), Vec::<String>::new());
    let manifest = dataset.manifest();
    assert_eq!(manifest.seeing, Some(seeing()));
    assert_eq!(manifest.tokenizer.vocab_size, 259 + 3 + 36);
    assert_eq!(manifest.train.images + manifest.eval.images, 40);
    let stored = std::fs::metadata(folder.path().join("data/train-00000.images")).unwrap().len();
    let all: usize = PICTURES[..3].iter().map(|bytes| bytes.len()).sum();
    assert_eq!(stored as usize, 64 + all);
    let (split, tokenizer) = (dataset.train(), dataset.tokenizer());
    let mut seen = 0;
    for document in 0..split.documents() {
        let range = split.document(document);
        let mut ids = vec![0; (range.end - range.start) as usize];
        split.read(range.start, &mut ids).unwrap();
        for (place, bytes, layout) in split.document_images(document) {
            assert!(PICTURES.contains(&bytes));
            let read = Picture::decode(bytes, &Bounds::default()).unwrap();
            assert_eq!(layout, seeing().preparation.layout(read.width(), read.height()));
            let inside = &ids[(place.start - range.start) as usize..(place.end - range.start) as usize];
            let text: String = inside.iter().map(|&id| tokenizer.token_text(id as u32)).collect();
            assert_eq!(text.matches("<image>").count(), layout.tiles() * 4);
            assert!(
                text.starts_with("<fake_token_around_image><")
                    && text.ends_with("<image><fake_token_around_image>")
            );
            seen += 1;
        }
        let weights: f32 = split.document_segments(document).map(|(_, weight)| weight).sum();
        assert!(weights > 0.0, "document {document} trains nothing");
    }
    assert_eq!(seen, manifest.train.images);
}

/// What a batch shows at each image token, found again by hand: the picture's tile, its patches in the order that was asked for.
fn check(batch: &Batch, dataset: &Dataset, look: &Look) -> usize {
    let (each, patch) = (look.seeing.tokens(), look.seeing.patch as usize);
    let prepared: Vec<_> = PICTURES
        .iter()
        .map(|bytes| look.seeing.preparation.apply(&Picture::decode(bytes, &Bounds::default()).unwrap()))
        .collect();
    let size = 3 * patch * patch * look.order.len();
    for number in 0..batch.rows * look.tiles {
        let rows = &batch.tiles.rows[number * each..][..each];
        let used = number < batch.tiles.used();
        let places = &batch.tiles.places[number * look.order.len()..][..look.order.len()];
        assert!(
            places.iter().zip(&look.order).all(|(&place, &at)| place == if used { at as i32 } else { -1 })
        );
        assert_eq!(rows.iter().any(|&row| row >= 0), used);
        for &row in rows.iter().filter(|&&row| row >= 0) {
            assert_eq!(batch.tokens[row as usize], look.image);
            assert!(row == 0 || batch.weights[row as usize - 1] == 0.0);
        }
        let shown = &batch.tiles.pixels[number * size..][..size];
        let mut out = vec![0.0; size];
        let mut known =
            prepared.iter().flat_map(|tiles| (0..tiles.layout().tiles()).map(move |tile| (tiles, tile)));
        assert!(
            !used
                || known.any(|(tiles, tile)| {
                    tiles.patches(tile, patch, &look.seeing.preparation, &look.order, &mut out);
                    out == shown
                })
        );
    }
    let shown = batch.tiles.rows.iter().filter(|&&row| row >= 0).count();
    assert_eq!(shown, batch.tokens.iter().filter(|&&token| token == look.image).count());
    assert_eq!(dataset.tokenizer().token_text(look.image as u32), "<image>");
    shown
}

#[test]
fn rows_hold_whole_documents_and_show_what_their_tokens_stand_for() {
    let (_folder, dataset) = built();
    let look = look(&dataset);
    let split = dataset.train();
    let order = Order::seeing(split.clone(), 3, SEQ, Some(look.clone())).unwrap();
    let mut batch = Batch::new();
    let (mut tokens, mut shown) = (0, 0);
    for row in 0..order.epoch_rows() {
        order.rows(row, 1, &mut batch).unwrap();
        shown += check(&batch, &dataset, &look);
        tokens += (0..SEQ).filter(|&at| batch.targets[at] >= 0 || batch.lo[at] + 1 < batch.hi[at]).count();
        assert!(batch.tiles.used() <= TILES);
    }
    assert_eq!(shown as u64, split_tiles(&dataset) * 4);
    assert!(tokens > 0);
    // The longest document has 36 tiles and more tokens than a row: it is shown in parts, and none is lost.
    let long =
        (0..split.documents()).map(|document| split.document(document)).map(|range| range.end - range.start);
    assert!(long.max().unwrap() as usize > SEQ);
    // Rows of a step are those of the run, whatever stood in the batch before.
    let (mut again, mut two) = (Batch::new(), Batch::new());
    order.rows(4, 2, &mut two).unwrap();
    order.rows(5, 1, &mut again).unwrap();
    assert_eq!(again.tokens, two.tokens[SEQ..]);
    let before = two.clone();
    order.rows(0, 2, &mut two).unwrap();
    order.rows(4, 2, &mut two).unwrap();
    assert_eq!(
        (&before.tokens, &before.tiles.rows, &before.tiles.places),
        (&two.tokens, &two.tiles.rows, &two.tiles.places)
    );
    assert_eq!(
        before.tiles.pixels[..before.tiles.used() * 768],
        two.tiles.pixels[..before.tiles.used() * 768]
    );
}

fn split_tiles(dataset: &Dataset) -> u64 {
    dataset.manifest().train.tiles
}

#[test]
fn the_held_out_set_is_the_same_whatever_its_rows() {
    let (_folder, dataset) = built();
    let count = |seq: usize, tiles: usize| {
        let look = dataset.look().map(|look| Look { tiles, ..look.clone() });
        let set =
            EvalSet::seeing(dataset.eval().clone(), dataset.tokenizer(), seq, 1 << 20, look.clone()).unwrap();
        let mut batch = Batch::new();
        let mut targets = 0;
        for row in 0..set.rows() {
            set.batch(row, 1, &mut batch).unwrap();
            check(&batch, &dataset, look.as_ref().unwrap());
            targets += batch.weights.iter().filter(|&&weight| weight > 0.0).count() as u64;
        }
        assert_eq!(targets, set.targets());
        (set.targets(), set.bytes(), set.words())
    };
    assert_eq!(count(SEQ, TILES), count(1024, 64));
    assert_eq!(count(40, 2), count(1024, 64));
}

#[test]
fn a_broken_image_names_its_document_or_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    std::fs::write(folder.path().join("cut.png"), &PICTURES[2][..60]).unwrap();
    let out = folder.path().join("data");
    for (image, expected) in [
        ("cut.png", "cannot be decoded"),
        ("none.png", "check the path"),
        ("https://example.com/a.png", "nothing is downloaded"),
        ("data:image/png;base64,!!", "no base64"),
        ("a.jsonl", "none of PNG"),
    ] {
        let good: String = (0..9).map(|at| format!("{{\"text\":\"good {at}\"}}\n")).collect();
        let line =
            format!("{{\"id\":\"bad\",\"segments\":[{{\"image\":\"{image}\"}},{{\"text\":\"x\"}}]}}\n");
        std::fs::write(&file, format!("{good}{line}")).unwrap();
        let strict = BuildConfig { strict: true, force: true, ..config(&file) };
        let said = data::build(&strict, &out, &mut |_| ()).unwrap_err().to_string();
        assert!(said.contains("a.jsonl:10") && said.contains(expected), "{said}");
        let config = BuildConfig { skip_broken_images: true, ..strict };
        let config = BuildConfig { strict: false, ..config };
        let manifest = data::build(&config, &out, &mut |_| ()).unwrap().manifest;
        assert_eq!(manifest.counts.broken_images + manifest.counts.malformed, 1, "{image}");
        assert!(manifest.counts.places[0].contains(expected));
        assert_eq!((manifest.seeing, manifest.tokenizer.vocab_size), (None, 259));
    }
}

#[test]
fn threads_change_nothing_and_other_preparations_are_other_data() {
    let folder = tempfile::tempdir().unwrap();
    source(&folder.path().join("source"));
    let build = |name: &str, change: fn(&mut BuildConfig)| {
        let mut config = config(&folder.path().join("source/a.jsonl"));
        change(&mut config);
        data::build(&config, &folder.path().join(name), &mut |_| ()).unwrap().manifest.data_hash()
    };
    let one = build("one", |_| ());
    assert_eq!(one, build("four", |config| config.threads = 4));
    assert_ne!(one, build("coarse", |config| config.seeing.preparation.tile = 32));
    let said = build_error(&folder.path().join("source/a.jsonl"), &folder.path().join("none"));
    assert!(said.contains("--longest-edge 16"), "{said}");
}

fn build_error(file: &Path, out: &Path) -> String {
    let config = BuildConfig { seeing: Seeing { grid: 1, ..seeing() }, ..config(file) };
    data::build(&config, out, &mut |_| ()).unwrap_err().to_string()
}

#[test]
fn documents_may_hold_bytes_of_images() {
    let image = SegmentKind::Image(ImageRef::Bytes(PICTURES[0].to_vec()));
    let document = |weight| Document {
        id: "d".into(),
        source: "s".into(),
        segments: vec![Segment { kind: image.clone(), weight }, Segment::text("t")],
    };
    assert_eq!(document(1.0).images().count(), 1);
    assert_ne!(document(1.0).content_hash(), document(0.5).content_hash());
    let _: Arc<Document> = Arc::new(document(0.0));
}
