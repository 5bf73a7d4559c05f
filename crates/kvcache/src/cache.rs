use crate::{BlockPool, BlockTable, KvEvent};

/// Size and kind of a cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KvCacheOptions {
    /// Tokens of a block; at least 1.
    pub block_size: u32,
    /// Blocks, the reserved one included; at least 1.
    pub block_count: u32,
    /// Off: nothing is ever found or named.
    pub prefix_caching: bool,
}

/// The cache as a scheduler sees it: look up, admit, grow, release.
///
/// **Invariant:** every block that a table holds has been counted once in the pool for it, from
/// [`Self::admit`] or [`Self::grow`] until [`Self::release`].
#[derive(Debug)]
pub struct KvCache {
    options: KvCacheOptions,
    pool: BlockPool,
}

impl KvCache {
    /// An empty cache. Zero sizes count as 1.
    pub fn new(options: KvCacheOptions) -> Self {
        let options = KvCacheOptions { block_size: options.block_size.max(1), ..options };
        Self { options, pool: BlockPool::new(options.block_count) }
    }

    /// The blocks.
    pub const fn pool(&self) -> &BlockPool {
        &self.pool
    }

    /// A sequence without tokens, in the name space of `salt`, for use with this cache only.
    pub fn table(&self, salt: Option<&str>) -> BlockTable {
        BlockTable::new(self.options.block_size, salt)
    }

    /// Leading blocks of the known tokens that are present. The last token is never found: it must
    /// be computed to have something to sample from, so a sequence of exactly k blocks finds at
    /// most k - 1 (recorded: vLLM 0.32).
    pub fn hit_blocks(&self, table: &BlockTable) -> usize {
        if !self.options.prefix_caching {
            return 0;
        }
        table
            .hashes
            .iter()
            .take(self.findable_blocks(table))
            .take_while(|hash| self.pool.lookup(**hash).is_some())
            .count()
    }

    /// Leading blocks of the known tokens that could be found at all: those without the last token.
    pub fn findable_blocks(&self, table: &BlockTable) -> usize {
        (table.token_count().saturating_sub(1) / u64::from(self.options.block_size)) as usize
    }

    /// Takes the first `hit_blocks` blocks (from [`Self::hit_blocks`], with nothing done in
    /// between) for a sequence that holds none, provided that the free blocks cover *all* its known
    /// tokens; a hit that lies in the free queue uses one up. False, and nothing changed, if not.
    pub fn admit(&mut self, table: &mut BlockTable, hit_blocks: usize) -> bool {
        let hits = table.hashes.get(..hit_blocks).unwrap_or_default();
        let idle = hits
            .iter()
            .filter(|hash| self.pool.lookup(**hash).is_some_and(|id| !self.pool.is_used(id)))
            .count();
        let total = self.blocks_for(table.token_count());
        if total.saturating_sub(hits.len()) + idle > self.pool.free_count() as usize {
            return false;
        }
        for hash in hits {
            if let Some(id) = self.pool.lookup(*hash) {
                self.pool.touch(id);
                table.blocks.push(id);
            }
        }
        table.filled = table.blocks.len();
        true
    }

    /// Makes the table cover its first `computed_tokens` tokens and names the blocks that are full
    /// by then. False, and nothing changed, if there are not enough free blocks.
    pub fn grow(&mut self, table: &mut BlockTable, computed_tokens: u64) -> bool {
        if !self.cover(table, computed_tokens) {
            return false;
        }
        if self.options.prefix_caching {
            let full = (computed_tokens / u64::from(self.options.block_size)) as usize;
            while table.filled < full.min(table.hashes.len()) {
                self.pool.fill(table.blocks[table.filled], table.hashes[table.filled]);
                table.filled += 1;
            }
        }
        true
    }

    /// Makes the table cover all its known tokens without naming a block: for a sequence whose blocks
    /// come from elsewhere. [`Self::grow`] names them when they are there. False, and nothing
    /// changed, if there are not enough free blocks.
    pub fn reserve(&mut self, table: &mut BlockTable) -> bool {
        self.cover(table, table.token_count())
    }

    /// Gives back all blocks of the sequence, last block first; its known tokens stay.
    pub fn release(&mut self, table: &mut BlockTable) {
        for id in table.blocks.drain(..).rev() {
            self.pool.release(id);
        }
        table.filled = 0;
    }

    /// Forgets everything, if no sequence holds a block; says whether it did.
    pub fn reset(&mut self) -> bool {
        self.pool.reset()
    }

    /// Starts the log of events; it grows until drained.
    pub fn record_events(&mut self) {
        self.pool.record_events();
    }

    /// Moves the events since the last call to the end of `events`.
    pub fn drain_events(&mut self, events: &mut Vec<KvEvent>) {
        self.pool.drain_events(events);
    }

    fn cover(&mut self, table: &mut BlockTable, tokens: u64) -> bool {
        let missing = self.blocks_for(tokens).saturating_sub(table.blocks.len());
        if missing > self.pool.free_count() as usize {
            return false;
        }
        table.blocks.extend((0..missing).map_while(|_| self.pool.allocate()));
        true
    }

    fn blocks_for(&self, tokens: u64) -> usize {
        tokens.div_ceil(u64::from(self.options.block_size)) as usize
    }
}
