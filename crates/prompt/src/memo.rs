use std::collections::BTreeMap;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

/// Token ids of texts seen lately, so that a conversation's history is tokenized once.
///
/// Bounded by the number of ids held: two generations, the older one dropped whenever the younger
/// one has half of them; a text that is used moves to the younger one. Texts are told apart by a
/// 128-bit hash.
#[derive(Debug)]
pub(crate) struct Memo {
    young: BTreeMap<u128, Arc<[u32]>>,
    old: BTreeMap<u128, Arc<[u32]>>,
    young_ids: usize,
    ids_max: usize,
}

/// What an entry costs beside its ids, counted in ids.
const ENTRY_COST: usize = 16;

impl Memo {
    /// Holds about `ids_max` ids.
    pub(crate) const fn new(ids_max: usize) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), young_ids: 0, ids_max }
    }

    /// The ids of `text`, if they are known.
    pub(crate) fn find(&mut self, text: &str) -> Option<Arc<[u32]>> {
        let key = xxh3_128(text.as_bytes());
        if let Some(ids) = self.young.get(&key) {
            return Some(Arc::clone(ids));
        }
        let ids = self.old.remove(&key)?;
        self.insert_key(key, Arc::clone(&ids));
        Some(ids)
    }

    /// Keeps the ids of `text`.
    pub(crate) fn insert(&mut self, text: &str, ids: Arc<[u32]>) {
        self.insert_key(xxh3_128(text.as_bytes()), ids);
    }

    fn insert_key(&mut self, key: u128, ids: Arc<[u32]>) {
        self.young_ids += ids.len() + ENTRY_COST;
        self.young.insert(key, ids);
        if self.young_ids > self.ids_max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_ids = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Memo;
    use std::sync::Arc;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut memo = Memo::new(400);
        memo.insert("kept", Arc::from([1, 2]));
        memo.insert("lost", Arc::from([3]));
        for round in 0..40 {
            assert_eq!(memo.find("kept").as_deref(), Some(&[1, 2][..]), "round {round}");
            memo.insert(&format!("filler {round}"), Arc::from([0; 10]));
        }
        assert_eq!(memo.find("lost"), None);
        assert!(memo.young.len() + memo.old.len() <= 16);
    }
}
