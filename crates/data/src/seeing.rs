//! How the pictures of a data folder become tokens: a picture is a border, a tag and the tokens of each of its tiles, as the
//! Idefics3 and SmolVLM processors of `transformers` write them.

use serde::{Deserialize, Serialize};

use crate::batch::TileBatch;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::picture::{Bounds, Layout, Picture, Preparation};
use crate::prepare::Preparer;
use crate::shard::Piece;
use crate::tokenizer::{Encoder, Tokenizer, pretty};

const BORDER: &str = "<fake_token_around_image>";
const IMAGE: &str = "<image>";
const WHOLE: &str = "<global-img>";

/// What decides the tokens of a picture. It stands in the manifest, and in the configuration of a model trained on the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seeing {
    /// From pixels to tiles.
    pub preparation: Preparation,
    /// Pixels of a patch's side.
    pub patch: u32,
    /// A token is a square of patches with sides of so many.
    pub scale_factor: u32,
    /// Rows and columns of tiles that a picture may have: each place has a token for its name.
    pub grid: u32,
    /// Whether a picture is the tokens of its one tile and nothing else, as LLaVA's processor writes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bare: bool,
}

impl Default for Seeing {
    /// Tiles of 64 pixels, patches of 8, tokens of four patches: sizes at which an encoder learns within minutes on a CPU.
    fn default() -> Seeing {
        Seeing { preparation: Preparation::new(None, 64), patch: 8, scale_factor: 2, grid: 6, bare: false }
    }
}

impl Seeing {
    /// Refuses sizes that do not fit into each other.
    ///
    /// # Errors
    /// [`Error::Config`], naming the size.
    pub fn check(&self) -> Result<()> {
        let Seeing { preparation, patch, scale_factor, grid, bare } = self;
        let token = patch.saturating_mul(*scale_factor);
        let bad = |what: String| Err(Error::Config(what));
        if !(1..=4096).contains(&preparation.tile) {
            return bad(format!("a tile of {} pixels: from 1 to 4096", preparation.tile));
        }
        if token == 0 || !preparation.tile.is_multiple_of(token) {
            return bad(format!(
                "a tile of {} pixels is not made of whole tokens of {scale_factor} patches of {patch} pixels a side",
                preparation.tile
            ));
        }
        if *bare && preparation.split {
            return bad("pictures of one tile, and a preparation that cuts them into several".into());
        }
        if !(1..=64).contains(grid) {
            return bad(format!("a grid of {grid} tiles a side: from 1 to 64"));
        }
        match preparation.longest_edge {
            Some(edge) if edge == 0 || edge.div_ceil(preparation.tile) > *grid => {
                bad(format!("a longest edge of {edge} pixels: from 1 to {}", grid * preparation.tile))
            }
            _ => Ok(()),
        }
    }

    /// How the pictures of a model become tokens: by the sizes that its configuration has, and by the names of tiles that its
    /// tokenizer has.
    ///
    /// # Errors
    /// [`Error::Config`] for sizes that do not fit into each other.
    pub fn of_model(
        preparation: Preparation,
        patch: u32,
        scale_factor: u32,
        bare: bool,
        tokenizer: &Tokenizer,
    ) -> Result<Seeing> {
        let named = |side: u32| tokenizer.reserved(&tag(side, side)).is_some();
        let grid = (1..=64).take_while(|&side| named(side)).count().max(1) as u32;
        let seeing = Seeing { preparation, patch, scale_factor, grid, bare };
        seeing.check()?;
        Ok(seeing)
    }

