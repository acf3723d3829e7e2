//! Parts of a model that sees: frozen ones stay as they are and cost nothing, others have rates of their own.

mod common;

use common::device;
use data::picture::{Picture, Preparation};
use data::{BuildConfig, Dataset, Order, Seeing, Source, TokenizerChoice, build};
use engine::Store;
use model::parametrisation::Rates;
use model::vision::VisionConfig;
use model::{Eyes, weights};
use record::{Files, Run};
use std::path::Path;
use train::*;

const TILE: usize = 16;
const WIDTH: usize = 24;
const LAYERS: usize = 2;

/// Documents that show a picture of one tile each.
fn dataset(folder: &Path) -> Dataset {
    let seeing = Seeing {
        preparation: Preparation::new(None, TILE as u32),
        patch: 4,
        scale_factor: 2,
        grid: 1,
        bare: false,
    };
    let mut lines = String::new();
    for number in 0..40u32 {
        let pixels =
            (0..3 * 144u32).map(|at| (at.wrapping_mul(2_654_435_761 ^ number) >> 13) as u8).collect();
        let name = format!("{number}.png");
        std::fs::write(folder.join(&name), Picture::of_pixels(12, 12, pixels).unwrap().to_png()).unwrap();
        let text = format!("picture {number} of {}", number % 7);
        lines += &serde_json::json!({"segments": [{"image": name}, {"text": text}]}).to_string();
        lines.push('\n');
    }
    std::fs::write(folder.join("a.jsonl"), lines).unwrap();
    let config = BuildConfig {
        sources: vec![Source::new(folder.join("a.jsonl").to_string_lossy())],
        tokenizer: TokenizerChoice::Bytes,
        holdout: 0.1,
        seeing,
        ..BuildConfig::default()
    };
    build(&config, &folder.join("data"), &mut |_| ()).unwrap();
    Dataset::open(&folder.join("data")).unwrap()
}

fn config(data: &Dataset, rates: [f32; 3]) -> TrainConfig {
    by(data, rates, "adamw")
}

/// By an optimiser of matrices.
fn by(data: &Dataset, rates: [f32; 3], matrices: &str) -> TrainConfig {
    let mut config = common::config(data, 2);
    config.optimiser.matrices = matrices.into();
    config.rows = 4;
    config.tiles = 2;
    config.steps = 6;
    config.model.max_position_embeddings = 64;
    let image = data.look().unwrap().image as u32;
    config.model.eyes = Some(Eyes::new(VisionConfig::new(WIDTH, LAYERS, 3, TILE, 4), 2, image));
    let [encoder, connector, decoder] = rates;
    config.optimiser.rates = Rates { encoder, connector, decoder };
    config.optimiser.clip = 0.0;
    config.check().unwrap();
    config
}

/// The initial weights, and those after some steps at a rate of a thousandth.
fn stepped(config: &TrainConfig, data: &Dataset, steps: u64) -> (Store, Store) {
    let device = device(1);
    let order = Order::seeing(data.train().clone(), 1, config.seq(), config.look(data).unwrap()).unwrap();
    let mut replica = Replica::new(config, &device).unwrap();
    replica.initialise(1).unwrap();
    let mut before = Store::new(replica.params.layout()).unwrap();
    before.copy_from(&replica.params).unwrap();
    for step in 0..steps {
        let fill = |micro: usize, batch: &mut data::Batch| {
            Ok(order.batch(step * config.micro_batches() as u64 + micro as u64, config.micro_rows, batch)?)
        };
        replica.gradient(&fill).unwrap();
        assert!(replica.update(&mut Solo, 1e-3, step + 1, false).unwrap().finite);
    }
    (before, replica.params)
}

/// 0: encoder, 1: connector, 2: decoder.
fn part(name: &str) -> usize {
    ["model.vision_model.", "model.connector."].iter().position(|part| name.starts_with(part)).unwrap_or(2)
}

/// The change of a parameter.
fn moved(name: &str, (before, after): &(Store, Store)) -> Vec<f64> {
    let (before, after) = (before.get(name).unwrap(), after.get(name).unwrap());
    after.iter().zip(before).map(|(after, before)| f64::from(*after) - f64::from(before)).collect()
}

