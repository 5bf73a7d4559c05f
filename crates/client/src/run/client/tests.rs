use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;
use turnbench_load::{ConversationShape, Driver};
use turnbench_model::{
    Clock, Compat, Conversation, LoadPlan, Message, Nanos, RequestPlan, RequestRecord, Sampling,
};

use super::{ShardShared, run_client};
use crate::http1::ChatHeaders;
use crate::pacer::Pacer;
use crate::run::context::Context;
use crate::run::control::Control;
use crate::run::dialogue::Dialogues;
use crate::run::relay::Relay;
use crate::run::{Records, RunInput, Script, chat_head};
use crate::timer::Timer;
use crate::{BasePath, Connector, Endpoint, Session, TlsOptions};

/// The runtime's time, which a test may pause; every look takes 1 µs, since nothing else passes while
/// a pacer looks.
struct RuntimeClock {
    start: Instant,
    looks: AtomicU64,
}

impl Clock for RuntimeClock {
    fn now(&self) -> Nanos {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        Nanos(self.start.elapsed().as_nanos() as u64 + looks * 1_000)
    }

    fn unix_ns(&self) -> u64 {
        self.now().0
    }
}

/// Two clients that pause for 1,000 s on average.
fn plan() -> LoadPlan {
    LoadPlan {
        num_clients: 2,
        max_active_conversations: 2,
        max_num_requests: None,
        max_turns: None,
        early_stop: false,
        request_rate: 0.001,
        max_retries: 0,
        sampling: Sampling::RoundRobin,
        warmup_step: false,
        seed: 0,
        compat: Compat::None,
    }
}

/// So many conversations of one turn.
fn input(conversations_count: usize, clock: Arc<dyn Clock>) -> RunInput {
    let request: RequestPlan = serde_json::from_value(json!({
        "stream": false, "limit_min_tokens": -1, "limit_max_tokens": -1, "send_min_tokens": false,
        "ignore_eos": false, "timeout_ns": 60_000_000_000_u64, "send_conversation_id": false,
        "verify_output": false, "history_reasoning": "drop", "extra_body": {}, "compat": "none"
    }))
    .unwrap();
    let conversation =
        |index: usize| Conversation::new(index.to_string(), vec![Message::new("user", "hello")]);
    let workload: Arc<[Conversation]> = (0..conversations_count).map(conversation).collect();
    let endpoint = Endpoint::parse("http://127.0.0.1:1", BasePath::Normalise).unwrap();
    RunInput {
        scripts: Script::of_workload(&workload, &vec![vec![None]; conversations_count], &request),
        request,
        model: "m".to_owned(),
        headers: ChatHeaders::default(),
        connector: Arc::new(Connector::new(endpoint, &TlsOptions::default(), clock).unwrap()),
        clients_count: 2,
        connections_warm: false,
        warmup: false,
    }
}

/// Answers every request at once.
async fn serve(mut stream: DuplexStream) {
    let answer = json!({"choices": [{"message": {"role": "assistant", "content": "hi"}}]});
    let answer = answer.to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
    let mut request = [0; 4096];
    while stream.read(&mut request).await.unwrap() > 0 {
        stream.write_all((head.clone() + &answer).as_bytes()).await.unwrap();
    }
}

/// Runs both clients on one shard with paused time: when each left, and all records.
async fn run_both() -> ([Nanos; 2], Vec<RequestRecord>) {
    let clock = Arc::new(RuntimeClock { start: Instant::now(), looks: AtomicU64::new(0) });
    let input = input(3, clock.clone());
    let mut driver = Driver::new(&plan(), vec![ConversationShape::plain(1); 3]).unwrap();
    let control = Control::new(&driver);
    let (outlets, mut records) = Records::new(1);
    let context = Context {
        input: &input,
        control: &control,
        dialogues: Dialogues::new(&input),
        secrets: Vec::new(),
        head: chat_head(&input.connector, &input.headers).unwrap(),
        outlets,
    };
    let shared = ShardShared {
        relay: Relay::new(),
        pacer: Pacer::with_timer(clock.clone(), Timer::runtime()),
        outlet: context.outlets.of(0),
    };
    let client = |load| async {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let connector = &input.connector;
        let mut session = Session::on(Arc::clone(connector), connector.adopt(ours));
        tokio::select! {
            () = run_client(&context, &shared, load, &mut session) => clock.now(),
            () = serve(theirs) => panic!("the connection was closed"),
        }
    };
    let clients: [_; 2] = driver.take_clients().try_into().unwrap();
    let [first, second] = clients.map(client);
    let left = tokio::select! {
        (first, second) = async { tokio::join!(first, second) } => [first, second],
        () = shared.relay.pass_on(&control) => unreachable!("for ever"),
        () = shared.pacer.run() => unreachable!("for ever"),
    };
    drop(shared);
    drop(context);
    let mut all = Vec::new();
    while records.take(|record| all.push(record)) {}
    (left, all)
}

#[test]
fn a_client_leaves_its_pause_when_another_takes_the_last_conversation() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    let (left, records) = runtime.block_on(run_both());
    assert!(records.iter().all(|record| record.outcome.is_completed()), "{records:?}");
    let last = records.iter().find(|record| record.conversation == 2).unwrap();
    let intended = last.stamps.intended_ns;
    assert!(intended > Nanos::from_millis(5_000), "after a pause: {intended:?}");
    for left in left {
        assert!(left >= intended && left.since(intended) < Nanos::from_millis(100), "{left:?}");
    }
}
