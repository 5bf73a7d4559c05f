use turnbench_metrics::{ProbingEnd, TiersNote, TiersReport};

use crate::terminal::lines::{counted, wrapped};
use crate::terminal::sizes::gib;

/// How it ended and what else to know, a line each.
pub(super) fn notes(report: &TiersReport, width: usize) -> String {
    let end = match &report.end {
        ProbingEnd::Complete | ProbingEnd::CannotTell { .. } => None,
        ProbingEnd::BudgetSpent => {
            Some("the time was up before everything was measured; --budget gives more".to_owned())
        }
        ProbingEnd::Interrupted => Some("interrupted; this is what was known by then".to_owned()),
        ProbingEnd::ServerFailed { message } => {
            Some(format!("ended because requests failed one after another: {message}"))
        }
    };
    let texts = end.into_iter().chain(report.notes.iter().map(text));
    texts.map(|text| wrapped(width, "- ", &text, 2)).collect()
}

fn text(note: &TiersNote) -> String {
    match note {
        TiersNote::CacheReset => "the server emptied its prefix cache first, as asked".to_owned(),
        TiersNote::CachedNotReported => "answers do not report cached tokens (vLLM: \
            --enable-prompt-tokens-details; SGLang: --enable-cache-report), so times alone tell: a \
            tier as slow as computing anew looks like none"
            .to_owned(),
        TiersNote::EndNotReached => {
            "the farthest end was not reached in the time given; --budget gives more".to_owned()
        }
        TiersNote::NotMeasuredAgain => "there was no time to measure again with prompts of several \
            lengths, written more slowly: reaches are coarser, speeds may be missing, and a tier that \
            stores slowly may hold more"
            .to_owned(),
        TiersNote::StoresSlowly { pause_ratio } => format!(
            "the server stores slowly: prompts were found farther back once each new one was followed \
             by a pause of {pause_ratio:.1} times its own time; at full speed it holds less"
        ),
        TiersNote::StillGrowing => "the farthest end still moved when prompts were written more \
            slowly: the last level holds at least what is told here"
            .to_owned(),
        TiersNote::StoredButNotFound { bytes } => format!(
            "the server counts {} GiB stored outside of the device meanwhile, and nothing was ever \
             found there: it does not serve what it stores, or holds no more than the device",
            gib(*bytes)
        ),
        TiersNote::OtherTraffic { tokens } => format!(
            "the server counts {} of prompts that were not from here: others' requests take room in \
             its cache and time, so that reaches are too short and times too long",
            counted(tokens.round() as u64, "token")
        ),
    }
}