    /// The files by which `transformers` prepares pictures as it is done here.
    pub fn files(&self) -> [(&'static str, Vec<u8>); 2] {
        let processor = match self.bare {
            false => serde_json::json!({
                "image_seq_len": self.tokens(),
                "processor_class": "Idefics3Processor",
            }),
            true => serde_json::json!({
                "patch_size": self.patch,
                "vision_feature_select_strategy": "full",
                "num_additional_image_tokens": 0,
                "image_token": IMAGE,
                "processor_class": "LlavaProcessor",
            }),
        };
        let preprocessor = match self.bare {
            false => self.preparation.to_preprocessor(),
            true => self.preparation.to_siglip(),
        };
        [("preprocessor_config.json", pretty(&preprocessor)), ("processor_config.json", pretty(&processor))]
    }

    /// Tokens of a tile.
    pub fn tokens(&self) -> usize {
        let side = self.preparation.tile / (self.patch * self.scale_factor).max(1);
        (side * side) as usize
    }

    /// Patches of a tile.
    pub fn patches(&self) -> usize {
        let side = self.preparation.tile / self.patch.max(1);
        (side * side) as usize
    }

    /// Numbers of a patch.
    pub fn patch_len(&self) -> usize {
        3 * (self.patch * self.patch) as usize
    }

    /// Names of the tokens that only pictures have.
    fn names(&self) -> Vec<String> {
        if self.bare {
            return vec![IMAGE.into()];
        }
        let places = (1..=self.grid).flat_map(|row| (1..=self.grid).map(move |column| tag(row, column)));
        [BORDER, IMAGE, WHOLE].into_iter().map(String::from).chain(places).collect()
    }
}

fn tag(row: u32, column: u32) -> String {
    format!("<row_{row}_col_{column}>")
}

/// Ids of the tokens of pictures in a tokenizer.
pub(crate) struct PictureTokens {
    seeing: Seeing,
    border: u32,
    image: u32,
    whole: u32,
    /// Of the places of the grid, row by row.
    tags: Vec<u32>,
    /// Those that the tokenizer lacks, whose ids follow its own.
    missing: Vec<String>,
}

/// The token in whose place a part of a picture stands, if a tokenizer has one.
pub fn image_token(tokenizer: &Tokenizer) -> Option<u32> {
    tokenizer.reserved(IMAGE)
}

impl PictureTokens {
    /// Those that a tokenizer has, and for the others the ids that they get behind all others.
    pub(crate) fn new(seeing: &Seeing, tokenizer: &Tokenizer) -> PictureTokens {
        let known = tokenizer.all_reserved();
        let mut missing = Vec::new();
        let mut ids = seeing.names().into_iter().map(|name| match known.get(name.as_bytes()) {
            Some(&id) => id,
            None => {
                missing.push(name);
                (tokenizer.vocab_size() + missing.len() - 1) as u32
            }
        });
        let mut next = || ids.next().unwrap_or_default();
        let (border, image, whole, tags) = match seeing.bare {
            true => (0, next(), 0, Vec::new()),
            false => (next(), next(), next(), ids.collect()),
        };
        PictureTokens { seeing: seeing.clone(), border, image, whole, tags, missing }
    }

    /// Tokens of a tokenizer with those that it lacks.
    pub(crate) fn vocab_size(&self, tokenizer: &Tokenizer) -> usize {
        tokenizer.vocab_size() + self.missing.len()
    }

    /// The tokenizer with those that it lacks.
    pub(crate) fn extend(&self, tokenizer: &Tokenizer) -> Result<Tokenizer> {
        tokenizer.with_reserved(&self.missing)
    }

    /// How pictures become tokens.
    pub(crate) fn seeing(&self) -> &Seeing {
        &self.seeing
    }

