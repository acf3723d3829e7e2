//! What the user names as input, resolved to a sorted list of files.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use globset::{Glob, GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::question::holds_questions;
use crate::reader::Problem;
use crate::recipe::{Opened, caption_of, is_image};

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
    /// out of training altogether, and then it has no weight. Of what several sources hold, the largest
    /// share decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout: Option<f64>,
}

impl Source {
    /// A source without a weight of its own.
    pub fn new(path: impl Into<String>) -> Self {
        Source { path: path.into(), weight: None, holdout: None }
    }

    /// Its share of documents held out, where that of the whole build is `default`.
    pub(crate) fn holdout_or(&self, default: f64) -> f64 {
        self.holdout.unwrap_or(default)
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
    /// What it is opened as, if it is a recipe.
    pub(crate) opened: Opened,
}

/// What sources come to.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) files: Vec<InputFile>,
    /// Entries of folders that cannot be followed.
    pub(crate) problems: Vec<Problem>,
    /// Files of questions among those of folders: they are no text to be trained on.
    pub(crate) questions: Vec<String>,
}

/// Resolves sources to files, sorted within each source. Sources that hold out more come first, others in the
/// order given; a file that two name belongs to the first, and so does a document, so that nothing is trained
/// on that one of its sources keeps back. `holdout` is the share of sources without one of their own.
pub(crate) fn resolve(sources: &[Source], holdout: f64, exclude: &[String]) -> Result<Input> {
    if sources.is_empty() {
        return Err(Error::Config("no input: name a file, a folder or a glob".into()));
    }
    let exclude = exclusions(exclude)?;
    let mut order: Vec<(usize, &Source)> = sources.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| b.holdout_or(holdout).total_cmp(&a.holdout_or(holdout)));
    let mut input = Input::default();
    let mut seen = HashSet::new();
    for (index, source) in order {
        let path = Path::new(&source.path);
        let mut explicit = false;
        let before = input.files.len();
        let found = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => below(path, &exclude)?,
            Ok(_) if excluded(&exclude, path, path) => Vec::new(),
            Ok(_) => {
                explicit = true;
                vec![(path.to_path_buf(), None)]
            }
            Err(error) => {
                let Some((base, pattern)) = glob_parts(&source.path) else {
                    return Err(Error::io("read", path)(error));
                };
                let matcher = compile(&pattern)?;
                let mut found = below(&base, &exclude)?;
                found.retain(|(path, _)| matcher.is_match(path.strip_prefix(&base).unwrap_or(path)));
                found
            }
        };
        let pictures: HashSet<PathBuf> = found
            .iter()
            .filter(|(path, _)| is_image(path))
            .map(|(path, _)| path.with_extension(""))
            .collect();
        for (path, what) in found {
            let name = path.to_string_lossy().replace('\\', "/");
            if let Some(what) = what {
                input.problems.push(Problem { place: name, what });
                continue;
            }
            // A picture is read with its caption; one without belongs to a document that names it.
            if is_image(&path) && caption_of(&path).is_none() && !explicit {
                continue;
            }
            let text = path.extension().is_some_and(|extension| extension == "txt");
            if text && pictures.contains(&path.with_extension("")) {
                continue;
            }
            let asks = match name.rsplit_once('.') {
                Some((_, "jsonl" | "parquet")) => holds_questions(&path),
                _ => false,
            };
            if asks {
                if explicit {
                    return Err(Error::Config(format!(
                        "source {name:?} holds questions, which are not to be trained on; give it as --held-out"
                    )));
                }
                input.questions.push(name);
                continue;
            }
            let bytes = fs::metadata(&path).map_err(Error::io("read", &path))?.len();
            let identity = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            if seen.insert(identity) {
                let opened = Opened::default();
                input.files.push(InputFile { path, name, source: index, bytes, explicit, opened });
            }
        }
        if input.files.len() == before {
            return Err(Error::Config(format!(
                "source {:?} gives no files: it is empty, matches nothing, or all was excluded or named \
                 by an earlier source",
                source.path
            )));
        }
    }
    Ok(input)
}

