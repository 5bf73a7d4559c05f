use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends a run early, from any thread. Its clones are the same switch.
///
/// Once it is thrown nothing more is sent, retries included: a client learns of it when it next
/// asks. Whoever waits at [`crate::Step::WaitUntil`] should therefore be made to ask again.
#[derive(Clone, Debug, Default)]
pub struct StopSwitch(Arc<AtomicBool>);

impl StopSwitch {
    /// Ends the run, for good.
    pub fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the run was ended early.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
