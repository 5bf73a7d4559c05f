use std::sync::Arc;

use serde::{Deserialize, Serialize};
use turnbench_model::{
    Answer, Compat, CountSource, Nanos, Phase, Plan, Received, RequestRecord, StampSource, Stamps,
    TokenCounts, Usage,
};

use crate::ReusableTokens;
use crate::describe::quantile_of;

/// Lowest value to which the first-chunk correction may bring a TTFT, in ms (the reference's).
const CORRECTED_TTFT_FLOOR_MS: f64 = 0.1;

/// How rows are made from records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RowOptions {
    /// With [`Compat::Vllm`] every token count is the local tokenizer's, as in the reference.
    pub compat: Compat,
    /// Whether answers were streamed; a whole answer has no first chunk.
    pub stream: bool,
}

impl RowOptions {
    /// The options that belong to a run.
    pub fn of(plan: &Plan) -> Self {
        Self { compat: plan.compat, stream: plan.request.stream }
    }
}

/// The numbers of one completed request: the reference's fields first, in its order, then ours.
///
/// `None` means not known (not reported, not measured, no tokenizer); it is never a zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestRow {
    /// `first_token - sent`, lowered by `(n - 1) * tpot_ms` (not below 0.1 ms) when the first
    /// chunk held n > 1 tokens, as the reference does.
    pub ttft_ms: Option<f64>,
    /// `(end - first_token) / (output - first-chunk tokens)`; 0 when nothing followed.
    pub tpot_ms: Option<f64>,
    /// `end - sent`.
    pub latency_ms: f64,
    /// `sent`, since the run's epoch.
    pub start_time_ms: f64,
    /// Messages sent, the history included.
    pub input_num_turns: u32,
    /// Tokens of all messages sent, without the chat template's own.
    pub input_num_tokens: Option<u64>,
    /// Tokens of the whole answer.
    pub output_num_tokens: Option<u64>,
    /// Chunks after the first.
    pub output_num_chunks: u64,
    /// Tokens of the first chunk; 0 for an answer that was not streamed.
    pub output_num_first_chunk_tokens: Option<u64>,
    /// Share of the input tokens before the last message, 0..100: what could be cached at best.
    pub approx_cached_percent: Option<f64>,
    /// Id of the conversation.
    pub conversation_id: Arc<str>,
    /// The client that sent it, from 0.
    pub client_id: u32,
    /// Turn within the conversation, from 1.
    pub turn: u32,
    /// Attempt at this turn, from 1.
    pub attempt: u32,
    /// Part of the run.
    pub phase: Phase,
    /// `first_token - sent`, never corrected.
    pub ttft_raw_ms: Option<f64>,
    /// Whether `ttft_ms` was lowered.
    pub ttft_corrected: bool,
    /// `first_token - intended`.
    pub ttft_intended_ms: Option<f64>,
    /// `sent - intended`.
    pub send_lateness_ms: f64,
    /// `first_event - sent`: any SSE event, the role-only one included.
    pub first_event_ms: Option<f64>,
    /// `last_token - sent`.
    pub last_token_ms: Option<f64>,
    /// `connected - connect`; absent on a reused connection.
    pub connect_ms: Option<f64>,
    /// Mean gap between successive chunks; absent with fewer than two.
    pub itl_mean_ms: Option<f64>,
    /// Median of those gaps.
    pub itl_p50_ms: Option<f64>,
    /// 99th percentile of those gaps.
    pub itl_p99_ms: Option<f64>,
    /// Largest of those gaps.
    pub itl_max_ms: Option<f64>,
    /// As the server reported it.
    pub prompt_tokens: Option<u64>,
    /// As the server reported it.
    pub completion_tokens: Option<u64>,
    /// As the server reported it.
    pub cached_tokens: Option<u64>,
    /// As the server reported it.
    pub reasoning_tokens: Option<u64>,
    /// Where `input_num_tokens` comes from.
    pub input_tokens_source: Option<CountSource>,
    /// Where `output_num_tokens` comes from.
    pub output_tokens_source: Option<CountSource>,
    /// Time between the kernel's receipt of the first token and its read; absent without a kernel
    /// stamp.
    pub first_token_delay_ms: Option<f64>,
    /// Largest time between the kernel's receipt of bytes and their read.
    pub client_delay_max_ms: Option<f64>,
    /// TTFT by the server's own account, where it reports one.
    pub server_ttft_ms: Option<f64>,
    /// `ttft_raw_ms - server_ttft_ms`.
    pub server_gap_ms: Option<f64>,
    /// Who stamped the first token.
    pub stamp_source: Option<StampSource>,
    /// Why the server stopped.
    pub finish_reason: Option<Arc<str>>,
    /// Bytes of the request body.
    pub request_bytes: u64,
    /// Of the cached tokens, those in the device's memory, as the server reported it.
    pub cached_device_tokens: Option<u32>,
    /// Those in the host's memory.
    pub cached_host_tokens: Option<u32>,
    /// Those in the storage behind it.
    pub cached_storage_tokens: Option<u32>,
    /// Tokens of the prompt as it was made anew from its messages.
    pub rendered_prompt_tokens: Option<u32>,
    /// What an endless cache would have served of it.
    pub ideal_tokens: Option<u32>,
    /// The same, if it was looked up just before its first token.
    pub late_ideal_tokens: Option<u32>,
    /// What an endless cache would have served from the conversation's own earlier requests.
    pub own_history_tokens: Option<u32>,
    /// What an LRU cache of the device's size would have served.
    pub lru_tokens: Option<u32>,
    /// The least LRU cache that serves all of the ideal, in tokens.
    pub needed_cache_tokens: Option<u32>,
    /// Tokens sent before that fill no block that may be reused.
    pub rounded_tokens: Option<u32>,
}

