use std::sync::Arc;

use turnbench_model::{Message, Phase, RequestPlan, RequestRecord};

use crate::http1::{ChatHeaders, HeadTemplate};
use crate::run::{Reader, chat_head, secrets};
use crate::{
    Cancel, ClientError, Connector, ConversationBody, JsonStyle, Limits, Request, RequestTail,
    Session,
};

/// Sends one chat request after the other on one connection, and makes a record of each: for measurements
/// that decide from one answer what to ask next.
#[derive(Debug)]
pub struct SingleChat {
    session: Session,
    head: HeadTemplate,
    secrets: Vec<String>,
    model: String,
    plan: RequestPlan,
}

/// A request of one message.
#[derive(Clone, Debug)]
pub struct SingleRequest<'a> {
    /// Id and number of the conversation, for the record.
    pub conversation_id: Arc<str>,
    /// Its number.
    pub conversation: u32,
    /// How often its message has been sent, from 1.
    pub turn: u32,
    /// Whether it counts, for the record.
    pub phase: Phase,
    /// The message.
    pub message: &'a Message,
    /// Most tokens of the answer.
    pub max_tokens: u32,
}

impl SingleChat {
    /// One that has no connection yet. Requests are formed as `plan` says, but for lengths of answers.
    ///
    /// # Errors
    /// When a header is not allowed.
    pub fn new(
        connector: Arc<Connector>,
        headers: &ChatHeaders,
        model: &str,
        plan: RequestPlan,
    ) -> Result<Self, ClientError> {
        let head = chat_head(&connector, headers)?;
        let secrets = secrets(headers);
        let session = Session::new(connector);
        Ok(Self { session, head, secrets, model: model.to_owned(), plan })
    }

    /// Sends a request and waits for the end of its answer, or until `cancel`.
    pub async fn ask(&mut self, request: &SingleRequest<'_>, cancel: &Cancel) -> RequestRecord {
        let mut body = ConversationBody::new(JsonStyle::Compact, &self.model);
        body.push(request.message);
        let mut tail = Vec::new();
        let extra = &self.plan.extra_body;
        RequestTail {
            conversation_id: None,
            stream: self.plan.stream,
            include_usage: true,
            max_tokens: Some(request.max_tokens),
            min_tokens: None,
            ignore_eos: self.plan.ignore_eos,
            extra_body: (!extra.is_empty()).then_some(extra),
        }
        .write(JsonStyle::Compact, &mut tail);
        let body_bytes = body.history().len() + tail.len();
        let mut head = Vec::new();
        self.head.write(&request.conversation_id, Some(body_bytes), &mut head);
        let built = self.session.connector().clock().now();
        let parts: [&[u8]; 3] = [&head, body.history(), &tail];
        let sent = Request { bytes: &parts, intended_ns: built, built_ns: Some(built) };
        let limits = Limits { deadline: Some(built + self.plan.timeout_ns), cancel };
        let mut reader = Reader::new(&self.plan);
        let response = self.session.send(sent, limits, &mut reader).await;
        let mut judged = reader.judge(&response);
        judged.hide(&self.secrets);
        RequestRecord {
            conversation_id: Arc::clone(&request.conversation_id),
            conversation: request.conversation,
            turn: request.turn,
            attempt: 1,
            last_attempt: true,
            ends_conversation: false,
            client: 0,
            connection: response.connection,
            phase: request.phase,
            input_messages: 1,
            request_bytes: body_bytes as u64,
            max_tokens: Some(request.max_tokens),
            outcome: judged.outcome,
            stamps: judged.stamps,
            answer: judged.answer,
            usage: judged.usage,
            server_times: judged.server_times,
            reconnects_count: response.reconnects_count,
            reads_count: response.reads_count,
            client_delay_max_ns: response.client_delay_max_ns,
        }
    }
}
