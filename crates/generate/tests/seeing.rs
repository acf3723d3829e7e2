//! A model with eyes decodes and scores to the same bits, however a prompt is cut and whatever runs beside it.

use std::ops::ControlFlow;
use std::sync::Arc;

use data::picture::{Picture, Preparation};
use data::{Document, ImageRef, Look, Prompt, Seeing, Segment, SegmentKind, TileBatch, Tokenizer};
use engine::{Device, Layout, Store};
use generate::{Capacity, Completion, Generator, Request, Sampling, Scorer, Seen};
use model::parametrisation::{Choice, initialise, table};
use model::vision::VisionConfig;
use model::{Config, Eyes, Sizes};

struct World {
    device: Arc<dyn Device>,
    config: Config,
    params: Store,
    tokenizer: Tokenizer,
    look: Look,
}

/// A tokenizer of bytes and of pictures, as a build of data with pictures makes it.
fn tokenizer(folder: &std::path::Path, seeing: &Seeing) -> Tokenizer {
    let line = "{\"segments\":[{\"image\":\"a.png\"},{\"text\":\"x\"}]}\n{\"text\":\"y\"}\n";
    std::fs::write(folder.join("a.jsonl"), line).unwrap();
    std::fs::write(folder.join("a.png"), picture(3, 20, 20)).unwrap();
    let config = data::BuildConfig {
        sources: vec![data::Source::new(folder.join("a.jsonl").display().to_string())],
        tokenizer: data::TokenizerChoice::Bytes,
        holdout: 0.5,
        seeing: seeing.clone(),
        ..data::BuildConfig::default()
    };
    data::build(&config, &folder.join("data"), &mut |_| ()).unwrap();
    Tokenizer::open(&folder.join("data")).unwrap()
}

fn picture(seed: u32, width: u32, height: u32) -> Vec<u8> {
    let byte = |at: u32| (at.wrapping_mul(2_654_435_761).wrapping_add(seed * 977) >> 13) as u8;
    Picture::of_pixels(width, height, (0..3 * width * height).map(byte).collect()).unwrap().to_png()
}

fn world() -> World {
    let seeing =
        Seeing { preparation: Preparation::new(None, 16), patch: 4, scale_factor: 2, grid: 3, bare: false };
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path(), &seeing);
    let image = tokenizer.reserved("<image>").unwrap();
    let sizes = Sizes {
        vocab: tokenizer.vocab_size(),
        width: 20,
        ffn: 28,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_dim: 6,
        context: 128,
        tied: false,
    };
    let mut config = Config::new(sizes).unwrap();
    config.eyes = Some(Eyes::new(VisionConfig::new(12, 2, 2, 16, 4), 2, image));
    config.check().unwrap();
    let shapes = config.shapes();
    let layout = Layout::new(shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))).unwrap();
    let mut params = Store::new(&Arc::new(layout)).unwrap();
    initialise(&table(&config, &Choice::default()), 5, &mut params).unwrap();
    let look = Look { order: config.eyes.as_ref().unwrap().order(), tiles: 1, image: image as i32, seeing };
    let cpu = kernels::Cpu::new(kernels::Isa::best(), 2).unwrap();
    World { device: Arc::new(engine::CpuDevice::new(cpu)), config, params, tokenizer, look }
}

impl World {
    /// Text, a picture of one tile, text, a picture of several.
    fn prompt(&self, seed: u32) -> Prompt {
        let image = |bytes| Segment { kind: SegmentKind::Image(ImageRef::Bytes(bytes)), weight: 0.0 };
        let segments = vec![
            Segment::text("see "),
            image(picture(seed, 16, 16)),
            Segment::text("and"),
            image(picture(seed + 1, 30, 14)),
            Segment::text("so"),
        ];
        let document = Document { id: "d".into(), source: "s".into(), segments };
        Prompt::new(document, &self.tokenizer, Some(&self.look)).unwrap()
    }

    fn request(&self, prompt: &Prompt, sequence: u64) -> Request {
        Request {
            max_tokens: Some(6),
            sampling: Sampling { seed: 3, ..Sampling::default() },
            logprobs: Some(0),
            sequence,
            tiles: prompt.tiles.clone(),
            end: Vec::new(),
            ..Request::new(&self.tokenizer, prompt.tokens.clone())
        }
    }