impl RequestRow {
    /// The row of a completed request.
    ///
    /// `None` when it failed, or when the record breaks its promise that a completed request has
    /// the stamps `sent` and `end`.
    pub fn from_record(
        record: &RequestRecord,
        counts: &TokenCounts,
        options: RowOptions,
    ) -> Option<Self> {
        let stamps = &record.stamps;
        let sent = stamps.sent_ns.filter(|_| record.outcome.is_completed())?;
        let latency_ms = stamps.end?.at_ns.since(sent).as_millis_f64();
        let since_sent = |at: Nanos| at.since(sent).as_millis_f64();
        let first_token = stamps.first_token.map(|stamp| stamp.at_ns);
        let ttft_raw_ms = first_token.map(since_sent);
        let server_times = record.server_times.as_ref();
        let server_ttft_ms = server_times
            .and_then(|times| Some(times.queue_time_ms? + times.time_to_first_token_ms?));

        let tokens = Tokens::of(record, counts, options);
        let tpot_ms = ttft_raw_ms.and_then(|ttft| tokens.tpot_ms(latency_ms - ttft));
        let (ttft_ms, ttft_corrected) = tokens.corrected_ttft(ttft_raw_ms, tpot_ms);
        let gaps = SortedGaps::of(&record.answer.chunks_ns);
        let usage = record.usage.clone().unwrap_or_default();
        let tiers = usage.cached_by_tier.unwrap_or_default();
        let in_tier = |tokens: Option<u64>| tokens.map(tokens_u32);
        Some(Self {
            ttft_ms,
            tpot_ms,
            latency_ms,
            start_time_ms: sent.as_millis_f64(),
            input_num_turns: record.input_messages,
            input_num_tokens: tokens.input,
            output_num_tokens: tokens.output,
            output_num_chunks: tokens.chunks.saturating_sub(1),
            output_num_first_chunk_tokens: tokens.first_chunk,
            approx_cached_percent: approx_cached_percent(counts),
            conversation_id: Arc::clone(&record.conversation_id),
            client_id: record.client,
            turn: record.turn,
            attempt: record.attempt,
            phase: record.phase,
            ttft_raw_ms,
            ttft_corrected,
            ttft_intended_ms: first_token.map(|at| at.since(stamps.intended_ns).as_millis_f64()),
            send_lateness_ms: sent.since(stamps.intended_ns).as_millis_f64(),
            first_event_ms: stamps.first_event.map(|stamp| since_sent(stamp.at_ns)),
            last_token_ms: stamps.last_token.map(|stamp| since_sent(stamp.at_ns)),
            connect_ms: stamps
                .connect_ns
                .zip(stamps.connected_ns)
                .map(|(from, to)| to.since(from).as_millis_f64()),
            itl_mean_ms: gaps.mean_ms(),
            itl_p50_ms: gaps.quantile_ms(0.5),
            itl_p99_ms: gaps.quantile_ms(0.99),
            itl_max_ms: gaps.quantile_ms(1.0),
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            cached_tokens: usage.cached_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            input_tokens_source: tokens.input_source,
            output_tokens_source: tokens.output_source,
            first_token_delay_ms: first_token_delay(stamps).map(Nanos::as_millis_f64),
            client_delay_max_ms: record.client_delay_max_ns.map(Nanos::as_millis_f64),
            server_ttft_ms,
            server_gap_ms: ttft_raw_ms.zip(server_ttft_ms).map(|(seen, own)| seen - own),
            stamp_source: stamps.first_token.map(|stamp| stamp.source),
            finish_reason: record.answer.finish_reason.as_deref().map(Arc::from),
            request_bytes: record.request_bytes,
            cached_device_tokens: in_tier(tiers.device),
            cached_host_tokens: in_tier(tiers.host),
            cached_storage_tokens: in_tier(tiers.storage),
            rendered_prompt_tokens: None,
            ideal_tokens: None,
            late_ideal_tokens: None,
            own_history_tokens: None,
            lru_tokens: None,
            needed_cache_tokens: None,
            rounded_tokens: None,
        })
    }

