//! Many sequences at once over one key-value cache.
//!
//! Every sequence has a place: a range of cache rows of its own. A step takes one token from each
//! sequence that is decoding and fills up with pieces of the prompts that wait, so that long prompts
//! do not hold up the others. The engine's sums depend on absolute positions alone, so the logits of
//! a sequence are the same bits whatever runs beside it and however its prompt was cut.

use crate::request::Id;
use crate::{Completion, Error, Finish, Request, Result, Sampler, StopText, TokenLogprob, Update};
use data::{TileBatch, Tokenizer};
use engine::{Data, Device, Executable, Layout, Store, Value};
use model::{Config, DecodeGraph, vision};
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

/// How much is decoded at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Sequences at once.
    pub sequences: usize,
    /// Tokens a sequence may have, prompt and answer; at most the model's context.
    pub context: usize,
    /// Tokens that one step takes at most.
    pub chunk: usize,
    /// Tiles of pictures that one step shows at most; 0 where no prompt has any.
    pub tiles: usize,
}

impl Capacity {
    /// For `sequences` at once with the model's whole context.
    pub fn new(config: &Config, sequences: usize) -> Capacity {
        Capacity { sequences, context: config.max_position_embeddings, chunk: 256, tiles: 0 }
    }

    /// Bytes of the cache and of every graph that a generator may compile, before anything is allocated.
    pub fn bytes(self, device: &dyn Device, config: &Config, params: &Layout) -> Result<usize> {
        let capacity = self.at_least_one_each();
        let cache = capacity.graph(config, 1, 0)?.cache()?;
        let sizes = (0..).map(|power| 1 << power).take_while(|&tokens| tokens < capacity.chunk);
        let mut bytes = cache.bytes();
        for tokens in sizes.chain([capacity.chunk]) {
            for tiles in [0].into_iter().chain((capacity.tiles > 0).then_some(capacity.tiles)) {
                let graph = capacity.graph(config, tokens, tiles)?;
                bytes += device.plan(&graph.graph, &graph.outputs(), params, &cache)?.memory.total();
            }
        }
        Ok(bytes)
    }

    /// A step takes a token of every sequence.
    fn at_least_one_each(self) -> Capacity {
        Capacity { chunk: self.chunk.max(self.sequences), ..self }
    }

    /// The graph of a step of so many tokens and tiles.
    fn graph(self, config: &Config, tokens: usize, tiles: usize) -> Result<DecodeGraph> {
        let Capacity { sequences, context, .. } = self;
        let (logits, slots) = (tokens.min(sequences), sequences * context);
        Ok(DecodeGraph::seeing(config, tokens, logits, slots, context, tiles)?)
    }
}

/// Decodes many requests over one cache. Parameters are handed in at each step, so that they may
/// belong to a training run.
pub struct Generator {
    device: Arc<dyn Device>,
    config: Config,
    capacity: Capacity,
    params: Arc<Layout>,
    cache: Store,
    /// By the number of tokens that they take, and of tiles; made when first needed.
    steps: BTreeMap<(usize, usize), Step>,
    /// By place.
    running: Vec<Option<Sequence>>,
    waiting: VecDeque<Sequence>,
    cancelled: Vec<Id>,
    next: u64,
}

/// A compiled graph and the vectors around it.
struct Step {
    executable: Box<dyn Executable>,
    logits: Value,
    tokens: usize,
    inputs: Inputs,
    tiles: TileBatch,
    rows: Vec<i32>,
    out: Vec<f32>,
}

#[derive(Default)]
struct Inputs {
    tokens: Vec<i32>,
    positions: Vec<i32>,
    slots: Vec<i32>,
    low: Vec<i32>,
    high: Vec<i32>,
}

impl Inputs {
    /// Unused: no token, no slot, an empty span.
    fn clear(&mut self, tokens: usize) {
        for (values, unused) in [
            (&mut self.tokens, -1),
            (&mut self.positions, 0),
            (&mut self.slots, -1),
            (&mut self.low, 0),
            (&mut self.high, 0),
        ] {
            values.clear();
            values.resize(tokens, unused);
        }
    }
}

struct Sequence {
    id: Id,
    request: Request,
    sampler: Sampler,
    stop: StopText,
    /// Tokens that may still be drawn.
    left: usize,
    /// Prompt and answer.
    tokens: Vec<u32>,
    /// How many of them are in the cache.
    cached: usize,
}

