use std::hash::{BuildHasher, Hasher};

/// A map by block name. Its order is never looked at.
#[allow(
    clippy::disallowed_types,
    reason = "fixed hasher, and iterated only where the order cannot reach output"
)]
pub(crate) type KeyMap<V> = std::collections::HashMap<u64, V, MixedKeys>;

/// A set of block names. Its order is never looked at.
#[allow(clippy::disallowed_types, reason = "fixed hasher, and never iterated")]
pub(crate) type KeySet = std::collections::HashSet<u64, MixedKeys>;

/// A well-mixed 64-bit hash of a block's name, the same on every machine and in every run.
///
/// The finalizer of `SplitMix64` (Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014): each bit of the result depends on all bits of the name.
pub(crate) const fn mixed(name: u64) -> u64 {
    let name = name.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let name = (name ^ (name >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let name = (name ^ (name >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    name ^ (name >> 31)
}

/// Builds hashers of names.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MixedKeys;

impl BuildHasher for MixedKeys {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(0)
    }
}

/// Hashes one name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, name: u64) {
        self.0 = mixed(self.0 ^ name);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
