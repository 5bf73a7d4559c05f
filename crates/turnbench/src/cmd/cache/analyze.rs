use turnbench_kvcache::Inclusion;
use turnbench_metrics::{CacheReport, RequestOrder};
use turnbench_report::{cache_json, cache_text};
use turnbench_workload::{BlockOptions, CacheAnalysis, PromptBlocks, analyze_cache};

use crate::args::{AnalyzeArgs, AnalyzeFormat, InclusionArg, SizeArg};
use crate::cmd::kv_bytes::kv_bytes_per_token;
use crate::cmd::output;
use crate::cmd::run::BLOCK_TOKENS;
use crate::cmd::workload::{Progress, Workload};
use crate::exit::{Exit, ExitCode, WithExitCode};

/// `turnbench cache analyze`: what a cache of any size could do for a workload.
pub(crate) fn analyze(args: &AnalyzeArgs) -> Result<ExitCode, Exit> {
    let workload = Workload::read(&args.workload)?;
    let directory = workload.tokenizer.as_ref().and_then(|loaded| loaded.directory.as_deref());
    let bytes = kv_bytes_per_token(&args.kv_bytes, directory)?;
    let blocks = blocks(args, &workload)?;
    if blocks.requests.is_empty() && blocks.unknown_requests > 0 {
        return Err(Exit::usage(format!(
            "{}: only lengths are known of its requests ({}), not what prompts share\n\
             hint: -m MODEL or --tokenizer makes text for them, as run does",
            args.workload.file.display(),
            blocks.unknown_requests
        )));
    }
    warn_of_no_effect(args, &blocks);
    let report = report(args, &workload, &blocks, bytes)?;
    output::print(&match args.format {
        AnalyzeFormat::Json => cache_json(&report)?,
        AnalyzeFormat::Table => cache_text(&report, output::width()),
    })?;
    Ok(ExitCode::Done)
}

fn blocks(args: &AnalyzeArgs, workload: &Workload) -> Result<PromptBlocks, Exit> {
    let progress = Progress::start(workload.conversations.len() as u64);
    let loaded = workload.tokenizer.as_ref();
    let options = BlockOptions {
        tokenizer: loaded.map(|loaded| &*loaded.tokenizer),
        tokenizer_name: &workload.tokenizer_name,
        template: loaded.and_then(|loaded| loaded.template.as_deref()),
        block_tokens: args.block_size.map_or(BLOCK_TOKENS, std::num::NonZeroU32::get),
        progress: &|| progress.one(),
    };
    let blocks = PromptBlocks::of_workload(&workload.conversations, &options).or_usage();
    progress.end();
    blocks
}

fn report(
    args: &AnalyzeArgs,
    workload: &Workload,
    blocks: &PromptBlocks,
    kv_bytes_per_token: Option<f64>,
) -> Result<CacheReport, Exit> {
    let in_blocks = |flag: &str, sizes: &[SizeArg]| -> Result<Vec<u64>, Exit> {
        let block_tokens = f64::from(blocks.block_tokens);
        let sizes = sizes.iter();
        sizes.map(|&size| size_in_blocks(flag, size, block_tokens, kv_bytes_per_token)).collect()
    };
    let capacities = in_blocks("--capacity", &args.capacity)?;
    let tiers = in_blocks("--tiers", &args.tiers)?;
    let analysis = CacheAnalysis {
        file: &args.workload.file.display().to_string(),
        format: workload.format,
        active: args.active_conversations as usize,
        kv_bytes_per_token,
        capacities: &capacities,
        tiers: &tiers,
        inclusion: match args.tier_inclusion {
            InclusionArg::Inclusive => Inclusion::Inclusive,
            InclusionArg::Exclusive => Inclusion::Exclusive,
        },
    };
    Ok(analyze_cache(blocks, &analysis))
}

/// Whole blocks of a size.
fn size_in_blocks(
    flag: &str,
    size: SizeArg,
    block_tokens: f64,
    bytes_per_token: Option<f64>,
) -> Result<u64, Exit> {
    let blocks = match (size, bytes_per_token) {
        (SizeArg::Blocks(blocks), _) => blocks,
        (SizeArg::Tokens(tokens), _) => tokens / block_tokens,
        (SizeArg::Bytes(bytes), Some(per_token)) => bytes / per_token / block_tokens,
        (SizeArg::Bytes(_), None) => {
            return Err(Exit::usage(format!(
                "{flag} is in bytes, but the bytes of a token are not known\nhint: \
                 --kv-bytes-per-token or --model-config tells them; sizes may also be in tokens or \
                 blocks"
            )));
        }
    };
    if blocks < 1.0 {
        return Err(Exit::usage(format!(
            "{flag} is less than one block of {block_tokens} tokens\nhint: sizes are counted in \
             whole blocks"
        )));
    }
    Ok(blocks as u64)
}

fn warn_of_no_effect(args: &AnalyzeArgs, blocks: &PromptBlocks) {
    if args.block_size.is_some_and(|size| size.get() != blocks.block_tokens) {
        output::warn(format!(
            "--block-size has no effect: the trace names blocks of {} tokens\nhint: with a \
             tokenizer its text is made, which has blocks of any size",
            blocks.block_tokens
        ));
    }
    if args.active_conversations > 1 && blocks.order == RequestOrder::SentTime {
        output::warn("--active-conversations has no effect: requests have recorded times");
    }
}