#[test]
fn what_is_frozen_stays_and_all_else_moves() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    for matrices in ["adamw", "muon"] {
        let joint = stepped(&by(&data, [1.0; 3], matrices), &data, 1);
        for rates in [[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] {
            let config = by(&data, rates, matrices);
            let (one, many) = (stepped(&config, &data, 1), stepped(&config, &data, 3));
            for (name, _) in config.model.shapes() {
                let trained = rates[part(&name)] > 0.0;
                let still = moved(&name, &many).iter().all(|change| *change == 0.0);
                assert_eq!(still, !trained, "{matrices} {rates:?} {name}");
                if trained {
                    // A first step does not know what else is trained.
                    assert_eq!(one.1.get(&name).unwrap(), joint.1.get(&name).unwrap(), "{rates:?} {name}");
                }
            }
        }
    }
}

#[test]
fn a_factor_is_on_the_step_of_its_part() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    for matrices in ["adamw", "muon"] {
        let step = |rates| stepped(&by(&data, rates, matrices), &data, 1);
        let rates = [0.25, 4.0, 0.5];
        let (plain, own) = (step([1.0; 3]), step(rates));
        for name in plain.0.layout().names() {
            let factor = f64::from(rates[part(name)]);
            let (plain, own) = (moved(name, &plain), moved(name, &own));
            let most = plain.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            for (plain, own) in plain.iter().zip(&own) {
                assert!(
                    (own - factor * plain).abs() < 1e-3 * factor.max(1.0) * most + 3e-7,
                    "{name}: {own} {plain}"
                );
            }
            // AdamW's first step is the rate, whatever the gradient; a bias of 0 does not decay and has a factor of 3.
            if name.ends_with("patch_embedding.bias") {
                let most = own.iter().fold(0.0f64, |most, x| most.max(x.abs()));
                assert!((most / (factor * 3e-3) - 1.0).abs() < 1e-3, "{most}");
            }
        }
    }
}

#[test]
fn what_is_frozen_costs_what_the_plan_says() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let all = config(&data, [1.0; 3]);
    let full = step_flops(&all).unwrap();
    let memory = Memory::of(&all, 2).unwrap();
    let eyes = all.model.eyes.as_ref().unwrap();
    let (patches, ffn) = (eyes.vision.patches(), eyes.vision.intermediate_size);
    let layer = 4 * WIDTH * WIDTH + 2 * WIDTH * ffn;
    let into = all.model.hidden_size;
    // What goes back a tile: of the pixels' map its gradient alone, of the layers' maps both products, twice the attention's.
    let encoder =
        patches * (2 * WIDTH * eyes.vision.patch_len() + LAYERS * (4 * layer + 8 * patches * WIDTH));
    let [gradient, onwards] = [2 * patches * WIDTH * into; 2];
    let tiles = all.rows * all.tiles;
    let plain = model::Config { eyes: None, ..all.model.clone() };
    let decoder = 2 * plain.multiplying() as u64 * all.step_tokens();
    let tiles = |flops: usize| (tiles * flops) as u64;
    for (rates, spared) in [
        ([0.0, 1.0, 1.0], tiles(encoder + onwards)),
        ([1.0, 0.0, 1.0], tiles(gradient)),
        ([1.0, 1.0, 0.0], decoder),
        ([0.0, 0.0, 1.0], tiles(encoder + onwards + gradient)),
        ([0.0, 1.0, 0.0], tiles(encoder + onwards) + decoder),
    ] {
        let config = config(&data, rates);
        assert_eq!(full - step_flops(&config).unwrap(), spared as f64, "{rates:?}");
        let (foretold, replica) =
            (Memory::of(&config, 2).unwrap(), Replica::new(&config, &device(2)).unwrap());
        assert_eq!(replica.bytes(), foretold.total() - foretold.evaluation, "{rates:?}");
        assert_eq!(replica.flops(), step_flops(&config).unwrap());
        assert!(foretold.gradients < memory.gradients && foretold.optimiser < memory.optimiser);
        assert!(foretold.activations <= memory.activations, "{rates:?}");
        let trained = config.model.shapes().into_iter().filter(|(name, _)| rates[part(name)] > 0.0);
        let count: usize = trained.map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!(config.trained_parameters(), count);
    }
    let mut again = config(&data, [0.0, 1.0, 1.0]);
    again.recompute = true;
    let foretold = Memory::of(&again, 2).unwrap();
    assert_eq!(Replica::new(&again, &device(2)).unwrap().bytes(), foretold.total() - foretold.evaluation);
}

