//! A model that sits an exam.

use std::ops::ControlFlow;
use std::sync::Arc;

use ::model::Config;
use data::{Look, Prompt, TileBatch, Tokenizer};
use engine::{Device, Store};
use generate::{Capacity, Generator, Request, Sampling, Scorer, Seen};

use crate::{Error, Item, Rendering, Respondent, Result};

/// Tokens of an answer that is written, at most.
const WRITTEN: usize = 32;

/// Rows that are read at once.
const ROWS: usize = 8;

/// A model with its tokenizer and, if it sees, how.
pub struct ModelRespondent<'m> {
    device: Arc<dyn Device>,
    config: &'m Config,
    params: &'m Store,
    tokenizer: &'m Tokenizer,
    look: Option<&'m Look>,
    ends: Vec<u32>,
    scorer: Option<(usize, Scorer)>,
}

impl<'m> ModelRespondent<'m> {
    /// `ends` are the tokens that end a text.
    pub fn new(
        device: Arc<dyn Device>,
        config: &'m Config,
        params: &'m Store,
        tokenizer: &'m Tokenizer,
        look: Option<&'m Look>,
        ends: Vec<u32>,
    ) -> ModelRespondent<'m> {
        ModelRespondent { device, config, params, tokenizer, look, ends, scorer: None }
    }

    fn prompt(&self, item: &Item, rendering: Rendering) -> Result<Prompt> {
        Ok(Prompt::new(item.document(rendering), self.tokenizer, self.look)?)
    }

    fn too_long(&self, item: &Item, tokens: usize) -> Error {
        let context = self.config.max_position_embeddings;
        Error::Item {
            id: item.id.clone(),
            what: format!("it has {tokens} tokens, and the model's context is {context}"),
        }
    }

    /// A scorer with room for so many tiles in a run, at least.
    fn scorer(&mut self, tiles: usize) -> Result<&mut Scorer> {
        let enough = |(room, _): &(usize, Scorer)| *room >= tiles;
        let (_, scorer) = match self.scorer.take().filter(enough) {
            Some(scorer) => self.scorer.insert(scorer),
            None => {
                let context = self.config.max_position_embeddings;
                let scorer = Scorer::new(self.device.clone(), self.config, self.params.layout(), context)?;
                self.scorer.insert((tiles, scorer.seeing(tiles)))
            }
        };
        Ok(scorer)
    }
}

impl Respondent for ModelRespondent<'_> {
    fn choose(&mut self, items: &[&Item], rendering: Rendering) -> Result<Vec<Vec<f64>>> {
        let context = self.config.max_position_embeddings;
        // A text a choice, all of an item's after each other: where the choice begins, and its tokens.
        let mut texts: Vec<(usize, Vec<u32>, TileBatch)> = Vec::new();
        for item in items {
            let prompt = self.prompt(item, rendering)?;
            for choice in &item.choices {
                let mut tokens = prompt.tokens.clone();
                self.tokenizer.encode_ordinary(choice, &mut tokens)?;
                if tokens.len() > context + 1 {
                    return Err(self.too_long(item, tokens.len()));
                }
                texts.push((prompt.tokens.len(), tokens, prompt.tiles.clone()));
            }
        }
        let most = texts.iter().map(|(_, _, tiles)| tiles.used()).max().unwrap_or(0);
        let longest = texts.iter().map(|(_, tokens, _)| tokens.len()).max().unwrap_or(1);
        // As many as texts of that length have in all rows.
        let tiles = most * (ROWS * context / longest.max(1)).max(1);
        let params = self.params;
        let begins: Vec<usize> = texts.iter().map(|(begin, ..)| *begin).collect();
        let mut nats = vec![0.0; texts.len()];
        let seen = texts.iter().map(|(_, tokens, tiles)| Seen { tokens, tiles });
        self.scorer(tiles)?.each_seen(params, ROWS, seen, &mut |text, token, x| {
            if token >= begins[text] {
                nats[text] += x;
            }
        })?;
        let mut nats = nats.into_iter();
        Ok(items.iter().map(|item| nats.by_ref().take(item.choices.len()).collect()).collect())
    }

    fn write(&mut self, items: &[&Item], rendering: Rendering) -> Result<Vec<String>> {
        let context = self.config.max_position_embeddings;
        let mut requests = Vec::new();
        for (sequence, item) in items.iter().enumerate() {
            let Prompt { tokens, tiles } = self.prompt(item, rendering)?;
            if tokens.len() >= context {
                return Err(self.too_long(item, tokens.len()));
            }
            requests.push(Request {
                max_tokens: Some(WRITTEN.min(context - tokens.len())),
                sampling: Sampling { temperature: 0.0, ..Sampling::default() },
                stop: vec!["\n".into()],
                end: self.ends.clone(),
                sequence: sequence as u64,
                tiles,
                ..Request::new(self.tokenizer, tokens)
            });
        }
        let tiles = requests.iter().map(|request| request.tiles.used()).max().unwrap_or(0);
        let capacity = Capacity { sequences: ROWS, context, chunk: 256, tiles };
        let mut generator = Generator::new(self.device.clone(), self.config, self.params.layout(), capacity)?;
        let going_on = &mut |_, _: &_| ControlFlow::Continue(());
        let written = generator.generate(self.params, self.tokenizer, requests, going_on)?;
        Ok(written.into_iter().map(|completion| completion.text).collect())
    }
}
