//! The shape of a model, what it counts, and which shapes are considered.

use crate::{Error, Result, Settings, rules};
use model::Eyes;
use model::vision::VisionConfig;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// What of a corpus's pictures decides an encoder, and what of it is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sight {
    /// Pixels of a tile's side.
    pub tile: usize,
    /// Pixels of a patch's side.
    pub patch: usize,
    /// A token is a square of patches with sides of so many.
    pub scale_factor: usize,
    /// The token in whose place a part of a picture stands.
    pub image: u32,
    /// Tiles in the corpus.
    pub tiles: u64,
    /// Tokens in the corpus, those of the tiles among them.
    pub tokens: u64,
    /// Most tiles of a document.
    pub most: u64,
    /// Channels of the encoder; `None`: as many as the decoder's attention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Layers of the encoder; `None`: half of the decoder's. 0: patches go into the decoder as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<usize>,
}

impl Sight {
    /// Tokens of a tile.
    fn tile_tokens(&self) -> usize {
        (self.tile / (self.patch * self.scale_factor).max(1)).pow(2)
    }

    /// Tokens a parameter, unless they are set.
    pub fn tokens_per_parameter(&self) -> f64 {
        let shown = self.tiles.saturating_mul(self.tile_tokens() as u64);
        if shown.saturating_mul(10) < self.tokens {
            rules::TOKENS_PER_PARAMETER
        } else {
            rules::TOKENS_PER_PARAMETER_SEEING
        }
    }

    /// Of a data folder, if it has pictures.
    pub fn of(dataset: &data::Dataset) -> Option<Sight> {
        let look = dataset.look()?;
        let train = &dataset.manifest().train;
        Some(Sight {
            tile: look.seeing.preparation.tile as usize,
            patch: look.seeing.patch as usize,
            scale_factor: look.seeing.scale_factor as usize,
            image: look.image as u32,
            tiles: train.tiles,
            tokens: train.tokens,
            most: train.most_tiles,
            width: None,
            layers: None,
        })
    }

    /// Tiles that a row of `seq` tokens has room for: what a row holds in the mean and a tenth more, and a document's pictures
    /// as far as their tokens fit, so that none is cut for want of room.
    pub fn row(&self, seq: usize) -> usize {
        let mean = 1.1 * seq as f64 * self.tiles as f64 / self.tokens.max(1) as f64;
        let fit = seq / (self.tile_tokens() + 2);
        (mean.ceil() as usize).max((self.most as usize).min(fit)).max(1)
    }
}

/// Everything that decides the sizes of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Channels (C).
    pub width: usize,
    /// Layers (L).
    pub layers: usize,
    /// Query heads (H).
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Size of a head (D).
    pub head_dim: usize,
    /// Hidden size of the feed-forward part.
    pub ffn: usize,
    /// Tokens a row (T), and the context.
    pub seq: usize,
    /// Vocabulary (V).
    pub vocab: usize,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Of the pictures, if there are some: beside the decoder stands an encoder, [`Shape::vision`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sight: Option<Sight>,
}

/// What is fixed for all shapes of a family, so that small ones tell about large ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    /// Vocabulary.
    pub vocab: usize,
    /// Size of a head.
    pub head_dim: usize,
    /// Tokens a row.
    pub seq: usize,
    /// Whether the head is the embedding.
    pub tied: bool,
}

impl Family {
    /// Heads of 32 and rows of 256 tokens: the sizes at which small models on a CPU are fast.
    pub fn new(vocab: usize) -> Family {
        Family { vocab, head_dim: 32, seq: 256, tied: false }
    }

    /// The member of that width and depth: as many heads as fit into the width (at least one), a
    /// feed-forward part of 8/3 of it in whole tiles of 32 (Shazeer, arXiv:2002.05202).
    pub fn shape(&self, width: usize, layers: usize) -> Shape {
        let heads = (width / self.head_dim.max(1)).max(1);
        let ffn = width.saturating_mul(8).div_ceil(3).next_multiple_of(32);
        let Family { vocab, head_dim, seq, tied } = *self;
        Shape { width, layers, heads, kv_heads: heads, head_dim, ffn, seq, vocab, tied, sight: None }
    }
}

