use turnbench_model::{Conversation, TurnRules};

/// As much of a conversation as the driver needs to know.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConversationShape {
    /// Messages recorded in the data set.
    pub messages: u32,
    /// Its turns, in order.
    pub turns: Vec<TurnShape>,
    /// Leading turns that the reference program would send: it takes message 2j-1 as the question
    /// of turn j and refuses any but a user message with exactly a role and a content. Read in
    /// compat mode only.
    pub plain_turns: u32,
}

/// One turn of a conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TurnShape {
    /// Messages its request carries, history included (an answer of the server counts as the
    /// recorded one it replaces).
    pub messages_sent: u32,
}

impl ConversationShape {
    /// A conversation of `turns` user messages, each with its answer.
    pub fn plain(turns: u32) -> Self {
        Self {
            messages: 2 * turns,
            turns: (1..=turns).map(|turn| TurnShape { messages_sent: 2 * turn - 1 }).collect(),
            plain_turns: turns,
        }
    }
}

impl From<&Conversation> for ConversationShape {
    fn from(conversation: &Conversation) -> Self {
        let turns = conversation
            .turns(TurnRules::default())
            .into_iter()
            .map(|span| TurnShape { messages_sent: span.messages.end as u32 })
            .collect();
        let plain_turns = conversation
            .messages
            .iter()
            .step_by(2)
            .take_while(|message| message.role == "user" && message.extra.is_empty())
            .count() as u32;
        Self { messages: conversation.messages.len() as u32, turns, plain_turns }
    }
}

#[cfg(test)]
mod tests {
    use turnbench_model::{Conversation, Message};

    use super::ConversationShape;

    fn check(roles: &[&str], messages_sent: &[u32], plain_turns: u32) {
        let messages = roles.iter().map(|role| Message::new(role, "x")).collect();
        let shape = ConversationShape::from(&Conversation::new("c", messages));
        let sent: Vec<_> = shape.turns.iter().map(|turn| turn.messages_sent).collect();
        assert_eq!((sent.as_slice(), shape.plain_turns), (messages_sent, plain_turns), "{roles:?}");
    }

    #[test]
    fn a_turn_carries_every_message_up_to_its_question() {
        check(&["user", "assistant", "user", "assistant"], &[1, 3], 2);
        check(&["system", "user", "assistant"], &[2], 0);
        check(&["user", "assistant", "assistant", "user"], &[1, 4], 1);
        check(&["user", "assistant", "user"], &[1, 3], 2);
        check(&["system"], &[], 0);
    }

    #[test]
    fn a_message_with_further_keys_is_not_plain() {
        let mut message = Message::new("user", "x");
        message.extra.insert("name".to_owned(), "ann".into());
        let conversation = Conversation::new("c", vec![message]);
        assert_eq!(ConversationShape::from(&conversation).plain_turns, 0);
    }
}
