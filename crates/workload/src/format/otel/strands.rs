use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};
use serde_json::{Map, Value};
use turnbench_model::{Content, Conversation, Message, Nanos, Parent, RecordedTurn};

use super::calls::{Call, Calls};
use crate::Warning;
use crate::format::Item;
use crate::format::exchange::{Exchange, conversation_of};

/// Most spans between a call and its caller; parents that go round in a circle end there.
const ANCESTORS_MAX: usize = 1000;

/// The conversations that these calls are, in the order in which they began, `max` of them at most.
/// Times are counted from `begins_ns`, in nanoseconds since 1970. `unnamed` stands for the trace of
/// spans that name none.
pub(super) fn items(
    calls: Calls,
    begins_ns: i128,
    unnamed: Option<String>,
    max: usize,
) -> impl Iterator<Item = Item> {
    let Calls { mut calls, parents } = calls;
    calls.sort_by_key(|call| call.start_ns);
    let mut strands = Strands { begins_ns, unnamed, parents, ..Strands::default() };
    for (index, call) in calls.into_iter().enumerate() {
        strands.take(index, call);
    }
    let remark = strands.differs.take().map(Item::Remark);
    let conversations = strands.finish().into_iter().take(max);
    remark.into_iter().chain(conversations.map(|it| Item::Conversation(Box::new(it))))
}

/// A turn (from 1) of a strand.
#[derive(Clone, Copy, Debug)]
struct Place {
    strand: usize,
    turn: u32,
}

/// Calls that go on from one another: a conversation.
struct Strand {
    id: String,
    session: Option<String>,
    trace_id: Option<String>,
    exchanges: Vec<Exchange>,
    request: Map<String, Value>,
    parent: Option<Place>,
    ended_ns: Option<i128>,
}

impl Strand {
    fn turns(&self) -> u32 {
        u32::try_from(self.exchanges.len()).unwrap_or(u32::MAX)
    }
}

#[derive(Default)]
struct Strands {
    begins_ns: i128,
    /// What ids have in the place of a trace's.
    unnamed: Option<String>,
    parents: FxHashMap<String, String>,
    all: Vec<Strand>,
    /// Where a history ends: the digest of a call's input and output. Several calls may have the
    /// same.
    answered: FxHashMap<u64, Vec<Place>>,
    /// The same for calls of which no output was recorded: the digest of the input.
    unanswered: FxHashMap<u64, Vec<Place>>,
    spans: FxHashMap<String, Place>,
    differs: Option<Warning>,
}

impl Strands {
    fn take(&mut self, index: usize, mut call: Call) {
        let digests = digests(&call.input);
        let whole = digests.last().copied().unwrap_or_default();
        let goes_on = self.goes_on(&call, &digests);
        let before = goes_on.map(|(_, place)| place);
        let place = match goes_on {
            Some((start, place)) if self.is_last(place) => {
                call.input.drain(..start);
                let strand = &self.all[place.strand];
                if strand.request != call.request && self.differs.is_none() {
                    self.differs = Some(call.differs.clone());
                }
                Place { strand: place.strand, turn: place.turn + 1 }
            }
            Some(_) | None => {
                let parent = before.or_else(|| self.caller(&call));
                self.all.push(strand(index, &mut call, parent, self.unnamed.as_deref()));
                Place { strand: self.all.len() - 1, turn: 1 }
            }
        };
        let (known, digest) = match &call.output {
            Some(output) => (&mut self.answered, extended(whole, output)),
            None => (&mut self.unanswered, whole),
        };
        known.entry(digest).or_default().push(place);
        if let Some(span_id) = call.span_id.take() {
            self.spans.insert(span_id, place);
        }
        self.push(place, call);
    }

    /// Puts a call at the end of a strand.
    fn push(&mut self, place: Place, call: Call) {
        let span = |from: Option<i128>, to: Option<i128>| {
            u64::try_from(to?.checked_sub(from?)?).ok().map(Nanos)
        };
        let begins_ns = self.begins_ns;
        let strand = &mut self.all[place.strand];
        let recorded = RecordedTurn {
            // What began before the file's first document counts as sent with it.
            sent_at_ns: call.start_ns.and_then(|at| span(Some(begins_ns), Some(at.max(begins_ns)))),
            think_time_ns: span(strand.ended_ns, call.start_ns),
            latency_ns: span(call.start_ns, call.end_ns),
            ..call.recorded
        };
        strand.ended_ns = call.end_ns;
        strand.exchanges.push(Exchange { messages: call.input, answer: call.output, recorded });
    }