/// The depth that suits a width: `√(width/8)`, at least 2. Loss depends little on the aspect ratio
/// (Kaplan et al., arXiv:2001.08361, section 3.1), and the width a layer grows with size: 16 at width
/// 32, 32 at 128, 64 at 512, 128 at 2048, as in the families of models that are in use.
pub fn depth(width: usize) -> f64 {
    (width as f64 / 8.0).sqrt().max(2.0)
}

/// The depths considered for a width: around [`depth`], a third fewer to half as many more layers.
pub(crate) fn layers(width: usize) -> RangeInclusive<usize> {
    // A width that is no size of a model is refused later; until then it must not become a billion shapes.
    let middle = depth(width.min(1 << 20));
    (middle * 0.66).ceil() as usize..=(middle * 1.5).floor() as usize
}

/// The widths considered: multiples of the matrix kernels' tile of 32 columns, wider apart above
/// 512, and 16 below.
pub fn widths() -> impl Iterator<Item = usize> {
    let fine = (1..=16).map(|i| 32 * i);
    let coarse = (9..=32).map(|i| 64 * i);
    [16].into_iter().chain(fine).chain(coarse).chain((17..=64).map(|i| 128 * i))
}

/// The shapes of a family that are considered, in order of width and depth.
pub fn grid(family: &Family) -> impl Iterator<Item = Shape> {
    let family = *family;
    widths().flat_map(move |width| layers(width).map(move |layers| family.shape(width, layers)))
}

impl Shape {
    /// The encoder, if there is one: as wide as the decoder and no wider than its attention, with heads of its size, and half as deep,
    /// for a tile has more patches than tokens; unless it is fixed. In a ladder it must shrink with the decoder, or N says nothing.
    pub fn vision(&self) -> Option<VisionConfig> {
        let Sight { tile, patch, width, layers, .. } = self.sight?;
        let fit = |width: usize| (width / self.head_dim.max(1)).max(1);
        let heads = width.map_or(fit(self.width).min(self.heads), fit);
        Some(match layers.unwrap_or(self.layers.div_ceil(2)) {
            0 => VisionConfig::patches_alone(tile, patch),
            layers => VisionConfig::new(heads * self.head_dim, layers, heads, tile, patch),
        })
    }

    /// Rows of a step for a run over `tokens`, by [`rules::rows`]; with pictures of half as many tokens more, because half of all
    /// are not learnt from: on the generated world's pictures, 1e7 tokens in steps of 4096 answer more questions than in
    /// steps of 1024 or 8192, and 5e7 in steps of 4096 are the best run so far.
    pub fn rows(&self, tokens: f64) -> usize {
        // The rule grows as the root of the tokens.
        let factor = if self.sight.is_some() { 2.25 } else { 1.0 };
        rules::rows(factor * tokens, self.seq)
    }

    /// Tiles that a row has room for.
    pub fn tiles(&self) -> usize {
        self.sight.map_or(0, |sight| sight.row(self.seq))
    }

    /// N: weights that multiply: the matrices of all layers, the encoder's among them, and the head (also where it is tied to
    /// the embedding). Gains and the embedding's look-up do not count.
    pub fn parameters(&self) -> u64 {
        let factor = self.sight.map_or(0, |sight| sight.scale_factor);
        let seen = self.vision().map_or(0, |vision| vision.multiplying(factor, self.width));
        self.decoding() + seen as u64
    }

    /// Those of the decoder.
    fn decoding(&self) -> u64 {
        let [c, v, l] = [self.width, self.vocab, self.layers].map(|x| x as u64);
        let d = self.head_dim as u64;
        let attention = c * d * 2 * (self.heads + self.kv_heads) as u64;
        let feed_forward = 3 * c * self.ffn as u64;
        l * (attention + feed_forward) + c * v
    }

    /// Weights of the input embedding that are not also the head.
    pub fn embedding(&self) -> u64 {
        if self.tied { 0 } else { (self.width * self.vocab) as u64 }
    }

