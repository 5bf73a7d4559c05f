//! Tier hits against a slow, plain model: lists of block names, one request after the other.

use std::sync::Arc;

use proptest::prelude::*;
use turnbench_model::Nanos;
use turnbench_simserver::engine::{
    Engine, EngineEvent, EngineOptions, EngineRequest, ReplaySource, TierKind, TierOptions,
};

const BLOCK_SIZE: u32 = 4;
/// Time between requests: every store is done by then.
const PAUSE_NS: u64 = 1_000_000_000;

/// A block by what it is of: the prompt's family and the place in it. Prompts of one family have the
/// same beginning.
type Block = (u32, u32);

/// Blocks in the order of their use, the oldest first.
#[derive(Default)]
struct PlainTier {
    capacity: usize,
    blocks: Vec<Block>,
}

impl PlainTier {
    fn touch(&mut self, sequence: &[Block]) {
        for block in sequence.iter().rev() {
            if let Some(place) = self.blocks.iter().position(|other| other == block) {
                self.blocks.remove(place);
                self.blocks.push(*block);
            }
        }
    }

    fn store(&mut self, sequence: &[Block]) {
        self.touch(sequence);
        for block in sequence {
            if self.blocks.contains(block) {
                continue;
            }
            if self.blocks.len() == self.capacity {
                let victim = self.blocks.iter().position(|other| !sequence.contains(other));
                let Some(victim) = victim else { break };
                self.blocks.remove(victim);
            }
            self.blocks.push(*block);
        }
        self.touch(sequence);
    }
}

/// The device: a queue of free blocks, the next to be reused first; `None` holds nothing.
struct PlainDevice(Vec<Option<Block>>);

impl PlainDevice {
    /// Takes the hits out and the rest from the front; afterwards the unnamed last block goes to the
    /// front and the others to the back, tail first.
    fn run(&mut self, sequence: &[Block], hit_count: usize, block_count: usize) {
        for hit in &sequence[..hit_count] {
            let place = self.0.iter().position(|block| block.as_ref() == Some(hit)).unwrap();
            self.0.remove(place);
        }
        self.0.drain(..block_count - hit_count);
        for _ in sequence.len()..block_count {
            self.0.insert(0, None);
        }
        self.0.extend(sequence.iter().rev().map(|block| Some(*block)));
    }
}

/// Tokens of each request found on the device and in each tier.
fn plain(options: &EngineOptions, load: &[(u32, u32)]) -> Vec<[u32; 4]> {
    let mut device = PlainDevice(vec![None; options.kv_blocks as usize - 1]);
    let mut tiers: Vec<PlainTier> = options
        .tiers
        .iter()
        .map(|tier| PlainTier { capacity: options.tier_blocks(tier) as usize, blocks: Vec::new() })
        .collect();
    let mut found = Vec::new();
    for (family, len) in load {
        let sequence: Vec<Block> = (0..len / BLOCK_SIZE).map(|place| (*family, place)).collect();
        let mut tokens = [0; 4];
        let mut on_device = 0;
        for block in &sequence {
            if tokens[1..] == [0; 3] && device.0.contains(&Some(*block)) {
                tokens[0] += BLOCK_SIZE;
                on_device += 1;
                continue;
            }
            let tier = tiers.iter().position(|tier| tier.blocks.contains(block));
            let Some(tier) = tier else { break };
            tokens[tier + 1] += BLOCK_SIZE;
        }
        device.run(&sequence, on_device, len.div_ceil(BLOCK_SIZE) as usize);
        for tier in &mut tiers {
            tier.touch(&sequence);
            tier.store(&sequence);
        }
        found.push(tokens);
    }
    found
}

fn simulated(options: &EngineOptions, load: &[(u32, u32)]) -> Vec<[u32; 4]> {
    let mut engine = Engine::new(options.clone()).unwrap();
    let mut events = Vec::new();
    for (number, (family, len)) in load.iter().enumerate() {
        let prompt: Vec<u32> = (0..*len).map(|place| family * 1000 + place).collect();
        let answer = Box::new(ReplaySource::new(vec![1]));
        let at = Nanos(number as u64 * PAUSE_NS);
        engine.submit(EngineRequest::new(Arc::from(prompt), 1, answer), at).unwrap();
        engine.advance(at + Nanos(PAUSE_NS - 1), &mut events);
    }
    let admitted = events.iter().filter_map(|event| match event {
        EngineEvent::Admitted { cached_tokens, tier_tokens: [a, b, c], .. } => {
            Some([cached_tokens - a - b - c, *a, *b, *c])
        }
        _ => None,
    });
    admitted.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_token_comes_from_where_a_plain_model_finds_it(
        device_blocks in 10_u32..30,
        tier_blocks in prop::collection::vec(1_u64..40, 1..4),
        // Never whole blocks only: a last block that is computed again would be there twice.
        load in prop::collection::vec((0_u32..6, (0_u32..9, 1_u32..4)), 1..60),
    ) {
        let tier = |(kind, blocks): (TierKind, &u64)| TierOptions::new(kind, blocks * 4000, 1e9);
        let options = EngineOptions {
            block_size: BLOCK_SIZE,
            kv_blocks: device_blocks + 1,
            max_model_len: device_blocks * BLOCK_SIZE,
            prefill_tokens_per_sec: 1e6,
            kv_bytes_per_token: 1000,
            tiers: TierKind::ALL.into_iter().zip(&tier_blocks).map(tier).collect(),
            ..EngineOptions::default()
        };
        let load: Vec<(u32, u32)> =
            load.iter().map(|(family, (blocks, more))| (*family, blocks * BLOCK_SIZE + more)).collect();
        prop_assert_eq!(simulated(&options, &load), plain(&options, &load));
    }
}
