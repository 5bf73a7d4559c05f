use rustc_hash::FxHashMap;
use turnbench_kvcache::BlockHash;

/// The numbers by which blocks go out.
///
/// Blocks that have names in the trace keep them; others are numbered from 0 in the order in which
/// they are first met. One output has one kind of names, for the two would mean each other's
/// blocks: whichever comes first.
#[derive(Debug, Default)]
pub(super) enum BlockNames {
    /// No block was met yet.
    #[default]
    Undecided,
    /// Names are those of the trace.
    Kept,
    /// Names are numbers; by hash of the block and everything before it.
    Numbered(FxHashMap<u128, u64>),
}

impl BlockNames {
    /// Takes over the names of a trace. After blocks that were numbered these are numbered too,
    /// which keeps what is the same and what is not.
    pub(super) fn keep(&mut self, ids: &[u64]) -> Vec<u64> {
        if let Self::Numbered(numbers) = self {
            let root = recorded_root();
            return ids.iter().map(|&id| number(numbers, root.child(&halves(id)))).collect();
        }
        *self = Self::Kept;
        ids.to_vec()
    }

    /// Numbers blocks; `None` after names that were kept.
    pub(super) fn number(
        &mut self,
        blocks: impl IntoIterator<Item = BlockHash>,
    ) -> Option<Vec<u64>> {
        if matches!(self, Self::Undecided) {
            *self = Self::Numbered(FxHashMap::default());
        }
        let Self::Numbered(numbers) = self else { return None };
        Some(blocks.into_iter().map(|block| number(numbers, block)).collect())
    }
}

fn number(numbers: &mut FxHashMap<u128, u64>, block: BlockHash) -> u64 {
    let next = numbers.len() as u64;
    *numbers.entry(block.0).or_insert(next)
}

/// Blocks of which the trace has only names never equal blocks of tokens.
fn recorded_root() -> BlockHash {
    BlockHash::root(Some("names of a trace"))
}

const fn halves(id: u64) -> [u32; 2] {
    [id as u32, (id >> 32) as u32]
}

/// Joins the blocks of a trace to larger ones, `ratio` (1 or more) of them each. The last may have
/// fewer.
pub(super) fn joined(ids: &[u64], ratio: usize) -> Vec<BlockHash> {
    let parts = ids.chunks(ratio.max(1));
    parts
        .scan(recorded_root(), |parent, part| {
            let part: Vec<u32> = part.iter().copied().flat_map(halves).collect();
            *parent = parent.child(&part);
            Some(*parent)
        })
        .collect()
}

/// A growing run of tokens, taken apart into blocks.
#[derive(Debug)]
pub(super) struct BlockChain {
    block_size: usize,
    blocks: Vec<BlockHash>,
    /// Tokens after the last full block.
    rest: Vec<u32>,
}

/// A prompt as a part of a [`BlockChain`].
#[derive(Clone, Copy, Debug)]
pub(super) struct PromptBlocks {
    full: usize,
    last: Option<BlockHash>,
    /// Its tokens.
    pub(super) tokens: u64,
}

impl BlockChain {
    /// An empty one of blocks of so many tokens, 1 or more.
    pub(super) fn new(block_size: u32) -> Self {
        let block_size = block_size.max(1) as usize;
        Self { block_size, blocks: Vec::new(), rest: Vec::new() }
    }

    /// Whether nothing has been pushed.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.rest.is_empty()
    }

    pub(super) fn push(&mut self, tokens: &[u32]) {
        self.rest.extend_from_slice(tokens);
        let full = self.rest.len() / self.block_size * self.block_size;
        for block in self.rest[..full].chunks(self.block_size) {
            let parent = self.blocks.last().copied().unwrap_or(BlockHash::ROOT);
            self.blocks.push(parent.child(block));
        }
        self.rest.drain(..full);
    }

    /// What has been pushed so far. A last block that is not full has a name of its own.
    pub(super) fn prompt(&self) -> PromptBlocks {
        let parent = self.blocks.last().copied().unwrap_or(BlockHash::ROOT);
        PromptBlocks {
            full: self.blocks.len(),
            last: (!self.rest.is_empty()).then(|| parent.child(&self.rest)),
            tokens: (self.blocks.len() * self.block_size + self.rest.len()) as u64,
        }
    }

    /// The blocks of a prompt of this chain.
    pub(super) fn blocks(&self, prompt: PromptBlocks) -> impl Iterator<Item = BlockHash> {
        self.blocks.iter().take(prompt.full).copied().chain(prompt.last)
    }
}

#[cfg(test)]
mod tests {
    use super::{BlockChain, BlockNames, joined};

    #[test]
    fn numbers_begin_at_zero_and_stay() {
        let mut names = BlockNames::default();
        let mut chain = BlockChain::new(2);
        chain.push(&[1, 2, 3]);
        let first = chain.prompt();
        chain.push(&[4, 5]);
        let second = chain.prompt();
        assert_eq!((first.tokens, second.tokens), (3, 5));
        assert_eq!(names.number(chain.blocks(first)).unwrap(), [0, 1]);
        // The partial block became another, full one.
        assert_eq!(names.number(chain.blocks(second)).unwrap(), [0, 2, 3]);
        let mut other = BlockChain::new(2);
        other.push(&[3, 4]);
        assert_eq!(names.number(other.blocks(other.prompt())).unwrap(), [4]);
        assert_eq!(names.keep(&[0, 7, 0]), [5, 6, 5]);
    }

    #[test]
    fn kept_names_leave_no_room_for_numbers() {
        let mut names = BlockNames::default();
        assert_eq!(names.keep(&[7, 7, 0]), [7, 7, 0]);
        assert_eq!(names.number(joined(&[1], 1)), None);
    }

    #[test]
    fn joined_blocks_are_the_same_where_everything_before_is() {
        let mut names = BlockNames::default();
        assert_eq!(names.number(joined(&[1, 2, 3, 4, 5], 2)).unwrap(), [0, 1, 2]);
        assert_eq!(names.number(joined(&[1, 2, 3, 4, 5, 6], 2)).unwrap(), [0, 1, 3]);
        assert_eq!(names.number(joined(&[3, 4], 2)).unwrap(), [4]);
    }

    #[test]
    fn pushes_of_any_length_give_the_same_blocks() {
        let tokens: Vec<u32> = (0..100).collect();
        let mut whole = BlockChain::new(8);
        whole.push(&tokens);
        let mut parts = BlockChain::new(8);
        tokens.chunks(3).for_each(|part| parts.push(part));
        let blocks = |chain: &BlockChain| chain.blocks(chain.prompt()).collect::<Vec<_>>();
        assert_eq!(blocks(&whole), blocks(&parts));
        assert_eq!(blocks(&whole).len(), 13);
    }
}