    fn generate(
        &self,
        requests: Vec<Request>,
        sequences: usize,
        chunk: usize,
        tiles: usize,
    ) -> Vec<Completion> {
        let capacity = Capacity { sequences, context: 128, chunk, tiles };
        let mut generator =
            Generator::new(self.device.clone(), &self.config, self.params.layout(), capacity).unwrap();
        let going_on = &mut |_, _: &_| ControlFlow::Continue(());
        generator.generate(&self.params, &self.tokenizer, requests, going_on).unwrap()
    }
}

fn shown(completion: &Completion) -> (Vec<u32>, Vec<u64>) {
    let logprobs = completion.logprobs.iter().flatten().map(|one| one.logprob.to_bits()).collect();
    (completion.tokens.clone(), logprobs)
}

#[test]
fn a_prompt_has_the_same_bits_however_it_is_cut_and_whatever_is_beside_it() {
    let world = world();
    let prompts = [world.prompt(1), world.prompt(40)];
    assert!(prompts[0].tiles.used() >= 3, "one tile, and several with the whole");
    let alone =
        |at: usize| shown(&world.generate(vec![world.request(&prompts[at], at as u64)], 1, 128, 8)[0]);
    let expected = [alone(0), alone(1)];
    assert_ne!(expected[0], expected[1]);
    for (sequences, chunk, tiles) in [(1, 7, 1), (2, 13, 1), (2, 128, 2), (2, 64, 16)] {
        let requests =
            prompts.iter().enumerate().map(|(at, prompt)| world.request(prompt, at as u64)).collect();
        let got: Vec<_> = world.generate(requests, sequences, chunk, tiles).iter().map(shown).collect();
        assert_eq!(got, expected, "{sequences} {chunk} {tiles}");
    }
    // Another picture is another answer.
    let mut other = prompts[0].clone();
    other.tiles = prompts[1].tiles.clone();
    assert_ne!(shown(&world.generate(vec![world.request(&other, 0)], 1, 128, 8)[0]).1, expected[0].1);
}

#[test]
fn what_is_drawn_is_scored_as_it_was_drawn() {
    let world = world();
    let prompts = [world.prompt(1), world.prompt(40), world.prompt(7)];
    let none = TileBatch::default();
    let mut texts: Vec<(usize, Vec<u32>, &TileBatch, Vec<f64>)> = Vec::new();
    for (at, prompt) in prompts.iter().enumerate() {
        let drawn = &world.generate(vec![world.request(prompt, at as u64)], 1, 128, 8)[0];
        let logprobs = drawn.logprobs.iter().flatten().map(|one| one.logprob).collect();
        let tokens = [prompt.tokens.as_slice(), &drawn.tokens].concat();
        texts.push((prompt.tokens.len(), tokens, &prompt.tiles, logprobs));
    }
    texts.push((0, prompts[0].tokens[..5].to_vec(), &none, Vec::new()));
    for (rows, tiles) in [(1, 8), (3, 9), (2, 30)] {
        let scorer = Scorer::new(world.device.clone(), &world.config, world.params.layout(), 128).unwrap();
        let mut scorer = scorer.seeing(tiles);
        let mut got = vec![Vec::new(); texts.len()];
        let seen = texts.iter().map(|(_, tokens, tiles, _)| Seen { tokens, tiles });
        scorer
            .each_seen(&world.params, rows, seen, &mut |text, token, x| {
                if token >= texts[text].0 {
                    got[text].push(x);
                }
            })
            .unwrap();
        for ((.., expected), got) in texts.iter().zip(&got).take(3) {
            assert_eq!(expected.len(), got.len());
            assert!(expected.iter().zip(got).all(|(a, b)| (a - b).abs() < 1e-5), "{expected:?} {got:?}");
        }
    }
    let few = Scorer::new(world.device.clone(), &world.config, world.params.layout(), 128).unwrap();
    let seen = [Seen { tokens: &texts[0].1, tiles: texts[0].2 }];
    let error = few.seeing(2).each_seen(&world.params, 1, seen, &mut |_, _, _| ()).unwrap_err();
    assert!(error.to_string().contains("tiles"), "{error}");
}
