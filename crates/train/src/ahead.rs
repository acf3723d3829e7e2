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

type Step = data::Result<Vec<Mutex<Batch>>>;

/// A thread that makes the micro-batches of steps, one step after the other.
pub(crate) struct Ahead {
    ready: Option<Receiver<Step>>,
    /// What was used, to be filled anew.
    used: SyncSender<Vec<Mutex<Batch>>>,
    maker: Option<JoinHandle<()>>,
}

impl Ahead {
    /// Begins with step `from`, counted from 0.
    pub(crate) fn new(order: Order, rows: Rows, from: u64) -> Ahead {
        let (send, ready) = sync_channel::<Step>(READY);
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
        Ahead { ready: Some(ready), used, maker: Some(std::thread::spawn(make)) }
    }

    /// The micro-batches of the next step, and how long they were waited for.
    pub(crate) fn next(&mut self) -> Result<(Vec<Mutex<Batch>>, Duration)> {
        let begin = Instant::now();
        let step = self.ready.as_ref().and_then(|ready| ready.recv().ok()).ok_or(Error::Rank)?;
        Ok((step?, begin.elapsed()))
    }

    /// Gives batches back.
    pub(crate) fn done(&mut self, batches: Vec<Mutex<Batch>>) {
        let _ = self.used.try_send(batches);
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // The maker then ends with the step that it is at.
        self.ready = None;
        if let Some(maker) = self.maker.take() {
            let _ = maker.join();
        }
    }
}
