//! The vision encoder against transformers: what the decoder sees, and every gradient. `scripts/golden_eyes.py` made the numbers.

mod common;

use common::{Batch, device, load};
use engine::{Data, Device, Graph, Layout, Output, Store, Type, gradient};
use kernels::Isa;
use model::vision::VisionConfig;
use model::{Config, TrainGraph};
use safetensors::SafeTensors;
use std::path::PathBuf;
use std::sync::Arc;

const SCALE: usize = 2;
const WIDTH: usize = 20;
const TILES: usize = 3;

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/idefics3")
}

fn floats(golden: &[u8], name: &str) -> Vec<f32> {
    let file = SafeTensors::deserialize(golden).unwrap();
    file.tensor(name).unwrap().data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The patches of tiles `[3, side, side]` in the encoder's order.
fn patches(pixels: &[f32], config: &VisionConfig) -> (Vec<f32>, Vec<i32>) {
    let (size, patch, order) = (config.image_size, config.patch_size, config.order(SCALE));
    let (mut numbers, mut places) = (Vec::new(), Vec::new());
    for tile in pixels.chunks(3 * size * size) {
        for &place in &order {
            let (top, left) = (place / config.side() * patch, place % config.side() * patch);
            for (channel, y) in (0..3).flat_map(|channel| (0..patch).map(move |y| (channel, y))) {
                numbers.extend_from_slice(&tile[(channel * size + top + y) * size + left..][..patch]);
            }
            places.push(place as i32);
        }
    }
    (numbers, places)
}

fn error(got: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let norm = |x: &mut dyn Iterator<Item = f32>| x.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    norm(&mut got.iter().zip(expected).map(|(a, b)| a - b)) / norm(&mut expected.iter().copied())
}

#[test]
fn what_the_decoder_sees_and_every_gradient_agree() {
    let (whole, params) = load(&folder());
    let (eyes, golden) = (whole.eyes.clone().unwrap(), bytes("golden.safetensors"));
    assert_eq!((eyes.scale_factor, whole.hidden_size, eyes.tokens()), (SCALE, WIDTH, 9));
    let config = eyes.vision;
    let shapes = config.shapes(SCALE, WIDTH);

    let count = TILES * config.patches();
    let mut graph = Graph::new();
    let rows = config.encode(&mut graph, count, SCALE, WIDTH).unwrap();
    assert_eq!(graph.ty(rows).shape, [27, WIDTH]);
    let cotangent = graph.input("cotangent", Type::f32(&[27, WIDTH]));
    let values: Vec<_> = shapes.iter().map(|(name, shape)| graph.param(name, shape)).collect();
    let gradients = gradient(&mut graph, &[(rows, cotangent)], &values).unwrap();
    let mut outputs = vec![Output::Keep(rows)];
    outputs.extend(gradients.iter().map(|value| Output::Keep(*value)));

    let (pixels, places) = patches(&floats(&golden, "pixels"), &config);
    let span = |end: usize| -> Vec<i32> {
        (0..count).map(|at| ((at / config.patches() + end) * config.patches()) as i32).collect()
    };
    let (low, high) = (span(0), span(1));
    let cotangent = floats(&golden, "cotangent");
    let none = Arc::new(Layout::default());
    for isa in Isa::available() {
        let mut executable = device(isa, 2).compile(&graph, &outputs, params.layout(), &none).unwrap();
        for (name, data) in [("places", &places), ("patch_lo", &low), ("patch_hi", &high)] {
            executable.upload(name, Data::I32(data)).unwrap();
        }
        for (name, data) in [("pixels", &pixels), ("cotangent", &cotangent)] {
            executable.upload(name, Data::F32(data)).unwrap();
        }
        executable.run(&params, &mut Store::new(&none).unwrap()).unwrap();
        let download = |value, count| {
            let mut numbers = vec![0.0; count];
            executable.download(value, &mut numbers).unwrap();
            numbers
        };
        let off = error(&download(rows, 27 * WIDTH), &floats(&golden, "rows"));
        assert!(off < 1e-6, "{isa}: {off}");
        for ((name, shape), value) in shapes.iter().zip(&gradients) {
            let got = download(*value, shape.iter().product());
            let off = error(&got, &floats(&golden, &format!("grad.{name}")));
            // What softmax does not see has a gradient of nothing but rounding.
            assert!(off < 1e-5 || name.ends_with("k_proj.bias"), "{isa}, {name}: {off}");
        }
    }
}

/// Pictures stand where their tokens stand, and what is learnt from the text reaches the pixels.
#[test]
fn a_text_with_pictures_has_the_log_probabilities_and_gradients_of_the_reference() {
    let (config, params) = load(&folder());
    let (eyes, golden) = (config.eyes.clone().unwrap(), bytes("golden.safetensors"));
    let file = SafeTensors::deserialize(&golden).unwrap();
    let ids: Vec<i32> = file
        .tensor("ids")
        .unwrap()
        .data()
        .chunks(4)
        .map(|b| i32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    let batch = Batch::new(&[&ids]);
    let rows: Vec<i32> =
        (0..ids.len() as i32).filter(|&at| ids[at as usize] == eyes.image_token_id as i32).collect();
    let (pixels, places) = patches(&floats(&golden, "pixels"), &eyes.vision);
    let each = eyes.vision.patches();
    let span =
        |end: usize| -> Vec<i32> { (0..TILES * each).map(|at| ((at / each + end) * each) as i32).collect() };
    for (isa, remember) in Isa::available().into_iter().flat_map(|isa| [(isa, true), (isa, false)]) {
        let graph = TrainGraph::seeing(&config, 1, ids.len(), TILES, 0.0, remember).unwrap();
        let layout = params.layout();
        let mut executable = device(isa, 2).compile(&graph.graph, &graph.outputs(), layout, layout).unwrap();
        for (name, data) in batch.integers() {
            executable.upload(name, Data::I32(data)).unwrap();
        }
        for (name, data) in
            [("image_rows", &rows), ("places", &places), ("patch_lo", &span(0)), ("patch_hi", &span(1))]
        {
            executable.upload(name, Data::I32(data)).unwrap();
        }
        executable.upload("weights", Data::F32(&batch.weights)).unwrap();
        executable.upload("pixels", Data::F32(&pixels)).unwrap();
        let mut grads = Store::new(layout).unwrap();
        executable.run(&params, &mut grads).unwrap();
        let mut logp = vec![0.0; ids.len()];
        executable.download(graph.logp, &mut logp).unwrap();
        let expected = floats(&golden, "logp");
        let apart = logp.iter().zip(&expected).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(apart < 5e-5, "{isa}: {apart}");
        for name in file.names().into_iter().filter_map(|name| name.strip_prefix("loss.")) {
            let off = error(&grads.get(name).unwrap(), &floats(&golden, &format!("loss.{name}")));
            assert!(off < 2e-5, "{isa}, {name}: {off}");
        }
    }
}

#[test]
fn the_configuration_goes_both_ways_and_what_it_cannot_be_is_refused_by_name() {
    let (config, _) = load(&folder());
    assert_eq!(Config::from_json(&config.to_json()).unwrap(), config);
    let good: serde_json::Value = serde_json::from_slice(&config.to_json()).unwrap();
    assert_eq!(good["architectures"][0], "Idefics3ForConditionalGeneration");
    for (place, value, named) in [
        ("/image_token_id", 40.into(), "image_token_id"),
        ("/scale_factor", 4.into(), "image_size"),
        ("/model_type", "llava".into(), "model_type"),
        ("/text_config", 3.into(), "text_config"),
        ("/text_config/model_type", "gpt2".into(), "gpt2"),
        ("/vision_config/hidden_act", "gelu".into(), "hidden_act"),
        ("/vision_config/hidden_size", 0.into(), "hidden_size"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = value;
        let bytes = bad.to_string();
        let text = Config::from_json(bytes.as_bytes()).unwrap_err().to_string();
        assert!(text.contains(named), "{place}: {text}");
    }
}
