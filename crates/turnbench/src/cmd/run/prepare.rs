use std::sync::Arc;

use jiff::Timestamp;
use turnbench_client::http1::ChatHeaders;
use turnbench_client::{BasePath, Connector, Endpoint, TlsOptions};
use turnbench_metrics::Environment;
use turnbench_model::{
    ChatTemplate, Clock, Compat, Conversation, LedgerPlan, MonotonicClock, PLAN_SCHEMA_VERSION,
    Plan, PromptTokens, Tokenizer, TokenizerSource, WorkloadPlan,
};
use turnbench_workload::Loaded;

use super::fill::Fill;
use super::workload::{Opened, answer_tokens};
use crate::args::{CompatArg, RunArgs};
use crate::cmd::kv_bytes::kv_bytes_per_token;
use crate::cmd::server::{self, ServerAccess};
use crate::cmd::{environment, file_limit, output, selfcheck, tokenizer};
use crate::exit::{Exit, WithExitCode};
use crate::resolve::{self, OutputFiles, RunDirPlace};

/// Everything known before the first request.
pub(crate) struct Prepared {
    pub plan: Plan,
    pub environment: Environment,
    /// Shared with the client, so that every message is held once.
    pub conversations: Arc<[Conversation]>,
    /// Tokens of each turn's recorded answer; `None` where there is no answer or no tokenizer.
    pub answer_tokens: Vec<Vec<Option<u32>>>,
    pub tokenizer: Option<Arc<dyn Tokenizer>>,
    /// The model's chat template, where its directory has one.
    pub template: Option<Arc<dyn ChatTemplate>>,
    pub connector: Arc<Connector>,
    pub headers: ChatHeaders,
    pub outputs: OutputFiles,
    pub run_dir: RunDirPlace,
}

/// Checks every flag and file, makes the workload, and asks the server what it is.
pub(crate) fn prepare(args: &RunArgs) -> Result<Prepared, Exit> {
    let mut prepared = gather(args)?;
    if let Some(factor) = args.fill_cache {
        let (active, fill) = Fill { args, prepared: &prepared }.plan(factor)?;
        prepared.plan.load.max_active_conversations = active;
        prepared.plan.fill = Some(fill);
    }
    Ok(prepared)
}

/// As [`prepare`], with the number of active conversations as typed.
fn gather(args: &RunArgs) -> Result<Prepared, Exit> {
    let compat = match args.compat {
        Some(CompatArg::Vllm) => Compat::Vllm,
        None => Compat::None,
    };
    check_seed(args.seed, compat)?;
    resolve::check_threads(args)?;
    let clock = Arc::new(MonotonicClock::start());
    let now = Timestamp::from_nanosecond(i128::from(clock.unix_ns()))?;
    let warmup_fractions = warmup_fractions(args, compat)?;
    let request = resolve::request_plan(args, compat)?;
    let (target, secrets) = resolve::target(&args.server, &args.model, compat)?;
    let connector = connector(&target.url, args, compat, clock.clone())?;
    let metrics = resolve::metrics_plan(&args.metrics, &target.url, compat)?;
    let headers = ChatHeaders {
        api_key: secrets.api_key,
        custom: secrets.headers,
        session_id: args.send_conversation_id,
        offer_compression: compat == Compat::Vllm,
    };
    let choice = resolve::data_set_choice(&args.data_set, None, args.seed)?;
    let source = tokenizer::source(&args.tokenizer, &args.model)?;
    let access = ServerAccess { connector: &connector, headers: &headers };
    let mut loaded = None;
    let opened = Opened::read(args, &choice, compat, || {
        loaded = load_tokenizer(&source, args, &access, &target.served_model_name)?;
        Ok(loaded.as_ref().map(|loaded| Arc::clone(&loaded.tokenizer)))
    })?;
    let load = resolve::load_plan(args, compat, opened.conversations_count())?;
    file_limit::check(load.num_clients)?;
    let outputs = OutputFiles::check(args, now)?;
    if loaded.is_none() {
        loaded = load_tokenizer(&source, args, &access, &target.served_model_name)?;
    }
    let ledger = ledger_plan(args, compat, &source, loaded.as_ref())?;
    let template = loaded.as_ref().and_then(|loaded| loaded.template.clone());
    let tokenizer = loaded.map(|loaded| loaded.tokenizer);
    let mut environment = environment::environment(clock.unix_ns() - clock.now().0);
    environment.capacity = selfcheck::capacity(&environment);
    server::ask(&access, &target.served_model_name, compat, &mut environment)?;
    let cores = environment.cpu_cores.unwrap_or(1);
    let client =
        resolve::client_plan(args, load.num_clients, cores, connector.is_server_on_this_host());
    let input_sha256 = opened.sha256();
    let (kind, conversations) = opened.conversations(args, tokenizer.as_ref())?;
    let rules = request.turn_rules();
    let answer_tokens = answer_tokens(&conversations, tokenizer.as_deref(), rules, &source)?;
    warn_of_open_lengths(args, tokenizer.is_some());
    let plan = Plan {
        schema_version: PLAN_SCHEMA_VERSION,
        compat,
        target,
        workload: WorkloadPlan {
            model: args.model.clone(),
            input_file: args.input_file.display().to_string(),
            input_sha256,
            source: kind,
            conversations_count: conversations.len() as u32,
            tokenizer: source,
            seed: args.seed,
        },
        load,
        request,
        client,
        metrics,
        fill: None,
        ledger,
        warmup_fractions,
    };
    Ok(Prepared {
        plan,
        environment,
        conversations: conversations.into(),
        answer_tokens,
        tokenizer,
        template,
        connector,
        headers,
        outputs,
        run_dir: resolve::run_dir_place(args.run_dir.as_deref(), &args.model, now),
    })
}

