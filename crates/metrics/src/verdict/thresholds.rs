//! Every limit of the verdict, each with its reason. A number on a limit is still good.
//!
//! Where a reason is a fact about something else, it names its source; the others are judgements, and
//! say what they weigh.

/// From where on a number is worth a caution, and from where on the client limited the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    pub(super) caution: f64,
    pub(super) limited: f64,
}

/// A delay is held against a time that the server took; below the floor it is never worth a word,
/// however fast the server, and above the ceiling always, however slow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DelayLimits {
    /// As a share of the server's time.
    pub(super) ratio: Limits,
    /// In ms.
    pub(super) floor_ms: Limits,
    /// In ms.
    pub(super) ceiling_ms: Limits,
}

/// For what has no limit but a share of the server's time.
const NO_CEILING: Limits = Limits { caution: f64::INFINITY, limited: f64::INFINITY };

impl DelayLimits {
    /// The limits in ms against a server that took `server_ms`.
    pub(super) fn against(self, server_ms: f64) -> Limits {
        Limits {
            caution: (self.ratio.caution * server_ms)
                .max(self.floor_ms.caution)
                .min(self.ceiling_ms.caution),
            limited: (self.ratio.limited * server_ms)
                .max(self.floor_ms.limited)
                .min(self.ceiling_ms.limited),
        }
    }
}

/// Samples from which the 99th percentile is judged, as it is shown; the 90th with fewer.
///
/// The 99th percentile of 100 values lies between the two largest; with fewer it is the largest.
pub(crate) const TAIL_SAMPLES: u64 = 100;

/// Share of the clients' time without a request in flight.
///
/// Below 10 % the load is what was asked for, as near as two runs of a real server agree. Above
/// 50 % the server waited for the client more than the client for the server: rates and
/// concurrency are the client's.
pub(super) const IDLE_RATIO: Limits = Limits { caution: 0.1, limited: 0.5 };

/// p99 of the time for which the client held requests back, against the median answer's TTFT.
///
/// It is in no TTFT, but in `ttft_intended_ms`, and requests that were to be sent together were
/// not. A tenth of the TTFT is about what its own 95 % interval spans in a run of some hundred
/// requests; a whole TTFT means that the client took as long as the server. Timers and a loaded
/// scheduler are easily 1 ms late.
pub(super) const HELD_BACK: DelayLimits = DelayLimits {
    ratio: Limits { caution: 0.1, limited: 1.0 },
    floor_ms: Limits { caution: 2.0, limited: 20.0 },
    ceiling_ms: NO_CEILING,
};

/// p99 of the time for which first tokens lay in the kernel, against the median TTFT.
///
/// The kernel's stamp keeps it out of the times of a first token that was read alone, so that alone
/// it never makes a run client-limited; it shows how near the client is to its limit. What it does to
/// first tokens that waited until the next one was there is `SHARED_STAMPS`. 5 ms is what a busy but
/// healthy scheduler does to a process now and then.
pub(super) const FIRST_TOKEN_DELAY: DelayLimits = DelayLimits {
    ratio: Limits { caution: 0.1, limited: f64::INFINITY },
    floor_ms: Limits { caution: 5.0, limited: f64::INFINITY },
    ceiling_ms: NO_CEILING,
};

/// p99 of the time for which events lay in the kernel, against the median ITL.
///
/// Once an event is read after the next one arrived, events queue up in front of the client, and
/// all that one read finds have the stamp of the last: the gaps between them are lost, and the last
/// one's delay is all that is known. What that does to first tokens is `SHARED_STAMPS`.
pub(super) const EVENT_DELAY: DelayLimits = DelayLimits {
    ratio: Limits { caution: 1.0, limited: f64::INFINITY },
    floor_ms: Limits { caution: 5.0, limited: f64::INFINITY },
    ceiling_ms: NO_CEILING,
};

/// Lags of the event loops that are always said; the reason is beside [`LOOP_LAG_KERNEL`].
const LOOP_LAG_CEILING_MS: Limits = Limits { caution: 50.0, limited: 1_000.0 };

/// p99 of the event loops' lag, against the median TTFT, where the kernel stamps.
///
/// The lag then delays sends, and the stamps of what waits with later bytes (`SHARED_STAMPS` judges
/// first tokens). Up to 1.1 ms is the grain of the timer (tokio's count in whole milliseconds:
/// `tokio::time::sleep`). Beyond 50 ms at one time in a hundred several
/// tokens of any usual server wait, however long its prompts take; a second is as long as whole
/// answers.
pub(super) const LOOP_LAG_KERNEL: DelayLimits = DelayLimits {
    ratio: Limits { caution: 0.2, limited: 1.0 },
    floor_ms: Limits { caution: 5.0, limited: 50.0 },
    ceiling_ms: LOOP_LAG_CEILING_MS,
};

