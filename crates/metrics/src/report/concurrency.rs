use std::collections::BTreeMap;

use turnbench_model::{Nanos, Plan, RequestRecord};

use crate::RunFacts;

/// What was in flight when, gathered attempt by attempt.
///
/// An attempt is in flight from the moment its connection was asked for (`sent` on a reused one)
/// until the last byte of its answer arrived, whenever the client came to read it, or until it was
/// given up.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight {
    spans: Vec<(Nanos, Nanos)>,
    clients: BTreeMap<u32, ClientTime>,
}

/// The time of one client.
#[derive(Clone, Copy, Debug, Default)]
struct ClientTime {
    /// Sum of its spans.
    busy_ns: u64,
    /// Sum of its waits before retries, which are wanted.
    waited_ns: u64,
    /// End of its last span.
    end: Nanos,
}

/// How many requests were in flight, against what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Concurrency {
    pub(super) asked: u64,
    pub(super) mean: Option<f64>,
    pub(super) peak: u64,
    pub(super) in_flight_ratio: Option<f64>,
}

impl InFlight {
    /// Takes an attempt in, in its client's order; one that was given up before it was begun counts in
    /// nothing.
    pub(super) fn add(&mut self, record: &RequestRecord) {
        let stamps = &record.stamps;
        let Some(start) = stamps.connect_ns.or(stamps.sent_ns) else { return };
        let last = stamps.end.or(stamps.last_token).or(stamps.headers);
        let end = last.map_or(start, |stamp| stamp.at_ns).max(start);
        // A client that waits for another attempt does nothing else.
        let due = (record.attempt > 1).then_some(stamps.intended_ns);
        self.add_span(record.client, due, (start, end));
    }

    /// `due`: when the client was to go on, if it had been told to wait.
    fn add_span(&mut self, client: u32, due: Option<Nanos>, (start, end): (Nanos, Nanos)) {
        self.spans.push((start, end));
        let is_first = !self.clients.contains_key(&client);
        let time = self.clients.entry(client).or_default();
        time.busy_ns = time.busy_ns.saturating_add(end.since(start).0);
        if let Some(due) = due.filter(|_| !is_first) {
            time.waited_ns = time.waited_ns.saturating_add(due.min(start).since(time.end).0);
        }
        time.end = end.max(time.end);
    }

    /// Sums up. `asked` is what the plan asks for and the workload has room for.
    pub(super) fn concurrency(&self, plan: &Plan, facts: &RunFacts) -> Concurrency {
        let asked = asked(plan, facts);
        let first = self.spans.iter().map(|&(start, _)| start).min();
        let last = self.spans.iter().map(|&(_, end)| end).max();
        let (Some(first), Some(last)) = (first, last) else {
            return Concurrency { asked, ..Concurrency::default() };
        };
        let busy: u64 = self.clients.values().map(|time| time.busy_ns).sum();
        let span = last.since(first).0;
        Concurrency {
            asked,
            mean: (span > 0).then(|| busy as f64 / span as f64),
            in_flight_ratio: self.in_flight_ratio(asked, first, busy),
            peak: peak(&self.spans),
        }
    }

    /// Share of the clients' time in which a request of theirs was in flight; each client's time
    /// ends with its own work, and its waits before retries are no part of it. A client that never came to send is idle until the last request
    /// was sent, for until then there was work.
    fn in_flight_ratio(&self, asked: u64, first: Nanos, busy: u64) -> Option<f64> {
        let own = |time: &ClientTime| time.end.since(first).0.saturating_sub(time.waited_ns);
        let seen: u64 = self.clients.values().map(own).sum();
        let last_start = self.spans.iter().map(|&(start, _)| start).max()?;
        let unseen = asked.saturating_sub(self.clients.len() as u64);
        let time = seen as f64 + unseen as f64 * last_start.since(first).0 as f64;
        (time > 0.0).then(|| busy as f64 / time)
    }
}

/// `--num-clients`, or what there are conversations or requests for.
fn asked(plan: &Plan, facts: &RunFacts) -> u64 {
    let clients = u64::from(plan.load.num_clients);
    let requests = plan.load.max_num_requests.unwrap_or(u64::MAX);
    // A run without facts does not know how many conversations there were.
    let conversations = Some(facts.conversations.total).filter(|&total| total > 0);
    clients.min(requests).min(conversations.unwrap_or(u64::MAX))
}

/// Most spans that overlap. One that ends when another begins does not overlap it.
fn peak(spans: &[(Nanos, Nanos)]) -> u64 {
    let changes = spans.iter().flat_map(|&(start, end)| [(start, 1_i64), (end.max(start), -1)]);
    let mut changes: Vec<(Nanos, i64)> = changes.collect();
    changes.sort_unstable();
    let mut now = 0_i64;
    let mut peak = 0;
    for (_, change) in changes {
        now += change;
        peak = peak.max(now);
    }
    // A span without length is gone before it came.
    u64::try_from(peak).unwrap_or(0).max(u64::from(!spans.is_empty()))
}

#[cfg(test)]
mod tests {
    use turnbench_model::Nanos;

    use super::{InFlight, peak};

    /// `(client, from, to)`, in ms.
    fn ratio(asked: u64, spans: &[(u32, u64, u64)]) -> f64 {
        let spans: Vec<_> =
            spans.iter().map(|&(client, from, to)| (client, None, from, to)).collect();
        ratio_with_waits(asked, &spans)
    }

    /// `(client, due after a wait, from, to)`, in ms.
    fn ratio_with_waits(asked: u64, spans: &[(u32, Option<u64>, u64, u64)]) -> f64 {
        let mut all = InFlight::default();
        for &(client, due, from, to) in spans {
            let span = (Nanos::from_millis(from), Nanos::from_millis(to));
            all.add_span(client, due.map(Nanos::from_millis), span);
        }
        let busy = all.clients.values().map(|time| time.busy_ns).sum();
        all.in_flight_ratio(asked, Nanos(0), busy).unwrap_or(f64::NAN)
    }

    #[test]
    fn clients_are_judged_while_they_have_work() {
        assert_eq!(ratio(2, &[(0, 0, 100), (1, 0, 1_000)]), 1.0);
        assert_eq!(ratio(1, &[(0, 0, 100), (0, 200, 300), (0, 300, 400)]), 0.75);
        // The second client never came to send, though the first had work until 100 ms.
        assert_eq!(ratio(2, &[(0, 0, 100), (0, 100, 200)]), 200.0 / 300.0);
    }

    #[test]
    fn a_wait_before_a_retry_is_no_idleness_and_coming_late_after_it_is() {
        let retried =
            |due, from| ratio_with_waits(1, &[(0, None, 0, 100), (0, Some(due), from, from + 100)]);
        assert_eq!(retried(400, 400), 1.0);
        assert_eq!(retried(400, 600), 0.5);
        // Due before the attempt before it ended, as the client sees it, or after it began.
        assert_eq!(retried(50, 200), 200.0 / 300.0);
        assert_eq!(retried(500, 400), 1.0);
    }

    #[test]
    fn the_peak_counts_overlapping_requests() {
        let spans = |list: &[(u64, u64)]| -> Vec<_> {
            list.iter().map(|&(from, to)| (Nanos(from), Nanos(to))).collect()
        };
        for (list, expect) in [
            (&[][..], 0),
            (&[(5, 5)], 1),
            (&[(0, 10), (10, 20)], 1),
            (&[(0, 10), (9, 20), (5, 8)], 2),
            (&[(0, 30), (1, 2), (3, 9), (4, 8)], 3),
        ] {
            assert_eq!(peak(&spans(list)), expect, "{list:?}");
        }
    }
}
