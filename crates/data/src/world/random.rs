//! A stream of pseudo-random integers, the same on every machine: no floating point takes part.

use crate::order::mix;

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The stream of a key.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// A stream for (seed, purpose, index): different keys give unrelated streams.
    pub(crate) fn new(seed: u64, purpose: u64, index: u64) -> Random {
        Random { state: mix(mix(seed ^ mix(purpose)) ^ index) }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// Uniform below `limit`; 0 for a limit of 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// Uniform in `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below((high.saturating_sub(low) + 1) as usize) as u64
    }

    /// True `percent` times in a hundred.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A rank below `count` with odds of about 1/(rank + 1): every doubling of the rank is as likely as the
    /// next, and ranks within a doubling are equally likely.
    pub(crate) fn skewed(&mut self, count: usize) -> usize {
        if count < 2 {
            return 0;
        }
        let doublings = count.ilog2() as usize + 1;
        loop {
            let size = 1 << self.below(doublings);
            let rank = size - 1 + self.below(size);
            if rank < count {
                return rank;
            }
        }
    }

    /// One of a list that is not empty, each equally likely.
    pub(crate) fn pick<'a, T: ?Sized + 'a>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}
