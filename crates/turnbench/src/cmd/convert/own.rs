use std::fmt::Write as _;
use std::sync::Arc;

use turnbench_model::{Conversation, Tokenizer};
use turnbench_report::conversation_table_text;
use turnbench_workload::{
    ConversationTable, DataSource, Input, OutputFile, ReadOptions, ReadReport, Target, WriteReport,
    Writer, WriterOptions,
};

use super::{convert_error, output_file, print, write_error};
use crate::args::{ConvertArgs, TargetArg};
use crate::cmd::data_set::TraceFiller;
use crate::cmd::output::counted;
use crate::cmd::reading::Reading;
use crate::cmd::{data_set, signals, tokenizer};
use crate::exit::{Exit, ExitCode, WithExitCode};
use crate::resolve::{self, DataSetChoice};

/// Conversations that are held at a time.
const BATCH: usize = 256;

/// `turnbench convert`: anything that is read, to anything that is written.
pub(super) fn convert(args: &ConvertArgs) -> Result<ExitCode, Exit> {
    let choice = choice(args)?;
    let Input::DataSet(source) = Input::open(&args.input, choice.format).or_usage()? else {
        return Err(Exit::usage(format!(
            "'{}' is a generator config, not a data set\nhint: turnbench generate writes the \
             conversations that it describes",
            args.input.display()
        )));
    };
    let tokenizer = tokenizer_of(args)?;
    data_set::check_tokenizer(&choice, tokenizer.as_deref())?;
    let out = output_file(args)?;
    let _unfinished = signals::remove_when_interrupted(out.unfinished())?;
    let conversion = Conversion { args, choice: &choice, tokenizer };
    let (report, written, table) = conversion.run(source, out)?;
    if !table.is_empty() {
        print(args, &format!("Statistics:\n{}", conversation_table_text(&table.columns())))?;
    }
    tell(args, &report, &written);
    Ok(ExitCode::Done)
}

/// What a conversion is made with.
struct Conversion<'a> {
    args: &'a ConvertArgs,
    choice: &'a DataSetChoice,
    tokenizer: Option<Arc<dyn Tokenizer>>,
}

impl Conversion<'_> {
    fn run(
        &self,
        source: DataSource,
        mut out: OutputFile,
    ) -> Result<(ReadReport, WriteReport, ConversationTable), Exit> {
        let target = self.target();
        let options = ReadOptions {
            strict: self.choice.strict,
            filters: self.choice.filters,
            selection: self.choice.selection,
            tokenizer: self.tokenizer.as_deref(),
        };
        let reading = Reading::show(source.state());
        let mut stream = source.stream(&options).map_err(convert_error(self.args))?;
        let mut table = ConversationTable::default();
        let mut filler = None;
        let mut next_batch = || {
            let batch = stream.by_ref().take(BATCH).collect::<Result<Vec<Conversation>, _>>();
            batch.map_err(convert_error(self.args))
        };
        let mut batch = next_batch()?;
        let mut writer = Writer::new(target, self.writer_options(&batch), &mut out);
        while !batch.is_empty() {
            let has_text = batch.iter().all(|one| !one.messages.is_empty());
            if has_text {
                table
                    .extend(&batch, self.tokenizer.as_deref())
                    .map_err(convert_error(self.args))?;
            } else if target != Target::Mooncake {
                // Rows of lengths and block names, as Mooncake's, would need no text.
                self.filler(&mut filler)?.fill(&mut batch)?;
            }
            for conversation in batch {
                writer.write(conversation).map_err(write_error(self.args))?;
            }
            batch = next_batch()?;
        }
        drop(reading);
        let report = stream.into_report();
        if report.kept == 0 {
            data_set::tell(&report);
            return Err(data_set::nothing_kept(&self.args.input));
        }
        let written = writer.finish().map_err(write_error(self.args))?;
        if let Some(filler) = &filler {
            filler.tell();
        }
        out.commit().map_err(write_error(self.args))?;
        Ok((report, written, table))
    }

    /// Blocks are as large as asked for, or as the trace's own, of which these are the first
    /// conversations.
    fn writer_options(&self, first: &[Conversation]) -> WriterOptions {
        let own = first.iter().find_map(|one| one.hash_block_size);
        let default = WriterOptions::default();
        let block_size = self.args.block_size.or(own).unwrap_or(default.block_size);
        WriterOptions { tokenizer: self.tokenizer.clone(), block_size, ..default }
    }

    /// What makes text, once it is needed.
    fn filler<'a>(&self, made: &'a mut Option<TraceFiller>) -> Result<&'a mut TraceFiller, Exit> {
        let Some(tokenizer) = &self.tokenizer else {
            return Err(Exit::usage(format!(
                "'{}' is a trace without text; the text is made with a tokenizer, and there is \
                 none\nhint: --tokenizer builtin:o200k_base, or --to mooncake, which needs no text",
                self.args.input.display()
            )));
        };
        match made {
            Some(filler) => Ok(filler),
            None => Ok(made.insert(TraceFiller::new(tokenizer, made_seed(self.args))?)),
        }
    }

    fn target(&self) -> Target {
        match self.args.to {
            None => Target::from_path(&self.args.output),
            Some(TargetArg::Json) => Target::Json,
            Some(TargetArg::Jsonl) => Target::Jsonl,
            Some(TargetArg::Mooncake) => Target::Mooncake,
            Some(TargetArg::Aiperf) => Target::AiPerf,
            Some(TargetArg::Openai) => Target::OpenAi,
        }
    }
}

fn choice(args: &ConvertArgs) -> Result<DataSetChoice, Exit> {
    let max_turns = args.max_turns.max_turns;
    let mut choice = resolve::data_set_choice(&args.data_set, max_turns, made_seed(args))?;
    if args.format != "auto" {
        let format = resolve::format("FORMAT", &args.format)
            .map_err(|error| Exit::usage(format!("{:#}\nhint: auto recognizes it", error.error)))?;
        if choice.format.is_some_and(|told| told.name != format.name) {
            return Err(Exit::usage(format!(
                "FORMAT is {} and --input-format is another one; leave --input-format out",
                format.name
            )));
        }
        choice.format = Some(format);
    }
    Ok(choice)
}

/// The seed, as far as it reaches: negative ones are as their magnitude, as in Python.
fn made_seed(args: &ConvertArgs) -> u64 {
    args.seed.unsigned_abs() as u64
}

fn tokenizer_of(args: &ConvertArgs) -> Result<Option<Arc<dyn Tokenizer>>, Exit> {
    let model = args.model.as_deref().or(args.tokenizer.tokenizer.as_deref());
    model.map(|model| tokenizer::load_local(&args.tokenizer, model)).transpose()
}

/// What became of everything that was read.
fn tell(args: &ConvertArgs, report: &ReadReport, written: &WriteReport) {
    data_set::tell(report);
    let rows = report.read + report.merged + report.skipped_count();
    let mut line = format!("{} read", counted(rows, "item"));
    if report.merged > 0 {
        let _ = write!(line, ", {} merged into others", report.merged);
    }
    for (count, what) in [
        (report.skipped_count(), "skipped"),
        (report.dropped_count(), "dropped"),
        ((report.read - report.dropped_count()).saturating_sub(report.kept), "not selected"),
    ] {
        if count > 0 {
            let _ = write!(line, ", {count} {what}");
        }
    }
    let conversations = counted(written.conversations, "conversation");
    anstream::eprintln!("{line}; {conversations} written to {}", args.output.display());
    for (what, count) in &written.lost {
        anstream::eprintln!("not in the output: {what}: {count}");
    }
}
