//! The map is true: what `ARCHITECTURE.md` and `README.md` say of crates, dependencies, invariants and
//! verbs is what stands in the manifests, the sources and the program's own help. (That every verb's help
//! has an example is tested in `verbs/help.rs`.)

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of a source file, at most.
const LONGEST: usize = 900;

/// Crates that get bytes, seeds, instruction set and threads as arguments, and nothing by themselves.
const PURE: [&str; 4] = ["kernels", "engine", "model", "scaling"];

/// What only the world outside has.
const OUTSIDE: [&str; 7] =
    ["std::fs", "std::env", "std::time", "std::net", "std::process", "std::io::stdin", "println!"];

/// The one exception: a memory map is made of a file that somebody else opened.
const MAP: &str = "crates/kernels/src/map.rs";

type Edges = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The rows of the first table below a heading, each as its cells; the two rows of its head are left out.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let below = text.lines().skip_while(|line| *line != heading).skip(1);
    let rows = below.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect::<Vec<_>>()
    };
    let rows: Vec<_> = rows.skip(2).map(cells).collect();
    assert!(!rows.is_empty(), "{document} has no table below '{heading}'");
    rows
}

/// What stands between backquotes.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(String::from).collect()
}

fn manifest(folder: &Path) -> toml::Table {
    read(folder.join("Cargo.toml")).parse().unwrap()
}

fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> =
        fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() > 5, "the crates are not where they were");
    folders
}

fn names() -> BTreeSet<String> {
    folders().iter().map(|folder| folder.file_name().unwrap().to_str().unwrap().into()).collect()
}

/// Everything a manifest names, for the program and for its tests.
fn dependencies(folder: &Path) -> BTreeSet<String> {
    let manifest = manifest(folder);
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let named = sections.iter().filter_map(|section| manifest.get(*section)?.as_table());
    named.flat_map(|table| table.keys().cloned()).collect()
}

/// The edges of the map.
fn edges() -> Edges {
    let own = names();
    let row = |cells: Vec<String>| {
        let name = quoted(&cells[0]).remove(0);
        let all = || own.iter().filter(|other| **other != name).cloned().collect();
        let to = if cells[2] == "all" { all() } else { quoted(&cells[2]).into_iter().collect() };
        (name, to)
    };
    table("ARCHITECTURE.md", "## Crates").into_iter().map(row).collect()
}

/// All that stands below a crate.
fn below(edges: &Edges, name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&String> = edges[name].iter().collect();
    while let Some(name) = next.pop() {
        if found.insert(name.clone()) {
            next.extend(&edges[name]);
        }
    }
    found
}

/// Every Rust file, as a path from the root.
fn sources() -> Vec<String> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let (root, mut files) = (root(), Vec::new());
    walk(&root.join("crates"), &mut files);
    walk(&root.join("fuzz"), &mut files);
    files.sort();
    files.iter().map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap().into()).collect()
}

/// Paths of the files that `wrong` finds something in, with what it found.
fn offences(wrong: impl Fn(&str, &str) -> Option<String>) -> Vec<String> {
    let find = |path: String| wrong(&path, &read(&path)).map(|what| format!("{path}: {what}"));
    sources().into_iter().filter_map(find).collect()
}

#[test]
fn crates_use_what_the_map_gives_them_and_no_more() {
    let (edges, own) = (edges(), names());
    let mapped: BTreeSet<_> = edges.keys().cloned().collect();
    assert_eq!(mapped, own, "the map in ARCHITECTURE.md (left) and the folders in crates/ (right)");
    for folder in folders() {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let allowed = below(&edges, name);
        assert!(!allowed.contains(name), "{name} stands below itself");
        let used: BTreeSet<_> = dependencies(&folder).intersection(&own).cloned().collect();
        let more: Vec<_> = used.difference(&allowed).collect();
        assert!(more.is_empty(), "crates/{name} uses {more:?}, which the map does not give it");
        let less: Vec<_> = edges[name].difference(&used).collect();
        assert!(less.is_empty(), "the map gives crates/{name} {less:?}, which it does not use");
    }
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let own = names();
    let mut used: BTreeSet<String> = folders().iter().flat_map(|folder| dependencies(folder)).collect();
    used.extend(dependencies(&root().join("fuzz")));
    let used: BTreeSet<_> = used.difference(&own).cloned().collect();
    let mut stated = BTreeSet::new();
    for row in table("ARCHITECTURE.md", "## Dependencies") {
        assert!(row[1].split_whitespace().count() >= 3, "{}: '{}' is no reason", row[0], row[1]);
        stated.extend(quoted(&row[0]));
    }
    assert_eq!(stated, used, "the reasons in ARCHITECTURE.md (left) and the manifests (right)");
}

