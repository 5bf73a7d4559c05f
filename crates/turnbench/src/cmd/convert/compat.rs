use std::fmt::Write as _;
use std::io::Write;

use turnbench_model::Tokenizer;
use turnbench_random::PythonStream;
use turnbench_report::conversation_table_text;
use turnbench_workload::{Converted, Dump, MergedDump, OutputFile, ReferenceRules};

use super::{convert_error, output_file, print, write_error};
use crate::args::{AsciiArg, ConvertArgs, TargetArg};
use crate::cmd::output::counted;
use crate::cmd::{signals, tokenizer};
use crate::exit::{Exit, ExitCode};

/// `turnbench convert sharegpt --compat vllm`: the reference's steps, its standard output and its
/// file. What became of the items stands on standard error.
pub(super) fn convert(args: &ConvertArgs) -> Result<ExitCode, Exit> {
    let rules = rules(args)?;
    let mut out = output_file(args)?;
    let _unfinished = signals::remove_when_interrupted(out.unfinished())?;
    print(args, &parameters(args))?;
    let tokenizer = match &args.model {
        Some(model) => {
            print(args, &format!("Loading tokenizer from: {model}\n"))?;
            Some(tokenizer::load_local(&args.tokenizer, model)?)
        }
        None => None,
    };
    print(args, &format!("Reading file: {}\n", args.input.display()))?;
    let dump = Dump::read(&args.input).map_err(convert_error(args))?;
    let items = dump.items_count() as u64;
    let seed = args.seed;
    let head = format!(
        "Total items in input file: {}\nShuffling dataset with seed {seed}\n",
        grouped(items)
    );
    print(args, &head)?;
    let mut stream = PythonStream::new(seed);
    let merged = dump.merge(&mut stream).map_err(convert_error(args))?;
    let count = grouped(merged.conversations_count() as u64);
    print(args, &format!("Total unique conversations (IDs) in input file: {count}\n"))?;
    let (all, kept) = written(args, &merged, &rules, tokenizer.as_deref(), &mut stream, &mut out)?;
    let last = format!(
        "\nTotal conversations converted (after filtering): {}\n\nWriting file: {}\n",
        grouped(kept.kept.len() as u64),
        args.output.display()
    );
    print(args, &last)?;
    if let Some(error) = kept.unwritable {
        return Err(convert_error(args)(*error));
    }
    out.commit().map_err(write_error(args))?;
    let kept = kept.kept.len() as u64;
    tell(items, merged.conversations_count() as u64, &all, kept);
    Ok(ExitCode::Done)
}

/// Converts, prints the tables, and writes: all conversations, or the sample that is asked for.
/// What became of all, and of those that were written.
fn written(
    args: &ConvertArgs,
    merged: &MergedDump,
    rules: &ReferenceRules,
    tokenizer: Option<&dyn Tokenizer>,
    stream: &mut PythonStream,
    out: &mut OutputFile,
) -> Result<(Converted, Converted), Exit> {
    let mut convert = |chosen: Option<&[u32]>, tokenizer, writes: bool| {
        let out = writes.then_some(&mut *out as &mut (dyn Write + Send));
        merged.convert(rules, chosen, tokenizer, out).map_err(convert_error(args))
    };
    // Whether a sample is to be drawn is known only when all were counted.
    let mut all = convert(None, None, args.data_set.sample.is_none())?;
    if all.kept.is_empty() {
        return Err(nothing_left(args, &all));
    }
    print(args, &table(&all))?;
    let Some(max) = args.data_set.sample.map(|max| max as usize) else {
        let unwritable = all.unwritable.take();
        let kept = Converted { kept: all.kept.clone(), unwritable, ..Converted::default() };
        return Ok((all, kept));
    };
    if all.kept.len() <= max {
        let kept = convert(Some(&all.kept), None, true)?;
        return Ok((all, kept));
    }
    print(args, &format!("\n\nSampling {max} items from the dataset...\n"))?;
    let drawn = stream.sample(all.kept.len(), max)?;
    let sample: Vec<u32> = drawn.into_iter().map(|place| all.kept[place]).collect();
    let kept = convert(Some(&sample), tokenizer, true)?;
    print(args, &table(&kept))?;
    Ok((all, kept))
}

