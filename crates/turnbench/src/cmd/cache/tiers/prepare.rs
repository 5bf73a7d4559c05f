use std::sync::Arc;

use jiff::Timestamp;
use turnbench_client::http1::ChatHeaders;
use turnbench_client::{BasePath, Connector, Endpoint, ServerInfo, TlsOptions};
use turnbench_metrics::Environment;
use turnbench_model::{
    Clock, Compat, History, HistoryReasoning, MonotonicClock, Nanos, RequestPlan,
    TIERS_PLAN_SCHEMA_VERSION, TiersPlan,
};

use crate::args::{MetricsArgs, TiersArgs};
use crate::cmd::environment;
use crate::cmd::kv_bytes::kv_bytes_per_token;
use crate::cmd::server::{self, ServerAccess};
use crate::exit::{Exit, WithExitCode};
use crate::resolve::{self, RunDirPlace};

/// Tokens of a model's context that are left for the chat template and the answer.
const SPARE_TOKENS: u64 = 64;

/// Everything known before the first prompt.
pub(crate) struct Prepared {
    pub plan: TiersPlan,
    pub environment: Environment,
    pub connector: Arc<Connector>,
    pub headers: ChatHeaders,
    pub tls: TlsOptions,
    /// Longest prompt that the model takes, where the server tells.
    pub max_prompt_tokens: Option<u32>,
    /// Whether the server is asked to empty its prefix cache.
    pub resets: bool,
    pub run_dir: RunDirPlace,
}

impl Prepared {
    /// Checks every flag, and asks the server what it is.
    pub(crate) fn new(args: &TiersArgs) -> Result<Self, Exit> {
        let clock = Arc::new(MonotonicClock::start());
        let now = Timestamp::from_nanosecond(i128::from(clock.unix_ns()))?;
        let kv_bytes_per_token = kv_bytes_per_token(&args.kv_bytes, None)?;
        let (mut target, secrets) = resolve::target(&args.server, "", Compat::None)?;
        let request = request(args)?;
        let metrics = MetricsArgs {
            metrics_url: args.metrics_url.clone(),
            metrics_interval: 0.0,
            no_metrics: args.no_metrics,
        };
        let metrics = resolve::metrics_plan(&metrics, &target.url, Compat::None)?;
        if let Some(path) = &args.json {
            resolve::check_writable("--json", path)?;
        }
        let endpoint = Endpoint::parse(&target.url, BasePath::Normalise)
            .map_err(|error| Exit::usage(format!("--{error}")))?;
        let tls =
            TlsOptions { insecure: args.server.insecure, ca_cert: args.server.ca_cert.clone() };
        let connector = Arc::new(Connector::new(endpoint, &tls, clock.clone()).or_usage()?);
        let headers = ChatHeaders {
            api_key: secrets.api_key,
            custom: secrets.headers,
            session_id: false,
            offer_compression: false,
        };
        let access = ServerAccess { connector: &connector, headers: &headers };
        let info = server::info(&access, Compat::None)?;
        target.served_model_name = model_name(args, &access, &info)?;
        let max_prompt_tokens = max_prompt_tokens(&info, &target.served_model_name);
        check_prompt_tokens(args, max_prompt_tokens)?;
        let mut environment = environment::environment(clock.unix_ns() - clock.now().0);
        server::note(info, &mut environment);
        let plan = TiersPlan {
            schema_version: TIERS_PLAN_SCHEMA_VERSION,
            target,
            request,
            metrics,
            budget_ns: args.budget,
            seed: clock.unix_ns() ^ (u64::from(std::process::id()) << 32),
            prompt_tokens: args.prompt_tokens,
            kv_bytes_per_token,
        };
        Ok(Self {
            plan,
            environment,
            connector,
            headers,
            tls,
            max_prompt_tokens,
            resets: !args.no_reset,
            run_dir: resolve::run_dir_place(args.run_dir.as_deref(), "tiers", now),
        })
    }

    /// How the server is reached.
    pub(crate) const fn access(&self) -> ServerAccess<'_> {
        ServerAccess { connector: &self.connector, headers: &self.headers }
    }
}

fn request(args: &TiersArgs) -> Result<RequestPlan, Exit> {
    let extra_body = args.extra_body.as_deref().map(resolve::parse_extra_body).transpose()?;
    Ok(RequestPlan {
        stream: true,
        limit_min_tokens: -1,
        limit_max_tokens: 1,
        send_min_tokens: false,
        ignore_eos: false,
        timeout_ns: Nanos::from_millis(u64::from(args.request_timeout_sec) * 1_000),
        send_conversation_id: false,
        verify_output: false,
        history: History::Live,
        history_reasoning: HistoryReasoning::Drop,
        extra_body: extra_body.unwrap_or_default(),
        compat: Compat::None,
    })
}

/// The name that was given, or the only one that the server has.
fn model_name(
    args: &TiersArgs,
    access: &ServerAccess<'_>,
    info: &ServerInfo,
) -> Result<String, Exit> {
    if let Some(name) = &args.server.served_model_name {
        server::check_model(access, info, name, Compat::None)?;
        return Ok(name.clone());
    }
    match info.models.as_deref().unwrap_or_default() {
        [only] => Ok(only.id.clone()),
        [] => Err(Exit::usage(format!(
            "the server at {} does not say which models it has\nhint: --served-model-name NAME",
            access.connector.endpoint().url("")
        ))),
        several => Err(Exit::usage(format!(
            "the server at {} has several models: {}\nhint: --served-model-name {}",
            access.connector.endpoint().url(""),
            several.iter().map(|model| model.id.as_str()).collect::<Vec<_>>().join(", "),
            several[0].id
        ))),
    }
}

fn max_prompt_tokens(info: &ServerInfo, name: &str) -> Option<u32> {
    let mut models = info.models.as_deref().unwrap_or_default().iter();
    let length = models.find(|model| model.id == name)?.max_model_len?;
    Some(u32::try_from(length.saturating_sub(SPARE_TOKENS)).unwrap_or(u32::MAX))
}

fn check_prompt_tokens(args: &TiersArgs, most: Option<u32>) -> Result<(), Exit> {
    let (Some(tokens), Some(most)) = (args.prompt_tokens, most) else { return Ok(()) };
    if tokens > most {
        return Err(Exit::usage(format!(
            "--prompt-tokens is {tokens}; the model's context leaves room for {most}\nhint: leave it \
             out, and the length follows from the cache's size"
        )));
    }
    Ok(())
}
