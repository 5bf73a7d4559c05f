use turnbench_model::{Conversation, Message, RecordedTurn, TurnRules, TurnSpan};

/// One request of a conversation as a data set gives it: what it adds to the history, and what
/// was answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange {
    /// The messages that the request appends.
    pub(crate) messages: Vec<Message>,
    /// The recorded answer.
    pub(crate) answer: Option<Message>,
    /// What else is known of the request.
    pub(crate) recorded: RecordedTurn,
}

/// The conversation that sends exactly these requests.
///
/// Where the roles of the messages alone would make other turns of them (a prompt with a history
/// of its own, a question whose answer was not recorded), each turn says how many messages it has.
pub(crate) fn conversation_of(
    id: impl Into<String>,
    exchanges: impl IntoIterator<Item = Exchange>,
) -> Conversation {
    let mut conversation = Conversation::new(id, Vec::new());
    let mut spans = Vec::new();
    for exchange in exchanges {
        let mut messages = exchange.messages.into_iter().peekable();
        let unanswered = |span: &&mut (_, _, Option<usize>)| span.2.is_none();
        // A prompt that is whole belongs to its own request alone.
        let before = spans.last_mut().filter(unanswered).filter(|_| !exchange.recorded.standalone);
        if let Some(span) = before
            && let Some(answer) = messages.next_if(Message::is_assistant)
        {
            // What the model said before this question is the answer that the turn before lacks.
            span.2 = Some(conversation.messages.len());
            conversation.messages.push(answer);
            if messages.peek().is_none() {
                // It told that answer and asks nothing.
                continue;
            }
        }
        let start = conversation.messages.len();
        conversation.messages.extend(messages);
        let end = conversation.messages.len();
        conversation.messages.extend(exchange.answer);
        let answer = (conversation.messages.len() > end).then_some(end);
        spans.push((start, end, answer));
        conversation.recorded.push(exchange.recorded);
    }
    let span = |turn: &TurnSpan| (turn.messages.start, turn.messages.end, turn.answer);
    let turns = conversation.turns(TurnRules::default());
    if !turns.iter().map(span).eq(spans.iter().copied()) {
        for (recorded, (start, end, _)) in conversation.recorded.iter_mut().zip(&spans) {
            recorded.messages_count = u32::try_from(end - start).ok();
        }
    } else if conversation.recorded.iter().all(|it| *it == RecordedTurn::default()) {
        conversation.recorded.clear();
    }
    conversation
}

#[cfg(test)]
mod tests {
    use turnbench_model::{Message, RecordedTurn, TurnRules};

    use super::{Exchange, conversation_of};

    fn exchange(roles: &[&str], answer: Option<&str>) -> Exchange {
        Exchange {
            messages: roles.iter().map(|role| Message::new(role, "x")).collect(),
            answer: answer.map(|text| Message::new("assistant", text)),
            recorded: RecordedTurn::default(),
        }
    }

    fn check(exchanges: &[Exchange], counts: &[Option<u32>], answers: &[Option<usize>]) {
        let conversation = conversation_of("c", exchanges.iter().cloned());
        let recorded: Vec<_> = conversation.recorded.iter().map(|it| it.messages_count).collect();
        assert_eq!(recorded, counts);
        let turns = conversation.turns(TurnRules::default());
        assert_eq!(turns.iter().map(|it| it.answer).collect::<Vec<_>>(), answers);
    }

    #[test]
    fn messages_are_counted_where_roles_do_not_tell() {
        let plain = [exchange(&["system", "user"], Some("a")), exchange(&["user"], None)];
        check(&plain, &[], &[Some(2), None]);
        let fork = [exchange(&["user", "assistant", "user"], Some("a"))];
        check(&fork, &[Some(3)], &[Some(3)]);
        let unanswered = [exchange(&["user"], None), exchange(&["user"], None)];
        check(&unanswered, &[Some(1), Some(1)], &[None, None]);
    }

    #[test]
    fn an_answer_told_later_is_the_answer() {
        check(
            &[exchange(&["user"], None), exchange(&["assistant", "user"], None)],
            &[],
            &[Some(1), None],
        );
    }

    #[test]
    fn a_prompt_that_is_whole_keeps_its_first_message() {
        let standalone = |roles: &[&str]| {
            let recorded = RecordedTurn { standalone: true, ..RecordedTurn::default() };
            Exchange { recorded, ..exchange(roles, None) }
        };
        check(
            &[
                standalone(&["assistant", "user"]),
                standalone(&["assistant", "user", "assistant", "user"]),
            ],
            &[Some(2), Some(4)],
            &[None, None],
        );
    }

    #[test]
    fn an_answer_alone_is_no_request() {
        check(
            &[exchange(&["user"], None), exchange(&["assistant"], None), exchange(&["user"], None)],
            &[],
            &[Some(1), None],
        );
    }
}
