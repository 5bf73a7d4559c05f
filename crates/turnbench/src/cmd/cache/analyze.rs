use turnbench_kvcache::Inclusion;
use turnbench_metrics::{CacheReport, RequestOrder};
use turnbench_report::{cache_json, cache_text};
use turnbench_workload::{BlockOptions, CacheAnalysis, PromptBlocks, analyze_cache};

use crate::args::{AnalyzeArgs, AnalyzeFormat, InclusionArg, SizeArg};
use crate::cmd::kv_bytes::kv_bytes_per_token;
use crate::cmd::run::BLOCK_TOKENS;
use crate::cmd::workload::{Progress, Workload};
use crate::cmd::{output, recorded_run};
use crate::exit::{Exit, ExitCode, WithExitCode};

/// What is analyzed.
struct Analyzed {
    /// Name of its format.
    format: &'static str,
    blocks: PromptBlocks,
    kv_bytes_per_token: Option<f64>,
    /// Size of a cache that is told more about where no other is asked for, in tokens.
    device_capacity_tokens: Option<u64>,
}

/// Above so many blocks that are looked up a sample of [`SAMPLE_BLOCKS`] is replayed, unless it is told
/// otherwise. All of them take up to a minute and some 100 bytes for each distinct one.
const EXACT_BLOCKS_MAX: u64 = 32_000_000;
const SAMPLE_BLOCKS: u64 = 8_000_000;

/// `turnbench cache analyze`: what a cache of any size could do for a workload, or could have done for a
/// run.
pub(crate) fn analyze(args: &AnalyzeArgs) -> Result<ExitCode, Exit> {
    let analyzed = if args.workload.file.is_dir() { of_run(args)? } else { of_workload(args)? };
    warn_of_no_effect(args, &analyzed.blocks);
    let report = report(args, &analyzed)?;
    output::print(&match args.format {
        AnalyzeFormat::Json => cache_json(&report)?,
        AnalyzeFormat::Table => cache_text(&report, output::width()),
    })?;
    Ok(ExitCode::Done)
}

fn of_workload(args: &AnalyzeArgs) -> Result<Analyzed, Exit> {
    let workload = Workload::read(&args.workload)?;
    let directory = workload.tokenizer.as_ref().and_then(|loaded| loaded.directory.as_deref());
    let kv_bytes_per_token = kv_bytes_per_token(&args.kv_bytes, directory)?;
    let blocks = blocks(args, &workload)?;
    if blocks.requests.is_empty() && blocks.unknown_requests > 0 {
        return Err(Exit::usage(format!(
            "{}: only lengths are known of its requests ({}), not what prompts share\n\
             hint: -m MODEL or --tokenizer makes text for them, as run does",
            args.workload.file.display(),
            blocks.unknown_requests
        )));
    }
    let format = workload.format;
    Ok(Analyzed { format, blocks, kv_bytes_per_token, device_capacity_tokens: None })
}

/// A run's requests as they were sent and answered, at their own times.
fn of_run(args: &AnalyzeArgs) -> Result<Analyzed, Exit> {
    let path = &args.workload.file;
    let (run_dir, plan) = recorded_run::open(path)?;
    let found = recorded_run::blocks_of_run(&run_dir).or_usage()?;
    let Some((run, facts)) = found else {
        return Err(Exit::usage(format!(
            "{}: the blocks of its prompts are not known: the run was cut short, went without \
             (--prompt-tokens none), or its files are damaged\nhint: analyze the input file instead",
            path.display()
        )));
    };
    let asked = args.block_size.map_or(facts.block_tokens, std::num::NonZeroU32::get);
    let Some(blocks) = run.blocks.in_blocks_of(asked) else {
        return Err(Exit::usage(format!(
            "--block-size is {asked}; the run's prompts are in blocks of {}, so that it must be a \
             multiple of that",
            facts.block_tokens
        )));
    };
    if args.workload.model.is_some() || args.workload.tokenizer.tokenizer.is_some() {
        output::warn("--model and --tokenizer have no effect: a run's prompts are as it sent them");
    }
    let server = recorded_run::server(&run_dir, &plan).or_usage()?;
    let told = kv_bytes_per_token(&args.kv_bytes, None)?;
    Ok(Analyzed {
        format: "run",
        blocks,
        kv_bytes_per_token: told.or(plan.ledger.kv_bytes_per_token),
        device_capacity_tokens: server.and_then(|server| server.device_capacity_tokens()),
    })
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

fn report(args: &AnalyzeArgs, analyzed: &Analyzed) -> Result<CacheReport, Exit> {
    let Analyzed { blocks, kv_bytes_per_token, .. } = analyzed;
    let in_blocks = |flag: &str, sizes: &[SizeArg]| -> Result<Vec<u64>, Exit> {
        let block_tokens = f64::from(blocks.block_tokens);
        let sizes = sizes.iter();
        sizes.map(|&size| size_in_blocks(flag, size, block_tokens, *kv_bytes_per_token)).collect()
    };
    let mut capacities = in_blocks("--capacity", &args.capacity)?;
    if capacities.is_empty() {
        let device = analyzed.device_capacity_tokens;
        capacities.extend(device.map(|tokens| tokens / u64::from(blocks.block_tokens.max(1))));
    }
    let tiers = in_blocks("--tiers", &args.tiers)?;
    let analysis = CacheAnalysis {
        file: &args.workload.file.display().to_string(),
        format: analyzed.format,
        active: args.active_conversations as usize,
        kv_bytes_per_token: *kv_bytes_per_token,
        capacities: &capacities,
        tiers: &tiers,
        inclusion: match args.tier_inclusion {
            InclusionArg::Inclusive => Inclusion::Inclusive,
            InclusionArg::Exclusive => Inclusion::Exclusive,
        },
        sample_blocks: match args.sampled {
            Some(blocks) => Some(u64::from(blocks)),
            None if args.exact => None,
            None => Some(SAMPLE_BLOCKS).filter(|_| blocks.looked_up() > EXACT_BLOCKS_MAX),
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