    /// FLOPs of a training step per token: `6·N`, the attention's products under a causal mask, and the row's room for tiles.
    /// Equal to the graph's count; for choosing among many shapes without building their graphs.
    pub fn flops_per_token(&self) -> f64 {
        let attention = 6 * self.layers * self.seq * self.heads * self.head_dim;
        let tile = self.vision().map_or(0.0, |vision| vision.flops_per_tile(self.width));
        6.0 * self.decoding() as f64 + attention as f64 + tile * self.tiles() as f64 / self.seq as f64
    }

    /// How far the depth is from the rule: 0 on it.
    pub fn aspect_penalty(&self) -> f64 {
        let off = (self.layers as f64 / depth(self.width)).ln();
        off * off
    }

    /// The model's configuration; its context is a row.
    pub fn config(&self) -> Result<model::Config> {
        let Shape { width, layers, heads, kv_heads, head_dim, ffn, seq: context, vocab, tied, .. } = *self;
        let mut config = model::Config::new(model::Sizes {
            vocab,
            width,
            ffn,
            layers,
            heads,
            kv_heads,
            head_dim,
            context,
            tied,
        })?;
        config.eyes =
            self.vision().zip(self.sight).map(|(vision, s)| Eyes::new(vision, s.scale_factor, s.image));
        config.check()?;
        Ok(config)
    }

    /// What a plan fixes for a model of this shape.
    pub fn settings(&self) -> Settings {
        let Shape { width, layers, heads, kv_heads, head_dim, ffn, seq, tied, sight, .. } = *self;
        Settings {
            eyes_width: sight.and_then(|sight| sight.width),
            eyes_layers: sight.and_then(|sight| sight.layers),
            width: Some(width),
            layers: Some(layers),
            heads: Some(heads),
            kv_heads: Some(kv_heads),
            head_dim: Some(head_dim),
            ffn: Some(ffn),
            seq: Some(seq),
            tied: Some(tied),
            ..Settings::default()
        }
    }

