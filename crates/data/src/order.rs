//! The order of training data: a pure function of (seed, step).
//!
//! The tokens of a split are cut into windows of one row each, and an epoch visits every window once, in a
//! pseudo-random permutation that is computed, not stored. Windows rather than documents are permuted
//! because documents differ in length by orders of magnitude: a batch of the pieces of one book would be a
//! poor sample. Where the cuts fall moves with the epoch. A window may hold parts of several documents;
//! attention is kept within each by `lo` and `hi`.
//!
//! Sources with weights are mixed by rows: in every cycle of 4096 rows each source has its share, to the
//! nearest row, in pseudo-random places; a source that runs out begins its next epoch.
//!
//! Where there are pictures, a window is as many whole documents as fit into a row (`packing`), in every epoch the same.

use std::sync::Arc;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::packing::pack;
use crate::seeing::Look;
use crate::split::{Group, Split};

/// Rows in which the shares of sources come out exactly.
const CYCLE: u64 = 4096;

/// Which tokens each row of each step holds.
#[derive(Clone)]
pub struct Order {
    split: Arc<Split>,
    seed: u64,
    seq: usize,
    parts: Vec<Part>,
    look: Option<Look>,
}

/// A group of the split with its share of a cycle.
#[derive(Clone)]
struct Part {
    group: Group,
    windows: u64,
    /// Where they begin, and the end, if they are not all of one length.
    starts: Option<Arc<[u64]>>,
    /// First of its places in a cycle, and their number.
    first: u64,
    count: u64,
}

impl Order {
    /// The order of a split with rows of `seq` tokens.
    pub fn new(split: Arc<Split>, seed: u64, seq: usize) -> Result<Order> {
        Order::seeing(split, seed, seq, None)
    }

    /// The same for a model that sees.
    pub fn seeing(split: Arc<Split>, seed: u64, seq: usize, look: Option<Look>) -> Result<Order> {
        if seq == 0 {
            return Err(Error::Config("a row of 0 tokens holds nothing".into()));
        }
        if split.tokens() == 0 {
            return Err(Error::Empty("the split holds no tokens to train on".into()));
        }
        let mut parts = shares(split.groups(), seq);
        if let Some(look) = look.as_ref().filter(|_| split.sees()) {
            for part in &mut parts {
                let Group { start, tokens, .. } = part.group;
                let first = split.document_of(start);
                let documents = (first..split.documents()).map(|document| split.document(document));
                let inside = documents.take_while(|document| document.start < start + tokens);
                let starts = pack(&split, inside, seq, look)?;
                part.windows = starts.len() as u64 - 1;
                part.starts = Some(starts.into());
            }
        }
        Ok(Order { split, seed, seq, parts, look })
    }

    /// Tokens a row.
    pub fn seq(&self) -> usize {
        self.seq
    }

    /// Rows after which every token was used at least once, and exactly once if sources have no weights.
    pub fn epoch_rows(&self) -> u64 {
        match self.parts.as_slice() {
            [part] => part.windows,
            parts => parts
                .iter()
                .map(|part| (part.windows.div_ceil(part.count)).saturating_mul(CYCLE))
                .max()
                .unwrap_or(0),
        }
    }

    /// Fills the batch of a step: rows `step · rows` and on.
    pub fn batch(&self, step: u64, rows: usize, batch: &mut Batch) -> Result<()> {
        self.rows(step.wrapping_mul(rows as u64), rows, batch)
    }

    /// Fills a batch with rows `first` and on of the whole training run. Allocates only to grow the batch.
    pub fn rows(&self, first: u64, rows: usize, batch: &mut Batch) -> Result<()> {
        batch.shape(rows, self.seq, self.look.as_ref());
        for row in 0..rows {
            let (start, end, group) = self.window(first.wrapping_add(row as u64));
            self.fill_row(start, end, group, row * self.seq, batch)?;
        }
        Ok(())
    }

    /// Tokens of a row, counted from the group's beginning and possibly beyond its end, where the count
    /// goes round.
    fn window(&self, row: u64) -> (u64, u64, Group) {
        let (part, nth) = self.part(row);
        let part = &self.parts[part];
        let epoch = nth / part.windows;
        let key = mix(self.seed ^ mix(part.group.start ^ mix(epoch)));
        let window = permute(nth % part.windows, part.windows, key);
        if let Some(starts) = &part.starts {
            return (starts[window as usize], starts[window as usize + 1], part.group);
        }
        let tokens = part.group.tokens;
        let start = window * self.seq as u64;
        let end = (start + self.seq as u64).min(tokens);
        // The first epoch begins at the beginning; later ones cut elsewhere.
        let turn = if epoch == 0 { 0 } else { mix(key ^ 1) % tokens };
        (start + turn, end + turn, part.group)
    }

