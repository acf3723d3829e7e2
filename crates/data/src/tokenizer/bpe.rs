//! Byte-pair merging: the lowest rank first, leftmost among equals, until no pair merges.
//!
//! Words come again and again, so an [`Encoder`] remembers the short ones; the rest is merged, in place
//! when short and with a heap when long, so that no input takes quadratic time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::pretokenize::SplitRule;

/// A byte-level BPE model: ids of the bytes, and what each pair of ids becomes.
pub(crate) struct Bpe {
    pub(crate) rule: SplitRule,
    byte_ids: [u32; 256],
    pairs: PairTable,
    /// Whole words that are tokens whatever the merges say (`ignore_merges`).
    words: Option<HashMap<Vec<u8>, u32>>,
    /// The longest of them.
    longest_word: usize,
}

impl Bpe {
    /// `merges`: pair → (rank, id).
    pub(crate) fn new(
        rule: SplitRule,
        byte_ids: [u32; 256],
        merges: &HashMap<(u32, u32), (u32, u32)>,
        words: Option<HashMap<Vec<u8>, u32>>,
    ) -> Self {
        let longest_word = words.as_ref().map_or(0, |words| words.keys().map(Vec::len).max().unwrap_or(0));
        Bpe { rule, byte_ids, pairs: PairTable::new(merges), words, longest_word }
    }

    /// Merges one piece of text.
    fn merge(&self, piece: &[u8], scratch: &mut Scratch, out: &mut Vec<u32>) {
        if let Some(words) = &self.words
            && piece.len() <= self.longest_word
            && let Some(&id) = words.get(piece)
        {
            out.push(id);
        } else if piece.len() <= SHORT {
            self.merge_short(piece, out);
        } else {
            self.merge_long(piece, scratch, out);
        }
    }

    /// Scans for the lowest rank again after every merge: quadratic, and fastest for a few bytes.
    fn merge_short(&self, piece: &[u8], out: &mut Vec<u32>) {
        let mut ids = [0u32; SHORT];
        let mut found = [NONE; SHORT];
        let mut len = piece.len().min(SHORT);
        for (id, &byte) in ids.iter_mut().zip(piece) {
            *id = self.byte_ids[byte as usize];
        }
        for at in 1..len {
            found[at - 1] = self.pairs.get(ids[at - 1], ids[at]);
        }
        while len > 1 {
            let mut best = NONE;
            let mut at = 0;
            for (index, &pair) in found[..len - 1].iter().enumerate() {
                // The rank is in the high half, so this compares ranks; equal pairs keep the leftmost.
                if pair < best {
                    best = pair;
                    at = index;
                }
            }
            if best == NONE {
                break;
            }
            ids[at] = best as u32;
            ids.copy_within(at + 2..len, at + 1);
            found.copy_within(at + 1..len, at);
            len -= 1;
            found[len - 1] = NONE;
            if at > 0 {
                found[at - 1] = self.pairs.get(ids[at - 1], ids[at]);
            }
            if at + 1 < len {
                found[at] = self.pairs.get(ids[at], ids[at + 1]);
            }
        }
        out.extend_from_slice(&ids[..len]);
    }

