//! One pass over the input: read on one thread, worked on by several, consumed in order.
//!
//! What is consumed, and in which order, does not depend on the number of threads. Batches under way are
//! limited, so that memory is bounded however large the input and however slow one batch.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::error::{Error, Result};
use crate::reader::{self, Item, ReaderConfig, Watch};
use crate::source::InputFile;

/// Bytes of text after which a batch is handed on.
const BATCH: usize = 1 << 18;
/// Items, likewise.
const ITEMS: usize = 4096;

/// What a pass reads, and how.
pub(crate) struct Pass<'a> {
    pub(crate) files: &'a [InputFile],
    pub(crate) reader: ReaderConfig,
    pub(crate) threads: usize,
    pub(crate) watch: Watch,
}

/// Documents and problems in order; `file_end` closes a file.
struct Batch {
    source: usize,
    items: Vec<Item>,
    /// Index of the file that ends here, and its hash.
    file_end: Option<(usize, [u8; 32])>,
}

/// What comes out of a worker for a batch.
pub(crate) struct Worked<T> {
    pub(crate) source: usize,
    pub(crate) output: T,
    pub(crate) file_end: Option<(usize, [u8; 32])>,
}

/// Runs a pass. `worker` makes the function of each thread; `consume` gets its results in the order of the
/// pass.
pub(crate) fn run<T: Send, W>(
    pass: &Pass<'_>,
    worker: impl Fn() -> W + Sync,
    mut consume: impl FnMut(Worked<T>) -> Result<()>,
) -> Result<()>
where
    W: FnMut(Vec<Item>) -> Result<T>,
{
    if pass.threads <= 1 {
        let mut work = worker();
        return read(pass, |batch| {
            let output = work(batch.items)?;
            consume(Worked { source: batch.source, output, file_end: batch.file_end })?;
            Ok(true)
        });
    }
    thread::scope(|scope| {
        let under_way = pass.threads * 4;
        // A permit is taken for each batch read and given back when it is consumed.
        let (permit_back, permits) = sync_channel::<()>(under_way);
        for _ in 0..under_way {
            let _ = permit_back.send(());
        }
        let (batch_in, batches) = sync_channel::<(u64, Batch)>(under_way);
        let (result_in, results) = channel::<(u64, Result<Worked<T>>)>();
        let batches = Arc::new(Mutex::new(batches));
        let read_result_in = result_in.clone();
        scope.spawn(move || read_numbered(pass, &permits, &batch_in, &read_result_in));
        for _ in 0..pass.threads {
            let (batches, result_in, worker) = (batches.clone(), result_in.clone(), &worker);
            scope.spawn(move || work_on(&batches, &result_in, &mut worker()));
        }
        drop((batches, result_in));
        consume_in_order(&results, &permit_back, &mut consume)
    })
}

/// The reading thread. An error is one more result, behind all batches before it.
fn read_numbered<T>(
    pass: &Pass<'_>,
    permits: &Receiver<()>,
    batches: &SyncSender<(u64, Batch)>,
    results: &Sender<(u64, Result<Worked<T>>)>,
) {
    let mut number = 0;
    let outcome = read(pass, |batch| {
        // Either fails only when the consumer has gone.
        let going = permits.recv().is_ok() && batches.send((number, batch)).is_ok();
        number += 1;
        Ok(going)
    });
    if let Err(error) = outcome {
        let _ = results.send((number, Err(error)));
    }
}

fn work_on<T>(
    batches: &Mutex<Receiver<(u64, Batch)>>,
    results: &Sender<(u64, Result<Worked<T>>)>,
    work: &mut impl FnMut(Vec<Item>) -> Result<T>,
) {
    loop {
        let next = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, Batch { source, items, file_end })) = next else {
            return;
        };
        let result = work(items).map(|output| Worked { source, output, file_end });
        if results.send((number, result)).is_err() {
            return;
        }
    }
}

fn consume_in_order<T>(
    results: &Receiver<(u64, Result<Worked<T>>)>,
    permit_back: &SyncSender<()>,
    consume: &mut impl FnMut(Worked<T>) -> Result<()>,
) -> Result<()> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    while let Ok((number, result)) = results.recv() {
        waiting.insert(number, result);
        while let Some(result) = waiting.remove(&next) {
            consume(result?)?;
            let _ = permit_back.try_send(());
            next += 1;
        }
    }
    Ok(())
}

/// Reads all files, giving batches to `give` until it says no.
fn read(pass: &Pass<'_>, give: impl FnMut(Batch) -> Result<bool>) -> Result<()> {
    let outcome = read_files(pass, give);
    // Whatever reading failed of when it was asked to stop.
    if pass.watch.stopped() { Err(Error::Stopped) } else { outcome }
}

fn read_files(pass: &Pass<'_>, mut give: impl FnMut(Batch) -> Result<bool>) -> Result<()> {
    for (index, file) in pass.files.iter().enumerate() {
        let (mut reader, hashed) = reader::open(file, &pass.reader, &pass.watch)?;
        let mut items = Vec::new();
        let mut bytes = 0;
        while let Some(item) = reader.next() {
            if pass.watch.stopped() {
                return Err(Error::Stopped);
            }
            bytes += item.as_ref().map_or(64, |record| record.document.text_bytes());
            items.push(item);
            if bytes >= BATCH || items.len() >= ITEMS {
                let full = std::mem::take(&mut items);
                if !give(Batch { source: file.source, items: full, file_end: None })? {
                    return Ok(());
                }
                bytes = 0;
            }
        }
        drop(reader);
        let file_end = Some((index, hashed.finish()?));
        if !give(Batch { source: file.source, items, file_end })? {
            return Ok(());
        }
    }
    Ok(())
}
