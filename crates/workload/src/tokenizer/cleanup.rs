use serde_json::Value;

/// Whether decoded text is cleaned up as old versions of transformers do: `" ."` becomes `"."`,
/// `" n't"` becomes `"n't"` and so on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DecodeCleanup {
    /// As transformers 5 does for the tokenizer: `clean_up_tokenization_spaces` of its config counts
    /// unless the model is BPE; for BPE only
    /// `clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output` does.
    #[default]
    Auto,
    /// Always, as transformers 4 does for tokenizers whose config says so.
    On,
    /// Never.
    Off,
}

impl DecodeCleanup {
    /// Whether to clean up, for a tokenizer with this config.
    pub(super) fn applies(self, config: &Value, is_bpe: bool) -> bool {
        let flag = |key: &str| config.get(key).and_then(Value::as_bool).unwrap_or(false);
        match self {
            Self::On => true,
            Self::Off => false,
            Self::Auto => {
                flag("clean_up_tokenization_spaces")
                    && (!is_bpe
                        || flag(
                            "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output",
                        ))
            }
        }
    }
}

/// Replaces all of each, one kind after another, in this order.
pub(super) fn clean_up(text: &str) -> String {
    const REPLACEMENTS: [(&str, &str); 10] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    REPLACEMENTS.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{DecodeCleanup, clean_up};

    #[test]
    fn kinds_are_replaced_one_after_another() {
        assert_eq!(clean_up("a , b . do n't ' x ' I 'm it 's"), "a, b. don't'x'I'm it's");
        assert_eq!(clean_up("a ' . b"), "a '. b");
    }

    #[test]
    fn bpe_is_cleaned_up_only_where_the_config_insists() {
        let plain = json!({"clean_up_tokenization_spaces": true});
        assert!(!DecodeCleanup::Auto.applies(&plain, true));
        assert!(DecodeCleanup::Auto.applies(&plain, false));
        assert!(!DecodeCleanup::Auto.applies(&json!({}), false));
        let insisting = json!({
            "clean_up_tokenization_spaces": true,
            "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": true,
        });
        assert!(DecodeCleanup::Auto.applies(&insisting, true));
        assert!(DecodeCleanup::On.applies(&json!({}), true));
        assert!(!DecodeCleanup::Off.applies(&insisting, false));
    }
}
