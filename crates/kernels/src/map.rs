//! A file as read-only memory.

use crate::Error;
use std::fs::File;

/// The bytes of a file, mapped. The file must not be cut short while it is mapped: a program that
/// truncates it makes reads fail with a signal, as for every memory map.
#[derive(Debug)]
pub struct Map {
    /// `None` for an empty file, which cannot be mapped.
    bytes: Option<memmap2::Mmap>,
}

impl Map {
    /// Maps a whole file.
    pub fn new(file: &File) -> Result<Map, Error> {
        let length = file.metadata().map_err(Error::Map)?.len();
        if length == 0 {
            return Ok(Map { bytes: None });
        }
        // SAFETY: the mapping is private to this value and only read; that nobody truncates the file
        // meanwhile is the documented condition.
        let bytes = unsafe { memmap2::Mmap::map(file) }.map_err(Error::Map)?;
        Ok(Map { bytes: Some(bytes) })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or(&[])
    }

    /// Takes the pages that were read out of the process's resident memory. They stay in the system's
    /// cache, from which the next read maps them again. Does nothing where the system cannot.
    pub fn release(&self) {
        #[cfg(unix)]
        if let Some(bytes) = &self.bytes {
            // SAFETY: a shared mapping of a file that is only read has the file's bytes again at the next
            // access, so nobody who holds a slice sees a difference.
            let _ = unsafe { bytes.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }

    /// Little-endian 16-bit numbers from byte `offset` on, `None` unless it is even and inside.
    pub fn as_u16s(&self, offset: usize) -> Option<&[u16]> {
        self.words(offset)
    }

    /// Little-endian 32-bit numbers from byte `offset` on, `None` unless it is a multiple of four
    /// and inside.
    pub fn as_u32s(&self, offset: usize) -> Option<&[u32]> {
        self.words(offset)
    }

    fn words<T: Word>(&self, offset: usize) -> Option<&[T]> {
        let bytes = self.as_bytes().get(offset..)?;
        if cfg!(target_endian = "big") || !(bytes.as_ptr() as usize).is_multiple_of(size_of::<T>()) {
            return None;
        }
        // SAFETY: aligned as just tested, inside the mapping, and every bit pattern is a number.
        Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>()) })
    }
}

/// Numbers for which every bit pattern is valid.
trait Word: Copy {}
impl Word for u16 {}
impl Word for u32 {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn files_are_bytes_and_numbers() {
        let path = std::env::temp_dir().join(format!("kernels-map-{}", std::process::id()));
        let mut file = File::create(&path).unwrap();
        assert_eq!(Map::new(&File::open(&path).unwrap()).unwrap().as_bytes(), []);
        file.write_all(&[1, 0, 2, 0, 3, 0, 4]).unwrap();
        let map = Map::new(&File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(map.as_bytes().len(), 7);
        assert_eq!(map.as_u16s(0).unwrap(), [1, 2, 3]);
        assert_eq!(map.as_u32s(0).unwrap(), [0x0002_0001]);
        assert_eq!(map.as_u16s(1), None);
        assert_eq!(map.as_u16s(9), None);
    }
}
