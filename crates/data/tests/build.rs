//! From files to a data folder: every form gives the same data, odd bytes are counted, what is held out is not
//! trained on, and a folder that was tampered with is found out.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{RecordBatch, StringArray};
use common::sentences;
use data::{BuildConfig, Counts, Dataset, InvalidUtf8, Manifest, Source, Split, TokenizerChoice};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// A build of bytes from these sources.
fn config<'a>(sources: impl IntoIterator<Item = &'a Path>) -> BuildConfig {
    BuildConfig {
        sources: sources.into_iter().map(|path| Source::new(path.to_str().unwrap())).collect(),
        tokenizer: TokenizerChoice::Bytes,
        holdout: 0.2,
        cut_bytes: 0,
        ..BuildConfig::default()
    }
}

/// The folder that a configuration makes.
fn built(config: &BuildConfig) -> (tempfile::TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("data");
    data::build(config, &out, &mut |_| ()).unwrap_or_else(|error| panic!("{error}"));
    let data = Dataset::open(&out).unwrap();
    data.verify().unwrap();
    (folder, data)
}

fn refusal(config: &BuildConfig) -> String {
    let folder = tempfile::tempdir().unwrap();
    let error = data::build(config, &folder.path().join("data"), &mut |_| ()).unwrap_err().to_string();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{error}: something is left");
    error
}

/// The documents of a split, decoded.
fn texts(data: &Dataset, split: &Split) -> Vec<String> {
    (0..split.documents())
        .map(|number| {
            let range = split.document(number);
            let mut tokens = vec![0; (range.end - range.start) as usize];
            split.read(range.start, &mut tokens).unwrap();
            data.tokenizer().decode(&tokens.iter().map(|&id| id as u32).collect::<Vec<_>>())
        })
        .collect()
}

/// Those of both splits, sorted.
fn all_texts(data: &Dataset) -> Vec<String> {
    let mut all = [texts(data, data.train()), texts(data, data.eval())].concat();
    all.sort();
    all
}

fn counts(data: &Dataset) -> &Counts {
    &data.manifest().counts
}

/// Writes a file below a folder, which is made, and returns where.
fn put(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

fn lines<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> String {
    texts.into_iter().map(|text| serde_json::json!({"text": text.as_ref()}).to_string() + "\n").collect()
}

fn table(texts: &[String], compression: Compression) -> Vec<u8> {
    let column = Arc::new(StringArray::from(texts.to_vec()));
    let batch = RecordBatch::try_from_iter([("text", column as arrow_array::ArrayRef)]).unwrap();
    let settings = WriterProperties::builder().set_compression(compression).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(settings)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

#[test]
fn every_form_of_the_same_documents_gives_the_same_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut texts = sentences(60);
    let jsonl = lines(&texts);
    for (number, text) in texts.iter().enumerate() {
        put(folder.path(), &format!("plain/{number:03}.txt"), text);
    }
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let tables = [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())];
    let [bare, snappy, packed] = tables.map(|compression| table(&texts, compression));
    for (name, bytes) in [
        ("lines.jsonl", jsonl.clone().into_bytes()),
        ("lines.jsonl.gz", gzip(jsonl.as_bytes())),
        ("lines.jsonl.zst", zstd(jsonl.as_bytes())),
        ("bare.parquet", bare.clone()),
        ("snappy.parquet", snappy),
        ("zstd.parquet", packed),
        ("whole.parquet.gz", gzip(&bare)),
    ] {
        put(folder.path(), name, bytes);
    }
    texts.sort();
    let mut hashes = BTreeSet::new();
    let names = ["plain", "lines.jsonl", "lines.jsonl.gz", "lines.jsonl.zst", "bare.parquet"];
    for name in names.into_iter().chain(["snappy.parquet", "zstd.parquet", "whole.parquet.gz"]) {
        for threads in [1, 3] {
            let path = folder.path().join(name);
            let (_folder, data) = built(&BuildConfig { threads, ..config([path.as_path()]) });
            assert_eq!(all_texts(&data), texts, "{name}");
            assert!(data.eval().documents() > 1, "{name}");
            data.verify_split().unwrap();
            hashes.insert(data.manifest().data_hash());
        }
    }
    assert_eq!(hashes.len(), 1);
}

