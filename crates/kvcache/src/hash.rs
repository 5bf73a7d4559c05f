use xxhash_rust::xxh3::Xxh3;

/// The name of a full block: a hash of its token ids and of everything before it.
///
/// Equal hashes mean equal token prefixes (128 bits; collisions are not handled). The value is the
/// same on every machine and in every run: XXH3-128 over the parent's 16 bytes and the ids, all
/// little-endian.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BlockHash(pub u128);

impl BlockHash {
    /// The parent of the first block of a sequence without a salt.
    pub const ROOT: Self = Self(0);

    /// The parent of the first block of a sequence with a `salt`: a name space of its own, whose
    /// blocks never equal those of another salt or of none. `None` gives [`Self::ROOT`].
    pub fn root(salt: Option<&str>) -> Self {
        salt.map_or(Self::ROOT, |salt| {
            let mut hasher = Xxh3::with_seed(1);
            hasher.update(salt.as_bytes());
            Self(hasher.digest128())
        })
    }

    /// The hash of the block with these `tokens` that follows the block `self`.
    #[must_use]
    pub fn child(self, tokens: &[u32]) -> Self {
        let mut hasher = Xxh3::new();
        hasher.update(&self.0.to_le_bytes());
        let mut bytes = [0_u8; 256];
        for part in tokens.chunks(bytes.len() / 4) {
            for (place, token) in bytes.chunks_exact_mut(4).zip(part) {
                place.copy_from_slice(&token.to_le_bytes());
            }
            hasher.update(&bytes[..part.len() * 4]);
        }
        Self(hasher.digest128())
    }

    /// Its name in a replay of accesses: half of the hash. Of ten million blocks two share a name with a
    /// probability of 3 in a million.
    pub const fn name(self) -> u64 {
        self.0 as u64
    }

    /// The names of all full blocks of `block_tokens` tokens each, chained from `self` on.
    pub fn names(self, tokens: &[u32], block_tokens: u32) -> Vec<u64> {
        let blocks = tokens.chunks_exact(block_tokens.max(1) as usize);
        let chained = blocks.scan(self, |parent, block| {
            *parent = parent.child(block);
            Some(parent.name())
        });
        chained.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::BlockHash;

    #[test]
    fn a_block_depends_on_everything_before_it() {
        let tokens: Vec<u32> = (0..200).collect();
        let first = BlockHash::ROOT.child(&tokens);
        assert_eq!(first, BlockHash::ROOT.child(&tokens));
        assert_ne!(first, first.child(&tokens));
        assert_ne!(first, BlockHash::ROOT.child(&tokens[..199]));
    }

    #[test]
    fn salts_are_separate_name_spaces() {
        let [none, a, b] = [None, Some("A"), Some("B")].map(BlockHash::root);
        assert_eq!(none, BlockHash::ROOT);
        assert!(none != a && a != b && none.child(&[1]) != a.child(&[1]));
    }

    #[test]
    fn the_value_is_fixed_for_ever() {
        let expect = xxhash_rust::xxh3::xxh3_128(
            &[[0_u8; 16].as_slice(), &[1, 0, 0, 0], &[0, 1, 0, 0]].concat(),
        );
        assert_eq!(BlockHash::ROOT.child(&[1, 256]), BlockHash(expect));
    }
}
