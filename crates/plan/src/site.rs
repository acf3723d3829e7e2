//! Where a run is planned for: this machine, which can be asked, or one that is described.

use crate::{Elsewhere, Probe, Result};
use engine::CpuDevice;
use model::Config as ModelConfig;
use model::parametrisation::Rates;
use std::cell::RefCell;
use train::TrainConfig;

/// A place for a run.
#[derive(Clone)]
pub enum Site {
    /// This machine: what it was measured to do; steps are timed on it.
    Here {
        /// What it does.
        probe: Probe,
        /// What it does it with.
        device: CpuDevice,
        /// Steps that were timed, each once: the rungs of a ladder share shapes.
        timed: Timed,
    },
    /// A machine that is described: nothing is timed.
    There(Elsewhere),
}

/// Seconds of steps, by what decides them.
#[derive(Clone, Debug, Default)]
pub struct Timed(RefCell<Vec<(Step, f64)>>);

/// What decides the time of a step.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    model: ModelConfig,
    rows: usize,
    micro_rows: usize,
    recompute: bool,
    matrices: String,
    tiles: usize,
    rates: Rates,
}

impl Timed {
    /// Seconds of a step: those of an equal one, or what `time` says.
    pub(crate) fn step(
        &self,
        config: &TrainConfig,
        time: impl FnOnce() -> Result<Option<f64>>,
    ) -> Result<Option<f64>> {
        let TrainConfig { rows, micro_rows, recompute, tiles, .. } = *config;
        let (model, matrices) = (config.model.clone(), config.optimiser.matrices.clone());
        let step =
            Step { model, rows, micro_rows, recompute, matrices, tiles, rates: config.optimiser.rates };
        if let Some((_, seconds)) = self.0.borrow().iter().find(|(known, _)| *known == step) {
            return Ok(Some(*seconds));
        }
        let seconds = time()?;
        self.0.borrow_mut().extend(seconds.map(|seconds| (step, seconds)));
        Ok(seconds)
    }
}

impl Site {
    /// This machine, measured for about a second and a half.
    pub fn measure(device: &CpuDevice) -> Result<Site> {
        Ok(Site::Here { probe: Probe::measure(device)?, device: device.clone(), timed: Timed::default() })
    }

    /// Floating-point operations a second, at most.
    pub fn peak_flops(&self) -> f64 {
        match self {
            Site::Here { probe, .. } => probe.peak_flops,
            Site::There(machine) => machine.peak_flops,
        }
    }

    /// Threads, cores or devices that share a step.
    pub fn threads(&self) -> usize {
        match self {
            Site::Here { device, .. } => device.cpu().threads(),
            Site::There(machine) => machine.cores,
        }
    }

    /// The name of a machine that is described.
    pub fn described(&self) -> Option<&str> {
        match self {
            Site::Here { .. } => None,
            Site::There(machine) => Some(&machine.name),
        }
    }

    /// Bytes of memory that a run may take: here those that are free now.
    pub fn memory(&self, free: Option<u64>) -> Option<u64> {
        match self {
            Site::Here { .. } => free,
            Site::There(machine) => machine.memory.map(|bytes| bytes as u64),
        }
    }

    /// Seconds of a step, without a try.
    pub fn step_seconds(&self, config: &TrainConfig) -> Result<f64> {
        match self {
            Site::Here { probe, .. } => probe.step_seconds(config),
            Site::There(machine) => machine.step_seconds(config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_steps_are_timed_once() {
        let config = crate::step_config(&crate::Family::new(300).shape(32, 2), 2, 1).unwrap();
        let timed = Timed::default();
        let never = || -> Result<Option<f64>> { panic!("timed twice") };
        assert_eq!(timed.step(&config, || Ok(None)).unwrap(), None);
        assert_eq!(timed.step(&config, || Ok(Some(2.0))).unwrap(), Some(2.0));
        let longer = TrainConfig { steps: config.steps + 1, seed: 9, ..config.clone() };
        assert_eq!(timed.step(&longer, never).unwrap(), Some(2.0));
        let wider = TrainConfig { rows: 2 * config.rows, ..config };
        assert_eq!(timed.step(&wider, || Ok(Some(4.0))).unwrap(), Some(4.0));
    }
}
