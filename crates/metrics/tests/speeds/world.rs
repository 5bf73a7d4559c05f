//! A made-up server whose costs are known, and conversations with it.

use turnbench_metrics::SpeedObservation;
use turnbench_random::NumpyStream;

/// What things cost, in ms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth {
    pub(crate) base: f64,
    pub(crate) computed: f64,
    pub(crate) position: f64,
    pub(crate) device: f64,
    pub(crate) host: f64,
    pub(crate) host_fixed: f64,
    pub(crate) storage: f64,
    pub(crate) storage_fixed: f64,
}

impl Truth {
    pub(crate) const USUAL: Self = Self {
        base: 8.0,
        computed: 0.05,
        position: 0.0,
        device: 0.001,
        host: 0.008,
        host_fixed: 0.0,
        storage: 0.02,
        storage_fixed: 20.0,
    };
}

/// What comes on top of a TTFT; never below 0.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Noise {
    /// Uniform, up to 1 ms.
    Low,
    /// Exponential with a mean of 5 ms, twice that in every second conversation, and once in seven a wait that is
    /// lognormal around 100 ms.
    Heavy,
}

impl Noise {
    fn draw(self, stream: &mut NumpyStream, conversation: u64) -> f64 {
        match self {
            Self::Low => stream.random_sample(),
            Self::Heavy => {
                let mean = if conversation.is_multiple_of(2) { 10.0 } else { 5.0 };
                let wait = if stream.random_sample() < 1.0 / 7.0 {
                    stream.lognormal(4.6, 1.0)
                } else {
                    0.0
                };
                stream.exponential(mean) + wait
            }
        }
    }
}

/// Conversations of `turns` turns, one request after the other; from the second turn on, what was sent before
/// comes from one of `device`, `host`, `storage` and recomputation, each as likely.
pub(crate) fn conversations(
    truth: &Truth,
    noise: Noise,
    seed: u32,
    (conversations, turns): (u64, u32),
) -> Vec<SpeedObservation> {
    let mut stream = NumpyStream::new(seed);
    let mut now_ms = 0.0;
    let mut all = Vec::new();
    for conversation in 0..conversations {
        let mut prompt = 0_u64;
        for turn in 0..turns {
            let history = prompt / 16 * 16;
            prompt += 100 + (stream.random_sample() * 1_500.0) as u64;
            let origin = if turn == 0 { 3 } else { (stream.random_sample() * 4.0) as u32 };
            let from = |it: u32| if origin == it { history } else { 0 };
            let one = request(truth, prompt, [from(0), from(1), from(2)]);
            let ttft = one.first_token_ms.unwrap() + noise.draw(&mut stream, conversation);
            all.push(SpeedObservation {
                conversation,
                sent_ms: now_ms,
                first_token_ms: Some(now_ms + ttft),
                end_ms: now_ms + ttft + 30.0,
                ..one
            });
            now_ms += ttft + 50.0;
        }
    }
    all
}

/// A request at time 0 without any wait, with cached tokens from device, host and storage.
pub(crate) fn request(truth: &Truth, prompt: u64, cached: [u64; 3]) -> SpeedObservation {
    let [device, host, storage] = cached;
    let uncached = prompt - device - host - storage;
    let fixed = |tokens: u64, cost: f64| if tokens > 0 { cost } else { 0.0 };
    let ttft = truth.base
        + uncached as f64 * truth.computed
        + uncached as f64 * (prompt as f64 - uncached as f64 / 2.0) * truth.position
        + device as f64 * truth.device
        + host as f64 * truth.host
        + fixed(host, truth.host_fixed)
        + storage as f64 * truth.storage
        + fixed(storage, truth.storage_fixed);
    SpeedObservation {
        conversation: 0,
        sent_ms: 0.0,
        first_token_ms: Some(ttft),
        end_ms: ttft + 30.0,
        prompt_tokens: Some(prompt),
        cached_tokens: Some(device + host + storage),
        cached_device_tokens: Some(device),
        cached_host_tokens: Some(host),
        cached_storage_tokens: Some(storage),
    }
}

/// The same requests, sent by `clients` that each have some of the conversations and wait `think_ms` after each
/// answer, to a server that computes or loads one prompt at a time, in the order of arrival.
pub(crate) fn queued(
    requests: &[SpeedObservation],
    clients: usize,
    think_ms: f64,
) -> Vec<SpeedObservation> {
    let mut ready = vec![0.0; clients];
    let mut queues: Vec<Vec<SpeedObservation>> = vec![Vec::new(); clients];
    for one in requests {
        queues[one.conversation as usize % clients].push(*one);
    }
    let mut next = vec![0; clients];
    let mut free_ms: f64 = 0.0;
    let mut all = Vec::new();
    loop {
        let waiting = (0..clients).filter(|&client| next[client] < queues[client].len());
        let Some(client) = waiting.min_by(|&a, &b| f64::total_cmp(&ready[a], &ready[b])) else {
            break;
        };
        let mut one = queues[client][next[client]];
        next[client] += 1;
        let (own_ms, answer_ms) =
            (one.first_token_ms.unwrap() - one.sent_ms, one.end_ms - one.first_token_ms.unwrap());
        one.sent_ms = ready[client];
        free_ms = free_ms.max(one.sent_ms) + own_ms;
        one.first_token_ms = Some(free_ms);
        one.end_ms = free_ms + answer_ms;
        ready[client] = one.end_ms + think_ms;
        all.push(one);
    }
    all
}
