//! The GPT: a function from a configuration to a graph. Training, scoring and decoding are the
//! same decoder with other ends.
//!
//! Per layer: RMSNorm, grouped-query attention with per-head RMSNorm of queries and keys and rotary
//! positions, residual; RMSNorm, SwiGLU, residual. Then a norm and the (tied or untied) head.

use crate::Config;
use crate::vision::Encoded;
use engine::op::{Attention, CacheWrite, HeadNormRope, LinearCrossEntropy, Mask, ScatterRows, WeightedSum};
use engine::{Error, Graph, Layout, Output, Type, Value, gradient, recompute};

/// The integer inputs of the decoder, a number a token.
struct Inputs {
    tokens: Value,
    positions: Value,
    low: Value,
    high: Value,
}

impl Inputs {
    fn new(graph: &mut Graph, tokens: usize) -> Inputs {
        let mut input = |name: &str| graph.input(name, Type::i32(&[tokens]));
        Inputs { tokens: input("tokens"), positions: input("positions"), low: input("lo"), high: input("hi") }
    }
}

/// Where keys and values go between runs.
struct Cache {
    slots: Value,
    rows: usize,
}

/// The decoder's result: the residual stream after each layer, the normed one after the last, and the encoder's before.
struct Hidden {
    seen: Option<Encoded>,
    layers: Vec<Value>,
    last: Value,
}

struct Decoder<'a> {
    graph: &'a mut Graph,
    config: &'a Config,
}

