//! The design of a ladder: small runs, geometric in compute, at several ratios of tokens to parameters,
//! the cheap ones with several seeds.

use crate::rules::{self, TOKENS_PER_PARAMETER};
use crate::{Budget, Corpus, Error, Result, Settings, Shape, Sight, depth};
use serde::{Deserialize, Serialize};

/// What a ladder is to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Design {
    /// FLOP of the dearest rung.
    pub max: f64,
    /// How many times cheaper the cheapest is.
    pub span: f64,
    /// How many times dearer a level is than the one below.
    pub step: f64,
    /// Tokens a parameter, about.
    pub ratios: Vec<f64>,
    /// Seeds of every rung.
    pub seeds: u64,
    /// The first of them.
    #[serde(default = "first")]
    pub seed: u64,
    /// FLOP beyond which a level has one seed and the two middle ratios only; `None`: all levels are full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<f64>,
    /// Whether rungs of one shape and seed share their steps before the decay.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub branches: bool,
    /// Size of a head, the same on all rungs.
    pub head_dim: usize,
    /// Tokens a row.
    pub seq: usize,
    /// Of the pictures that its runs see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sight: Option<Sight>,
}

impl Design {
    /// Two decades below `max`, three levels a decade, at a quarter to four times the compute-optimal ratio of large models
    /// (small ones want more tokens), two seeds; heads of 8, for wider ones are most of a small rung's cost, and rows of 128 tokens,
    /// for a rung's step should have few.
    /// All of it costs less than twenty times the dearest rung.
    pub fn new(max: f64) -> Design {
        let ratios = [0.25, 0.5, 1.0, 2.0, 4.0].map(|factor| factor * TOKENS_PER_PARAMETER).into();
        let step = 10f64.cbrt();
        Design {
            max,
            span: 100.0,
            step,
            ratios,
            seeds: 2,
            seed: first(),
            full: None,
            branches: false,
            head_dim: 8,
            seq: 128,
            sight: None,
        }
    }

    /// The same on data with pictures, if there are some: the shortest rows into which six in seven of the documents that show
    /// some fit whole, and the pictures of all. What does not fit is cut, and the last of its questions are cut off from their picture.
    pub fn seeing(self, corpus: &Corpus) -> Design {
        let Some(sight) = corpus.sight else { return self };
        let fit = |seq: &usize| {
            let (all, cut) = corpus.cut(*seq, sight.row(*seq));
            7 * cut <= all && sight.most as usize <= sight.row(*seq)
        };
        let seq = SEEING.into_iter().find(fit).unwrap_or(SEEING[SEEING.len() - 1]);
        Design { sight: Some(sight), seq, ..self }
    }

    /// Ratios and seeds of a level.
    fn level(&self, flops: f64) -> (&[f64], u64) {
        // A hair's breadth, for levels are computed from the dearest.
        if self.full.is_none_or(|full| flops <= 1.001 * full) {
            return (&self.ratios, self.seeds);
        }
        let middle = self.ratios.len().saturating_sub(1) / 2;
        (&self.ratios[middle..self.ratios.len().min(middle + 2)], 1)
    }

    /// Refuses what is no ladder.
    pub fn check(&self) -> Result<()> {
        let refuse = |name: &str, value: f64, reason: &str| {
            Err(Error::Setting { name: name.into(), value: value.to_string(), reason: reason.into() })
        };
        let whole = |x: f64, least: f64, most: f64| x.is_finite() && (least..=most).contains(&x);
        if !whole(self.max, 1e7, 1e30) {
            return refuse("max", self.max, "it must lie between 1e7 and 1e30 FLOP");
        }
        if !whole(self.span, 30.0, 1e6) {
            return refuse(
                "span",
                self.span,
                "it must lie between 30 and 1e6: less says nothing of a larger run",
            );
        }
        if !whole(self.step, 1.2, 100.0) {
            return refuse("step", self.step, "it must lie between 1.2 and 100");
        }
        if self.ratios.is_empty() || self.ratios.len() > 20 {
            return refuse("ratios", self.ratios.len() as f64, "there must be 1 to 20 of them");
        }
        if let Some(&ratio) = self.ratios.iter().find(|ratio| !whole(**ratio, 0.1, 1e5)) {
            return refuse("ratios", ratio, "each must lie between 0.1 and 100000 tokens a parameter");
        }
        if let Some(full) = self.full.filter(|full| !whole(*full, 1e6, 1e30)) {
            return refuse("full", full, "it must lie between 1e6 and 1e30 FLOP");
        }
        if !(1..=100).contains(&self.seeds) {
            return refuse("seeds", self.seeds as f64, "it must lie between 1 and 100");
        }
        Ok(())
    }

