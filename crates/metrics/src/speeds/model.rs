use turnbench_random::NumpyStream;

use super::crowd::Crowd;
use super::fit::{Fit, Problem};
use super::sample::{Case, Sample, Tier};
use super::thresholds::{CURVE_GAIN, CURVE_SHARE, OWN_SHARE, RESAMPLES, TRIED_SHARE};

/// What a part of a TTFT goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Every request.
    Base,
    /// An uncached token.
    Uncached,
    /// An uncached token, for each token before it: attention.
    Position,
    /// Others' answers being made.
    Answers,
    /// A token from a tier.
    Token(Tier),
    /// Any token from a tier.
    Reload(Tier),
}

impl Cause {
    /// How much of it a request has.
    fn of(self, case: &Case) -> f64 {
        let if_so = |so: bool| if so { 1.0 } else { 0.0 };
        match self {
            Self::Base => 1.0,
            Self::Uncached => case.uncached,
            // The uncached tokens are the last ones: their positions summed.
            Self::Position => case.uncached * (case.prompt - case.uncached / 2.0),
            Self::Answers => if_so(case.crowd == Crowd::Decoding),
            Self::Token(tier) => case.tokens_of(tier),
            Self::Reload(tier) => if_so(case.tokens_of(tier) > 0.0),
        }
    }
}

/// The causes that a sample's TTFTs are put down to, and what each costs in ms.
pub(super) struct Model {
    causes: Vec<Cause>,
    /// Share of each cause that no others explain, 0..1.
    own_shares: Vec<f64>,
    best: Vec<f64>,
    /// From resamples of the conversations, each with those tiers that were in it.
    resampled: Vec<(Vec<f64>, Vec<Tier>)>,
}

impl Model {
    /// Chooses the causes, and fits. `sample` must have requests.
    pub(super) fn of(sample: &Sample) -> Self {
        let cases = &sample.cases;
        let causes = chosen(sample);
        let problem = problem(cases, &causes);
        let fit = problem.fit();
        let own_shares = (0..causes.len()).map(|column| problem.own_share(column)).collect();
        let resampled = resampled(&problem, &fit, cases);
        Self { causes, own_shares, best: problem.coefficients(&fit), resampled }
    }

    /// Whether a cause is in the model.
    pub(super) fn has(&self, cause: Cause) -> bool {
        self.causes.contains(&cause)
    }

    /// Whether a cause can be told apart from the others.
    pub(super) fn tells(&self, cause: Cause) -> bool {
        let at = self.causes.iter().position(|one| *one == cause);
        at.is_some_and(|at| self.own_shares[at] >= OWN_SHARE)
    }

    /// A number made of costs: from the best fit, and from each resample that had tokens of the `tier`.
    pub(super) fn numbers(
        &self,
        tier: Option<Tier>,
        number: impl Fn(&Prices<'_>) -> f64,
    ) -> (f64, Vec<f64>) {
        let of = |costs: &[f64]| number(&Prices { causes: &self.causes, costs });
        let has_tier = |tiers: &[Tier]| tier.is_none_or(|tier| tiers.contains(&tier));
        let resampled = self.resampled.iter().filter(|(_, tiers)| has_tier(tiers));
        (of(&self.best), resampled.map(|(costs, _)| of(costs)).collect())
    }
}

/// What each cause costs, by one fit.
pub(super) struct Prices<'a> {
    causes: &'a [Cause],
    costs: &'a [f64],
}

impl Prices<'_> {
    /// In ms; 0 for what is not in the model.
    pub(super) fn of(&self, cause: Cause) -> f64 {
        let at = self.causes.iter().position(|one| *one == cause);
        at.map_or(0.0, |at| self.costs[at])
    }
}

fn problem(cases: &[Case], causes: &[Cause]) -> Problem {
    let rows: Vec<Vec<f64>> =
        cases.iter().map(|case| causes.iter().map(|cause| cause.of(case)).collect()).collect();
    let times: Vec<f64> = cases.iter().map(|case| case.ttft_ms).collect();
    Problem::new(&rows, &times)
}

