mod layers;

use serde_json::Value;

use layers::{Layer, layers};

/// Bytes of a 16-bit element, what models are served in if nothing else is said.
const HALF_BYTES: f64 = 2.0;

/// How a server stores the elements of keys and values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KvDtype {
    /// As the model's weights: `torch_dtype` or `dtype` of its config, 16 bits without either.
    Auto,
    /// 32 bits.
    Float32,
    /// 16 bits (`float16`, `bfloat16`).
    Half,
    /// 8 bits (`fp8`, `fp8_e4m3`, `fp8_e5m2`, `int8`).
    Eight,
    /// 4 bits, with an 8-bit scale for each 16 elements (`nvfp4`).
    Nvfp4,
}

impl KvDtype {
    /// All names, as vLLM's `--kv-cache-dtype` spells them and a few more.
    pub const NAMES: [&'static str; 12] = [
        "auto", "float32", "float16", "bfloat16", "half", "fp16", "bf16", "fp8", "fp8_e4m3",
        "fp8_e5m2", "int8", "nvfp4",
    ];

    /// By its name.
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Self::Auto,
            "float32" => Self::Float32,
            "float16" | "bfloat16" | "half" | "fp16" | "bf16" => Self::Half,
            "fp8" | "fp8_e4m3" | "fp8_e5m2" | "int8" => Self::Eight,
            "nvfp4" => Self::Nvfp4,
            _ => return None,
        })
    }

    fn element_bytes(self, config: &Value) -> f64 {
        match self {
            Self::Auto => {
                let named = ["torch_dtype", "dtype"].iter().find_map(|key| config[key].as_str());
                if named == Some("float32") { 4.0 } else { HALF_BYTES }
            }
            Self::Float32 => 4.0,
            Self::Half => HALF_BYTES,
            Self::Eight => 1.0,
            Self::Nvfp4 => 0.5 + 1.0 / 16.0,
        }
    }
}

/// What a model keeps in the KV cache for each token of a sequence.
///
/// From its `config.json`: attention with as many key heads as query heads or fewer (MHA, GQA, MQA),
/// multi-head latent attention (MLA: one compressed vector and a rotary part, no separate values), layers
/// with a sliding window or in chunks, and layers without keys (Mamba and other linear attention), whose
/// state does not grow with the sequence and is not counted.
///
/// Of one copy: a server that splits heads over GPUs holds as much in all, but MLA and few heads may
/// be held on every GPU.
///
/// ```
/// use turnbench_kvcache::{KvDtype, KvShape};
///
/// // Llama 3.1 8B: 32 layers, 8 key heads of 128 elements.
/// let config = serde_json::json!({"num_hidden_layers": 32, "num_attention_heads": 32,
///     "num_key_value_heads": 8, "hidden_size": 4096, "torch_dtype": "bfloat16"});
/// let shape = KvShape::of_config(&config, KvDtype::Auto)?;
/// assert_eq!(shape.bytes_per_token(), 131_072.0);
/// assert_eq!(KvShape::of_config(&config, KvDtype::Eight)?.bytes_per_token(), 65_536.0);
/// # Ok::<(), turnbench_kvcache::KvShapeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KvShape {
    /// Of all layers that keep every token.
    endless: f64,
    /// Bytes per token, and after how many tokens they are given up.
    windows: Vec<(f64, u64)>,
    layers_count: u32,
    stateful_count: u32,
}

/// Why a config says too little.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KvShapeError {
    /// A key is not there, or no positive whole number.
    #[error("the model's config has no usable {0}")]
    Missing(&'static str),
    /// A number that no model has.
    #[error("{key} of the model's config is {value}, at most {most} is believed")]
    TooLarge {
        /// The key.
        key: &'static str,
        /// Its value.
        value: u64,
        /// The limit.
        most: u64,
    },
}

impl KvShape {
    /// From a model's `config.json`; of a model for images and text the language model's part.
    ///
    /// # Errors
    /// When the config does not say how many layers or heads there are.
    pub fn of_config(config: &Value, dtype: KvDtype) -> Result<Self, KvShapeError> {
        let parts = ["text_config", "llm_config", "language_config", "thinker_config"];
        if let Some(part) = parts.iter().map(|key| &config[key]).find(|part| part.is_object()) {
            let mut part = part.clone();
            // The outer config may be the only one that says.
            for key in ["torch_dtype", "dtype"] {
                if part[key].is_null() && !config[key].is_null() {
                    part[key] = config[key].clone();
                }
            }
            return Self::of_config(&part, dtype);
        }
        let per_layer = layer_bytes(config, dtype.element_bytes(config))?;
        let layers = layers(config)?;
        let mut shape = Self {
            endless: 0.0,
            windows: Vec::new(),
            layers_count: layers.len() as u32,
            stateful_count: 0,
        };
        for layer in layers {
            match layer {
                Layer::Endless => shape.endless += per_layer,
                Layer::Window(tokens) => shape.add_window(per_layer, tokens),
                Layer::Stateful => shape.stateful_count += 1,
            }
        }
        Ok(shape)
    }

