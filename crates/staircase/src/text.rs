/// Words that most tokenizers have as one token each, with the space before it.
const WORDS: [&str; 64] = [
    "time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world",
    "school", "state", "family", "student", "group", "country", "problem", "hand", "part", "place",
    "case", "week", "company", "system", "program", "question", "work", "number", "night", "point",
    "home", "water", "room", "mother", "area", "money", "story", "fact", "month", "lot", "right",
    "study", "book", "eye", "job", "word", "business", "issue", "side", "kind", "head", "house",
    "service", "friend", "father", "power", "hour", "game", "line", "end", "member", "law", "car",
];

/// The text of a prompt: `words` words that follow from seed and number, after an opening that no other
/// prompt has, so that no two prompts share a block.
pub fn prompt_text(seed: u64, prompt: u32, words: u32) -> String {
    let mut random = Random(mixed(seed ^ mixed(u64::from(prompt) + 1)));
    let mut text = format!("{:016x}{:016x}", random.next(), random.next());
    for _ in 0..words {
        text.push(' ');
        text.push_str(WORDS[(random.next() >> 58) as usize]);
    }
    text
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }
}

const fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::prompt_text;

    #[test]
    fn a_prompt_is_the_same_each_time_and_like_no_other() {
        assert_eq!(prompt_text(7, 3, 50), prompt_text(7, 3, 50));
        assert_eq!(prompt_text(7, 3, 50).split(' ').count(), 51);
        let openings = (0..2_000).flat_map(|prompt| [(7, prompt), (8, prompt)]);
        let openings = openings.map(|(seed, prompt)| prompt_text(seed, prompt, 0));
        assert_eq!(openings.collect::<BTreeSet<_>>().len(), 4_000);
    }
}