impl Generator {
    /// Memory for the cache is taken now.
    pub fn new(
        device: Arc<dyn Device>,
        config: &Config,
        params: &Arc<Layout>,
        capacity: Capacity,
    ) -> Result<Generator> {
        let most = config.max_position_embeddings;
        for (name, value, good, expected) in [
            ("sequences", capacity.sequences, (1..=4096).contains(&capacity.sequences), "1 to 4096"),
            ("context", capacity.context, (1..=most).contains(&capacity.context), "1 to the model's context"),
            ("chunk", capacity.chunk, (1..=1 << 16).contains(&capacity.chunk), "1 to 65536"),
        ] {
            if !good {
                return Err(Error::Setting { name, value: value.to_string(), expected });
            }
        }
        let capacity = capacity.at_least_one_each();
        let layout = Arc::new(capacity.graph(config, 1, 0)?.cache()?);
        Ok(Generator {
            cache: device.store(&layout)?,
            device,
            config: config.clone(),
            capacity,
            params: params.clone(),
            steps: BTreeMap::new(),
            running: (0..capacity.sequences).map(|_| None).collect(),
            waiting: VecDeque::new(),
            cancelled: Vec::new(),
            next: 0,
        })
    }

    /// What it was made for.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Bytes of the cache and of the graphs compiled so far.
    pub fn memory(&self) -> usize {
        let graphs = self.steps.values().map(|step| step.executable.memory().total());
        self.cache.layout().bytes() + graphs.sum::<usize>()
    }

