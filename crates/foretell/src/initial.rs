//! What a run begins with that is not random: the weights of another model (`--init-from`), or of its decoder alone.

use crate::Failure;
use crate::checkpoint::{self, Model};
use anyhow::{Context, anyhow};
use data::{Dataset, Tokenizer};
use engine::Store;
use model::{Config, Eyes, parametrisation};
use plan::{Corpus, Settings, Sight};
use train::TrainConfig;

/// Sizes that the model decides, by the names of settings.
fn sizes(settings: &Settings) -> [(&'static str, Option<usize>); 7] {
    [
        ("width", settings.width),
        ("layers", settings.layers),
        ("heads", settings.heads),
        ("kv_heads", settings.kv_heads),
        ("head_dim", settings.head_dim),
        ("ffn", settings.ffn),
        ("tied", settings.tied.map(usize::from)),
    ]
}

/// The sizes of a model as settings, if it can be trained on such data.
pub fn fixed(init: &Config, corpus: &Corpus) -> Result<Settings, Failure> {
    let fits = match (&init.eyes, corpus.sight) {
        (Some(_), None) => Err(
            "it has eyes, and the data shows no pictures; begin with a model without eyes, or build data \
                 that shows some"
                .into(),
        ),
        (Some(eyes), Some(sight)) => seen_alike(eyes, &sight),
        (None, _) => Ok(()),
    };
    // Rows of tokens that only pictures have begin afresh.
    let grows = init.eyes.is_none() && corpus.sight.is_some();
    if init.vocab_size < corpus.vocab && !grows {
        let (own, data) = (init.vocab_size, corpus.vocab);
        return Err(anyhow!("the model has {own} tokens, the data's tokenizer {data}").into());
    }
    fits.map_err(|reason: String| Failure::Usage(format!("--init-from: {reason}")))?;
    Ok(Settings {
        width: Some(init.hidden_size),
        layers: Some(init.num_hidden_layers),
        heads: Some(init.num_attention_heads),
        kv_heads: Some(init.num_key_value_heads),
        head_dim: Some(init.head_dim),
        ffn: Some(init.intermediate_size),
        seq: Some(init.max_position_embeddings),
        tied: Some(init.tie_word_embeddings),
        ..Settings::default()
    })
}

/// Whether the data's pictures become tokens as the model's do.
fn seen_alike(eyes: &Eyes, sight: &Sight) -> Result<(), String> {
    let (tile, patch, factor) = (eyes.vision.image_size, eyes.vision.patch_size, eyes.scale_factor);
    if (tile, patch, factor) != (sight.tile, sight.patch, sight.scale_factor) {
        return Err(format!(
            "its pictures have other tiles than the data's: build that with --tile {tile} --patch {patch} --scale-factor {factor}"
        ));
    }
    if eyes.image_token_id != sight.image {
        let (own, data) = (eyes.image_token_id, sight.image);
        return Err(format!(
            "its pictures stand in the place of token {own}, the data's of token {data}: build that with the model's tokenizer (--tokenizer)"
        ));
    }
    Ok(())
}

/// Refuses settings that ask for another model than that which a run begins with.
pub fn settle(init: &Config, own: &Settings, asked: &Settings) -> Result<(), Failure> {
    let mut pairs = sizes(own).into_iter().zip(sizes(asked));
    if let Some(((name, Some(own)), _)) = pairs.find(|((_, own), (_, asked))| own != asked) {
        return Err(Failure::Usage(format!("--set {name}: the model of --init-from has {name} = {own}")));
    }
    if init.eyes.is_some() && (asked.eyes_width, asked.eyes_layers) != (None, None) {
        let text = "--set eyes_width, eyes_layers: the model of --init-from has its encoder";
        return Err(Failure::Usage(text.into()));
    }
    Ok(())
}

/// The architecture of a run that was planned and begins with a model.
pub fn architecture(init: &Config, planned: &Config) -> Config {
    let mut config = Config { max_position_embeddings: planned.max_position_embeddings, ..init.clone() };
    if init.eyes.is_none() && planned.eyes.is_some() {
        config.eyes.clone_from(&planned.eyes);
        config.vocab_size = init.vocab_size.max(planned.vocab_size);
    }
    config
}

/// The weights that a run begins with, and what of them is not the model's, in words.
pub fn weights(
    model: Model,
    config: &TrainConfig,
    dataset: &Dataset,
) -> Result<(Store, Option<String>), Failure> {
    let place = model.path.display().to_string();
    if let Some(tokenizer) = model.tokenizer_if_any() {
        alike(tokenizer, dataset.tokenizer()).with_context(|| format!("--init-from {place}"))?;
    }
    let own = &model.config;
    let Some(difference) = model::difference(own, &config.model) else { return Ok((model.params, None)) };
    if own.eyes.is_some() || config.model.eyes.is_none() {
        return Err(Failure::Usage(format!(
            "--init-from {place}: its parameters are not those of the run ({difference})"
        )));
    }
    // Without one, nobody knows which rows are whose.
    model.tokenizer()?;
    let mut params = checkpoint::store(&config.model).with_context(|| place.clone())?;
    let table = parametrisation::table(&config.model, &config.optimiser.choice());
    parametrisation::initialise(&table, config.seed, &mut params)?;
    model::graft(own, &model.params, &config.model, &mut params)
        .map_err(|error| Failure::Usage(format!("--init-from {place}: {error}")))?;
    let rows = match config.model.vocab_size - own.vocab_size {
        0 => String::new(),
        rows => format!(", and {rows} rows of the vocabulary"),
    };
    let told = format!(
        "the decoder's {} weights are those of {place}; fresh is what pictures go through{rows}",
        own.parameters()
    );
    Ok((params, Some(told)))
}

/// Refuses data whose tokens are others than the model's.
fn alike(own: &Tokenizer, data: &Tokenizer) -> anyhow::Result<()> {
    let both = own.vocab_size().min(data.vocab_size()) as u32;
    let Some(id) = (0..both).find(|&id| own.token_bytes(id) != data.token_bytes(id)) else { return Ok(()) };
    let [own, data] = [own, data].map(|tokenizer| tokenizer.token_text(id));
    Err(anyhow!(
        "token {id} is {own:?} of the model and {data:?} of the data: build the data with the model's tokenizer (--tokenizer)"
    ))
}
