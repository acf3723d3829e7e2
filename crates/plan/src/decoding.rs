//! How long a corpus's pictures take to make into tiles, beside the steps that use them.

use crate::{Result, Sight};
use data::{Batch, Order};
use std::time::{Duration, Instant};

/// How long is looked at most, after the first row.
const TRIED: Duration = Duration::from_millis(150);

/// Rows that are tried, at most.
const ROWS: u64 = 64;

/// Tokens of a row that is tried.
const SEQ: usize = 512;

/// Seconds in which one core of this machine makes the pictures of a row, a token of the row: decoding and cutting, which the
/// threads of a run do for the steps ahead.
///
/// # Errors
/// Of pictures that cannot be read.
pub(crate) fn seconds_per_token(dataset: &data::Dataset, sight: &Sight) -> Result<f64> {
    let look = dataset.look().map(|look| data::Look { tiles: sight.row(SEQ), ..look.clone() });
    let order = Order::seeing(dataset.train().clone(), 1, SEQ, look)?;
    let mut batch = Batch::new();
    // The first finds nothing in the caches.
    order.rows(0, 1, &mut batch)?;
    let begin = Instant::now();
    let mut rows = 0;
    while rows < ROWS && (rows == 0 || begin.elapsed() < TRIED) {
        rows += 1;
        order.rows(rows, 1, &mut batch)?;
    }
    Ok(begin.elapsed().as_secs_f64() / (rows as f64 * SEQ as f64))
}