#[test]
fn a_folder_of_many_kinds_is_read_and_what_is_no_text_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("a.txt", "plain text"),
        ("b/notes.md", "# Notes"),
        ("b/c/run.py", "print('hello')\n"),
        ("b/c/Makefile", "all:\n\ttrue\n"),
        ("b/LICENSE", "Do what you like."),
    ];
    for (name, text) in files {
        put(folder.path(), name, text);
    }
    put(folder.path(), "b/picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    put(folder.path(), "b/two.jsonl", lines(["one", "two"]));
    let (_folder, data) = built(&config([folder.path()]));
    let mut expected: Vec<_> = files.iter().map(|(_, text)| text.to_string()).collect();
    expected.extend(["one".into(), "two".into()]);
    expected.sort();
    assert_eq!(all_texts(&data), expected);
    assert_eq!((counts(&data).documents, counts(&data).malformed), (7, 1));
    assert!(counts(&data).places[0].contains("b/picture"), "{:?}", counts(&data).places);
}

#[test]
fn odd_bytes_survive_or_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "latin.txt", b"caf\xe9 au lait");
    put(folder.path(), "nul.txt", "a\0b");
    put(folder.path(), "mark.txt", b"\xef\xbb\xbfmarked");
    put(folder.path(), "wide.txt", b"\xff\xfeh\0i\0");
    let long = lines(["before", &"x".repeat(5000), "behind"]);
    put(folder.path(), "long.jsonl", [long.as_bytes(), b"{\"text\": \"b\xffd\"}\n"].concat());
    let numbered = |number| format!("{number}: one two three four five six seven eight nine ten\n");
    let plain = (0..50).map(numbered).collect::<String>() + &"é".repeat(1000);
    put(folder.path(), "plain.txt", &plain);

    let mut config = BuildConfig { record_bytes: 1024, holdout: 0.0, ..config([folder.path()]) };
    let (_folder, data) = built(&config);
    let read = texts(&data, data.train());
    let (parts, whole): (Vec<_>, Vec<_>) =
        read.into_iter().partition(|text| text.len() > 200 && !text.starts_with('x'));
    assert!(parts.iter().all(|part| part.len() <= 1024));
    // The parts of one file stand in its order.
    assert_eq!(parts.concat(), plain);
    assert_eq!(whole, ["caf\u{fffd} au lait", "before", "behind", "b\u{fffd}d", "marked", "a\0b"]);
    let told = counts(&data);
    assert_eq!((told.parts, told.invalid_utf8, told.malformed), (parts.len() as u64, 2, 2), "{told:?}");
    let place = |what: &str| told.places.iter().filter(|place| place.contains(what)).count();
    assert_eq!((place("long.jsonl:2"), place("UTF-16")), (1, 1), "{told:?}");

    config.invalid_utf8 = InvalidUtf8::Skip;
    let (_folder, data) = built(&config);
    assert_eq!((counts(&data).invalid_utf8, counts(&data).malformed), (0, 4));
    config.strict = true;
    assert!(refusal(&config).contains("latin.txt"));
}

#[test]
fn duplicates_are_dropped_or_kept_on_one_side() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..40).map(|number| format!("text {}", number % 20)).collect();
    let file = put(folder.path(), "twice.jsonl", lines(&texts));
    let (_folder, data) = built(&config([file.as_path()]));
    assert_eq!((all_texts(&data).len(), counts(&data).duplicates), (20, 20));
    let (_folder, data) = built(&BuildConfig { keep_duplicates: true, ..config([file.as_path()]) });
    assert_eq!((all_texts(&data).len(), counts(&data).duplicates), (40, 0));
    assert!(data.eval().documents() > 0);
    data.verify_split().unwrap();
}

