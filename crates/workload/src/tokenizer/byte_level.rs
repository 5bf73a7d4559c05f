/// The bytes that a token of a byte-level vocabulary stands for.
///
/// Such a vocabulary spells each byte as one printable character (GPT-2's table): bytes that are
/// printable in Latin-1 as themselves, all others in order from U+0100 on. A token with any other
/// character is not spelled so (an added token) and stands for its own UTF-8 bytes, as in the
/// tokenizers library.
pub(super) fn token_bytes(token: &str) -> Vec<u8> {
    token.chars().map(byte_of).collect::<Option<_>>().unwrap_or_else(|| token.as_bytes().to_vec())
}

fn byte_of(character: char) -> Option<u8> {
    match u32::from(character) {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(code as u8),
        code @ 0x100..=0x120 => Some((code - 0x100) as u8),
        code @ 0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{byte_of, token_bytes};

    #[test]
    fn every_byte_has_exactly_one_character() {
        let bytes: Vec<u8> = (0..0x200).filter_map(char::from_u32).filter_map(byte_of).collect();
        assert_eq!(bytes.len(), 256);
        assert_eq!(bytes.iter().collect::<BTreeSet<_>>().len(), 256);
        assert_eq!(byte_of('Ġ'), Some(b' '));
        assert_eq!(byte_of('Ċ'), Some(b'\n'));
    }

    #[test]
    fn tokens_with_other_characters_stand_for_themselves() {
        assert_eq!(token_bytes("Ġthe"), b" the");
        assert_eq!(token_bytes("Ã©"), "é".as_bytes());
        assert_eq!(token_bytes("a b"), b"a b");
        assert_eq!(token_bytes("漢"), "漢".as_bytes());
    }
}
