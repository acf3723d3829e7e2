//! TensorBoard event files: scalars as protocol-buffer records, each framed with its length and two
//! masked CRC-32C sums (tensorflow.org, `TFRecord`; `event.proto`, `summary.proto`).

mod proto;
mod read;
mod write;

pub use read::{Events, Scalar};
pub use write::EventWriter;

/// The sum of a frame's part: CRC-32C, turned and shifted so that sums of sums are safe.
fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// An event in its frame: length, sum of that, event, sum of it.
pub fn framed(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    [&length[..], &masked(&length).to_le_bytes(), event, &masked(event).to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    /// The check value of CRC-32C (RFC 3720, appendix B.4: 32 bytes of zeros).
    #[test]
    fn sums_are_castagnolis() {
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
    }
}
