//! Replays the recorded runs of the reference program against the driver in compat mode.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeMap;

use serde_json::Value;
use turnbench_load::{
    AfterAttempt, AttemptEnd, ClientLoop, ConversationShape, Driver, Step, Ticket,
};
use turnbench_model::{
    Compat, Conversation, Failure, FailureKind, LoadPlan, Nanos, Phase, Sampling,
};

fn recording() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/requests/runs.json.zst");
    let bytes = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// The input's conversations; those of a generator config are read off the finished ones.
fn conversations(run: &Value, inputs: &Value) -> Option<Vec<Conversation>> {
    let input = &inputs[run["input"].as_str().unwrap()];
    let list = if input.is_null() { run.get("output_file")? } else { input };
    serde_json::from_value(list.clone()).ok()
}

fn plan(run: &Value) -> LoadPlan {
    let args: Vec<&str> =
        run["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let has = |flag| args.contains(&flag);
    let value = |flag| Some(args[args.iter().position(|arg| *arg == flag)? + 1]);
    let number = |flag| value(flag).map(|text| text.parse::<f64>().unwrap());
    let num_clients = number("-p").unwrap_or(1.0) as u32;
    LoadPlan {
        num_clients,
        max_active_conversations: number("-k").map_or(num_clients, |k| k as u32),
        max_num_requests: number("-n").map(|n| n as u64),
        max_turns: number("--max-turns").map(|turns| turns as u32),
        early_stop: !has("--no-early-stop"),
        request_rate: number("--request-rate").unwrap_or(0.0),
        max_retries: number("--max-retries").unwrap_or(0.0) as u32,
        sampling: match value("--conversation-sampling") {
            Some("random") => Sampling::Random,
            _ => Sampling::RoundRobin,
        },
        warmup_step: has("--warmup-step"),
        seed: number("--seed").unwrap_or(0.0) as u64,
        compat: Compat::Vllm,
    }
}

/// One recorded POST.
#[derive(Debug)]
struct Sent {
    conversation: u32,
    messages: u32,
    start: Nanos,
    conn: u64,
    behaviour: String,
    session: Option<String>,
    max_tokens: f64,
}

fn sent(run: &Value, conversations: &[Conversation]) -> Vec<Sent> {
    let post = |request: &&Value| request["method"] == "POST";
    let read = |request: &Value| {
        let messages = request["body"]["messages"].as_array().unwrap();
        let asks =
            |conversation: &Conversation| {
                messages.iter().zip(&conversation.messages).step_by(2).all(|(sent, recorded)| {
                    sent["content"].as_str() == Some(&recorded.content.text())
                }) && messages.len() <= conversation.messages.len()
            };
        let matching: Vec<_> = (0..).zip(conversations).filter(|(_, c)| asks(c)).collect();
        assert_eq!(matching.len(), 1, "{messages:?}");
        let header = |pair: &Value| {
            (pair[0] == "X-Session-ID").then(|| pair[1].as_str().unwrap().to_owned())
        };
        Sent {
            conversation: matching[0].0,
            messages: messages.len() as u32,
            start: Nanos::from_millis(request["t_ms"].as_u64().unwrap()),
            conn: request["conn"].as_u64().unwrap(),
            behaviour: request["behaviour"].as_str().unwrap().to_owned(),
            session: request["headers"].as_array().unwrap().iter().find_map(header),
            max_tokens: request["body"]["max_tokens"].as_f64().unwrap_or(0.0),
        }
    };
    run["requests"].as_array().unwrap().iter().filter(post).map(read).collect()
}

#[derive(Clone, Copy)]
enum End {
    Completed,
    Rejected,
    Raised,
    Failed,
}

/// How the reference took the answer, and about when it ended.
fn end_of(run: &Value, request: &Sent, failure: &mut Failure) -> (End, Nanos) {
    let args = run["args"].as_array().unwrap();
    let timeout = args.iter().position(|arg| arg == "--request-timeout-sec");
    let timeout = timeout.map_or(120.0, |at| args[at + 1].as_str().unwrap().parse().unwrap());
    let limit = f64::max(timeout, (request.max_tokens * 0.2).floor());
    let sleep = run["server"]["sleep"].as_f64().unwrap_or(0.0);
    let (end, seconds) = match request.behaviour.as_str() {
        "none" => (End::Rejected, 0.01),
        "sleep" if sleep > limit => (End::Raised, limit),
        "sleep" => (End::Completed, sleep),
        "cut_hard" | "error_json" | "comments" | "event" | "nospace" | "usage_chunk"
        | "ns_null" | "ns_role" | "ns_pretty" => (End::Raised, 0.04),
        "exact" if run["name"] == "verify_bad" && request.messages == 3 => (End::Raised, 0.01),
        "done_delay" | "after_done" => (End::Completed, 0.34),
        "normal" | "role_null" | "no_role" | "empty_chunks" | "multi" | "single" | "cut_clean"
        | "crlf" | "no_done" | "reasoning" | "ns_large" | "exact" => (End::Completed, 0.04),
        status => {
            failure.status = Some(status.strip_prefix("http").unwrap().parse().unwrap());
            (End::Failed, 0.003)
        }
    };
    (end, request.start + Nanos::from_secs_f64(seconds))
}

/// One run under replay.
struct Replay<'a> {
    run: &'a Value,
    driver: Driver,
    clients: Vec<ClientLoop>,
    ids: Vec<String>,
    recorded: std::vec::IntoIter<Sent>,
    failure: Failure,
    finished: Vec<u32>,
}

