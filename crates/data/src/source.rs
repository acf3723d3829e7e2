//! What the user names as input, resolved to a sorted list of files.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use globset::{Glob, GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One input as the user names it: a file, a folder or a glob, with its share of the mix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A file, a folder (read recursively in sorted order) or a glob.
    pub path: String,
    /// Share of the training rows, relative to the other sources. With none given, every token is used
    /// once an epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Share of documents held out for evaluation, instead of that of the whole build; 1 keeps the source
    /// out of training altogether.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout: Option<f64>,
}

impl Source {
    /// A source without a weight of its own.
    pub fn new(path: impl Into<String>) -> Self {
        Source { path: path.into(), weight: None, holdout: None }
    }
}

impl FromStr for Source {
    type Err = Error;

    /// `path` or `path=weight`.
    fn from_str(text: &str) -> Result<Self> {
        if let Some((path, weight)) = text.rsplit_once('=')
            && !Path::new(text).exists()
            && let Ok(weight) = weight.trim().parse::<f64>()
        {
            if !(weight.is_finite() && weight > 0.0) || path.is_empty() {
                return Err(Error::Config(format!(
                    "source {text:?}: write it as path=weight with a positive weight"
                )));
            }
            return Ok(Source { weight: Some(weight), ..Source::new(path) });
        }
        Ok(Source::new(text))
    }
}

/// A file to read.
#[derive(Clone, Debug)]
pub(crate) struct InputFile {
    pub(crate) path: PathBuf,
    /// Its name in messages and in the manifest, with forward slashes.
    pub(crate) name: String,
    /// Index of its source.
    pub(crate) source: usize,
    /// Bytes on disk.
    pub(crate) bytes: u64,
    /// Named by the user itself, rather than found in a folder.
    pub(crate) explicit: bool,
}

/// Resolves sources to files, in the order of the sources and sorted within each. A file that two
/// sources name belongs to the first.
pub(crate) fn resolve(sources: &[Source], exclude: &[String]) -> Result<Vec<InputFile>> {
    if sources.is_empty() {
        return Err(Error::Config("no input: name a file, a folder or a glob".into()));
    }
    let exclude = exclusions(exclude)?;
    let mut files: Vec<InputFile> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (index, source) in sources.iter().enumerate() {
        let path = Path::new(&source.path);
        let mut found = Vec::new();
        let mut explicit = false;
        let before = files.len();
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => walk(path, path, &exclude, &mut found, 0)?,
            Ok(_) => {
                explicit = true;
                if !excluded(&exclude, path, path) {
                    found.push(path.to_path_buf());
                }
            }
            Err(error) => {
                let Some((base, pattern)) = glob_parts(&source.path) else {
                    return Err(Error::io("read", path)(error));
                };
                let matcher = compile(&pattern)?;
                let mut all = Vec::new();
                walk(&base, &base, &exclude, &mut all, 0)?;
                found.extend(
                    all.into_iter().filter(|file| matcher.is_match(file.strip_prefix(&base).unwrap_or(file))),
                );
            }
        }
        for path in found {
            let bytes = fs::metadata(&path).map_err(Error::io("read", &path))?.len();
            let identity = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            if seen.insert(identity) {
                let name = path.to_string_lossy().replace('\\', "/");
                files.push(InputFile { path, name, source: index, bytes, explicit });
            }
        }
        if files.len() == before {
            return Err(Error::Config(format!(
                "source {:?} gives no files: it is empty, matches nothing, or all was excluded or named \
                 by an earlier source",
                source.path
            )));
        }
    }
    Ok(files)
}

/// Folders deeper than this are links that go round in a circle.
const DEEPEST: usize = 64;

/// Files below a folder, sorted by name; names that begin with a dot are left out.
fn walk(root: &Path, folder: &Path, exclude: &GlobSet, found: &mut Vec<PathBuf>, depth: usize) -> Result<()> {
    if depth > DEEPEST {
        return Err(Error::Config(format!(
            "folder {} is nested more than {DEEPEST} deep; is it a link to its own parent?",
            folder.display()
        )));
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        entries.push(entry.map_err(Error::io("list", folder))?);
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        if excluded(exclude, root, &path) {
            continue;
        }
        let metadata = fs::metadata(&path).map_err(Error::io("read", &path))?;
        if metadata.is_dir() {
            walk(root, &path, exclude, found, depth + 1)?;
        } else if metadata.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// An exclusion matches the file's name, its path below the source, or its whole path.
fn excluded(exclude: &GlobSet, root: &Path, path: &Path) -> bool {
    exclude.is_match(path)
        || path.file_name().is_some_and(|name| exclude.is_match(name))
        || path.strip_prefix(root).is_ok_and(|below| exclude.is_match(below))
}

fn exclusions(patterns: &[String]) -> Result<GlobSet> {
    let bad = |error: globset::Error| Error::Config(format!("--exclude: {error}"));
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).map_err(bad)?);
    }
    set.build().map_err(bad)
}

/// The folder before the first wildcard, and the pattern below it.
fn glob_parts(path: &str) -> Option<(PathBuf, String)> {
    let wild = path.find(['*', '?', '[', '{'])?;
    let cut = path[..wild].rfind('/').map_or(0, |slash| slash + 1);
    let base = if cut == 0 { "." } else { &path[..cut] };
    Some((PathBuf::from(base), path[cut..].to_owned()))
}

fn compile(pattern: &str) -> Result<GlobMatcher> {
    // `*` stops at a slash, `**` does not: as in a shell.
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| Error::Config(format!("source {pattern:?}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.txt", "a.md", "sub/c.txt", "sub/deep/d.txt", ".hidden/e.txt", "sub/x-large.txt"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        folder
    }

    fn names(sources: &[String], exclude: &[&str]) -> Vec<String> {
        let sources: Vec<_> = sources.iter().map(Source::new).collect();
        let exclude: Vec<_> = exclude.iter().map(|e| e.to_string()).collect();
        let files = resolve(&sources, &exclude).unwrap();
        files.iter().map(|f| f.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn folders_are_sorted_and_globs_stop_at_slashes() {
        let folder = tree();
        let root = folder.path().to_string_lossy().into_owned();
        let all = names(std::slice::from_ref(&root), &[]);
        assert_eq!(all, ["a.md", "b.txt", "c.txt", "d.txt", "x-large.txt"]);
        assert_eq!(names(&[format!("{root}/*.txt")], &[]), ["b.txt"]);
        assert_eq!(names(&[format!("{root}/**/*.txt")], &["*-large*"]), ["b.txt", "c.txt", "d.txt"]);
        assert_eq!(
            names(&[format!("{root}/sub"), root.clone()], &["deep"]),
            ["c.txt", "x-large.txt", "a.md", "b.txt"]
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = resolve(&[Source::new("/no/such/place")], &[]).unwrap_err().to_string();
        assert!(error.contains("/no/such/place"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().to_string_lossy().into_owned();
        assert!(resolve(&[Source::new(empty)], &[]).unwrap_err().to_string().contains("no files"));
    }

    #[test]
    fn weights_are_read_off_the_path() {
        let source: Source = "books/*.gz=0.25".parse().unwrap();
        assert_eq!((source.path.as_str(), source.weight), ("books/*.gz", Some(0.25)));
        assert_eq!("a=b".parse::<Source>().unwrap().path, "a=b");
        assert!("a=-1".parse::<Source>().is_err());
        assert!("a=nan".parse::<Source>().is_err());
    }
}
