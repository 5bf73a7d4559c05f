use std::sync::Arc;

use turnbench_load::{AfterAttempt, Step, Ticket};
use turnbench_model::{Compat, Nanos, Phase, RequestPlan, RequestRecord};

use super::context::Context;
use super::outcome::Reader;
use super::script::{Script, TurnScript};

use crate::body::{JsonStyle, RequestTail};
use crate::pacer::sleep_until;
use crate::{Limits, Request, Session};

/// Time limit of a request for each token it may produce (the reference's 0.2 s).
const TIMEOUT_NS_PER_TOKEN: u64 = 200_000_000;

/// The limit grows in whole seconds.
const NANOS_PER_SEC: u64 = 1_000_000_000;

/// One client: a sequential loop on one keep-alive connection, until the driver has no more for it.
pub(crate) async fn run_client(context: &Context<'_>, number: u32, session: &mut Session) {
    let mut client = Client { context, session, head: Vec::new(), tail: Vec::new() };
    let clock = context.input.connector.clock();
    loop {
        let mut wake = std::pin::pin!(context.control.wake().notified());
        // Listens from before the driver is asked, so that no wake-up falls in between.
        wake.as_mut().enable();
        match context.control.next(number, clock.now()) {
            Step::Done => return,
            Step::Send(ticket) => client.attempt(&ticket).await,
            Step::WaitUntil(at) => {
                tokio::select! {
                    biased;
                    () = wake => {}
                    () = sleep_until(&**clock, at) => {}
                }
            }
        }
    }
}

struct Client<'run> {
    context: &'run Context<'run>,
    session: &'run mut Session,
    /// Buffers kept from request to request.
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Client<'_> {
    /// Sends a ticket's request, reports to the driver, and hands the record out.
    async fn attempt(&mut self, ticket: &Ticket) {
        let context = self.context;
        let input = context.input;
        let clock = input.connector.clock();
        let script = &input.scripts[ticket.conversation as usize];
        let turn = &script.turns[ticket.turn as usize - 1];
        let mut dialogue = context.dialogues.take(ticket.conversation);

        let style = dialogue.style();
        let history = dialogue.begin_turn(script, ticket.turn);
        self.build(script, turn, style, history.len());
        let request_bytes = (history.len() + self.tail.len()) as u64;
        let parts = [self.head.as_slice(), history, self.tail.as_slice()];
        let built = clock.now();
        let deadline = built + timeout(&input.request, turn.max_tokens);
        let request =
            Request { bytes: &parts, intended_ns: ticket.intended, built_ns: Some(built) };
        let limits = Limits { deadline: Some(deadline), cancel: context.control.cancel() };
        let mut reader = Reader::new(&input.request);
        let response = self.session.send(request, limits, &mut reader).await;
        let input_messages = dialogue.messages_count();

        let mut judged = reader.judge(&response);
        judged.hide(&context.secrets);
        if input.request.verify_output {
            judged.verify(script.recorded_answer(ticket.turn as usize - 1));
        }
        if judged.outcome.is_completed() {
            dialogue.answer(script, &judged.answer, input.request.history_reasoning);
        }
        let end = judged.attempt_end();
        // The client is free once the answer has ended; what it takes to read it counts as lateness.
        let free = judged.stamps.end.map_or_else(|| clock.now(), |end| end.at_ns);
        let after = context.control.finish(ticket, end, free);
        let goes_on = matches!(after, AfterAttempt::TurnDone | AfterAttempt::Retry { .. });
        if goes_on || ticket.phase == Phase::Warmup {
            context.dialogues.put(ticket.conversation, dialogue);
        }
        context.hand_out(RequestRecord {
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
            server_times: None,
            reconnects_count: response.reconnects_count,
            reads_count: response.reads_count,
            client_delay_max_ns: response.client_delay_max_ns,
        });
    }
    /// Builds what goes before and after the history.
    fn build(
        &mut self,
        script: &Script,
        turn: &TurnScript,
        style: JsonStyle,
        history_bytes: usize,
    ) {
        let plan = &self.context.input.request;
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
        self.context.head.write(&script.id, Some(length), &mut self.head);
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
