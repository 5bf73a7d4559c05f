//! Which failures are tried again, and after how long.

use turnbench_model::{Failure, FailureKind, Nanos};

/// Longest wait that a server's `Retry-After` can ask for; longer ones are cut to it, so that one
/// header cannot hold a run up for an hour.
pub const RETRY_AFTER_MAX: Nanos = Nanos::from_millis(60_000);

/// Longest back-off before jitter: reached at the seventh retry.
pub const BACKOFF_MAX: Nanos = Nanos::from_millis(64_000);

/// Whether trying again can help: no connection, time-outs, cut or broken-off answers, and the
/// statuses 408, 425, 429 and 5xx except 501. Never another 4xx, nor an answer that is not what the
/// API promises.
pub fn is_retriable(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Connect
        | FailureKind::Timeout
        | FailureKind::StreamError
        | FailureKind::Truncated => true,
        FailureKind::HttpStatus => failure.status.is_some_and(|status| {
            matches!(status, 408 | 425 | 429) || ((500..600).contains(&status) && status != 501)
        }),
        FailureKind::Invalid | FailureKind::Mismatch | FailureKind::Cancelled => false,
    }
}

/// The wait before the attempt after attempt number `attempt` (from 1): 1 s, 2 s, 4 s, … up to
/// [`BACKOFF_MAX`], times `jitter`; or what the server asked for, up to [`RETRY_AFTER_MAX`], where
/// that is longer.
pub(crate) fn wait(attempt: u32, jitter: f64, retry_after: Option<Nanos>) -> Nanos {
    let own = doubling(attempt).min(BACKOFF_MAX.as_secs_f64()) * jitter;
    let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
    Nanos::from_secs_f64(own).max(asked)
}

/// As [`wait`], without limits and deaf to the server, as in the reference.
pub(crate) fn wait_reference(attempt: u32, jitter: f64) -> Nanos {
    Nanos::from_secs_f64(doubling(attempt) * jitter)
}

/// 2^(attempt - 1) seconds.
fn doubling(attempt: u32) -> f64 {
    f64::from(attempt.saturating_sub(1)).exp2()
}

#[cfg(test)]
mod tests {
    use turnbench_model::{Failure, FailureKind, Nanos};

    use super::{BACKOFF_MAX, RETRY_AFTER_MAX, is_retriable, wait, wait_reference};

    fn check(kind: FailureKind, status: Option<u16>, expect: bool) {
        let failure = Failure { kind, status, message: String::new(), retry_after_ns: None };
        assert_eq!(is_retriable(&failure), expect, "{kind:?} {status:?}");
    }

    #[test]
    fn only_what_may_pass_is_retriable() {
        check(FailureKind::Connect, None, true);
        check(FailureKind::Timeout, None, true);
        check(FailureKind::Truncated, Some(200), true);
        check(FailureKind::StreamError, Some(200), true);
        check(FailureKind::Invalid, Some(200), false);
        check(FailureKind::Mismatch, Some(200), false);
        check(FailureKind::Cancelled, None, false);
        for status in [408, 425, 429, 500, 502, 503, 504, 529, 599] {
            check(FailureKind::HttpStatus, Some(status), true);
        }
        for status in [201, 301, 400, 401, 403, 404, 409, 422, 499, 501, 600] {
            check(FailureKind::HttpStatus, Some(status), false);
        }
        check(FailureKind::HttpStatus, None, false);
    }

    #[test]
    fn waits_double_up_to_their_limit() {
        assert_eq!(wait(1, 1.0, None), Nanos::from_millis(1_000));
        assert_eq!(wait(2, 0.9, None), Nanos::from_millis(1_800));
        assert_eq!(wait(3, 1.1, None), Nanos::from_millis(4_400));
        assert_eq!(wait(7, 1.0, None), BACKOFF_MAX);
        assert_eq!(wait(u32::MAX, 1.0, None), BACKOFF_MAX);
        assert_eq!(wait_reference(11, 1.0), Nanos::from_millis(1_024_000));
        assert_eq!(wait_reference(u32::MAX, 1.0), Nanos(u64::MAX));
    }

    #[test]
    fn the_longer_of_back_off_and_retry_after_holds() {
        assert_eq!(wait(1, 1.0, Some(Nanos::from_millis(3_000))), Nanos::from_millis(3_000));
        assert_eq!(wait(3, 1.0, Some(Nanos::from_millis(3_000))), Nanos::from_millis(4_000));
        assert_eq!(wait(1, 1.0, Some(Nanos::from_millis(3_600_000))), RETRY_AFTER_MAX);
    }
}