    /// A heap of candidate merges over a linked list of tokens.
    fn merge_long(&self, piece: &[u8], scratch: &mut Scratch, out: &mut Vec<u32>) {
        let Scratch { nodes, heap } = scratch;
        nodes.clear();
        heap.clear();
        let len = piece.len();
        for (at, &byte) in piece.iter().enumerate() {
            let next = if at + 1 < len { at as u32 + 1 } else { u32::MAX };
            let before = if at > 0 { at as u32 - 1 } else { u32::MAX };
            nodes.push(Node { id: self.byte_ids[byte as usize], before, next });
        }
        let candidate = |nodes: &[Node], at: usize| {
            let node = nodes[at];
            let right = nodes.get(node.next as usize)?;
            let pair = self.pairs.get(node.id, right.id);
            (pair != NONE).then_some(Reverse((pair, at as u32)))
        };
        heap.extend((0..len).filter_map(|at| candidate(nodes, at)));
        while let Some(Reverse((pair, at))) = heap.pop() {
            let at = at as usize;
            // Stale: one of the two has merged meanwhile (a merged-away node has no id).
            if nodes[at].id == GONE || candidate(nodes, at) != Some(Reverse((pair, at as u32))) {
                continue;
            }
            let right = nodes[at].next as usize;
            let next = nodes[right].next;
            nodes[right].id = GONE;
            nodes[at].id = pair as u32;
            nodes[at].next = next;
            if let Some(node) = nodes.get_mut(next as usize) {
                node.before = at as u32;
            }
            heap.extend(candidate(nodes, at));
            let before = nodes[at].before as usize;
            if before < nodes.len() {
                heap.extend(candidate(nodes, before));
            }
        }
        out.extend(nodes.iter().map(|node| node.id).filter(|&id| id != GONE));
    }
}

/// Pieces up to this length are merged in place.
const SHORT: usize = 32;
/// No such pair: above every (rank, id).
const NONE: u64 = u64::MAX;
/// The id of a node that was merged into its left neighbour.
const GONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Node {
    id: u32,
    before: u32,
    next: u32,
}

/// Buffers that live as long as the encoder.
#[derive(Default)]
struct Scratch {
    nodes: Vec<Node>,
    heap: BinaryHeap<Reverse<(u64, u32)>>,
}

/// Pair of ids → rank (high half) and id (low half), by open addressing.
struct PairTable {
    slots: Vec<(u64, u64)>,
    mask: usize,
    is_empty: bool,
}

impl PairTable {
    fn new(merges: &HashMap<(u32, u32), (u32, u32)>) -> Self {
        let size = (merges.len() * 3).next_power_of_two().max(4);
        let slots = vec![(u64::MAX, NONE); size];
        let mut table = PairTable { slots, mask: size - 1, is_empty: merges.is_empty() };
        for (&(left, right), &(rank, id)) in merges {
            let key = u64::from(left) << 32 | u64::from(right);
            let mut slot = table.slot(key);
            while table.slots[slot].0 != u64::MAX {
                slot = (slot + 1) & table.mask;
            }
            table.slots[slot] = (key, u64::from(rank) << 32 | u64::from(id));
        }
        table
    }

    #[inline(always)]
    fn slot(&self, key: u64) -> usize {
        (hash(key) >> 20) as usize & self.mask
    }

    #[inline(always)]
    fn get(&self, left: u32, right: u32) -> u64 {
        let key = u64::from(left) << 32 | u64::from(right);
        let mut slot = self.slot(key);
        loop {
            let (found, value) = self.slots[slot];
            if found == key || found == u64::MAX {
                return value;
            }
            slot = (slot + 1) & self.mask;
        }
    }
}

