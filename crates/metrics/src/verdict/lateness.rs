//! What speaks for a client that came late to what had arrived.

use turnbench_model::ShardFacts;

use super::finding::{Finding, millis, ratio};
use super::thresholds::{
    EVENT_DELAY, FIRST_TOKEN_DELAY, LOOP_LAG_KERNEL, LOOP_LAG_USER, SHARED_STAMPS,
    SHARED_STAMPS_RATIO, STALL,
};
use super::{Evidence, Level, Reason, ReasonId};
use crate::{ClientTrust, Describe};

pub(super) fn loop_lag(evidence: &Evidence<'_>) -> Option<Reason> {
    let (lag, percentile) = evidence.client.loop_lag_ms.tail()?;
    let kernel = evidence.kernel_stamps();
    let (limits, against) = if kernel {
        (LOOP_LAG_KERNEL.against(evidence.response_ms()), evidence.response_text())
    } else {
        match evidence.itl_p50_ms {
            Some(itl) => (LOOP_LAG_USER.against(itl), format!("a median ITL of {}", millis(itl))),
            None => (LOOP_LAG_USER.against(evidence.response_ms()), evidence.response_text()),
        }
    };
    let finding = Finding::of(lag, limits)?;
    let stamps = if kernel { "" } else { ", and its own stamps as late" };
    let text = format!(
        "the client came {} late to what was due ({percentile}; limit {}, against {against}){stamps}",
        millis(lag),
        millis(finding.threshold),
    );
    let mut reason = finding.reason(ReasonId::LoopLag, "ms", text);
    if !kernel {
        touch(&mut reason, ReasonId::UserStamps);
    }
    Some(with_shared_stamps(reason, evidence))
}

pub(super) fn stall(evidence: &Evidence<'_>) -> Option<Reason> {
    let lag = evidence.client.loop_lag_max_ms?;
    let limits = STALL.against(evidence.response_ms());
    let finding = Finding::caution(lag, limits.caution)?;
    let text = format!(
        "a thread of the client stood still for {} at worst (limit {})",
        millis(lag),
        millis(finding.threshold),
    );
    Some(with_shared_stamps(finding.reason(ReasonId::Stall, "ms", text), evidence))
}

pub(super) fn first_token_delay(evidence: &Evidence<'_>) -> Option<Reason> {
    let (delay, percentile) = evidence.client.first_token_delay_ms.tail()?;
    let limits = FIRST_TOKEN_DELAY.against(evidence.response_ms());
    let finding = Finding::caution(delay, limits.caution)?;
    let text = format!(
        "first tokens were read {} after their arrival ({percentile}; limit {}, against {}): {}the \
         client is near its limit",
        millis(delay),
        millis(finding.threshold),
        evidence.response_text(),
        match evidence.shared_ratio() {
            None => "the kernel's stamps keep that out of TTFT, but ",
            Some(_) => "",
        },
    );
    let reason = finding.reason(ReasonId::FirstTokenDelay, "ms", text);
    Some(with_shared_stamps(reason, evidence))
}

pub(super) fn event_delay(evidence: &Evidence<'_>) -> Option<Reason> {
    let (delay, percentile) = evidence.client.client_delay_ms.tail()?;
    let itl = evidence.itl_p50_ms?;
    let finding = Finding::caution(delay, EVENT_DELAY.against(itl).caution)?;
    let text = format!(
        "events were read {} after their arrival ({percentile}; limit {}, against a median ITL of {}), so \
         that several waited at a time",
        millis(delay),
        millis(finding.threshold),
        millis(itl),
    );
    Some(with_shared_stamps(finding.reason(ReasonId::EventDelay, "ms", text), evidence))
}

/// First tokens that came in one read with later ones have the stamp of the last of them, so that their
/// TTFT is too large by as long as they waited for it. The pace of the rest of their answers tells how
/// long that was; where there is no rest, the client's lateness does.
pub(super) fn shared_stamps(evidence: &Evidence<'_>) -> Option<Reason> {
    evidence.shared_ratio()?;
    // Of two that are as bad the last one is taken, which knows more.
    let found = [by_lateness(evidence), by_pace(evidence)];
    found.into_iter().flatten().max_by_key(|reason| reason.level)
}

