//! How fast a server computes prompts and gets them back from its caches, from the TTFTs of a run.
//!
//! A TTFT is taken as
//!
//! ```text
//! base + uncached·recompute + Σ over tiers (cached·reload + fixed, if any) + a wait, 0 or more
//! ```
//!
//! and where the data show it, a computed token costs more for each token before it (attention). Costs are
//! never below 0.
//!
//! **Queueing** is met in two ways. Requests whose time to the first token overlaps another's are not
//! used at all; of the others only those that had the server for themselves, if they tell as much. What
//! the clients cannot see (other clients, background stores) only ever adds to a TTFT, and sometimes
//! much. So the fit is a regression not of the mean but of the lower quartile (Koenker and Bassett,
//! Regression Quantiles, Econometrica 46, 1978): a wait that does not depend on the tokens moves
//! `base` and no speed, however long it is, and up to some half of the requests may wait. Least
//! squares and Huber's estimator would centre on the waits; Theil and Sen's takes one cause at a
//! time.
//!
//! **Intervals** (95 %) are from resamples of whole conversations, since requests of one are not independent
//! (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).
//!
//! A speed is as seen from outside: what a token from a tier costs in all, tokenizing and looking it up
//! included.

mod break_even;
mod crowd;
mod estimate;
mod fit;
mod model;
mod nonnegative;
mod observation;
mod reason;
mod sample;
mod thresholds;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Estimate;

pub use break_even::SpeedBreakEven;
pub use estimate::SpeedFigure;
pub use observation::SpeedObservation;
pub use reason::SpeedReason;
pub use sample::SpeedSample;

use break_even::Costs;
use crowd::Crowd;
use model::{Cause, Model, Prices};
use sample::{Case, Sample, Tier};
use thresholds::{RESAMPLES, RESAMPLES_TELLING, SPREAD_RATIO};

/// What is known of the server beside its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpeedOptions<'a> {
    /// Bytes that the model keeps for a token, if known.
    pub kv_bytes_per_token: Option<f64>,
    /// Tiers that gave tokens by the server's counters; empty where these do not tell. Used where
    /// answers tell no tiers: a single one must be it, several cannot be told apart, and without any
    /// nothing is known of what cached tokens cost.
    pub counted_tiers: &'a [&'a str],
}

/// How fast a server computes prompts and reloads them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Speeds {
    /// What it is from.
    pub sample: SpeedSample,
    /// TTFT of a request with nothing to compute and nothing to reload, with the lower quartile of all waits.
    pub base_ms: SpeedFigure,
    /// Prompt tokens computed in a second.
    pub recompute_tokens_per_sec: SpeedFigure,
    /// The length of prompt (the median one) that this is for, in tokens, where longer ones are seen to
    /// cost more for each token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recompute_at_tokens: Option<f64>,
    /// Every tier that the server told of, from the device outwards.
    pub tiers: Vec<TierSpeed>,
}

/// How fast prompts come back from a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TierSpeed {
    /// `device`, `host`, `storage`, the only tier of the server's counters, or `unspecified`.
    pub tier: String,
    /// Cached tokens a second, beside the fixed cost where that is told.
    pub reload_tokens_per_sec: SpeedFigure,
    /// The same in GiB, where the bytes of a token are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload_gib_per_sec: Option<Estimate>,
    /// What any reload costs, in ms; absent for the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_ms: Option<SpeedFigure>,
    /// Prompt length from which reloading beats recomputing; absent for the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_even: Option<SpeedBreakEven>,
}

/// The speeds that a run saw. The same observations always give the same.
///
/// They are those of the run proper, in any order; failed ones too, where their times are known.
pub fn speeds(observations: &[SpeedObservation], options: &SpeedOptions<'_>) -> Speeds {
    let sample = |crowd| Sample::of(observations, options, crowd);
    let read = |sample: &Sample| match &sample.refusal {
        Ok(()) => Reading::of(sample, options).speeds(),
        Err(reason) => refused(sample, reason),
    };
    let (alone, among_answers) = (sample(Crowd::Alone), sample(Crowd::Decoding));
    let from_alone = read(&alone);
    if from_alone.untold() == 0 || alone.facts == among_answers.facts {
        return from_alone;
    }
    let from_all = read(&among_answers);
    let is_as_good = from_alone.is_told_at_all() && from_alone.untold() <= from_all.untold();
    if is_as_good { from_alone } else { from_all }
}

