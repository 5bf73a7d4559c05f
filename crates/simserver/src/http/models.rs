use std::fmt::Write;

use super::json::push_string;

/// What `/v1/models` says about the one model.
#[derive(Clone, Debug)]
pub(crate) struct ModelCard<'a> {
    pub(crate) id: &'a str,
    /// Where the model's files are.
    pub(crate) root: &'a str,
    /// Seconds since the Unix epoch.
    pub(crate) created: u64,
    pub(crate) max_model_len: u32,
    /// 16 hexadecimal digits.
    pub(crate) permission_id: &'a str,
}

impl ModelCard<'_> {
    /// The body of `GET /v1/models`.
    pub(crate) fn list(&self) -> String {
        let Self { id, root, created, max_model_len, permission_id } = self;
        let mut out = String::from("{\"object\":\"list\",\"data\":[{\"id\":");
        push_string(&mut out, id);
        let _ = write!(
            out,
            ",\"object\":\"model\",\"created\":{created},\"owned_by\":\"vllm\",\"root\":"
        );
        push_string(&mut out, root);
        let _ = write!(
            out,
            ",\"parent\":null,\"max_model_len\":{max_model_len},\"permission\":[{{\
             \"id\":\"modelperm-{permission_id}\",\"object\":\"model_permission\",\
             \"created\":{created},\"allow_create_engine\":false,\"allow_sampling\":true,\
             \"allow_logprobs\":true,\"allow_search_indices\":false,\"allow_view\":true,\
             \"allow_fine_tuning\":false,\"organization\":\"*\",\"group\":null,\
             \"is_blocking\":false}}]}}]}}"
        );
        out
    }
}
