use std::fmt::Write;

use super::thresholds::{
    BUSY_RATIO, CAPACITY_RATIO, DelayLimits, EVENT_DELAY, FAILED_RATIO, FIRST_TOKEN_DELAY,
    HELD_BACK, IDLE_RATIO, KERNEL_STAMPED_RATIO, LOOP_LAG_KERNEL, LOOP_LAG_USER, Limits,
    RECORD_WAIT_RATIO, REQUESTS_MIN, SERVER_GAP, SHARED_STAMPS, SHARED_STAMPS_RATIO, STALL,
    UNFINISHED_RATIO,
};
use super::{NoteId, ReasonId};

const HEAD: &str = "
## The verdict

Every report says how far its numbers can be trusted: `trustworthy`, `caution` (some of them say less than
they seem to) or `client-limited` (the client, not the server, made some of them). Each reason names what
was measured, the limit, and the numbers that it touches. A delay is held against the median TTFT (the
median latency without streaming) or the median ITL; the floor counts where that share of it is smaller.
First tokens that came in one read with later ones are left out of that median TTFT where there are others.
With fewer than 100 samples p90 stands in for p99. The reasons of each limit stand beside it in
`crates/metrics/src/verdict/thresholds.rs`.

| reason | is | caution beyond | client-limited beyond | touches | what to do |
| --- | --- | --- | --- | --- | --- |
";

const NOTES: &str = "
Notes stand beside the reasons and change no level.

| note | is said when |
| --- | --- |
";

/// Appends the documentation of the verdict: a row for each reason.
pub(crate) fn push_guide(text: &mut String) {
    text.push_str(HEAD);
    for id in ReasonId::ALL {
        let (caution, limited) = limits(id);
        let touches: Vec<String> = id.touches().iter().map(|id| format!("`{id}`")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {caution} | {limited} | {} | {} |",
            id.name(),
            meaning(id),
            touches.join(", "),
            advice(id),
        );
    }
    text.push_str(NOTES);
    for id in NoteId::ALL {
        let _ = writeln!(text, "| `{}` | {} |", id.name(), id.meaning());
    }
}

const fn meaning(id: ReasonId) -> &'static str {
    match id {
        ReasonId::Concurrency => {
            "1 − `in_flight_ratio`: share of the clients' time without a request in flight. Waits before retries are no time of theirs. Not judged with `--request-rate`, whose pauses are wanted"
        }
        ReasonId::SendLateness => "p99 of `held_back_ms`",
        ReasonId::CpuBusy => "the larger of `thread_busy_ratio` and `cores_busy_ratio`",
        ReasonId::LoopLag => {
            "p99 of `loop_lag_ms`; against the median ITL where the client stamps by itself, for the lag is then in every time"
        }
        ReasonId::Stall => "`loop_lag_max_ms`",
        ReasonId::SharedStamps => {
            "p99 of `shared_stamp_excess_ms`, or its largest value for a caution. A read has the stamp of its last segment, so a first token that waited until later ones were there has a TTFT too large by as long as it waited; the pace of the rest of its answer tells how long. Of answers without a rest (`unpaced_first_tokens`) `loop_lag_max_ms`, or p99 of `loop_lag_ms` or of `first_token_delay_ms`. The reasons that tell of a late client then touch these numbers too"
        }
        ReasonId::FirstTokenDelay => {
            "p99 of `first_token_delay_ms`, which is in no TTFT of a first token that was read alone"
        }
        ReasonId::EventDelay => "p99 of `client_delay_ms`",
        ReasonId::Capacity => "`capacity_ratio`",
        ReasonId::RecordWaits => "`record_waits` / `attempts`",
        ReasonId::UserStamps => "`kernel_stamped_ratio`",
        ReasonId::ServerGap => "median of `server_gap_ms`",
        ReasonId::FewRequests => "`completed`",
        ReasonId::FailedRequests => "`failed` / (`completed` + `failed`)",
        ReasonId::CutRequests => "`cancelled`",
        ReasonId::UnfinishedConversations => {
            "`unfinished_conversations` and `failed_conversations`, of those begun"
        }
        ReasonId::Interrupted => "the run ended by Ctrl-C, SIGTERM or a crash",
    }
}

