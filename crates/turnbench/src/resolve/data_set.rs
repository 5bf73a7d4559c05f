use turnbench_workload::{AsciiFilter, FORMATS, Filters, Format, OverModelLen, Selection};

use crate::args::{AsciiArg, DataSetArgs, OverModelLenArg};
use crate::exit::Exit;

/// What of a data set is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataSetChoice {
    /// The format, when it is told.
    pub format: Option<&'static Format>,
    pub strict: bool,
    pub filters: Filters,
    pub selection: Selection,
}

/// Reads the flags; `max_turns` is the command's own.
pub(crate) fn data_set_choice(
    args: &DataSetArgs,
    max_turns: Option<u32>,
    seed: u64,
) -> Result<DataSetChoice, Exit> {
    range("turns", args.min_turns, max_turns)?;
    // As in the reference's converter 0 is no limit.
    let max_content_len = args.max_content_len.filter(|&max| max > 0);
    range("content-len", args.min_content_len, max_content_len)?;
    let max_content_len = max_content_len.map(u64::from);
    range("content-tokens", args.min_content_tokens, args.max_content_tokens)?;
    Ok(DataSetChoice {
        format: args
            .input_format
            .as_deref()
            .map(|name| format("--input-format", name))
            .transpose()?,
        strict: args.strict,
        filters: Filters {
            min_turns: args.min_turns,
            max_turns,
            min_content_len: args.min_content_len.map(u64::from),
            max_content_len,
            ascii: match args.ascii {
                None | Some(AsciiArg::Any) => AsciiFilter::Any,
                Some(AsciiArg::Only) => AsciiFilter::Only,
                Some(AsciiArg::Exclude) => AsciiFilter::Exclude,
            },
            min_content_tokens: args.min_content_tokens.map(u64::from),
            max_content_tokens: args.max_content_tokens.map(u64::from),
            max_model_len: args.max_model_len.map(u64::from),
            over_model_len: match args.over_model_len {
                OverModelLenArg::Drop => OverModelLen::Drop,
                OverModelLenArg::Cut => OverModelLen::Cut,
            },
        },
        selection: match (args.max_conversations, args.sample) {
            (Some(count), _) => Selection::First(count as usize),
            (None, Some(count)) => Selection::Sample { count: count as usize, seed },
            (None, None) => Selection::All,
        },
    })
}

/// The format of this name.
pub(crate) fn format(flag: &str, name: &str) -> Result<&'static Format, Exit> {
    FORMATS.iter().find(|format| format.name == name).ok_or_else(|| {
        let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
        Exit::usage(format!("{flag} is '{name}'; it must be one of {}", names.join(", ")))
    })
}

fn range(what: &str, min: Option<u32>, max: Option<u32>) -> Result<(), Exit> {
    match (min, max) {
        (Some(min), Some(max)) if min > max => Err(Exit::usage(format!(
            "--min-{what} is {min}; it must be at most {max} (--max-{what})"
        ))),
        _ => Ok(()),
    }
}
