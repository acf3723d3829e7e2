//! Further sets, from `--score NAME=PATH` to the records: text of another kind than what is trained on, and
//! questions with known answers. The finished model is scored on them.

use crate::Failure;
use anyhow::{Context, anyhow};
use data::{Passage, Question, Tokenizer};
use engine::{CpuDevice, Store};
use generate::Scorer;
use record::Answered;
use std::path::Path;
use std::sync::Arc;
use train::{FurtherSet, SetKind, SetScores, TrainConfig};

/// Tokens of a set of text at most, as many as of the held-out set.
const TEXT_TOKENS: u64 = plan::rules::EVAL_TOKENS;

/// Tokens of questions at most, each of whose choices is read with the prompt before it.
const QUESTION_TOKENS: u64 = 1 << 20;

/// A set that was read.
pub struct Loaded {
    /// As it stands in `run.toml`.
    pub set: FurtherSet,
    content: Content,
}

enum Content {
    Text(Vec<Passage>),
    Questions(Vec<Asked>),
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
pub fn resolve(options: &[String], tokenizer: &Tokenizer) -> Result<Vec<FurtherSet>, Failure> {
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
        sets.push(read(&set, tokenizer, true)?.set);
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
pub fn load(sets: &[FurtherSet], tokenizer: &Tokenizer) -> Result<Vec<Loaded>, Failure> {
    let mut all = Vec::new();
    for set in sets {
        let loaded = read(set, tokenizer, false)?;
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

/// Reads a set; says what was passed over when it is read for the first time.
fn read(set: &FurtherSet, tokenizer: &Tokenizer, first: bool) -> Result<Loaded, Failure> {
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
        SetKind::Questions => {
            let (questions, hash) = data::questions(Path::new(&set.path)).with_context(about)?;
            let (asked, tokens) = ask(questions, tokenizer, set.tokens).with_context(about)?;
            (set.tokens, set.hash) = (tokens, hash);
            Content::Questions(asked)
        }
    };
    Ok(Loaded { set, content })
}

/// Encodes questions, those with the lowest hashes if all would have too many tokens; and counts the tokens.
fn ask(questions: Vec<Question>, tokenizer: &Tokenizer, most: u64) -> anyhow::Result<(Vec<Asked>, u64)> {
    let mut asked = Vec::new();
    for question in questions {
        let about = || format!("question {}", question.id);
        let prompt = generate::prompt(tokenizer, &question.prompt).with_context(about)?;
        let (mut texts, mut begins) = (Vec::new(), Vec::new());
        for choice in &question.choices {
            let text =
                generate::prompt(tokenizer, &format!("{}{choice}", question.prompt)).with_context(about)?;
            // Where a token spans the end of the prompt, the choice begins with it.
            begins.push(text.iter().zip(&prompt).take_while(|(a, b)| a == b).count());
            texts.push(text);
        }
        asked.push(Asked { question, texts, begins });
    }
    let size = |one: &Asked| one.texts.iter().map(|text| text.len() as u64).sum::<u64>();
    let total: u64 = asked.iter().map(size).sum();
    if total <= most {
        return Ok((asked, total));
    }
    let mut order: Vec<(String, usize)> =
        asked.iter().enumerate().map(|(i, one)| (record::hash(one.question.id.as_bytes()), i)).collect();
    order.sort();
    let (mut sum, mut kept) = (0, vec![false; asked.len()]);
    for (_, i) in order {
        let tokens = size(&asked[i]);
        if sum > 0 && sum + tokens > most {
            break;
        }
        sum += tokens;
        kept[i] = true;
    }
    let mut kept = kept.into_iter();
    asked.retain(|_| kept.next().unwrap_or(false));
    Ok((asked, sum))
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
                none => none.insert(Scorer::new(
                    Arc::new(device.clone()),
                    &config.model,
                    params.layout(),
                    config.seq(),
                )?),
            };
            let name = set.name.clone();
            match content {
                Content::Text(passages) => {
                    let values = score_text(scorer, params, config.micro_rows, passages)?;
                    Ok(SetScores { name, values, questions: None, bytes: scorer.held() })
                }
                Content::Questions(asked) => {
                    let answers = score_questions(scorer, params, config.micro_rows, asked)?;
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
) -> anyhow::Result<Vec<Answered>> {
    let begins: Vec<usize> = asked.iter().flat_map(|one| one.begins.iter().copied()).collect();
    let mut sums = vec![0.0; begins.len()];
    let texts = asked.iter().flat_map(|one| one.texts.iter().map(Vec::as_slice));
    scorer.each_logprob(params, rows, texts, &mut |text, token, x| {
        if token >= begins[text] {
            sums[text] += x;
        }
    })?;
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
