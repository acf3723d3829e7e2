//! Further sets, from `--score NAME=PATH` to the records: text of another kind than what is trained on, and
//! questions with known answers, with or without pictures. The finished model is scored on them.

use crate::Failure;
use anyhow::{Context, anyhow};
use data::{Dataset, Look, Passage, Prompt, Question, TileBatch};
use engine::{CpuDevice, Store};
use generate::{Scorer, Seen};
use record::Answered;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use train::{FurtherSet, SetKind, SetScores, TrainConfig};

/// Tokens of a set of text at most, as many as of the held-out set.
const TEXT_TOKENS: u64 = plan::rules::EVAL_TOKENS;

/// Tokens of questions at most, each of whose choices is read with the prompt before it.
const QUESTION_TOKENS: u64 = 1 << 20;

/// The same where there are pictures, for each choice has them before it, too.
const PICTURED_TOKENS: u64 = 1 << 19;

/// Questions whose pictures are decoded at once.
const SHOWN: usize = 32;

/// A set that was read.
pub struct Loaded {
    /// As it stands in `run.toml`.
    pub set: FurtherSet,
    content: Content,
}

enum Content {
    Text(Vec<Passage>),
    /// And how their pictures are seen, if there are some.
    Questions(Vec<Asked>, Option<Look>),
}

/// A question in tokens.
struct Asked {
    question: Question,
    /// The prompt with each of its choices.
    texts: Vec<Vec<u32>>,
    /// The first token of each choice.
    begins: Vec<usize>,
}

/// Reads what `--score` names: the kind of each set by its content, its tokens and hash.
pub fn resolve(options: &[String], dataset: &Dataset) -> Result<Vec<FurtherSet>, Failure> {
    let mut sets: Vec<FurtherSet> = Vec::new();
    for option in options {
        let (name, path) = named(option)?;
        let kind = match data::holds_questions(Path::new(path)) {
            true => SetKind::Questions,
            false => SetKind::Text,
        };
        let tokens = if kind == SetKind::Text { TEXT_TOKENS } else { QUESTION_TOKENS };
        let set = FurtherSet { name: name.into(), path: path.into(), kind, tokens, hash: String::new() };
        set.check().map_err(|e| Failure::Usage(format!("--score {option}: {e}")))?;
        if sets.iter().any(|other| other.name == name) {
            return Err(Failure::Usage(format!("--score {option}: there are two sets of that name")));
        }
        sets.push(read(&set, dataset, true)?.set);
    }
    Ok(sets)
}

/// `NAME=PATH`.
fn named(option: &str) -> Result<(&str, &str), Failure> {
    let pair = option.split_once('=').filter(|(name, path)| !name.is_empty() && !path.is_empty());
    pair.ok_or_else(|| Failure::Usage(format!("--score {option}: write it as NAME=PATH, as in code=src")))
}

/// Sets as the value of the setting `evaluation.sets`.
pub fn setting(sets: &[FurtherSet]) -> Result<String, Failure> {
    Ok(toml::Value::try_from(sets)?.to_string())
}

/// Puts the places that `--score` gives in those of the sets' own, for files that were moved.
pub fn moved(sets: &mut [FurtherSet], options: &[String]) -> Result<(), Failure> {
    for option in options {
        let (name, path) = named(option)?;
        let set = sets.iter_mut().find(|set| set.name == name);
        let set =
            set.ok_or_else(|| Failure::Usage(format!("--score {option}: the run has no set of that name")))?;
        set.path = path.into();
    }
    Ok(())
}

/// Reads the sets of a run, which must be those that it was begun with.
pub fn load(sets: &[FurtherSet], dataset: &Dataset) -> Result<Vec<Loaded>, Failure> {
    let mut all = Vec::new();
    for set in sets {
        let loaded = read(set, dataset, false)?;
        if loaded.set.hash != set.hash {
            let FurtherSet { name, path, hash, .. } = set;
            return Err(anyhow!(
                "the set {name}: {path} does not hold what the run was begun with (hash {}, not {hash}); \
                 restore it, or give its place with --score {name}=PATH",
                loaded.set.hash
            )
            .into());
        }
        all.push(loaded);
    }
    Ok(all)
}

/// Refuses questions with pictures that do not fit into a run's rows.
pub fn check(sets: &[Loaded], config: &TrainConfig) -> Result<(), Failure> {
    for Loaded { set, content } in sets {
        let Content::Questions(asked, Some(look)) = content else { continue };
        let (seq, room) = (config.seq(), config.micro_rows * config.tiles);
        for Asked { question, texts, .. } in asked {
            let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
            let tiles = texts.first().map_or(0, |text| look.tiles_in(text));
            if longest > seq + 1 || tiles > room {
                return Err(anyhow!(
                    "the set {}: question {} has {longest} tokens and {tiles} tiles, where {seq} and {room} fit; \
                     --set seq gives longer rows",
                    set.name,
                    question.id
                )
                .into());
            }
        }
    }
    Ok(())
}

