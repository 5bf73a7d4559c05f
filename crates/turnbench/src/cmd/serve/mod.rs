mod fault;
mod raw;
mod tier;

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
/// `--max-model-len` without the flag, where the cache holds that many tokens.
const MODEL_LEN_DEFAULT: u32 = 32_768;
/// `--max-num-batched-tokens` without the flag, where other flags do not ask for more.
const BATCHED_TOKENS_DEFAULT: u32 = 2_048;

/// `turnbench serve`.
pub(crate) fn serve(args: &ServeArgs) -> Result<ExitCode, Exit> {
    if args.raw.raw_speed {
        return raw::serve(args);
    }
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
    let (engine, room) = (&options.engine, options.engine.capacity_tokens());
    if args.max_model_len.is_none() && engine.max_model_len < MODEL_LEN_DEFAULT {
        output::warn(format!(
            "prompt and answer may have {room} tokens together: {} blocks of {} hold no more",
            engine.kv_blocks, engine.block_size
        ));
    }
    let server = Server::bind(address, options, loaded.tokenizer, loaded.template, clock)
        .map_err(|error| with_flags(&error))?;
    let address = server.local_addr();
    server.run(async {
        let signals = Signals::new();
        // Said only now, so that whoever reads it may send a signal.
        anstream::eprintln!(
            "simulated server for model '{name}' on http://{address}; Ctrl-C stops it"
        );
        match signals {
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
    let engine = with_defaults(
        args,
        &EngineOptions {
            block_size: args.block_size,
            kv_blocks: args.kv_blocks,
            max_num_seqs: args.max_num_seqs,
            prefill_tokens_per_sec: args.prefill_tokens_per_sec,
            decode_ns: millis("--decode-ms", args.decode_ms)?,
            decode_ns_per_seq: millis("--decode-ms-per-seq", args.decode_ms_per_seq)?,
            prefix_caching: !args.no_enable_prefix_caching,
            chunked_prefill: !args.no_enable_chunked_prefill,
            kv_bytes_per_token: args.kv_bytes_per_token,
            tiers: args.tier.iter().map(|text| tier::parse(text)).collect::<Result<_, _>>()?,
            ..EngineOptions::default()
        },
    );
    let mut options = ServerOptions {
        engine,
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
    for text in &args.fault {
        fault::apply(text, &mut options)?;
    }
    options.validate().map_err(|error| with_flags(&error))?;
    Ok(options)
}

/// The limits that follow other flags unless they are given.
fn with_defaults(args: &ServeArgs, engine: &EngineOptions) -> EngineOptions {
    let capacity = u32::try_from(engine.capacity_tokens()).unwrap_or(u32::MAX);
    // At least 1: of a cache that holds nothing, its own flag is to blame.
    let max_model_len = args.max_model_len.unwrap_or(MODEL_LEN_DEFAULT.min(capacity).max(1));
    let whole_prompt = if engine.chunked_prefill { 0 } else { max_model_len };
    let budget = BATCHED_TOKENS_DEFAULT.max(engine.max_num_seqs).max(whole_prompt);
    let max_num_batched_tokens = args.max_num_batched_tokens.unwrap_or(budget);
    EngineOptions { max_model_len, max_num_batched_tokens, ..engine.clone() }
}

/// The simulator's complaint, in the words of the command line.
fn with_flags(error: &turnbench_simserver::Error) -> Exit {
    use turnbench_simserver::Error;

    let text = error.to_string();
    match error {
        Error::Engine(_) | Error::Option { .. } => Exit::usage(name_flags(&text)),
        Error::AddressInUse { .. } => {
            Exit::usage(text.replace("choose another port", "choose another --port"))
        }
        Error::Truth { .. } => Exit::usage(format!("--truth: {text}")),
        Error::NoAnswerTokens | Error::Tokenizer(_) => Exit::usage(format!("--model: {text}")),
        Error::Bind { .. } | Error::RawUnsupported | Error::Runtime(_) => Exit::usage(text),
    }
}

/// Names of options become flags.
fn name_flags(text: &str) -> String {
    const OPTIONS: [&str; 16] = [
        "answer_tokens_mean",
        "answer_tokens_sigma",
        "api_key",
        "block_size",
        "events_per_write",
        "itl_ms",
        "kv_blocks",
        "kv_bytes_per_token",
        "max_model_len",
        "max_num_batched_tokens",
        "max_num_seqs",
        "prefill_tokens_per_sec",
        "raw_tokens",
        "served_model_name",
        "tokens_per_chunk",
        "ttft_ms",
    ];
    let text = OPTIONS.into_iter().fold(text.to_owned(), |text, option| {
        text.replace(option, &format!("--{}", option.replace('_', "-")))
    });
    text.replace("turn chunked prefill on", "leave --no-enable-chunked-prefill out")
        .replace("turn prefix caching on", "leave --no-enable-prefix-caching out")
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::options;
    use crate::args::ServeArgs;

    /// The options that a command line gives, or its complaint.
    fn resolve(line: &str) -> Result<turnbench_simserver::ServerOptions, String> {
        let command = ServeArgs::augment_args(Command::new("serve").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace()).unwrap();
        let args = ServeArgs::from_arg_matches(&matches).unwrap();
        options(&args).map_err(|exit| exit.error.to_string())
    }

    fn check_error(line: &str, expect: &str) {
        assert_eq!(resolve(line).map(|_| ()), Err(expect.to_owned()), "{line}");
    }

    #[test]
    fn limits_follow_the_other_flags_unless_given() {
        let limits = |line: &str| {
            let engine = resolve(line).unwrap().engine;
            (engine.max_model_len, engine.max_num_batched_tokens)
        };
        assert_eq!(limits(""), (32_768, 2_048));
        assert_eq!(limits("--kv-blocks 512"), (8_176, 2_048));
        assert_eq!(limits("--kv-blocks 512 --max-model-len 100"), (100, 2_048));
        assert_eq!(limits("--max-num-seqs 4000"), (32_768, 4_000));
        assert_eq!(limits("--no-enable-chunked-prefill"), (32_768, 32_768));
        assert_eq!(limits("--no-enable-chunked-prefill --kv-blocks 9"), (128, 2_048));
    }

    #[test]
    fn options_are_named_as_the_flags_are() {
        check_error("--kv-blocks 1", "--kv-blocks is 1; it must be from 2 to 16777216");
        check_error("--block-size 0", "--block-size is 0; it must be from 1 to 65536");
        check_error("--tokens-per-chunk 0", "--tokens-per-chunk is 0; it must be at least 1");
        check_error(
            "--kv-blocks 512 --max-model-len 9000",
            "--max-model-len is 9000; it must be at most 8176, which is all that --kv-blocks 512 \
             of --block-size 16 hold (one block is reserved)\n\
             hint: raise --kv-blocks or lower --max-model-len",
        );
        check_error(
            "--max-num-batched-tokens 100",
            "--max-num-batched-tokens is 100; it must be at least --max-num-seqs, 256\n\
             hint: raise --max-num-batched-tokens or lower --max-num-seqs",
        );
        check_error(
            "--max-num-batched-tokens 1000 --no-enable-chunked-prefill",
            "--max-num-batched-tokens is 1000; without chunked prefill it must be at least \
             --max-model-len, 32768\n\
             hint: leave --no-enable-chunked-prefill out or raise --max-num-batched-tokens",
        );
        check_error(
            "--prefill-tokens-per-sec 0",
            "--prefill-tokens-per-sec is 0; it must be from 1 to 1000000000",
        );
        check_error(
            "--tier disk:1MiB,load=1GB/s,store=1GB/s",
            "tier disk has 1048576 bytes, which is 0 blocks of 2097152 bytes; it must hold from 1 to \
             16777216\nhint: change its size, --block-size or --kv-bytes-per-token",
        );
        check_error(
            "--tier host:1GiB,load=1GB/s,store=1GB/s --tier host:2GiB,load=1GB/s,store=1GB/s",
            "tier host is there twice\nhint: give each tier once, nearest first",
        );
        check_error(
            "--tier host:1GiB,load=1GB/s,store=1GB/s --no-enable-prefix-caching",
            "tiers need prefix caching\n\
             hint: leave --no-enable-prefix-caching out or leave the tiers out",
        );
        check_error(
            "--kv-bytes-per-token 0",
            "--kv-bytes-per-token is 0; it must be from 1 to 1073741824",
        );
        check_error("--decode-ms -1", "--decode-ms is -1; it must be from 0 to 60000 milliseconds");
    }
}
