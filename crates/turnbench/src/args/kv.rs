use std::path::PathBuf;

use clap::Args;
use turnbench_kvcache::KvDtype;

use super::number;

/// What a token costs in the KV cache.
#[derive(Debug, Args)]
pub(crate) struct KvBytesArgs {
    /// Bytes that the model keeps for a token, all layers together
    #[arg(long, value_parser = bytes, value_name = "BYTES", conflicts_with = "model_config")]
    pub kv_bytes_per_token: Option<f64>,

    /// The model's config.json, which tells the bytes of a token [default: that of --model, where
    /// it has one]
    #[arg(long, value_name = "FILE")]
    pub model_config: Option<PathBuf>,

    /// How the server stores keys and values: auto (as the model's weights), bfloat16, fp8, nvfp4,
    /// ...
    #[arg(long, value_parser = kv_dtype, default_value = "auto", value_name = "DTYPE")]
    pub kv_dtype: KvDtype,
}

fn bytes(text: &str) -> Result<f64, String> {
    let bytes = number::number(text)?;
    let is_usable = bytes.is_finite() && bytes > 0.0;
    is_usable.then_some(bytes).ok_or_else(|| "it must be more than 0".to_owned())
}

fn kv_dtype(text: &str) -> Result<KvDtype, String> {
    KvDtype::of_name(text).ok_or_else(|| format!("it must be one of {}", KvDtype::NAMES.join(", ")))
}