/// Reads a set; says what was passed over when it is read for the first time.
fn read(set: &FurtherSet, dataset: &Dataset, first: bool) -> Result<Loaded, Failure> {
    let tokenizer = dataset.tokenizer();
    let about = || format!("the set {} (--score {}=PATH gives its place)", set.name, set.name);
    let mut set = set.clone();
    let content = match set.kind {
        SetKind::Text => {
            let passages = data::passages(&set.path, tokenizer, set.tokens).with_context(about)?;
            if let (true, Some(problem)) = (first, &passages.malformed.1) {
                eprintln!(
                    "note: the set {}: {} malformed, left out: {problem}",
                    set.name, passages.malformed.0
                );
            }
            set.tokens = passages.taken.iter().map(|passage| passage.tokens.len() as u64).sum();
            set.hash = passages.hash;
            Content::Text(passages.taken)
        }
        SetKind::Questions | SetKind::Pictured => {
            let most = set.tokens;
            let mut sample = Sample { dataset, most, kept: BTreeMap::new(), tokens: 0, beyond: None };
            let (mut place, mut failed) = (0, None);
            let told = data::each_question(Path::new(&set.path), &mut |question| {
                if first && !question.pictures.is_empty() && set.kind == SetKind::Questions {
                    set.kind = SetKind::Pictured;
                    sample.most = PICTURED_TOKENS;
                    sample.fit();
                }
                place += 1;
                failed = failed.take().or(sample.offer(place, question).err());
                Ok(())
            });
            set.hash = told.with_context(about)?;
            if let Some(error) = failed {
                return Err(error.context(about()).into());
            }
            set.tokens = sample.tokens;
            let mut kept: Vec<(usize, Asked)> = sample.kept.into_values().collect();
            // As they come in the file.
            kept.sort_by_key(|(place, _)| *place);
            let asked = kept.into_iter().map(|(_, asked)| asked).collect();
            let look = dataset.look().filter(|_| set.kind == SetKind::Pictured);
            Content::Questions(asked, look.cloned())
        }
    };
    Ok(Loaded { set, content })
}

/// The questions with the lowest hashes so far.
struct Sample<'d> {
    dataset: &'d Dataset,
    most: u64,
    /// By hash; each with its place in the file.
    kept: BTreeMap<String, (usize, Asked)>,
    tokens: u64,
    /// The lowest hash that did not fit: none behind it can.
    beyond: Option<String>,
}

impl Sample<'_> {
    fn offer(&mut self, place: usize, question: Question) -> anyhow::Result<()> {
        let hash = record::hash(question.id.as_bytes());
        if self.beyond.as_ref().is_some_and(|beyond| hash >= *beyond) {
            return Ok(());
        }
        let about = format!("question {}", question.id);
        let asked = encode(question, self.dataset).with_context(|| about)?;
        self.tokens += asked.tokens();
        self.kept.insert(hash, (place, asked));
        self.fit();
        Ok(())
    }

    fn fit(&mut self) {
        while self.tokens > self.most && self.kept.len() > 1 {
            let Some((hash, (_, dropped))) = self.kept.pop_last() else { break };
            self.tokens -= dropped.tokens();
            self.beyond = Some(hash);
        }
    }
}

impl Asked {
    fn tokens(&self) -> u64 {
        self.texts.iter().map(|text| text.len() as u64).sum()
    }
}

fn encode(question: Question, dataset: &Dataset) -> anyhow::Result<Asked> {
    let tokenizer = dataset.tokenizer();
    let (mut texts, mut begins) = (Vec::new(), Vec::new());
    if question.pictures.is_empty() {
        let prompt = generate::prompt(tokenizer, &question.prompt)?;
        for choice in &question.choices {
            let text = generate::prompt(tokenizer, &format!("{}{choice}", question.prompt))?;
            // Where a token spans the end of the prompt, the choice begins with it.
            begins.push(text.iter().zip(&prompt).take_while(|(a, b)| a == b).count());
            texts.push(text);
        }
    } else {
        // A document's segments are encoded one by one.
        let prompt = Prompt::tokens(question.document(), tokenizer, dataset.look())?;
        for choice in &question.choices {
            let mut text = prompt.clone();
            tokenizer.encode_ordinary(choice, &mut text)?;
            begins.push(prompt.len());
            texts.push(text);
        }
    }
    Ok(Asked { question, texts, begins })
}