    fn add_window(&mut self, bytes: f64, tokens: u64) {
        match self.windows.iter_mut().find(|(_, known)| *known == tokens) {
            Some((sum, _)) => *sum += bytes,
            None => self.windows.push((bytes, tokens)),
        }
    }

    /// Bytes for each token of a long sequence: of the layers that keep all tokens. If no layer does, of
    /// those with a window.
    pub fn bytes_per_token(&self) -> f64 {
        if self.endless > 0.0 {
            return self.endless;
        }
        self.windows.iter().map(|(bytes, _)| bytes).sum()
    }

    /// Bytes of a sequence of so many tokens.
    pub fn bytes_of(&self, tokens: u64) -> f64 {
        let windows = self.windows.iter();
        let windows = windows.map(|&(bytes, window)| bytes * tokens.min(window) as f64);
        windows.fold(self.endless * tokens as f64, |sum, bytes| sum + bytes)
    }

    /// The windows, in tokens, of layers that don't keep all of them.
    pub fn windows(&self) -> impl Iterator<Item = u64> + '_ {
        self.windows.iter().map(|&(_, tokens)| tokens)
    }

    /// Layers in all.
    pub const fn layers_count(&self) -> u32 {
        self.layers_count
    }

    /// Layers that keep a state of constant size instead of tokens.
    pub const fn stateful_count(&self) -> u32 {
        self.stateful_count
    }
}

/// Bytes that one layer keeps for a token.
fn layer_bytes(config: &Value, element_bytes: f64) -> Result<f64, KvShapeError> {
    if let Some(rank) = number(config, &["kv_lora_rank"], 1 << 20)? {
        let rotary = number(config, &["qk_rope_head_dim"], 1 << 20)?.unwrap_or(0);
        // DeepSeek V3.2's indexer keeps a vector of 8-bit elements, with a 4-byte scale for each 128.
        let index = number(config, &["index_head_dim"], 1 << 20)?;
        let index = index.map_or(0.0, |width| width as f64 * (1.0 + 4.0 / 128.0));
        return Ok(((rank + rotary) as f64).mul_add(element_bytes, index));
    }
    let heads = number(config, &["num_attention_heads", "n_head", "num_heads"], 1 << 16)?;
    let width = number(config, &["hidden_size", "n_embd", "d_model"], 1 << 24)?;
    let key_heads = ["num_key_value_heads", "multi_query_group_num", "num_kv_heads", "n_head_kv"];
    let is_multi_query = config["multi_query"].as_bool() == Some(true)
        && config["new_decoder_architecture"].as_bool() != Some(true)
        && config["multi_query_group_num"].is_null();
    let key_heads = if is_multi_query { Some(1) } else { number(config, &key_heads, 1 << 16)? };
    let key_heads = key_heads.or(heads).ok_or(KvShapeError::Missing("num_attention_heads"))?;
    let head_width = match number(config, &["head_dim", "kv_channels"], 1 << 16)? {
        Some(width) => width,
        None => match (width, heads) {
            (Some(width), Some(heads)) => width / heads,
            _ => {
                return Err(KvShapeError::Missing(
                    "head_dim, or hidden_size and num_attention_heads",
                ));
            }
        },
    };
    // Values may be narrower than keys.
    let value_width = number(config, &["v_head_dim"], 1 << 16)?.unwrap_or(head_width);
    Ok((key_heads * (head_width + value_width)) as f64 * element_bytes)
}

/// The first of the keys that is there.
fn number(config: &Value, keys: &[&'static str], most: u64) -> Result<Option<u64>, KvShapeError> {
    let Some(&key) = keys.iter().find(|&&key| !config[key].is_null()) else { return Ok(None) };
    match config[key].as_u64() {
        None | Some(0) => Err(KvShapeError::Missing(key)),
        Some(value) if value > most => Err(KvShapeError::TooLarge { key, value, most }),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests;
