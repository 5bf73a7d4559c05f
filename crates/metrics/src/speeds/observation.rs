/// What the clients saw of one request, for [`speeds`](super::speeds()).
///
/// One that did not complete, or whose tokens the server did not tell, is of use too: others waited behind it.
/// Times are on one clock, in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpeedObservation {
    /// Any number that is the same for all requests of a conversation and for no others.
    pub conversation: u64,
    /// Just before the request's first byte was sent.
    pub sent_ms: f64,
    /// Receipt of the first token; `None` where there was none, or where an answer was not streamed.
    pub first_token_ms: Option<f64>,
    /// End of the answer, or when it was given up.
    pub end_ms: f64,
    /// Prompt tokens, as the server told.
    pub prompt_tokens: Option<u64>,
    /// Of these, what came from any cache.
    pub cached_tokens: Option<u64>,
    /// Of the cached ones, what was in the device's memory, where the server tells.
    pub cached_device_tokens: Option<u64>,
    /// In the host's memory.
    pub cached_host_tokens: Option<u64>,
    /// In the storage behind it.
    pub cached_storage_tokens: Option<u64>,
}

impl SpeedObservation {
    /// Until when it kept a server busy with its prompt.
    pub(super) fn prefilled_ms(&self) -> f64 {
        self.first_token_ms.unwrap_or(self.end_ms)
    }
}
