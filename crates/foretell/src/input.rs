//! Files that options name and that are read as a whole.

use anyhow::{Context, bail};
use std::path::Path;

/// The bytes of a file; what is no regular file may have no end, so it is refused.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let about = || format!("cannot read {}", path.display());
    if !std::fs::metadata(path).with_context(about)?.is_file() {
        bail!("cannot read {}: it is no regular file", path.display());
    }
    std::fs::read(path).with_context(about)
}
