//! Recipes over every kind of table, and pictures with captions.

#[path = "common/samples.rs"]
mod samples;

use std::fs;
use std::path::Path;

use data::picture::Preparation;
use data::{BuildConfig, Dataset, ImageRef, Recipe, Seeing, SegmentKind, Source, TokenizerChoice};
use samples::PICTURES;

const MOST: usize = 1 << 20;

fn recipe(folder: &Path, text: &str) -> Result<Recipe, String> {
    let path = folder.join("recipe.toml");
    fs::write(&path, text).unwrap();
    Recipe::open(&path, MOST)
}

/// Twelve rows, each a picture with a number from 0 to 3; every third is held out.
fn table(folder: &Path) {
    let mut lines = String::new();
    for at in 0..12 {
        fs::write(folder.join(format!("{at}.png")), PICTURES[2]).unwrap();
        let split = if at % 3 == 0 { "test" } else { "train" };
        lines += &format!("{{\"image\": \"{at}.png\", \"label\": {}, \"split\": \"{split}\"}}\n", at % 4);
    }
    fs::write(folder.join("rows.jsonl"), lines).unwrap();
}

const TWO: &str = r#"
[rows]
path = "rows.jsonl"
held_out = "split == 'test'"
[augment]
copies = 3
shift = 0.1
turn = 5
noise = 9
[[document]]
family = "one"
prompt = "{{ image }}Which?\n"
answer = "{{ label }}"
choices = ["0", "1", "2", "3"]
[[document]]
family = "two"
rows = 2
prompt = "{{ a.image }}and {{ b.image }}larger?\n"
answer = "{{ 'yes' if a.label > b.label else 'no' }}"
choices = ["yes", "no"]
"#;

#[test]
fn rows_become_documents_by_their_templates() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path());
    let recipe = recipe(folder.path(), TWO).unwrap();
    assert_eq!((recipe.count(false), recipe.count(true)), (8 * 3 * 2, 4 * 2));
    let (mut answers, mut pictures) = (std::collections::BTreeMap::new(), std::collections::BTreeSet::new());
    for number in 0..recipe.count(false) {
        let posed = recipe.posed(false, number).unwrap();
        assert_eq!(posed, recipe.posed(false, number).unwrap());
        let images: Vec<&ImageRef> = posed
            .prompt
            .iter()
            .filter_map(|kind| match kind {
                SegmentKind::Image(image) => Some(image),
                _ => None,
            })
            .collect();
        assert_eq!(images.len(), if posed.family == "two" { 2 } else { 1 });
        let asked = if posed.family == "two" { "larger?" } else { "Which?" };
        assert_eq!(posed.prompt.last(), Some(&SegmentKind::Text(asked.into())));
        for image in images {
            let ImageRef::Bytes(bytes) = image else { panic!("{image:?} was not changed") };
            pictures.insert(bytes.clone());
        }
        *answers.entry((posed.family, posed.answer)).or_insert(0) += 1;
    }
    // Each answer about as often as the next, though there are more pairs that are not larger.
    assert!(answers.len() == 6 && answers.values().all(|&count| count >= 2), "{answers:?}");
    assert!(pictures.len() > 60, "{}", pictures.len());
    // What is held out is as it was.
    for number in 0..recipe.count(true) {
        let posed = recipe.posed(true, number).unwrap();
        assert!(posed.prompt.iter().all(|kind| !matches!(kind, SegmentKind::Image(ImageRef::Bytes(_)))));
    }
}

#[test]
fn what_is_no_recipe_is_told() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path());
    for (from, to, said) in [
        ("rows.jsonl", "none.jsonl", "none.jsonl"),
        ("split == 'test'", "split ==", "held_out"),
        ("split == 'test'", "colour == 'test'", "held_out"),
        ("rows = 2", "rows = 99", "rows = 99"),
        ("copies = 3", "copies = 0", "copies"),
        ("family = \"one\"", "famly = \"one\"", "famly"),
    ] {
        let error = recipe(folder.path(), &TWO.replace(from, to)).err().unwrap_or_default();
        assert!(error.contains(said), "{to}: {error}");
    }
    for (from, to, said) in [
        ("{{ label }}", "{{ lable }}", "undefined"),
        ("{{ label }}", "{{ label }", "syntax"),
        ("{{ label }}", "{% for i in range(100000000) %}{% endfor %}", "fuel"),
        ("{{ label }}", "{{ label + 7 }}", "none of the choices"),
    ] {
        let recipe = recipe(folder.path(), &TWO.replace(from, to)).unwrap();
        let error = recipe.posed(false, 0).unwrap_err();
        assert!(error.contains(said) || error.contains("range"), "{to}: {error}");
    }
}

