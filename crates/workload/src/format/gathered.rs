use std::collections::VecDeque;

use super::{Item, JsonRows, Row, Source};
use crate::WorkloadError;

/// Conversations that are spread over a file, in the making.
pub(crate) trait Gather {
    /// Takes a row in. Returns what is handed out at once: skips and remarks.
    fn take(&mut self, row: &Row) -> Result<Vec<Item>, WorkloadError>;

    /// The conversations, once all rows are in.
    fn finish(self) -> Box<dyn Iterator<Item = Item> + Send>;
}

/// A reader that hands out conversations at the end of the file, and skips and remarks as they
/// come, so that a file of bad rows takes no memory.
pub(crate) struct Gathered<G> {
    rows: JsonRows,
    /// `None` at the end of the file.
    gather: Option<G>,
    ready: VecDeque<Item>,
    conversations: Box<dyn Iterator<Item = Item> + Send>,
}

impl<G: Gather> Gathered<G> {
    pub(crate) fn new(source: Source, gather: G) -> Self {
        Self {
            rows: source.rows(),
            gather: Some(gather),
            ready: VecDeque::new(),
            conversations: Box::new(std::iter::empty()),
        }
    }
}

impl<G: Gather> Iterator for Gathered<G> {
    type Item = Result<Item, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            let Some(gather) = &mut self.gather else {
                return self.conversations.next().map(Ok);
            };
            match self.rows.next() {
                Some(row) => match row.and_then(|row| gather.take(&row)) {
                    Ok(items) => self.ready.extend(items),
                    Err(error) => {
                        self.gather = None;
                        return Some(Err(error));
                    }
                },
                None => self.conversations = self.gather.take()?.finish(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use turnbench_model::Conversation;

    use super::{Gather, Gathered};
    use crate::WorkloadError;
    use crate::format::testing::source;
    use crate::format::{Item, Row, Skipped};

    /// Calls every row bad, and makes one conversation of all.
    struct Complaints(u64);

    impl Gather for Complaints {
        fn take(&mut self, row: &Row) -> Result<Vec<Item>, WorkloadError> {
            let value = row.value()?;
            self.0 += 1;
            Ok(vec![Item::Skipped(Skipped::new("bad", row.node(&value).refuse("none")))])
        }

        fn finish(self) -> Box<dyn Iterator<Item = Item> + Send> {
            let conversation = Conversation::new(self.0.to_string(), Vec::new());
            Box::new(std::iter::once(Item::Conversation(Box::new(conversation))))
        }
    }

    #[test]
    fn skips_are_handed_out_before_the_next_row_is_read() {
        let mut items = Gathered::new(source("1 2 }"), Complaints(0));
        assert!(matches!(items.next(), Some(Ok(Item::Skipped(_)))));
        assert_eq!(items.gather.as_ref().unwrap().0, 1);
        assert!(matches!(items.next(), Some(Ok(Item::Skipped(_)))));
        assert!(matches!(items.next(), Some(Err(_))));
        assert!(items.next().is_none());
    }

    #[test]
    fn conversations_follow_at_the_end() {
        let mut items = Gathered::new(source("1 2"), Complaints(0)).skip(2);
        let Some(Ok(Item::Conversation(conversation))) = items.next() else { panic!("none") };
        assert_eq!(conversation.id, "2");
        assert!(items.next().is_none());
    }
}
