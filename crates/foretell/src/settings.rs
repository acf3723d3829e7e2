//! `--config FILE` and `--set key=value`, the same for every verb.
//!
//! A key that is a long option of the verb stands for that option, which the command line then
//! overrides. What remains are settings of the run (`width`, `optimiser.decay`, …), which `plan`,
//! `train` and `quickstart` know and the other verbs refuse.

use crate::arguments::Arguments;
use crate::{Failure, input};
use clap::CommandFactory;
use std::ffi::OsString;
use std::fmt::Display;
use toml::Value;

/// Settings that are no options of the verb, in the order in which they apply.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Dotted name and value: as it was typed, or as TOML where a file has text that would read as
    /// something else (`budget = "1e14"`).
    pub entries: Vec<(String, String)>,
    /// Those of them that `--set` gave.
    pub typed: Vec<String>,
}

impl Settings {
    /// For verbs that know none.
    pub fn refuse(&self) -> Result<(), Failure> {
        match self.entries.first() {
            None => Ok(()),
            Some((name, _)) => {
                Err(Failure::Usage(format!("'{name}' is no setting of this command; see its --help")))
            }
        }
    }
}

const CONFIG: &str = "--config";
const SET: &str = "--set";
const OURS: [&str; 2] = [CONFIG, SET];

/// Options that no file and no `--set` can give.
const ALONE: [&str; 4] = ["config", "set", "help", "version"];

/// Takes `--config` and `--set` out of the command line and puts options that they name behind the
/// verb, before those that were typed.
pub fn expand(arguments: impl IntoIterator<Item = OsString>) -> Result<(Vec<OsString>, Settings), String> {
    let mut rest: Vec<OsString> = Vec::new();
    let mut given: Vec<(String, Value)> = Vec::new();
    let mut settings = Settings::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            rest.push(argument);
            rest.extend(arguments);
            break;
        }
        let Some(text) = argument.to_str() else {
            match OURS.iter().find(|name| argument.to_string_lossy().starts_with(**name)) {
                Some(name) => return Err(format!("{name}: {} is not UTF-8", argument.display())),
                None => rest.push(argument),
            }
            continue;
        };
        let (name, inline) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text, None),
        };
        let mut value =
            |what: &str| inline.clone().or_else(|| arguments.next()).ok_or(format!("{what} needs a value"));
        if name == CONFIG {
            let path = value(CONFIG)?;
            let bytes = input::read(path.as_ref()).map_err(|e| format!("{CONFIG}: {e:#}"))?;
            let named = |error: &dyn Display| format!("{CONFIG} {}: {error}", path.display());
            let text = String::from_utf8(bytes).map_err(|_| named(&"it is not UTF-8"))?;
            let table: toml::Table = text.parse().map_err(|e| named(&e))?;
            flatten("", &Value::Table(table), &mut given);
        } else if name == SET {
            let text = value(SET)?;
            let pair = text.to_str().and_then(|text| text.split_once('='));
            let (key, value) = pair.ok_or(format!("--set {}: write it as key=value", text.display()))?;
            // `key = value` as in the file; else the value is as it was written, its spaces included.
            let value = if key.ends_with(' ') { value.trim() } else { value };
            given.push((key.trim().to_string(), Value::String(value.to_string())));
            settings.typed.push(key.trim().to_string());
        } else {
            rest.push(argument);
        }
    }
    let (at, verb) = find_verb(&rest);
    let mut options = Vec::new();
    for (name, value) in given {
        let long = name.replace('_', "-");
        let option = verb.get_arguments().find(|arg| arg.get_long() == Some(&long));
        match option {
            Some(_) if ALONE.contains(&long.as_str()) => {
                return Err(format!("{name} = {value}: --{long} has its place on the command line only"));
            }
            None => {
                let plain = text(&value);
                let other = value.is_str() && !settings.typed.contains(&name) && reads_as_no_text(&plain);
                settings.entries.push((name, if other { value.to_string() } else { plain }));
            }
            Some(option) if option.get_action().takes_values() => {
                let values = match &value {
                    Value::Array(values) if matches!(option.get_action(), clap::ArgAction::Append) => values,
                    Value::Array(_) => return Err(format!("{name} = {value}: it takes one value")),
                    value => std::slice::from_ref(value),
                };
                for value in values {
                    options.push(format!("--{long}={}", text(value)).into());
                }
            }
            Some(_) => match text(&value).as_str() {
                "true" => options.push(format!("--{long}").into()),
                "false" => {}
                _ => return Err(format!("{name} = {value}: it is true or false")),
            },
        }
    }
    rest.splice(at..at, options);
    Ok((rest, settings))
}

