use std::fmt::Write as _;

use turnbench_model::{Nanos, Phase, RequestRecord};

/// How far a phase of the run is, and what is measured just now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    phase: Phase,
    /// Whether answers are streamed: a whole answer has no time to first token.
    stream: bool,
    planned: u64,
    started: Nanos,
    completed: u64,
    failed: u64,
    ttft_ms: Average,
    tpot_ms: Average,
}

impl Progress {
    /// A phase with `planned` requests that begins at `now`.
    pub(crate) fn start(phase: Phase, stream: bool, planned: u64, now: Nanos) -> Self {
        Self {
            phase,
            stream,
            planned,
            started: now,
            completed: 0,
            failed: 0,
            ttft_ms: Average::default(),
            tpot_ms: Average::default(),
        }
    }

    /// The phase.
    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Another phase, which begins at `now`.
    pub(crate) fn next(self, phase: Phase, planned: u64, now: Nanos) -> Self {
        Self::start(phase, self.stream, planned, now)
    }

    /// Takes in a record.
    pub(crate) fn record(&mut self, record: &RequestRecord) {
        if !record.last_attempt {
            return;
        }
        if !record.outcome.is_completed() {
            self.failed += 1;
            return;
        }
        self.completed += 1;
        let stamps = &record.stamps;
        if let (true, Some(sent), Some(first), Some(last)) =
            (self.stream, stamps.sent_ns, stamps.first_token, stamps.last_token)
        {
            self.ttft_ms.add(first.at_ns.since(sent).as_millis_f64());
            let chunks = record.answer.chunks_ns.len();
            if chunks > 1 {
                let span = last.at_ns.since(first.at_ns).as_millis_f64();
                self.tpot_ms.add(span / (chunks - 1) as f64);
            }
        }
    }

    /// Requests that have ended.
    pub(crate) const fn done(&self) -> u64 {
        self.completed + self.failed
    }

    /// Requests in all, if none fails.
    pub(crate) const fn planned(&self) -> u64 {
        self.planned
    }

    /// Rate, time left and latencies, in words.
    pub(crate) fn text(&self, now: Nanos) -> String {
        let seconds = now.since(self.started).as_secs_f64().max(f64::MIN_POSITIVE);
        let rate = self.done() as f64 / seconds;
        let mut text = format!("{rate:.1}/s");
        if self.done() > 0 {
            let left = self.planned.saturating_sub(self.done()) as f64 / rate;
            let _ = write!(text, ", {left:.0} s left");
        }
        let (ttft, tpot) = (self.ttft_ms.text(), self.tpot_ms.text());
        let _ = write!(text, ", TTFT {ttft} ms, TPOT {tpot} ms");
        if self.failed > 0 {
            let _ = write!(text, ", {} failed", self.failed);
        }
        if self.phase == Phase::Warmup {
            text.push_str(" (warm-up)");
        }
        text
    }
}

/// A moving average that forgets slowly, for people to watch; no result comes from it.
#[derive(Clone, Copy, Debug, Default)]
struct Average {
    value: Option<f64>,
}

impl Average {
    fn add(&mut self, sample: f64) {
        const WEIGHT: f64 = 0.05;
        self.value = Some(self.value.map_or(sample, |value| value + WEIGHT * (sample - value)));
    }

    fn text(&self) -> String {
        self.value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Progress;
    use turnbench_model::{Nanos, Phase};

    #[test]
    fn before_the_first_answer_no_time_left_is_made_up() {
        let progress = Progress::start(Phase::Warmup, true, 3, Nanos::ZERO);
        let text = progress.text(Nanos::from_millis(5_000));
        assert_eq!(text, "0.0/s, TTFT - ms, TPOT - ms (warm-up)");
    }
}