#[test]
fn rules_drop_and_redact_what_they_name_and_count_it() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "[[rule]]\nname = 'weeds'\nwords = ['nettle', 'thistle']\nat_least = 2\n\
                 [[rule]]\nname = 'mail'\npattern = '\\w+@\\w+\\.org'\naction = 'redact'\n";
    let rules = put(folder.path(), "rules.toml", rules);
    let kept = ["one nettle", "write to [redacted] or [redacted]", "nothing here", "or here"];
    let read = ["one nettle", "a Nettle and a thistle", "write to a@b.org or c@d.org", kept[2], kept[3]];
    let file = put(folder.path(), "garden.jsonl", lines(read));
    let (_folder, data) = built(&BuildConfig { rules: Some(rules), ..config([file.as_path()]) });
    let mut expected = kept.to_vec();
    expected.sort_unstable();
    assert_eq!(all_texts(&data), expected);
    assert_eq!(counts(&data).dropped, [("weeds".to_string(), 1)].into());
    assert_eq!(counts(&data).redacted, [("mail".to_string(), 2)].into());
}

#[test]
fn images_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let image = r#"{"segments": [{"text": "see"}, {"image": "cat.png"}]}"#;
    let file = put(folder.path(), "mixed.jsonl", lines(["words", "more words"]) + image);
    let error = refusal(&config([file.as_path()]));
    assert!(error.contains("mixed.jsonl:3") && error.contains("image"), "{error}");
}

#[test]
fn a_source_that_is_kept_back_is_not_trained_on_from_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let back: Vec<String> = (0..20).map(|number| format!("kept back {number}")).collect();
    // Some of them are also in the other source, as copies; and the folder holds the file itself.
    let open: Vec<String> =
        (0..30).map(|number| format!("open {number}")).chain(back[3..9].to_vec()).collect();
    put(folder.path(), "all/open.jsonl", lines(&open));
    let kept = put(folder.path(), "all/kept.jsonl", lines(&back));
    let mut config = BuildConfig { holdout: 0.0, ..config([folder.path().join("all").as_path(), &kept]) };
    config.sources[1].holdout = Some(1.0);
    let (_folder, data) = built(&config);
    assert_eq!(texts(&data, data.train()), open[..30]);
    assert_eq!(texts(&data, data.eval()), back);
    let of = |source: usize| {
        let source = &data.manifest().sources[source];
        (source.files, source.train.documents, source.eval.documents)
    };
    assert_eq!((of(0), of(1)), ((1, 30, 0), (1, 0, 20)));

    // Nor does the tokenizer see it: alone, the others give the same one.
    let tokenizer = |config: &BuildConfig| {
        let config = BuildConfig { tokenizer: TokenizerChoice::Train(Some(290)), ..config.clone() };
        built(&config).1.tokenizer().json().to_vec()
    };
    let alone = put(folder.path(), "alone.jsonl", lines(&open[..30]));
    let alone = BuildConfig { sources: vec![Source::new(alone.to_str().unwrap())], ..config.clone() };
    assert!(tokenizer(&config) == tokenizer(&alone));

    // Where others are mixed it needs no weight, and can have none.
    config.sources[0].weight = Some(2.0);
    assert_eq!(built(&config).1.eval().documents(), 20);
    config.sources[1].weight = Some(1.0);
    assert!(refusal(&config).contains("held out altogether"));
    config.sources[1].weight = None;
    config.keep_duplicates = true;
    assert!(refusal(&config).contains("duplicates"));
}

#[test]
fn a_weighted_source_with_nothing_to_train_on_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let texts = sentences(40);
    let all = put(folder.path(), "all.jsonl", lines(&texts));
    let some = put(folder.path(), "some.jsonl", lines(&texts[..5]));
    let mut config = config([all.as_path(), &some]);
    config.sources.iter_mut().for_each(|source| source.weight = Some(1.0));
    let error = refusal(&config);
    assert!(error.contains("some.jsonl") && error.contains("weight"), "{error}");
}

#[cfg(unix)]
#[test]
fn links_that_cannot_be_followed_are_counted_or_fatal() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "in/a.jsonl", lines(sentences(9)));
    std::os::unix::fs::symlink("nowhere", folder.path().join("in/gone.txt")).unwrap();
    std::os::unix::fs::symlink("..", folder.path().join("in/round")).unwrap();
    let mut config = config([folder.path().join("in").as_path()]);
    let (_folder, data) = built(&config);
    // Through the link to its parent the folder is met once more.
    assert_eq!((counts(&data).documents, counts(&data).malformed), (9, 2), "{:?}", counts(&data));
    let told = counts(&data).places.join("\n");
    assert!(told.contains("in/gone.txt") && told.contains("in/round/in"), "{told}");
    config.strict = true;
    assert!(refusal(&config).contains("in/gone.txt"));
}

