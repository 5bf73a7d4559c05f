use std::io::Write;
use std::path::Path;

use anyhow::Context;
use turnbench_client::run::RunEnd;
use turnbench_metrics::{RequestRow, RunReport};
use turnbench_model::Compat;
use turnbench_report::{ConversationsJson, StatsKeys, Workbook, generation_parameters, stats_json};
use turnbench_rundir::WrittenLines;

use super::prepare::Prepared;
use super::problems::{Problems, cannot_write, create};
use crate::cmd::conversations::AnswerPlaces;
use crate::cmd::show;

/// Which keys of a request are written.
pub(crate) fn stats_keys(compat: Compat) -> StatsKeys {
    match compat {
        Compat::Vllm => StatsKeys::Reference,
        Compat::None => StatsKeys::All,
    }
}

/// `--stats-json-output` and `--excel-output`.
pub(crate) fn write_statistics(
    problems: &mut Problems,
    prepared: &Prepared,
    rows: &[RequestRow],
    report: &RunReport,
    between_turns: bool,
) {
    let keys = stats_keys(prepared.plan.compat);
    if let Some(path) = &prepared.outputs.stats_json {
        let written = create(path)
            .and_then(|out| stats_json(rows, keys, out).with_context(|| cannot_write(path)));
        problems.keep(written);
    }
    if let Some(path) = &prepared.outputs.excel {
        let workbook = Workbook {
            parameters: &show::parameters(&prepared.plan),
            generation: generation_parameters(&prepared.plan),
            summaries: &report.summaries,
            rows,
            keys,
            between_turns,
        };
        let bytes = workbook.to_bytes().map_err(anyhow::Error::from);
        let write = |bytes| std::fs::write(path, bytes).with_context(|| cannot_write(path));
        problems.keep(bytes.and_then(write));
    }
}

/// `--output-file`: the conversations that were begun, each read back from its records when its
/// turn comes.
pub(crate) fn write_conversations(
    problems: &mut Problems,
    prepared: &Prepared,
    end: &RunEnd,
    answers: &AnswerPlaces,
    records: &mut WrittenLines,
) {
    if let Some(path) = &prepared.outputs.conversations {
        let written =
            create(path).and_then(|out| conversations(out, path, prepared, end, answers, records));
        problems.keep(written);
    }
}

fn conversations(
    out: impl Write,
    path: &Path,
    prepared: &Prepared,
    end: &RunEnd,
    answers: &AnswerPlaces,
    records: &mut WrittenLines,
) -> anyhow::Result<()> {
    let mut list = ConversationsJson::new(out);
    let mut answered =
        |index: u32| answers.answered(index, &prepared.conversations, records, &prepared.plan);
    for &index in &end.summary.finished {
        if let Some(conversation) = answered(index)? {
            list.finished(&conversation).with_context(|| cannot_write(path))?;
        }
    }
    let unfinished = match prepared.plan.compat {
        Compat::Vllm => Vec::new(),
        Compat::None => unfinished(end),
    };
    for index in unfinished {
        if let Some(conversation) = answered(index)? {
            list.unfinished(&conversation).with_context(|| cannot_write(path))?;
        }
    }
    list.end().with_context(|| cannot_write(path))
}

/// Conversations that were begun and did not reach their end.
fn unfinished(end: &RunEnd) -> Vec<u32> {
    let mut list = end.summary.unfinished.clone();
    list.extend(&end.summary.failed);
    list.sort_unstable();
    list
}
