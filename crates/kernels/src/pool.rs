//! Threads for a parallel loop over tiles, ready within a microsecond while a step runs.
//!
//! A loop opens a gate; workers that see it open enter, take task numbers until none is left, and
//! leave; the caller works too, closes the gate and waits for those inside. A worker that sleeps
//! is woken but never waited for. Which thread runs a task must not matter to the result.
//!
//! Each thread begins with its own share of the numbers, the same share in every loop, and takes
//! others' only when that is done: rows that one operation wrote are then read by the next one on
//! the core whose cache holds them.

use crate::Error;
use std::any::Any;
use std::cell::UnsafeCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// Called with the number of the thread and that of the task.
type Task = dyn Fn(usize, usize) + Sync;

/// Worker threads that live as long as the pool.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the loop that runs.
    turn: Mutex<()>,
}

struct Shared {
    /// Number of workers inside, [`OPEN`], [`QUIT`], and above them the number of the loop.
    gate: AtomicU64,
    /// The next task of each thread's share.
    next: Vec<Counter>,
    job: UnsafeCell<Job>,
    sleepers: AtomicUsize,
    asleep: Mutex<()>,
    wake: Condvar,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// A counter with a cache line, and the one that is fetched along with it, of its own.
#[derive(Default)]
#[repr(align(128))]
struct Counter(AtomicUsize);

#[derive(Clone, Copy)]
struct Job {
    task: Option<*const Task>,
    tasks: usize,
}

// SAFETY: `job` is written only while the gate is closed with nobody inside, and read only by those
// who entered through the open gate; the pointed-to closure is Sync and outlives the loop.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

const INSIDE: u64 = 0xffff;
const OPEN: u64 = 1 << 16;
const QUIT: u64 = 1 << 17;
const LOOP: u64 = 1 << 18;

/// Turns of a worker's wait before it sleeps: some tens of microseconds.
const PATIENCE: u32 = 20_000;

impl Pool {
    /// A pool of `threads` threads, the caller's among them.
    pub fn new(threads: usize) -> Result<Pool, Error> {
        if threads == 0 || threads > 1024 {
            return Err(Error::Threads(threads));
        }
        let shared = Arc::new(Shared {
            gate: AtomicU64::new(0),
            next: (0..threads).map(|_| Counter::default()).collect(),
            job: UnsafeCell::new(Job { task: None, tasks: 0 }),
            sleepers: AtomicUsize::new(0),
            asleep: Mutex::new(()),
            wake: Condvar::new(),
            panic: Mutex::new(None),
        });
        let mut pool = Pool { shared, workers: Vec::new(), turn: Mutex::new(()) };
        for i in 1..threads {
            let shared = pool.shared.clone();
            let thread = std::thread::Builder::new().name(format!("kernel-{i}"));
            pool.workers.push(thread.spawn(move || shared.work(i)).map_err(|_| Error::Threads(threads))?);
        }
        Ok(pool)
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `f(0)`, …, `f(tasks − 1)`, each once, on any thread, and returns when all are done. A
    /// panic in one is passed on. A loop within a loop runs on its own thread alone.
    #[inline]
    pub fn for_each(&self, tasks: usize, f: impl Fn(usize) + Sync) {
        self.for_each_on(tasks, |_, task| f(task));
    }

    /// As [`Pool::for_each`], with the number of the thread before that of the task: no two tasks of a
    /// loop that run at the same time are given the same one.
    #[inline]
    pub fn for_each_on(&self, tasks: usize, f: impl Fn(usize, usize) + Sync) {
        if tasks <= 1 || self.workers.is_empty() {
            (0..tasks).for_each(|task| f(0, task));
        } else {
            self.share(tasks, &f);
        }
    }

    fn share(&self, tasks: usize, f: &(dyn Fn(usize, usize) + Sync)) {
        let Ok(turn) = self.turn.try_lock() else {
            return (0..tasks).for_each(|task| f(0, task));
        };
        let shared = &*self.shared;
        // SAFETY: the lifetime is dropped from the pointer's type only: the gate is closed and empty
        // again before this function returns, on every path (`run_tasks` does not unwind).
        let task: *const Task =
            unsafe { std::mem::transmute::<&(dyn Fn(usize, usize) + Sync), &'static Task>(f) };
        // SAFETY: the gate is closed and nobody is inside, so nobody else looks at the job.
        unsafe { *shared.job.get() = Job { task: Some(task), tasks } };
        for (thread, next) in shared.next.iter().enumerate() {
            next.0.store(shared.share(thread, tasks).start, Ordering::Relaxed);
        }
        let number = shared.gate.load(Ordering::Relaxed) / LOOP + 1;
        shared.gate.store(number * LOOP + OPEN, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            let _guard = shared.asleep.lock();
            shared.wake.notify_all();
        }
        shared.run_tasks(0, f, tasks);
        shared.gate.fetch_and(!OPEN, Ordering::AcqRel);
        let mut turns = 0;
        while shared.gate.load(Ordering::Acquire) & INSIDE != 0 {
            pause(&mut turns);
        }
        let panic = shared.panic.lock().ok().and_then(|mut slot| slot.take());
        drop(turn);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

/// Waits a moment; after many, lets others run.
fn pause(turns: &mut u32) {
    *turns += 1;
    if *turns > 2_000 { std::thread::yield_now() } else { std::hint::spin_loop() }
}

impl Shared {
    /// The tasks that a thread begins with.
    fn share(&self, thread: usize, tasks: usize) -> Range<usize> {
        let threads = self.next.len();
        tasks * thread / threads..tasks * (thread + 1) / threads
    }

    fn run_tasks(&self, thread: usize, f: &(dyn Fn(usize, usize) + Sync), tasks: usize) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            let threads = self.next.len();
            for owner in (thread..threads).chain(0..thread) {
                let end = self.share(owner, tasks).end;
                loop {
                    let task = self.next[owner].0.fetch_add(1, Ordering::Relaxed);
                    if task >= end {
                        break;
                    }
                    f(thread, task);
                }
            }
        }));
        if let Err(panic) = result {
            // The others stop at their next task.
            self.next.iter().for_each(|next| next.0.store(tasks, Ordering::Relaxed));
            if let Ok(mut slot) = self.panic.lock() {
                slot.get_or_insert(panic);
            }
        }
    }

