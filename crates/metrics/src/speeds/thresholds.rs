//! Every limit of the speeds, each with its reason. Where no source is named they are judgements, and say
//! what they weigh.

/// The quantile of the noise that the fit goes through, 0..1.
///
/// What disturbs a TTFT only ever adds to it. The lower quarter is disturbed least, and stays that of the
/// undisturbed requests' lower half while up to half of all requests are held up by something unseen;
/// of noise that adds and is exponential it gives slopes with a third of the median's variance
/// (Koenker, Quantile Regression, 2005, section 4.2: variance goes with t(1-t)/f²). Lower still, a few
/// requests would decide.
pub(super) const NOISE_QUANTILE: f64 = 0.25;

/// Requests with which a fit is tried: some five for each of up to six unknowns.
pub(super) const REQUESTS_MIN: usize = 30;

/// Conversations with which a fit is tried. They are what is resampled; fewer than eight give too few
/// different resamples for the outer 2.5 %.
pub(super) const CONVERSATIONS_MIN: usize = 8;

/// Requests with tokens from a tier from which its speed is looked for.
pub(super) const TIER_REQUESTS_MIN: usize = 10;

/// Conversations with such requests. With five, a resample lacks all of them in fewer than 1 of 100.
pub(super) const TIER_CONVERSATIONS_MIN: usize = 5;

/// Share of resamples in which a number must exist, for its interval to be taken from them.
pub(super) const RESAMPLES_TELLING: f64 = 0.98;

/// Requests that are fitted, about, at most, in whole conversations. Intervals shrink with the root of the
/// number, and other things than chance decide beyond this; it bounds the time to some two seconds (measured: 0.5 s for
/// 2,000 on a 2-core VM, twice that where requests among others' answers are looked at too).
pub(super) const REQUESTS_MAX: usize = 4_000;

/// Resamples of the bootstrap. The ends of the interval are the 11th from either side of 400.
pub(super) const RESAMPLES: usize = 400;

/// Standard deviation of the uncached tokens, against the most of them, from which they differ. Half of the
/// requests at each end of a range of a tenth have this; what a tenth more costs is mostly noise.
pub(super) const SPREAD_RATIO: f64 = 0.05;

/// Share of a column's variance that no combination of the other columns explains, from which its own
/// coefficient is told apart. Below it less than 3 % of its spread is its own, and what is not quite
/// linear about a server weighs more.
pub(super) const OWN_SHARE: f64 = 1e-3;

/// The same for a fixed cost beside a speed, and for the other columns that are only tried: a tenth of
/// its spread. They also widen the intervals of others.
pub(super) const TRIED_SHARE: f64 = 1e-2;

/// Gain in the logarithm of the likelihood (of the asymmetric Laplace law, for which the fit's loss is
/// one) for which cost that grows with the position is taken in. A chance gain of 10 is below one in 10,000 for
/// independent requests; those of a conversation are not quite.
pub(super) const CURVE_GAIN: f64 = 10.0;

/// Share of the longest prompt's computing that must be due to that growth; a smaller one moves no decision.
pub(super) const CURVE_SHARE: f64 = 0.05;

/// Width of an interval over its value, beyond which the value isn't told.
///
/// At 1 the ends are about a factor 2.6 apart, or half the value to either side; which tier is
/// faster would still be seen, how fast it is hardly.
pub(super) const WIDTH_RATIO: f64 = 1.0;

/// Smoothing of the loss around 0, as a share of the middle residual: sharp enough to move no
/// coefficient visibly, smooth enough for some twenty iterations.
pub(super) const SMOOTHING: f64 = 0.1;

/// Least smoothing, as a share of the largest TTFT, where there is no noise at all (1 ns in 1 s).
pub(super) const SMOOTHING_MIN: f64 = 1e-9;

/// Iterations of a fit. Each one lowers the loss; where the limit ends it, what is left is far below
/// the noise.
pub(super) const ITERATIONS: usize = 200;

/// Movement of any prediction, in units of the smoothing, at which a fit has arrived.
pub(super) const ARRIVED: f64 = 0.02;

/// Lower end over upper end of a cost's interval, up to which the cost may be none at all.
pub(super) const NEGLIGIBLE_RATIO: f64 = 0.01;
