use std::collections::VecDeque;

use turnbench_model::{Compat, Sampling};

use crate::streams::Streams;

/// A client's open conversations and how it picks among them.
#[derive(Debug)]
pub(crate) enum OpenSet {
    /// First in, first out: conversations take turns in the order in which they were opened, and
    /// a newly opened one waits its turn behind the others.
    Fifo(VecDeque<u32>),
    /// The reference's round robin: a newly opened conversation is used at once (so the first
    /// round goes from the last to the first), afterwards they take turns.
    NewestFirst(VecDeque<u32>),
    /// Uniformly at random, in the order in which they were opened. Closing one is linear in the
    /// number of the client's open conversations (a move of 4 bytes each).
    Random {
        /// Opened and not closed.
        open: Vec<u32>,
        /// Index of the last one picked.
        picked: usize,
    },
}

impl OpenSet {
    pub(crate) fn new(sampling: Sampling, compat: Compat) -> Self {
        match (sampling, compat) {
            (Sampling::Random, _) => Self::Random { open: Vec::new(), picked: 0 },
            (Sampling::RoundRobin, Compat::None) => Self::Fifo(VecDeque::new()),
            (Sampling::RoundRobin, Compat::Vllm) => Self::NewestFirst(VecDeque::new()),
        }
    }

    /// Open conversations; the picked one is not counted unless sampling is random.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Fifo(queue) | Self::NewestFirst(queue) => queue.len(),
            Self::Random { open, .. } => open.len(),
        }
    }

    pub(crate) fn open(&mut self, conversation: u32) {
        match self {
            Self::Fifo(queue) | Self::NewestFirst(queue) => queue.push_back(conversation),
            Self::Random { open, .. } => open.push(conversation),
        }
    }

    /// Takes one out, until it is put back or closed.
    pub(crate) fn pick(&mut self, streams: &mut Streams) -> Option<u32> {
        match self {
            Self::Fifo(queue) => queue.pop_front(),
            Self::NewestFirst(queue) => queue.pop_back(),
            Self::Random { open, picked } => {
                if open.is_empty() {
                    return None;
                }
                let index = streams.choice.as_mut().map_or(0, |s| s.below(open.len() as u64));
                *picked = index as usize;
                open.get(*picked).copied()
            }
        }
    }

    /// Puts the picked one back.
    pub(crate) fn put_back(&mut self, conversation: u32) {
        match self {
            Self::Fifo(queue) => queue.push_back(conversation),
            Self::NewestFirst(queue) => queue.push_front(conversation),
            Self::Random { .. } => {}
        }
    }

    /// Drops the picked one for good.
    pub(crate) fn close_picked(&mut self) {
        match self {
            Self::Fifo(_) | Self::NewestFirst(_) => {}
            Self::Random { open, picked } => {
                if *picked < open.len() {
                    open.remove(*picked);
                }
            }
        }
    }
}
