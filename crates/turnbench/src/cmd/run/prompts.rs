use turnbench_client::ServerTokenizer;
use turnbench_metrics::{BlockSizeSource, PromptFacts, ServerReport, TokenBasis};
use turnbench_model::{
    Message, Nanos, PromptTokenizer, PromptTokens, RequestRecord, TokenizerSource,
};
use turnbench_rundir::{LinesWriter, PROMPT_BLOCKS_FILE, PROMPTS_FILE, RunDir};
use turnbench_workload::{BlocksOfRun, PromptSource, RunBlocks, SentOptions, SentPrompts};

use super::prepare::Prepared;
use super::problems::{OutputInProgress, Problems};
use crate::cmd::output;
use crate::cmd::server::{self, ServerAccess};
use crate::exit::Exit;

/// Tokens of a block in vLLM, unless it is told otherwise.
pub(crate) const BLOCK_TOKENS: u32 = 16;
/// Request bytes in all up to which a server is asked for its tokens without having been told to: about
/// five million of them, a matter of seconds.
const AUTO_SERVER_BYTES_MAX: u64 = 20_000_000;

/// How long a server that was not named for it may take to give its tokens.
const AUTO_SERVER_LIMIT: Nanos = Nanos::from_millis(10_000);

/// Where the ids of a run's prompts come from; decided once the run is over.
pub(super) enum PromptIds {
    Template,
    Server(ServerTokenizer),
    Messages,
}

/// Decides whose ids prompts are made of; `None`: nobody's. Nobody waits for a server's after an
/// interrupt that did not ask for them.
pub(super) fn prompt_ids(
    prepared: &Prepared,
    sent_bytes: u64,
    interrupted: bool,
) -> Option<PromptIds> {
    let named_server = prepared.plan.workload.tokenizer == TokenizerSource::Server;
    let has_local = prepared.tokenizer.is_some() && !named_server;
    match prepared.plan.ledger.prompt_tokens {
        PromptTokens::None => None,
        PromptTokens::Template => Some(PromptIds::Template),
        PromptTokens::Messages => Some(PromptIds::Messages),
        PromptTokens::Server => match asked(server(prepared)) {
            Ok(server) => Some(PromptIds::Server(server)),
            Err(why) => {
                output::warn(format!("what could be reused is not known: {why}"));
                None
            }
        },
        PromptTokens::Auto if prepared.template.is_some() => Some(PromptIds::Template),
        PromptTokens::Auto => {
            let may_ask = !interrupted && (named_server || sent_bytes <= AUTO_SERVER_BYTES_MAX);
            let server = may_ask.then(|| server(prepared));
            let server = server.map(|server| server.map(|it| it.within(AUTO_SERVER_LIMIT)));
            let server = server.and_then(|server| asked(server).ok());
            server.map(PromptIds::Server).or(has_local.then_some(PromptIds::Messages))
        }
    }
}

fn server(prepared: &Prepared) -> Result<ServerTokenizer, Exit> {
    let access = ServerAccess { connector: &prepared.connector, headers: &prepared.headers };
    server::tokenizer(&access, &prepared.plan.target.served_model_name)
}

/// The server's tokenizer, if it takes messages.
fn asked(tokenizer: Result<ServerTokenizer, Exit>) -> Result<ServerTokenizer, String> {
    let tokenizer = tokenizer.map_err(|exit| exit.error.to_string())?;
    let probe = [Message::new("user", "a")];
    tokenizer.prompt_ids(&probe, None).map_err(|error| error.to_string())?;
    Ok(tokenizer)
}

/// Makes the prompts of a run anew while its records are read back, and keeps their blocks.
pub(super) struct PromptPass<'a> {
    /// `None` once the tokenizer has failed.
    maker: Option<SentPrompts<'a>>,
    blocks: RunBlocks,
    facts: PromptFacts,
    lines: OutputInProgress<LinesWriter>,
}

impl<'a> PromptPass<'a> {
    /// At the beginning of the records.
    pub(super) fn new(
        prepared: &'a Prepared,
        ids: &'a PromptIds,
        server: Option<&ServerReport>,
        run_dir: Option<&RunDir>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let plan = &prepared.plan;
        let tokenizer = plan.workload.tokenizer_name().to_owned();
        let (source, basis) = match ids {
            PromptIds::Template => (
                PromptSource::Template(
                    prepared.tokenizer.as_deref()?,
                    prepared.template.as_deref()?,
                ),
                TokenBasis::ChatTemplate { tokenizer, rejected_conversations: 0 },
            ),
            PromptIds::Server(server) => (PromptSource::Server(server), TokenBasis::Server),
            PromptIds::Messages => (
                PromptSource::Messages(prepared.tokenizer.as_deref()?),
                TokenBasis::Messages { tokenizer },
            ),
        };
        let (block_tokens, block_size_source) =
            match (plan.ledger.block_tokens, server.and_then(ServerReport::block_tokens)) {
                (Some(tokens), _) => (tokens, BlockSizeSource::Flag),
                (None, Some(tokens)) => (tokens, BlockSizeSource::Server),
                (None, None) => (BLOCK_TOKENS, BlockSizeSource::Assumed),
            };
        let options = SentOptions {
            rules: plan.request.turn_rules(),
            reasoning: plan.request.history_reasoning,
            source,
            block_tokens,
        };
        let lines = run_dir.map(|run_dir| run_dir.create_lines(PROMPT_BLOCKS_FILE));
        Some(Self {
            maker: Some(SentPrompts::new(&prepared.conversations, options)),
            blocks: RunBlocks::default(),
            facts: PromptFacts { basis, block_tokens, block_size_source },
            lines: OutputInProgress::new(lines, problems),
        })
    }

    /// Takes the next records in.
    pub(super) fn add(&mut self, records: &[RequestRecord], problems: &mut Problems) {
        let Some(maker) = &mut self.maker else { return };
        let blocks = match maker.blocks(records) {
            Ok(blocks) => blocks,
            Err(error) => {
                output::warn(format!(
                    "what could be reused is not known: prompts cannot be made anew: {error}"
                ));
                self.maker = None;
                return;
            }
        };
        for (record, blocks) in records.iter().zip(&blocks) {
            self.blocks.add(record, blocks.as_ref(), self.facts.block_tokens);
            let push = |lines: &mut LinesWriter| lines.push(&blocks.as_ref());
            self.lines.write(problems, push);
        }
    }

    /// What was found; `None` if the tokenizer failed, and then no file is left.
    pub(super) fn finish(
        mut self,
        run_dir: Option<&RunDir>,
        problems: &mut Problems,
    ) -> Option<(BlocksOfRun, PromptFacts)> {
        self.lines.write(problems, LinesWriter::flush);
        let Some(maker) = &self.maker else {
            problems.keep(run_dir.map_or(Ok(()), |run_dir| run_dir.remove(PROMPT_BLOCKS_FILE)));
            return None;
        };
        if let TokenBasis::ChatTemplate { rejected_conversations, .. } = &mut self.facts.basis {
            *rejected_conversations = maker.rejected_conversations();
        }
        if let Some(run_dir) = run_dir {
            problems.keep(run_dir.write_json(PROMPTS_FILE, &self.facts));
        }
        let facts = self.facts;
        Some((self.blocks.finish(facts.basis.clone(), facts.block_tokens), facts))
    }
}
