use std::collections::BTreeMap;
use std::sync::Arc;

use turnbench_load::{AfterAttempt, ClientLoop, Step, Ticket};
use turnbench_model::{Compat, Nanos, Phase, RequestPlan, RequestRecord};

use super::context::Context;
use super::dialogue::Dialogue;
use super::outcome::Reader;
use super::outlet::Outlet;
use super::relay::Relay;
use super::script::{Script, TurnScript};

use crate::pacer::Pacer;
use crate::{JsonStyle, Limits, Request, RequestTail, Session};

/// Time limit of a request for each token it may produce (the reference's 0.2 s).
const TIMEOUT_NS_PER_TOKEN: u64 = 200_000_000;

/// The limit grows in whole seconds.
const NANOS_PER_SEC: u64 = 1_000_000_000;

/// What the clients of one shard share, and no other shard touches.
pub(crate) struct ShardShared<'run> {
    pub(crate) relay: Relay,
    pub(crate) pacer: Pacer,
    pub(crate) outlet: &'run Outlet,
}

/// Runs one client on its keep-alive connection, until the load has no more for it in this phase.
pub(crate) async fn run_client(
    context: &Context<'_>,
    shared: &ShardShared<'_>,
    load: ClientLoop,
    session: &mut Session,
) {
    let dialogues = BTreeMap::new();
    let mut client = Client { context, shared, load, session, dialogues, frame: Frame::default() };
    let clock = context.input.connector.clock();
    loop {
        let step = client.load.next(clock.now());
        if client.load.take_news() {
            context.control.tell_shards();
        }
        match step {
            Step::Done => return,
            Step::Send(ticket) => client.attempt(&ticket).await,
            Step::WaitUntil(at) => {
                tokio::select! {
                    biased;
                    () = shared.relay.woken() => {}
                    () = shared.pacer.sleep_until(at) => {}
                }
            }
        }
    }
}

struct Client<'run> {
    context: &'run Context<'run>,
    shared: &'run ShardShared<'run>,
    load: ClientLoop,
    session: &'run mut Session,
    /// Of the conversations that it has open; freed when they end.
    dialogues: BTreeMap<u32, Dialogue>,
    frame: Frame,
}

impl Client<'_> {
    /// Sends a ticket's request, reports to the load, and hands the record out.
    async fn attempt(&mut self, ticket: &Ticket) {
        let context = self.context;
        let input = context.input;
        let clock = input.connector.clock();
        let script = &input.scripts[ticket.conversation as usize];
        let turn = &script.turns[ticket.turn as usize - 1];
        let dialogue = self.dialogues.entry(ticket.conversation);
        let dialogue = dialogue.or_insert_with(|| context.dialogues.open(ticket.conversation));

        let style = dialogue.style();
        let history = dialogue.begin_turn(script, ticket.turn);
        self.frame.build(context, script, turn, style, history.len());
        let request_bytes = (history.len() + self.frame.tail.len()) as u64;
        let parts = [self.frame.head.as_slice(), history, self.frame.tail.as_slice()];
        let built = clock.now();
        let deadline = built + timeout(&input.request, turn.max_tokens);
        let request =
            Request { bytes: &parts, intended_ns: ticket.intended, built_ns: Some(built) };
        let limits = Limits { deadline: Some(deadline), cancel: self.shared.relay.cancel() };
        let mut reader = Reader::new(&input.request);
        let response = self.session.send(request, limits, &mut reader).await;
        let input_messages = dialogue.messages_count();

        let mut judged = reader.judge(&response);
        judged.hide(&context.secrets);
        if input.request.verify_output {
            judged.verify(script.recorded_answer(ticket.turn as usize - 1));
        }
        if judged.outcome.is_completed() {
            let reasoning = input.request.history_reasoning;
            dialogue.answer(script, &judged.answer, &judged.spelling, reasoning);
        }
        let end = judged.attempt_end();
        // The client is free once the answer has ended; what it takes to read it counts as lateness.
        let free = judged.stamps.end.map_or_else(|| clock.now(), |end| end.at_ns);
        let after = self.load.finish(ticket, end, free);
        self.put_away(ticket, after);
        self.shared.outlet.hand_out(RequestRecord {
            conversation_id: Arc::clone(&script.id),
            conversation: ticket.conversation,
            turn: ticket.turn,
            attempt: ticket.attempt,
            last_attempt: after.ends_turn(),
            ends_conversation: ends_conversation(after, ticket, script),
            client: ticket.client,
            connection: response.connection,
            phase: ticket.phase,
            input_messages,
            request_bytes,
            max_tokens: turn.max_tokens,
            outcome: judged.outcome,
            stamps: judged.stamps,
            answer: judged.answer,
            usage: judged.usage,
            server_times: judged.server_times,
            reconnects_count: response.reconnects_count,
            reads_count: response.reads_count,
            client_delay_max_ns: response.client_delay_max_ns,
        });
    }

    /// Frees the dialogue of a conversation that has ended. In the warm-up every conversation has
    /// one turn; its dialogue is for the run proper.
    fn put_away(&mut self, ticket: &Ticket, after: AfterAttempt) {
        let goes_on = match ticket.phase {
            Phase::Warmup => !after.ends_turn(),
            Phase::Main => matches!(after, AfterAttempt::TurnDone | AfterAttempt::Retry { .. }),
        };
        if goes_on {
            return;
        }
        let dialogue = self.dialogues.remove(&ticket.conversation);
        let has_more = self.context.input.scripts[ticket.conversation as usize].turns.len() > 1;
        if let (Phase::Warmup, true, Some(dialogue)) = (ticket.phase, has_more, dialogue) {
            self.context.dialogues.keep(ticket.conversation, dialogue);
        }
    }
}

/// What goes before and after the history; buffers kept from request to request.
#[derive(Debug, Default)]
struct Frame {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Frame {
    fn build(
        &mut self,
        context: &Context<'_>,
        script: &Script,
        turn: &TurnScript,
        style: JsonStyle,
        history_bytes: usize,
    ) {
        let plan = &context.input.request;
        self.tail.clear();
        RequestTail {
            conversation_id: plan.send_conversation_id.then_some(&*script.id),
            stream: plan.stream,
            include_usage: plan.compat == Compat::None,
            max_tokens: turn.max_tokens,
            min_tokens: turn.min_tokens,
            ignore_eos: plan.ignore_eos,
            extra_body: (!script.extra_body.is_empty()).then_some(&script.extra_body),
        }
        .write(style, &mut self.tail);
        self.head.clear();
        let length = history_bytes + self.tail.len();
        context.head.write(&script.id, Some(length), &mut self.head);
    }
}

/// The request's time limit: the plan's, or longer for answers that may be long.
fn timeout(plan: &RequestPlan, max_tokens: Option<u32>) -> Nanos {
    let for_tokens = u64::from(max_tokens.unwrap_or(0)) * TIMEOUT_NS_PER_TOKEN / NANOS_PER_SEC;
    plan.timeout_ns.max(Nanos(for_tokens * NANOS_PER_SEC))
}

/// Whether the conversation ends with this attempt. A warm-up ends it only if it has one turn, and
/// the run proper begins anew what failed there.
fn ends_conversation(after: AfterAttempt, ticket: &Ticket, script: &Script) -> bool {
    let is_over = !matches!(after, AfterAttempt::TurnDone | AfterAttempt::Retry { .. });
    let has_one_turn = after == AfterAttempt::ConversationFinished && script.turns.len() == 1;
    is_over && (ticket.phase == Phase::Main || has_one_turn)
}

#[cfg(test)]
mod tests;
