//! Log-probabilities of given tokens.
//!
//! A text that fits into the context is read once. A longer one is read in windows of the context's
//! length that begin half a context apart: the first window scores all that it predicts, each
//! further one only what the window before did not reach, so that every token has at least half a
//! context before it (or everything there is).

use crate::{Error, Result};
use data::{TileBatch, Tokenizer};
use engine::{Data, Device, Executable, Layout, Store, Value};
use model::{Config, ScoreGraph, vision};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a text costs under a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// Natural logarithm of each token's probability given those before; none for the first.
    pub logprobs: Vec<Option<f64>>,
    /// Minus their sum.
    pub nats: f64,
    /// Bits a byte of the text that was predicted; none if there was none.
    pub bits_per_byte: Option<f64>,
    /// Bits a word: a run of bytes that are no ASCII white space.
    pub bits_per_word: Option<f64>,
}

impl Score {
    fn new(tokens: &[u32], logprobs: Vec<Option<f64>>, tokenizer: &Tokenizer) -> Score {
        // A sum of nothing is -0.0 in Rust.
        let nats = 0.0 - logprobs.iter().flatten().sum::<f64>();
        let predicted = tokens.get(1..).unwrap_or_default();
        let text = tokenizer.decode_bytes(predicted);
        let space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
        let words = text.split(space).filter(|word| !word.is_empty()).count();
        let bits_a = |count: usize| (count > 0).then(|| nats / std::f64::consts::LN_2 / count as f64);
        Score {
            tokens: tokens.to_vec(),
            logprobs,
            nats,
            bits_per_byte: bits_a(text.len()),
            bits_per_word: bits_a(words),
        }
    }
}

/// Tokens that are scored in one run at most.
const AT_ONCE: usize = 4096;

/// Scores texts; keeps what it compiled.
pub struct Scorer {
    device: Arc<dyn Device>,
    config: Config,
    params: Arc<Layout>,
    context: usize,
    /// Tiles that a run has room for.
    tiles: usize,
    empty: Store,
    graphs: BTreeMap<(usize, usize), Compiled>,
}

struct Compiled {
    executable: Box<dyn Executable>,
    logp: Value,
    tiles: TileBatch,
    out: Vec<f32>,
}

/// A text to be scored, with the pictures that stand in it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'t> {
    /// The tokens.
    pub tokens: &'t [u32],
    /// The pictures; rows count the tokens.
    pub tiles: &'t TileBatch,
}

/// Where a window begins, and the first token that it scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    start: usize,
    first: usize,
}

impl Window {
    /// Tokens that it predicts, and as many that it reads.
    fn length(&self, tokens: &[u32], context: usize) -> usize {
        context.min(tokens.len() - 1 - self.start)
    }
}

/// A window of a text, and where it lies in the rows of a graph.
struct Placed<'t> {
    /// The text's.
    number: usize,
    tokens: &'t [u32],
    tiles: Option<&'t TileBatch>,
    window: Window,
    at: usize,
}

/// The windows over `tokens` tokens: each predicts the tokens `start+1 ..= start+context`.
fn windows(tokens: usize, context: usize) -> Vec<Window> {
    let stride = context.div_ceil(2);
    let mut windows = vec![Window { start: 0, first: 1 }];
    let mut end = context;
    while end + 1 < tokens {
        let start = windows.len() * stride;
        windows.push(Window { start, first: end + 1 });
        end = start + context;
    }
    windows
}

impl Scorer {
    /// For texts under windows of `context` tokens, at most the model's.
    pub fn new(
        device: Arc<dyn Device>,
        config: &Config,
        params: &Arc<Layout>,
        context: usize,
    ) -> Result<Scorer> {
        if context == 0 || context > config.max_position_embeddings {
            let value = context.to_string();
            return Err(Error::Setting { name: "context", value, expected: "1 to the model's context" });
        }
        let empty = device.store(&Arc::new(Layout::default()))?;
        let (config, params) = (config.clone(), params.clone());
        Ok(Scorer { device, config, params, context, tiles: 0, empty, graphs: BTreeMap::new() })
    }