    /// The rungs for a vocabulary, from the cheapest to the dearest. Levels that no shape fits are left
    /// out; the notes name them.
    pub fn rungs(&self, vocab: usize) -> Result<(Vec<Rung>, Vec<String>)> {
        self.check()?;
        let shapes: Vec<Shape> = (1..=256).map(|i| self.shape(4 * i, vocab)).collect();
        shapes.iter().try_for_each(Shape::check)?;
        let levels = (self.span.ln() / self.step.ln()).round() as i32 + 1;
        let (mut rungs, mut notes) = (Vec::<Rung>::new(), Vec::new());
        for level in (0..levels).rev() {
            let flops = self.max * self.step.powi(-level);
            let (ratios, seeds) = self.level(flops);
            let mut none = Vec::new();
            for &ratio in ratios {
                let cost = |shape: &Shape| shape.flops_per_token() * ratio * shape.parameters() as f64;
                let off = |shape: &Shape| (cost(shape) / flops).ln().abs();
                let Some(shape) = shapes.iter().copied().min_by(|a, b| off(a).total_cmp(&off(b))) else {
                    continue;
                };
                if off(&shape) > OFF.ln() {
                    none.push(ratio.to_string());
                    continue;
                }
                let tokens = flops / shape.flops_per_token();
                for seed in (self.seed..).take(seeds as usize) {
                    let name = format!("{}x{}-{:.0}k-s{seed}", shape.width, shape.layers, tokens / 1e3);
                    // Neighbouring ratios can fall on one shape only if they are very near.
                    if rungs.iter().all(|rung| rung.name != name) {
                        rungs.push(Rung { name, shape, tokens, seed, trunk: None });
                    }
                }
            }
            if !none.is_empty() {
                let none = none.join(", ");
                notes.push(format!("no shape fits {flops:.1e} FLOP at {none} tokens a parameter"));
            }
        }
        if self.branches {
            let trunk = |rung: &Rung| {
                let same = rungs.iter().filter(|other| (other.shape, other.seed) == (rung.shape, rung.seed));
                same.fold(Trunk::of(rung.tokens), |trunk, other| trunk.with(other.tokens))
            };
            let trunks: Vec<Trunk> = rungs.iter().map(trunk).collect();
            rungs.iter_mut().zip(trunks).for_each(|(rung, trunk)| rung.trunk = Some(trunk));
        }
        if rungs.len() < 6 {
            let reason = format!("only {} rungs fit; a higher --max has more", rungs.len());
            return Err(Error::Infeasible { budget: format!("{:e}", self.max), reason });
        }
        Ok((rungs, notes))
    }

    /// The shape of a width in this ladder's family. Its depth is the rule's, but at least four: with two layers a model of
    /// equal size is 3 % worse, so that a ladder of two would know nothing of a target of four.
    pub(crate) fn shape(&self, width: usize, vocab: usize) -> Shape {
        // One head alone learns to look back in some seeds and not in others.
        let heads = (width / self.head_dim.max(1)).max(2);
        let ffn = (width * 8).div_ceil(3).next_multiple_of(16);
        let layers = (depth(width).round() as usize).max(4);
        let Design { head_dim, seq, sight, .. } = *self;
        Shape { width, layers, heads, kv_heads: heads, head_dim, ffn, seq, vocab, tied: false, sight }
    }
}

fn first() -> u64 {
    1
}

/// Tokens a row that are tried where there are pictures: the fewer, the more steps a small rung has.
const SEEING: [usize; 4] = [128, 256, 512, 1024];

/// How many times dearer or cheaper than wanted the nearest shape may be at the wanted ratio; the tokens make
/// up for it.
const OFF: f64 = 2.0;

/// A run of a ladder.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// Its folder's name.
    pub name: String,
    /// Its model.
    pub shape: Shape,
    /// Tokens that it trains on, about: whole steps.
    pub tokens: f64,
    /// Of its weights and of its order of the data.
    pub seed: u64,
    /// What it shares its steps before the decay with, if it is one of several.
    pub trunk: Option<Trunk>,
}

/// Tokens of the shortest and the longest run that share their steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trunk {
    shortest: f64,
    longest: f64,
}

impl Trunk {
    /// Of one run.
    pub fn of(tokens: f64) -> Trunk {
        Trunk { shortest: tokens, longest: tokens }
    }

