use serde_json::{Map, Value};
use turnbench_model::{Compat, History, HistoryReasoning, Nanos, RequestPlan};

use crate::args::{HistoryArg, HistoryReasoningArg, RunArgs};
use crate::exit::Exit;

/// Keys of the request body that have flags of their own.
const OWN_KEYS: [&str; 4] = ["model", "messages", "stream", "stream_options"];

/// How requests are formed.
pub(crate) fn request_plan(args: &RunArgs, compat: Compat) -> Result<RequestPlan, Exit> {
    check_limits(args.limit_min_tokens, args.limit_max_tokens)?;
    if args.request_timeout_sec < 1 {
        return Err(Exit::usage(format!(
            "--request-timeout-sec is {}; it must be at least 1",
            args.request_timeout_sec
        )));
    }
    if compat == Compat::Vllm && args.history == HistoryArg::Recorded {
        return Err(Exit::usage(
            "--history is recorded; with --compat vllm it must be live, as the reference knows no \
             other",
        ));
    }
    let extra_body = args.extra_body.as_deref().map(parse_extra_body).transpose()?;
    Ok(RequestPlan {
        stream: !args.no_stream,
        limit_min_tokens: args.limit_min_tokens,
        limit_max_tokens: args.limit_max_tokens,
        send_min_tokens: compat == Compat::None && !args.no_min_tokens,
        ignore_eos: args.ignore_eos,
        timeout_ns: Nanos((args.request_timeout_sec as u64).saturating_mul(1_000_000_000)),
        send_conversation_id: args.send_conversation_id,
        verify_output: args.verify_output,
        history: match args.history {
            HistoryArg::Live => History::Live,
            HistoryArg::Recorded => History::Recorded,
        },
        history_reasoning: match args.history_reasoning {
            HistoryReasoningArg::Keep => HistoryReasoning::Keep,
            HistoryReasoningArg::Drop => HistoryReasoning::Drop,
        },
        extra_body: extra_body.unwrap_or_default(),
        compat,
    })
}

fn check_limits(min: i64, max: i64) -> Result<(), Exit> {
    if (min > 0) != (max > 0) {
        return Err(Exit::usage(format!(
            "--limit-min-tokens is {min} and --limit-max-tokens is {max}; give both as positive \
             numbers, or neither\nhint: the same number twice fixes the answers' length"
        )));
    }
    if min > max && max > 0 {
        return Err(Exit::usage(format!(
            "--limit-min-tokens is {min}, more than --limit-max-tokens, {max}"
        )));
    }
    for (flag, value) in [("--limit-min-tokens", min), ("--limit-max-tokens", max)] {
        if value > i64::from(u32::MAX) {
            let most = u32::MAX;
            return Err(Exit::usage(format!("{flag} is {value}; it must be at most {most}")));
        }
    }
    Ok(())
}

pub(crate) fn parse_extra_body(text: &str) -> Result<Map<String, Value>, Exit> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| Exit::usage(extra_body_syntax(text, &error)))?;
    let Value::Object(map) = value else {
        return Err(Exit::usage(format!(
            "--extra-body is {text}; it must be a JSON object, like '{{\"temperature\": 0}}'"
        )));
    };
    match map.keys().find(|key| OWN_KEYS.contains(&key.as_str())) {
        Some(key) => Err(Exit::usage(format!(
            "--extra-body has the key '{key}', which has flags of its own\nhint: \
             --served-model-name, --input-file and --no-stream set these"
        ))),
        None => Ok(map),
    }
}

/// The complaint about text that is no JSON.
fn extra_body_syntax(text: &str, error: &serde_json::Error) -> String {
    let what = if text.trim().is_empty() {
        "--extra-body is empty".to_owned()
    } else {
        format!("--extra-body is not JSON: {error}")
    };
    format!("{what}\nhint: it is a JSON object, like '{{\"temperature\": 0}}'")
}

#[cfg(test)]
mod tests {
    use super::{check_limits, parse_extra_body};

    #[test]
    fn token_limits_come_in_pairs() {
        for (min, max, fine) in [
            (0, 0, true),
            (5, 20, true),
            (5, 5, true),
            (-1, 0, true),
            (0, -1, true),
            (-1, -1, true),
            (5, 0, false),
            (0, 5, false),
            (-1, 5, false),
            (9, 5, false),
            (5_000_000_000, 5_000_000_000, false),
        ] {
            assert_eq!(check_limits(min, max).is_ok(), fine, "{min} {max}");
        }
    }

    #[test]
    fn extra_body_is_an_object_without_our_keys() {
        assert!(parse_extra_body(r#"{"temperature": 0}"#).is_ok());
        for bad in ["{", "[1]", r#"{"model": "x"}"#] {
            assert!(parse_extra_body(bad).is_err(), "{bad}");
        }
    }
}