    /// The same with room for so many tiles of pictures in a run.
    pub fn seeing(self, tiles: usize) -> Scorer {
        Scorer { tiles, graphs: BTreeMap::new(), ..self }
    }

    /// Log-probabilities of the tokens, of the first none: nothing stands before it. To score all of
    /// a text, let the end-of-text token begin it: see [`crate::prompt`].
    pub fn logprobs(&mut self, params: &Store, tokens: &[u32]) -> Result<Vec<Option<f64>>> {
        let vocab = self.config.vocab_size;
        if tokens.is_empty() {
            return Err(Error::Empty("the text"));
        }
        if let Some(index) = tokens.iter().position(|&t| t as usize >= vocab) {
            return Err(Error::Token { what: "text", index, token: tokens[index], vocab });
        }
        let mut logprobs = vec![None; tokens.len()];
        if tokens.len() == 1 {
            return Ok(logprobs);
        }
        let (rows, seq) = self.shape(tokens.len());
        let windows = windows(tokens.len(), seq);
        self.compile_once(rows, seq)?;
        let mut each = |_, token, x| logprobs[token] = Some(x);
        for windows in windows.chunks(rows) {
            let placed = |(row, window): (usize, &Window)| Placed {
                number: 0,
                tokens,
                tiles: None,
                window: *window,
                at: row * seq,
            };
            let placed: Vec<Placed<'_>> = windows.iter().enumerate().map(placed).collect();
            self.run((rows, seq), &placed, params, &mut each)?;
        }
        Ok(logprobs)
    }

