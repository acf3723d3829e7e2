//! `--help` of every verb, `--version`, and completions.

use crate::common::{end, foretell, ok, refused};

const VERBS: [&str; 27] = [
    "quickstart",
    "data",
    "data build",
    "data inspect",
    "data generate",
    "plan",
    "train",
    "resume",
    "sample",
    "score",
    "exam",
    "export",
    "ladder",
    "ladder run",
    "ladder fit",
    "transfer",
    "predict",
    "verify",
    "report",
    "bench probe",
    "bench step",
    "bench race",
    "bench predict",
    "bench evidence",
    "bench images",
    "completions",
    "bench",
];

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(' ').filter(|word| !word.is_empty())
}

#[test]
fn every_verb_explains_itself_with_an_example_in_a_hundred_columns() {
    for verb in VERBS {
        let help = ok(words(verb).chain(["--help"]));
        assert!(help.stderr.is_empty(), "{verb}: {}", help.stderr);
        let example = format!("  foretell {verb}");
        assert!(help.stdout.lines().any(|line| line.starts_with(&example)), "{verb}: {}", help.stdout);
        // An example that is too long is folded.
        let mut examples = help.stdout.lines().skip_while(|line| !line.starts_with("Example")).skip(1);
        let folded = examples.find(|line| line.starts_with(' ') && !line.starts_with("  foretell "));
        assert_eq!(folded, None, "{verb}");
        let long = help.stdout.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None, "{verb}");
        assert!(help.stdout.contains("--threads"), "{verb}");
    }
}

#[test]
fn no_verb_is_missing_in_the_help_or_in_this_list() {
    let listed = |group: &[&str]| -> Vec<String> {
        let help = ok(group.iter().copied().chain(["--help"])).stdout;
        let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let names = commands.take_while(|line| !line.is_empty()).filter(|line| line.starts_with("  "));
        let names = names.filter(|line| !line.starts_with("   ")).filter_map(|line| words(line).next());
        names.filter(|name| *name != "help").map(String::from).collect()
    };
    let top = listed(&[]);
    let mut first: Vec<&str> = VERBS.iter().filter_map(|verb| words(verb).next()).collect();
    first.dedup();
    first.retain(|name| top.contains(&name.to_string()));
    for name in &top {
        assert!(first.contains(&name.as_str()), "{name} is not in the list of this test");
    }
    for group in ["data", "ladder", "bench"] {
        for name in listed(&[group]) {
            assert!(VERBS.contains(&format!("{group} {name}").as_str()), "{group} {name}");
        }
    }
}

#[test]
fn the_version_names_the_commit() {
    let version = ok(["--version"]).stdout;
    let rest = version.strip_prefix(concat!("foretell ", env!("CARGO_PKG_VERSION"), " (")).unwrap();
    let commit = rest.trim_end().strip_suffix(')').unwrap();
    // With uncommitted changes it says so; built from an archive it is "unknown".
    let commit = commit.strip_suffix("+changes").unwrap_or(commit);
    assert!(commit.len() >= 7 && commit.chars().all(|c| c.is_ascii_alphanumeric()), "{version}");
}

#[test]
fn completions_name_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = ok(["completions", shell]).stdout;
        for verb in VERBS {
            assert!(script.contains(words(verb).last().unwrap()), "{shell}: {verb}");
        }
    }
}

#[test]
fn wrong_command_lines_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    // Where a verb is missing, they are listed.
    for group in ["", "data", "bench"] {
        let listed = end(&mut foretell(words(group)));
        assert_eq!(listed.code, Some(2));
        assert!(listed.stderr.contains("Commands:"), "{listed:?}");
    }
    refused(
        folder.path(),
        &[],
        &[
            ("completions", "SHELL"),
            ("completions tcsh", "tcsh"),
            ("foretel", "foretel"),
            ("data bild", "bild"),
            ("plan --vocab 300 --budget 1e9 --colour red", "--colour"),
        ],
    );
}