/// Base, tokens, and of the other causes those that can be told apart.
fn chosen(sample: &Sample) -> Vec<Cause> {
    let cases = &sample.cases;
    let mut causes = vec![Cause::Base, Cause::Uncached];
    let seen = |tier: &Tier| cases.iter().any(|case| case.tokens_of(*tier) > 0.0);
    let tiers: Vec<Tier> = sample.tiers.iter().map(|(tier, ..)| *tier).filter(seen).collect();
    causes.extend(tiers.iter().map(|tier| Cause::Token(*tier)));
    let tried = tiers.iter().filter(|tier| **tier != Tier::Device);
    for (cause, beside) in tried
        .map(|tier| (Cause::Reload(*tier), Cause::Token(*tier)))
        .chain([(Cause::Answers, Cause::Uncached)])
    {
        let with: Vec<Cause> = causes.iter().copied().chain([cause]).collect();
        if is_apart(cases, &with, cause, beside) {
            causes = with;
        }
    }
    let curved: Vec<Cause> = causes.iter().copied().chain([Cause::Position]).collect();
    if is_apart(cases, &curved, Cause::Position, Cause::Uncached)
        && is_curved(cases, &causes, &curved)
    {
        return curved;
    }
    causes
}

/// Whether neither cause is nearly made up of the others.
fn is_apart(cases: &[Case], causes: &[Cause], one: Cause, other: Cause) -> bool {
    let problem = problem(cases, causes);
    let own_share = |cause: Cause| {
        let at = causes.iter().position(|it| *it == cause);
        at.map_or(0.0, |at| problem.own_share(at))
    };
    own_share(one) >= TRIED_SHARE && own_share(other) >= TRIED_SHARE
}

/// Whether cost that grows with the position explains the times much better, and is much of them.
fn is_curved(cases: &[Case], straight: &[Cause], curved: &[Cause]) -> bool {
    let without = problem(cases, straight).fit().loss;
    let problem = problem(cases, curved);
    let fit = problem.fit();
    let gain = cases.len() as f64 * (without / fit.loss.max(f64::MIN_POSITIVE)).ln();
    let costs = problem.coefficients(&fit);
    let prices = Prices { causes: curved, costs: &costs };
    let longest = cases.iter().map(|case| case.prompt).fold(0.0, f64::max);
    let grown = prices.of(Cause::Position) * longest / 2.0;
    gain >= CURVE_GAIN && grown >= CURVE_SHARE * (grown + prices.of(Cause::Uncached))
}

/// Fits to as many conversations as there are, drawn with replacement.
fn resampled(problem: &Problem, fit: &Fit, cases: &[Case]) -> Vec<(Vec<f64>, Vec<Tier>)> {
    /// Any number would do; with one and the same a run's report is always the same.
    const SEED: u32 = 0;
    let mut ids: Vec<u64> = cases.iter().map(|case| case.conversation).collect();
    ids.sort_unstable();
    ids.dedup();
    let groups: Vec<usize> =
        cases.iter().map(|case| ids.partition_point(|id| *id < case.conversation)).collect();
    let mut stream = NumpyStream::new(SEED);
    let mut resample = || {
        let mut counts = vec![0.0; ids.len()];
        for _ in 0..ids.len() {
            let drawn = (stream.random_sample() * ids.len() as f64) as usize;
            counts[drawn.min(ids.len() - 1)] += 1.0;
        }
        let weights: Vec<f64> = groups.iter().map(|group| counts[*group]).collect();
        let drawn = |tier: &Tier| {
            let mut weighed = cases.iter().zip(&weights);
            weighed.any(|(case, weight)| *weight > 0.0 && case.tokens_of(*tier) > 0.0)
        };
        let tiers = Tier::ALL.into_iter().filter(drawn).collect();
        (problem.coefficients(&problem.refit(&weights, fit)), tiers)
    };
    (0..RESAMPLES).map(|_| resample()).collect()
}
