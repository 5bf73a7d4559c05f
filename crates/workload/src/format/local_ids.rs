use rustc_hash::FxHashMap;

/// Highest name that is taken for a count; higher ones are hashes.
const COUNTED_MAX: u64 = u32::MAX as u64;

/// Names of blocks that mean something within one trace only, made different from trace to trace.
///
/// Counted names are counted on; where they are hashes, those of a trace are numbered in the order
/// in which they appear. Either way there is room for 2^32 traces.
#[derive(Debug, Default)]
pub(crate) struct LocalIds {
    /// One more than the highest name so far.
    end: u64,
}

impl LocalIds {
    /// Renames the blocks of a trace, so that no trace before has one of them.
    pub(crate) fn rename(&mut self, lists: &mut [&mut Vec<u64>]) {
        let Some(highest) = lists.iter().flat_map(|list| list.iter()).copied().max() else {
            return;
        };
        let start = self.end;
        let ids = lists.iter_mut().flat_map(|list| list.iter_mut());
        if highest <= COUNTED_MAX {
            ids.for_each(|id| *id = id.saturating_add(start));
            self.end = start.saturating_add(highest + 1);
            return;
        }
        let mut numbers: FxHashMap<u64, u64> = FxHashMap::default();
        for id in ids {
            let next = numbers.len() as u64;
            *id = start.saturating_add(*numbers.entry(*id).or_insert(next));
        }
        self.end = start.saturating_add(numbers.len() as u64);
    }

    /// Takes notice of names that mean the same in all traces, and stay as they are.
    pub(crate) fn keep(&mut self, lists: &[&mut Vec<u64>]) {
        let counted = lists.iter().flat_map(|list| list.iter()).filter(|&&id| id <= COUNTED_MAX);
        self.end = counted.fold(self.end, |end, id| end.max(id + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::LocalIds;

    fn check(traces: &[&[u64]], expect: &[&[u64]]) {
        let mut ids = LocalIds::default();
        let mut renamed: Vec<Vec<u64>> = traces.iter().map(|trace| trace.to_vec()).collect();
        for trace in &mut renamed {
            ids.rename(&mut [trace]);
        }
        assert_eq!(renamed, expect);
    }

    #[test]
    fn no_trace_has_a_name_of_another() {
        check(&[&[1, 2], &[], &[0, 2]], &[&[1, 2], &[], &[3, 5]]);
        let hashes = [u64::MAX, 1 << 63, u64::MAX];
        check(&[&[5], &hashes, &hashes, &[0]], &[&[5], &[6, 7, 6], &[8, 9, 8], &[10]]);
    }

    #[test]
    fn names_that_are_kept_are_no_others() {
        let mut ids = LocalIds::default();
        let (mut kept, mut renamed) = (vec![4, u64::MAX], vec![0, 1]);
        ids.keep(&[&mut kept]);
        ids.rename(&mut [&mut renamed]);
        assert_eq!((kept, renamed), (vec![4, u64::MAX], vec![5, 6]));
    }
}
