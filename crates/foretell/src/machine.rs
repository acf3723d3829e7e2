//! The machine as options describe it.

use crate::Failure;
use crate::arguments::Common;
use engine::CpuDevice;
use kernels::{Cpu, Isa};

/// Threads that the options ask for: all cores unless given.
pub fn threads(common: &Common) -> Result<usize, Failure> {
    match common.threads {
        Some(0) => Err(Failure::Usage("--threads 0: at least one is needed".into())),
        Some(n) if n > 1024 => Err(Failure::Usage(format!("--threads {n}: at most 1024 are supported"))),
        Some(n) => Ok(n),
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// The device that the options ask for.
pub fn device(common: &Common) -> Result<CpuDevice, Failure> {
    device_of(common, threads(common)?)
}

/// A device of so many threads.
pub fn device_of(common: &Common, threads: usize) -> Result<CpuDevice, Failure> {
    let isa = match &common.isa {
        None => Isa::best(),
        Some(name) => name.parse::<Isa>().map_err(|e| Failure::Usage(format!("--isa {name}: {e}")))?,
    };
    Ok(CpuDevice::new(Cpu::new(isa, threads)?))
}

/// Largest resident size of this process so far, in megabytes of 2²⁰ bytes as the peer counts them.
pub fn peak_rss_mb() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kb| kb / 1024.0)
}

/// Version and commit.
pub fn version() -> String {
    format!("{} ({})", env!("CARGO_PKG_VERSION"), env!("FORETELL_COMMIT"))
}
