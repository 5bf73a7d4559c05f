/// What was written, and what of it the target had no place for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WriteReport {
    /// Conversations written.
    pub conversations: u64,
    /// Rows written: one for each conversation, or one for each turn.
    pub rows: u64,
    /// What was left out and how often, in the order in which it was first met.
    pub lost: Vec<(&'static str, u64)>,
}

impl WriteReport {
    /// Counts something that was left out.
    pub(super) fn lose(&mut self, what: &'static str, count: u64) {
        if count == 0 {
            return;
        }
        match self.lost.iter_mut().find(|(known, _)| *known == what) {
            Some((_, sum)) => *sum += count,
            None => self.lost.push((what, count)),
        }
    }

    /// Counts one thing where it is left out.
    pub(super) fn lose_if(&mut self, lost: bool, what: &'static str) {
        self.lose(what, lost.into());
    }
}
