use serde_json::Value;

use super::{KvShapeError, number};

/// More layers than any model has.
const LAYERS_MAX: u64 = 10_000;

/// What a layer keeps of a sequence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Layer {
    /// Keys and values of all tokens.
    Endless,
    /// Of that many tokens at most.
    Window(u64),
    /// A state that does not grow.
    Stateful,
}

/// The layers of a model, in the ways that configs say what they are.
pub(super) fn layers(config: &Value) -> Result<Vec<Layer>, KvShapeError> {
    let count = ["num_hidden_layers", "n_layer", "num_layers", "n_layers"];
    let count =
        number(config, &count, LAYERS_MAX)?.ok_or(KvShapeError::Missing("num_hidden_layers"))?;
    let window = window(config);
    if let Some(kinds) = kinds(config).filter(|kinds| !kinds.is_empty()) {
        // A pattern shorter than the model repeats.
        return Ok((0..count as usize)
            .map(|at| of_kind(kinds[at % kinds.len()], window))
            .collect());
    }
    if let Some(pattern) = config["hybrid_override_pattern"].as_str() {
        // Nemotron-H: M Mamba, * attention, - a layer without memory.
        let kind = |kind| if kind == '*' { Layer::Endless } else { Layer::Stateful };
        return Ok(pattern.chars().map(kind).collect());
    }
    let windowed = window.map_or(Layer::Endless, Layer::Window);
    let every = |period: u64, offset: u64, chosen, other| {
        (0..count).map(|at| if at % period == offset % period { chosen } else { other }).collect()
    };
    if let Some(period) = number(config, &["full_attention_interval"], LAYERS_MAX)? {
        return Ok(every(period, period - 1, Layer::Endless, Layer::Stateful));
    }
    if let Some(period) = number(config, &["attn_layer_period"], LAYERS_MAX)? {
        let offset = config["attn_layer_offset"].as_u64().unwrap_or(0);
        return Ok(every(period, offset, Layer::Endless, Layer::Stateful));
    }
    if let Some(period) = number(config, &["sliding_window_pattern"], LAYERS_MAX)? {
        return Ok(every(period, period - 1, Layer::Endless, windowed));
    }
    if let Some(indices) = config["attn_layer_indices"].as_array() {
        let has = |at| indices.iter().any(|index| index.as_u64() == Some(at));
        let layer = |at| if has(at) { Layer::Endless } else { Layer::Stateful };
        return Ok((0..count).map(layer).collect());
    }
    Ok(vec![windowed; count as usize])
}

/// The window of layers that have one, in tokens.
fn window(config: &Value) -> Option<u64> {
    // Qwen2 names a window that it does not use.
    if config["use_sliding_window"].as_bool() == Some(false) {
        return None;
    }
    ["sliding_window", "attention_chunk_size", "local_attention_window", "attention_window_size"]
        .iter()
        .find_map(|key| config[key].as_u64().filter(|&tokens| tokens > 0))
}

/// The list that names each layer's kind.
fn kinds(config: &Value) -> Option<Vec<&str>> {
    ["layer_types", "layers_block_type", "block_types", "attn_type_list"].iter().find_map(|key| {
        config[key].as_array()?.iter().map(Value::as_str).collect::<Option<Vec<&str>>>()
    })
}

fn of_kind(kind: &str, window: Option<u64>) -> Layer {
    let kind = kind.to_ascii_lowercase();
    let is = |part| kind.contains(part);
    if ["linear", "mamba", "recurrent", "conv", "mlp", "rwkv"].into_iter().any(is) {
        Layer::Stateful
    } else if ["sliding", "chunked", "local"].into_iter().any(is) {
        window.map_or(Layer::Endless, Layer::Window)
    } else {
        Layer::Endless
    }
}
