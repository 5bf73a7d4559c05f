use crate::BlockHash;

/// A change of what the cache can find, in the order in which it happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KvEvent {
    /// A full block got its name. The same name may be stored again while it is there: a second
    /// copy.
    Stored(BlockHash),
    /// A copy of this block was evicted.
    Removed(BlockHash),
    /// Everything was forgotten.
    Cleared,
}
