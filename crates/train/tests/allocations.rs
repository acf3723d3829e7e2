//! A steady step takes nothing from the heap.

mod common;

use common::{config, dataset, device};
use data::Order;
use record::{Files, RunWriter};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use train::{Replica, Solo, StepLine};

static COUNT: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_steady_step_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    for (micro_rows, matrices) in [(1, "adamw"), (3, "muon"), (12, "adamw")] {
        let mut config = config(&data, micro_rows);
        config.optimiser.matrices = matrices.into();
        let mut replica = Replica::new(&config, &device(2)).unwrap();
        replica.initialise(1).unwrap();
        let order = Order::new(data.train().clone(), 1, config.seq()).unwrap();
        let path = folder.path().join(format!("run-{micro_rows}"));
        let writer = RunWriter::create(&path, "", Files::new()).unwrap();
        let mut metrics = writer.lines("metrics.jsonl", 0).unwrap();
        let mut step = |number: u64| {
            replica
                .gradient(&|micro, batch| {
                    let row = number * config.rows as u64 + (micro * micro_rows) as u64;
                    Ok(order.rows(row, micro_rows, batch)?)
                })
                .unwrap();
            let stepped = replica.update(&mut Solo, 1e-3, number + 1, false).unwrap();
            metrics
                .write(&StepLine { step: number, loss: Some(stepped.loss), ..StepLine::default() })
                .unwrap();
        };
        (0..3).for_each(&mut step);
        let before = COUNT.load(Ordering::Relaxed);
        (3..8).for_each(&mut step);
        assert_eq!(COUNT.load(Ordering::Relaxed) - before, 0, "{micro_rows} {matrices}");
    }
}