    /// Appends the tokens of a picture of the document `place`.
    ///
    /// # Errors
    /// [`Error::Image`] for one of too many tiles.
    pub(crate) fn write(
        &self,
        place: &str,
        layout: Layout,
        encoder: &mut Encoder<'_>,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let (grid, Layout { rows, columns }) = (self.seeing.grid, layout);
        if self.seeing.bare {
            out.extend(std::iter::repeat_n(self.image, self.seeing.tokens()));
            return Ok(());
        }
        if rows.max(columns) > grid {
            let most = grid * self.seeing.preparation.tile;
            let what = format!(
                "the picture takes {columns} × {rows} tiles, and {grid} a side are allowed; --longest-edge {most} scales pictures down"
            );
            return Err(Error::Image { place: place.into(), what });
        }
        let tile = |name: u32, out: &mut Vec<u32>| {
            out.extend([self.border, name]);
            out.extend(std::iter::repeat_n(self.image, self.seeing.tokens()));
        };
        for row in 0..rows {
            (0..columns).for_each(|column| tile(self.tags[(row * grid + column) as usize], out));
            encoder.encode_ordinary(if row + 1 < rows { "\n" } else { "\n\n" }, out)?;
        }
        tile(self.whole, out);
        out.push(self.border);
        Ok(())
    }
}

/// A prompt of text and pictures, as a model takes it.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// `<|endoftext|>` and what follows.
    pub tokens: Vec<u32>,
    /// Its pictures; rows count the tokens.
    pub tiles: TileBatch,
}

impl Prompt {
    /// Encodes the segments of a document that is to be continued; images that are files are read.
    ///
    /// # Errors
    /// [`Error::Image`] for an image that cannot be read, or that a model without eyes (`look` is `None`) is shown.
    pub fn new(document: Document, tokenizer: &Tokenizer, look: Option<&Look>) -> Result<Prompt> {
        let place = document.id.clone();
        let piece = encode(document, tokenizer, look)?;
        let tiles = match look.filter(|_| !piece.images.is_empty()) {
            Some(look) => {
                look.show(&place, &piece.tokens, piece.images.iter().map(|image| image.bytes.as_slice()))?
            }
            None => TileBatch::default(),
        };
        Ok(Prompt { tokens: piece.tokens, tiles })
    }

    /// Its tokens alone.
    ///
    /// # Errors
    /// As [`Prompt::new`].
    pub fn tokens(document: Document, tokenizer: &Tokenizer, look: Option<&Look>) -> Result<Vec<u32>> {
        Ok(encode(document, tokenizer, look)?.tokens)
    }
}

fn encode(mut document: Document, tokenizer: &Tokenizer, look: Option<&Look>) -> Result<Piece> {
    let pictures = match look {
        Some(look) => Some(PictureTokens::new(&look.seeing, tokenizer)),
        None if document.images().next().is_some() => {
            return Err(Error::Image { place: document.id, what: "the model has no eyes".into() });
        }
        None => None,
    };
    document.load_images(Bounds::default().bytes)?;
    Preparer::new(tokenizer, pictures.as_ref()).encode(&document, [0; 32])
}

/// What a batch needs to know of pictures.
#[derive(Clone, Debug)]
pub struct Look {
    /// How pictures become tokens.
    pub seeing: Seeing,
    /// The order in which the model's encoder takes a tile's patches, by their place row by row.
    pub order: Vec<usize>,
    /// Tiles that a row has room for, at least one.
    pub tiles: usize,
    /// The token in whose place a part of a picture stands.
    pub image: i32,
}

impl Look {
    /// Tiles whose tokens stand among these.
    pub fn tiles_in(&self, tokens: &[u32]) -> usize {
        let shown = tokens.iter().filter(|token| **token as i32 == self.image).count();
        shown.div_ceil(self.seeing.tokens().max(1))
    }

