//! As much of the protocol-buffer wire format as event files need: the fields of a message, one after the
//! other (protobuf.dev, "Encoding").

/// What a field holds, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

impl<'a> Value<'a> {
    /// A message, a string or packed numbers.
    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A string; what is no UTF-8 is replaced.
    pub(super) fn text(self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

/// The fields of a message: number and value. Ends with `None` in place of a field that is no field.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// The fields of some bytes.
pub(super) fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { rest: bytes }
}

/// The last field of a number that a message has, as readers are told to take it.
pub(super) fn field(bytes: &[u8], number: u64) -> Option<Value<'_>> {
    fields(bytes).map_while(|field| field).filter(|(n, _)| *n == number).map(|(_, value)| value).last()
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = varint(&mut self.rest)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => Value::Fixed64(self.fixed()?),
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(self.fixed()?),
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }
}

/// An integer in groups of seven bits, the lowest first; at most ten of them.
pub(super) fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification_are_read() {
        // Field 1 is 150; field 2 is "testing".
        let all: Vec<_> = fields(b"\x08\x96\x01\x12\x07testing").map(Option::unwrap).collect();
        assert_eq!(all, [(1, Value::Varint(150)), (2, Value::Bytes(b"testing"))]);
        assert_eq!(field(b"\x08\x01\x08\x02", 1), Some(Value::Varint(2)));
    }

    #[test]
    fn what_is_cut_off_or_unknown_ends_the_fields() {
        for bytes in [
            &b"\x08"[..],
            b"\x12\x07test",
            b"\x0b",
            b"\x09\x00",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(fields(bytes).collect::<Vec<_>>(), [None], "{bytes:?}");
        }
    }
}
