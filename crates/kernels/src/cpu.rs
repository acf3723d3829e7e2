//! What computes: an instruction set that this CPU has, and a pool of threads.

#[cfg(target_arch = "aarch64")]
use crate::simd::neon::Neon;
use crate::simd::{Kernel, portable::Portable};
#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2::Avx2, avx512::Avx512};
use crate::{Error, Pool};
use std::fmt;
use std::str::FromStr;

/// An instruction set by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// AVX-512 F, DQ, BW, VL.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// NEON (AArch64).
    Neon,
    /// Plain Rust, for any CPU.
    Portable,
}

impl Isa {
    /// All sets, best first.
    pub const ALL: [Isa; 4] = [Isa::Avx512, Isa::Avx2, Isa::Neon, Isa::Portable];

    /// Those that this CPU has, best first.
    pub fn available() -> Vec<Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.proof().is_some()).collect()
    }

    /// The best that this CPU has.
    pub fn best() -> Isa {
        Isa::ALL.into_iter().find(|isa| isa.proof().is_some()).unwrap_or(Isa::Portable)
    }

    fn proof(self) -> Option<Proof> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Avx512::new().map(Proof::Avx512),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Avx2::new().map(Proof::Avx2),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Neon::new().map(Proof::Neon),
            Isa::Portable => Some(Proof::Portable(Portable)),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2",
            Isa::Neon => "neon",
            Isa::Portable => "portable",
        })
    }
}

impl FromStr for Isa {
    type Err = Error;

    fn from_str(name: &str) -> Result<Isa, Error> {
        let found = Isa::ALL.into_iter().find(|isa| isa.to_string() == name);
        found.ok_or_else(|| Error::UnknownIsa(name.to_string()))
    }
}

#[derive(Clone, Copy, Debug)]
enum Proof {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Portable(Portable),
    #[cfg(test)]
    Fused(Portable<true>),
}

/// An instruction set and threads; every kernel takes one.
#[derive(Debug)]
pub struct Cpu {
    isa: Isa,
    proof: Proof,
    pool: Pool,
}

impl Cpu {
    /// Computes with `isa` on `threads` threads (the caller's is one of them).
    ///
    /// # Errors
    /// The CPU lacks the set, or `threads` is zero or above 1024, or threads cannot be started.
    pub fn new(isa: Isa, threads: usize) -> Result<Cpu, Error> {
        let proof =
            isa.proof().ok_or_else(|| Error::MissingIsa { missing: isa, available: Isa::available() })?;
        Ok(Cpu { isa, proof, pool: Pool::new(threads)? })
    }

    /// The scalar twin of all sets that fuse products with sums. Its [`Cpu::isa`] is the best one's,
    /// whose bits it must have.
    #[cfg(test)]
    pub(crate) fn scalar(threads: usize) -> Result<Cpu, Error> {
        Ok(Cpu { isa: Isa::best(), proof: Proof::Fused(Portable), pool: Pool::new(threads)? })
    }

    /// Whether products are rounded before they are added.
    #[cfg(test)]
    pub(crate) fn rounds_twice(&self) -> bool {
        matches!(self.proof, Proof::Portable(_))
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The threads.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Runs `kernel` compiled for the set.
    #[inline]
    pub fn dispatch<K: Kernel>(&self, kernel: K) -> K::Out {
        match self.proof {
            #[cfg(target_arch = "x86_64")]
            Proof::Avx512(s) => s.dispatch(kernel),
            #[cfg(target_arch = "x86_64")]
            Proof::Avx2(s) => s.dispatch(kernel),
            #[cfg(target_arch = "aarch64")]
            Proof::Neon(s) => s.dispatch(kernel),
            Proof::Portable(s) => s.dispatch(kernel),
            #[cfg(test)]
            Proof::Fused(s) => s.dispatch(kernel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_a_missing_set_is_named() {
        for isa in Isa::ALL {
            assert_eq!(isa.to_string().parse::<Isa>().unwrap(), isa);
            let made = Cpu::new(isa, 1);
            assert_eq!(made.is_ok(), Isa::available().contains(&isa));
            if let Err(error) = made {
                assert!(error.to_string().contains(&isa.to_string()), "{error}");
            }
        }
        assert!("sse9".parse::<Isa>().unwrap_err().to_string().contains("sse9"));
        assert_eq!(Isa::available().last(), Some(&Isa::Portable));
        assert!(Cpu::new(Isa::Portable, 0).is_err());
    }
}