/// From where on it is a caution, and from where on the client limited the run.
fn limits(id: ReasonId) -> (String, String) {
    let shares = |limits: Limits| (percent(limits.caution), percent(limits.limited));
    let delays = |limits: DelayLimits, server: &str| {
        let one = |ratio: f64, floor: f64, ceiling: f64| {
            if ratio.is_infinite() {
                return "–".to_owned();
            }
            let most = if ceiling.is_infinite() {
                String::new()
            } else {
                format!(", at most {ceiling} ms")
            };
            let share = if ratio >= 1.0 { format!("{ratio} ×") } else { percent(ratio) + " of" };
            format!("{share} {server}, at least {floor} ms{most}")
        };
        let DelayLimits { ratio, floor_ms, ceiling_ms } = limits;
        (
            one(ratio.caution, floor_ms.caution, ceiling_ms.caution),
            one(ratio.limited, floor_ms.limited, ceiling_ms.limited),
        )
    };
    let never = |caution: String| (caution, "–".to_owned());
    match id {
        ReasonId::Concurrency => shares(IDLE_RATIO),
        ReasonId::SendLateness => delays(HELD_BACK, "TTFT"),
        ReasonId::CpuBusy => shares(BUSY_RATIO),
        ReasonId::LoopLag => {
            let (kernel, user) = (delays(LOOP_LAG_KERNEL, "TTFT"), delays(LOOP_LAG_USER, "ITL"));
            let both = |kernel, user| format!("{kernel}; own stamps: {user}");
            (both(kernel.0, user.0), both(kernel.1, user.1))
        }
        ReasonId::Stall => delays(STALL, "TTFT"),
        ReasonId::SharedStamps => {
            let (caution, limited) = delays(SHARED_STAMPS, "TTFT");
            let relevant = percent(SHARED_STAMPS_RATIO);
            (
                caution,
                format!(
                    "{limited}; without a pace, with more than {relevant} of first tokens shared"
                ),
            )
        }
        ReasonId::FirstTokenDelay => delays(FIRST_TOKEN_DELAY, "TTFT"),
        ReasonId::EventDelay => delays(EVENT_DELAY, "ITL"),
        ReasonId::Capacity => shares(CAPACITY_RATIO),
        ReasonId::RecordWaits => shares(RECORD_WAIT_RATIO),
        ReasonId::UserStamps => never(format!("below {}", percent(KERNEL_STAMPED_RATIO))),
        ReasonId::ServerGap => delays(SERVER_GAP, "TTFT"),
        ReasonId::FewRequests => never(format!("below {REQUESTS_MIN}")),
        ReasonId::FailedRequests => never(percent(FAILED_RATIO)),
        ReasonId::CutRequests => never("0".to_owned()),
        ReasonId::UnfinishedConversations => never(percent(UNFINISHED_RATIO)),
        ReasonId::Interrupted => never("always".to_owned()),
    }
}

const fn advice(id: ReasonId) -> &'static str {
    match id {
        ReasonId::Concurrency => {
            "give the client more cores (`--threads`), or a machine of its own; with connections made anew each time look at the server's keep-alive"
        }
        ReasonId::SendLateness => {
            "more `--threads`; for a start together `--connections-warm`; fewer clients"
        }
        ReasonId::CpuBusy => "more `--threads`, up to the cores of the machine; then more machines",
        ReasonId::LoopLag => {
            "stop what else runs on the machine, raise the container's CPU limit, keep the server off the client's cores"
        }
        ReasonId::Stall => {
            "look for what stopped the process: a suspended machine, a CPU limit, a full disk"
        }
        ReasonId::SharedStamps | ReasonId::FirstTokenDelay | ReasonId::EventDelay => {
            "as for `loop_lag`; with `cpu_busy` beside it, as for that"
        }
        ReasonId::Capacity => "as for `cpu_busy`; `turnbench selfcheck` says what would help",
        ReasonId::RecordWaits => {
            "a faster disk for `--run-dir`; a core for the thread that writes the records"
        }
        ReasonId::UserStamps => {
            "run the client on Linux, outside a sandbox that refuses `SO_TIMESTAMPNS` (gVisor); then the delay is measured, and in no time but those of `shared_stamps`"
        }
        ReasonId::ServerGap => {
            "measure beside the server, without the proxy: what remains is the server's HTTP front"
        }
        ReasonId::FewRequests => "more conversations",
        ReasonId::FailedRequests => "see the failures above; retries (`--max-retries`) hide none",
        ReasonId::CutRequests => "let the run end by itself; no early stop",
        ReasonId::UnfinishedConversations => {
            "no early stop, a larger `--max-num-requests`, or none"
        }
        ReasonId::Interrupted => "let it end",
    }
}

fn percent(ratio: f64) -> String {
    format!("{} %", (ratio * 1e6).round() / 1e4)
}
