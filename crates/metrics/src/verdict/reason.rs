use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Level;

/// One thing that speaks against taking the numbers as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// What it is about.
    pub id: ReasonId,
    /// How much it weighs; never [`Level::Trustworthy`].
    pub level: Level,
    /// What was measured, against what, in words.
    pub text: String,
    /// What was measured.
    pub value: f64,
    /// The limit of its level that it is beyond.
    pub threshold: f64,
    /// Unit of both; empty for a plain count, `0..1` for a share.
    pub unit: String,
    /// Ids of the numbers that it touches.
    pub touches: Vec<String>,
}

/// What a reason is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ReasonId {
    /// Clients were often without a request in flight.
    Concurrency,
    /// Requests were sent later than intended.
    SendLateness,
    /// A thread of the client was busy all the time.
    CpuBusy,
    /// The event loops came late to everything.
    LoopLag,
    /// The client stood still once.
    Stall,
    /// First tokens have the stamp of later ones, and the client was late.
    SharedStamps,
    /// First tokens lay in the kernel before they were read.
    FirstTokenDelay,
    /// Events lay in the kernel before they were read.
    EventDelay,
    /// Much of what the machine can carry was in use.
    Capacity,
    /// The disk was slower than the run.
    RecordWaits,
    /// The client stamped by itself.
    UserStamps,
    /// Much of the TTFT lies outside the server's own account of it.
    ServerGap,
    /// Too few requests for percentiles.
    FewRequests,
    /// Requests failed.
    FailedRequests,
    /// Requests were cut off.
    CutRequests,
    /// Conversations did not reach their end.
    UnfinishedConversations,
    /// The run was cut short.
    Interrupted,
}

impl ReasonId {
    /// Every reason, in the order in which they are documented and shown.
    pub const ALL: [Self; 17] = [
        Self::Concurrency,
        Self::SendLateness,
        Self::CpuBusy,
        Self::LoopLag,
        Self::Stall,
        Self::SharedStamps,
        Self::FirstTokenDelay,
        Self::EventDelay,
        Self::Capacity,
        Self::RecordWaits,
        Self::UserStamps,
        Self::ServerGap,
        Self::FewRequests,
        Self::FailedRequests,
        Self::CutRequests,
        Self::UnfinishedConversations,
        Self::Interrupted,
    ];

    /// The name used in JSON and on the terminal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::SendLateness => "send_lateness",
            Self::CpuBusy => "cpu_busy",
            Self::LoopLag => "loop_lag",
            Self::Stall => "stall",
            Self::SharedStamps => "shared_stamps",
            Self::FirstTokenDelay => "first_token_delay",
            Self::EventDelay => "event_delay",
            Self::Capacity => "capacity",
            Self::RecordWaits => "record_waits",
            Self::UserStamps => "user_stamps",
            Self::ServerGap => "server_gap",
            Self::FewRequests => "few_requests",
            Self::FailedRequests => "failed_requests",
            Self::CutRequests => "cut_requests",
            Self::UnfinishedConversations => "unfinished_conversations",
            Self::Interrupted => "interrupted",
        }
    }

    /// Ids of the definitions that it touches. Those for a late client touch what
    /// [`Self::SharedStamps`] does too where first tokens share stamps.
    pub const fn touches(self) -> &'static [&'static str] {
        match self {
            Self::Concurrency | Self::Capacity | Self::RecordWaits => {
                &["requests_per_sec", "output_tokens_per_sec", "ttft_intended_ms"]
            }
            Self::SendLateness => &["ttft_intended_ms", "requests_per_sec"],
            Self::CpuBusy | Self::LoopLag | Self::Stall => {
                &["ttft_intended_ms", "requests_per_sec", "output_tokens_per_sec"]
            }
            Self::SharedStamps => &["ttft_ms", "ttft_raw_ms", "tpot_ms", "itl_ms"],
            Self::FirstTokenDelay => &["requests_per_sec"],
            Self::EventDelay => &["itl_ms", "requests_per_sec"],
            Self::UserStamps => &["ttft_ms", "ttft_raw_ms", "tpot_ms", "itl_ms", "latency_ms"],
            Self::ServerGap => &["ttft_ms", "ttft_raw_ms"],
            Self::FewRequests => &["ttft_raw_ms", "tpot_ms", "latency_ms"],
            Self::FailedRequests | Self::CutRequests | Self::Interrupted => {
                &["ttft_raw_ms", "latency_ms", "requests_per_sec"]
            }
            Self::UnfinishedConversations => &["input_num_tokens", "ttft_raw_ms", "cached_ratio"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ReasonId;
    use crate::definition;

    #[test]
    fn names_are_those_of_the_json_and_touch_what_is_defined() {
        for id in ReasonId::ALL {
            let json = serde_json::to_value(id).unwrap_or_default();
            assert_eq!(json, id.name());
            for touched in id.touches() {
                assert!(definition(touched).is_some(), "{}: {touched}", id.name());
            }
        }
    }
}