#[cfg(unix)]
#[test]
fn what_may_have_no_end_is_refused_wherever_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let text = put(folder.path(), "text.jsonl", lines(sentences(9)));
    for endless in [Path::new("/dev/zero"), &pipe] {
        let at = || Some(endless.to_path_buf());
        for config in [
            config([endless]),
            BuildConfig { rules: at(), ..config([text.as_path()]) },
            BuildConfig { held_out: at(), ..config([text.as_path()]) },
            BuildConfig { tokenizer: TokenizerChoice::File(endless.into()), ..config([text.as_path()]) },
        ] {
            let error = refusal(&config);
            assert!(error.contains(endless.to_str().unwrap()), "{error}");
            assert!(error.contains("no regular file"), "{error}");
        }
    }
}

#[test]
fn a_build_stops_in_the_middle_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    // No text, as its first bytes say; the rest, which takes minutes, is read for its hash alone.
    let file = folder.path().join("holes");
    fs::File::create(&file).unwrap().set_len(1 << 40).unwrap();
    for threads in [1, 2] {
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (asked, config) = (stop.clone(), BuildConfig { threads, ..config([file.as_path()]) });
        let out = folder.path().join("data");
        let build = std::thread::spawn(move || data::build_until(&config, &out, &asked, &mut |_| ()));
        std::thread::sleep(std::time::Duration::from_millis(100));
        let begin = std::time::Instant::now();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let outcome = build.join().unwrap();
        assert!(matches!(outcome, Err(data::Error::Stopped)), "{outcome:?}");
        assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_was_tampered_with_is_found_out() {
    let source = tempfile::tempdir().unwrap();
    let file = put(source.path(), "a.jsonl", lines(sentences(60)));
    let mut config = config([file.as_path()]);
    let (folder, data) = built(&config);
    assert!(data.foreign().unwrap().is_empty());
    put(data.folder(), "train-00001.tokens", "");
    put(data.folder(), "a note", "");
    let data = Dataset::open(data.folder()).unwrap();
    data.verify().unwrap();
    assert_eq!(data.foreign().unwrap(), ["a note", "train-00001.tokens"]);

    // Each file in turn: removed, and with a byte more.
    for name in ["special_tokens_map.json", "tokenizer_config.json", "train-00000.index", "eval-00000.tokens"]
    {
        let path = data.folder().join(name);
        let whole = fs::read(&path).unwrap();
        let error = || {
            let opened = Dataset::open(data.folder());
            opened.and_then(|data| data.verify()).expect_err(name).to_string()
        };
        fs::write(&path, [whole.as_slice(), b"\n"].concat()).unwrap();
        assert!(error().contains(name), "{}", error());
        fs::remove_file(&path).unwrap();
        assert!(error().contains(name), "{}", error());
        fs::write(&path, whole).unwrap();
    }
    data.verify().unwrap();

    // A train split that holds what is held out, with a manifest that fits it.
    config.holdout = 0.0;
    let (other_folder, other) = built(&config);
    let mut manifest: Manifest = data.manifest().clone();
    manifest.train = other.manifest().train.clone();
    manifest.sources[0].train = other.manifest().sources[0].train;
    for name in ["train-00000.tokens", "train-00000.index"] {
        fs::copy(other.folder().join(name), data.folder().join(name)).unwrap();
    }
    let write = |manifest: &Manifest| {
        put(data.folder(), "manifest.json", serde_json::to_vec(manifest).unwrap());
        Dataset::open(data.folder()).unwrap()
    };
    let tampered = write(&manifest);
    tampered.verify().unwrap();
    let error = tampered.verify_split().unwrap_err().to_string();
    assert!(error.contains("also held out"), "{error}");
    manifest.train.words += 1;
    let error = write(&manifest).verify().unwrap_err().to_string();
    assert!(error.contains("manifest.json"), "{error}");
    drop((folder, other_folder));
}
