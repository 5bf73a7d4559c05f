use serde_json::{Value, json};

use super::{KvDtype, KvShape, KvShapeError};

fn per_token(config: &Value, dtype: KvDtype) -> f64 {
    KvShape::of_config(config, dtype).unwrap().bytes_per_token()
}

#[track_caller]
fn check(config: &Value, expect: f64) {
    let bytes = per_token(config, KvDtype::Auto);
    assert!((bytes - expect).abs() < 1e-6, "{bytes} instead of {expect}");
}

#[test]
fn all_query_heads_some_or_one_have_keys() {
    // GPT-2: 2 × 12 layers × 12 heads × 64 × 2 bytes.
    check(&json!({"n_layer": 12, "n_head": 12, "n_embd": 768}), 36_864.0);
    // Llama 3.1 70B.
    let llama = json!({"num_hidden_layers": 80, "num_attention_heads": 64,
        "num_key_value_heads": 8, "hidden_size": 8192, "torch_dtype": "bfloat16"});
    check(&llama, 327_680.0);
    // Falcon 7B: one head of 64.
    let falcon = json!({"num_hidden_layers": 32, "num_attention_heads": 71,
        "hidden_size": 4544, "multi_query": true});
    check(&falcon, 8_192.0);
    // Qwen3 32B: heads wider than their share of the hidden size.
    let qwen = json!({"num_hidden_layers": 64, "num_attention_heads": 64,
        "num_key_value_heads": 8, "hidden_size": 5120, "head_dim": 128,
        "sliding_window": null, "use_sliding_window": false});
    check(&qwen, 262_144.0);
    // ChatGLM3: groups under a name of their own.
    let glm = json!({"num_layers": 28, "num_attention_heads": 32, "hidden_size": 4096,
        "kv_channels": 128, "multi_query_attention": true, "multi_query_group_num": 2});
    check(&glm, 28_672.0);
}

#[test]
fn latent_attention_keeps_one_compressed_vector() {
    // DeepSeek V3: 61 × (512 + 64) × 2 bytes.
    let deepseek = json!({"num_hidden_layers": 61, "num_attention_heads": 128,
        "num_key_value_heads": 128, "hidden_size": 7168, "kv_lora_rank": 512,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "torch_dtype": "bfloat16"});
    check(&deepseek, 70_272.0);
    assert!((per_token(&deepseek, KvDtype::Eight) - 35_136.0).abs() < 1e-6);
    let mut with_indexer = deepseek;
    with_indexer["index_head_dim"] = json!(128);
    check(&with_indexer, 70_272.0 + 61.0 * 132.0);
}

#[test]
fn windows_stop_growing() {
    // Gemma 3 12B, in the shape of its config: five windows of 1,024, then one layer that keeps all.
    let layers: Vec<&str> = (1..=48)
        .map(|at| if at % 6 == 0 { "full_attention" } else { "sliding_attention" })
        .collect();
    let named = json!({"text_config": {"num_hidden_layers": 48, "num_attention_heads": 16,
        "num_key_value_heads": 8, "head_dim": 256, "hidden_size": 3840,
        "sliding_window": 1024, "layer_types": layers}, "torch_dtype": "bfloat16"});
    let counted = json!({"num_hidden_layers": 48, "num_attention_heads": 16,
        "num_key_value_heads": 8, "head_dim": 256, "hidden_size": 3840,
        "sliding_window": 1024, "sliding_window_pattern": 6});
    let layer = 2.0 * 8.0 * 256.0 * 2.0;
    for config in [named, counted] {
        let shape = KvShape::of_config(&config, KvDtype::Auto).unwrap();
        assert!((shape.bytes_per_token() - 8.0 * layer).abs() < 1e-6);
        assert!((shape.bytes_of(1_000) - 48.0 * layer * 1_000.0).abs() < 1e-3);
        let long = layer * (40.0 * 1_024.0 + 8.0 * 10_000.0);
        assert!((shape.bytes_of(10_000) - long).abs() < 1e-3);
        assert_eq!(shape.windows().collect::<Vec<_>>(), [1024]);
    }
    // Mistral 7B v0.1: windows only.
    let mistral = json!({"num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "hidden_size": 4096, "sliding_window": 4096});
    check(&mistral, 131_072.0);
    let shape = KvShape::of_config(&mistral, KvDtype::Auto).unwrap();
    assert!((shape.bytes_of(100_000) - shape.bytes_of(4_096)).abs() < 1e-6);
}

#[test]
fn layers_without_keys_are_told_and_not_counted() {
    let attention = json!({"num_attention_heads": 16, "num_key_value_heads": 2,
        "head_dim": 256, "hidden_size": 2048});
    let with = |more: Value| {
        let mut config = attention.clone();
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let shape = KvShape::of_config(&config, KvDtype::Auto).unwrap();
        let layers = shape.bytes_per_token() / (2.0 * 2.0 * 256.0 * 2.0);
        (layers.round() as u32, shape.stateful_count(), shape.layers_count())
    };
    // Qwen3-Next, Jamba, Nemotron-H, Bamba, and kinds by name.
    assert_eq!(with(json!({"num_hidden_layers": 48, "full_attention_interval": 4})), (12, 36, 48));
    let jamba = json!({"num_hidden_layers": 32, "attn_layer_period": 8, "attn_layer_offset": 4});
    assert_eq!(with(jamba), (4, 28, 32));
    let nemotron = json!({"num_hidden_layers": 8, "hybrid_override_pattern": "M-M*-M*-"});
    assert_eq!(with(nemotron), (2, 6, 8));
    let bamba = json!({"num_hidden_layers": 10, "attn_layer_indices": [3, 7]});
    assert_eq!(with(bamba), (2, 8, 10));
    let named = json!({"num_hidden_layers": 6, "layers_block_type": ["mamba", "attention"]});
    assert_eq!(with(named), (3, 3, 6));
}

#[test]
fn the_dtype_decides_the_bytes() {
    let config = json!({"num_hidden_layers": 1, "num_attention_heads": 1, "head_dim": 16,
        "torch_dtype": "float32"});
    let bytes = |name| per_token(&config, KvDtype::of_name(name).unwrap());
    let all = ["auto", "float32", "bf16", "fp8", "nvfp4"].map(bytes);
    assert_eq!(all, [128.0, 128.0, 64.0, 32.0, 18.0]);
    assert!(KvDtype::NAMES.into_iter().all(|name| KvDtype::of_name(name).is_some()));
    assert_eq!(KvDtype::of_name("fp7"), None);
}

#[test]
fn a_config_that_says_too_little_is_refused() {
    let refused = |config: Value| KvShape::of_config(&config, KvDtype::Auto).unwrap_err();
    assert_eq!(
        refused(json!({"num_attention_heads": 2, "hidden_size": 8})),
        KvShapeError::Missing("num_hidden_layers")
    );
    assert_eq!(
        refused(json!({"num_hidden_layers": 2, "hidden_size": 8})),
        KvShapeError::Missing("num_attention_heads")
    );
    let none = json!({"num_hidden_layers": 2, "num_attention_heads": 0, "hidden_size": 8});
    assert_eq!(refused(none), KvShapeError::Missing("num_attention_heads"));
    let many = json!({"num_hidden_layers": 1_000_000_u64, "num_attention_heads": 2, "head_dim": 8});
    assert_eq!(
        refused(many).to_string(),
        "num_hidden_layers of the model's config is 1000000, at most 10000 is believed"
    );
    assert_eq!(refused(json!([])), KvShapeError::Missing("num_attention_heads"));
}
