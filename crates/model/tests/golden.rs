//! The model against transformers: logits, losses, gradients and ten steps of AdamW.
//!
//! `scripts/golden.py` made the checkpoints and the numbers; both sides compute in 32-bit floats, in
//! another order. One checkpoint is Qwen3's layout in bfloat16, the other Llama's, tied, in float32.

mod common;

use common::{Batch, Decoder, Trainer, apart, device, error, golden, load, sequence};
use engine::update::{Optimiser, Settings};
use kernels::Isa;
use model::gguf::Gguf;
use model::parametrisation::{Choice, Parametrisation, table};
use std::path::PathBuf;

const MODELS: [&str; 2] = ["qwen3", "llama"];
const LENGTH: usize = 160;

#[test]
fn logits_agree() {
    for name in MODELS {
        let (config, params, golden) = golden(name);
        let ids = &golden.integers("ids")[..LENGTH];
        let expected = golden.floats("logits");
        for isa in Isa::available() {
            let mut decoder = Decoder::new(&device(isa, 2), &params, &config, LENGTH, LENGTH);
            let logits = decoder.run(&params, &sequence(ids, 0));
            for (row, expected) in golden.integers("rows").into_iter().zip(expected.chunks(config.vocab_size))
            {
                let apart = apart(&logits[row as usize], expected);
                assert!(apart < 5e-5, "{name}, {isa}, row {row}: {apart}");
            }
        }
    }
}

#[test]
fn losses_and_gradients_agree() {
    for name in MODELS {
        let (config, params, golden) = golden(name);
        let batch = Batch::new(&[&golden.integers("ids")[..LENGTH]]);
        let targets = (LENGTH - 1) as f32;
        for isa in Isa::available() {
            let mut trainer = Trainer::new(&device(isa, 2), &params, &config, 1, LENGTH, true);
            let (loss, _) = trainer.run(&params, &batch);
            let expected = golden.floats("loss")[0];
            assert!(
                (loss / targets - expected).abs() < 1e-5,
                "{name}, {isa}: {} for {expected}",
                loss / targets
            );
            for (parameter, _) in config.shapes() {
                let mut grad = trainer.grads.get(&parameter).unwrap();
                grad.iter_mut().for_each(|g| *g /= targets);
                let error = error(&grad, &golden.floats(&format!("grad.{parameter}")));
                assert!(error < 1e-5, "{name}, {isa}, {parameter}: {error:e}");
            }
        }
    }
}

#[test]
fn packed_documents_do_not_see_each_other() {
    for name in MODELS {
        let (config, params, golden) = golden(name);
        let row = &golden.integers("ids")[LENGTH..2 * LENGTH];
        let batch = Batch::new(&[&row[..90], &row[90..]]);
        let mut trainer = Trainer::new(&device(Isa::best(), 2), &params, &config, 1, LENGTH, true);
        let (_, logp) = trainer.run(&params, &batch);
        let asked = logp.iter().zip(&batch.weights).filter(|(_, weight)| **weight > 0.0);
        let apart = apart(&asked.map(|(logp, _)| *logp).collect::<Vec<f32>>(), &golden.floats("packed.logp"));
        assert!(apart < 5e-5, "{name}: {apart}");
    }
}

#[test]
fn ten_steps_of_adamw_agree() {
    for name in MODELS {
        let (config, mut params, golden) = golden(name);
        let device = device(Isa::best(), 2);
        let before: Vec<Vec<f32>> =
            config.shapes().iter().map(|(parameter, _)| params.get(parameter).unwrap()).collect();
        // The peer's optimiser has one rate for all.
        let choice = Choice { parametrisation: Parametrisation::Standard, ..Choice::default() };
        let rules: Vec<_> = table(&config, &choice).into_iter().map(|p| p.rule).collect();
        let settings = Settings { beta1: 0.9, beta2: 0.95, momentum: 0.0 };
        let mut optimiser = Optimiser::new(device.cpu(), params.layout(), &rules, settings).unwrap();
        let mut trainer = Trainer::new(&device, &params, &config, 1, LENGTH, true);
        let (ids, losses, norms) = (golden.integers("ids"), golden.floats("loss"), golden.floats("norm"));
        for (step, row) in ids.chunks(LENGTH).enumerate() {
            let targets = LENGTH as f64 - 1.0;
            let (loss, _) = trainer.run(&params, &Batch::new(&[row]));
            let norm = optimiser.sum_squares(&trainer.grads).sqrt() / targets;
            let loss = f64::from(loss) / targets;
            assert!((loss - f64::from(losses[step])).abs() < 1e-4, "{name}, step {step}: {loss}");
            assert!((norm / f64::from(norms[step]) - 1.0).abs() < 1e-4, "{name}, step {step}: {norm}");
            let scale = (1.0 / norm).min(1.0) / targets;
            optimiser.step(&mut params, &trainer.grads, scale as f32, 1e-3, step as u64 + 1).unwrap();
        }
        for ((parameter, _), before) in config.shapes().into_iter().zip(before) {
            // What has changed, not what is: a step moves a weight by a thousandth.
            let moved = |after: &[f32]| -> Vec<f32> {
                after.iter().zip(before.iter().step_by(4)).map(|(after, before)| after - before).collect()
            };
            let after: Vec<f32> = params.get(&parameter).unwrap().into_iter().step_by(4).collect();
            let error = error(&moved(&after), &moved(&golden.floats(&format!("after.{parameter}"))));
            assert!(error < 1e-3, "{name}, {parameter}: {error:e}");
        }
    }
}

#[test]
fn a_gguf_file_of_llama_cpp_is_the_model_it_was_made_from() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gguf");
    let (config, params) = load(&folder);
    let bytes = std::fs::read(folder.join("model.gguf")).unwrap();
    let file = Gguf::open(&bytes).unwrap();
    let read = file.config().unwrap();
    assert_eq!(read.shapes(), config.shapes());
    assert_eq!((read.rms_norm_eps, read.rope_theta), (config.rms_norm_eps, config.rope_theta));
    assert_eq!((read.eos_token_id, read.max_position_embeddings), (Some(2), config.max_position_embeddings));
    let mut store = common::store(&config);
    file.fill(&config, &mut store).unwrap();
    for (name, _) in config.shapes() {
        assert_eq!(store.get(&name).unwrap(), params.get(&name).unwrap(), "{name}");
    }
    let vocabulary = file.vocabulary().unwrap();
    assert_eq!(vocabulary.tokens[21..], ["v", "ab", "abc"]);
    assert_eq!(vocabulary.merges, ["a b", "ab c"]);
    assert_eq!((vocabulary.kinds[1], vocabulary.kinds[2], vocabulary.pre.as_str()), (1, 3, "gpt-2"));
}
