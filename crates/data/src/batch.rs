//! A batch: rows of tokens and tiles of pictures, with all that the model's graph takes as input.

use crate::picture::Tiles;
use crate::seeing::Look;

/// Rows of `seq` tokens, flat and row-major; the arrays are the inputs of the model's graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Rows.
    pub rows: usize,
    /// Tokens a row.
    pub seq: usize,
    /// Ids.
    pub tokens: Vec<i32>,
    /// The next token's id; -1 where nothing is predicted.
    pub targets: Vec<i32>,
    /// Weight of each target in the loss; 0 where nothing is predicted.
    pub weights: Vec<f32>,
    /// Places within the document, counted from where it enters the row.
    pub positions: Vec<i32>,
    /// First of the `rows · seq` tokens that each token sees.
    pub lo: Vec<i32>,
    /// One behind the last token that each token sees: itself.
    pub hi: Vec<i32>,
    /// What is seen; empty for a model without eyes.
    pub tiles: TileBatch,
}

/// Tiles of pictures, as the model's encoder takes them; places that are not used have a place of -1 and see nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TileBatch {
    /// Normalised patches, in the encoder's order.
    pub pixels: Vec<f32>,
    /// Place of each patch in its tile.
    pub places: Vec<i32>,
    /// First patch that each patch sees.
    pub lo: Vec<i32>,
    /// One behind the last patch that each patch sees.
    pub hi: Vec<i32>,
    /// Place of each token of a tile among those of the batch; -1: none.
    pub rows: Vec<i32>,
    used: usize,
    patches: usize,
    tokens: usize,
}

impl TileBatch {
    /// Room for so many tiles of patches of `patch_len` numbers that become so many tokens each; none is used. Allocates only to
    /// grow.
    pub fn clear(&mut self, tiles: usize, patches: usize, patch_len: usize, tokens: usize) {
        self.pixels.resize(tiles * patches * patch_len, 0.0);
        for (array, size, unused) in [
            (&mut self.places, tiles * patches, -1),
            (&mut self.lo, tiles * patches, 0),
            (&mut self.hi, tiles * patches, 0),
            (&mut self.rows, tiles * tokens, -1),
        ] {
            array.clear();
            array.resize(size, unused);
        }
        (self.used, self.patches, self.tokens) = (0, patches, tokens);
    }

    /// The same room, of which none is used.
    pub fn unused(&mut self) {
        if self.room() > 0 {
            let patch_len = self.pixels.len() / self.places.len();
            self.clear(self.room(), self.patches, patch_len, self.tokens);
        }
    }

    /// Grey tiles, all used, whose tokens stand one after the other as far as a batch of so many tokens has places: for timing.
    pub fn grey(tiles: usize, order: &[usize], patch_len: usize, tokens: usize, places: usize) -> TileBatch {
        let mut batch = TileBatch::default();
        batch.clear(tiles, order.len(), patch_len, tokens);
        for tile in 0..tiles {
            batch.open(order.iter().map(|&place| place as i32));
            let rows = (tile * tokens..).map(|at| if at < places { at as i32 } else { -1 });
            batch.rows[tile * tokens..][..tokens].iter_mut().zip(rows).for_each(|(row, at)| *row = at);
        }
        batch
    }

    /// Tiles that there is room for.
    pub fn room(&self) -> usize {
        self.places.len() / self.patches.max(1)
    }

    /// Tiles that are used.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Places of a tile's tokens; -1: none.
    pub fn rows_of(&self, tile: usize) -> &[i32] {
        &self.rows[tile * self.tokens..][..self.tokens]
    }

    /// Takes the next tile, with its patches in these places, and gives its number and room for its pixels; `None` where all
    /// are taken.
    fn open(&mut self, places: impl Iterator<Item = i32>) -> Option<(usize, &mut [f32])> {
        let (number, patches) = (self.used, self.patches);
        let range = number * patches..(number + 1) * patches;
        self.places.get_mut(range.clone())?.iter_mut().zip(places).for_each(|(place, at)| *place = at);
        self.lo[range.clone()].fill(range.start as i32);
        self.hi[range.clone()].fill(range.end as i32);
        self.used += 1;
        let patch_len = self.pixels.len() / self.places.len();
        Some((number, &mut self.pixels[range.start * patch_len..range.end * patch_len]))
    }

    /// Puts a tile of a picture into the next place; its number, `None` where all are taken.
    pub(crate) fn put(&mut self, tiles: &Tiles, tile: usize, look: &Look) -> Option<usize> {
        let (number, pixels) = self.open(look.order.iter().map(|&place| place as i32))?;
        tiles.patches(tile, look.seeing.patch as usize, &look.seeing.preparation, &look.order, pixels);
        Some(number)
    }

    /// Puts a tile of another batch into the next place, with its tokens where `row` says; its number, `None` where all are
    /// taken.
    pub fn copy(&mut self, from: &TileBatch, tile: usize, row: impl Fn(i32) -> i32) -> Option<usize> {
        let places = from.places[tile * from.patches..][..from.patches].iter().copied();
        let (number, pixels) = self.open(places)?;
        pixels.copy_from_slice(&from.pixels[tile * pixels.len()..][..pixels.len()]);
        let rows = &mut self.rows[number * from.tokens..][..from.tokens];
        rows.iter_mut().zip(from.rows_of(tile)).for_each(|(to, &at)| *to = row(at));
        Some(number)
    }
}

impl Batch {
    /// A batch without room yet.
    pub fn new() -> Self {
        Batch::default()
    }

    /// Rows that are one document each, every token predicting the next; ids are 0 until they are set.
    pub fn documents(rows: usize, seq: usize) -> Self {
        let place = |f: fn(usize, usize) -> usize| (0..rows * seq).map(|i| f(i, seq) as i32).collect();
        Batch {
            rows,
            seq,
            tokens: vec![0; rows * seq],
            targets: vec![0; rows * seq],
            weights: vec![1.0; rows * seq],
            positions: place(|i, seq| i % seq),
            lo: place(|i, seq| i / seq * seq),
            hi: place(|i, _| i + 1),
            tiles: TileBatch::default(),
        }
    }

    /// Makes room; allocates only to grow.
    pub(crate) fn shape(&mut self, rows: usize, seq: usize, look: Option<&Look>) {
        if let Some(look) = look {
            let (patches, tokens) = (look.order.len(), look.seeing.tokens());
            self.tiles.clear(rows * look.tiles, patches, look.seeing.patch_len(), tokens);
        }
        self.rows = rows;
        self.seq = seq;
        let size = rows * seq;
        for array in [&mut self.tokens, &mut self.targets, &mut self.positions, &mut self.lo, &mut self.hi] {
            array.resize(size, 0);
        }
        self.weights.resize(size, 0.0);
    }

    /// Fills places with tokens that predict nothing and see only themselves.
    pub(crate) fn pad(&mut self, places: std::ops::Range<usize>, eos: i32) {
        for at in places {
            self.tokens[at] = eos;
            self.targets[at] = -1;
            self.weights[at] = 0.0;
            self.positions[at] = 0;
            self.lo[at] = at as i32;
            self.hi[at] = at as i32 + 1;
        }
    }

    /// Targets that count.
    pub fn target_count(&self) -> usize {
        self.targets.iter().filter(|&&target| target >= 0).count()
    }
}
