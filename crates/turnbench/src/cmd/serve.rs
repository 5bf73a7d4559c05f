use std::net::SocketAddr;
use std::sync::Arc;

use turnbench_model::{MonotonicClock, TokenizerSource};
use turnbench_simserver::engine::EngineOptions;
use turnbench_simserver::{Server, ServerOptions};
use turnbench_workload::TokenizerSpec;

use super::signals::Signals;
use super::{file_limit, output, tokenizer};
use crate::args::{DecodeCleanupArg, ServeArgs};
use crate::exit::{Exit, ExitCode};

/// Nanoseconds of a millisecond.
const NANOS_PER_MILLI: f64 = 1e6;

/// `turnbench serve`.
pub(crate) fn serve(args: &ServeArgs) -> Result<ExitCode, Exit> {
    let source = TokenizerSpec::parse(&args.model)
        .map_err(|error| Exit::usage(format!("--model: {error}")))?;
    if matches!(source, TokenizerSource::Server | TokenizerSource::None) {
        return Err(Exit::usage(format!(
            "--model is '{}'; the simulated server needs a tokenizer: a directory, a Hub id, \
             builtin:o200k_base or builtin:cl100k_base",
            args.model
        )));
    }
    let options = options(args)?;
    let loaded = tokenizer::load(&source, DecodeCleanupArg::Auto)?;
    if let Some(error) = &loaded.template_error {
        output::warn(format!("{error}; a built-in chat template takes its place"));
    }
    file_limit::raise();
    let address = SocketAddr::new(args.host, args.port);
    let clock = Arc::new(MonotonicClock::start());
    let name = options.served_model_name.clone();
    let server = Server::bind(address, options, loaded.tokenizer, loaded.template, clock)
        .map_err(|error| with_flags(&error))?;
    anstream::eprintln!(
        "simulated server for model '{name}' on http://{}; Ctrl-C stops it",
        server.local_addr()
    );
    server.run(async {
        match Signals::new() {
            Ok(mut signals) => signals.next().await,
            // Then a signal ends the process, which is as good.
            Err(_) => std::future::pending().await,
        }
    })?;
    Ok(ExitCode::Done)
}

fn options(args: &ServeArgs) -> Result<ServerOptions, Exit> {
    let millis = |flag: &str, value: f64| {
        if value.is_finite() && (0.0..=60_000.0).contains(&value) {
            Ok((value * NANOS_PER_MILLI).round() as u64)
        } else {
            Err(Exit::usage(format!("{flag} is {value}; it must be from 0 to 60000 milliseconds")))
        }
    };
    let options = ServerOptions {
        engine: EngineOptions {
            block_size: args.block_size,
            kv_blocks: args.kv_blocks,
            max_num_batched_tokens: args.max_num_batched_tokens,
            max_num_seqs: args.max_num_seqs,
            max_model_len: args.max_model_len,
            prefill_tokens_per_sec: args.prefill_tokens_per_sec,
            decode_ns: millis("--decode-ms", args.decode_ms)?,
            decode_ns_per_seq: millis("--decode-ms-per-seq", args.decode_ms_per_seq)?,
            prefix_caching: !args.no_enable_prefix_caching,
            chunked_prefill: !args.no_enable_chunked_prefill,
            ..EngineOptions::default()
        },
        served_model_name: args.served_model_name.clone().unwrap_or_else(|| args.model.clone()),
        model_root: args.model.clone(),
        tokens_per_chunk: args.tokens_per_chunk,
        prompt_tokens_details: !args.no_prompt_tokens_details,
        request_id_headers: args.enable_request_id_headers,
        per_request_metrics: args.enable_per_request_metrics,
        answer_tokens_mean: args.answer_tokens_mean,
        answer_tokens_sigma: args.answer_tokens_sigma,
        api_key: args.api_key.clone(),
        seed: args.seed,
        truth: args.truth.clone(),
        ..ServerOptions::default()
    };
    options.validate().map_err(|error| with_flags(&error))?;
    Ok(options)
}

/// The simulator's complaint about an option, in the words of the command line.
fn with_flags(error: &turnbench_simserver::Error) -> Exit {
    const OPTIONS: [&str; 10] = [
        "answer_tokens_mean",
        "answer_tokens_sigma",
        "block_size",
        "kv_blocks",
        "max_model_len",
        "max_num_batched_tokens",
        "max_num_seqs",
        "prefill_tokens_per_sec",
        "served_model_name",
        "tokens_per_chunk",
    ];
    let text = OPTIONS.into_iter().fold(error.to_string(), |text, option| {
        text.replace(option, &format!("--{}", option.replace('_', "-")))
    });
    Exit::usage(
        text.replace("turn chunked prefill on", "leave --no-enable-chunked-prefill out")
            .replace("choose another port", "choose another --port"),
    )
}

#[cfg(test)]
mod tests {
    use turnbench_simserver::ServerOptions;

    use super::with_flags;

    #[test]
    fn options_are_named_as_the_flags_are() {
        let options = ServerOptions { tokens_per_chunk: 0, ..ServerOptions::default() };
        let exit = with_flags(&options.validate().unwrap_err());
        assert_eq!(exit.error.to_string(), "--tokens-per-chunk is 0, must be at least 1");
    }
}