    /// Whether nothing is running or waiting.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.iter().all(Option::is_none)
    }

    /// Queues a request; it starts when a place is free. Refused if it cannot be done: see
    /// [`Request::check`].
    pub fn submit(&mut self, request: Request) -> Result<Id> {
        let left = request.check(self.config.vocab_size, self.capacity.context)?;
        if request.tiles.room() > 0 && (self.capacity.tiles == 0 || self.config.eyes.is_none()) {
            let value = request.tiles.room().to_string();
            return Err(Error::Setting {
                name: "tiles",
                value,
                expected: "none, for want of eyes or of room",
            });
        }
        let vocab = self.config.vocab_size;
        let sampler = Sampler::new(&request.sampling, request.sequence, &request.prompt, vocab)?;
        let stop = StopText::new(&request.stop)?;
        let id = Id(self.next);
        self.next += 1;
        let tokens = request.prompt.clone();
        self.waiting.push_back(Sequence { id, request, sampler, stop, left, tokens, cached: 0 });
        Ok(id)
    }

    /// Ends a request at the next step, with what it has.
    pub fn cancel(&mut self, id: Id) {
        self.cancelled.push(id);
    }

    /// Lets every running sequence go on by at most one token; nothing to do gives no updates.
    pub fn step(&mut self, params: &Store, tokenizer: &Tokenizer) -> Result<Vec<Update>> {
        let mut updates = self.drop_cancelled();
        for place in self.running.iter_mut().filter(|place| place.is_none()) {
            *place = self.waiting.pop_front();
        }
        let parts = self.parts();
        let count: usize = parts.iter().map(|&(_, tokens)| tokens).sum();
        if count == 0 {
            return Ok(updates);
        }
        let shows = |&(place, take): &(usize, usize)| {
            self.running[place].as_ref().is_some_and(|sequence| sequence.shown(take).next().is_some())
        };
        let tiles = if parts.iter().any(shows) { self.capacity.tiles } else { 0 };
        let capacity = (count.next_power_of_two().min(self.capacity.chunk), tiles);
        if !self.steps.contains_key(&capacity) {
            let step = self.compile(capacity)?;
            self.steps.insert(capacity, step);
        }
        let Some(step) = self.steps.get_mut(&capacity) else {
            return Ok(updates);
        };
        let drawn = step.run(&parts, &mut self.running, self.capacity.context, params, &mut self.cache)?;
        let vocab = self.config.vocab_size;
        for (row, place) in drawn.into_iter().enumerate() {
            let Some(sequence) = &mut self.running[place] else {
                continue;
            };
            let update = sequence.advance(&step.out[row * vocab..][..vocab], tokenizer);
            if update.finish.is_some() {
                self.running[place] = None;
            }
            updates.push(update);
        }
        Ok(updates)
    }

    /// Runs requests to their ends; `each` sees every update with the request's index and may end
    /// everything. Completions come in the order of the requests.
    pub fn generate(
        &mut self,
        params: &Store,
        tokenizer: &Tokenizer,
        requests: Vec<Request>,
        each: &mut dyn FnMut(usize, &Update) -> ControlFlow<()>,
    ) -> Result<Vec<Completion>> {
        let mut completions = vec![Completion::default(); requests.len()];
        let mut index = BTreeMap::new();
        for (i, request) in requests.iter().enumerate() {
            // All are looked at before the first runs.
            request.check(self.config.vocab_size, self.capacity.context)?;
            StopText::new(&request.stop)?;
            completions[i].logprobs = request.logprobs.map(|_| Vec::new());
        }
        for (i, request) in requests.into_iter().enumerate() {
            index.insert(self.submit(request)?, i);
        }
        let mut broken = false;
        while !self.is_idle() {
            for update in self.step(params, tokenizer)? {
                let Some(&i) = index.get(&update.id) else {
                    continue;
                };
                completions[i].extend(&update);
                if each(i, &update).is_break() && !std::mem::replace(&mut broken, true) {
                    index.keys().for_each(|&id| self.cancel(id));
                }
                if update.finish == Some(Finish::NotFinite) {
                    index.keys().for_each(|&id| self.cancel(id));
                    self.drop_cancelled();
                    let position = completions[i].tokens.len();
                    return Err(Error::NotFinite { sequence: i as u64, position });
                }
            }
        }
        Ok(completions)
    }

    fn drop_cancelled(&mut self) -> Vec<Update> {
        let mut cancelled = std::mem::take(&mut self.cancelled);
        cancelled.sort_unstable();
        let mut updates = Vec::new();
        let mut end = |sequence: &mut Sequence| {
            let mut text = String::new();
            sequence.stop.finish(&mut text);
            let finish = Some(Finish::Cancelled);
            updates.push(Update { id: sequence.id, token: None, logprob: None, text, finish });
        };
        for place in &mut self.running {
            if let Some(sequence) = place.as_mut().filter(|s| cancelled.binary_search(&s.id).is_ok()) {
                end(sequence);
                *place = None;
            }
        }
        self.waiting.retain_mut(|sequence| {
            let gone = cancelled.binary_search(&sequence.id).is_ok();
            if gone {
                end(sequence);
            }
            !gone
        });
        updates
    }

    /// Places and how many of their tokens this step takes: those that decode first.
    fn parts(&self) -> Vec<(usize, usize)> {
        let mut parts: Vec<(usize, usize)> = Vec::new();
        let (mut left, mut tiles) = (self.capacity.chunk, self.capacity.tiles);
        let open = |sequence: &Sequence| sequence.tokens.len() - sequence.cached;
        for decoding in [true, false] {
            for (place, sequence) in self.running.iter().enumerate() {
                let Some(sequence) = sequence.as_ref().filter(|s| (open(s) == 1) == decoding) else {
                    continue;
                };
                let mut take = open(sequence).min(left);
                // Up to the first tile for which there is no room.
                if let Some(tile) = sequence.shown(take).nth(tiles) {
                    take = sequence.begin(tile) - sequence.cached;
                }
                tiles -= sequence.shown(take).count();
                if take > 0 {
                    parts.push((place, take));
                    left -= take;
                }
            }
        }
        parts
    }

    fn compile(&self, (tokens, tiles): (usize, usize)) -> Result<Step> {
        let graph = self.capacity.graph(&self.config, tokens, tiles)?;
        let mut shown = TileBatch::default();
        if let Some(eyes) = self.config.eyes.as_ref().filter(|_| tiles > 0) {
            shown.clear(tiles, eyes.vision.patches(), eyes.vision.patch_len(), eyes.tokens());
        }
        let rows = tokens.min(self.capacity.sequences);
        let cache = self.cache.layout();
        let executable = self.device.compile(&graph.graph, &graph.outputs(), &self.params, cache)?;
        Ok(Step {
            executable,
            logits: graph.logits,
            tokens,
            inputs: Inputs::default(),
            tiles: shown,
            rows: vec![-1; rows],
            out: vec![0.0; rows * self.config.vocab_size],
        })
    }
}

