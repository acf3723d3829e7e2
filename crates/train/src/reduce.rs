//! Sums over ranks: one trait, whatever carries the numbers.
//!
//! Ranks stand at the leaves of a binary tree above the trees of their micro-batches, so that the sum
//! is the same, bit by bit, for any number of ranks.

use crate::{Error, Result};
use engine::update::add_into;
use engine::{CpuDevice, Store};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What is summed beside the gradients: weighted loss, weight, wish to stop.
pub type Numbers = [f64; 3];

/// `into += from`, gradients and numbers.
pub(crate) fn add(device: &CpuDevice, into: &mut (Store, Numbers), from: &(Store, Numbers)) -> Result<()> {
    add_into(device.cpu(), &mut into.0, &from.0)?;
    into.1.iter_mut().zip(from.1).for_each(|(a, b)| *a += b);
    Ok(())
}

/// A rank's way to the others.
pub trait Reduce: Send {
    /// This rank.
    fn rank(&self) -> usize;

    /// All ranks: a power of two.
    fn ranks(&self) -> usize;

    /// Sums gradients and numbers over all ranks; every rank gets the same.
    fn sum(&mut self, gradients: Store, numbers: Numbers) -> Result<(Store, Numbers)>;
}

/// The only rank.
#[derive(Debug)]
pub struct Solo;

impl Reduce for Solo {
    fn rank(&self) -> usize {
        0
    }

    fn ranks(&self) -> usize {
        1
    }

    fn sum(&mut self, gradients: Store, numbers: Numbers) -> Result<(Store, Numbers)> {
        Ok((gradients, numbers))
    }
}

/// A rank of several that are threads of this process.
pub struct InProcess {
    rank: usize,
    device: CpuDevice,
    meeting: Arc<Meeting>,
}

/// Where the ranks of a process meet.
struct Meeting {
    slots: Vec<Mutex<Option<(Store, Numbers)>>>,
    state: Mutex<Arrivals>,
    all: Condvar,
}

#[derive(Default)]
struct Arrivals {
    count: usize,
    round: u64,
    failed: bool,
}

/// Nobody holds a lock while something can fail, so a poisoned one is as good.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Meeting {
    /// Waits until every rank has come here, or one has failed.
    fn wait(&self) -> Result<()> {
        let mut state = locked(&self.state);
        let round = state.round;
        state.count += 1;
        if state.count == self.slots.len() {
            (state.count, state.round) = (0, round + 1);
            self.all.notify_all();
        }
        while state.round == round && !state.failed {
            state = self.all.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // A meeting that came about counts, even if one has left since.
        if state.round == round { Err(Error::Rank) } else { Ok(()) }
    }
}

impl InProcess {
    /// The ranks of one process, each with its device.
    pub fn group(devices: &[CpuDevice]) -> Vec<InProcess> {
        let slots = devices.iter().map(|_| Mutex::new(None)).collect();
        let meeting = Arc::new(Meeting { slots, state: Mutex::default(), all: Condvar::new() });
        let rank = |(rank, device): (usize, &CpuDevice)| InProcess {
            rank,
            device: device.clone(),
            meeting: meeting.clone(),
        };
        devices.iter().enumerate().map(rank).collect()
    }
}

impl Drop for InProcess {
    /// Who leaves, for whatever reason, is not waited for.
    fn drop(&mut self) {
        locked(&self.meeting.state).failed = true;
        self.meeting.all.notify_all();
    }
}

impl Reduce for InProcess {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.meeting.slots.len()
    }

    fn sum(&mut self, gradients: Store, numbers: Numbers) -> Result<(Store, Numbers)> {
        let slots = &self.meeting.slots;
        *locked(&slots[self.rank]) = Some((gradients, numbers));
        self.meeting.wait()?;
        let mut distance = 1;
        while distance < slots.len() {
            if self.rank.is_multiple_of(2 * distance) {
                let (mut mine, other) = (locked(&slots[self.rank]), locked(&slots[self.rank + distance]));
                let (Some(mine), Some(other)) = (mine.as_mut(), other.as_ref()) else {
                    return Err(Error::Rank);
                };
                add(&self.device, mine, other)?;
            }
            self.meeting.wait()?;
            distance *= 2;
        }
        if self.rank > 0 {
            let (mut mine, first) = (locked(&slots[self.rank]), locked(&slots[0]));
            let (Some(mine), Some(first)) = (mine.as_mut(), first.as_ref()) else { return Err(Error::Rank) };
            mine.0.copy_from(&first.0)?;
            mine.1 = first.1;
        }
        self.meeting.wait()?;
        locked(&slots[self.rank]).take().ok_or(Error::Rank)
    }
}
