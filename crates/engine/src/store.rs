//! Named tensors that outlive a run: parameters, gradients, moments, caches.
//!
//! A [`Layout`] says which tensors there are and where; several stores share one. Nothing above
//! the engine holds a slice of a tensor: it is read and written by name.

use crate::{Error, Type};
use kernels::{Arena, Span};
use std::collections::HashMap;
use std::sync::Arc;

/// Tensors start at multiples of this many words (a cache line).
pub(crate) const ALIGN: usize = 16;

/// Names, shapes and places of the tensors of a store, in a fixed order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    tensors: Vec<(String, Type, usize)>,
    index: HashMap<String, usize>,
    words: usize,
}

impl Layout {
    /// Places float tensors one behind the other, each at the start of a cache line. A name that
    /// comes twice is an error, and so are sizes that overflow.
    pub fn new<'a>(tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>) -> Result<Layout, Error> {
        let mut layout = Layout::default();
        for (name, shape) in tensors {
            let ty = Type::f32(shape);
            let overflow =
                || Error::Memory { need_mb: f64::INFINITY, reason: format!("'{name}' {ty} overflows") };
            let words = ty.bytes().ok_or_else(overflow)?.div_ceil(4);
            let end = words.checked_next_multiple_of(ALIGN).and_then(|w| w.checked_add(layout.words));
            if layout.index.insert(name.to_string(), layout.tensors.len()).is_some() {
                return Err(Error::Size {
                    name: name.into(),
                    expected: "one tensor".into(),
                    got: "two of that name".into(),
                });
            }
            let start = layout.words;
            layout.words = end.ok_or_else(overflow)?;
            layout.tensors.push((name.to_string(), ty, start));
        }
        Ok(layout)
    }

    /// The tensors' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|(name, _, _)| name.as_str())
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.index.get(name).map(|&i| self.tensors[i].1.shape.as_slice())
    }

    /// Bytes of a store with this layout.
    pub fn bytes(&self) -> usize {
        self.words * 4
    }

    pub(crate) fn words(&self) -> usize {
        self.words
    }

    pub(crate) fn span(&self, name: &str) -> Option<Span> {
        self.index.get(name).map(|&i| {
            let (_, ty, start) = &self.tensors[i];
            Span { offset: *start, len: ty.len() }
        })
    }
}

/// Named float tensors in one piece of memory.
#[derive(Debug)]
pub struct Store {
    layout: Arc<Layout>,
    pub(crate) arena: Arena,
}

impl Store {
    /// Zeroed tensors.
    pub fn new(layout: &Arc<Layout>) -> Result<Store, Error> {
        Ok(Store { layout: layout.clone(), arena: arena(layout.words)? })
    }

    /// Where the tensors stand.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn span(&self, name: &str, len: usize) -> Result<Span, Error> {
        let span =
            self.layout.span(name).ok_or_else(|| Error::Unknown { kind: "tensor", name: name.into() })?;
        if span.len != len {
            return Err(Error::Size {
                name: name.into(),
                expected: format!("{} elements", span.len),
                got: format!("{len}"),
            });
        }
        Ok(span)
    }

    /// Copies a tensor out.
    pub fn read(&self, name: &str, into: &mut [f32]) -> Result<(), Error> {
        let span = self.span(name, into.len())?;
        into.copy_from_slice(self.arena.read(span));
        Ok(())
    }

    /// A tensor as a new vector.
    pub fn get(&self, name: &str) -> Result<Vec<f32>, Error> {
        let span =
            self.layout.span(name).ok_or_else(|| Error::Unknown { kind: "tensor", name: name.into() })?;
        Ok(self.arena.read(span).to_vec())
    }

    /// Copies elements of a tensor out, from `start` (row-major) on.
    pub fn read_at(&self, name: &str, start: usize, into: &mut [f32]) -> Result<(), Error> {
        let span = self.part(name, start, into.len())?;
        into.copy_from_slice(self.arena.read(span));
        Ok(())
    }

    /// Overwrites elements of a tensor, from `start` (row-major) on.
    pub fn write_at(&mut self, name: &str, start: usize, from: &[f32]) -> Result<(), Error> {
        let span = self.part(name, start, from.len())?;
        self.arena.write(span).copy_from_slice(from);
        Ok(())
    }

    fn part(&self, name: &str, start: usize, len: usize) -> Result<Span, Error> {
        let span =
            self.layout.span(name).ok_or_else(|| Error::Unknown { kind: "tensor", name: name.into() })?;
        if start.checked_add(len).is_none_or(|end| end > span.len) {
            let (expected, got) = (format!("{} elements", span.len), format!("a piece of {len} at {start}"));
            return Err(Error::Size { name: name.into(), expected, got });
        }
        Ok(Span { offset: span.offset + start, len })
    }

    /// Copies everything from a store of the same layout.
    pub fn copy_from(&mut self, other: &Store) -> Result<(), Error> {
        if !other.same_layout(&self.layout) {
            return Err(Error::Layout("copied"));
        }
        let whole = self.whole();
        self.arena.write(whole).copy_from_slice(other.arena.read(whole));
        Ok(())
    }

    /// Overwrites a tensor.
    pub fn write(&mut self, name: &str, from: &[f32]) -> Result<(), Error> {
        let span = self.span(name, from.len())?;
        self.arena.write(span).copy_from_slice(from);
        Ok(())
    }

    /// Sets all elements of all tensors to zero.
    pub fn clear(&mut self) {
        self.arena.write(self.whole()).fill(0.0);
    }

    /// Everything, the padding between tensors (always zero) included.
    pub(crate) fn whole(&self) -> Span {
        Span { offset: 0, len: self.layout.words }
    }

    pub(crate) fn same_layout(&self, layout: &Arc<Layout>) -> bool {
        Arc::ptr_eq(&self.layout, layout) || self.layout == *layout
    }
}

/// Zeroed memory, or an error with the figure.
pub(crate) fn arena(words: usize) -> Result<Arena, Error> {
    Arena::new(words).map_err(|e| Error::Memory { need_mb: words as f64 * 4e-6, reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_read_and_written_by_name() {
        let layout = Arc::new(Layout::new([("a", &[3, 5][..]), ("b", &[2])]).unwrap());
        let mut store = Store::new(&layout).unwrap();
        store.write("b", &[1.0, 2.0]).unwrap();
        assert_eq!(store.get("b").unwrap(), [1.0, 2.0]);
        assert_eq!(store.get("a").unwrap(), [0.0; 15]);
        assert!(store.write("b", &[0.0; 3]).unwrap_err().to_string().contains("'b' has 2 elements"));
        assert!(store.get("c").unwrap_err().to_string().contains("no tensor is called 'c'"));
        assert_eq!(layout.bytes(), 128);
    }

    #[test]
    fn absurd_layouts_are_refused() {
        assert!(Layout::new([("a", &[usize::MAX, 2][..])]).is_err());
        assert!(Layout::new([("a", &[1][..]), ("a", &[1])]).is_err());
        let huge = Arc::new(Layout::new([("a", &[1 << 50][..])]).unwrap());
        let text = Store::new(&huge).unwrap_err().to_string();
        assert!(text.contains("MB of memory"), "{text}");
    }
}