fn by_pace(evidence: &Evidence<'_>) -> Option<Reason> {
    let client = evidence.client;
    let excess = &client.shared_stamp_excess_ms;
    let limits = SHARED_STAMPS.against(evidence.response_ms());
    let (tail, percentile) = excess.tail()?;
    let worst = excess.max.filter(|_| excess.count > 0)?;
    let finding = Finding::of(tail, limits).or_else(|| Finding::caution(worst, limits.caution))?;
    let text = format!(
        "{} of {} first tokens came in one read with later ones, whose stamp they have: by the pace of \
         the rest of their answers TTFT is too large by {} ({percentile}), {} at worst (limit {}, against \
         {})",
        client.shared_first_tokens,
        client.first_tokens,
        millis(tail),
        millis(worst),
        millis(finding.threshold),
        evidence.response_text(),
    );
    Some(finding.reason(ReasonId::SharedStamps, "ms", text))
}

fn by_lateness(evidence: &Evidence<'_>) -> Option<Reason> {
    let client = evidence.client;
    let shared_ratio = ratio(client.unpaced_first_tokens, client.first_tokens)?;
    if shared_ratio <= 0.0 {
        return None;
    }
    let limits = SHARED_STAMPS.against(evidence.response_ms());
    let usual = usual_lateness(client);
    let late = usual.max(client.loop_lag_max_ms.unwrap_or(0.0));
    // A client that is late all the time can have hit any of them.
    let hit_ratio = if usual > limits.limited {
        shared_ratio
    } else {
        shared_ratio.min(awaited_ratio(evidence, limits.limited))
    };
    let finding = if late > limits.limited && hit_ratio > SHARED_STAMPS_RATIO {
        Finding { level: Level::ClientLimited, value: late, threshold: limits.limited }
    } else {
        Finding::caution(late, limits.caution)?
    };
    let text = format!(
        "{} of {} first tokens came in one read with all that followed, whose stamp they have, and the \
         client was {} late (limit {}, against {}): their TTFT may be too large by up to that",
        client.unpaced_first_tokens,
        client.first_tokens,
        millis(late),
        millis(finding.threshold),
        evidence.response_text(),
    );
    Some(finding.reason(ReasonId::SharedStamps, "ms", text))
}

/// How late the client came again and again, in ms.
fn usual_lateness(client: &ClientTrust) -> f64 {
    let tails = [&client.loop_lag_ms, &client.first_token_delay_ms].map(Describe::tail);
    tails.into_iter().flatten().map(|(late, _)| late).fold(0.0, f64::max)
}

/// Largest share of first tokens that can have been awaited while a loop was later than that: each of
/// its clients awaits one at a time.
fn awaited_ratio(evidence: &Evidence<'_>, limit_ms: f64) -> f64 {
    let awaited_on = |shard: &ShardFacts| {
        let lags = &shard.loop_lags_ns;
        let late = lags.iter().filter(|lag| lag.as_millis_f64() > limit_ms).count();
        // The worst one need not be listed.
        let late = late.max(usize::from(shard.loop_lag_max_ns.as_millis_f64() > limit_ms));
        late as f64 * f64::from(shard.clients_count)
    };
    let awaited: f64 = evidence.shards.iter().map(awaited_on).sum();
    awaited / evidence.client.first_tokens as f64
}

/// Adds what a late client does to first tokens, where some share the stamp of later ones.
fn with_shared_stamps(mut reason: Reason, evidence: &Evidence<'_>) -> Reason {
    if evidence.shared_ratio().is_some() {
        touch(&mut reason, ReasonId::SharedStamps);
    }
    reason
}

/// Adds what another reason touches.
fn touch(reason: &mut Reason, other: ReasonId) {
    for &id in other.touches() {
        if !reason.touches.iter().any(|touched| touched == id) {
            reason.touches.push(id.to_owned());
        }
    }
}
