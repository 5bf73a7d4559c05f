use super::RunInput;
use super::control::Control;
use super::dialogue::Dialogues;
use super::outlet::Outlets;
use crate::http1::HeadTemplate;

/// What all clients of a run share.
pub(crate) struct Context<'run> {
    pub(crate) input: &'run RunInput,
    pub(crate) control: &'run Control,
    pub(crate) dialogues: Dialogues,
    /// Values of the API key and of custom headers: never to be recorded.
    pub(crate) secrets: Vec<String>,
    /// Head of every request.
    pub(crate) head: HeadTemplate,
    /// Where each shard's records go.
    pub(crate) outlets: Outlets,
}
