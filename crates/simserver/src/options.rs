use std::path::PathBuf;

use crate::engine::EngineOptions;
use crate::error::Error;

/// What a simulated server is like.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerOptions {
    /// Size, limits and speed of the engine; `max_model_len` is its field.
    pub engine: EngineOptions,
    /// The model's name in requests and answers.
    pub served_model_name: String,
    /// Where the model's files are: shown by `/v1/models`, never opened.
    pub model_root: String,
    /// Tokens in one streamed event, at least 1; the last event may have fewer.
    pub tokens_per_chunk: u32,
    /// Report cached tokens in `usage`, as vLLM does with `--enable-prompt-tokens-details`.
    pub prompt_tokens_details: bool,
    /// Answer with an `x-request-id` field, as vLLM does with `--enable-request-id-headers`.
    pub request_id_headers: bool,
    /// Report times in the answer, as vLLM does with `--enable-per-request-metrics`.
    pub per_request_metrics: bool,
    /// Wanted as a bearer token on `/v1` paths.
    pub api_key: Option<String>,
    /// Other seeds give other answers and ids.
    pub seed: u64,
    /// Mean length of an answer that no limit ends, in tokens; see
    /// [`crate::engine::AnswerOptions::mean_tokens`].
    pub answer_tokens_mean: f64,
    /// Spread of the answer length; see [`crate::engine::AnswerOptions::sigma`].
    pub answer_tokens_sigma: f64,
    /// A fault: what is reported as cached, found or moved, in answers and in `/metrics`, is the truth
    /// times this, rounded down; 0 to 1,000. 1 is honest. The truth file stays right.
    pub cached_factor: f64,
    /// Write what truly happened to every request here, one JSON line each.
    pub truth: Option<PathBuf>,
    /// What `/version` answers.
    pub version: String,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            engine: EngineOptions::default(),
            served_model_name: "simulated".to_owned(),
            model_root: "simulated".to_owned(),
            tokens_per_chunk: 1,
            prompt_tokens_details: true,
            request_id_headers: false,
            per_request_metrics: false,
            api_key: None,
            seed: 0,
            answer_tokens_mean: 150.0,
            answer_tokens_sigma: 0.6,
            cached_factor: 1.0,
            truth: None,
            // A local version in the sense of PEP 440: behaves like 0.32.0, and is not it.
            version: "0.32.0+turnbench".to_owned(),
        }
    }
}

impl ServerOptions {
    /// Checks every option.
    ///
    /// # Errors
    /// Names the first option that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        self.engine.validate()?;
        let wrong = |option, value: String, allowed| Err(Error::Option { option, value, allowed });
        if self.tokens_per_chunk == 0 {
            return wrong("tokens_per_chunk", "0".to_owned(), "must be at least 1");
        }
        if self.served_model_name.is_empty() {
            return wrong("served_model_name", "empty".to_owned(), "must name the model");
        }
        if self.api_key.as_deref().is_some_and(|key| key.trim().is_empty()) {
            return wrong("api_key", "empty".to_owned(), "must have a character");
        }
        let mean = self.answer_tokens_mean;
        if !mean.is_finite() || mean < 1.0 {
            return wrong("answer_tokens_mean", mean.to_string(), "must be at least 1");
        }
        let sigma = self.answer_tokens_sigma;
        if !sigma.is_finite() || !(0.0..=3.0).contains(&sigma) {
            return wrong("answer_tokens_sigma", sigma.to_string(), "must be from 0 to 3");
        }
        let factor = self.cached_factor;
        if !(0.0..=1000.0).contains(&factor) {
            return wrong("cached_factor", factor.to_string(), "must be from 0 to 1000");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ServerOptions;

    fn check(change: impl FnOnce(&mut ServerOptions), expect: &str) {
        let mut options = ServerOptions::default();
        change(&mut options);
        let message = options.validate().err().map_or_else(String::new, |error| error.to_string());
        assert_eq!(message, expect);
    }

    #[test]
    fn options_that_cannot_work_are_named() {
        check(|_| (), "");
        check(
            |options| options.tokens_per_chunk = 0,
            "tokens_per_chunk is 0; it must be at least 1",
        );
        check(
            |options| options.answer_tokens_mean = f64::NAN,
            "answer_tokens_mean is NaN; it must be at least 1",
        );
        check(
            |options| options.answer_tokens_sigma = -1.0,
            "answer_tokens_sigma is -1; it must be from 0 to 3",
        );
        check(
            |options| options.cached_factor = -1.0,
            "cached_factor is -1; it must be from 0 to 1000",
        );
        check(
            |options| options.served_model_name.clear(),
            "served_model_name is empty; it must name the model",
        );
        check(
            |options| options.api_key = Some(" ".to_owned()),
            "api_key is empty; it must have a character",
        );
    }
}
