use crate::{BlockHash, BlockId};

/// Room made for the tail at once; tails of larger blocks grow.
const TAIL_RESERVE_MAX: u32 = 256;

/// The tokens of one sequence, as far as the cache cares: names of its full blocks, and the blocks
/// it holds.
///
/// **Invariant:** `filled <= blocks.len()` and `filled <= hashes.len()`: only blocks that are held
/// and whose ids are all known have a name in the pool.
#[derive(Clone, Debug)]
pub struct BlockTable {
    block_size: u32,
    root: BlockHash,
    /// Ids after the last full block; fewer than `block_size`.
    tail: Vec<u32>,
    pub(crate) hashes: Vec<BlockHash>,
    pub(crate) blocks: Vec<BlockId>,
    /// Leading blocks that are named in the pool (by this sequence, or found there).
    pub(crate) filled: usize,
}

impl BlockTable {
    pub(crate) fn new(block_size: u32, salt: Option<&str>) -> Self {
        Self {
            block_size,
            root: BlockHash::root(salt),
            tail: Vec::with_capacity(block_size.min(TAIL_RESERVE_MAX) as usize),
            hashes: Vec::new(),
            blocks: Vec::new(),
            filled: 0,
        }
    }

    /// Appends a known token.
    pub fn push(&mut self, token: u32) {
        self.tail.push(token);
        if self.tail.len() == self.block_size as usize {
            let parent = self.hashes.last().copied().unwrap_or(self.root);
            self.hashes.push(parent.child(&self.tail));
            self.tail.clear();
        }
    }

    /// Appends known tokens.
    pub fn push_all(&mut self, tokens: &[u32]) {
        self.hashes.reserve(tokens.len() / self.block_size as usize + 1);
        for token in tokens {
            self.push(*token);
        }
    }

    /// Known tokens.
    pub fn token_count(&self) -> u64 {
        self.hashes.len() as u64 * u64::from(self.block_size) + self.tail.len() as u64
    }

    /// Names of the full blocks of the known tokens, first block first.
    pub fn hashes(&self) -> &[BlockHash] {
        &self.hashes
    }

    /// Blocks held, first block first.
    pub fn blocks(&self) -> &[BlockId] {
        &self.blocks
    }
}
