//! The whole model's gradient against differences of its slow reference in 64-bit floats.

mod common;

use common::{Batch, Trainer, device, small, tokens};
use engine::{Tensor, evaluate};
use kernels::Isa;
use model::Config;
use model::gpt::ScoreGraph;
use std::collections::HashMap;

const ROWS: usize = 2;
const SEQ: usize = 9;

/// The sum of weighted losses, by the reference.
fn loss(graph: &ScoreGraph, given: &HashMap<String, Tensor>, weights: &[f32]) -> f64 {
    let logp = evaluate(&graph.graph, given, &[graph.logp]).unwrap();
    logp[0].data.iter().zip(weights).map(|(logp, weight)| -logp * f64::from(*weight)).sum()
}

fn given(config: &Config, params: &engine::Store, batch: &Batch) -> HashMap<String, Tensor> {
    let mut given = HashMap::new();
    for (name, values) in batch.integers() {
        let data: Vec<f64> = values.iter().map(|&x| f64::from(x)).collect();
        given.insert(name.to_string(), Tensor { shape: vec![data.len()], data });
    }
    for (name, shape) in config.shapes() {
        let data = params.get(&name).unwrap().into_iter().map(f64::from).collect();
        given.insert(name, Tensor { shape, data });
    }
    given
}

#[test]
fn gradients_are_the_slopes_of_the_reference() {
    for (model_type, tied) in [("qwen3", false), ("qwen3", true), ("llama", true)] {
        let (config, params) = small(model_type, tied);
        let text = tokens(ROWS * SEQ, config.vocab_size, 1);
        // A packed row of two documents, and one of a single document; weights of their own.
        let mut batch = Batch::new(&[&text[..4], &text[4..SEQ], &text[SEQ..]]);
        for (i, weight) in batch.weights.iter_mut().enumerate() {
            *weight *= 0.5 + (i % 3) as f32 * 0.75;
        }
        let mut trainer = Trainer::new(&device(Isa::best(), 2), &params, &config, ROWS, SEQ, true);
        let (sum, _) = trainer.run(&params, &batch);

        let graph = ScoreGraph::new(&config, ROWS, SEQ).unwrap();
        let mut given = given(&config, &params, &batch);
        let reference = loss(&graph, &given, &batch.weights);
        assert!((f64::from(sum) / reference - 1.0).abs() < 1e-6, "{model_type}: {sum} for {reference}");
        for (name, _) in config.shapes() {
            let grad = trainer.grads.get(&name).unwrap();
            let most = grad.iter().fold(0.0f64, |most, g| most.max(f64::from(g.abs())));
            assert!(most > 0.0, "{model_type}, {name}: the gradient is zero");
            // The largest element, and some anywhere.
            let largest = grad.iter().position(|g| f64::from(g.abs()) == most).unwrap();
            for i in [largest, 0, grad.len() / 3, grad.len() - 1] {
                let mut shifted = |by: f64| {
                    let element = &mut given.get_mut(&name).unwrap().data[i];
                    let was = *element;
                    *element = was + by;
                    let loss = loss(&graph, &given, &batch.weights);
                    given.get_mut(&name).unwrap().data[i] = was;
                    loss
                };
                let step = 1e-5;
                let slope = (shifted(step) - shifted(-step)) / (2.0 * step);
                let apart = (slope - f64::from(grad[i])).abs() / most;
                assert!(apart < 1e-5, "{model_type}, {name}[{i}]: {} for {slope}, {apart:e}", grad[i]);
            }
        }
    }
}