impl Speeds {
    /// Speeds that cannot be told.
    fn untold(&self) -> usize {
        let tiers = self.tiers.iter().map(|tier| &tier.reload_tokens_per_sec);
        tiers.chain([&self.recompute_tokens_per_sec]).filter(|speed| speed.told().is_none()).count()
    }

    /// Whether any speed can be told.
    fn is_told_at_all(&self) -> bool {
        self.untold() <= self.tiers.len()
    }
}

/// Nothing, for one reason.
fn refused(sample: &Sample, reason: &SpeedReason) -> Speeds {
    let figure = || SpeedFigure::CannotBeTold(reason.clone());
    let tiers = sample.tiers.iter().map(|(tier, name, told)| {
        let untold = matches!(told, Err(SpeedReason::TierUnknown | SpeedReason::TiersMixed));
        let reason = told.clone().err().filter(|_| untold).unwrap_or_else(|| reason.clone());
        TierSpeed::refused(*tier, name, reason)
    });
    Speeds {
        sample: sample.facts,
        base_ms: figure(),
        recompute_tokens_per_sec: figure(),
        recompute_at_tokens: None,
        tiers: tiers.collect(),
    }
}

impl TierSpeed {
    fn refused(tier: Tier, name: &str, reason: SpeedReason) -> Self {
        let is_behind = tier != Tier::Device;
        Self {
            tier: name.to_owned(),
            fixed_ms: is_behind.then(|| SpeedFigure::CannotBeTold(reason.clone())),
            break_even: is_behind.then(|| SpeedBreakEven::CannotBeTold(reason.clone())),
            reload_tokens_per_sec: SpeedFigure::CannotBeTold(reason),
            reload_gib_per_sec: None,
        }
    }
}

/// Figures, read off a model.
struct Reading<'a> {
    sample: &'a Sample,
    options: &'a SpeedOptions<'a>,
    model: Model,
    /// Median length of prompts, in tokens.
    median: f64,
}

impl<'a> Reading<'a> {
    fn of(sample: &'a Sample, options: &'a SpeedOptions<'a>) -> Self {
        let mut prompts: Vec<f64> = sample.cases.iter().map(|case| case.prompt).collect();
        prompts.sort_unstable_by(f64::total_cmp);
        let median = crate::quantile(&prompts, 0.5).unwrap_or(0.0);
        Self { sample, options, model: Model::of(sample), median }
    }

    fn speeds(&self) -> Speeds {
        let uncached = self.apart(Cause::Uncached, "uncached", |case| case.uncached);
        let is_curved = self.model.has(Cause::Position);
        let (base_ms, recompute) = match &uncached {
            Ok(()) => {
                (SpeedFigure::fixed(self.cost(Cause::Base)), SpeedFigure::speed(self.computed()))
            }
            Err(reason) => {
                let figure = || SpeedFigure::CannotBeTold(reason.clone());
                (figure(), figure())
            }
        };
        let tiers = self.sample.tiers.iter().map(|(tier, name, told)| {
            let told = told
                .clone()
                .and_then(|()| self.apart(Cause::Token(*tier), name, |case| case.tokens_of(*tier)));
            match told {
                Ok(()) => self.tier(*tier, name, uncached.as_ref().err()),
                Err(reason) => TierSpeed::refused(*tier, name, reason),
            }
        });
        Speeds {
            sample: self.sample.facts,
            recompute_at_tokens: (is_curved && recompute.told().is_some()).then_some(self.median),
            base_ms,
            recompute_tokens_per_sec: recompute,
            tiers: tiers.collect(),
        }
    }