    /// The source of a row, by its number among the parts, and how many rows it had before.
    fn part(&self, row: u64) -> (usize, u64) {
        if self.parts.len() == 1 {
            return (0, row);
        }
        let cycle = row / CYCLE;
        let place = permute(row % CYCLE, CYCLE, mix(self.seed ^ mix(cycle ^ 0x6d69_7869_6e67)));
        let index = self.parts.partition_point(|part| part.first + part.count <= place);
        let index = index.min(self.parts.len() - 1);
        let part = &self.parts[index];
        (index, cycle * part.count + (place - part.first))
    }

    fn fill_row(&self, start: u64, end: u64, group: Group, at: usize, batch: &mut Batch) -> Result<()> {
        let mut here = start;
        let mut place = at;
        while here < end {
            // Round the group's end, which is a document's end.
            let inside = if here >= group.tokens { here - group.tokens } else { here };
            let most = (end - here).min(group.tokens - inside) as usize;
            let count = self.split.fill_part(group.start + inside, most, place, self.look.as_ref(), batch)?;
            here += count as u64;
            place += count;
        }
        batch.pad(place..at + self.seq, self.split.eos());
        Ok(())
    }
}

/// Places of a cycle for each group: its share to the nearest row, at least one.
fn shares(groups: &[Group], seq: usize) -> Vec<Part> {
    let total: f64 = groups.iter().map(|group| group.weight).sum();
    let exact: Vec<f64> = groups.iter().map(|g| g.weight / total * CYCLE as f64).collect();
    let mut counts: Vec<u64> = exact.iter().map(|share| (share.floor() as u64).max(1)).collect();
    // Largest remainders get what is left; if the minimum of one gave out too much, the largest pay.
    while counts.iter().sum::<u64>() < CYCLE {
        let best = (0..counts.len())
            .max_by(|&a, &b| (exact[a] - counts[a] as f64).total_cmp(&(exact[b] - counts[b] as f64)));
        let Some(best) = best else { break };
        counts[best] += 1;
    }
    while counts.iter().sum::<u64>() > CYCLE {
        let Some(largest) = (0..counts.len()).max_by_key(|&index| counts[index]) else {
            break;
        };
        if counts[largest] == 1 {
            break;
        }
        counts[largest] -= 1;
    }
    let mut first = 0;
    groups
        .iter()
        .zip(counts)
        .map(|(&group, count)| {
            let windows = group.tokens.div_ceil(seq as u64).max(1);
            let part = Part { group, windows, starts: None, first, count };
            first += count;
            part
        })
        .collect()
}

/// A bijection of 0..count: a Feistel network over the next power of four, walked until it lands inside.
pub(crate) fn permute(index: u64, count: u64, key: u64) -> u64 {
    debug_assert!(index < count);
    if count <= 1 {
        return 0;
    }
    let bits = 64 - (count - 1).leading_zeros();
    let half = bits.div_ceil(2);
    let mask = (1u64 << half) - 1;
    let mut value = index;
    loop {
        let (mut left, mut right) = (value >> half, value & mask);
        for round in 0..6u64 {
            let next = left ^ (mix(right ^ key.wrapping_add(round.wrapping_mul(GOLDEN))) & mask);
            left = right;
            right = next;
        }
        value = left << half | right;
        if value < count {
            return value;
        }
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijection of 64 bits that changes about half of them for any change of one (the finaliser of
/// SplitMix64: Steele, Lea and Flood, 2014).
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(GOLDEN);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_permutation_is_one(count in 1u64..3000, key in any::<u64>()) {
            let mut seen = vec![false; count as usize];
            for index in 0..count {
                let to = permute(index, count, key) as usize;
                prop_assert!(!seen[to]);
                seen[to] = true;
            }
        }

        #[test]
        fn shares_fill_the_cycle(weights in prop::collection::vec(0.001f64..1000.0, 1..20)) {
            let groups: Vec<Group> =
                weights.iter().map(|&weight| Group { start: 0, tokens: 10, weight }).collect();
            let parts = shares(&groups, 4);
            prop_assert_eq!(parts.iter().map(|part| part.count).sum::<u64>(), CYCLE);
            let total: f64 = weights.iter().sum();
            for (part, weight) in parts.iter().zip(weights) {
                let exact = weight / total * CYCLE as f64;
                prop_assert!((part.count as f64 - exact).abs() <= 20.0, "{} for {exact}", part.count);
            }
        }
    }

    #[test]
    fn large_counts_stay_inside() {
        for count in [1u64 << 40, (1 << 40) + 1, u64::MAX / 2] {
            for index in [0, 1, count / 2, count - 1] {
                assert!(permute(index, count, 7) < count);
            }
        }
    }
}