/// An entry of a folder: a file, or what cannot be followed and why.
type Entry = (PathBuf, Option<String>);

/// What is below a folder, sorted by name; names that begin with a dot are left out.
fn below(root: &Path, exclude: &GlobSet) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    walk(root, root, exclude, &mut Vec::new(), &mut found)?;
    Ok(found)
}

/// Adds what is below `folder`; `above` are the folders that it is in, by their true paths.
fn walk(
    root: &Path,
    folder: &Path,
    exclude: &GlobSet,
    above: &mut Vec<PathBuf>,
    found: &mut Vec<Entry>,
) -> Result<()> {
    let itself = fs::canonicalize(folder).map_err(Error::io("list", folder))?;
    if above.contains(&itself) {
        found.push((folder.to_path_buf(), Some("is a link to a folder that holds it".into())));
        return Ok(());
    }
    above.push(itself);
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut entries = entries.map_err(Error::io("list", folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') || excluded(exclude, root, &path) {
            continue;
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => walk(root, &path, exclude, above, found)?,
            Ok(metadata) if metadata.is_file() => found.push((path, None)),
            Ok(_) => {}
            Err(error) if path.is_symlink() => {
                found.push((path, Some(format!("is a link that cannot be followed: {error}"))));
            }
            Err(error) => return Err(Error::io("read", &path)(error)),
        }
    }
    above.pop();
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
        let input = resolve(&sources, 0.0, &exclude).unwrap();
        input.files.iter().map(|f| f.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
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
    fn questions_are_no_source() {
        let folder = tree();
        let root = folder.path().to_string_lossy().into_owned();
        let file = format!("{root}/sub/questions.jsonl");
        fs::write(&file, "{\"prompt\": \"The sky is\", \"choices\": [], \"answer\": 0}\n").unwrap();
        let input = resolve(&[Source::new(&root)], 0.0, &[]).unwrap();
        assert_eq!((input.files.len(), input.questions.as_slice()), (5, [file.clone()].as_slice()));
        assert!(resolve(&[Source::new(&file)], 0.0, &[]).unwrap_err().to_string().contains("--held-out"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = resolve(&[Source::new("/no/such/place")], 0.0, &[]).unwrap_err().to_string();
        assert!(error.contains("/no/such/place"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().to_string_lossy().into_owned();
        assert!(resolve(&[Source::new(empty)], 0.0, &[]).unwrap_err().to_string().contains("no files"));
    }

    #[test]
    fn a_file_belongs_to_the_source_that_holds_most_out() {
        let folder = tree();
        let root = folder.path().to_string_lossy().into_owned();
        let kept_back = Source { holdout: Some(1.0), ..Source::new(format!("{root}/sub")) };
        let files = resolve(&[Source::new(&root), kept_back], 0.01, &[]).unwrap().files;
        let sources: Vec<_> = files.iter().map(|file| file.source).collect();
        assert_eq!(sources, [1, 1, 1, 0, 0]);
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_nowhere_or_round_are_named_and_the_rest_is_read() {
        use std::os::unix::fs::symlink;
        let folder = tree();
        let at = |name: &str| folder.path().join(name);
        symlink("/no/such/place", at("gone.txt")).unwrap();
        symlink("self", at("self")).unwrap();
        symlink(folder.path(), at("sub/deep/round")).unwrap();
        symlink(at("sub/deep"), at("twice")).unwrap();
        let root = folder.path().to_string_lossy().into_owned();
        let input = resolve(&[Source::new(&root)], 0.0, &[]).unwrap();
        assert_eq!(input.files.len(), 5);
        let told: Vec<_> = input.problems.iter().map(|p| p.place[root.len()..].to_string()).collect();
        assert_eq!(told, ["/gone.txt", "/self", "/sub/deep/round", "/twice/round"]);
        let input = resolve(&[Source::new(format!("{root}/*.txt"))], 0.0, &[]).unwrap();
        assert_eq!((input.files.len(), input.problems.len()), (1, 1));
        assert_eq!(
            resolve(&[Source::new(root)], 0.0, &["self".into(), "gone*".into(), "deep".into()])
                .unwrap()
                .problems
                .len(),
            1
        );
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