    /// Log-probabilities of many texts, each as [`Scorer::logprobs`] has them to the bit, in one graph of `rows` rows
    /// of the context, in which short texts lie side by side. `each` is told the number of a text, of a token in it,
    /// and the token's log-probability.
    pub fn each_logprob<'t>(
        &mut self,
        params: &Store,
        rows: usize,
        texts: impl IntoIterator<Item = &'t [u32]>,
        each: &mut dyn FnMut(usize, usize, f64),
    ) -> Result<()> {
        self.each(params, rows, texts.into_iter().map(|tokens| (tokens, None)), each)
    }

    /// The same of texts with pictures, none longer than the context or with more tiles than a run has room for.
    pub fn each_seen<'t>(
        &mut self,
        params: &Store,
        rows: usize,
        texts: impl IntoIterator<Item = Seen<'t>>,
        each: &mut dyn FnMut(usize, usize, f64),
    ) -> Result<()> {
        self.each(params, rows, texts.into_iter().map(|text| (text.tokens, Some(text.tiles))), each)
    }

    fn each<'t>(
        &mut self,
        params: &Store,
        rows: usize,
        texts: impl Iterator<Item = (&'t [u32], Option<&'t TileBatch>)>,
        each: &mut dyn FnMut(usize, usize, f64),
    ) -> Result<()> {
        let (seq, vocab) = (self.context, self.config.vocab_size);
        self.compile_once(rows, seq)?;
        let mut placed: Vec<Placed<'t>> = Vec::new();
        // Where the next window lies, if it fits into the row.
        let (mut at, mut shown) = (0, 0);
        for (number, (tokens, tiles)) in texts.enumerate() {
            let tiles = tiles.filter(|tiles| tiles.used() > 0);
            let count = tiles.map_or(0, TileBatch::used);
            if count > 0 && (tokens.len() > seq + 1 || count > self.tiles) {
                let value = format!("{} tokens and {count} tiles", tokens.len());
                return Err(Error::Setting {
                    name: "a text with pictures",
                    value,
                    expected: "what a row has room for",
                });
            }
            if let Some(index) = tokens.iter().position(|&t| t as usize >= vocab) {
                return Err(Error::Token { what: "text", index, token: tokens[index], vocab });
            }
            if tokens.len() < 2 {
                continue;
            }
            for window in windows(tokens.len(), seq) {
                let length = window.length(tokens, seq);
                if at % seq + length > seq {
                    at = at.next_multiple_of(seq);
                }
                if at >= rows * seq || shown + count > self.tiles {
                    self.run((rows, seq), &placed, params, each)?;
                    placed.clear();
                    (at, shown) = (0, 0);
                }
                placed.push(Placed { number, tokens, tiles, window, at });
                at += length;
                shown += count;
            }
        }
        match placed.is_empty() {
            true => Ok(()),
            false => self.run((rows, seq), &placed, params, each),
        }
    }

    /// Runs the graph of a shape, which was compiled before.
    fn run(
        &mut self,
        shape: (usize, usize),
        placed: &[Placed<'_>],
        params: &Store,
        each: &mut dyn FnMut(usize, usize, f64),
    ) -> Result<()> {
        match self.graphs.get_mut(&shape) {
            Some(graph) => graph.run(shape, placed, params, &mut self.empty, each),
            None => Ok(()),
        }
    }

    /// Rows and their length for so many tokens, two at least.
    fn shape(&self, tokens: usize) -> (usize, usize) {
        let seq = self.context.min((tokens - 1).next_power_of_two());
        ((AT_ONCE / seq).clamp(1, windows(tokens, seq).len().next_power_of_two()), seq)
    }

    /// Bytes of the graphs that were compiled up to now.
    pub fn held(&self) -> usize {
        self.graphs.values().map(|graph| graph.executable.memory().total()).sum()
    }

    /// Bytes of the graph that scores so many tokens, before it is allocated.
    pub fn bytes(&self, tokens: usize) -> Result<usize> {
        let (rows, seq) = self.shape(tokens.max(2));
        let graph = ScoreGraph::seeing(&self.config, rows, seq, self.tiles)?;
        let plan = self.device.plan(&graph.graph, &graph.outputs(), &self.params, self.empty.layout())?;
        Ok(plan.memory.total())
    }

    /// As [`Scorer::logprobs`], with the sums.
    pub fn score(&mut self, params: &Store, tokenizer: &Tokenizer, tokens: &[u32]) -> Result<Score> {
        let logprobs = self.logprobs(params, tokens)?;
        Ok(Score::new(tokens, logprobs, tokenizer))
    }

    fn compile_once(&mut self, rows: usize, seq: usize) -> Result<()> {
        if !self.graphs.contains_key(&(rows, seq)) {
            let graph = ScoreGraph::seeing(&self.config, rows, seq, self.tiles)?;
            let mut tiles = TileBatch::default();
            if let Some(eyes) = self.config.eyes.as_ref().filter(|_| self.tiles > 0) {
                tiles.clear(self.tiles, eyes.vision.patches(), eyes.vision.patch_len(), eyes.tokens());
            }
            let state = self.empty.layout();
            let executable = self.device.compile(&graph.graph, &graph.outputs(), &self.params, state)?;
            let compiled = Compiled { executable, logp: graph.logp, tiles, out: vec![0.0; rows * seq] };
            self.graphs.insert((rows, seq), compiled);
        }
        Ok(())
    }
}

