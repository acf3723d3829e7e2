//! Tokens as batches: what each place sees and predicts, every token once an epoch, sources in their shares, and
//! a held-out set that is the same however it is cut.

mod common;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use common::sentences;
use data::{Batch, BuildConfig, Dataset, EvalSet, Order, Source, Split, TokenizerChoice};

/// Builds a folder of bytes from lines of JSON a source, with the sources' weights.
fn built(folder: &Path, sources: &[(Vec<String>, Option<f64>)], holdout: f64) -> Dataset {
    let source = |(number, (lines, weight)): (usize, &(Vec<String>, Option<f64>))| {
        let path = folder.join(format!("{number}.jsonl"));
        std::fs::write(&path, lines.join("\n")).unwrap();
        Source { weight: *weight, ..Source::new(path.to_str().unwrap()) }
    };
    let config = BuildConfig {
        sources: sources.iter().enumerate().map(source).collect(),
        tokenizer: TokenizerChoice::Bytes,
        holdout,
        ..BuildConfig::default()
    };
    let out = folder.join("data");
    data::build(&config, &out, &mut |_| ()).unwrap();
    Dataset::open(&out).unwrap()
}

fn plain(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| serde_json::json!({"text": text}).to_string()).collect()
}

/// Each text is seen with weight 0 up to its middle, half of the rest with 0.5; every third is all seen.
fn weighted(texts: &[String]) -> Vec<String> {
    let line = |(number, text): (usize, &String)| {
        let (seen, rest) = text.split_at(text.ceil_char_boundary(text.len() / 2));
        let (half, full) = rest.split_at(rest.ceil_char_boundary(rest.len() / 2));
        let last = if number % 3 == 0 { 0.0 } else { 1.0 };
        serde_json::json!({"segments": [
            {"text": seen, "weight": 0.0}, {"text": half, "weight": 0.5}, {"text": full, "weight": last}
        ]})
        .to_string()
    };
    texts.iter().enumerate().map(line).collect()
}

/// What is known of a token of a split: its document's range, the target behind it and that target's weight.
struct Known {
    token: i32,
    begins: bool,
    target: i32,
    weight: f32,
}

/// A split token by token, read document by document.
fn known(split: &Split) -> Vec<Known> {
    let mut all = Vec::new();
    for number in 0..split.documents() {
        let range = split.document(number);
        let mut tokens = vec![0; (range.end - range.start) as usize];
        split.read(range.start, &mut tokens).unwrap();
        let mut weights = Vec::new();
        for (end, weight) in split.document_segments(number) {
            weights.resize((end - range.start) as usize, weight);
        }
        assert_eq!((tokens[0], weights.len()), (split.eos(), tokens.len()));
        // Behind the last token comes the end, which belongs to the last segment.
        let last = *weights.last().unwrap();
        for (at, &token) in tokens.iter().enumerate() {
            let weight = *weights.get(at + 1).unwrap_or(&last);
            let next = *tokens.get(at + 1).unwrap_or(&split.eos());
            let target = if weight == 0.0 { -1 } else { next };
            all.push(Known { token, begins: at == 0, target, weight });
        }
    }
    all
}

#[test]
fn rows_are_windows_in_which_documents_see_only_themselves() {
    for (lines, name) in [(plain(&sentences(50)), "plain"), (weighted(&sentences(50)), "weighted")] {
        let folder = tempfile::tempdir().unwrap();
        let data = built(folder.path(), &[(lines, None)], 0.05);
        let split = data.train();
        let known = known(split);
        let seq = 48;
        let windows: HashMap<Vec<i32>, usize> =
            known.chunks(seq).enumerate().map(|(k, w)| (w.iter().map(|t| t.token).collect(), k)).collect();
        let order = Order::new(split.clone(), 5, seq).unwrap();
        let rows = order.epoch_rows() as usize;
        assert_eq!((windows.len(), rows), (known.len().div_ceil(seq), known.len().div_ceil(seq)), "{name}");

        let mut batch = Batch::new();
        order.rows(0, rows, &mut batch).unwrap();
        let mut met = vec![0; rows];
        let mut padded = 0;
        for row in 0..rows {
            let range = row * seq..(row + 1) * seq;
            // Only the last window is shorter than a row.
            let short = known.len() % seq;
            let tokens = &batch.tokens[range.clone()];
            let Some(&window) = windows.get(tokens).or_else(|| windows.get(&tokens[..short])) else {
                panic!("{name}: row {row} is no window");
            };
            met[window] += 1;
            let mut first = range.start;
            for at in range {
                let seen = (batch.positions[at], batch.lo[at], batch.hi[at]);
                let Some(known) = known.get(window * seq + at % seq) else {
                    padded += 1;
                    assert_eq!((batch.targets[at], batch.weights[at]), (-1, 0.0), "{name}: padding");
                    assert_eq!(seen, (0, at as i32, at as i32 + 1), "{name}: padding");
                    continue;
                };
                first = if known.begins { at } else { first };
                assert_eq!(seen, ((at - first) as i32, first as i32, at as i32 + 1), "{name} {row} {at}");
                assert_eq!((batch.targets[at], batch.weights[at]), (known.target, known.weight), "{name}");
            }
        }
        assert!(met.iter().all(|&count| count == 1), "{name}: {met:?}");
        assert_eq!(padded, rows * seq - known.len(), "{name}");
        let counted = known.iter().filter(|known| known.target >= 0).count();
        assert_eq!(batch.target_count(), counted, "{name}");
        assert_eq!(counted == known.len(), name == "plain");
    }
}

