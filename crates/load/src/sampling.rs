use std::collections::VecDeque;

use turnbench_model::{Compat, Sampling};

use crate::course::Course;
use crate::streams::Streams;

/// A client's open conversations and how it picks among them.
#[derive(Debug)]
pub(crate) enum OpenSet {
    /// First in, first out: conversations take turns in the order in which they were opened, and
    /// a newly opened one waits its turn behind the others.
    Fifo(VecDeque<Course>),
    /// The reference's round robin: a newly opened conversation is used at once (so the first
    /// round goes from the last to the first), afterwards they take turns.
    NewestFirst(VecDeque<Course>),
    /// Uniformly at random, in the order in which they were opened. Closing one is linear in the
    /// number of the client's open conversations (a move of 16 bytes each).
    Random {
        /// Opened and not closed.
        open: Vec<Course>,
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

    pub(crate) fn open(&mut self, course: Course) {
        match self {
            Self::Fifo(queue) | Self::NewestFirst(queue) => queue.push_back(course),
            Self::Random { open, .. } => open.push(course),
        }
    }

    /// Takes one out, until it is put back or closed.
    pub(crate) fn pick(&mut self, streams: &mut Streams) -> Option<Course> {
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
    pub(crate) fn put_back(&mut self, course: Course) {
        match self {
            Self::Fifo(queue) => queue.push_back(course),
            Self::NewestFirst(queue) => queue.push_front(course),
            Self::Random { open, picked } => {
                if let Some(place) = open.get_mut(*picked) {
                    *place = course;
                }
            }
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

    /// Gives all of them away; one that is picked must have been closed.
    pub(crate) fn drain_into(&mut self, courses: &mut Vec<Course>) {
        match self {
            Self::Fifo(queue) | Self::NewestFirst(queue) => courses.extend(queue.drain(..)),
            Self::Random { open, .. } => courses.append(open),
        }
    }
}