impl Compiled {
    /// Scores windows that lie apart from each other; `each` is told the number of a text, of a token in it, and
    /// the token's log-probability.
    fn run(
        &mut self,
        (rows, seq): (usize, usize),
        placed: &[Placed<'_>],
        params: &Store,
        state: &mut Store,
        each: &mut dyn FnMut(usize, usize, f64),
    ) -> Result<()> {
        let unused = |value: i32| vec![value; rows * seq];
        let (mut tokens, mut targets, mut positions) = (unused(-1), unused(-1), unused(0));
        let (mut low, mut high) = (unused(0), unused(0));
        self.tiles.unused();
        for Placed { tokens: text, tiles, window, at: begin, .. } in placed {
            let length = window.length(text, seq) as i32;
            for tile in tiles.iter().flat_map(|tiles| 0..tiles.used()) {
                let row = |row: i32| if (0..length).contains(&row) { row + *begin as i32 } else { -1 };
                tiles.and_then(|tiles| self.tiles.copy(tiles, tile, row));
            }
            for i in 0..window.length(text, seq) {
                let at = begin + i;
                tokens[at] = text[window.start + i] as i32;
                targets[at] = text[window.start + i + 1] as i32;
                positions[at] = i as i32;
                low[at] = *begin as i32;
                high[at] = at as i32 + 1;
            }
        }
        for (name, values) in [
            ("tokens", &tokens),
            ("targets", &targets),
            ("positions", &positions),
            ("lo", &low),
            ("hi", &high),
        ] {
            self.executable.upload(name, Data::I32(values))?;
        }
        let TileBatch { pixels, places, lo, hi, rows, .. } = &self.tiles;
        if self.tiles.room() > 0 {
            vision::upload(self.executable.as_mut(), pixels, places, (lo, hi), rows)?;
        }
        self.executable.run(params, state)?;
        self.executable.download(self.logp, &mut self.out)?;
        for Placed { number, tokens: text, window, at, .. } in placed {
            let end = window.start + window.length(text, seq);
            for token in window.first..=end {
                let value = self.out[at + token - window.start - 1];
                if !value.is_finite() {
                    return Err(Error::NotFinite { sequence: *number as u64, position: token });
                }
                each(*number, token, f64::from(value));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every token but the first is scored once, with half a context before it or everything.
    #[test]
    fn windows_cover_each_token_once() {
        for context in 1..12 {
            for tokens in 2..60 {
                let windows = windows(tokens, context);
                let mut scored = vec![0; tokens];
                for w in &windows {
                    assert!(w.start < tokens);
                    let end = (w.start + context).min(tokens - 1);
                    assert!(w.first <= end, "an idle window: {tokens} {context}");
                    for (i, count) in scored.iter_mut().enumerate().take(end + 1).skip(w.first) {
                        *count += 1;
                        let before = i - w.start;
                        assert!(before > context / 2 || w.start == 0, "{tokens} {context} {i}");
                    }
                }
                assert_eq!(scored[0], 0);
                assert!(scored[1..].iter().all(|&n| n == 1), "{tokens} {context} {scored:?}");
            }
        }
    }

    /// Many texts, longer and shorter than the context, side by side and each alone.
    #[test]
    fn texts_side_by_side_have_the_bits_of_each_alone() {
        let sizes = model::Sizes {
            vocab: 37,
            width: 20,
            ffn: 28,
            layers: 2,
            heads: 2,
            kv_heads: 1,
            head_dim: 6,
            context: 32,
            tied: true,
        };
        let config = Config::new(sizes).unwrap();
        let shapes = config.shapes();
        let layout =
            Layout::new(shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))).unwrap();
        let mut params = Store::new(&Arc::new(layout)).unwrap();
        let table = model::parametrisation::table(&config, &model::parametrisation::Choice::default());
        model::parametrisation::initialise(&table, 5, &mut params).unwrap();
        let texts: Vec<Vec<u32>> = [1, 2, 5, 33, 17, 16, 90, 3, 31, 32, 40, 2, 8, 8, 8, 8]
            .iter()
            .enumerate()
            .map(|(k, length)| (0..*length).map(|i| (i * i + 7 * i + 3 * k as u32) % 37).collect())
            .collect();
        let cpu = kernels::Cpu::new(kernels::Isa::best(), 2).unwrap();
        let device: Arc<dyn Device> = Arc::new(engine::CpuDevice::new(cpu));
        let mut alone = Scorer::new(device.clone(), &config, params.layout(), 32).unwrap();
        let expected: Vec<Vec<Option<f64>>> =
            texts.iter().map(|text| alone.logprobs(&params, text).unwrap()).collect();
        for rows in [1, 2, 5] {
            let mut scorer = Scorer::new(device.clone(), &config, params.layout(), 32).unwrap();
            let mut got: Vec<Vec<Option<f64>>> = texts.iter().map(|text| vec![None; text.len()]).collect();
            let slices = texts.iter().map(Vec::as_slice);
            scorer
                .each_logprob(&params, rows, slices, &mut |text, token, x| {
                    assert!(got[text][token].replace(x).is_none(), "token {token} of text {text} came twice");
                })
                .unwrap();
            assert_eq!(got, expected, "{rows} rows");
        }
        let bad = [[3, 99].as_slice()];
        assert!(matches!(
            alone.each_logprob(&params, 1, bad, &mut |_, _, _| ()),
            Err(Error::Token { index: 1, token: 99, .. })
        ));
    }
}