#[test]
fn invariants_name_tests_that_exist() {
    let rows = table("ARCHITECTURE.md", "## Invariants");
    assert_eq!(rows.len(), 10, "the design has ten");
    for row in rows {
        let tests: Vec<_> = quoted(&row[2]);
        assert!(!tests.is_empty(), "invariant {} names no test", row[0]);
        for test in tests {
            let (path, name) = test.split_once("::").unwrap_or_else(|| panic!("{test}: write file::test"));
            assert!(read(path).contains(&format!("fn {name}(")), "{path} has no test {name}");
        }
    }
}

/// The code of a line, without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

#[test]
fn only_kernels_say_unsafe() {
    let word = concat!("un", "safe");
    let says = |line: &str| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        code(line).split(|c| !is_word(c)).any(|w| w == word)
    };
    assert!(says(&format!("    {word} {{ *p }}")) && !says(&format!("x // {word}")));
    // A test that counts allocations needs an allocator, and that cannot be had without.
    let counts = |path: &str, line: &str| {
        let parts = ["impl GlobalAlloc for", "fn alloc", "fn dealloc", "fn realloc", "{ System."];
        path.contains("/tests/") && parts.iter().any(|part| line.contains(&format!("{word} {part}")))
    };
    let found = offences(|path, text| {
        let line = text.lines().find(|line| says(line) && !counts(path, line))?;
        (!path.starts_with("crates/kernels/")).then(|| line.into())
    });
    assert!(found.is_empty(), "{found:#?}");
    let forbids = |path: &PathBuf| {
        let file = ["src/lib.rs", "src/main.rs"].map(|file| path.join(file));
        read(file.iter().find(|file| file.exists()).unwrap()).contains(&format!("#![forbid({word}_code)]"))
    };
    let lax: Vec<_> = folders().into_iter().filter(|path| !forbids(path)).collect();
    assert_eq!(lax, [root().join("crates/kernels")], "crates that do not forbid it");
}

#[test]
fn pure_crates_touch_nothing_outside() {
    let reaches = |text: &str| {
        let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let touches = |line: &&str| OUTSIDE.iter().any(|outside| code(line).contains(outside));
        program.lines().find(touches).map(String::from)
    };
    let is_pure = |path: &str| {
        PURE.iter().any(|name| path.starts_with(&format!("crates/{name}/src/")))
            && !path.ends_with("/tests.rs")
    };
    let found = offences(|path, text| if is_pure(path) && path != MAP { reaches(text) } else { None });
    assert!(found.is_empty(), "{found:#?}");
    assert!(reaches(&read(MAP)).is_some(), "{MAP} needs its exception no more");
}

#[test]
fn every_module_says_what_it_is_for() {
    let found = offences(|_, text| (!text.starts_with("//! ")).then(|| "does not begin with //!".into()));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_file_is_longer_than_one_can_hold_in_the_head() {
    let found = offences(|_, text| {
        let lines = text.lines().count();
        (lines > LONGEST).then(|| format!("{lines} lines: would two nouns read better than one?"))
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_is_left_to_be_written() {
    let marks = ["todo", "unimplemented"].map(|name| format!("{name}!("));
    let found = offences(|_, text| marks.iter().find(|mark| text.contains(*mark)).cloned());
    assert!(found.is_empty(), "{found:#?}");
}

fn help(verb: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_foretell")).args(verb).arg("--help").output().unwrap();
    assert!(output.status.success(), "{verb:?} --help: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The verbs below one, each as the words that are typed.
fn verbs(parent: &[String]) -> Vec<Vec<String>> {
    let text = help(parent);
    let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let mut all = Vec::new();
    for name in names {
        let verb = [parent, &[name.to_string()]].concat();
        let below = verbs(&verb);
        if below.is_empty() { all.push(verb) } else { all.extend(below) }
    }
    all
}

#[test]
fn the_table_of_verbs_is_the_programs() {
    let program: BTreeSet<String> = verbs(&[]).iter().map(|verb| verb.join(" ")).collect();
    assert!(program.contains("data build") && program.contains("train"), "{program:?}");
    let told: Vec<String> = table("README.md", "## Verbs").iter().flat_map(|row| quoted(&row[0])).collect();
    let set: BTreeSet<String> = told.iter().cloned().collect();
    assert_eq!(set, program, "the table in README.md (left) and foretell --help (right)");
    assert_eq!(set.len(), told.len(), "a verb stands twice in README.md");
}