impl Decoder<'_> {
    fn param(&mut self, name: &str, shape: &[usize]) -> Value {
        self.graph.param(&self.config.name(name), shape)
    }

    /// Cosines and sines `[context, D/2]` of the rotary angles, in f64 and rounded once.
    fn rope(&mut self, context: usize) -> Result<(Value, Value), Error> {
        let half = self.config.head_dim / 2;
        let angle = |i: usize| {
            let (position, j) = (i / half, i % half);
            position as f64 * self.config.rope_theta.powf(-2.0 * j as f64 / self.config.head_dim as f64)
        };
        let table = |f: fn(f64) -> f64| (0..context * half).map(|i| f(angle(i)) as f32).collect();
        let (cos, sin) = (table(f64::cos), table(f64::sin));
        Ok((self.graph.constant(&[context, half], cos)?, self.graph.constant(&[context, half], sin)?))
    }

    fn run(
        &mut self,
        inputs: &Inputs,
        context: usize,
        block: usize,
        cache: Option<&Cache>,
        tiles: usize,
    ) -> Result<Hidden, Error> {
        let config = self.config;
        let (c, epsilon) = (config.hidden_size, config.rms_norm_eps as f32);
        let embedding = self.param("model.embed_tokens.weight", &[config.vocab_size, c]);
        let mut x = self.graph.embedding(embedding, inputs.tokens)?;
        let mut seen = None;
        if let Some(eyes) = config.eyes.as_ref().filter(|_| tiles > 0) {
            let (factor, patches) = (eyes.scale_factor, tiles * eyes.vision.patches());
            let encoded = eyes.vision.encode(self.graph, patches, factor, c)?;
            let places = self.graph.input("image_rows", Type::i32(&[tiles * eyes.tokens()]));
            x = self.graph.apply1(ScatterRows, &[x, encoded.rows, places])?;
            seen = Some(encoded);
        }
        let rope = self.rope(context)?;
        let mut layers = Vec::new();
        for layer in 0..config.num_hidden_layers {
            let name = format!("model.layers.{layer}");
            let gain = self.param(&format!("{name}.input_layernorm.weight"), &[c]);
            let normed = self.graph.rms_norm(x, gain, epsilon)?;
            let mixed = self.attention(layer, normed, inputs, rope, block, cache)?;
            let out = self.param(&format!("{name}.self_attn.o_proj.weight"), &[c, config.attention_width()]);
            x = self.graph.linear_add(mixed, out, x)?;
            let gain = self.param(&format!("{name}.post_attention_layernorm.weight"), &[c]);
            let normed = self.graph.rms_norm(x, gain, epsilon)?;
            let hidden = self.feed_forward(&name, normed)?;
            let down = self.param(&format!("{name}.mlp.down_proj.weight"), &[c, config.intermediate_size]);
            x = self.graph.linear_add(hidden, down, x)?;
            layers.push(x);
        }
        let gain = self.param("model.norm.weight", &[c]);
        Ok(Hidden { seen, layers, last: self.graph.rms_norm(x, gain, epsilon)? })
    }

    fn attention(
        &mut self,
        layer: usize,
        x: Value,
        inputs: &Inputs,
        rope: (Value, Value),
        block: usize,
        cache: Option<&Cache>,
    ) -> Result<Value, Error> {
        let config = self.config;
        let (c, d) = (config.hidden_size, config.head_dim);
        let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
        let name = format!("model.layers.{layer}.self_attn");
        let project = |this: &mut Self, which: &str, heads: usize| {
            let weight = this.param(&format!("{name}.{which}_proj.weight"), &[heads * d, c]);
            this.graph.linear(x, weight)
        };
        let q = project(self, "q", heads)?;
        let k = project(self, "k", kv_heads)?;
        let v = project(self, "v", kv_heads)?;
        let turn = |this: &mut Self, x: Value, which: &str, heads: usize| {
            let mut values = vec![x, inputs.positions, rope.0, rope.1];
            if config.has_qk_norm() {
                values.push(this.param(&format!("{name}.{which}_norm.weight"), &[d]));
            }
            let operation = HeadNormRope { heads, epsilon: config.rms_norm_eps as f32 };
            Ok::<_, Error>(this.graph.apply(operation, &values)?[0])
        };
        let q = turn(self, q, "q", heads)?;
        let k = turn(self, k, "k", kv_heads)?;
        let keep = |this: &mut Self, x: Value, which: &str| match cache {
            None => Ok(x),
            Some(cache) => {
                let state = this.graph.state(&cache_name(layer, which), &[cache.rows, kv_heads * d]);
                this.graph.apply1(CacheWrite, &[state, x, cache.slots])
            }
        };
        let k = keep(self, k, "k")?;
        let v = keep(self, v, "v")?;
        let operation = Attention { heads, kv_heads, block, mask: Mask::Causal, page_size: 0 };
        Ok(self.graph.apply(operation, &[q, k, v, inputs.low, inputs.high])?[0])
    }

    fn feed_forward(&mut self, name: &str, x: Value) -> Result<Value, Error> {
        let shape = [self.config.intermediate_size, self.config.hidden_size];
        let gate = self.param(&format!("{name}.mlp.gate_proj.weight"), &shape);
        let up = self.param(&format!("{name}.mlp.up_proj.weight"), &shape);
        let gate = self.graph.linear(x, gate)?;
        let up = self.graph.linear(x, up)?;
        self.graph.swiglu(gate, up)
    }

    fn head(&mut self) -> Value {
        let name =
            if self.config.tie_word_embeddings { "model.embed_tokens.weight" } else { "lm_head.weight" };
        self.param(name, &[self.config.vocab_size, self.config.hidden_size])
    }
}

fn cache_name(layer: usize, which: &str) -> String {
    format!("cache.{layer}.{which}")
}

/// Next-token training on `rows` packed rows of `seq` tokens.
///
/// Inputs, `[rows · seq]` each: `tokens`, `positions` (from 0 in each document), `lo` and `hi` (the
/// rows that a token's attention sees: from its document's first to itself), `targets` (−1: none),
/// all i32, and `weights` (f32). With `tiles` of pictures also those of
/// [`VisionConfig::encode`](crate::vision::VisionConfig::encode), and `image_rows`, i32: the place of each of a tile's tokens
/// among the `rows · seq` (−1: none). Gradients are those of the *sum* of weighted losses: dividing by
/// the sum of weights is left to the one who sums micro-batches.
pub struct TrainGraph {
    /// The operations.
    pub graph: Graph,
    /// Log-probability of each target `[rows · seq]`.
    pub logp: Value,
    /// `Σ weight · (−logp)`, `[1]`.
    pub loss: Value,
    /// Gradient by parameter name, of those that are trained.
    pub gradients: Vec<(String, Value)>,
}