impl Step {
    /// Runs the parts and returns the places whose logits stand in `out`, row by row.
    fn run(
        &mut self,
        parts: &[(usize, usize)],
        running: &mut [Option<Sequence>],
        context: usize,
        params: &Store,
        cache: &mut Store,
    ) -> Result<Vec<usize>> {
        self.inputs.clear(self.tokens);
        self.tiles.unused();
        self.rows.fill(-1);
        let (mut at, mut drawn) = (0, Vec::new());
        for &(place, take) in parts {
            let Some(sequence) = &mut running[place] else {
                continue;
            };
            let start = place * context;
            let (first, end, here) = (sequence.cached as i32, (sequence.cached + take) as i32, at as i32);
            for tile in sequence.shown(take) {
                let row = |row: i32| if (first..end).contains(&row) { row - first + here } else { -1 };
                self.tiles.copy(&sequence.request.tiles, tile, row);
            }
            for _ in 0..take {
                let position = sequence.cached;
                self.inputs.tokens[at] = sequence.tokens[position] as i32;
                self.inputs.positions[at] = position as i32;
                self.inputs.slots[at] = (start + position) as i32;
                self.inputs.low[at] = start as i32;
                self.inputs.high[at] = (start + position + 1) as i32;
                sequence.cached += 1;
                at += 1;
            }
            if sequence.cached == sequence.tokens.len() {
                self.rows[drawn.len()] = at as i32 - 1;
                drawn.push(place);
            }
        }
        let inputs = &self.inputs;
        for (name, values) in [
            ("tokens", &inputs.tokens),
            ("positions", &inputs.positions),
            ("slots", &inputs.slots),
            ("lo", &inputs.low),
            ("hi", &inputs.high),
            ("rows", &self.rows),
        ] {
            self.executable.upload(name, Data::I32(values))?;
        }
        let TileBatch { pixels, places, lo, hi, rows, .. } = &self.tiles;
        if self.tiles.room() > 0 {
            vision::upload(self.executable.as_mut(), pixels, places, (lo, hi), rows)?;
        }
        self.executable.run(params, cache)?;
        if !drawn.is_empty() {
            self.executable.download(self.logits, &mut self.out)?;
        }
        Ok(drawn)
    }
}

impl Sequence {
    /// Tiles of which the next `take` tokens show a part, in order.
    fn shown(&self, take: usize) -> impl Iterator<Item = usize> + '_ {
        let range = self.cached as i32..(self.cached + take) as i32;
        let tiles = &self.request.tiles;
        (0..tiles.used()).filter(move |&tile| tiles.rows_of(tile).iter().any(|row| range.contains(row)))
    }

    /// Where what is left to show of a tile begins.
    fn begin(&self, tile: usize) -> usize {
        let rows = self.request.tiles.rows_of(tile).iter().map(|&row| row.max(0) as usize);
        rows.filter(|&row| row >= self.cached).min().unwrap_or(self.cached)
    }

    /// Draws the next token from its logits.
    fn advance(&mut self, logits: &[f32], tokenizer: &Tokenizer) -> Update {
        let mut update =
            Update { id: self.id, token: None, logprob: None, text: String::new(), finish: None };
        let Some(token) = self.sampler.draw(logits, self.tokens.len()) else {
            self.stop.finish(&mut update.text);
            update.finish = Some(Finish::NotFinite);
            return update;
        };
        update.logprob = self.request.logprobs.map(|top| TokenLogprob::new(logits, token, top));
        if self.request.end.contains(&token) {
            self.stop.finish(&mut update.text);
            update.finish = Some(Finish::Stop);
            return update;
        }
        update.token = Some(token);
        self.sampler.accept(token);
        self.tokens.push(token);
        self.left -= 1;
        let bytes = if tokenizer.is_special(token) { &[] } else { tokenizer.token_bytes(token) };
        if self.stop.push(bytes, &mut update.text) {
            update.finish = Some(Finish::Stop);
        } else if self.left == 0 {
            self.stop.finish(&mut update.text);
            update.finish = Some(Finish::Length);
        }
        update
    }
}
