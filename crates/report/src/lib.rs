//! Records as one page: what small runs foretold, what came out, and everything that stands behind it.
//!
//! [`Run::read`] reads a run's folder, [`Transfer::read`] a transfer folder; ladders and the registry are handed over
//! as they were read. [`Report::page`] makes one HTML file of it, which needs no network and runs no script. Nothing is
//! trained or scored here, no clock is read: the same records give the same page.
//!
//! A file a section: `loss` (Figure 1 of the GPT-4 report), `capability` (Figure 2) with `foretold_sets`, `backtests`, [`transfer`], `curves`,
//! `registry` with `calibration`, `records`. They draw with `plot` over `axis`, and write with `html`, which
//! escapes everything.
#![forbid(unsafe_code)]

mod axis;
mod backtests;
mod calibration;
mod capability;
mod curves;
mod error;
mod figure;
mod foretold_sets;
mod html;
mod ladder;
mod ledger;
mod loss;
mod number;
mod page;
mod plot;
mod records;
mod registry;
mod run;
mod thin;
pub mod transfer;

pub use error::{Error, Result};
pub use ladder::Ladder;
pub use ledger::Ledger;
pub use run::{Answer, Hashes, Run};
pub use transfer::Transfer;

/// Everything that a page is made of.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Program and commit that writes it.
    pub version: String,
    /// Ladders.
    pub ladders: Vec<Ladder>,
    /// Runs that are no rungs of these.
    pub runs: Vec<Run>,
    /// The registry, if there is one.
    pub ledger: Option<Ledger>,
    /// Tests of transfer, each with what it is called.
    pub transfers: Vec<(String, Transfer)>,
}

impl Report {
    /// The page, as HTML.
    pub fn page(&self) -> String {
        page::write(self)
    }

    /// How many predictions it shows, and how many of them with an outcome.
    pub fn predictions(&self) -> (usize, usize) {
        let predictions = page::Page::of(self).predictions;
        (predictions.len(), predictions.iter().filter(|one| one.outcome.is_some()).count())
    }
}