impl TrainGraph {
    /// Builds the graph; `remember` off computes activations again instead of keeping them.
    pub fn new(
        config: &Config,
        rows: usize,
        seq: usize,
        z_loss: f32,
        remember: bool,
    ) -> Result<TrainGraph, Error> {
        TrainGraph::seeing(config, rows, seq, 0, z_loss, remember)
    }

    /// The same with room for so many tiles of pictures.
    pub fn seeing(
        config: &Config,
        rows: usize,
        seq: usize,
        tiles: usize,
        z_loss: f32,
        remember: bool,
    ) -> Result<TrainGraph, Error> {
        TrainGraph::partly(config, (rows, seq, tiles), z_loss, remember, &|_| true)
    }

    /// The same with the gradients of those parameters alone that `trained` is true for, and no work for the others'.
    pub fn partly(
        config: &Config,
        (rows, seq, tiles): (usize, usize, usize),
        z_loss: f32,
        remember: bool,
        trained: &dyn Fn(&str) -> bool,
    ) -> Result<TrainGraph, Error> {
        let mut score = ScoreGraph::with_z_loss(config, rows, seq, tiles, z_loss)?;
        let graph = &mut score.graph;
        let weights = graph.input("weights", Type::f32(&[rows * seq]));
        let cotangent = graph.scale(weights, -1.0)?;
        let loss = graph.apply1(WeightedSum, &[score.logp, cotangent])?;
        let forward = graph.nodes().count();
        let mut shapes = config.shapes();
        shapes.retain(|(name, _)| trained(name));
        let params: Vec<Value> = shapes.iter().map(|(name, shape)| graph.param(name, shape)).collect();
        let gradients = gradient(graph, &[(score.logp, cotangent)], &params)?;
        if !remember {
            let keep: Vec<Value> = [score.layers.as_slice(), &[weights]].concat();
            recompute(graph, forward, &keep)?;
        }
        let gradients = shapes.into_iter().map(|(name, _)| name).zip(gradients).collect();
        Ok(TrainGraph { graph: score.graph, logp: score.logp, loss, gradients })
    }

    /// Loss and log-probabilities to download, gradients into a store of their own.
    pub fn outputs(&self) -> Vec<Output> {
        let bound = self.gradients.iter().map(|(name, value)| Output::Bind(*value, name.clone()));
        [Output::Keep(self.loss), Output::Keep(self.logp)].into_iter().chain(bound).collect()
    }
}

/// Log-probabilities of given tokens: evaluation and `score`. Inputs as [`TrainGraph`]'s, without
/// the weights.
pub struct ScoreGraph {
    /// The operations.
    pub graph: Graph,
    /// Log-probability of each target `[rows · seq]`.
    pub logp: Value,
    layers: Vec<Value>,
}

impl ScoreGraph {
    /// Builds the graph.
    pub fn new(config: &Config, rows: usize, seq: usize) -> Result<ScoreGraph, Error> {
        ScoreGraph::seeing(config, rows, seq, 0)
    }

    /// The same with room for so many tiles of pictures.
    pub fn seeing(config: &Config, rows: usize, seq: usize, tiles: usize) -> Result<ScoreGraph, Error> {
        ScoreGraph::with_z_loss(config, rows, seq, tiles, 0.0)
    }

    fn with_z_loss(
        config: &Config,
        rows: usize,
        seq: usize,
        tiles: usize,
        z_loss: f32,
    ) -> Result<ScoreGraph, Error> {
        let mut graph = Graph::new();
        let inputs = Inputs::new(&mut graph, rows * seq);
        let targets = graph.input("targets", Type::i32(&[rows * seq]));
        let mut decoder = Decoder { graph: &mut graph, config };
        let hidden = decoder.run(&inputs, seq, seq, None, tiles)?;
        let head = decoder.head();
        let logp = graph.apply(LinearCrossEntropy { z_loss }, &[hidden.last, head, targets])?[0];
        Ok(ScoreGraph { graph, logp, layers: hidden.layers })
    }

