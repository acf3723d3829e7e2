//! The vision encoder against transformers: what the decoder sees, and every gradient. `scripts/golden_eyes.py` made the numbers.

mod common;

use common::device;
use engine::{Data, Device, Graph, Layout, Output, Store, Type, gradient};
use kernels::Isa;
use model::vision::VisionConfig;
use model::weights;
use safetensors::SafeTensors;
use std::path::PathBuf;
use std::sync::Arc;

const SCALE: usize = 2;
const WIDTH: usize = 20;
const TILES: usize = 3;

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/idefics3").join(name)).unwrap()
}

fn config() -> VisionConfig {
    let whole: serde_json::Value = serde_json::from_slice(&bytes("config.json")).unwrap();
    let config: VisionConfig = serde_json::from_value(whole["vision_config"].clone()).unwrap();
    config.check(SCALE).unwrap();
    config
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
    let (config, golden) = (config(), bytes("golden.safetensors"));
    let shapes = config.shapes(SCALE, WIDTH);
    let layout = Layout::new(shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))).unwrap();
    let mut params = Store::new(&Arc::new(layout.clone())).unwrap();
    let mut open = |name: &str| match name {
        "model.safetensors" => {
            let file = bytes(name);
            let length = file.len() as u64;
            Ok(Some((Box::new(std::io::Cursor::new(file)) as Box<dyn std::io::Read>, length)))
        }
        _ => Ok(None),
    };
    weights::load(&mut params, &mut open).unwrap();

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
    let (low, high, cotangent) = (span(0), span(1), floats(&golden, "cotangent"));
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
