use turnbench_model::Conversation;
use turnbench_random::PythonStream;

/// Which of the conversations that pass the filters are taken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Selection {
    /// Every one.
    #[default]
    All,
    /// The first ones; the file is read no further.
    First(usize),
    /// Each with the same chance; the whole file is read, once.
    Sample {
        /// How many.
        count: usize,
        /// Seed of the draw.
        seed: u64,
    },
}

/// A sample of a stream of unknown length in one pass (Vitter, "Random sampling with a reservoir",
/// ACM TOMS 11(1), 1985, algorithm R).
pub(super) struct Reservoir {
    count: usize,
    seen: u64,
    stream: PythonStream,
    taken: Vec<(u64, Conversation)>,
}

impl Reservoir {
    pub(super) fn new(count: usize, seed: u64) -> Self {
        Self { count, seen: 0, stream: PythonStream::new(seed), taken: Vec::new() }
    }

    /// Takes a conversation, or not; the id of the one that is out for good, if one is.
    pub(super) fn offer(&mut self, conversation: Conversation) -> Option<String> {
        let number = self.seen;
        self.seen += 1;
        if self.taken.len() < self.count {
            self.taken.push((number, conversation));
            return None;
        }
        let place = self.stream.below(self.seen);
        let slot = usize::try_from(place).ok().and_then(|place| self.taken.get_mut(place));
        let Some(slot) = slot else { return Some(conversation.id) };
        Some(std::mem::replace(slot, (number, conversation)).1.id)
    }

    /// The sample, in the order of the stream.
    pub(super) fn into_sample(mut self) -> Vec<Conversation> {
        self.taken.sort_by_key(|(number, _)| *number);
        self.taken.into_iter().map(|(_, conversation)| conversation).collect()
    }
}