/// Rows with choices, a level and a description of their own, or with none.
#[test]
fn rows_tell_their_choices_level_and_what_pictures_show() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("0.jpg"), PICTURES[0]).unwrap();
    let (width, height) = data::picture::Picture::size(PICTURES[0], &Default::default()).unwrap();
    fs::write(
        folder.path().join("rows.jsonl"),
        r#"{"image": "0.jpg", "q": "Which <image1>?", "options": ["a", "b"], "answer": "B", "level": 3, "kind": "odd"}
{"image": "0.jpg", "q": "How many?", "options": [], "answer": "12", "level": 1, "kind": "even", "told": "Dots."}
"#,
    )
    .unwrap();
    let edge = width.max(height) - 4;
    let text = format!(
        r#"
[rows]
path = "rows.jsonl"
held_out = "true"
longest_edge = {edge}
[[document]]
family = "{{{{ kind }}}}"
level = "{{{{ level }}}}"
prompt = "{{{{ q | split('<image1>', 1) | join(image) if '<image1>' in q else image ~ q }}}}\n"
answer = "{{{{ answer }}}}"
choices = "['A', 'B', 'C'][:options | length]"
transcription = ["{{{{ told | default('', true) }}}}"]
"#
    );
    let all = recipe(folder.path(), &text).unwrap();
    let posed: Vec<_> = (0..2).map(|number| all.posed(true, number).unwrap()).collect();
    let told: Vec<_> =
        posed.iter().map(|p| (p.family.as_str(), p.level, p.answer.as_str(), p.choices.len())).collect();
    assert_eq!(told, [("odd", 3, "B", 2), ("even", 1, "12", 0)]);
    assert_eq!(posed[1].transcription, ["Dots."]);
    let texts: Vec<_> =
        posed[0].prompt.iter().filter(|kind| matches!(kind, SegmentKind::Text(_))).cloned().collect();
    assert_eq!(texts, [SegmentKind::Text("Which ".into()), SegmentKind::Text("?".into())]);
    let SegmentKind::Image(ImageRef::Bytes(scaled)) = &posed[0].prompt[1] else {
        panic!("{:?}", posed[0].prompt)
    };
    let scaled = data::picture::Picture::size(scaled, &Default::default()).unwrap();
    assert!(scaled.0.max(scaled.1) == edge && scaled.0.min(scaled.1) < width.min(height), "{scaled:?}");
    for (from, to, said) in [
        ("level = \"{{ level }}\"", "level = \"{{ kind }}\"", "level"),
        ("['A', 'B', 'C'][:options", "['A', 'A', 'C'][:options", "twice"),
        ("['A', 'B', 'C'][:options", "['X', 'Y', 'C'][:options", "none of the choices"),
        ("[:options | length]", "[:missing | length]", "choices"),
    ] {
        assert!(text.contains(from), "{from}");
        let error = recipe(folder.path(), &text.replace(from, to)).unwrap().posed(true, 0).unwrap_err();
        assert!(error.contains(said), "{to}: {error}");
    }
    let error = recipe(folder.path(), &text.replace(&format!("edge = {edge}"), "edge = 0")).err().unwrap();
    assert!(error.contains("longest_edge"), "{error}");
    // An exam alone is data that nothing is trained on.
    let out = folder.path().join("data");
    recipe(folder.path(), &text).unwrap();
    let manifest =
        data::build(&config(&folder.path().join("recipe.toml")), &out, &mut |_| ()).unwrap().manifest;
    assert_eq!((manifest.train.documents, manifest.eval.documents, manifest.eval.images), (0, 2, 2));
    Dataset::open(&out).unwrap().verify().unwrap();
}

fn config(source: &Path) -> BuildConfig {
    BuildConfig {
        sources: vec![Source::new(source.display().to_string())],
        tokenizer: TokenizerChoice::Bytes,
        holdout: 0.3,
        strict: true,
        seeing: Seeing { preparation: Preparation::new(Some(32), 32), ..Seeing::default() },
        ..BuildConfig::default()
    }
}