/// Scores a finished model on all sets, in the rows of the run's evaluation.
pub fn score(
    sets: &[Loaded],
    config: &TrainConfig,
    device: &CpuDevice,
    step: u64,
    params: &Store,
) -> train::Result<Vec<SetScores>> {
    let mut scorer: Option<Scorer> = None;
    let mut all = Vec::new();
    for Loaded { set, content } in sets {
        let scored = (|| -> anyhow::Result<SetScores> {
            let scorer = match &mut scorer {
                Some(scorer) => scorer,
                none => {
                    let device = Arc::new(device.clone());
                    let made = Scorer::new(device, &config.model, params.layout(), config.seq())?;
                    // Room for as many tiles as the evaluation has, which is what the plan counts.
                    none.insert(made.seeing(config.micro_rows * config.tiles))
                }
            };
            let name = set.name.clone();
            match content {
                Content::Text(passages) => {
                    let values = score_text(scorer, params, config.micro_rows, passages)?;
                    Ok(SetScores { name, values, questions: None, bytes: scorer.held() })
                }
                Content::Questions(asked, look) => {
                    let eyes = config.model.eyes.as_ref();
                    let look =
                        look.clone().zip(eyes).map(|(look, eyes)| Look { order: eyes.order(), ..look });
                    let answers = score_questions(scorer, params, config.micro_rows, asked, look.as_ref())?;
                    let lines: Result<Vec<String>, _> = answers.iter().map(serde_json::to_string).collect();
                    let text = lines?.iter().map(|line| format!("{line}\n")).collect();
                    let values = rates(&answers);
                    Ok(SetScores { name, values, questions: Some(text), bytes: scorer.held() })
                }
            }
        })();
        all.push(scored.map_err(|e| train::Error::Set {
            name: set.name.clone(),
            step,
            reason: format!("{e:#}"),
        })?);
    }
    Ok(all)
}

fn score_text(
    scorer: &mut Scorer,
    params: &Store,
    rows: usize,
    passages: &[Passage],
) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let mut nats = 0.0;
    let texts = passages.iter().map(|passage| passage.tokens.as_slice());
    scorer.each_logprob(params, rows, texts, &mut |_, _, x| nats -= x)?;
    let sum = |of: fn(&Passage) -> u64| passages.iter().map(of).sum::<u64>() as f64;
    let bits = nats / std::f64::consts::LN_2;
    Ok(vec![
        ("bits_per_byte", bits / sum(|passage| passage.bytes)),
        ("bits_per_word", bits / sum(|passage| passage.words)),
        ("nats", nats),
        ("tokens", sum(|passage| passage.tokens.len() as u64 - 1)),
    ])
}

fn score_questions(
    scorer: &mut Scorer,
    params: &Store,
    rows: usize,
    asked: &[Asked],
    look: Option<&Look>,
) -> anyhow::Result<Vec<Answered>> {
    let mut sums = Vec::new();
    // What is decoded takes a hundred times the memory of its file.
    for asked in asked.chunks(if look.is_some() { SHOWN } else { asked.len().max(1) }) {
        let mut tiles = Vec::with_capacity(asked.len());
        for Asked { question, texts, .. } in asked {
            let pictures = question.pictures.iter().map(Vec::as_slice);
            tiles.push(match (look, texts.first()) {
                (Some(look), Some(text)) => look.show(&question.id, text, pictures)?,
                _ => TileBatch::default(),
            });
        }
        let begins: Vec<usize> = asked.iter().flat_map(|one| one.begins.iter().copied()).collect();
        let first = sums.len();
        sums.resize(first + begins.len(), 0.0);
        let texts = asked.iter().zip(&tiles);
        let texts = texts.flat_map(|(one, tiles)| one.texts.iter().map(move |tokens| Seen { tokens, tiles }));
        scorer.each_seen(params, rows, texts, &mut |text, token, x| {
            if token >= begins[text] {
                sums[first + text] += x;
            }
        })?;
    }
    let mut rest = sums.as_slice();
    let mut answers = Vec::new();
    for Asked { question, texts, .. } in asked {
        let (sums, after) = rest.split_at(texts.len());
        rest = after;
        let right = sums[question.answer];
        let most = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let all: f64 = sums.iter().map(|x| (x - most).exp()).sum();
        answers.push(Answered {
            id: question.id.clone(),
            family: question.family.clone(),
            level: question.level,
            probability: (right - most).exp() / all,
            log_probability: right,
            chance: question.chance(),
            // Of equals the first.
            correct: sums.iter().position(|&x| x == most) == Some(question.answer),
        });
    }
    Ok(answers)
}

/// What `metrics.jsonl` has of the answers.
fn rates(answers: &[Answered]) -> Vec<(&'static str, f64)> {
    let mean =
        |of: &dyn Fn(&Answered) -> f64| answers.iter().map(of).sum::<f64>() / answers.len().max(1) as f64;
    vec![
        ("accuracy", mean(&|one| f64::from(u8::from(one.correct)))),
        ("mean_probability", mean(&|one| one.probability)),
        ("mean_log_probability", mean(&|one| one.probability.max(f64::MIN_POSITIVE).ln())),
        ("mean_unrestricted_log_probability", mean(&|one| one.log_probability)),
        ("chance", mean(&|one| one.chance)),
        ("questions", answers.len() as f64),
    ]
}

/// What was scored, for people.
pub fn line(scores: &SetScores) -> String {
    let value =
        |name: &str| scores.values.iter().find(|(other, _)| *other == name).map_or(f64::NAN, |(_, x)| *x);
    match &scores.questions {
        None => format!(
            "set {}: {:.4} bits a byte, {:.3} a word",
            scores.name,
            value("bits_per_byte"),
            value("bits_per_word")
        ),
        Some(_) => format!(
            "set {}: {:.1} % of {} questions right, where chance is {:.1} %; mean probability {:.3}",
            scores.name,
            100.0 * value("accuracy"),
            value("questions"),
            100.0 * value("chance"),
            value("mean_probability")
        ),
    }
}