#[inline(always)]
fn hash(key: u64) -> u64 {
    (key ^ key >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Words of up to this many bytes are remembered.
const WORD: usize = 15;
/// If they have up to this many tokens.
const TOKENS: usize = 7;
/// Words remembered: a direct-mapped table of 1.5 MB.
const WORDS: usize = 1 << 15;

/// A word and its tokens. The key holds the bytes and, in its top byte, their number.
#[derive(Clone, Copy)]
struct Word {
    key: u128,
    ids: [u32; TOKENS],
    count: u32,
}

/// What an encoding thread owns: remembered words and buffers.
pub(crate) struct BpeEncoder {
    words: Vec<Word>,
    scratch: Scratch,
}

impl BpeEncoder {
    pub(crate) fn new() -> Self {
        BpeEncoder {
            words: vec![Word { key: 0, ids: [0; TOKENS], count: 0 }; WORDS],
            scratch: Scratch::default(),
        }
    }

    /// Appends the tokens of `text`.
    pub(crate) fn encode(&mut self, bpe: &Bpe, text: &str, out: &mut Vec<u32>) {
        match bpe.rule {
            SplitRule::Whole if bpe.pairs.is_empty => {
                out.extend(text.bytes().map(|byte| bpe.byte_ids[byte as usize]));
            }
            SplitRule::Whole => bpe.merge(text.as_bytes(), &mut self.scratch, out),
            // One copy of the loop a rule, so that the rule is no branch inside it.
            SplitRule::Gpt2 => self.encode_rule(bpe, SplitRule::Gpt2, text, out),
            SplitRule::Qwen2 => self.encode_rule(bpe, SplitRule::Qwen2, text, out),
            SplitRule::Llama3 => self.encode_rule(bpe, SplitRule::Llama3, text, out),
        }
    }

    #[inline(always)]
    fn encode_rule(&mut self, bpe: &Bpe, rule: SplitRule, text: &str, out: &mut Vec<u32>) {
        let bytes = text.as_bytes();
        rule.split(text, |start, end| {
            let len = end - start;
            if len > WORD {
                bpe.merge(&bytes[start..end], &mut self.scratch, out);
                return;
            }
            let key = word_key(bytes, start, len);
            let folded = key as u64 ^ (key >> 64) as u64;
            let slot = (hash(folded) >> 40) as usize & (WORDS - 1);
            let word = &mut self.words[slot];
            if word.key != key {
                let before = out.len();
                bpe.merge(&bytes[start..end], &mut self.scratch, out);
                let ids = &out[before..];
                if ids.len() <= TOKENS {
                    word.key = key;
                    word.count = ids.len() as u32;
                    word.ids[..ids.len()].copy_from_slice(ids);
                }
                return;
            }
            if word.count == 1 {
                out.push(word.ids[0]);
            } else {
                out.extend_from_slice(&word.ids[..(word.count as usize).min(TOKENS)]);
            }
        });
    }
}

/// Up to 15 bytes and their number as one integer; never 0.
#[inline(always)]
fn word_key(bytes: &[u8], start: usize, len: usize) -> u128 {
    let raw = match bytes.get(start..start + 16).and_then(|word| word.try_into().ok()) {
        Some(word) => u128::from_le_bytes(word),
        None => {
            let mut word = [0; 16];
            word[..len].copy_from_slice(&bytes[start..start + len]);
            u128::from_le_bytes(word)
        }
    };
    raw & ((1 << (len * 8)) - 1) | (len as u128) << 120
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Merges by the definition: again and again the lowest rank, leftmost.
    fn slow(merges: &HashMap<(u32, u32), (u32, u32)>, piece: &[u8]) -> Vec<u32> {
        let mut ids: Vec<u32> = piece.iter().map(|&byte| u32::from(byte)).collect();
        loop {
            let best = (1..ids.len())
                .filter_map(|at| merges.get(&(ids[at - 1], ids[at])).map(|m| (m.0, at, m.1)))
                .min();
            let Some((_, at, id)) = best else { return ids };
            ids[at - 1] = id;
            ids.remove(at);
        }
    }

    proptest! {
        /// Short and long merging both follow the definition, over random merge tables.
        #[test]
        fn merging_follows_its_definition(
            pairs in prop::collection::vec((0u32..20, 0u32..20), 1..60),
            piece in prop::collection::vec(0u8..6, 0..100),
        ) {
            let mut merges = HashMap::new();
            for (rank, (left, right)) in pairs.into_iter().enumerate() {
                let known = 6 + merges.len() as u32;
                merges.entry((left % known, right % known)).or_insert((rank as u32, known));
            }
            let byte_ids = std::array::from_fn(|byte| byte as u32);
            let bpe = Bpe::new(SplitRule::Whole, byte_ids, &merges, None);
            let expected = slow(&merges, &piece);
            let mut found = Vec::new();
            bpe.merge_long(&piece, &mut Scratch::default(), &mut found);
            prop_assert_eq!(&found, &expected);
            if piece.len() <= SHORT {
                found.clear();
                bpe.merge_short(&piece, &mut found);
                prop_assert_eq!(&found, &expected);
            }
        }
    }
}
