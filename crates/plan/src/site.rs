//! Where a run is planned for: this machine, which can be asked, or one that is described.

use crate::{Elsewhere, Probe, Result};
use engine::CpuDevice;
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
    },
    /// A machine that is described: nothing is timed.
    There(Elsewhere),
}

impl Site {
    /// This machine, measured for about a second and a half.
    pub fn measure(device: &CpuDevice) -> Result<Site> {
        Ok(Site::Here { probe: Probe::measure(device)?, device: device.clone() })
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
