use std::num::NonZeroU32;

use turnbench_model::{Compat, LedgerPlan, PromptTokens, TokenizerSource};

use crate::args::{LedgerArgs, PromptTokensArg};
use crate::exit::Exit;

/// How the cache ledger is made; the reference, which asks for no usage, has none unless it is asked for.
/// `has_template` says whether the tokenizer has a chat template.
pub(crate) fn ledger_plan(
    args: &LedgerArgs,
    compat: Compat,
    tokenizer: &TokenizerSource,
    has_template: bool,
) -> Result<LedgerPlan, Exit> {
    let prompt_tokens = match args.prompt_tokens {
        PromptTokensArg::Auto if compat == Compat::Vllm => PromptTokens::None,
        PromptTokensArg::Auto => PromptTokens::Auto,
        PromptTokensArg::Template if !has_template => {
            return Err(Exit::usage(
                "--prompt-tokens is template, but the tokenizer has no chat template\nhint: a model's \
                 directory or Hub id has one; server asks the server, messages goes without",
            ));
        }
        PromptTokensArg::Template => PromptTokens::Template,
        PromptTokensArg::Server => PromptTokens::Server,
        PromptTokensArg::Messages
            if matches!(tokenizer, TokenizerSource::Server | TokenizerSource::None) =>
        {
            return Err(Exit::usage(
                "--prompt-tokens is messages, but there is no local tokenizer\nhint: --tokenizer \
                 builtin:o200k_base, or --prompt-tokens server",
            ));
        }
        PromptTokensArg::Messages => PromptTokens::Messages,
        PromptTokensArg::None => PromptTokens::None,
    };
    let block_tokens = args.block_size.map(NonZeroU32::get);
    Ok(LedgerPlan { prompt_tokens, block_tokens, kv_bytes_per_token: None })
}
