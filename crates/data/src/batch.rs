//! A batch: rows of tokens with all that the model's graph takes as input.

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
        }
    }

    /// Makes room; allocates only to grow.
    pub(crate) fn shape(&mut self, rows: usize, seq: usize) {
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
