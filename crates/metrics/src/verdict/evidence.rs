use turnbench_model::{Plan, ShardFacts};

use super::finding::{millis, ratio};
use super::thresholds::KERNEL_STAMPED_RATIO;
use crate::{ClientTrust, Counts, Environment};

/// What a verdict is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) counts: &'a Counts,
    pub(crate) client: &'a ClientTrust,
    pub(crate) environment: &'a Environment,
    /// What each of the client's threads did.
    pub(crate) shards: &'a [ShardFacts],
    /// What the server took, which the client's delays are held against: the median of
    /// `ttft_raw_ms`, of the first tokens alone that have a stamp of their own where there are any, for
    /// a late client lengthens the others; the median of `latency_ms` where answers were not streamed.
    pub(crate) response_p50_ms: Option<f64>,
    /// Whether that leaves out first tokens that share a stamp.
    pub(crate) response_is_of_unshared: bool,
    /// Median of `itl_ms`. Events that share a stamp have gaps of 0, so that a late client does not
    /// raise it.
    pub(crate) itl_p50_ms: Option<f64>,
}

impl Evidence<'_> {
    /// What the server took, in ms; 0 when no answer came, so that only floors count.
    pub(super) fn response_ms(&self) -> f64 {
        self.response_p50_ms.unwrap_or(0.0)
    }

    pub(super) fn response_text(&self) -> String {
        let what = if self.plan.request.stream { "TTFT" } else { "latency" };
        match self.response_p50_ms {
            Some(response) if self.response_is_of_unshared => {
                format!("a median {what} of {} without what shared stamps add", millis(response))
            }
            Some(response) => format!("a median {what} of {}", millis(response)),
            None => format!("no {what}"),
        }
    }

    /// `1 core`, `2 cores`: those that the client may use; as many as threads where that is not known.
    pub(super) fn cores(&self) -> String {
        let cores = self.environment.cpu_cores.unwrap_or(self.plan.client.threads);
        format!("{cores} core{}", if cores == 1 { "" } else { "s" })
    }

    /// Whether times come from the kernel. Without any first token there is nothing to be late.
    pub(super) fn kernel_stamps(&self) -> bool {
        self.client.kernel_stamped_ratio.is_none_or(|ratio| ratio >= KERNEL_STAMPED_RATIO)
    }

    /// Share of first tokens that came in one read with later ones; `None` when none did.
    pub(super) fn shared_ratio(&self) -> Option<f64> {
        let ratio = ratio(self.client.shared_first_tokens, self.client.first_tokens);
        ratio.filter(|&ratio| ratio > 0.0)
    }
}
