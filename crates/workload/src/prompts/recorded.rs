use turnbench_kvcache::BlockHash;
use turnbench_model::{Conversation, RecordedTurn};

use super::facts::{ConversationFacts, RequestFacts, turns_count};
use super::sequence::{Chain, Sequence};

/// The facts of a conversation as far as they are recorded: lengths, and in traces the names of
/// blocks.
///
/// Names are chained, so that a block is the same only after the same blocks, as for a cache.
pub(crate) fn recorded_facts(index: usize, conversation: &Conversation) -> ConversationFacts {
    let mut facts = ConversationFacts::default();
    let block_size = conversation.hash_block_size.filter(|&size| size > 0);
    // The last turn with names, and its full blocks.
    let mut last: Option<(usize, usize)> = None;
    for turn in 0..turns_count(conversation) {
        let recorded = conversation.recorded_turn(turn);
        let mut request = RequestFacts::recorded(index, turn, recorded);
        if let Some(recorded) = recorded {
            let prompt = prompt_tokens(recorded, block_size);
            request.sample.prompt_tokens = prompt;
            request.sample.answer_tokens = answer_tokens(recorded);
            if let (Some(block_size), Some(prompt)) = (block_size, prompt)
                && has_names(recorded)
            {
                let (chain, tail) = chain(recorded, block_size, prompt);
                if let Some(before) = last.replace((turn, chain.blocks.len()))
                    && goes_on(conversation, before, recorded, &facts, &chain)
                    && let Some(before) = facts.requests.get_mut(before.0)
                {
                    before.tails.clear();
                }
                let named = recorded.hash_ids.len() as u64 * u64::from(block_size);
                request.unnamed_tokens = prompt.saturating_sub(named);
                request.sequence = Some(facts.sequences.len());
                request.tails = vec![tail];
                facts.sequences.push(Sequence { chains: vec![chain] });
            }
        }
        facts.requests.push(request);
    }
    facts
}

/// Whether a prompt begins with all of the one before it, and goes on in its partial last block.
fn goes_on(
    conversation: &Conversation,
    (turn, full): (usize, usize),
    recorded: &RecordedTurn,
    facts: &ConversationFacts,
    chain: &Chain,
) -> bool {
    let before = facts.sequences.last().and_then(|sequence| sequence.chains.first());
    let begins = before.is_some_and(|before| chain.blocks.starts_with(&before.blocks));
    let tail = conversation.recorded_turn(turn).and_then(|turn| turn.hash_ids.get(full));
    begins
        && tail.is_some()
        && recorded.hash_ids.get(full) == tail
        && recorded.prompt_tokens > conversation.recorded_turn(turn).and_then(|it| it.prompt_tokens)
}

/// Whether what a prompt shares with others is known.
pub(crate) fn has_names(recorded: &RecordedTurn) -> bool {
    !recorded.hash_ids.is_empty()
}

fn prompt_tokens(recorded: &RecordedTurn, block_size: Option<u32>) -> Option<u64> {
    let named = block_size.filter(|_| has_names(recorded));
    let named = named.map(|size| u64::from(size) * recorded.hash_ids.len() as u64);
    recorded.prompt_tokens.map(u64::from).or(named)
}

/// The length of an answer, if it is a length and not just a limit.
fn answer_tokens(recorded: &RecordedTurn) -> Option<u64> {
    recorded.max_tokens.filter(|_| recorded.max_tokens == recorded.min_tokens).map(u64::from)
}

/// The full blocks of a prompt, and its partial last one.
fn chain(
    recorded: &RecordedTurn,
    block_size: u32,
    prompt_tokens: u64,
) -> (Chain, Option<BlockHash>) {
    let full = usize::try_from(prompt_tokens / u64::from(block_size)).unwrap_or(usize::MAX);
    let mut chain = Chain { block_size, blocks: Vec::new() };
    for &id in recorded.hash_ids.iter().take(full) {
        let block = chain.parent().child(&[id as u32, (id >> 32) as u32]);
        chain.blocks.push(block);
    }
    let rest = (prompt_tokens % u64::from(block_size)) as u32;
    let tail = recorded.hash_ids.get(full).filter(|_| rest > 0);
    let tail = tail.map(|&id| chain.parent().child(&[id as u32, (id >> 32) as u32, rest]));
    (chain, tail)
}