/// How often each token stands in rows, padding apart.
fn histogram(batch: &Batch) -> BTreeMap<i32, usize> {
    let mut counts = BTreeMap::new();
    // In plain text, only padding predicts nothing.
    for (&token, _) in batch.tokens.iter().zip(&batch.targets).filter(|(_, target)| **target >= 0) {
        *counts.entry(token).or_default() += 1;
    }
    counts
}

#[test]
fn every_epoch_has_every_token_once_in_an_order_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = built(folder.path(), &[(plain(&sentences(80)), None)], 0.05);
    let mut tokens = vec![0; data.train().tokens() as usize];
    data.train().read(0, &mut tokens).unwrap();
    let mut expected = BTreeMap::new();
    tokens.into_iter().for_each(|token| *expected.entry(token).or_default() += 1);
    let epoch = |seed: u64, epoch: u64| {
        let order = Order::new(data.train().clone(), seed, 31).unwrap();
        let mut batch = Batch::new();
        order.rows(epoch * order.epoch_rows(), order.epoch_rows() as usize, &mut batch).unwrap();
        batch
    };
    for number in 0..4 {
        assert_eq!(histogram(&epoch(1, number)), expected, "epoch {number}");
        assert!(epoch(1, number) == epoch(1, number));
        assert!(epoch(1, number) != epoch(1, number + 1) && epoch(1, number) != epoch(2, number));
    }
    // A step is its rows, wherever the run was begun.
    let order = Order::new(data.train().clone(), 1, 31).unwrap();
    let (mut step, mut rows) = (Batch::new(), Batch::new());
    order.batch(3, 4, &mut step).unwrap();
    order.rows(12, 4, &mut rows).unwrap();
    assert!(step == rows);
}

#[test]
fn weighted_sources_have_their_shares_of_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    // Texts of one letter a source, of very different sizes.
    let letters = [('a', 4.0, 40), ('b', 2.5, 9), ('c', 1.5, 200)];
    let source = |&(letter, weight, count): &(char, f64, usize)| {
        let texts: Vec<String> = (200..200 + count).map(|n| letter.to_string().repeat(n)).collect();
        (plain(&texts), Some(weight))
    };
    let data = built(folder.path(), &letters.iter().map(source).collect::<Vec<_>>(), 0.02);
    let order = Order::new(data.train().clone(), 9, 64).unwrap();
    let mut batch = Batch::new();
    for cycle in 0..2 {
        let mut tokens = [0; 3];
        let mut rows = [0; 3];
        for row in 0..4096 {
            order.rows(cycle * 4096 + row, 1, &mut batch).unwrap();
            let of = letters.map(|(letter, ..)| batch.tokens.iter().filter(|&&t| t == letter as i32).count());
            assert_eq!(of.iter().filter(|&&count| count > 0).count(), 1, "row {row} is of two sources");
            for (source, count) in of.into_iter().enumerate() {
                tokens[source] += count;
                rows[source] += usize::from(count > 0);
            }
        }
        assert_eq!(rows, [2048, 1280, 768]);
        let total: usize = tokens.iter().sum();
        for ((letter, weight, _), count) in letters.into_iter().zip(tokens) {
            let share = count as f64 / total as f64;
            assert!((share - weight / 8.0).abs() < 0.03, "{letter}: {share} of the tokens");
        }
    }
}

#[test]
fn the_held_out_set_is_the_same_however_it_is_cut() {
    let mut texts = sentences(60);
    // Some are longer than a piece.
    texts.extend((0..8).map(|i| format!("{i} {}", sentences(120).join(" "))));
    for (lines, name) in [(plain(&texts), "plain"), (weighted(&texts), "weighted")] {
        let folder = tempfile::tempdir().unwrap();
        let data = built(folder.path(), &[(lines, None)], 0.4);
        let all = known(data.eval());
        for most in [5000, u64::MAX] {
            let mut before = None;
            for (seq, rows) in [(7, 1), (16, 3), (64, 5), (1000, 2)] {
                let set = EvalSet::new(data.eval().clone(), data.tokenizer(), seq, most).unwrap();
                let (mut pairs, mut weight, mut targets) = (Vec::new(), 0.0, 0);
                let mut batch = Batch::new();
                for first in (0..set.rows()).step_by(rows) {
                    set.batch(first, rows, &mut batch).unwrap();
                    weight += batch.weights.iter().map(|&w| f64::from(w)).sum::<f64>();
                    targets += batch.target_count() as u64;
                    let both = batch.tokens.iter().zip(&batch.targets);
                    pairs.extend(both.filter(|(_, target)| **target >= 0).map(|(a, b)| (*a, *b)));
                }
                assert_eq!((set.targets(), set.weight()), (targets, weight), "{name} {seq}");
                if most == u64::MAX {
                    let counted = all.iter().filter(|known| known.target >= 0);
                    let expected: Vec<_> = counted.map(|known| (known.token, known.target)).collect();
                    assert!(pairs == expected, "{name} {seq}: other targets");
                    let entry = &data.manifest().eval;
                    let whole = (set.bytes(), set.words()) == (entry.bytes, entry.words);
                    assert_eq!(whole, name == "plain");
                } else {
                    assert!(set.rows() * seq < most as usize + seq, "{name} {seq}");
                }
                let this = (pairs, weight, targets, set.bytes(), set.words());
                assert!(*before.get_or_insert_with(|| this.clone()) == this, "{name}: cut into {seq}");
            }
        }
    }
}
