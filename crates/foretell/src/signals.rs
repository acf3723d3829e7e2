//! Ctrl-C and SIGTERM: the first asks the command to save and stop, the second ends it at once.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

static SIGNALS: OnceLock<(Arc<AtomicBool>, Arc<AtomicUsize>)> = OnceLock::new();

/// Listens from now on; the flag is set by the first signal.
pub fn stop() -> std::io::Result<Arc<AtomicBool>> {
    if let Some((stop, _)) = SIGNALS.get() {
        return Ok(stop.clone());
    }
    let (stop, number) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // In this order: the second signal finds the flag set, the first does not.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
        signal_hook::flag::register_usize(signal, number.clone(), signal as usize)?;
    }
    Ok(SIGNALS.get_or_init(|| (stop, number)).0.clone())
}

/// The signal received, if one was.
pub fn received() -> Option<usize> {
    let number = SIGNALS.get()?.1.load(Ordering::Relaxed);
    (number > 0).then_some(number)
}

/// Whether to stop.
pub fn stopping(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}
