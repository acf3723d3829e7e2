//! The reference sizes of `bench step`, the same as those of the PyTorch peer.

use crate::Shape;
use crate::{Error, Result};

/// A reference size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// XXS to L.
    pub name: &'static str,
    /// The model.
    pub shape: Shape,
    /// Rows a step.
    pub rows: usize,
}

const fn size(name: &'static str, sizes: [usize; 7]) -> Size {
    let [width, layers, heads, ffn, seq, rows, vocab] = sizes;
    let head_dim = width / heads;
    Size {
        name,
        shape: Shape {
            width,
            layers,
            heads,
            kv_heads: heads,
            head_dim,
            ffn,
            seq,
            vocab,
            tied: false,
            sight: None,
        },
        rows,
    }
}

/// All of them, smallest first: width, layers, heads, feed-forward, row, rows, vocabulary.
pub const SIZES: [Size; 5] = [
    size("XXS", [32, 2, 2, 96, 128, 2, 256]),
    size("XS", [64, 2, 2, 192, 128, 16, 512]),
    size("S", [128, 4, 4, 384, 256, 8, 4096]),
    size("M", [384, 6, 6, 1024, 256, 4, 4096]),
    size("L", [768, 12, 12, 2048, 512, 2, 16384]),
];

/// The reference size of that name, in either case.
pub fn reference(name: &str) -> Result<Size> {
    let found = SIZES.into_iter().find(|size| size.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| Error::Setting {
        name: "size".into(),
        value: name.into(),
        reason: "the sizes are XXS, XS, S, M and L".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The peer's count of work: 6·(matrix weights but the embedding) + 6·L·T·C a token.
    #[test]
    fn work_is_counted_as_the_peer_does() {
        for size in SIZES {
            let s = size.shape;
            let layer = 4 * s.width * s.width + 3 * s.width * s.ffn;
            let n = s.layers * layer + s.vocab * s.width;
            assert_eq!(s.parameters(), n as u64);
            assert_eq!(s.flops_per_token(), (6 * n + 6 * s.layers * s.seq * s.width) as f64);
            s.check().unwrap();
        }
        assert_eq!(reference("xs").unwrap().rows, 16);
        assert!(reference("XL").unwrap_err().to_string().contains("XXS, XS, S, M and L"));
    }
}