    fn work(&self, thread: usize) {
        let (mut seen, mut turns) = (0, 0);
        loop {
            let gate = self.gate.load(Ordering::Acquire);
            if gate & QUIT != 0 {
                return;
            }
            if gate & OPEN == 0 || gate / LOOP == seen {
                turns += 1;
                if turns < PATIENCE {
                    std::hint::spin_loop();
                } else {
                    self.sleep(seen);
                    turns = 0;
                }
                continue;
            }
            if self.gate.compare_exchange_weak(gate, gate + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            seen = gate / LOOP;
            // SAFETY: inside the gate the job stands still, and its closure is alive until the gate
            // is closed and empty.
            let (task, tasks) = unsafe {
                let job = *self.job.get();
                (job.task.map(|task| &*task), job.tasks)
            };
            if let Some(task) = task {
                self.run_tasks(thread, task, tasks);
            }
            self.gate.fetch_sub(1, Ordering::AcqRel);
            turns = 0;
        }
    }

    fn sleep(&self, seen: u64) {
        let Ok(mut guard) = self.asleep.lock() else { return };
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        loop {
            let gate = self.gate.load(Ordering::SeqCst);
            if gate & QUIT != 0 || (gate & OPEN != 0 && gate / LOOP != seen) {
                break;
            }
            match self.wake.wait(guard) {
                Ok(woken) => guard = woken,
                Err(_) => break,
            }
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.gate.fetch_or(QUIT, Ordering::SeqCst);
        {
            let _guard = self.shared.asleep.lock();
            self.shared.wake.notify_all();
        }
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.threads())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once() {
        for threads in [1, 2, 3, 7] {
            let pool = Pool::new(threads).unwrap();
            for tasks in [0, 1, 2, 5, 100] {
                for _ in 0..200 {
                    let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                    pool.for_each(tasks, |i| {
                        counts[i].fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
                }
            }
        }
    }

    #[test]
    fn sleepers_wake_nested_loops_run_and_panics_pass() {
        let pool = Pool::new(3).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30));
        let sum = AtomicUsize::new(0);
        pool.for_each(4, |i| {
            pool.for_each(5, |j| {
                sum.fetch_add(i * j, Ordering::Relaxed);
            })
        });
        assert_eq!(sum.load(Ordering::Relaxed), 60);
        let result = catch_unwind(AssertUnwindSafe(|| pool.for_each(9, |i| assert!(i != 4, "task four"))));
        assert!(result.is_err());
        pool.for_each(9, |i| {
            sum.fetch_add(i, Ordering::Relaxed);
        });
        assert_eq!(sum.load(Ordering::Relaxed), 96);
    }
}