#[test]
fn a_build_of_a_recipe_holds_out_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path());
    recipe(folder.path(), TWO).unwrap();
    let out = folder.path().join("data");
    let config = BuildConfig { keep_duplicates: true, ..config(&folder.path().join("recipe.toml")) };
    let manifest = data::build(&config, &out, &mut |_| ()).unwrap().manifest;
    assert_eq!((manifest.train.documents, manifest.eval.documents), (48, 8));
    assert_eq!((manifest.train.images, manifest.eval.images), (24 + 48, 4 + 8));
    Dataset::open(&out).unwrap().verify().unwrap();
}

fn archive(path: &Path, members: &[(&str, &[u8])]) {
    let mut builder = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.finish().unwrap();
}

#[test]
fn archives_and_folders_of_captioned_pictures_are_documents() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    for at in 0..4 {
        fs::write(source.join(format!("sub/{at}.jpg")), PICTURES[0]).unwrap();
        fs::write(source.join(format!("sub/{at}.txt")), format!("caption {at}\n")).unwrap();
    }
    // Named by nobody, so not read.
    fs::write(source.join("lonely.png"), b"no picture at all").unwrap();
    let json = br#"{"label": 3}"#;
    let members: [(&str, &[u8]); 5] = [
        ("x/000.jpg", PICTURES[0]),
        ("x/000.txt", b"in an archive\n"),
        ("x/001.png", PICTURES[2]),
        ("x/001.json", json),
        ("x/001.txt", b"another"),
    ];
    archive(&source.join("shard.tar"), &members);
    let manifest = data::build(&config(&source), &folder.path().join("data"), &mut |_| ()).unwrap().manifest;
    assert_eq!(manifest.train.documents + manifest.eval.documents, 6);
    assert_eq!(manifest.train.images + manifest.eval.images, 6);
    assert_eq!(manifest.counts.malformed, 0);
    // The same as tables of a recipe.
    let text = |path: &str, answer: &str| {
        format!(
            "[rows]\npath = \"{path}\"\n[[document]]\nprompt = \"{{{{ image }}}}\"\nanswer = \"{answer}\"\n"
        )
    };
    let of_archive = recipe(&source, &text("shard.tar", "{{ txt }} {{ key }}")).unwrap();
    assert_eq!(of_archive.posed(false, 1).unwrap().answer, "another x/001");
    let of_folder = recipe(&source, &text("sub", "{{ label }} {{ name }}: {{ txt }}")).unwrap();
    assert_eq!(
        (of_folder.count(false), of_folder.posed(false, 2).unwrap().answer),
        (4, "sub 2: caption 2".into())
    );
    // Cut off, or none.
    let whole = fs::read(source.join("shard.tar")).unwrap();
    for cut in [0, 100, 700, whole.len() / 2] {
        fs::write(source.join("shard.tar"), &whole[..cut]).unwrap();
        let _ = recipe(&source, &text("shard.tar", "x"));
    }
}

#[test]
fn parquet_holds_bytes_numbers_and_lists() {
    use arrow_array::{ArrayRef, BinaryArray, BooleanArray, Int32Array, RecordBatch, StringArray};
    use std::sync::Arc;
    let folder = tempfile::tempdir().unwrap();
    let columns: [(&str, ArrayRef); 4] = [
        ("image", Arc::new(BinaryArray::from(vec![PICTURES[2], PICTURES[0]]))),
        ("label", Arc::new(Int32Array::from(vec![Some(7), None]))),
        ("held", Arc::new(BooleanArray::from(vec![true, false]))),
        ("name", Arc::new(StringArray::from(vec!["a", "b"]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs::File::create(folder.path().join("t.parquet")).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let text = "[rows]\npath = \"t.parquet\"\nheld_out = \"held\"\n[[document]]\nprompt = \"{{ image }}\"\n\
                answer = \"{{ name }}{{ label if label else '' }}\"\n";
    let recipe = recipe(folder.path(), text).unwrap();
    assert_eq!((recipe.count(false), recipe.count(true)), (1, 1));
    assert_eq!(recipe.posed(true, 0).unwrap().answer, "a7");
    assert_eq!(recipe.posed(false, 0).unwrap().answer, "b");
    assert_eq!(
        recipe.posed(true, 0).unwrap().prompt,
        [SegmentKind::Image(ImageRef::Bytes(PICTURES[2].to_vec()))]
    );
}