    /// Takes in what of its prompt was there to be reused, which is known once all records are.
    pub(crate) fn reusable(&mut self, tokens: &ReusableTokens) {
        self.rendered_prompt_tokens = Some(tokens_u32(tokens.prompt));
        self.ideal_tokens = Some(tokens_u32(tokens.ideal));
        self.late_ideal_tokens = Some(tokens_u32(tokens.late_ideal));
        self.own_history_tokens = Some(tokens_u32(tokens.own_history));
        self.lru_tokens = tokens.lru.map(tokens_u32);
        self.needed_cache_tokens = tokens.needed_cache.map(tokens_u32);
        self.rounded_tokens = Some(tokens_u32(tokens.rounded));
    }

    /// `start_time_ms + latency_ms`: when the answer had ended, since the run's epoch.
    pub fn end_time_ms(&self) -> f64 {
        self.start_time_ms + self.latency_ms
    }
}

fn tokens_u32(tokens: u64) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

/// Gaps between successive token-carrying events. None with fewer than two.
pub(crate) fn gaps(chunks: &[Nanos]) -> impl Iterator<Item = Nanos> {
    chunks.windows(2).map(|pair| pair[1].since(pair[0]))
}

/// The gaps of one request, ascending.
struct SortedGaps(Vec<Nanos>);

impl SortedGaps {
    fn of(chunks: &[Nanos]) -> Self {
        let mut sorted: Vec<Nanos> = gaps(chunks).collect();
        sorted.sort_unstable();
        Self(sorted)
    }

    fn mean_ms(&self) -> Option<f64> {
        let sum_ns: u128 = self.0.iter().map(|gap| u128::from(gap.0)).sum();
        (!self.0.is_empty()).then(|| sum_ns as f64 / self.0.len() as f64 / 1e6)
    }

    fn quantile_ms(&self, fraction: f64) -> Option<f64> {
        quantile_of(self.0.len(), fraction, |rank| self.0[rank].as_millis_f64())
    }
}

/// How long the first token had lain in the kernel; `None` where the client stamped it.
pub(crate) fn first_token_delay(stamps: &Stamps) -> Option<Nanos> {
    stamps.first_token.filter(|stamp| stamp.source == StampSource::Kernel).map(Received::delay)
}

/// How long token-carrying events had lain in the kernel; those that the client stamped itself are
/// left out.
pub(crate) fn event_delays(answer: &Answer) -> impl Iterator<Item = Nanos> {
    let mut by_user = answer.user_stamped_chunks.iter().peekable();
    answer
        .chunk_delays_ns
        .iter()
        .zip(0_u32..)
        .filter_map(move |(&delay, index)| by_user.next_if_eq(&&index).is_none().then_some(delay))
}