impl<'a> Replay<'a> {
    fn new(run: &'a Value, conversations: &[Conversation]) -> Self {
        let shapes = conversations.iter().map(ConversationShape::from).collect();
        let mut driver = Driver::new(&plan(run), shapes).unwrap();
        Self {
            run,
            clients: driver.take_clients(),
            driver,
            ids: conversations.iter().map(|conversation| conversation.id.clone()).collect(),
            recorded: sent(run, conversations).into_iter(),
            failure: Failure {
                kind: FailureKind::HttpStatus,
                status: None,
                message: String::new(),
                retry_after_ns: None,
            },
            finished: Vec::new(),
        }
    }

    fn check(&self, ticket: &Ticket, recorded: &Sent) {
        let name = &self.run["name"];
        assert_eq!(
            (ticket.conversation, ticket.messages),
            (recorded.conversation, recorded.messages),
            "{name}: {ticket:?}, {recorded:?}"
        );
        if let Some(session) = recorded.session.as_ref().filter(|session| *session != "mine") {
            assert_eq!(*session, self.ids[ticket.conversation as usize], "{name}");
        }
    }

    /// Sends until the only client is done.
    fn single_client(&mut self) {
        let name = self.run["name"].clone();
        let mut now = Nanos::ZERO;
        let mut waited = false;
        loop {
            match self.clients[0].next(now) {
                Step::Send(ticket) => {
                    let recorded = self.recorded.next();
                    let recorded = recorded.unwrap_or_else(|| panic!("{name}: sends {ticket:?}"));
                    self.check(&ticket, &recorded);
                    // The back-offs and pauses of the record, to the precision of its times.
                    let late = recorded.start.as_millis_f64() - ticket.intended.as_millis_f64();
                    assert!(!waited || late.abs() < 25.0, "{name}: {late} ms late");
                    waited = false;
                    now = self.answer(&ticket, &recorded);
                }
                Step::WaitUntil(at) => (now, waited) = (at, true),
                Step::Done if self.driver.phase() == Phase::Warmup => {
                    self.clients.clear();
                    self.driver.begin_main();
                    self.clients = self.driver.take_clients();
                    now = Nanos::ZERO;
                }
                Step::Done => return,
            }
        }
    }

    fn answer(&mut self, ticket: &Ticket, recorded: &Sent) -> Nanos {
        let (end, now) = end_of(self.run, recorded, &mut self.failure);
        let end = match end {
            End::Completed => AttemptEnd::Completed,
            End::Rejected => AttemptEnd::Rejected,
            End::Raised => AttemptEnd::Raised,
            End::Failed => AttemptEnd::Failed(&self.failure),
        };
        let after = self.clients[ticket.client as usize].finish(ticket, end, now);
        if after == AfterAttempt::ConversationFinished && ticket.phase == Phase::Main {
            self.finished.push(ticket.conversation);
        }
        now
    }

    fn close(mut self) {
        let name = &self.run["name"];
        let left = self.recorded.next();
        assert!(left.is_none(), "{name}: not sent: {left:?}");
        self.clients.clear();
        let summary = self.driver.summary();
        assert_eq!(summary.finished, self.finished, "{name}");
        if let Some(output) = self.run["output_file"].as_array() {
            let ids: Vec<_> = output.iter().map(|c| c["id"].as_str().unwrap()).collect();
            let finished: Vec<_> =
                summary.finished.iter().map(|&index| self.ids[index as usize].as_str()).collect();
            assert_eq!(finished, ids, "{name}");
            let completed = self.run["stats"].as_array().unwrap().len() as u64;
            assert_eq!(summary.requests_completed, completed, "{name}");
        }
    }
}

#[test]
fn one_client_sends_what_the_reference_sent_in_its_order() {
    let recording = recording();
    let mut replayed = 0;
    for (name, run) in recording["runs"].as_object().unwrap() {
        // Runs that ended before the benchmark began, and the two arguments that the reference
        // hangs on before it sends anything.
        let began = run.get("stats").is_some() || run["hung"] == true;
        let unusable = matches!(name.as_str(), "seed_max" | "err_retries_neg");
        if !began || unusable || run["order_matters"] == false {
            let posts = run["requests"].as_array().unwrap().iter().any(|r| r["method"] == "POST");
            assert!(!posts || run["order_matters"] == false, "{name} has something to replay");
            continue;
        }
        let conversations = conversations(run, &recording["inputs"]).unwrap();
        let mut replay = Replay::new(run, &conversations);
        replay.single_client();
        replay.close();
        replayed += 1;
    }
    assert_eq!(replayed, 72);
}

/// With two clients the recorded order is one of many; the driver must be able to follow it when
/// its clients ask in that order.
#[test]
fn two_clients_send_what_the_reference_sent_when_they_ask_in_its_order() {
    let recording = recording();
    for name in ["max_num_requests_2c", "clients_2_no_early_stop"] {
        let run = &recording["runs"][name];
        let conversations = conversations(run, &recording["inputs"]).unwrap();
        let mut replay = Replay::new(run, &conversations);
        let mut clients = BTreeMap::new();
        let mut out: BTreeMap<u32, (Ticket, Sent)> = BTreeMap::new();
        while let Some(recorded) = replay.recorded.next() {
            let newcomer = clients.len() as u32;
            let client = *clients.entry(recorded.conn).or_insert(newcomer);
            if let Some((ticket, recorded)) = out.remove(&client) {
                replay.answer(&ticket, &recorded);
            }
            let Step::Send(ticket) = replay.clients[client as usize].next(recorded.start) else {
                panic!("{name}: client {client} should send {recorded:?}");
            };
            replay.check(&ticket, &recorded);
            out.insert(client, (ticket, recorded));
        }
        for (ticket, recorded) in out.into_values() {
            let now = replay.answer(&ticket, &recorded);
            assert_eq!(replay.clients[ticket.client as usize].next(now), Step::Done, "{name}");
        }
    }
}
