//! The printable spelling of bytes that byte-level vocabularies are written in.
//!
//! A `tokenizer.json` cannot hold raw bytes, so each byte has a character: itself where it is printable
//! in Latin-1, else one from U+0100 on, in order of the bytes left over.

/// The character of each byte.
pub(crate) fn byte_characters() -> [char; 256] {
    let mut characters = ['\0'; 256];
    let mut spare = 0x100;
    for byte in 0..=255u8 {
        characters[byte as usize] = match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => byte as char,
            _ => {
                let character = char::from_u32(spare).unwrap_or('\u{fffd}');
                spare += 1;
                character
            }
        };
    }
    characters
}

/// From characters back to bytes.
pub(crate) struct Alphabet {
    /// Byte + 1 for each character below U+0144; 0: none.
    bytes: [u16; 0x144],
}

impl Alphabet {
    pub(crate) fn new() -> Self {
        let mut bytes = [0; 0x144];
        for (byte, character) in byte_characters().into_iter().enumerate() {
            if let Some(slot) = bytes.get_mut(character as usize) {
                *slot = byte as u16 + 1;
            }
        }
        Alphabet { bytes }
    }

    /// The byte that a character spells.
    pub(crate) fn byte(&self, character: char) -> Option<u8> {
        match self.bytes.get(character as usize) {
            Some(&found) if found > 0 => Some((found - 1) as u8),
            _ => None,
        }
    }

    /// The bytes that a word of the vocabulary spells; `None` if it is not byte-level.
    pub(crate) fn decode(&self, word: &str) -> Option<Vec<u8>> {
        word.chars().map(|character| self.byte(character)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_own_character() {
        let alphabet = Alphabet::new();
        for (byte, character) in byte_characters().into_iter().enumerate() {
            assert_eq!(alphabet.byte(character), Some(byte as u8));
        }
        assert_eq!(byte_characters()[b' ' as usize], 'Ġ');
        assert_eq!(byte_characters()[b'\n' as usize], 'Ċ');
        assert_eq!(byte_characters()[0xad], 'Ń');
        assert_eq!(alphabet.decode("Ġa"), Some(b" a".to_vec()));
        assert_eq!(alphabet.decode("日"), None);
    }
}