#[test]
fn a_run_with_frozen_parts_goes_on_with_the_same_bits_and_saves_whole_models() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let config = config(&data, [0.0, 0.5, 1.0]);
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    let go = |path: &Path, until| {
        common::go(path, &config, &data, Files::new(), until, None, &mut Quiet).unwrap().done
    };
    assert!(go(&whole, u64::MAX));
    while !go(&cut, 2) {}
    let latest = |path: &Path| Run::open(path).unwrap().latest().unwrap().0.unwrap().path;
    for name in ["model.safetensors", "optimizer.safetensors"] {
        let read = |path: &Path| std::fs::read(latest(path).join(name)).unwrap();
        assert!(read(&whole) == read(&cut), "{name}");
    }
    // All of it, with the frozen part as it began; of moments only those of what moves.
    let (before, _) = stepped(&TrainConfig { seed: 3, ..config.clone() }, &data, 0);
    let mut begun = Store::new(before.layout()).unwrap();
    let table = model::parametrisation::table(&config.model, &config.optimiser.choice());
    model::parametrisation::initialise(&table, config.seed, &mut begun).unwrap();
    let mut saved = Store::new(before.layout()).unwrap();
    let file = latest(&whole).join("model.safetensors");
    let open = |name: &str| match name == "model.safetensors" {
        false => Ok(None),
        true => {
            let bytes = std::fs::read(&file)?;
            let length = bytes.len() as u64;
            Ok(Some((Box::new(std::io::Cursor::new(bytes)) as Box<dyn std::io::Read>, length)))
        }
    };
    weights::load(&mut saved, &mut { open }).unwrap();
    for (name, _) in config.model.shapes() {
        let same = saved.get(&name).unwrap() == begun.get(&name).unwrap();
        assert_eq!(same, part(&name) == 0, "{name}");
    }
    let bytes = std::fs::metadata(latest(&whole).join("optimizer.safetensors")).unwrap().len() as usize;
    let moments = 8 * config.trained_parameters();
    assert!((moments..moments + 40_000).contains(&bytes), "{bytes} {moments}");
}

#[test]
fn rates_that_no_model_has_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let seeing = config(&data, [1.0; 3]);
    let refused = |config: &TrainConfig, [encoder, connector, decoder]: [f32; 3]| {
        let mut config = config.clone();
        config.optimiser.rates = Rates { encoder, connector, decoder };
        config.check().unwrap_err().to_string()
    };
    assert!(refused(&seeing, [-1.0, 1.0, 1.0]).contains("optimiser.rates.encoder"));
    assert!(refused(&seeing, [1.0, f32::NAN, 1.0]).contains("optimiser.rates.connector"));
    assert!(refused(&seeing, [1.0, 1.0, 1e9]).contains("optimiser.rates.decoder"));
    assert!(refused(&seeing, [0.0; 3]).contains("nothing is trained"));
    let mut text = seeing.clone();
    (text.model.eyes, text.tiles) = (None, 0);
    assert!(refused(&text, [0.5, 1.0, 1.0]).contains("no encoder"));
    assert!(refused(&text, [1.0, 1.0, 0.0]).contains("nothing is trained"));
    let mut alone = seeing.clone();
    let image = seeing.model.eyes.as_ref().unwrap().image_token_id;
    alone.model.eyes = Some(Eyes::new(VisionConfig::patches_alone(TILE, 4), 2, image));
    assert!(refused(&alone, [0.0, 1.0, 1.0]).contains("no encoder"));
    // What has the table's rates has no word of it in run.toml.
    assert!(!seeing.to_toml().unwrap().contains("rates"));
    let own = config(&data, [0.5, 1.0, 0.0]);
    let text = own.to_toml().unwrap();
    assert!(text.contains("[optimiser.rates]\nencoder = 0.5\n"), "{text}");
    assert_eq!(TrainConfig::from_toml(&text, Path::new("run.toml")).unwrap(), own);
}
