use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crowd::Crowd;
use super::thresholds::{
    CONVERSATIONS_MIN, REQUESTS_MAX, REQUESTS_MIN, TIER_CONVERSATIONS_MIN, TIER_REQUESTS_MIN,
};
use super::{SpeedObservation, SpeedOptions, SpeedReason};

/// What speeds were computed from, and what was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpeedSample {
    /// Requests used.
    pub requests: u64,
    /// Their conversations.
    pub conversations: u64,
    /// Whether others' answers were being made while some of them waited for their first tokens. If those
    /// that had the server for themselves tell as much, only these are used.
    pub shared_with_answers: bool,
    /// Requests with a first token that are left out because the server did not tell their tokens.
    pub not_told: u64,
    /// Those left out because they waited behind others' prompts, or others behind theirs.
    pub waited: u64,
    /// Those left out because they had tokens from several tiers behind the device, which a server may load at
    /// the same time.
    pub several_tiers: u64,
}

/// Where cached tokens come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    Device,
    Host,
    Storage,
    /// The server does not tell.
    Unspecified,
}

impl Tier {
    pub(super) const ALL: [Self; 4] = [Self::Device, Self::Host, Self::Storage, Self::Unspecified];

    /// As in the report's tables of tiers.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Host => "host",
            Self::Storage => "storage",
            Self::Unspecified => "unspecified",
        }
    }
}

/// A request of which all is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Case {
    pub(super) conversation: u64,
    pub(super) ttft_ms: f64,
    pub(super) prompt: f64,
    pub(super) uncached: f64,
    cached: [f64; Tier::ALL.len()],
    pub(super) crowd: Crowd,
}

impl Case {
    /// `None` where something is not told or does not add up.
    fn of(observation: &SpeedObservation, crowd: Crowd, by_tier: bool) -> Option<Self> {
        let prompt = observation.prompt_tokens?;
        let cached = observation.cached_tokens?;
        let ttft_ms = observation.first_token_ms? - observation.sent_ms;
        let device = observation.cached_device_tokens;
        let host = observation.cached_host_tokens;
        let storage = observation.cached_storage_tokens;
        let tiers = if by_tier {
            let tiers = [device, host, storage, None].map(|tokens| tokens.unwrap_or(0));
            (tiers.iter().fold(0_u64, |sum, one| sum.saturating_add(*one)) == cached)
                .then_some(tiers)?
        } else {
            [0, 0, 0, cached]
        };
        let uncached = prompt.checked_sub(cached)?;
        (ttft_ms > 0.0 && ttft_ms.is_finite()).then_some(Self {
            conversation: observation.conversation,
            ttft_ms,
            prompt: prompt as f64,
            uncached: uncached as f64,
            cached: tiers.map(|tokens| tokens as f64),
            crowd,
        })
    }

    /// Cached tokens from a tier.
    pub(super) fn tokens_of(&self, tier: Tier) -> f64 {
        self.cached[tier as usize]
    }

    fn has_several_tiers(&self) -> bool {
        self.tokens_of(Tier::Host) > 0.0 && self.tokens_of(Tier::Storage) > 0.0
    }
}

/// The requests to compute from, and what to say of the tiers.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) facts: SpeedSample,
    pub(super) cases: Vec<Case>,
    /// Every tier that the server told of, with its name, and why nothing can be said of it.
    pub(super) tiers: Vec<(Tier, String, Result<(), SpeedReason>)>,
    /// Why nothing can be said at all.
    pub(super) refusal: Result<(), SpeedReason>,
}

