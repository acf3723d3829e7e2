//! A world as an ordinary file that `data build` reads.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::World;
use crate::error::{Error, Result};

/// What [`generate`] wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Generated {
    /// The file.
    pub path: PathBuf,
    /// Documents in it: those of index 0 up to this number.
    pub documents: u64,
    /// Bytes of their text.
    pub bytes: u64,
    /// The file of questions.
    pub questions: PathBuf,
}

/// Name of the file of questions.
const QUESTIONS: &str = "questions.jsonl";

#[derive(Serialize)]
struct Line<'a> {
    id: String,
    text: &'a str,
}

/// Writes documents 0, 1, … of the world of `seed` to `folder/world-SEED.jsonl`, an object
/// `{"id": "story-12", "text": …}` a line, until their text has `bytes` bytes or more. The folder is made
/// where it is missing. A longer file begins with the lines of a shorter one. Beside it stands `questions.jsonl`
/// with the questions of the world, a [`crate::Question`] a line. `progress` is told the bytes of text so far, now
/// and then and at the end.
///
/// # Errors
/// [`Error::Exists`] if the file, or one of another world's questions, is there and `force` is not set; [`Error::Io`] if it cannot be written, and
/// [`Error::Stopped`] if `stop` is set meanwhile: then nothing half-written is left.
pub fn generate(
    folder: &Path,
    seed: u64,
    bytes: u64,
    force: bool,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(u64),
) -> Result<Generated> {
    let path = folder.join(format!("world-{seed}.jsonl"));
    if path.exists() && !force {
        return Err(Error::Exists { path });
    }
    let world = World::new(seed);
    let asked = folder.join(QUESTIONS);
    let questions = questions(&world).map_err(Error::io("write", &asked))?;
    // What a stopped attempt left is as good as new.
    if !force && fs::read(&asked).is_ok_and(|there| there != questions) {
        return Err(Error::Exists { path: asked });
    }
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    // Hidden and of another kind, so that a build never reads it; removed when dropped.
    let mut naming = tempfile::Builder::new();
    naming.prefix(".world-").suffix(".unfinished");
    #[cfg(unix)]
    // As any file that is made, rather than for its owner's eyes alone; the umask is taken off.
    naming.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let beside = naming.tempfile_in(folder).map_err(Error::io("create a file in", folder))?;
    let written = write(beside.as_file(), &world, bytes, stop, progress);
    let (documents, bytes) = written.map_err(Error::io("write", &path))?.ok_or(Error::Stopped)?;
    let mut page = naming.tempfile_in(folder).map_err(Error::io("create a file in", folder))?;
    page.write_all(&questions)
        .and_then(|()| page.as_file().sync_all())
        .map_err(Error::io("write", &asked))?;
    page.persist(&asked).map_err(|refused| Error::io("write", &asked)(refused.error))?;
    let put = if force { beside.persist(&path) } else { beside.persist_noclobber(&path) };
    put.map_err(|refused| match refused.error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists { path: path.clone() },
        _ => Error::io("write", &path)(refused.error),
    })?;
    Ok(Generated { path, documents, bytes, questions: asked })
}

/// The lines of the file of questions.
fn questions(world: &World) -> std::io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for question in world.questions() {
        serde_json::to_writer(&mut lines, &question)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// Writes the lines and syncs them: how many, and the bytes of their text; `None` if it was stopped.
fn write(
    file: &File,
    world: &World,
    bytes: u64,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(u64),
) -> std::io::Result<Option<(u64, u64)>> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let (mut index, mut done, mut told) = (0, 0, 0);
    while done < bytes {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let text = world.document(index);
        let id = format!("{}-{index}", world.genre(index).name());
        serde_json::to_writer(&mut out, &Line { id, text: &text })?;
        out.write_all(b"\n")?;
        index += 1;
        done += text.len() as u64;
        if done - told >= 1 << 20 {
            told = done;
            progress(done);
        }
    }
    progress(done);
    out.flush()?;
    file.sync_all()?;
    Ok(Some((index, done)))
}
