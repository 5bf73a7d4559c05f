use std::path::Path;

use turnbench_metrics::{ServerReport, TiersReport};
use turnbench_model::{Conversation, FillPlan, FillSource, SampleMoment};
use turnbench_observe::FiguresBuilder;
use turnbench_workload::{BlockOptions, PromptBlocks, WorkingSet};

use super::prepare::{Prepared, tls};
use super::prompts::BLOCK_TOKENS;
use crate::args::{RunArgs, SizeArg};
use crate::cmd::output;
use crate::cmd::page_source::PageSource;
use crate::cmd::server::ServerAccess;
use crate::exit::{Exit, WithExitCode};

/// `--fill-cache`: chooses the number of active conversations.
pub(super) struct Fill<'a> {
    pub args: &'a RunArgs,
    pub prepared: &'a Prepared,
}

impl Fill<'_> {
    /// As many that their contexts together are `factor` times the cache; says so, and why.
    pub(super) fn plan(&self, factor: f64) -> Result<(u32, FillPlan), Exit> {
        let (cache_tokens, source) = self.cache()?;
        let working_set = self.working_set()?;
        let active = self.active(factor * cache_tokens, &working_set)?;
        let fill = FillPlan {
            factor,
            cache_tokens,
            source,
            shared_tokens: working_set.shared_tokens,
            own_tokens_mean: working_set.own_tokens_mean,
            working_set_tokens: working_set.tokens(f64::from(active)),
        };
        anstream::eprintln!("{}", said(&fill, active));
        Ok((active, fill))
    }

    /// The number, if there can be so many.
    fn active(&self, wanted: f64, working_set: &WorkingSet) -> Result<u32, Exit> {
        let active = working_set.conversations(wanted);
        let clients = u64::from(self.prepared.plan.load.num_clients);
        let all = self.prepared.conversations.len() as u64;
        let wants = format!(
            "--fill-cache wants {wanted:.0} tokens in open conversations, which is {active} of them \
             with {:.0} tokens each on average ({:.0} more are shared)",
            working_set.own_tokens_mean, working_set.shared_tokens
        );
        if active < clients.max(1) {
            return Err(Exit::usage(format!(
                "{wants}; every client needs one of its own, and there are {clients} \
                 (--num-clients)\nhint: use fewer clients, a larger factor or shorter conversations"
            )));
        }
        if active > all {
            return Err(Exit::usage(format!(
                "{wants}; the workload has {all}\nhint: more or longer conversations, or a smaller \
                 factor"
            )));
        }
        Ok(u32::try_from(active).unwrap_or(u32::MAX))
    }

    /// Tokens of the cache, and who says so.
    fn cache(&self) -> Result<(f64, FillSource), Exit> {
        if let Some(size) = &self.args.cache_size {
            return match SizeArg::parse(size) {
                Ok(size) => Ok((self.tokens_of(size)?, FillSource::Flag)),
                Err(what) => {
                    let tokens = of_tiers_report(Path::new(size)).map_err(|why| {
                        Exit::usage(format!(
                            "--cache-size is '{size}': {what}, or the file of \
                             cache tiers --json ({why})"
                        ))
                    })?;
                    Ok((tokens, FillSource::TiersReport))
                }
            };
        }
        let told = self.server_cache()?;
        told.map(|tokens| (tokens as f64, FillSource::ServerMetrics)).ok_or_else(|| {
            Exit::usage(
                "--fill-cache: the server's metrics do not tell how much its cache holds\nhint: \
                 --cache-size tells it, as 200000tokens, 40GiB or the file that turnbench cache tiers \
                 --json wrote",
            )
        })
    }

    fn tokens_of(&self, size: SizeArg) -> Result<f64, Exit> {
        match (size, self.prepared.plan.ledger.kv_bytes_per_token) {
            (SizeArg::Tokens(tokens), _) => Ok(tokens),
            (SizeArg::Blocks(blocks), _) => Ok(blocks * f64::from(self.block_tokens())),
            (SizeArg::Bytes(bytes), Some(per_token)) => Ok(bytes / per_token),
            (SizeArg::Bytes(_), None) => Err(Exit::usage(
                "--cache-size is in bytes, but the bytes of a token are not known\nhint: \
                 --kv-bytes-per-token or --model-config tells them; it may also be in tokens",
            )),
        }
    }

    fn block_tokens(&self) -> u32 {
        self.args.ledger.block_size.map_or(BLOCK_TOKENS, std::num::NonZeroU32::get)
    }

    fn server_cache(&self) -> Result<Option<u64>, Exit> {
        let Some(metrics) = &self.prepared.plan.metrics else { return Ok(None) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (connector, headers) = (&self.prepared.connector, &self.prepared.headers);
        let access = ServerAccess { connector, headers };
        let mut figures = FiguresBuilder::default();
        for url in &metrics.urls {
            let mut source = PageSource::new(url, &access, &tls(self.args))?;
            figures.add(&runtime.block_on(source.sample(SampleMoment::Before)));
        }
        Ok(ServerReport::of(figures.finish()).device_capacity_tokens().filter(|tokens| *tokens > 0))
    }

    fn working_set(&self) -> Result<WorkingSet, Exit> {
        let all = &self.prepared.conversations[..];
        let shortened: Vec<Conversation>;
        let conversations = match self.prepared.plan.load.max_turns {
            None => all,
            Some(most) => {
                let shorten = |conversation: &Conversation| {
                    let mut conversation = conversation.clone();
                    // The answer to the last message that is sent stays in the cache as well.
                    conversation.messages.truncate(most as usize + 1);
                    conversation
                };
                shortened = all.iter().map(shorten).collect();
                &shortened
            }
        };
        let options = BlockOptions {
            tokenizer: self.prepared.tokenizer.as_deref(),
            tokenizer_name: "",
            template: self.prepared.template.as_deref(),
            block_tokens: self.block_tokens(),
            progress: &|| (),
        };
        let blocks = PromptBlocks::of_workload(conversations, &options).or_usage()?;
        WorkingSet::of(&blocks).ok_or_else(|| {
            Exit::usage(
                "--fill-cache: it is not known how many tokens the conversations have\nhint: \
                 --tokenizer counts them",
            )
        })
    }
}

/// The device's reach in the report of `cache tiers`.
fn of_tiers_report(path: &Path) -> Result<f64, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let report: TiersReport = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let reach = report.levels.first().and_then(|device| device.reach);
    reach.map(|reach| reach.tokens).ok_or_else(|| "it has no end of the device's cache".to_owned())
}

fn said(fill: &FillPlan, active: u32) -> String {
    let source = match fill.source {
        FillSource::ServerMetrics => "by the server's metrics",
        FillSource::Flag => "as told",
        FillSource::TiersReport => "as cache tiers found",
    };
    let shared = if fill.shared_tokens > 0.0 {
        format!(" and {:.0} shared", fill.shared_tokens)
    } else {
        String::new()
    };
    format!(
        "fill-cache: {} with {:.0} tokens each on average{shared} are {:.0} tokens, {:.2} times the \
         cache's {:.0} ({source})",
        output::counted(u64::from(active), "active conversation"),
        fill.own_tokens_mean,
        fill.working_set_tokens,
        fill.working_set_tokens / fill.cache_tokens,
        fill.cache_tokens
    )
}