    /// The log-probabilities, to download.
    pub fn outputs(&self) -> Vec<Output> {
        vec![Output::Keep(self.logp)]
    }
}

/// What goes through the model for given tokens: for the coordinate check. Inputs as [`ScoreGraph`]'s, without targets.
pub struct ActivationGraph {
    /// The operations.
    pub graph: Graph,
    /// What goes through the encoder, if there are tiles.
    pub seen: Option<Encoded>,
    /// The residual stream after each layer `[rows · seq, C]`.
    pub layers: Vec<Value>,
    /// Logits `[rows · seq, V]`.
    pub logits: Value,
}

impl ActivationGraph {
    /// Builds the graph, with room for so many tiles of pictures.
    pub fn new(config: &Config, rows: usize, seq: usize, tiles: usize) -> Result<ActivationGraph, Error> {
        let mut graph = Graph::new();
        let inputs = Inputs::new(&mut graph, rows * seq);
        let mut decoder = Decoder { graph: &mut graph, config };
        let hidden = decoder.run(&inputs, seq, seq, None, tiles)?;
        let head = decoder.head();
        let logits = graph.linear(hidden.last, head)?;
        Ok(ActivationGraph { graph, seen: hidden.seen, layers: hidden.layers, logits })
    }

    /// All of it, to download.
    pub fn outputs(&self) -> Vec<Output> {
        let seen = self.seen.iter().flat_map(|seen| seen.layers.iter().chain([&seen.rows]));
        seen.chain(&self.layers).chain([&self.logits]).map(|value| Output::Keep(*value)).collect()
    }
}

/// Decoding over a cache of `slots` rows: prefill with many tokens, steps with one a sequence.
///
/// Inputs, `[tokens]` i32 each: `tokens`, `positions`, `slots` (the cache row that a token's key and
/// value are written to; −1: unused place), `lo` and `hi` (the cache rows it sees), and `rows`
/// `[logits]`: the places whose logits are asked (−1: none, the logits are then meaningless). With `tiles` of pictures also
/// [`TrainGraph`]'s of these.
pub struct DecodeGraph {
    /// The operations.
    pub graph: Graph,
    /// `[logits, V]`.
    pub logits: Value,
    /// Names and shapes of the caches, for the state store.
    pub caches: Vec<(String, Vec<usize>)>,
}

impl DecodeGraph {
    /// Builds the graph for `tokens` new tokens, `slots` cache rows and positions below `context`.
    pub fn new(
        config: &Config,
        tokens: usize,
        logits: usize,
        slots: usize,
        context: usize,
    ) -> Result<DecodeGraph, Error> {
        DecodeGraph::seeing(config, tokens, logits, slots, context, 0)
    }

    /// The same with room for so many tiles of pictures.
    pub fn seeing(
        config: &Config,
        tokens: usize,
        logits: usize,
        slots: usize,
        context: usize,
        tiles: usize,
    ) -> Result<DecodeGraph, Error> {
        let mut graph = Graph::new();
        let inputs = Inputs::new(&mut graph, tokens);
        let cache = Cache { slots: graph.input("slots", Type::i32(&[tokens])), rows: slots };
        let rows = graph.input("rows", Type::i32(&[logits]));
        let mut decoder = Decoder { graph: &mut graph, config };
        let hidden = decoder.run(&inputs, context, tokens, Some(&cache), tiles)?;
        let head = decoder.head();
        let asked = graph.embedding(hidden.last, rows)?;
        let logits = graph.linear(asked, head)?;
        let shape = vec![slots, config.num_key_value_heads * config.head_dim];
        let caches = (0..config.num_hidden_layers)
            .flat_map(|layer| ["k", "v"].map(|which| (cache_name(layer, which), shape.clone())))
            .collect();
        Ok(DecodeGraph { graph, logits, caches })
    }

    /// The logits, to download.
    pub fn outputs(&self) -> Vec<Output> {
        vec![Output::Keep(self.logits)]
    }

    /// The state store's layout.
    pub fn cache(&self) -> Result<Layout, Error> {
        Layout::new(self.caches.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())))
    }
}