    /// The longest history that the call goes on from: how many of its messages are that, and the
    /// turn which they end with.
    fn goes_on(&self, call: &Call, digests: &[u64]) -> Option<(usize, Place)> {
        (1..call.input.len()).rev().find_map(|start| {
            if !call.input[start..].iter().any(Message::asks) {
                return None;
            }
            if let Some(place) = self.best(call, self.answered.get(&digests[start])) {
                return Some((start, place));
            }
            // The answer is told here for the first time.
            let answer = start - 1;
            let tells = call.input[answer].is_assistant() && answer > 0;
            let places = self.unanswered.get(&digests[answer]).filter(|_| tells);
            self.best(call, places).map(|place| (answer, place))
        })
    }

    /// Of several turns with the same history, one that nothing goes on from yet, of the same trace,
    /// the latest. None of another session.
    fn best(&self, call: &Call, places: Option<&Vec<Place>>) -> Option<Place> {
        let same_session = |place: &&Place| {
            let session = &self.all[place.strand].session;
            session.is_none() || call.session.is_none() || *session == call.session
        };
        let rank = |place: &&Place| {
            let strand = &self.all[place.strand];
            (self.is_last(**place), strand.trace_id == call.trace_id, place.strand)
        };
        places?.iter().filter(same_session).max_by_key(rank).copied()
    }

    fn is_last(&self, place: Place) -> bool {
        self.all[place.strand].turns() == place.turn
    }

    /// The nearest call around this one.
    fn caller(&self, call: &Call) -> Option<Place> {
        let mut span = self.parents.get(call.span_id.as_ref()?);
        for _ in 0..ANCESTORS_MAX {
            if let Some(place) = self.spans.get(span?) {
                return Some(*place);
            }
            span = self.parents.get(span?);
        }
        None
    }

    fn finish(self) -> Vec<Conversation> {
        let parent = |strand: &Strand| {
            let place = strand.parent?;
            let parent = &self.all[place.strand];
            let before_turn = waits_for(parent, place.turn, strand);
            Some(Parent { id: parent.id.clone(), after_turn: place.turn, before_turn })
        };
        let parents: Vec<Option<Parent>> = self.all.iter().map(parent).collect();
        let strands = self.all.into_iter().zip(parents);
        let conversation = |(strand, parent): (Strand, _)| Conversation {
            request: strand.request,
            parent,
            ..conversation_of(strand.id, strand.exchanges)
        };
        strands.map(conversation).collect()
    }
}

/// A strand that begins with this call.
fn strand(index: usize, call: &mut Call, parent: Option<Place>, unnamed: Option<&str>) -> Strand {
    let span = call.span_id.clone().unwrap_or_else(|| format!("call-{index}"));
    let trace = call.trace_id.as_deref().or(unnamed);
    Strand {
        id: trace.map_or(span.clone(), |trace| format!("{trace}/{span}")),
        session: call.session.clone(),
        trace_id: call.trace_id.clone(),
        exchanges: Vec::new(),
        request: std::mem::take(&mut call.request),
        parent,
        ended_ns: None,
    }
}

/// The turn (from 1) after `after_turn` whose messages hold the last answer of `child`.
fn waits_for(parent: &Strand, after_turn: u32, child: &Strand) -> Option<u32> {
    let answer = extended(0, child.exchanges.last()?.answer.as_ref()?);
    let mut later = (1_u32..).zip(&parent.exchanges).skip(after_turn as usize);
    let holds = |exchange: &Exchange| {
        exchange.messages.iter().any(|it| it.is_assistant() && extended(0, it) == answer)
    };
    later.find_map(|(turn, exchange)| holds(exchange).then_some(turn))
}

/// Digests of the first 0, 1, 2, … messages.
fn digests(messages: &[Message]) -> Vec<u64> {
    let mut digests = vec![0];
    for message in messages {
        let last = digests.last().copied().unwrap_or_default();
        digests.push(extended(last, message));
    }
    digests
}

/// Digest of a history and one message more. What differs between the two spellings of a message
/// (as an answer, and in the history of the next request) doesn't go in: blanks around the text,
/// reasoning, ids of calls, how arguments are spaced.
fn extended(history: u64, message: &Message) -> u64 {
    let mut hasher = FxHasher::default();
    history.hash(&mut hasher);
    message.role.hash(&mut hasher);
    message.content.text().trim().hash(&mut hasher);
    if let Content::Parts(parts) = &message.content {
        for part in parts.iter().filter(|part| part.get("text").is_none()) {
            part.to_string().hash(&mut hasher);
        }
    }
    let calls = message.extra.get("tool_calls").and_then(Value::as_array);
    for function in calls.into_iter().flatten().filter_map(|call| call.get("function")) {
        function.get("name").and_then(Value::as_str).hash(&mut hasher);
        let arguments = match function.get("arguments") {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
            Some(value) => value.clone(),
            None => Value::Null,
        };
        arguments.to_string().hash(&mut hasher);
    }
    hasher.finish()
}