/// The reference's random streams take 32 bits.
fn check_seed(seed: u64, compat: Compat) -> Result<(), Exit> {
    if compat == Compat::Vllm && seed > u64::from(u32::MAX) {
        return Err(Exit::usage(format!(
            "--seed is {seed}; with --compat vllm it must be at most {} (2^32 - 1)",
            u32::MAX
        )));
    }
    Ok(())
}

/// The reference ignores the percentages when there is a warm-up step.
fn warmup_fractions(args: &RunArgs, compat: Compat) -> Result<Vec<f64>, Exit> {
    match compat {
        Compat::Vllm if args.warmup_step => Ok(vec![0.0]),
        Compat::None | Compat::Vllm => resolve::warmup_fractions(&args.warmup_percentages),
    }
}

fn connector(
    url: &str,
    args: &RunArgs,
    compat: Compat,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Connector>, Exit> {
    let base_path = match compat {
        Compat::None => BasePath::Normalise,
        Compat::Vllm => BasePath::Keep,
    };
    let endpoint =
        Endpoint::parse(url, base_path).map_err(|error| Exit::usage(format!("--{error}")))?;
    Ok(Arc::new(Connector::new(endpoint, &tls(args), clock).or_usage()?))
}

/// Whom to trust.
pub(super) fn tls(args: &RunArgs) -> TlsOptions {
    TlsOptions { insecure: args.server.insecure, ca_cert: args.server.ca_cert.clone() }
}

fn load_tokenizer(
    source: &TokenizerSource,
    args: &RunArgs,
    access: &ServerAccess<'_>,
    served_model_name: &str,
) -> Result<Option<Loaded>, Exit> {
    Ok(match source {
        TokenizerSource::None => None,
        TokenizerSource::Server => Some(Loaded {
            tokenizer: Arc::new(server::tokenizer(access, served_model_name)?),
            template: None,
            template_error: None,
            directory: None,
        }),
        TokenizerSource::Directory(_) | TokenizerSource::Hub(_) | TokenizerSource::Builtin(_) => {
            Some(tokenizer::load(source, args.tokenizer.decode_cleanup)?)
        }
    })
}

/// How the cache ledger is made. A chat template that is of no use is told of where it was to be used.
fn ledger_plan(
    args: &RunArgs,
    compat: Compat,
    source: &TokenizerSource,
    loaded: Option<&Loaded>,
) -> Result<LedgerPlan, Exit> {
    let has_template = loaded.is_some_and(|loaded| loaded.template.is_some());
    let plan = resolve::ledger_plan(&args.ledger, compat, source, has_template)?;
    if let Some(error) = loaded.and_then(|loaded| loaded.template_error.as_ref())
        && plan.prompt_tokens == PromptTokens::Auto
    {
        output::warn(format!("{error}; prompts are made without it"));
    }
    let directory = loaded.and_then(|loaded| loaded.directory.as_deref());
    let kv_bytes_per_token = kv_bytes_per_token(&args.ledger.kv_bytes, directory)?;
    Ok(LedgerPlan { kv_bytes_per_token, ..plan })
}

fn warn_of_open_lengths(args: &RunArgs, has_tokenizer: bool) {
    if !has_tokenizer && (args.limit_max_tokens == 0 || args.limit_min_tokens == 0) {
        output::warn(
            "without a tokenizer the recorded answers cannot be counted; the server decides how \
             long its answers are\nhint: --limit-min-tokens and --limit-max-tokens fix it",
        );
    }
}
