/// One label on the terminal, and the numbers behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Printed {
    /// The words, as printed.
    pub(crate) label: &'static str,
    /// Ids of the definitions behind it; empty where there is none.
    pub(crate) ids: &'static [&'static str],
    /// Which of these numbers, in words.
    pub(crate) what: &'static str,
}

/// The labels of one block of the output, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PrintedBlock {
    /// Where it stands.
    pub(crate) title: &'static str,
    /// Its labels.
    pub(crate) labels: &'static [Printed],
}

const fn printed(label: &'static str, ids: &'static [&'static str], what: &'static str) -> Printed {
    Printed { label, ids, what }
}

/// Every label that the commands print, in the order of the output.
pub(crate) const PRINTED: &[PrintedBlock] = &[
    PrintedBlock { title: "Before a run", labels: BEFORE },
    PrintedBlock { title: "Progress, on standard error", labels: PROGRESS },
    PrintedBlock { title: "Parameters and the reference's table", labels: REFERENCE },
    PrintedBlock { title: "Requests, conversations, throughput", labels: OUTCOME },
    PrintedBlock { title: "The table by turn", labels: TURNS },
    PrintedBlock { title: "The cache ledger", labels: LEDGER },
    PrintedBlock { title: "The table of intervals", labels: INTERVALS },
    PrintedBlock { title: "The lines about the client", labels: CLIENT },
    PrintedBlock { title: "The end of a demo", labels: DEMO },
];

const BEFORE: &[Printed] = &[
    printed(
        "num_turns",
        &[],
        "messages of each conversation in the input file, one sample for each",
    ),
    printed(
        "conversation_turns, user_tokens, assistant_tokens",
        &[],
        "`print_stats` of a generator config, one sample for each conversation: its messages, the mean length of its user messages and that of its assistant messages",
    ),
    printed(
        "request_tokens",
        &[],
        "`print_stats`, one sample for each user message: tokens of all messages up to it",
    ),
];

const PROGRESS: &[Printed] = &[
    printed(
        "12/185 requests",
        &[],
        "requests that ended, completed or failed, of those planned (retries are not counted); `(warm-up)` behind the line: of the warm-up step",
    ),
    printed(
        "10.5/s, 17 s left",
        &[],
        "requests that ended per second since the start; the time for the others at that rate",
    ),
    printed(
        "TTFT",
        &["ttft_raw_ms"],
        "a mean that forgets slowly: each new request weighs 5 %. For watching; no result comes from it",
    ),
    printed(
        "TPOT",
        &[],
        "such a mean of `(last_token − first_token) / (chunks − 1)`, since tokens are not counted yet",
    ),
];

const REFERENCE: &[Printed] = &[
    printed(
        "active_conversations=None",
        &[],
        "`--max-active-conversations` was not given, or is the number of clients: one open conversation for each",
    ),
    printed(
        "runtime_sec, requests_per_sec, …",
        &["runtime_sec", "requests_per_sec", "warmup_runtime_sec", "total_runtime_incl_warmup_sec"],
        "the numbers of these names",
    ),
    printed(
        "rows of the table",
        &[],
        "the numbers of these names, one sample for each completed request; the table is as wide as it needs, never cut to the terminal's width",
    ),
    printed(
        "assuming 25% warmup samples",
        &["warmup_fraction"],
        "the table leaves out this share of the requests, those that started first",
    ),
    printed(
        "note: ttft_ms is lowered for …",
        &["corrected", "nearly_all_removed"],
        "counts of requests",
    ),
];

const OUTCOME: &[Printed] = &[
    printed(
        "requests: completed, failed, cancelled, attempts, retries, reconnects",
        &["completed", "failed", "cancelled", "attempts", "retries", "reconnects"],
        "requests (turns) by what became of them at last, and the attempts at them",
    ),
    printed(
        "http_status 503: 2 attempts, 1 request given up; first: …",
        &["failed"],
        "attempts that failed in this way; requests of which it was the last attempt; the first one's message",
    ),
    printed(
        "warm-up step: 1 of 24 attempts failed",
        &["warmup_failed_attempts", "warmup_attempts"],
        "counts",
    ),
    printed(
        "conversations: finished, unfinished, failed, not started",
        &[
            "finished_conversations",
            "unfinished_conversations",
            "failed_conversations",
            "not_started_conversations",
        ],
        "counts, of all conversations of the workload",
    ),
    printed(
        "run: interrupted before its end",
        &[],
        "Ctrl-C or SIGTERM, or the process was killed: every number is of what was measured until then",
    ),
    printed(
        "throughput",
        &["requests_per_sec", "output_tokens_per_sec", "span_sec"],
        "rates over the true span; the reference's table divides by `runtime_sec`, so the two can differ",
    ),
];

const TURNS: &[Printed] = &[
    printed("turn", &["turn"], "the first twelve turns"),
    printed(
        "2-9",
        &[],
        "all requests after the first turn taken together (here a ninth turn was the last); not a mean of the rows above",
    ),
    printed("requests", &["requests"], "completed requests of that turn"),
    printed("ttft p50 ms, p90", &["ttft_raw_ms"], "median and 90th percentile, never corrected"),
    printed("latency p50 ms", &["latency_ms"], "median"),
    printed("input p50", &["input_num_tokens"], "median"),
    printed("cached", &["cached_ratio"], "`-` where the server reported nothing"),
    printed(
        "later turns against turn 1: first token 3.9x faster (medians)",
        &["ttft_raw_ms"],
        "the first turn's median divided by that of all later turns",
    ),
];

const LEDGER: &[Printed] = &[
    printed("turn", &["turn"], "the first eight turns, then every power of two, and the last"),
    printed(
        "prompt tokens",
        &["prompt_tokens", "rendered_prompt_tokens"],
        "sum: as the server counted, or as made anew where it told none",
    ),
    printed("ideal", &["ideal_tokens"], "of the prompts as they were made anew"),
    printed("own", &["own_history_tokens"], "of the prompts as they were made anew"),
    printed("cached", &["cached_ratio"], "`-` where the server reported nothing"),
    printed(
        "device, host, storage",
        &["cached_device_tokens", "cached_host_tokens", "cached_storage_tokens"],
        "of the prompt tokens; only where the server's answers tell",
    ),
    printed("of ideal", &["efficiency"], "may be above 100 %: see `sources`"),
    printed("ttft p50 ms, p90, p99", &["ttft_raw_ms"], "percentiles, never corrected"),
    printed("ideal", &[], "how prompts were made anew"),
    printed(
        "sources",
        &[],
        "where two sources tell of the same tokens: answers (usage), the server's counters (the growth of its metrics over the run proper), and prompts made anew",
    ),
    printed(
        "speeds",
        &["recompute_tokens_per_sec", "reload_tokens_per_sec", "break_even_tokens"],
        "each with its 95 % interval, or why it cannot be told",
    ),
    printed("cache", &[], "what it all means"),
];

const INTERVALS: &[Printed] = &[
    printed(
        "TTFT",
        &["ttft_raw_ms"],
        "percentiles; never corrected, so it can differ from `ttft_ms` in the reference's table",
    ),
    printed("TPOT", &["tpot_ms"], "percentiles"),
    printed("Latency", &["latency_ms"], "percentiles"),
    printed(
        "115 [72.1, ?]",
        &[],
        "the estimate and the two ends of its 95 % confidence interval; `?`: the sample is too small to give that end",
    ),
    printed(
        "-",
        &[],
        "fewer than 100 samples (p99), or no such number because answers were not streamed",
    ),
];

const CLIENT: &[Printed] = &[
    printed(
        "verdict",
        &[],
        "how far the numbers can be trusted, and a line for each reason and each note; see above",
    ),
    printed(
        "31.2 of 32 requests in flight on average (32 at most)",
        &["concurrency_mean", "concurrency_asked", "concurrency_peak"],
        "reached, asked for, and the peak",
    ),
    printed(
        "busiest thread … of its core, all threads … of the client's cores",
        &["thread_busy_ratio", "cores_busy_ratio"],
        "the busiest of the client's threads; all of them together where that is the larger share, as with more threads than cores",
    ),
    printed(
        "event loops … late (p99), … at worst",
        &["loop_lag_ms", "loop_lag_max_ms"],
        "99th percentile of all loops' lags (90th with fewer than 100), and the largest; left out where that is no more than 1.1 ms, which says nothing",
    ),
    printed(
        "… of the client's capacity here in use",
        &["capacity_ratio"],
        "left out where `turnbench selfcheck` was never run",
    ),
    printed(
        "TTFT … beyond the server's own",
        &["server_gap_ms"],
        "median, 99th percentile (90th with fewer than 100) and largest, where the server reports its times",
    ),
    printed(
        "requests sent … after they were due (p99; … with new connections)",
        &["held_back_ms", "send_lateness_ms"],
        "99th percentile over all attempts (90th with fewer than 100); one number where connections make no difference",
    ),
    printed(
        "from due to first token",
        &["ttft_intended_ms"],
        "median and 99th percentile (90th with fewer than 100) over the completed requests",
    ),
    printed("gaps between tokens", &["itl_ms"], "likewise, over all gaps of completed requests"),
    printed(
        "bytes read … after arrival",
        &["client_delay_ms"],
        "likewise, over all events of completed requests",
    ),
    printed(
        "the kernel stamped every first token",
        &["kernel_stamped_ratio"],
        "where the kernel stamped a token that was read alone, a late read does not move its time. `which no TTFT contains` stands only where every first token was",
    ),
    printed(
        "… of … first tokens share a stamp with later ones",
        &["shared_first_tokens", "first_tokens", "shared_stamp_excess_ms"],
        "came in one read with the next token: their TTFT is too large by as long as they waited for it",
    ),
    printed("records had to wait for the recorder", &["record_waits"], "a count"),
];

const DEMO: &[Printed] = &[
    printed(
        "first token after … ms",
        &["ttft_raw_ms"],
        "median, of the first turn and of all later turns",
    ),
    printed(
        "prompt tokens",
        &["prompt_tokens", "input_num_tokens"],
        "mean: by the server's count where it reported one for every request (with its chat template), else `input_num_tokens`",
    ),
    printed("% … cached", &["cached_ratio"], "of the first turn and of all later turns"),
    printed("3.9x faster", &[], "the first turn's median divided by that of all later turns"),
];

#[cfg(test)]
mod tests {
    use super::PRINTED;
    use crate::definition;

    #[test]
    fn every_label_leads_to_definitions_that_exist() {
        for label in PRINTED.iter().flat_map(|block| block.labels) {
            for id in label.ids {
                assert!(definition(id).is_some(), "{}: {id}", label.label);
            }
        }
    }
}
