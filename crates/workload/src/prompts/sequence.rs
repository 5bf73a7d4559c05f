use turnbench_kvcache::BlockHash;

/// The names of a run of tokens' full blocks, for one block size.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) block_size: u32,
    pub(crate) blocks: Vec<BlockHash>,
}

/// Tokens that one or several requests of a conversation have in common: each prompt is the
/// beginning of it, and goes on with its answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequence {
    /// One for each block size, ascending.
    pub(crate) chains: Vec<Chain>,
}

/// Takes tokens in, names their blocks and forgets them.
#[derive(Debug)]
pub(crate) struct SequenceBuilder {
    chains: Vec<Chain>,
    /// Tokens after the last full block, for each chain.
    tails: Vec<Vec<u32>>,
    tokens: u64,
}

impl SequenceBuilder {
    pub(crate) fn new(block_sizes: &[u32]) -> Self {
        let chain = |&block_size: &u32| Chain { block_size, blocks: Vec::new() };
        Self {
            chains: block_sizes.iter().map(chain).collect(),
            tails: vec![Vec::new(); block_sizes.len()],
            tokens: 0,
        }
    }

    pub(crate) fn push_all(&mut self, tokens: &[u32]) {
        self.tokens += tokens.len() as u64;
        for (chain, tail) in self.chains.iter_mut().zip(&mut self.tails) {
            let size = chain.block_size as usize;
            let mut rest = tokens;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(size - tail.len()));
                tail.extend_from_slice(now);
                rest = later;
                if tail.len() == size {
                    let block = chain.parent().child(tail);
                    chain.blocks.push(block);
                    tail.clear();
                }
            }
        }
    }

    pub(crate) const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The name of the partial last block of each chain; `None` where the last block is full.
    pub(crate) fn tails(&self) -> Vec<Option<BlockHash>> {
        let name = |(chain, tail): (&Chain, &Vec<u32>)| {
            (!tail.is_empty()).then(|| chain.parent().child(tail))
        };
        self.chains.iter().zip(&self.tails).map(name).collect()
    }

    pub(crate) fn finish(self) -> Sequence {
        Sequence { chains: self.chains }
    }
}

impl Chain {
    /// The block that the next one follows.
    pub(crate) fn parent(&self) -> BlockHash {
        self.blocks.last().copied().unwrap_or(BlockHash::ROOT)
    }
}

#[cfg(test)]
mod tests {
    use turnbench_kvcache::BlockHash;

    use super::SequenceBuilder;

    #[test]
    fn blocks_do_not_depend_on_how_tokens_arrive() {
        let tokens: Vec<u32> = (0..23).collect();
        let build = |pieces: &[&[u32]]| {
            let mut builder = SequenceBuilder::new(&[1, 4, 32]);
            for piece in pieces {
                builder.push_all(piece);
            }
            let tails = builder.tails();
            (builder.tokens(), tails, builder.finish().chains.into_iter().map(|one| one.blocks))
        };
        let (count, tails, whole) = build(&[&tokens]);
        let whole: Vec<_> = whole.collect();
        for at in 0..=tokens.len() {
            let (_, cut_tails, cut) = build(&[&tokens[..at], &[], &tokens[at..]]);
            assert_eq!((cut_tails, cut.collect::<Vec<_>>()), (tails.clone(), whole.clone()));
        }
        assert_eq!((count, whole[0].len(), whole[1].len(), whole[2].len()), (23, 23, 5, 0));
        assert_eq!(whole[1][0], BlockHash::ROOT.child(&[0, 1, 2, 3]));
        assert_eq!(tails[0], None);
        assert_eq!(tails[1], Some(whole[1][4].child(&[20, 21, 22])));
    }
}
