use std::hash::BuildHasher as _;

use rustc_hash::{FxBuildHasher, FxHashMap};
use turnbench_model::{Conversation, TurnRules};

/// What became of conversations that others may have for a parent: a fork must not refer to turns
/// that are not there.
#[derive(Default)]
pub(super) struct Parents {
    /// Turns left, by hash of the id; of those dropped none.
    turns: FxHashMap<u64, u32>,
}

impl Parents {
    /// A conversation was dropped, or cut to these turns.
    pub(super) fn shortened(&mut self, id: &str, turns: u32) {
        self.turns.insert(FxBuildHasher.hash_one(id), turns);
    }

    /// Takes away what a conversation says of a parent that is not there any more; whether there
    /// was something.
    pub(super) fn mend(&self, conversation: &mut Conversation) -> bool {
        let Some(parent) = &mut conversation.parent else { return false };
        let left = self.turns.get(&FxBuildHasher.hash_one(parent.id.as_str()));
        let Some(&left) = left else { return false };
        if left == 0 {
            conversation.parent = None;
            return true;
        }
        let waits = parent.before_turn.filter(|&turn| turn <= left);
        let is_changed = parent.after_turn > left || waits != parent.before_turn;
        parent.after_turn = parent.after_turn.min(left);
        parent.before_turn = waits;
        is_changed
    }
}

/// Turns of a conversation, whose text may not be made yet.
pub(super) fn turns_count(conversation: &Conversation) -> u32 {
    let turns = match conversation.messages.len() {
        0 => conversation.recorded.len(),
        _ => conversation.turns(TurnRules::default()).len(),
    };
    u32::try_from(turns).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use turnbench_model::{Conversation, Parent};

    use super::Parents;

    fn check(parent: (u32, Option<u32>), left: Option<u32>, expect: Option<(u32, Option<u32>)>) {
        let mut parents = Parents::default();
        if let Some(left) = left {
            parents.shortened("p", left);
        }
        let (after_turn, before_turn) = parent;
        let mut child = Conversation::new("c", Vec::new());
        child.parent = Some(Parent { id: "p".to_owned(), after_turn, before_turn });
        let before = child.clone();
        assert_eq!(parents.mend(&mut child), child != before);
        let found = child.parent.map(|parent| (parent.after_turn, parent.before_turn));
        assert_eq!(found, expect);
    }

    #[test]
    fn a_fork_refers_to_turns_that_are_there() {
        check((2, Some(3)), None, Some((2, Some(3))));
        check((2, Some(3)), Some(3), Some((2, Some(3))));
        check((2, Some(3)), Some(2), Some((2, None)));
        check((2, Some(3)), Some(1), Some((1, None)));
        check((2, Some(3)), Some(0), None);
    }
}