/// The verb that is meant, and where in the command line its options may stand.
fn find_verb(arguments: &[OsString]) -> (usize, clap::Command) {
    let mut command = Arguments::command();
    command.build();
    let mut at = 1.min(arguments.len());
    for (place, argument) in arguments.iter().enumerate().skip(1) {
        let Some(sub) = argument.to_str().and_then(|name| command.find_subcommand(name)).cloned() else {
            continue;
        };
        (at, command) = (place + 1, sub);
    }
    (at, command)
}

/// Whether TOML takes a text for a number, a truth value, a date, a list or a quotation.
fn reads_as_no_text(text: &str) -> bool {
    format!("x = {text}").parse::<toml::Table>().is_ok()
}

/// A value as it would be typed.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

/// A table as dotted names.
fn flatten(prefix: &str, value: &Value, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&name, value, into);
            }
        }
        other => into.push((prefix.into(), other.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(line: &str) -> Result<(String, Vec<(String, String)>), String> {
        let (rest, settings) = expand(line.split(' ').map(OsString::from))?;
        Ok((rest.iter().map(|a| a.to_str().unwrap()).collect::<Vec<_>>().join(" "), settings.entries))
    }

    #[test]
    fn options_go_behind_their_verb_and_the_rest_is_kept() {
        let (line, entries) = expanded("foretell data build x --set vocab=300 --set=out=d --strict").unwrap();
        assert_eq!(line, "foretell data build --vocab=300 --out=d x --strict");
        assert!(entries.is_empty());
        let (line, entries) =
            expanded("foretell train --set width=64 --set strict=1 --set threads=2").unwrap();
        assert_eq!(line, "foretell train --threads=2");
        assert_eq!(entries, [("width".into(), "64".into()), ("strict".into(), "1".into())]);
        let (line, entries) = expanded("foretell train -- --set width=64").unwrap();
        assert_eq!((line.as_str(), entries.len()), ("foretell train -- --set width=64", 0));
        for key in ["config", "set", "help"] {
            let said = expanded(&format!("foretell train --set {key}=true")).unwrap_err();
            assert!(said.contains(key) && said.contains("command line only"), "{said}");
        }
        assert!(expanded("foretell train --set width").unwrap_err().contains("key=value"));
        assert!(expanded("foretell train --set").unwrap_err().contains("needs a value"));
        assert!(expanded("foretell train --config /nonexistent").unwrap_err().contains("/nonexistent"));
    }

    #[test]
    fn tables_become_dotted_names() {
        let table: toml::Table = "a = 1\n[b]\nc = 'x'\nd = [1, 2]\n[b.e]\nf = true".parse().unwrap();
        let mut got = Vec::new();
        flatten("", &Value::Table(table), &mut got);
        let got: Vec<String> =
            got.into_iter().map(|(name, value)| format!("{name}={}", text(&value))).collect();
        assert_eq!(got, ["a=1", "b.c=x", "b.d=[1, 2]", "b.e.f=true"]);
    }

    #[test]
    fn lists_and_texts_of_a_file_are_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        let path = path.to_str().unwrap();
        std::fs::write(path, "exclude = [\"a b\", \"c\"]\nvocab = 300").unwrap();
        let (line, _) = expanded(&format!("foretell data build x --config {path}")).unwrap();
        assert_eq!(line, "foretell data build --exclude=a b --exclude=c --vocab=300 x");
        std::fs::write(path, "vocab = [1, 2]").unwrap();
        assert!(
            expanded(&format!("foretell data build x --config {path}")).unwrap_err().contains("one value")
        );
        std::fs::write(path, "[origin]\nbudget = \"1e14\"\nversion = \"v one\"\n[optimiser]\nclip = 1.0")
            .unwrap();
        let (_, entries) = expanded(&format!("foretell train --config {path}")).unwrap();
        let value = |name: &str| entries.iter().find(|(key, _)| key == name).unwrap().1.as_str();
        assert_eq!(value("origin.budget"), "\"1e14\"");
        assert_eq!((value("origin.version"), value("optimiser.clip")), ("v one", "1.0"));
    }
}