fn approx_cached_percent(counts: &TokenCounts) -> Option<f64> {
    let (input, question) = (counts.input?, counts.question?);
    if input == 0 {
        return Some(0.0);
    }
    // In the reference's order of operations, which decides the last bit.
    Some(input.saturating_sub(question) as f64 / input as f64 * 100.0)
}

/// The token counts that a row uses, and where they come from.
struct Tokens {
    chunks: u64,
    input: Option<u64>,
    input_source: Option<CountSource>,
    output: Option<u64>,
    output_source: Option<CountSource>,
    first_chunk: Option<u64>,
}

impl Tokens {
    fn of(record: &RequestRecord, counts: &TokenCounts, options: RowOptions) -> Self {
        let chunks = record.answer.chunks_ns.len() as u64;
        let mut tokens = match options.compat {
            Compat::Vllm => Self::as_reference(counts, chunks),
            Compat::None => Self::server_first(record.usage.as_ref(), counts, chunks),
        };
        if !options.stream {
            tokens.first_chunk = Some(0);
        }
        tokens
    }

    /// Everything from the local tokenizer.
    fn as_reference(counts: &TokenCounts, chunks: u64) -> Self {
        Self {
            chunks,
            input: counts.input,
            input_source: counts.input.map(|_| CountSource::Tokenizer),
            output: counts.output,
            output_source: counts.output.map(|_| CountSource::Tokenizer),
            first_chunk: counts.first_chunk,
        }
    }

    /// Output from the server's usage, else the tokenizer, else one per chunk; input (which
    /// leaves out the chat template) from the tokenizer, else the server's prompt tokens.
    fn server_first(usage: Option<&Usage>, counts: &TokenCounts, chunks: u64) -> Self {
        let reported_prompt = usage.and_then(|usage| usage.prompt_tokens);
        let reported_output = usage.and_then(|usage| usage.completion_tokens);
        let (input, input_source) = match (counts.input, reported_prompt) {
            (Some(count), _) => (Some(count), Some(CountSource::Tokenizer)),
            (None, Some(count)) => (Some(count), Some(CountSource::Server)),
            (None, None) => (None, None),
        };
        let (output, output_source) = match (reported_output, counts.output) {
            (Some(count), _) => (count, CountSource::Server),
            (None, Some(count)) => (count, CountSource::Tokenizer),
            (None, None) => (chunks, CountSource::Chunks),
        };
        let first_chunk = first_chunk_tokens(output, chunks, counts.first_chunk);
        Self {
            chunks,
            input,
            input_source,
            output: Some(output),
            output_source: Some(output_source),
            first_chunk: Some(first_chunk),
        }
    }

    fn tpot_ms(&self, after_first_ms: f64) -> Option<f64> {
        let (output, first) = (self.output?, self.first_chunk?);
        if output > 1 && output > first {
            Some(after_first_ms / (output - first) as f64)
        } else {
            Some(0.0)
        }
    }

    /// The TTFT of the reference-compatible table, and whether it was lowered.
    fn corrected_ttft(&self, raw_ms: Option<f64>, tpot_ms: Option<f64>) -> (Option<f64>, bool) {
        let (Some(raw), Some(tpot), Some(first)) = (raw_ms, tpot_ms, self.first_chunk) else {
            return (raw_ms, false);
        };
        if first <= 1 {
            return (raw_ms, false);
        }
        let corrected = (raw - (first - 1) as f64 * tpot).max(CORRECTED_TTFT_FLOOR_MS);
        (Some(corrected), corrected != raw)
    }
}

/// Tokens of the first chunk when the whole answer has `output` tokens in `chunks` chunks.
///
/// A fragment re-tokenised alone can give more tokens than the model produced for it. Every later
/// chunk carries at least one token, so the count cannot exceed `output - (chunks - 1)`.
fn first_chunk_tokens(output: u64, chunks: u64, counted: Option<u64>) -> u64 {
    let at_most = output.saturating_sub(chunks.saturating_sub(1)).max(1);
    match counted {
        _ if chunks == 0 => 0,
        _ if chunks == 1 => output,
        Some(counted) => counted.clamp(1, at_most),
        None => 1,
    }
}
