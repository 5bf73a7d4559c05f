use std::path::Path;
use std::sync::Arc;

use turnbench_model::{Conversation, Tokenizer};
use turnbench_workload::{
    DataSet, DataSource, FillReport, GeneratorFile, Input, ReadOptions, ReadReport, Selection,
    TraceText, generate,
};

use super::reading::Reading;
use super::{output, show};
use crate::exit::{Exit, WithExitCode};
use crate::resolve::DataSetChoice;

/// Opens an input file; a generator config's warnings are told.
pub(crate) fn open(path: &Path, choice: &DataSetChoice) -> Result<Input, Exit> {
    let input = Input::open(path, choice.format).or_usage()?;
    if let Input::Generator(file) = &input {
        if choice.strict || choice.selection != Selection::All || !choice.filters.keep_everything()
        {
            return Err(Exit::usage(format!(
                "'{}' is a generator config; filters, --max-conversations, --sample and --strict are \
                 for data sets\nhint: the config itself says how many and how long conversations are",
                path.display()
            )));
        }
        for warning in &file.warnings {
            output::warn(warning);
        }
    }
    Ok(input)
}

/// Reads the conversations that are wanted, and tells what became of the others.
pub(crate) fn read(
    source: DataSource,
    choice: &DataSetChoice,
    tokenizer: Option<&dyn Tokenizer>,
) -> Result<DataSet, Exit> {
    let options = ReadOptions {
        strict: choice.strict,
        filters: choice.filters,
        selection: choice.selection,
        tokenizer,
    };
    let reading = Reading::show(source.state());
    check_tokenizer(choice, tokenizer)?;
    let path = source.path().to_owned();
    let set = source.read(&options).or_usage()?;
    drop(reading);
    tell(&set.report);
    if set.conversations.is_empty() {
        return Err(nothing_kept(&path));
    }
    Ok(set)
}

/// Limits in tokens need a tokenizer.
pub(crate) fn check_tokenizer(
    choice: &DataSetChoice,
    tokenizer: Option<&dyn Tokenizer>,
) -> Result<(), Exit> {
    if choice.filters.need_tokens() && tokenizer.is_none() {
        return Err(Exit::usage(
            "a limit in tokens is set, which needs a tokenizer, and there is none\nhint: \
             --tokenizer builtin:o200k_base",
        ));
    }
    Ok(())
}

/// Nothing is left to work with.
pub(crate) fn nothing_kept(path: &Path) -> Exit {
    Exit::usage(format!(
        "'{}' has no conversation that is used; there must be at least one",
        path.display()
    ))
}

/// Tells what became of the rows that are no conversation of the workload.
pub(crate) fn tell(report: &ReadReport) {
    for remark in &report.remarks {
        output::warn(remark);
    }
    if report.more_remarks > 0 {
        output::warn(format!("and {} remarks more", report.more_remarks));
    }
    for (reason, skip) in &report.skipped {
        output::warn(format!(
            "{} skipped: {reason}\nthe first: {}",
            output::counted(skip.count, "row"),
            skip.first
        ));
    }
    for (reason, count) in &report.dropped {
        output::warn(format!("{} dropped: {reason}", output::counted(*count, "conversation")));
    }
    for (key, count) in &report.request_keys {
        output::warn(format!(
            "{} whose requests have the key {key}, which is not sent: it is the run's matter",
            output::counted(*count, "conversation")
        ));
    }
    if report.forks_cut > 0 {
        output::warn(format!(
            "{} lost a part of what is known of their parent, which was dropped, cut or not selected",
            output::counted(report.forks_cut, "conversation")
        ));
    }
    for (reason, count) in &report.cut {
        output::warn(format!("{} cut: {reason}", output::counted(*count, "conversation")));
    }
}

/// Makes the conversations that a generator config describes.
pub(crate) fn generated(
    file: &GeneratorFile,
    tokenizer: &Arc<dyn Tokenizer>,
    seed: u64,
) -> Result<Vec<Conversation>, Exit> {
    generate(&file.config, &**tokenizer, seed).or_usage()
}

/// The tables that `print_stats` of a generator config asks for; empty when it doesn't.
pub(crate) fn stats_tables(
    file: &GeneratorFile,
    conversations: &[Conversation],
    tokenizer: &dyn Tokenizer,
) -> Result<String, Exit> {
    if file.config.print_stats {
        show::generator_tables(conversations, tokenizer)
    } else {
        Ok(String::new())
    }
}

/// Makes the text of a trace, and tells what of the trace it holds.
pub(crate) fn fill(
    conversations: &mut [Conversation],
    tokenizer: Option<&Arc<dyn Tokenizer>>,
    seed: u64,
) -> Result<(), Exit> {
    if conversations.iter().all(|one| !one.messages.is_empty()) {
        return Ok(());
    }
    let Some(tokenizer) = tokenizer else {
        return Err(Exit::usage(
            "the input file is a trace without text; the text is made with a tokenizer, and there \
             is none\nhint: --tokenizer builtin:o200k_base",
        ));
    };
    let mut filler = TraceFiller::new(tokenizer, seed)?;
    filler.fill(conversations)?;
    filler.tell();
    Ok(())
}

/// Makes the text of a trace, some conversations at a time.
pub(crate) struct TraceFiller {
    text: TraceText,
    report: FillReport,
}

impl TraceFiller {
    pub(crate) fn new(tokenizer: &Arc<dyn Tokenizer>, seed: u64) -> Result<Self, Exit> {
        let text = TraceText::new(Arc::clone(tokenizer), seed).or_usage()?;
        Ok(Self { text, report: FillReport::default() })
    }

    /// Gives these conversations their text; the same text, however they are divided up.
    pub(crate) fn fill(&mut self, conversations: &mut [Conversation]) -> Result<(), Exit> {
        let report = self.text.fill(conversations).or_usage()?;
        self.report = self.report.plus(report);
        Ok(())
    }

    /// Tells what of the trace the text holds.
    pub(crate) fn tell(&self) {
        let report = &self.report;
        let turns = report.turn_count;
        if turns == 0 {
            return;
        }
        let what = match report.turns_without_ids_count {
            0 => "as its block names say which parts are the same",
            all if all == turns => "by its lengths alone: no two prompts share anything",
            _ => "as its block names and lengths say; prompts without names share nothing",
        };
        anstream::eprintln!(
            "the trace has no text: {turns} prompts with {} tokens are made up, {what}",
            report.prompt_tokens
        );
        if report.unnamed_tokens > 0 {
            output::warn(format!(
                "{} prompt tokens have no block name; their text is shared with nothing",
                report.unnamed_tokens
            ));
        }
        if report.ids_cut_count > 0 {
            output::warn(format!(
                "{} block names lie beyond their prompt's end and have no text",
                report.ids_cut_count
            ));
        }
    }
}
