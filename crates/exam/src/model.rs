//! A model that sits an exam.

use std::ops::ControlFlow;
use std::sync::Arc;

use ::model::Config;
use data::{Look, Prompt, TileBatch, Tokenizer};
use engine::{Device, Store};
use generate::{Capacity, Generator, Request, Sampling, Scorer, Seen};

use crate::{Item, NotPosed, Posed, Reason, Rendering, Respondent, Result};

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

    /// The prompt of an item that the model can take with so many tokens more.
    fn prompt(&self, item: &Item, rendering: Rendering, more: usize) -> Result<Posed<Prompt>> {
        let document = match item.document(rendering) {
            Ok(document) => document,
            Err(not_posed) => return Ok(Err(not_posed)),
        };
        let prompt = match Prompt::new(document, self.tokenizer, self.look) {
            Err(data::Error::Image { what, .. }) => {
                return Ok(Err(NotPosed { reason: Reason::Picture, what }));
            }
            prompt => prompt?,
        };
        let (tokens, context) = (prompt.tokens.len() + more, self.config.max_position_embeddings);
        Ok(match tokens > context + 1 {
            true => {
                let what = format!("it has {tokens} tokens, and the model's context is {context}");
                Err(NotPosed { reason: Reason::Length, what })
            }
            false => Ok(prompt),
        })
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
    fn choose(&mut self, items: &[&Item], rendering: Rendering) -> Result<Vec<Posed<Vec<f64>>>> {
        let context = self.config.max_position_embeddings;
        // A text a choice, all of an item's after each other: where the choice begins, and its tokens.
        let mut texts: Vec<(usize, Vec<u32>, TileBatch)> = Vec::new();
        let mut posed = Vec::with_capacity(items.len());
        for item in items {
            let mut choices = vec![Vec::new(); item.choices.len()];
            for (choice, tokens) in item.choices.iter().zip(&mut choices) {
                self.tokenizer.encode_ordinary(choice, tokens)?;
            }
            let longest = choices.iter().map(Vec::len).max().unwrap_or(0);
            let prompt = self.prompt(item, rendering, longest)?;
            if let Ok(Prompt { tokens, tiles }) = &prompt {
                let whole = choices.into_iter().map(|choice| [tokens.as_slice(), &choice].concat());
                texts.extend(whole.map(|text| (tokens.len(), text, tiles.clone())));
            }
            posed.push(prompt.map(|_| item.choices.len()));
        }
        if texts.is_empty() {
            return Ok(posed.into_iter().map(|posed| posed.map(|_| Vec::new())).collect());
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
        Ok(posed
            .into_iter()
            .map(|posed| posed.map(|choices| nats.by_ref().take(choices).collect()))
            .collect())
    }

    fn write(&mut self, items: &[&Item], rendering: Rendering) -> Result<Vec<Posed<String>>> {
        let context = self.config.max_position_embeddings;
        let (mut requests, mut posed) = (Vec::new(), Vec::with_capacity(items.len()));
        for (sequence, item) in items.iter().enumerate() {
            // There is room for the answer and the end of its line.
            let mut answer = Vec::new();
            self.tokenizer.encode_ordinary(&format!("{}\n", item.answer), &mut answer)?;
            let Prompt { tokens, tiles } = match self.prompt(item, rendering, answer.len() + 1)? {
                Ok(prompt) => prompt,
                Err(not_posed) => {
                    posed.push(Err(not_posed));
                    continue;
                }
            };
            posed.push(Ok(()));
            requests.push(Request {
                max_tokens: Some(WRITTEN.max(answer.len()).min(context - tokens.len())),
                sampling: Sampling { temperature: 0.0, ..Sampling::default() },
                stop: vec!["\n".into()],
                end: self.ends.clone(),
                sequence: sequence as u64,
                tiles,
                ..Request::new(self.tokenizer, tokens)
            });
        }
        if requests.is_empty() {
            return Ok(posed.into_iter().map(|posed| posed.map(|()| String::new())).collect());
        }
        let tiles = requests.iter().map(|request| request.tiles.used()).max().unwrap_or(0);
        let capacity = Capacity { sequences: ROWS, context, chunk: 256, tiles };
        let mut generator = Generator::new(self.device.clone(), self.config, self.params.layout(), capacity)?;
        let going_on = &mut |_, _: &_| ControlFlow::Continue(());
        let written = generator.generate(self.params, self.tokenizer, requests, going_on)?;
        let mut written = written.into_iter().map(|completion| completion.text);
        Ok(posed.into_iter().map(|posed| posed.map(|()| written.next().unwrap_or_default())).collect())
    }
}
