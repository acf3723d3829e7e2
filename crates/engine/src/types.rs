//! The type of a value: what its elements are and how many stand along each axis.

use std::fmt;

/// What the elements of a value are. Blocks hold several elements with a shared scale: weights of
/// those types can stand in a graph; the kernels that read them come with quantised inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float: all arithmetic.
    F32,
    /// Brain float, storage only.
    Bf16,
    /// Half float, storage only.
    F16,
    /// 32-bit signed integer: tokens, positions, spans, slots.
    I32,
    /// GGML Q8_0: 32 int8 and one half-float scale.
    Q8_0,
    /// GGML Q4_K: 256 four-bit values with eight six-bit scales and minima.
    Q4K,
}

impl DType {
    /// Elements in a block and bytes of a block.
    pub const fn block(self) -> (usize, usize) {
        match self {
            DType::F32 | DType::I32 => (1, 4),
            DType::Bf16 | DType::F16 => (1, 2),
            DType::Q8_0 => (32, 34),
            DType::Q4K => (256, 144),
        }
    }
}

/// Element type and capacities along each axis, outermost first (row-major).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Type {
    /// Element type.
    pub dtype: DType,
    /// Capacities; what varies below them is said by integer inputs.
    pub shape: Vec<usize>,
}

impl Type {
    /// A float value of this shape.
    pub fn f32(shape: &[usize]) -> Type {
        Type { dtype: DType::F32, shape: shape.to_vec() }
    }

    /// An integer value of this shape.
    pub fn i32(shape: &[usize]) -> Type {
        Type { dtype: DType::I32, shape: shape.to_vec() }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it holds no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes it takes, or `None` where the count overflows or is no whole number of blocks.
    pub fn bytes(&self) -> Option<usize> {
        let len = self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        let (elements, bytes) = self.dtype.block();
        len.is_multiple_of(elements).then(|| (len / elements).checked_mul(bytes))?
    }

    /// Size of the last axis (1 for a scalar).
    pub fn columns(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Number of rows: all axes but the last.
    pub fn rows(&self) -> usize {
        self.shape.iter().rev().skip(1).product()
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{:?}", self.dtype, self.shape)
    }
}