    /// Refuses sizes that no model has.
    pub fn check(&self) -> Result<()> {
        let refuse = |name: &str, value: usize, reason: &str| {
            Err(Error::Setting { name: name.into(), value: value.to_string(), reason: reason.into() })
        };
        let sizes = [
            ("width", self.width, 1 << 20),
            ("layers", self.layers, 10_000),
            ("heads", self.heads, 1 << 16),
            ("kv_heads", self.kv_heads, 1 << 16),
            ("head_dim", self.head_dim, 1 << 16),
            ("ffn", self.ffn, 1 << 22),
            ("seq", self.seq, 1 << 20),
            ("vocab", self.vocab, 1 << 24),
        ];
        for (name, value, most) in sizes {
            if value == 0 || value > most {
                return refuse(name, value, &format!("it must lie between 1 and {most}"));
            }
        }
        if let Some(Sight { width, layers, .. }) = self.sight {
            if let Some(width) =
                width.filter(|x| !x.is_multiple_of(self.head_dim) || !(1..=1 << 20).contains(x))
            {
                let reason = format!("it must be whole heads of {} channels, up to 1048576", self.head_dim);
                return refuse("eyes_width", width, &reason);
            }
            if let Some(layers) = layers.filter(|layers| *layers > 4096) {
                return refuse("eyes_layers", layers, "it must lie between 0 and 4096");
            }
            if let Some(width) = width.filter(|_| layers == Some(0)) {
                return refuse("eyes_width", width, "without layers (eyes_layers = 0) there is no encoder");
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return refuse("kv_heads", self.kv_heads, &format!("it must divide heads = {}", self.heads));
        }
        if !self.head_dim.is_multiple_of(2) {
            return refuse("head_dim", self.head_dim, "rotary positions turn pairs: it must be even");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_fine_enough() {
        let family = Family::new(4096);
        let mut sizes: Vec<u64> = grid(&family).map(|s| s.parameters()).collect();
        sizes.sort_unstable();
        let widest = sizes.windows(2).map(|w| w[1] as f64 / w[0] as f64).fold(0.0, f64::max);
        assert!(widest < 2.2, "{widest}");
        let above = sizes.iter().position(|&n| n > 500_000).unwrap();
        let widest = sizes[above..].windows(2).map(|w| w[1] as f64 / w[0] as f64).fold(0.0, f64::max);
        assert!(widest < 1.4, "{widest}");
        assert!(grid(&family).all(|s| s.check().is_ok()));
    }

    #[test]
    fn counts_agree_with_the_model() {
        let family = Family { tied: true, ..Family::new(4096) };
        for shape in grid(&Family::new(300)).chain(grid(&family)).take(60) {
            let shape = Shape { kv_heads: 1, ..shape };
            let config = shape.config().unwrap();
            assert_eq!(shape.parameters(), config.multiplying() as u64);
            assert_eq!(shape.flops_per_token(), config.flops_per_token(shape.seq));
        }
    }

    #[test]
    fn an_encoder_is_counted_as_the_graph_does() {
        let rule = Sight {
            tile: 32,
            patch: 8,
            scale_factor: 2,
            image: 256,
            tiles: 9,
            tokens: 400,
            most: 7,
            width: None,
            layers: None,
        };
        let fixed = Sight { width: Some(40), layers: Some(3), ..rule };
        let none = Sight { layers: Some(0), ..rule };
        for (shape, sight) in grid(&Family { head_dim: 8, ..Family::new(300) })
            .step_by(7)
            .zip([rule, fixed, none].into_iter().cycle())
            .take(8)
        {
            let shape = Shape { sight: Some(sight), ..shape };
            shape.check().unwrap();
            let mut train = crate::step_config(&shape, 2, 1).unwrap();
            let vision = &train.model.eyes.as_ref().unwrap().vision;
            if let Some(layers) = sight.layers {
                let width = sight.width.unwrap_or(3 * 8 * 8);
                assert_eq!((vision.num_hidden_layers, vision.hidden_size), (layers, width));
            }
            assert_eq!((train.tiles, shape.tiles()), (7, 7));
            assert_eq!(shape.parameters(), train.model.multiplying() as u64);
            let matrices = train.model.shapes().into_iter().filter(|(name, shape)| {
                shape.len() > 1 && !name.contains("embed_tokens") && !name.contains("position_embedding")
            });
            let counted: usize = matrices.map(|(_, shape)| shape.iter().product::<usize>()).sum();
            assert_eq!(shape.parameters(), counted as u64);
            let counted = train::step_flops(&train).unwrap() / train.step_tokens() as f64;
            assert!((shape.flops_per_token() / counted - 1.0).abs() < 0.03, "{shape:?} {counted}");
            train.tiles = 0;
            assert!(train.check().unwrap_err().to_string().contains("tiles"));
        }
        assert_eq!((rule.row(32), rule.row(512), rule.row(1024)), (5, 13, 26));
    }

    #[test]
    fn impossible_shapes_are_named() {
        let shape = Family::new(256).shape(64, 2);
        let said = |s: Shape| s.check().unwrap_err().to_string();
        assert!(said(Shape { layers: 0, ..shape }).contains("layers = 0"));
        assert!(said(Shape { kv_heads: 3, ..shape }).contains("kv_heads = 3"));
        assert!(said(Shape { head_dim: 31, ..shape }).contains("head_dim"));
        assert!(said(Shape { vocab: usize::MAX, ..shape }).contains("vocab"));
        let of = |width, layers| {
            let (tile, patch, scale_factor, image) = (32, 8, 2, 9);
            let sight =
                Sight { tile, patch, scale_factor, image, tiles: 1, tokens: 9, most: 1, width, layers };
            said(Shape { sight: Some(sight), ..shape })
        };
        assert!(of(Some(33), None).contains("eyes_width = 33") && of(Some(0), None).contains("eyes_width"));
        assert!(of(None, Some(5000)).contains("eyes_layers") && of(Some(32), Some(0)).contains("no encoder"));
    }
}
