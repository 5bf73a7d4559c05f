use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

/// What the source wrote down about a request. Times in nanoseconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Truth {
    /// The answer's.
    pub(crate) id: String,
    pub(crate) x_request_id: Option<String>,
    pub(crate) x_session_id: Option<String>,
    /// When the kernel received the request's first byte.
    pub(crate) arrival_unix_ns: u64,
    /// Just before the write that carried it.
    pub(crate) first_token_unix_ns: Option<u64>,
    pub(crate) last_token_unix_ns: Option<u64>,
    /// When the schedule wanted it written; absent at full speed.
    pub(crate) first_token_due_unix_ns: Option<u64>,
    /// Just before every write; absent at full speed.
    #[serde(default)]
    pub(crate) writes_unix_ns: Vec<u64>,
    pub(crate) output_tokens: u32,
    pub(crate) finish_reason: String,
}

const NANOS_PER_MILLI: f64 = 1e6;

impl Truth {
    /// Whether all of it was written.
    fn is_whole(&self) -> bool {
        self.finish_reason == "length" && self.last_token_unix_ns.is_some()
    }

    /// From the request's arrival to its first token.
    pub(crate) fn ttft_ms(&self) -> f64 {
        millis(self.arrival_unix_ns, self.first_token_unix_ns.unwrap_or_default())
    }

    /// Mean time between its tokens; absent where there is one alone.
    pub(crate) fn tpot_ms(&self) -> Option<f64> {
        let gaps = f64::from(self.output_tokens.checked_sub(1).filter(|&gaps| gaps > 0)?);
        Some(millis(self.first_token_unix_ns?, self.last_token_unix_ns?) / gaps)
    }

    /// Times between its writes.
    pub(crate) fn gaps_ms(&self) -> Vec<f64> {
        self.writes_unix_ns.windows(2).map(|pair| millis(pair[0], pair[1])).collect()
    }

    /// By how much the source itself was late with its first token; absent at full speed.
    pub(crate) fn lateness_ms(&self) -> Option<f64> {
        Some(millis(self.first_token_due_unix_ns?, self.first_token_unix_ns?))
    }
}

/// Milliseconds from one time to another, which may lie before it.
fn millis(from: u64, to: u64) -> f64 {
    to.wrapping_sub(from).cast_signed() as f64 / NANOS_PER_MILLI
}

/// All requests of a run, in the order of their arrival.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truths {
    /// Only those that were answered to their end.
    pub(crate) whole: Vec<Truth>,
}

impl Truths {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let entries: Result<Vec<Truth>, _> = text.lines().map(serde_json::from_str).collect();
        let mut whole = entries?;
        whole.retain(Truth::is_whole);
        whole.sort_by_key(|truth| truth.arrival_unix_ns);
        Ok(Self { whole })
    }

    /// Tokens written.
    pub(crate) fn tokens(&self) -> u64 {
        self.whole.iter().map(|truth| u64::from(truth.output_tokens)).sum()
    }

    /// Seconds from the first arrival to the last token.
    pub(crate) fn span_s(&self) -> f64 {
        let first = self.whole.first().map_or(0, |truth| truth.arrival_unix_ns);
        let last = self.whole.iter().filter_map(|truth| truth.last_token_unix_ns).max();
        millis(first, last.unwrap_or(first)) / 1000.0
    }

    /// Requests that the source had at the same time: on average over the span, and at most.
    pub(crate) fn in_flight(&self) -> (f64, usize) {
        let spans = || {
            let spans = self.whole.iter();
            spans.filter_map(|truth| Some((truth.arrival_unix_ns, truth.last_token_unix_ns?)))
        };
        let busy_s: f64 = spans().map(|(from, to)| millis(from, to) / 1000.0).sum();
        // An end comes before a begin at the same time.
        let mut changes: Vec<(u64, i64)> =
            spans().flat_map(|(from, to)| [(from, 1), (to, -1)]).collect();
        changes.sort_unstable();
        let mut level = 0;
        let levels = changes.into_iter().map(|(_, change)| {
            level += change;
            level
        });
        let peak = levels.max().unwrap_or(0);
        (busy_s / self.span_s(), peak as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::Truths;

    const MS: u64 = 1_000_000;

    fn line(arrival_ms: u64, first_ms: u64, last_ms: u64, reason: &str) -> String {
        let (arrival, first, last) = (arrival_ms * MS, first_ms * MS, last_ms * MS);
        format!(
            "{{\"id\":\"x\",\"x_request_id\":null,\"x_session_id\":\"c{arrival_ms}\",\
             \"arrival_unix_ns\":{arrival},\"first_token_unix_ns\":{first},\
             \"last_token_unix_ns\":{last},\"first_token_due_unix_ns\":{},\"output_tokens\":5,\
             \"writes_unix_ns\":[{first},{last}],\"finish_reason\":\"{reason}\"}}\n",
            first - MS
        )
    }

    #[test]
    fn times_are_between_arrival_and_writes() {
        let text = line(20, 30, 60, "length") + &line(10, 15, 55, "length");
        let truths = Truths::parse(&(text + &line(10, 15, 55, "abort"))).unwrap();
        assert_eq!(truths.whole.len(), 2);
        let first = &truths.whole[0];
        assert_eq!(first.x_session_id.as_deref(), Some("c10"));
        assert_eq!((first.ttft_ms(), first.tpot_ms()), (5.0, Some(10.0)));
        assert_eq!((first.lateness_ms(), first.gaps_ms()), (Some(1.0), vec![40.0]));
        assert_eq!((truths.tokens(), truths.span_s()), (10, 0.05));
    }

    #[test]
    fn requests_in_flight_are_counted_over_the_span() {
        let text = line(0, 1, 10, "length") + &line(10, 11, 20, "length");
        let (mean, peak) = Truths::parse(&text).unwrap().in_flight();
        assert_eq!((mean, peak), (1.0, 1));
        let text = line(0, 1, 20, "length") + &line(10, 11, 20, "length");
        let (mean, peak) = Truths::parse(&text).unwrap().in_flight();
        assert_eq!((mean, peak), (1.5, 2));
    }
}
