//! Batches with pictures, made ahead of the step that wants them: they take decoding, which must not hold a step up.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use data::{Batch, Order};

use crate::{Error, Result};

/// Steps that are ready at most, beside the one that is made.
const READY: usize = 2;

/// Which rows a rank's steps take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// First row of the step of number 0.
    pub(crate) first: u64,
    /// From step to step.
    pub(crate) stride: u64,
    /// Micro-batches of a step, and the rows of each.
    pub(crate) micro_batches: usize,
    pub(crate) micro_rows: usize,
}

type Part = data::Result<Vec<Mutex<Batch>>>;

/// Threads that make the micro-batches of steps, one step after the other: one for each lane makes what the lane takes, so
/// that they delay all lanes alike where there is no core to spare.
pub(crate) struct Ahead {
    makers: Vec<Maker>,
}

/// Makes an equal part of each step.
struct Maker {
    ready: Option<Receiver<Part>>,
    /// What was used, to be filled anew.
    used: SyncSender<Vec<Mutex<Batch>>>,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    /// Begins with step `from`, counted from 0. `makers` divides the number of micro-batches.
    pub(crate) fn new(order: &Order, rows: Rows, makers: usize, from: u64) -> Ahead {
        let each = rows.micro_batches / makers.max(1);
        let maker = |number: usize| {
            let first = rows.first + (number * each * rows.micro_rows) as u64;
            Maker::new(order.clone(), Rows { first, micro_batches: each, ..rows }, from)
        };
        Ahead { makers: (0..makers).map(maker).collect() }
    }

    /// The micro-batches of the next step, and how long they were waited for.
    pub(crate) fn next(&mut self) -> Result<(Vec<Mutex<Batch>>, Duration)> {
        let begin = Instant::now();
        let mut step = Vec::new();
        for maker in &self.makers {
            step.extend(maker.ready.as_ref().and_then(|ready| ready.recv().ok()).ok_or(Error::Rank)??);
        }
        Ok((step, begin.elapsed()))
    }

    /// Gives batches back.
    pub(crate) fn done(&mut self, mut batches: Vec<Mutex<Batch>>) {
        let each = batches.len() / self.makers.len().max(1);
        for maker in &self.makers {
            let rest = batches.split_off(each.min(batches.len()));
            let _ = maker.used.try_send(std::mem::replace(&mut batches, rest));
        }
    }
}

impl Maker {
    fn new(order: Order, rows: Rows, from: u64) -> Maker {
        let (send, ready) = sync_channel::<Part>(READY);
        let (used, again) = sync_channel::<Vec<Mutex<Batch>>>(READY + 2);
        let make = move || {
            for step in from.. {
                let mut batches = again.try_recv().unwrap_or_default();
                batches.resize_with(rows.micro_batches, || Mutex::new(Batch::new()));
                let first = rows.first + step * rows.stride;
                let mut fill = || {
                    for (number, batch) in batches.iter_mut().enumerate() {
                        let row = first + (number * rows.micro_rows) as u64;
                        let batch = batch.get_mut().unwrap_or_else(PoisonError::into_inner);
                        order.rows(row, rows.micro_rows, batch)?;
                    }
                    Ok(())
                };
                let made = fill();
                let failed = made.is_err();
                // It fails only when the run has ended.
                if send.send(made.map(|()| batches)).is_err() || failed {
                    return;
                }
            }
        };
        Maker { ready: Some(ready), used, thread: Some(std::thread::spawn(make)) }
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        // It then ends with the step that it is at.
        self.ready = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