fn rules(args: &ConvertArgs) -> Result<ReferenceRules, Exit> {
    let choice = &args.data_set;
    if args.format != "sharegpt" {
        return Err(Exit::usage(format!(
            "--compat vllm converts sharegpt alone, FORMAT is '{}'",
            args.format
        )));
    }
    for (flag, given) in [
        ("--to", args.to.is_some_and(|to| !matches!(to, TargetArg::Json))),
        ("--tokenizer", args.tokenizer.tokenizer.is_some()),
        ("--max-conversations", choice.max_conversations.is_some()),
        ("--min-content-tokens", choice.min_content_tokens.is_some()),
        ("--max-content-tokens", choice.max_content_tokens.is_some()),
        ("--max-model-len", choice.max_model_len.is_some()),
        ("--ascii", choice.ascii.is_some_and(|ascii| ascii != AsciiArg::Exclude)),
    ] {
        if given {
            return Err(Exit::usage(format!(
                "{flag} changes what the reference does; it cannot be used with --compat vllm"
            )));
        }
    }
    for (what, min, max) in [
        ("turns", choice.min_turns, args.max_turns.max_turns),
        ("content-len", choice.min_content_len, choice.max_content_len),
    ] {
        if let (Some(min), Some(max)) = (min, max)
            && min > max
            && max > 0
        {
            return Err(Exit::usage(format!(
                "--min-{what} is {min}; it must be at most {max} (--max-{what})"
            )));
        }
    }
    Ok(ReferenceRules {
        min_turns: choice.min_turns.map(i64::from),
        max_turns: args.max_turns.max_turns.map(i64::from),
        min_content_len: choice.min_content_len.map(i64::from),
        max_content_len: choice.max_content_len.map(i64::from),
    })
}

fn parameters(args: &ConvertArgs) -> String {
    let choice = &args.data_set;
    let shown = |value: Option<u32>| value.map_or_else(|| "None".to_owned(), |it| it.to_string());
    format!(
        "Input parameters:\nseed={}, max_items={}, min_content_len={}, max_content_len={}, \
         min_turns={}, max_turns={}\n\n",
        args.seed,
        shown(choice.sample),
        shown(choice.min_content_len),
        shown(choice.max_content_len),
        shown(choice.min_turns),
        shown(args.max_turns.max_turns),
    )
}

fn table(converted: &Converted) -> String {
    let table = conversation_table_text(&converted.table.columns());
    format!("\nCollecting statistics...\n\nStatistics:\n{table}")
}

fn nothing_left(args: &ConvertArgs, converted: &Converted) -> Exit {
    let mut text = format!("'{}' has no conversation that is kept", args.input.display());
    for (reason, count) in &converted.dropped {
        let _ = write!(text, "\n{} dropped: {reason}", counted(*count, "conversation"));
    }
    if converted.dropped.keys().any(|reason| reason.contains("ASCII")) {
        text.push_str("\nhint: without --compat vllm messages of ASCII characters alone are kept");
    }
    Exit::usage(text)
}

fn tell(items: u64, conversations: u64, all: &Converted, kept: u64) {
    let merged = items.saturating_sub(conversations);
    anstream::eprintln!(
        "{} read, {merged} merged into conversations before them or empty: {}",
        counted(items, "item"),
        counted(conversations, "conversation")
    );
    for (reason, count) in &all.dropped {
        anstream::eprintln!("{} dropped: {reason}", counted(*count, "conversation"));
    }
    let left = all.kept.len() as u64 - kept;
    if left > 0 {
        anstream::eprintln!("{} not in the sample", counted(left, "conversation"));
    }
    anstream::eprintln!("{} written", counted(kept, "conversation"));
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_grouped() {
        let check = |number, expect: &str| assert_eq!(grouped(number), expect);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(1_234_567, "1,234,567");
    }
}
