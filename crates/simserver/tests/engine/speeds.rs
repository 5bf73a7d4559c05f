//! What `metrics` makes of the engine's times, against the engine's own settings, in simulated time.

use std::collections::BTreeMap;
use std::sync::Arc;

use turnbench_metrics::{
    Estimate, SpeedBreakEven, SpeedObservation, SpeedOptions, SpeedReason, Speeds, speeds,
};
use turnbench_model::Nanos;
use turnbench_random::NumpyStream;
use turnbench_simserver::engine::{
    Engine, EngineEvent, EngineOptions, EngineRequest, ReplaySource, RequestId, TierKind,
    TierOptions,
};

const GIB: f64 = (1_u64 << 30) as f64;
const CONVERSATIONS: u64 = 60;
const ANSWER_TOKENS: u32 = 12;

/// Settings that the clients do not know.
struct Hidden {
    options: EngineOptions,
    host_gib: f64,
    disk_gib: f64,
    disk_latency_ms: f64,
}

/// The device holds some 8 conversations, the host some 25.
fn hidden(stream: &mut NumpyStream) -> Hidden {
    let host_gib = stream.uniform(5.0, 40.0);
    let disk_gib = stream.uniform(1.0, 5.0);
    let disk_latency_ms = stream.uniform(5.0, 30.0);
    let tier = |kind, gib: f64, speed: f64, latency_ms: f64| TierOptions {
        latency: Nanos((latency_ms * 1e6) as u64),
        ..TierOptions::new(kind, (gib * GIB) as u64, speed * GIB)
    };
    let options = EngineOptions {
        kv_blocks: 2_048,
        prefill_tokens_per_sec: stream.uniform(5_000.0, 40_000.0),
        max_model_len: 16_384,
        tiers: vec![
            tier(TierKind::Host, 12.0, host_gib, 0.0),
            tier(TierKind::Disk, 400.0, disk_gib, disk_latency_ms),
        ],
        ..EngineOptions::default()
    };
    Hidden { options, host_gib, disk_gib, disk_latency_ms }
}

/// Clients that pick a conversation, mostly one of a few lately, sometimes any, and wait after each answer.
struct Clients {
    stream: NumpyStream,
    engine: Engine,
    histories: Vec<Vec<u32>>,
    in_flight: BTreeMap<RequestId, (usize, SpeedObservation)>,
    /// When each client goes on that has nothing in flight.
    ready: Vec<Nanos>,
    seen: Vec<SpeedObservation>,
}

impl Clients {
    fn pick(&mut self) -> usize {
        let span = [6, 20, CONVERSATIONS][(self.stream.random_sample() * 3.0) as usize];
        let near = self.seen.len() as u64 / 12 + (self.stream.random_sample() * span as f64) as u64;
        (near % CONVERSATIONS) as usize
    }

    fn send(&mut self, now: Nanos) {
        let mut conversation = self.pick();
        while self.in_flight.values().any(|(busy, _)| *busy == conversation) {
            conversation = (conversation + 1) % CONVERSATIONS as usize;
        }
        if self.histories[conversation].len() > 9_000 {
            self.histories[conversation].clear();
        }
        let added = 50 + (self.stream.random_sample() * 900.0) as u32;
        let fresh = (0..added).map(|_| self.stream.next_u32());
        self.histories[conversation].extend(fresh);
        let prompt: Arc<[u32]> = Arc::from(self.histories[conversation].as_slice());
        let answer = Box::new(ReplaySource::new(vec![7; ANSWER_TOKENS as usize]));
        let one = SpeedObservation {
            conversation: conversation as u64,
            sent_ms: now.as_millis_f64(),
            prompt_tokens: Some(prompt.len() as u64),
            ..SpeedObservation::default()
        };
        let id =
            self.engine.submit(EngineRequest::new(prompt, ANSWER_TOKENS, answer), now).unwrap();
        self.in_flight.insert(id, (conversation, one));
    }

