use std::path::PathBuf;

use turnbench_model::Nanos;

use crate::error::Error;

/// Most events that one write may carry.
pub const EVENTS_PER_WRITE_MAX: u32 = 1024;
/// The longest pause, an hour.
const PAUSE_MAX: Nanos = Nanos(3_600_000_000_000);

/// What a raw server sends, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct RawOptions {
    /// The model's name in answers. What requests ask for is not looked at.
    pub served_model_name: String,
    /// Tokens of an answer to a request that sets no limit, at least 1.
    pub tokens: u32,
    /// Events of one token each that are handed to the kernel in one write, 1 to 1024.
    pub events_per_write: u32,
    /// From the arrival of a request's last byte to its first token; 0: at once.
    pub ttft: Nanos,
    /// From one token to the next, counted from the first one's due time; 0: at once. A write is
    /// due with its first token.
    pub itl: Nanos,
    /// Write what truly happened to every request here, one JSON line each.
    pub truth: Option<PathBuf>,
    /// What `/version` answers.
    pub version: String,
}

impl Default for RawOptions {
    fn default() -> Self {
        Self {
            served_model_name: "raw".to_owned(),
            tokens: 128,
            events_per_write: 1,
            ttft: Nanos::ZERO,
            itl: Nanos::ZERO,
            truth: None,
            version: "0.32.0+turnbench.raw".to_owned(),
        }
    }
}

impl RawOptions {
    /// Checks every option.
    ///
    /// # Errors
    /// Names the first option that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |option, value: String, allowed| Err(Error::Option { option, value, allowed });
        if self.served_model_name.is_empty() {
            return wrong("served_model_name", "empty".to_owned(), "must name the model");
        }
        if self.tokens == 0 {
            return wrong("raw_tokens", "0".to_owned(), "must be at least 1");
        }
        let events = self.events_per_write;
        if !(1..=EVENTS_PER_WRITE_MAX).contains(&events) {
            return wrong("events_per_write", events.to_string(), "must be from 1 to 1024");
        }
        for (option, pause) in [("ttft_ms", self.ttft), ("itl_ms", self.itl)] {
            if pause > PAUSE_MAX {
                let value = pause.as_millis_f64().to_string();
                return wrong(option, value, "must be from 0 to 3600000 milliseconds");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::RawOptions;
    use turnbench_model::Nanos;

    fn check(change: impl FnOnce(&mut RawOptions), expect: &str) {
        let mut options = RawOptions::default();
        change(&mut options);
        let message = options.validate().err().map_or_else(String::new, |error| error.to_string());
        assert_eq!(message, expect);
    }

    #[test]
    fn options_that_cannot_work_are_named() {
        check(|_| (), "");
        check(
            |options| options.served_model_name.clear(),
            "served_model_name is empty; it must name the model",
        );
        check(|options| options.tokens = 0, "raw_tokens is 0; it must be at least 1");
        for events in [0, 1025] {
            check(
                |options| options.events_per_write = events,
                &format!("events_per_write is {events}; it must be from 1 to 1024"),
            );
        }
        check(
            |options| options.itl = Nanos::from_millis(3_600_001),
            "itl_ms is 3600001; it must be from 0 to 3600000 milliseconds",
        );
    }
}
