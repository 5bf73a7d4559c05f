/// A load plan that no driver can follow.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LoadError {
    /// There is nobody to send anything.
    #[error("--num-clients is 0; it must be at least 1")]
    NoClients,
    /// A client without an open conversation could never send.
    #[error(
        "--max-active-conversations is {active}; it must be at least --num-clients ({clients})"
    )]
    FewerActiveThanClients {
        /// `max_active_conversations`.
        active: u32,
        /// `num_clients`.
        clients: u32,
    },
    /// Conversations are numbered in 32 bits.
    #[error("the workload has {count} conversations; at most {} are possible", u32::MAX)]
    TooManyConversations {
        /// Conversations given.
        count: usize,
    },
}