    fn take(&mut self, event: &EngineEvent, think_ms: f64) {
        let Some((conversation, one)) = self.in_flight.get_mut(&event.id()) else { return };
        let at_ms = event.at().as_millis_f64();
        match *event {
            EngineEvent::Admitted { cached_tokens, tier_tokens, .. } => {
                let [host, disk, _] = tier_tokens.map(u64::from);
                one.cached_tokens = Some(cached_tokens.into());
                one.cached_device_tokens = Some(u64::from(cached_tokens) - host - disk);
                one.cached_host_tokens = Some(host);
                one.cached_storage_tokens = Some(disk);
            }
            EngineEvent::Token { index: 0, .. } => one.first_token_ms = Some(at_ms),
            EngineEvent::Finished { at, .. } => {
                one.end_ms = at_ms;
                self.histories[*conversation].extend([7; ANSWER_TOKENS as usize]);
                self.seen.push(*one);
                let pause_ms = self.stream.exponential(think_ms);
                self.ready.push(Nanos(at.0 + (pause_ms * 1e6) as u64));
                self.in_flight.remove(&event.id());
            }
            _ => {}
        }
    }

    /// What `clients` of them, who wait `think_ms` on average, see in `requests` requests.
    fn run(
        options: &EngineOptions,
        seed: u32,
        (clients, think_ms): (usize, f64),
        requests: usize,
    ) -> Vec<SpeedObservation> {
        let mut all = Self {
            stream: NumpyStream::new(seed),
            engine: Engine::new(options.clone()).unwrap(),
            histories: vec![Vec::new(); CONVERSATIONS as usize],
            in_flight: BTreeMap::new(),
            ready: (0..clients as u64).map(Nanos).collect(),
            seen: Vec::new(),
        };
        let mut events = Vec::new();
        while all.seen.len() < requests {
            let client = (0..all.ready.len()).min_by_key(|client| all.ready[*client]);
            let send_at = client.map(|client| all.ready[client]);
            let event_at = all.engine.next_event_at();
            if send_at.is_some_and(|at| event_at.is_none_or(|event| at < event)) {
                let now = all.ready.swap_remove(client.unwrap());
                all.send(now);
            } else {
                all.engine.advance(event_at.unwrap(), &mut events);
                for event in std::mem::take(&mut events) {
                    all.take(&event, think_ms);
                }
            }
        }
        all.seen
    }
}

fn found(hidden: &Hidden, seen: &[SpeedObservation]) -> Speeds {
    let bytes = Some(f64::from(hidden.options.kv_bytes_per_token));
    speeds(seen, &SpeedOptions { kv_bytes_per_token: bytes, ..SpeedOptions::default() })
}

fn near(what: &str, found: Option<&Estimate>, truth: f64) {
    let found = found.unwrap_or_else(|| panic!("{what} is not told; it is {truth}"));
    assert!((found.value / truth - 1.0).abs() < 0.1, "{what}: {found:?} for {truth}");
}

fn check(seed: u32, clients: (usize, f64), requests: usize) {
    let hidden = hidden(&mut NumpyStream::new(seed));
    let seen = Clients::run(&hidden.options, seed, clients, requests);
    let speeds = found(&hidden, &seen);
    let prefill = hidden.options.prefill_tokens_per_sec;
    near("recompute", speeds.recompute_tokens_per_sec.told(), prefill);
    let tier = |name: &str| speeds.tiers.iter().find(|tier| tier.tier == name).unwrap();
    near("host", tier("host").reload_gib_per_sec.as_ref(), hidden.host_gib);
    let disk = tier("storage");
    near("disk", disk.reload_gib_per_sec.as_ref(), hidden.disk_gib);
    near("latency", disk.fixed_ms.as_ref().unwrap().told(), hidden.disk_latency_ms);
    let token_ms = 1e3 * f64::from(hidden.options.kv_bytes_per_token) / (hidden.disk_gib * GIB);
    let gain_ms = 1e3 / prefill - token_ms;
    let length = hidden.disk_latency_ms / gain_ms;
    match disk.break_even.as_ref().unwrap() {
        SpeedBreakEven::Never => assert!(gain_ms < 0.0, "{gain_ms}"),
        SpeedBreakEven::Tokens(found) => near("break-even", Some(found), length),
        SpeedBreakEven::CannotBeTold(SpeedReason::BeyondLongest { longest }) => {
            assert!(length > 0.9 * *longest as f64, "{length} {longest}");
        }
        other => panic!("{length}: {other:?}"),
    }
    let host = tier("host");
    assert!(matches!(host.break_even, Some(SpeedBreakEven::FirstBlock { .. })), "{host:?}");
}

#[test]
fn hidden_speeds_are_found_by_one_client() {
    for seed in 0..4 {
        check(seed, (1, 0.0), 400);
    }
}

#[test]
fn hidden_speeds_are_found_by_clients_that_sometimes_meet() {
    for seed in 10..12 {
        check(seed, (3, 3_000.0), 700);
    }
}
