use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};

use super::account::Account;
use super::answer::Usage;
use super::events::{DONE, EventEncoder};
use crate::driver::{Deliveries, Delivery, Finish};
use crate::engine::FinishReason;
use crate::vocabulary::Vocabulary;

/// The body of a response.
pub(crate) enum Reply {
    /// All at once.
    Full(Full<Bytes>),
    /// Server-sent events, one HTTP chunk each.
    Events(Box<EventBody>),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Full(body) => Pin::new(body).poll_frame(context),
            Self::Events(body) => {
                body.poll_event(context).map(|event| event.map(Frame::data).map(Ok))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        // Also for an empty body: hyper would move `content-length: 0` to the end of the fields.
        false
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(body) => body.size_hint(),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

/// A request's deliveries together with its account: whatever way it ends, the truth is noted.
pub(crate) struct Answering {
    deliveries: Deliveries,
    pub(crate) account: Account,
    vocabulary: Arc<Vocabulary>,
    /// Text and ids not handed on yet.
    text: String,
    ids: Vec<u32>,
    token_count: u32,
    finished: bool,
}

impl Answering {
    /// Nothing has come yet.
    pub(crate) fn new(
        deliveries: Deliveries,
        account: Account,
        vocabulary: Arc<Vocabulary>,
    ) -> Self {
        Self {
            deliveries,
            account,
            vocabulary,
            text: String::new(),
            ids: Vec::new(),
            token_count: 0,
            finished: false,
        }
    }

    /// Takes up the next delivery. `None` when the engine is gone.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let delivery = ready!(self.deliveries.poll_next(context));
        if let Some(token) = delivery.and_then(|delivery| delivery.token) {
            self.text.push_str(self.vocabulary.text(token, self.token_count));
            self.ids.push(token);
            self.token_count += 1;
        }
        Poll::Ready(delivery)
    }

    /// Waits for the end and gives text, ids and end. `None` when the engine is gone.
    pub(crate) async fn whole(&mut self) -> Option<(String, Vec<u32>, Finish)> {
        loop {
            let delivery = std::future::poll_fn(|context| self.poll_next(context)).await?;
            if let Some(finish) = delivery.finish {
                self.finished = true;
                let (text, ids) = (std::mem::take(&mut self.text), std::mem::take(&mut self.ids));
                return Some((text, ids, finish));
            }
        }
    }

    /// Says that the next write carries the answer, or its last part.
    pub(crate) fn note_end(&self, finish: &Finish, first: bool) {
        let watch = &self.account.watch;
        if watch.is_on() {
            watch.tokens_coming(first);
            watch.complete(self.account.truth(finish));
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let watch = &self.account.watch;
        if !self.finished && watch.is_on() {
            watch.cut(self.account.cut_truth(self.token_count, FinishReason::Abort));
        }
    }
}

/// A streamed answer.
pub(crate) struct EventBody {
    answering: Answering,
    encoder: EventEncoder,
    tokens_per_chunk: usize,
    opened: bool,
    /// Events ready to go: at most five, as the end makes part, details, usage and end mark at once.
    ready: VecDeque<Bytes>,
}

impl EventBody {
    /// A stream with `tokens_per_chunk` tokens in each event.
    pub(crate) fn new(
        answering: Answering,
        encoder: EventEncoder,
        tokens_per_chunk: usize,
    ) -> Self {
        Self { answering, encoder, tokens_per_chunk, opened: false, ready: VecDeque::new() }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(event));
            }
            if self.answering.finished {
                return Poll::Ready(None);
            }
            let delivery = ready!(self.answering.poll_next(context));
            let Some(Delivery { finish, .. }) = delivery else { return Poll::Ready(None) };
            if finish.is_some() || self.answering.ids.len() >= self.tokens_per_chunk {
                self.push_part(finish.as_ref());
            }
            if let Some(finish) = finish {
                self.push_end(&finish);
            }
        }
    }

    fn push_part(&mut self, finish: Option<&Finish>) {
        let first = !self.opened;
        if first {
            self.opened = true;
            self.ready.extend(self.encoder.opening().map(Bytes::from));
        }
        let Answering { text, ids, account, .. } = &mut self.answering;
        let part = self.encoder.part(text, ids, finish.map(|finish| finish.reason));
        self.ready.push_back(part.into());
        if account.watch.is_on() && !ids.is_empty() {
            account.watch.tokens_coming(first);
        }
        text.clear();
        ids.clear();
        if let Some(finish) = finish {
            self.answering.note_end(finish, false);
        }
    }

    fn push_end(&mut self, finish: &Finish) {
        self.answering.finished = true;
        let account = &self.answering.account;
        let usage: Usage = account.usage(&finish.timeline);
        let times = account.times(&finish.timeline);
        let details = account.cached_details(&finish.timeline);
        self.ready.extend(details.map(|it| Bytes::from(self.encoder.cached_details(&it))));
        self.ready.extend(self.encoder.usage(&usage, times.as_ref()).map(Bytes::from));
        self.ready.push_back(Bytes::from_static(DONE.as_bytes()));
    }
}
