//! The same bits, whatever runs beside, before, or on how many threads.

mod common;

use common::{Batch, Decoder, Next, Trainer, bits, device, score, sequence, small, tokens};
use engine::update::{Optimiser, Settings};
use kernels::Isa;
use model::parametrisation::{Choice, table};

/// More than two tiles of attention.
const LENGTH: usize = 150;

#[test]
fn prefill_and_decoding_token_by_token_give_the_same_bits() {
    for (model_type, tied) in [("qwen3", false), ("llama", true)] {
        let (config, params) = small(model_type, tied);
        let text = sequence(&tokens(LENGTH, config.vocab_size, 2), 0);
        for isa in Isa::available() {
            let device = device(isa, 2);
            let whole = Decoder::new(&device, &params, &config, LENGTH, LENGTH).run(&params, &text);
            let mut single = Decoder::new(&device, &params, &config, 1, LENGTH);
            // In pieces of uneven sizes, in another place of a larger cache.
            let mut pieces = Decoder::new(&device, &params, &config, 70, 2 * LENGTH);
            let mut at = 0;
            for size in [1, 64, 3, 70, 12] {
                let piece: Vec<Next> =
                    text[at..at + size].iter().map(|next| Next { base: 37, ..*next }).collect();
                for (i, logits) in pieces.run(&params, &piece).iter().enumerate() {
                    assert_eq!(bits(logits), bits(&whole[at + i]), "{isa}, token {} of a piece", at + i);
                }
                at += size;
            }
            assert_eq!(at, LENGTH);
            for (i, &next) in text.iter().enumerate() {
                assert_eq!(bits(&single.run(&params, &[next])[0]), bits(&whole[i]), "{isa}, token {i}");
            }
        }
    }
}

#[test]
fn sequences_decoded_together_have_the_bits_of_each_alone() {
    let (config, params) = small("qwen3", false);
    let device = device(Isa::best(), 2);
    let texts: Vec<Vec<i32>> = (0..7).map(|i| tokens(10 + 3 * i, config.vocab_size, i)).collect();
    let mut together = Decoder::new(&device, &params, &config, 7, 7 * 40);
    let mut alone: Vec<Decoder> =
        texts.iter().map(|_| Decoder::new(&device, &params, &config, 1, 40)).collect();
    for position in 0..28 {
        let running: Vec<usize> = (0..7).filter(|&i| position < texts[i].len()).collect();
        let next = |i: usize, base| Next { token: texts[i][position], position: position as i32, base };
        let list: Vec<Next> = running.iter().map(|&i| next(i, 40 * i as i32)).collect();
        let logits = together.run(&params, &list);
        for (&i, logits) in running.iter().zip(&logits) {
            assert_eq!(
                bits(&alone[i].run(&params, &[next(i, 0)])[0]),
                bits(logits),
                "sequence {i} at {position}"
            );
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_among_seven() {
    for (model_type, tied) in [("qwen3", true), ("llama", false)] {
        let (config, params) = small(model_type, tied);
        let rows: Vec<Vec<i32>> = (0..7).map(|i| tokens(LENGTH, config.vocab_size, i)).collect();
        let all = Batch::new(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for isa in Isa::available() {
            let device = device(isa, 2);
            let together = score(&device, &params, &config, 7, &all);
            let mut trainer = Trainer::new(&device, &params, &config, 7, LENGTH, true);
            assert_eq!(bits(&trainer.run(&params, &all).1), bits(&together), "{isa}: training and scoring");
            for (i, row) in rows.iter().enumerate() {
                let alone = score(&device, &params, &config, 1, &Batch::new(&[row]));
                assert_eq!(bits(&alone), bits(&together[i * LENGTH..][..LENGTH]), "{isa}, row {i}");
            }
        }
    }
}

/// Losses of three steps and all parameters after them.
fn train(threads: usize, remember: bool) -> Vec<u32> {
    let (config, mut params) = small("qwen3", false);
    let device = device(Isa::best(), threads);
    let rules: Vec<_> = table(&config, &Choice::default()).into_iter().map(|p| p.rule).collect();
    let settings = Settings { beta1: 0.9, beta2: 0.95, momentum: 0.95 };
    let mut optimiser = Optimiser::new(device.cpu(), params.layout(), &rules, settings).unwrap();
    let mut trainer = Trainer::new(&device, &params, &config, 3, LENGTH, remember);
    let mut all = Vec::new();
    for step in 1..=3 {
        let text = tokens(3 * LENGTH, config.vocab_size, step as usize);
        let (first, rest) = text.split_at(LENGTH);
        let batch = Batch::new(&[first, &rest[..60], &rest[60..LENGTH], &rest[LENGTH..]]);
        let (loss, logp) = trainer.run(&params, &batch);
        let norm = optimiser.sum_squares(&trainer.grads).sqrt();
        optimiser.step(&mut params, &trainer.grads, (1.0 / norm) as f32, 1e-2, step).unwrap();
        all.extend([bits(&[loss]), bits(&logp)].concat());
    }
    let after = config.shapes().into_iter().flat_map(|(name, _)| bits(&params.get(&name).unwrap()));
    all.into_iter().chain(after).collect()
}

#[test]
fn threads_and_recomputation_do_not_change_a_bit() {
    let one = train(1, true);
    for threads in [2, 3, 7] {
        assert!(train(threads, true) == one, "{threads} threads");
    }
    assert!(train(2, false) == one, "recomputation");
}