    /// Whether the data can tell what a token of a kind costs.
    fn apart(
        &self,
        cause: Cause,
        name: &str,
        tokens: impl Fn(&Case) -> f64,
    ) -> Result<(), SpeedReason> {
        let values: Vec<f64> = self.sample.cases.iter().map(tokens).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        let deviation = crate::Describe::of_all(&values, &[]).std.unwrap_or(0.0);
        let tokens = name.to_owned();
        if deviation < SPREAD_RATIO * high || high <= low {
            return Err(SpeedReason::Alike { tokens, low: low as u64, high: high as u64 });
        }
        if self.model.tells(cause) { Ok(()) } else { Err(SpeedReason::Bound { tokens }) }
    }

    /// What one of a cause costs, in ms.
    fn cost(&self, cause: Cause) -> Estimate {
        self.estimate(|prices| prices.of(cause))
    }

    /// What a token of a prompt of median length costs to compute, in ms.
    fn computed(&self) -> Estimate {
        self.estimate(|prices| {
            prices.of(Cause::Uncached) + prices.of(Cause::Position) * self.median / 2.0
        })
    }

    fn estimate(&self, number: impl Fn(&Prices<'_>) -> f64) -> Estimate {
        let (value, resampled) = self.model.numbers(None, number);
        Estimate::of_resamples(value, resampled, self.sample.facts.conversations as usize)
    }

    /// The figures of a tier whose tokens can be told apart; `uncached` says why those that were computed
    /// cannot.
    fn tier(&self, tier: Tier, name: &str, uncached: Option<&SpeedReason>) -> TierSpeed {
        let groups = self.sample.tier_conversations(tier);
        let costs = |prices: &Prices<'_>| Costs {
            computed: prices.of(Cause::Uncached),
            position: prices.of(Cause::Position),
            reloaded: prices.of(Cause::Token(tier)),
            fixed: prices.of(Cause::Reload(tier)),
        };
        let estimate = |number: fn(Costs) -> f64| {
            let (value, resampled) = self.model.numbers(Some(tier), |prices| number(costs(prices)));
            let is_telling = resampled.len() as f64 >= RESAMPLES_TELLING * RESAMPLES as f64;
            is_telling.then(|| Estimate::of_resamples(value, resampled, groups))
        };
        let reloaded = estimate(|costs| costs.reloaded);
        let fixed = estimate(|costs| costs.fixed);
        let length = estimate(Costs::break_even);
        let (Some(reloaded), Some(fixed), Some(length)) = (reloaded, fixed, length) else {
            let requests = self.sample.cases.iter().filter(|case| case.tokens_of(tier) > 0.0);
            let reason = SpeedReason::FewFromTier {
                tier: name.to_owned(),
                requests: requests.count() as u64,
                conversations: groups as u64,
            };
            return TierSpeed::refused(tier, name, reason);
        };
        let reload_tokens_per_sec = SpeedFigure::speed(reloaded);
        let has_fixed = self.model.has(Cause::Reload(tier));
        let is_behind = tier != Tier::Device;
        let longest = self.sample.cases.iter().map(|case| case.prompt).fold(0.0, f64::max);
        let break_even = match uncached {
            Some(reason) => SpeedBreakEven::CannotBeTold(reason.clone()),
            None if !has_fixed => SpeedBreakEven::CannotBeTold(SpeedReason::FixedCostBound),
            None => SpeedBreakEven::of(length, longest),
        };
        let fixed_ms = if has_fixed {
            SpeedFigure::fixed(fixed)
        } else {
            SpeedFigure::CannotBeTold(SpeedReason::FixedCostBound)
        };
        TierSpeed {
            tier: name.to_owned(),
            reload_gib_per_sec: self.gib_per_sec(&reload_tokens_per_sec),
            reload_tokens_per_sec,
            fixed_ms: is_behind.then_some(fixed_ms),
            break_even: is_behind.then_some(break_even),
        }
    }

    fn gib_per_sec(&self, speed: &SpeedFigure) -> Option<Estimate> {
        const GIB: f64 = 1_073_741_824.0;
        let bytes = self.options.kv_bytes_per_token.filter(|bytes| *bytes > 0.0)?;
        Some(speed.told()?.times(bytes / GIB))
    }
}