    fn with(self, tokens: f64) -> Trunk {
        Trunk { shortest: self.shortest.min(tokens), longest: self.longest.max(tokens) }
    }

    /// What the rules make of the tokens, for all of them. The rows are those of the shortest, for want of steps costs a
    /// short run more (1.4 % for twice the rows at 1e5 tokens) than a small batch costs a long one (0.5 % for a quarter of
    /// them at 1.6e6); the rate is that of the middle, so that none is far from its own; and the warm-up must be over
    /// well before the shortest decays.
    fn settings(&self, shape: &Shape) -> Settings {
        let middle = (self.shortest * self.longest).sqrt();
        let rows = shape.rows(self.shortest);
        let step = (rows * shape.seq) as f64;
        let steps = |tokens: f64| (tokens / step).max(1.0) as u64;
        Settings {
            rows: Some(rows),
            learning_rate: Some(rules::learning_rate(middle, step)),
            warmup_steps: Some(rules::warmup_steps(steps(middle)).min(steps(self.shortest).div_ceil(10))),
            ..Settings::default()
        }
    }
}

impl Rung {
    /// As a budget.
    pub fn budget(&self) -> Budget {
        Budget::Size { parameters: Some(self.shape.parameters() as f64), tokens: Some(self.tokens) }
    }

    /// What a plan fixes for it: its shape, and one evaluation, at the end.
    pub fn settings(&self) -> Settings {
        let Settings { rows, learning_rate, warmup_steps, .. } =
            self.trunk.map_or(Settings::default(), |trunk| trunk.settings(&self.shape));
        Settings { evals: Some(1), rows, learning_rate, warmup_steps, ..self.shape.settings() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_geometric_in_compute_and_named_once() {
        let (rungs, notes) = Design::new(1e11).rungs(259).unwrap();
        let cost = |rung: &Rung| rung.shape.flops_per_token() * rung.tokens;
        assert!(rungs.len() >= 12, "{rungs:?}");
        assert!(rungs.is_sorted_by(|a, b| cost(a) <= cost(b) * 1.0001));
        let mut names: Vec<_> = rungs.iter().map(|rung| &rung.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), rungs.len());
        assert!((cost(&rungs[rungs.len() - 1]) / 1e11 - 1.0).abs() < 1e-9);
        let sizes: std::collections::BTreeSet<_> = rungs.iter().map(|rung| rung.shape.parameters()).collect();
        assert!(sizes.len() >= 5, "{sizes:?} {notes:?}");
        for rung in &rungs {
            assert_eq!((rung.shape.head_dim, rung.shape.layers), (8, 4));
            assert!((rung.shape.parameters() as f64 * 2.5..).contains(&rung.tokens), "{rung:?}");
        }
        assert!(
            rungs.iter().all(|rung| (1..=2).contains(&rung.seed))
                && rungs.last().is_some_and(|rung| rung.seed == 2)
        );
        let span = cost(&rungs[rungs.len() - 1]) / cost(&rungs[0]);
        assert!(span > 99.0, "{span}");
        let together = rungs.iter().map(cost).sum::<f64>();
        assert!(together < 20.0 * cost(&rungs[rungs.len() - 1]), "{together}");
    }

    #[test]
    fn beyond_the_full_levels_there_are_two_ratios_and_one_seed() {
        let design = Design { full: Some(1e11), span: 1000.0, ..Design::new(1e12) };
        let (rungs, _) = design.rungs(259).unwrap();
        let cost = |rung: &Rung| rung.shape.flops_per_token() * rung.tokens;
        let dear: Vec<_> = rungs.iter().filter(|rung| cost(rung) > 1.1e11).collect();
        assert_eq!(dear.len(), 6, "{dear:?}");
        assert!(dear.iter().all(|rung| rung.seed == 1));
        let (full, _) = Design::new(1e11).rungs(259).unwrap();
        let names = |rungs: &[Rung]| rungs.iter().map(|rung| rung.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&rungs)[..rungs.len() - 6], names(&full)[..]);
        let others = Design { seed: 11, ..design }.rungs(259).unwrap().0;
        assert!(others.iter().all(|rung| (11..=12).contains(&rung.seed)) && others.len() == rungs.len());
        let together = rungs.iter().map(cost).sum::<f64>();
        assert!(together < 5.5e12, "{together}");
    }