impl Sample {
    /// Of requests that had no more of a `crowd` than that, which must be less than [`Crowd::Waiting`].
    pub(super) fn of(
        observations: &[SpeedObservation],
        options: &SpeedOptions<'_>,
        crowd: Crowd,
    ) -> Self {
        let told = |tokens: fn(&SpeedObservation) -> Option<u64>| {
            observations.iter().any(|one| tokens(one).is_some())
        };
        let tiers_told: [bool; Tier::ALL.len()] = {
            let behind = [
                told(|one| one.cached_device_tokens),
                told(|one| one.cached_host_tokens),
                told(|one| one.cached_storage_tokens),
            ];
            let any = behind.contains(&true);
            [behind[0], behind[1], behind[2], !any && told(|one| one.cached_tokens)]
        };
        let by_tier = !tiers_told[Tier::Unspecified as usize];
        let crowds = Crowd::of(observations);
        let pairs = observations.iter().zip(crowds);
        let with_first = pairs.filter(|(one, _)| one.first_token_ms.is_some());
        let cases: Vec<Option<Case>> =
            with_first.map(|(one, crowd)| Case::of(one, crowd, by_tier)).collect();
        let first_tokens = cases.len();
        let mut known: Vec<Case> = cases.into_iter().flatten().collect();
        let not_told = first_tokens - known.len();
        let apart = match options.counted_tiers {
            _ if by_tier => Ok(()),
            [_] => Ok(()),
            [] => Err(SpeedReason::TierUnknown),
            _ => Err(SpeedReason::TiersMixed),
        };
        if apart.is_err() {
            // What was computed whole is still told.
            known.retain(|case| case.tokens_of(Tier::Unspecified) == 0.0);
        }
        let waited = known.iter().filter(|case| case.crowd == Crowd::Waiting).count();
        let several = |case: &&Case| case.crowd != Crowd::Waiting && case.has_several_tiers();
        let several_tiers = known.iter().filter(several).count();

        let used = |case: &&Case| case.crowd <= crowd && !case.has_several_tiers();
        let chosen = bounded(known.iter().filter(used).copied().collect());

        let refusal = if first_tokens == 0 {
            Err(SpeedReason::NoFirstTokens)
        } else if not_told == first_tokens {
            Err(SpeedReason::CachedNotReported)
        } else {
            // Where few prompts were computed whole, it is the others that are missing.
            enough(&chosen, known.len(), waited).map_err(|reason| match &apart {
                Err(mixed) if first_tokens - not_told >= REQUESTS_MIN => mixed.clone(),
                _ => reason,
            })
        };
        let name = |tier: Tier| match (tier, options.counted_tiers) {
            (Tier::Unspecified, [only]) => (*only).to_owned(),
            _ => tier.name().to_owned(),
        };
        let tiers = Tier::ALL.into_iter().filter(|tier| tiers_told[*tier as usize]).map(|tier| {
            let name = name(tier);
            let told = apart.clone().and_then(|()| tell(tier, &name, &known, &chosen));
            (tier, name, told)
        });
        Self {
            tiers: tiers.collect(),
            refusal,
            facts: SpeedSample {
                requests: chosen.len() as u64,
                conversations: conversations(&chosen) as u64,
                shared_with_answers: chosen.iter().any(|case| case.crowd == Crowd::Decoding),
                not_told: not_told as u64,
                waited: waited as u64,
                several_tiers: several_tiers as u64,
            },
            cases: chosen,
        }
    }

    /// Conversations with tokens from a tier.
    pub(super) fn tier_conversations(&self, tier: Tier) -> usize {
        conversations(self.cases.iter().filter(|case| case.tokens_of(tier) > 0.0))
    }
}

fn conversations<'a>(cases: impl IntoIterator<Item = &'a Case>) -> usize {
    cases.into_iter().map(|case| case.conversation).collect::<BTreeSet<u64>>().len()
}

/// Whether there are enough requests and conversations. `known` of them were looked at, of which `waited`
/// waited behind others.
fn enough(cases: &[Case], known: usize, waited: usize) -> Result<(), SpeedReason> {
    let conversations = conversations(cases);
    if cases.len() >= REQUESTS_MIN && conversations >= CONVERSATIONS_MIN {
        return Ok(());
    }
    // What would there have been without queueing?
    if known >= REQUESTS_MIN && waited > 0 && cases.len() + waited >= REQUESTS_MIN {
        return Err(SpeedReason::Queueing { ratio: waited as f64 / known as f64 });
    }
    if cases.len() < REQUESTS_MIN {
        return Err(SpeedReason::FewRequests { requests: cases.len() as u64 });
    }
    Err(SpeedReason::FewConversations { conversations: conversations as u64 })
}

/// Requests and conversations with tokens from a tier.
fn with_tier(cases: &[Case], tier: Tier) -> (usize, usize) {
    let those = || cases.iter().filter(|case| case.tokens_of(tier) > 0.0);
    (those().count(), conversations(those()))
}

fn is_enough_of_tier((requests, conversations): (usize, usize)) -> bool {
    requests >= TIER_REQUESTS_MIN && conversations >= TIER_CONVERSATIONS_MIN
}

/// Whether enough of the used requests had tokens from the tier, and if not, why.
fn tell(tier: Tier, name: &str, known: &[Case], used: &[Case]) -> Result<(), SpeedReason> {
    let found = with_tier(used, tier);
    if is_enough_of_tier(found) {
        return Ok(());
    }
    let tier_name = || name.to_owned();
    let all = known.iter().filter(|case| case.tokens_of(tier) > 0.0);
    let count = all.clone().count();
    let waited = all.clone().filter(|case| case.crowd == Crowd::Waiting).count();
    let several =
        all.filter(|case| case.crowd != Crowd::Waiting && case.has_several_tiers()).count();
    Err(if count == 0 {
        SpeedReason::NoTokens { tier: tier_name() }
    } else if several >= TIER_REQUESTS_MIN {
        SpeedReason::SeveralTiers { tier: tier_name() }
    } else if waited >= TIER_REQUESTS_MIN {
        SpeedReason::Queueing { ratio: waited as f64 / count as f64 }
    } else {
        let (requests, conversations) = found;
        SpeedReason::FewFromTier {
            tier: tier_name(),
            requests: requests as u64,
            conversations: conversations as u64,
        }
    })
}

/// About [`REQUESTS_MAX`] requests at most, of conversations spread evenly over the run.
fn bounded(mut cases: Vec<Case>) -> Vec<Case> {
    let every = cases.len().div_ceil(REQUESTS_MAX);
    if every <= 1 {
        return cases;
    }
    let mut ranks: BTreeMap<u64, usize> = BTreeMap::new();
    let mut is_kept = |case: &Case| {
        let next = ranks.len();
        ranks.entry(case.conversation).or_insert(next).is_multiple_of(every)
    };
    cases.retain(&mut is_kept);
    cases
}