/// p99 of the event loops' lag, against the median ITL (TTFT where there is none), where the
/// client stamps by itself.
///
/// The lag is then inside every time: at half an ITL gaps are off by half, at five ITLs they say
/// more about the client than about the server. The ceilings are those of `LOOP_LAG_KERNEL`.
pub(super) const LOOP_LAG_USER: DelayLimits = DelayLimits {
    ratio: Limits { caution: 0.5, limited: 5.0 },
    floor_ms: Limits { caution: 3.0, limited: 20.0 },
    ceiling_ms: LOOP_LAG_CEILING_MS,
};

/// The single worst lag of an event loop, against the median TTFT.
///
/// One stall is in no p99 of a long run, but everything in flight stood still with it. 100 ms is
/// far beyond what a scheduler does to a thread that has a core; a quarter of a second is always
/// said, for it is in what was in flight whatever the median.
pub(super) const STALL: DelayLimits = DelayLimits {
    ratio: Limits { caution: 1.0, limited: f64::INFINITY },
    floor_ms: Limits { caution: 100.0, limited: f64::INFINITY },
    ceiling_ms: Limits { caution: 250.0, limited: f64::INFINITY },
};

/// By how much TTFT is too large where first tokens share the stamp of later ones (p99, and the worst for
/// a caution), against the median TTFT; where no later token tells the pace, how late the client was (the
/// worst lag of its loops, or p99 of the lag or of the first tokens' delay).
///
/// The stamp of a read is that of its last segment, so that the TTFT of a first token that waited
/// until later ones were there is too large, by at most as long as it waited. A tenth of the TTFT is
/// what `HELD_BACK` takes for relevant; half of that is worth a word. The floors are beyond the timers'
/// grain and what a healthy scheduler does.
pub(super) const SHARED_STAMPS: DelayLimits = DelayLimits {
    ratio: Limits { caution: 0.05, limited: 0.1 },
    floor_ms: Limits { caution: 2.0, limited: 5.0 },
    ceiling_ms: NO_CEILING,
};

/// Share of first tokens with such a stamp beyond which the client made the TTFT: then p99 is among
/// them. Fewer are worth a caution.
pub(super) const SHARED_STAMPS_RATIO: f64 = 0.01;

/// CPU share of the client's busiest thread, or of all its threads in the cores that they can run on,
/// whichever is larger: more threads than cores share them, so that none of them looks busy.
///
/// Queues in front of a server with random arrivals grow as `1 / (1 - load)` (the mean time in an
/// M/M/1 queue; Kleinrock, Queueing Systems I, 3.2): five times the service time at 80 %, twenty times
/// at 95 %, where hardly anything waits for the server.
pub(super) const BUSY_RATIO: Limits = Limits { caution: 0.8, limited: 0.95 };

/// Share of what the machine carried in `turnbench selfcheck`.
///
/// A selfcheck sends little and reads much; a real run has longer bodies and other processes beside
/// it. Half of the capacity leaves room for both; at nine tenths there is none.
pub(super) const CAPACITY_RATIO: Limits = Limits { caution: 0.5, limited: 0.9 };

/// Share of records that waited for the recorder, each with its whole thread behind it.
///
/// Any wait is a disk slower than the run; one in ten paces it.
pub(super) const RECORD_WAIT_RATIO: Limits = Limits { caution: 0.0, limited: 0.1 };

/// Lowest share of first tokens that the kernel stamped.
///
/// Below it even p99 can come from the client's own stamps, late by an unknown delay. A single
/// one without a stamp happens: the kernel begins to stamp some ms after it was asked to
/// (`net_enable_timestamp` in Linux' net/core/dev.c leaves the switch to a work queue).
pub(super) const KERNEL_STAMPED_RATIO: f64 = 0.99;

/// Completed requests from which a p99 is shown; with fewer, medians have wide intervals too.
pub(super) const REQUESTS_MIN: u64 = 100;

/// Share of requests that failed.
///
/// What failed is in no percentile, and it is seldom the fast that fail: one in a thousand is a
/// tenth of all that p99 stands on.
pub(super) const FAILED_RATIO: f64 = 0.001;

/// Share of begun conversations without their last turns.
///
/// Later turns have the longest prompts and the most to reuse; a tenth of them missing moves means
/// by as much.
pub(super) const UNFINISHED_RATIO: f64 = 0.1;

/// Median of the client's TTFT minus the server's own, against the median TTFT.
///
/// A fifth of the TTFT outside the server's own account is the network's, a proxy's or its HTTP
/// front's, and no tuning of the model server moves it. 2 ms is a network across one site.
pub(super) const SERVER_GAP: DelayLimits = DelayLimits {
    ratio: Limits { caution: 0.2, limited: f64::INFINITY },
    floor_ms: Limits { caution: 2.0, limited: f64::INFINITY },
    ceiling_ms: NO_CEILING,
};

/// Share of a [`SERVER_GAP`] that the client's own lag must exceed to be named as a part of it.
///
/// Below half, more of the gap is the network's or the server's than the client's.
pub(super) const LAG_IN_GAP_RATIO: f64 = 0.5;

/// Share of first tokens that share the stamp of later ones from which the median TTFT, and so the
/// median gap, is one of theirs and holds the client's lag.
pub(super) const MOSTLY_SHARED_RATIO: f64 = 0.5;
