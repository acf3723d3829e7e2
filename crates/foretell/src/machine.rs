//! The machine as options describe it, and its clock.

use crate::arguments::Common;
use crate::{Failure, input};
use anyhow::anyhow;
use engine::CpuDevice;
use kernels::{Cpu, Isa};
use plan::{Elsewhere, Site};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

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
    Ok(CpuDevice::new(Cpu::new(isa(common)?, threads)?))
}

/// This machine, measured.
pub fn measured(common: &Common) -> Result<Site, Failure> {
    Ok(Site::measure(&device(common)?)?)
}

/// A machine that is described, by a file or by the name of one in `machines`.
pub fn described(name: &str) -> Result<Site, Failure> {
    let given = PathBuf::from(name);
    let listed = Path::new("machines").join(format!("{name}.toml"));
    let path = match given.exists() {
        true => given,
        false if listed.exists() => listed,
        false => {
            let text = "there is neither a file of that name nor one in machines/";
            return Err(Failure::Usage(format!("--machine {name}: {text}")));
        }
    };
    let place = path.display();
    let text = String::from_utf8(input::read(&path)?).map_err(|_| anyhow!("{place}: it is not UTF-8"))?;
    let machine: Elsewhere =
        toml::from_str(&text).map_err(|error| anyhow!("{place}: {}", error.to_string().trim_end()))?;
    machine.check().map_err(|error| anyhow!("{place}: {error}"))?;
    Ok(Site::There(machine))
}

/// The instruction set that the options ask for: the best there is unless given.
pub fn isa(common: &Common) -> Result<Isa, Failure> {
    match &common.isa {
        None => Ok(Isa::best()),
        Some(name) => name.parse::<Isa>().map_err(|e| Failure::Usage(format!("--isa {name}: {e}"))),
    }
}

/// Largest resident size of this process so far, in megabytes of 2²⁰ bytes as the peer counts them.
pub fn peak_rss_mb() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kb| kb / 1024.0)
}

/// Seconds since 1970.
pub fn now() -> Result<u64, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(since.map_err(|_| anyhow!("the clock stands before 1970; set it"))?.as_secs())
}

/// Version and commit.
pub fn version() -> String {
    format!("{} ({})", env!("CARGO_PKG_VERSION"), env!("FORETELL_COMMIT"))
}
