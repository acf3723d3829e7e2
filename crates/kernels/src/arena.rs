//! One piece of memory for many values: allocated once, handed out as disjoint slices.

use crate::Error;
use memmap2::{MmapMut, MmapOptions};
use std::marker::PhantomData;

/// A run of 4-byte words in an [`Arena`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// First word.
    pub offset: usize,
    /// Number of words.
    pub len: usize,
}

/// Zeroed, page-aligned memory of 4-byte words that are read as floats or integers.
#[derive(Debug)]
pub struct Arena {
    memory: Option<MmapMut>,
    words: usize,
}

impl Arena {
    /// Maps `words` zeroed words, in huge pages where the system grants them. The pages are not
    /// touched, so memory is used as it is written.
    pub fn new(words: usize) -> Result<Arena, Error> {
        let bytes = words
            .checked_mul(4)
            .filter(|&b| b <= isize::MAX as usize)
            .ok_or(Error::Memory { words, reason: "it overflows".into() })?;
        if bytes == 0 {
            return Ok(Arena { memory: None, words });
        }
        let memory = MmapOptions::new()
            .len(bytes)
            .map_anon()
            .map_err(|e| Error::Memory { words, reason: e.to_string() })?;
        #[cfg(target_os = "linux")]
        if bytes >= HUGE_FROM {
            // Advice only: a system without huge pages runs the same, a little slower.
            let _ = memory.advise(memmap2::Advice::HugePage);
        }
        Ok(Arena { memory: Some(memory), words })
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.words
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.words == 0
    }

    fn base(&self) -> *const f32 {
        self.memory.as_ref().map_or(std::ptr::NonNull::dangling().as_ptr(), |m| m.as_ptr().cast())
    }

    fn base_mut(&mut self) -> *mut f32 {
        self.memory.as_mut().map_or(std::ptr::NonNull::dangling().as_ptr(), |m| m.as_mut_ptr().cast())
    }

    fn check(&self, span: Span) {
        let end = span.offset.checked_add(span.len);
        assert!(
            end.is_some_and(|end| end <= self.words),
            "{span:?} is outside of an arena of {} words",
            self.words
        );
    }

    /// The floats of a span.
    pub fn read(&self, span: Span) -> &[f32] {
        self.check(span);
        // SAFETY: the span lies in the mapping, which is aligned to pages and initialised (zeroed or
        // written); every bit pattern is a float; the borrow of self keeps it alive and unwritten.
        unsafe { std::slice::from_raw_parts(self.base().add(span.offset), span.len) }
    }

    /// The integers of a span.
    pub fn read_i32(&self, span: Span) -> &[i32] {
        self.check(span);
        // SAFETY: as in `read`; every bit pattern is an integer of the same size and alignment.
        unsafe { std::slice::from_raw_parts(self.base().add(span.offset).cast(), span.len) }
    }

    /// The floats of a span, to write.
    pub fn write(&mut self, span: Span) -> &mut [f32] {
        self.check(span);
        // SAFETY: as in `read`, and the exclusive borrow of self makes the slice the only one.
        unsafe { std::slice::from_raw_parts_mut(self.base_mut().add(span.offset), span.len) }
    }

    /// The integers of a span, to write.
    pub fn write_i32(&mut self, span: Span) -> &mut [i32] {
        self.check(span);
        // SAFETY: as in `write`.
        unsafe { std::slice::from_raw_parts_mut(self.base_mut().add(span.offset).cast(), span.len) }
    }
}

/// Smaller arenas would be rounded up to a huge page each.
const HUGE_FROM: usize = 4 << 20;

/// Most slices that one operation reads.
const READS: usize = 12;
/// Most slices that one operation writes.
const WRITES: usize = 8;

#[derive(Clone, Copy)]
struct Piece {
    start: *mut f32,
    len: usize,
}

impl Piece {
    const NONE: Piece = Piece { start: std::ptr::NonNull::dangling().as_ptr(), len: 0 };

    fn overlaps(self, other: Piece) -> bool {
        let (a, b) = (self.start as usize, other.start as usize);
        self.len > 0 && other.len > 0 && a < b + other.len * 4 && b < a + self.len * 4
    }
}

