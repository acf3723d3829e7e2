//! Fuzz targets for everything that reads foreign bytes: what they share.
//!
//! `cargo fuzz run TARGET` (nightly, `cargo install cargo-fuzz`); the property tests `damaged` of `data`
//! and `model` run the same entries on stable. An input is a list of edits of a valid file, or a file:
//! see [`damaged`]. So no corpus is needed to get past the magic numbers.

#[path = "../../crates/data/tests/common/damage.rs"]
mod damage;
#[path = "../../crates/data/tests/common/samples.rs"]
mod samples;

pub use damage::damaged;
pub use samples::{JSONL, PICTURES, archive, dataset, parquet, read_as, read_dataset, read_picture};

use engine::{Layout, Store};
use model::parametrisation::{Choice, initialise, table};
use model::{Config, Sizes};
use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;

/// A folder of this process, gone with it.
pub fn with_folder(f: impl FnOnce(&Path)) {
    thread_local!(static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() });
    FOLDER.with(|folder| f(folder.get_or_init(|| tempfile::tempdir().unwrap()).path()));
}

/// A small model.
pub fn config() -> Config {
    let (width, ffn, heads, kv_heads) = (16, 24, 2, 1);
    let sizes =
        Sizes { vocab: 20, width, ffn, layers: 1, heads, kv_heads, head_dim: 8, context: 32, tied: false };
    Config::new(sizes).unwrap()
}

/// Room for the parameters of [`config`], all zero.
pub fn store() -> Store {
    let shapes = config().shapes();
    let layout = Layout::new(shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))).unwrap();
    Store::new(&Arc::new(layout)).unwrap()
}

/// Parameters of [`config`].
pub fn filled() -> Store {
    let mut store = store();
    initialise(&table(&config(), &Choice::default()), 5, &mut store).unwrap();
    store
}