    #[test]
    fn branches_share_what_their_middle_asks_for() {
        let (plain, _) = Design::new(1e11).rungs(259).unwrap();
        let (rungs, _) = Design { branches: true, ..Design::new(1e11) }.rungs(259).unwrap();
        assert_eq!(rungs.len(), plain.len());
        for rung in &rungs {
            let mine = rungs.iter().filter(|other| (other.shape, other.seed) == (rung.shape, rung.seed));
            let tokens: Vec<f64> = mine.clone().map(|other| other.tokens).collect();
            let settings = rung.settings();
            assert!(mine.clone().all(|other| other.settings() == settings));
            let (rows, warm_up) = (settings.rows.unwrap(), settings.warmup_steps.unwrap());
            let own: Vec<usize> = tokens.iter().map(|tokens| rules::rows(*tokens, rung.shape.seq)).collect();
            assert!(
                (*own.iter().min().unwrap()..=*own.iter().max().unwrap()).contains(&rows),
                "{own:?} {rows}"
            );
            let steps = tokens.iter().copied().fold(f64::INFINITY, f64::min) / (rows * rung.shape.seq) as f64;
            assert!(warm_up as f64 <= steps / 10.0 + 1.0, "{steps} {warm_up}");
        }
        assert!(plain.iter().all(|rung| rung.settings().rows.is_none()));
    }

    #[test]
    fn rows_are_as_long_as_most_documents_with_pictures_and_encoders_count() {
        let sight = Sight {
            tile: 64,
            patch: 8,
            scale_factor: 2,
            image: 256,
            tiles: 1500,
            tokens: 90_000,
            most: 15,
            width: None,
            layers: None,
        };
        let corpus = |shown: &[((usize, usize), u64)]| Corpus {
            sight: Some(Sight {
                most: shown.iter().map(|((_, tiles), _)| *tiles as u64).max().unwrap_or(0),
                ..sight
            }),
            shown: shown.iter().copied().collect(),
            ..Corpus::of_vocabulary(300)
        };
        let seq = |shown: &[((usize, usize), u64)]| Design::new(1e12).seeing(&corpus(shown)).seq;
        assert_eq!(seq(&[((100, 1), 70), ((250, 1), 10)]), 128);
        assert_eq!(seq(&[((100, 1), 68), ((250, 1), 12)]), 256);
        // Fifteen tiles fit into no row of 256 tokens.
        assert_eq!(seq(&[((100, 1), 60), ((200, 15), 1)]), 512);
        assert_eq!(seq(&[((5000, 1), 20)]), 1024);
        let mixed = corpus(&[((200, 1), 90), ((600, 15), 10)]);
        assert_eq!((mixed.cut(256, 14), mixed.cut(1024, 15)), ((100, 10), (100, 0)));
        assert!(
            mixed.cut_note(256, 14).unwrap().contains("10 of 100 documents")
                && mixed.cut_note(1024, 15).is_none()
        );
        let blind = Corpus { sight: None, ..mixed.clone() };
        assert_eq!(Design::new(1e12).seeing(&blind), Design::new(1e12));

        let design = Design { ratios: vec![5.0, 20.0], seeds: 1, ..Design::new(1e12) }.seeing(&mixed);
        let (rungs, _) = design.rungs(mixed.vocab).unwrap();
        for rung in &rungs {
            let config = crate::step_config(&rung.shape, 1, 1).unwrap();
            assert_eq!(rung.shape.parameters(), config.model.multiplying() as u64);
            assert!(config.tiles > 0 && config.model.eyes.is_some());
            let counted = train::step_flops(&config).unwrap() / config.step_tokens() as f64;
            assert!((rung.shape.flops_per_token() / counted - 1.0).abs() < 0.05, "{rung:?} {counted}");
        }
    }

    #[test]
    fn what_is_no_ladder_is_refused() {
        let refused = |change: fn(&mut Design)| {
            let mut design = Design::new(1e11);
            change(&mut design);
            design.rungs(259).unwrap_err().to_string()
        };
        assert!(refused(|d| d.max = f64::NAN).contains("max"));
        assert!(refused(|d| d.span = 2.0).contains("span"));
        assert!(refused(|d| d.step = 1.0).contains("step"));
        assert!(refused(|d| d.ratios.clear()).contains("ratios"));
        assert!(refused(|d| d.ratios = vec![-1.0]).contains("ratios"));
        assert!(refused(|d| d.seeds = 0).contains("seeds"));
        assert!(refused(|d| d.full = Some(f64::NAN)).contains("full"));
        assert!(refused(|d| d.max = 1e7).contains("rungs fit"));
        assert!(refused(|d| d.head_dim = 0).contains("head_dim"));
    }
}
