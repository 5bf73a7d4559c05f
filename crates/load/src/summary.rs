/// What became of a phase's conversations and requests.
///
/// Every conversation of the workload is in exactly one of the five lists, by its index.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LoadSummary {
    /// Sent to their end (or to `max_turns`), in the order in which they ended.
    pub finished: Vec<u32>,
    /// Ended by a failed turn, in the order in which they ended.
    pub failed: Vec<u32>,
    /// Begun (in the warm-up, too) but not ended, ascending.
    pub unfinished: Vec<u32>,
    /// Nothing of them was sent, ascending.
    pub not_started: Vec<u32>,
    /// Had no turn to send (compat mode: silently dropped), in the order in which that was seen.
    pub dropped: Vec<u32>,
    /// Turns with a complete answer.
    pub requests_completed: u64,
    /// Turns that failed for good.
    pub requests_failed: u64,
    /// Turns cut off by the end of the run.
    pub requests_cut: u64,
    /// Attempts handed out, retries included.
    pub attempts: u64,
}
