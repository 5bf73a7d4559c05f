use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a speed cannot be told from what a run saw. [`fmt::Display`] has it in words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "id", rename_all = "snake_case")]
pub enum SpeedReason {
    /// No answer has the time of a first token.
    NoFirstTokens,
    /// The server's answers do not say how many tokens were cached.
    CachedNotReported,
    /// Too few requests, whatever they waited for.
    FewRequests {
        /// That can be used.
        requests: u64,
    },
    /// Too few conversations. Requests of one are not independent of each other.
    FewConversations {
        /// That can be used.
        conversations: u64,
    },
    /// Too few requests did not wait behind others.
    Queueing {
        /// Of the requests, those that did, 0..1.
        ratio: f64,
    },
    /// The number of tokens of a kind is nearly the same in all requests.
    Alike {
        /// `uncached`, or a tier.
        tokens: String,
        /// Fewest.
        low: u64,
        /// Most.
        high: u64,
    },
    /// The number of tokens of a kind follows from those of the other kinds.
    Bound {
        /// `uncached`, or a tier.
        tokens: String,
    },
    /// No request had tokens from the tier.
    NoTokens {
        /// The tier.
        tier: String,
    },
    /// Too few requests or conversations had.
    FewFromTier {
        /// The tier.
        tier: String,
        /// Requests with tokens from it.
        requests: u64,
        /// Their conversations.
        conversations: u64,
    },
    /// All or nearly all requests with tokens from the tier had some from another tier behind the device.
    SeveralTiers {
        /// The tier.
        tier: String,
    },
    /// Neither the server's answers nor its counters tell where cached tokens were.
    TierUnknown,
    /// The server's counters have several tiers, its answers do not tell them apart.
    TiersMixed,
    /// The cost is too small to be seen in the noise.
    TooFast {
        /// Tokens a second, by the upper end of the cost's interval; absent where no cost was seen at all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_least: Option<f64>,
    },
    /// The interval is wider than the value.
    Wide {
        /// The value.
        value: f64,
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// A reload's fixed cost cannot be told apart from its cost for each token, which then holds it.
    FixedCostBound,
    /// The interval of a fixed cost, or of the base, begins at 0.
    NoFixedCost {
        /// Its upper end, in ms; absent where that is 0 too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_most_ms: Option<f64>,
    },
    /// Reloading and recomputing take so nearly the same time that either may be faster.
    EquallyFast,
    /// The length lies beyond what was seen.
    BeyondLongest {
        /// Tokens of the longest prompt.
        longest: u64,
    },
}

impl fmt::Display for SpeedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFirstTokens => write!(f, "no answer has the time of a first token"),
            Self::CachedNotReported => write!(
                f,
                "the server does not report cached tokens (vLLM: --enable-prompt-tokens-details, \
                 SGLang: --enable-cache-report)"
            ),
            Self::FewRequests { requests } => write!(f, "only {requests} requests"),
            Self::FewConversations { conversations: 1 } => {
                write!(f, "all requests are of one conversation")
            }
            Self::FewConversations { conversations } => {
                write!(f, "only {conversations} conversations")
            }
            Self::Queueing { ratio } => write!(
                f,
                "queueing hides it: {:.0} % of requests waited behind others",
                100.0 * ratio
            ),
            Self::Alike { tokens, low, high } => {
                write!(f, "{tokens} tokens hardly differ between requests ({low} to {high})")
            }
            Self::Bound { tokens } => {
                write!(f, "{tokens} tokens follow from the others, as with prompts of one length")
            }
            Self::NoTokens { tier } => write!(f, "no request had tokens from {tier}"),
            Self::FewFromTier { tier, requests, conversations } => write!(
                f,
                "only {requests} requests of {conversations} conversations had tokens from {tier}"
            ),
            Self::SeveralTiers { tier } => {
                write!(f, "requests had tokens from {tier} only together with another tier's")
            }
            Self::TierUnknown => {
                write!(f, "neither answers nor counters tell which tier cached tokens came from")
            }
            Self::TiersMixed => {
                write!(f, "the server has several tiers and does not tell for each request which")
            }
            Self::TooFast { at_least: Some(speed) } => {
                write!(f, "too fast to be seen: at least {speed:.0} tokens/s")
            }
            Self::TooFast { at_least: None } => write!(f, "too fast to be seen"),
            Self::Wide { value, low, high } => write!(
                f,
                "the interval is wider than the value: {} ({} to {})",
                Short(*value),
                Short(*low),
                Short(*high)
            ),
            Self::FixedCostBound => {
                write!(f, "a fixed cost cannot be told apart from the cost for each token")
            }
            Self::NoFixedCost { at_most_ms: Some(most) } => {
                write!(f, "no fixed cost can be seen: at most {} ms", Short(*most))
            }
            Self::NoFixedCost { at_most_ms: None } => write!(f, "no fixed cost can be seen"),
            Self::EquallyFast => write!(f, "either may be faster"),
            Self::BeyondLongest { longest } => {
                write!(f, "beyond the longest prompt seen, {longest} tokens")
            }
        }
    }
}

/// A number with about three digits.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.0.abs() {
            size if size >= 100.0 => 0,
            size if size >= 10.0 => 1,
            size if size >= 1.0 => 2,
            _ => 3,
        };
        write!(f, "{:.digits$}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::SpeedReason;

    #[test]
    fn reasons_have_words() {
        let check = |reason: SpeedReason, expect: &str| assert_eq!(reason.to_string(), expect);
        check(SpeedReason::FewRequests { requests: 12 }, "only 12 requests");
        check(
            SpeedReason::FewConversations { conversations: 1 },
            "all requests are of one conversation",
        );
        check(
            SpeedReason::Queueing { ratio: 0.934 },
            "queueing hides it: 93 % of requests waited behind others",
        );
        check(SpeedReason::NoTokens { tier: "disk".to_owned() }, "no request had tokens from disk");
        check(
            SpeedReason::Wide { value: 12_000.0, low: 4_000.4, high: 0.25 },
            "the interval is wider than the value: 12000 (4000 to 0.250)",
        );
    }
}
