use jiff::fmt::rfc2822;
use turnbench_model::Nanos;

use crate::http1::ResponseHead;

/// Longest wait that is believed: a day.
const WAIT_SECONDS_MAX: f64 = 86_400.0;

/// How long the server asked to wait: `Retry-After` in seconds (fractions as some servers send
/// them), or as a date, counted from the response's own `Date`. At most a day.
pub(crate) fn retry_after(head: &ResponseHead) -> Option<Nanos> {
    let text = head.retry_after.as_deref()?.trim();
    let seconds = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => seconds,
        Ok(_) => return None,
        Err(_) => {
            let until = rfc2822::parse(text).ok()?.timestamp();
            let now = rfc2822::parse(head.date.as_deref()?).ok()?.timestamp();
            (until.as_second() - now.as_second()).max(0) as f64
        }
    };
    Some(Nanos::from_secs_f64(seconds.min(WAIT_SECONDS_MAX)))
}

#[cfg(test)]
mod tests {
    use turnbench_model::Nanos;

    use super::retry_after;
    use crate::http1::ResponseHead;

    fn check(text: &str, date: Option<&str>, expect_millis: Option<u64>) {
        let head = ResponseHead {
            retry_after: Some(text.to_owned()),
            date: date.map(str::to_owned),
            ..ResponseHead::default()
        };
        assert_eq!(retry_after(&head), expect_millis.map(Nanos::from_millis), "{text}");
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        check("3", None, Some(3_000));
        check("0.5", None, Some(500));
        check("1e9", None, Some(86_400_000));
        let date = Some("Tue, 24 Nov 2026 07:14:45 GMT");
        check("Tue, 24 Nov 2026 07:15:00 GMT", date, Some(15_000));
        check("Tue, 24 Nov 2026 07:14:00 GMT", date, Some(0));
        check("Tue, 24 Nov 2026 07:15:00 GMT", None, None);
        check("soon", date, None);
        check("-1", date, None);
    }
}
