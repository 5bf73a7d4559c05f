use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Evidence, Reason, ReasonId};

/// A fact about the run's surroundings that a reader should know, whatever the level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// What it is about.
    pub id: NoteId,
    /// In words.
    pub text: String,
}

/// What a note is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum NoteId {
    /// Client and server had the same cores, and it may matter.
    ServerOnThisHost,
    /// What the client can carry on this machine was not known.
    NoSelfcheck,
}

impl NoteId {
    /// Every note, in the order in which they are documented and shown.
    pub const ALL: [Self; 2] = [Self::ServerOnThisHost, Self::NoSelfcheck];

    /// The name used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServerOnThisHost => "server_on_this_host",
            Self::NoSelfcheck => "no_selfcheck",
        }
    }

    /// When it is said.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::ServerOnThisHost => {
                "the server answers at an address of the client's machine, and either no core is left to it (`--threads` is the number of cores, or more) or one of the reasons says that the client was late or busy, or the server's front slow"
            }
            Self::NoSelfcheck => {
                "there is no `capacity_ratio`, for `turnbench selfcheck` was not run on this machine by this user and version"
            }
        }
    }
}

/// What is to be said beside the reasons. Nothing where nothing was sent.
pub(super) fn notes(evidence: &Evidence<'_>, reasons: &[Reason]) -> Vec<Note> {
    if evidence.client.attempts == 0 {
        return Vec::new();
    }
    let note = |id| {
        let text = match id {
            NoteId::ServerOnThisHost => server_on_this_host(evidence, reasons),
            NoteId::NoSelfcheck => no_selfcheck(evidence),
        };
        Some(Note { id, text: text? })
    };
    NoteId::ALL.into_iter().filter_map(note).collect()
}

fn server_on_this_host(evidence: &Evidence<'_>, reasons: &[Reason]) -> Option<String> {
    let client = &evidence.plan.client;
    let no_core_left = evidence.environment.cpu_cores.is_some_and(|cores| client.threads >= cores);
    let matters = no_core_left || reasons.iter().any(|reason| may_be_the_cores(reason.id));
    (client.server_on_this_host && matters).then(|| {
        let threads = client.threads;
        let noun = if threads == 1 { "thread" } else { "threads" };
        let cores = evidence.cores();
        format!(
            "the server answers at an address of this machine: unless it runs elsewhere behind a tunnel, \
             or each has cores of its own (taskset), it shares {cores} with {threads} client {noun}, and \
             each can have slowed the other down"
        )
    })
}

/// Whether a lack of cores can be behind it.
fn may_be_the_cores(id: ReasonId) -> bool {
    match id {
        ReasonId::Concurrency
        | ReasonId::SendLateness
        | ReasonId::CpuBusy
        | ReasonId::LoopLag
        | ReasonId::Stall
        | ReasonId::SharedStamps
        | ReasonId::FirstTokenDelay
        | ReasonId::EventDelay
        | ReasonId::Capacity
        | ReasonId::ServerGap => true,
        ReasonId::RecordWaits
        | ReasonId::UserStamps
        | ReasonId::FewRequests
        | ReasonId::FailedRequests
        | ReasonId::CutRequests
        | ReasonId::UnfinishedConversations
        | ReasonId::Interrupted => false,
    }
}

fn no_selfcheck(evidence: &Evidence<'_>) -> Option<String> {
    evidence.client.capacity_ratio.is_none().then(|| {
        "how much of this machine's capacity the client used is not known; `turnbench selfcheck` \
         measures it once for all later runs, in under 20 s"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::NoteId;

    #[test]
    fn names_are_those_of_the_json() {
        for id in NoteId::ALL {
            assert_eq!(serde_json::to_value(id).unwrap_or_default(), id.name());
        }
    }
}