/// The slices of one operation: several arenas at once, some only read, some written, with the
/// proof (checked as they are added) that what is written overlaps nothing else.
pub struct Views<'a> {
    fixed: [&'a Arena; 2],
    changing: [(*mut f32, usize); 2],
    reads: [Piece; READS],
    writes: [Piece; WRITES],
    counts: (usize, usize),
    arenas: PhantomData<&'a mut Arena>,
}

impl<'a> Views<'a> {
    /// Views into two arenas that are only read and two that may be written.
    pub fn new(fixed: [&'a Arena; 2], changing: [&'a mut Arena; 2]) -> Views<'a> {
        let changing = changing.map(|arena| (arena.base_mut(), arena.words));
        Views {
            fixed,
            changing,
            reads: [Piece::NONE; READS],
            writes: [Piece::NONE; WRITES],
            counts: (0, 0),
            arenas: PhantomData,
        }
    }

    /// Adds a slice of fixed arena `arena` to those read.
    pub fn read_fixed(&mut self, arena: usize, span: Span) {
        let data = self.fixed[arena].read(span);
        self.push_read(Piece { start: data.as_ptr().cast_mut(), len: data.len() });
    }

    /// Adds a slice of changing arena `arena` to those read. Panics if it overlaps one written.
    pub fn read(&mut self, arena: usize, span: Span) {
        let piece = self.piece(arena, span);
        assert!(!self.writes.iter().any(|w| w.overlaps(piece)), "{span:?} is read and written at once");
        self.push_read(piece);
    }

    /// Adds a slice to those written. Panics if it overlaps any other.
    pub fn write(&mut self, arena: usize, span: Span) {
        let piece = self.piece(arena, span);
        assert!(
            !self.reads.iter().chain(&self.writes).any(|p| p.overlaps(piece)),
            "{span:?} is written and used at once"
        );
        assert!(self.counts.1 < WRITES, "an operation writes at most {WRITES} slices");
        self.writes[self.counts.1] = piece;
        self.counts.1 += 1;
    }

    fn piece(&self, arena: usize, span: Span) -> Piece {
        let (start, words) = self.changing[arena];
        let end = span.offset.checked_add(span.len);
        assert!(end.is_some_and(|end| end <= words), "{span:?} is outside of an arena of {words} words");
        // SAFETY: the offset was just found to lie in the arena's allocation.
        Piece { start: unsafe { start.add(span.offset) }, len: span.len }
    }

    fn push_read(&mut self, piece: Piece) {
        assert!(self.counts.0 < READS, "an operation reads at most {READS} slices");
        self.reads[self.counts.0] = piece;
        self.counts.0 += 1;
    }

    /// Read slice `i` as floats.
    pub fn r(&self, i: usize) -> &'a [f32] {
        assert!(i < self.counts.0, "read {i} of {}", self.counts.0);
        // SAFETY: a checked, initialised part of an arena borrowed for 'a that overlaps no write.
        unsafe { std::slice::from_raw_parts(self.reads[i].start, self.reads[i].len) }
    }

    /// Read slice `i` as integers.
    pub fn ri(&self, i: usize) -> &'a [i32] {
        assert!(i < self.counts.0, "read {i} of {}", self.counts.0);
        // SAFETY: as in `r`; integers have the size and alignment of floats.
        unsafe { std::slice::from_raw_parts(self.reads[i].start.cast(), self.reads[i].len) }
    }

    /// Takes all slices to write; a second call panics, so none is handed out twice.
    pub fn writes<const N: usize>(&mut self) -> [&'a mut [f32]; N] {
        assert!(self.counts.1 == N, "{} slices to write were taken as {N}", self.counts.1);
        self.counts.1 = usize::MAX;
        // SAFETY: the pieces are disjoint parts of arenas borrowed exclusively for 'a, overlap no
        // read, and are handed out once.
        std::array::from_fn(|i| unsafe {
            std::slice::from_raw_parts_mut(self.writes[i].start, self.writes[i].len)
        })
    }
}