    /// The tiles of the pictures of the text `place`, whose files come in order; rows count its tokens.
    ///
    /// # Errors
    /// [`Error::Image`] for what is no picture.
    pub fn show<'p>(
        &self,
        place: &str,
        tokens: &[u32],
        pictures: impl IntoIterator<Item = &'p [u8]>,
    ) -> Result<TileBatch> {
        let mut batch = TileBatch::default();
        let each = self.seeing.tokens();
        batch.clear(self.tiles_in(tokens), self.order.len(), self.seeing.patch_len(), each);
        for bytes in pictures {
            let read = Picture::decode(bytes, &Bounds::default());
            let read = read.map_err(|error| Error::Image { place: place.into(), what: error.to_string() })?;
            let tiles = self.seeing.preparation.apply(&read);
            for tile in 0..tiles.layout().tiles() {
                batch.put(&tiles, tile, self);
            }
        }
        let shown = (0..).zip(tokens).filter(|(_, token)| **token as i32 == self.image).map(|(at, _)| at);
        batch.rows.iter_mut().zip(shown).for_each(|(row, at)| *row = at);
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_do_not_fit_are_named() {
        Seeing::default().check().unwrap();
        let said = |change: fn(&mut Seeing)| {
            let mut seeing = Seeing::default();
            change(&mut seeing);
            seeing.check().unwrap_err().to_string()
        };
        assert!(said(|s| s.patch = 7).contains("patches of 7"));
        assert!(said(|s| s.patch = 0).contains("patches of 0"));
        assert!(said(|s| s.grid = 0).contains("grid of 0"));
        assert!(said(|s| s.preparation.tile = 0).contains("0 pixels"));
        assert!(said(|s| s.preparation.longest_edge = Some(1000)).contains("1 to 384"));
    }

    #[test]
    fn a_picture_is_written_as_the_processor_writes_it() {
        let seeing = Seeing { grid: 2, ..Seeing::default() };
        let bytes = Tokenizer::bytes().unwrap();
        let tokens = PictureTokens::new(&seeing, &bytes);
        let tokenizer = tokens.extend(&bytes).unwrap();
        assert_eq!((tokenizer.vocab_size(), tokens.vocab_size(&bytes)), (259 + 3 + 4, 259 + 3 + 4));
        let written = |rows, columns| {
            let mut out = Vec::new();
            let done = tokens.write("d", Layout { rows, columns }, &mut bytes.encoder(), &mut out);
            done.map(|()| out.iter().map(|&id| tokenizer.token_text(id)).collect::<String>())
        };
        let (border, image) = (BORDER, IMAGE.repeat(16));
        assert_eq!(written(0, 0).unwrap(), format!("{border}{WHOLE}{image}{border}"));
        let tile = |row, column| format!("{border}<row_{row}_col_{column}>{image}");
        let expected = [
            &tile(1, 1),
            &tile(1, 2),
            "\n",
            &tile(2, 1),
            &tile(2, 2),
            "\n\n",
            &format!("{border}{WHOLE}{image}{border}"),
        ];
        assert_eq!(written(2, 2).unwrap(), expected.concat());
        assert!(written(1, 3).unwrap_err().to_string().contains("--longest-edge 128"));
        // What has the tokens keeps their ids.
        let again = PictureTokens::new(&seeing, &tokenizer);
        assert_eq!(again.extend(&tokenizer).unwrap().json(), tokenizer.json());
        assert_eq!((again.border, &again.tags), (tokens.border, &tokens.tags));
    }

    #[test]
    fn a_bare_picture_is_its_tile_and_nothing_else() {
        let preparation = Preparation { split: false, ..Preparation::new(None, 64) };
        let seeing = Seeing { preparation, scale_factor: 1, bare: true, ..Seeing::default() };
        seeing.check().unwrap();
        let bytes = Tokenizer::bytes().unwrap();
        let tokens = PictureTokens::new(&seeing, &bytes);
        let tokenizer = tokens.extend(&bytes).unwrap();
        assert_eq!(tokenizer.vocab_size(), 259 + 1);
        let mut out = Vec::new();
        let layout = seeing.preparation.layout(300, 20);
        tokens.write("d", layout, &mut bytes.encoder(), &mut out).unwrap();
        assert_eq!(out, [image_token(&tokenizer).unwrap(); 64]);
        let cut = Seeing { preparation: Preparation::new(None, 64), ..seeing };
        assert!(cut.check().unwrap_err().to_string().contains("one tile"));
    }
}
