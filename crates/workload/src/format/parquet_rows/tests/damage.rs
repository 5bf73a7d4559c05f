//! Files that were damaged on their way.

use proptest::prelude::*;

use super::{LMSYS, WILDCHAT};
use crate::format::testing::{read, sample_path, source_of_bytes};
use crate::format::{Source, lmsys, wildchat};

#[test]
fn a_damaged_page_header_does_not_skip_billions_of_texts() {
    let mut bytes = std::fs::read(sample_path("lmsys/duckdb_brotli.parquet")).unwrap();
    for (place, byte) in [(166, 0x88), (220, 0xf4), (931, 0x4a), (1_674, 0x96), (2_749, 0xc2)] {
        bytes[place] = byte;
    }
    let seen = read(&lmsys::FORMAT, source_of_bytes(&bytes));
    let error = seen.error.unwrap_or_default();
    assert!(error.starts_with("in.data: malformed Parquet in row group 0, column "), "{error}");
}

/// A sample with some bytes changed, half of the changes in the footer.
fn damaged() -> impl Strategy<Value = (bool, Vec<u8>)> {
    let names = prop::sample::select(
        WILDCHAT
            .map(|it| (false, it))
            .into_iter()
            .chain(LMSYS.map(|it| (true, it)))
            .collect::<Vec<_>>(),
    );
    let change = (any::<prop::sample::Index>(), any::<u8>(), any::<bool>());
    (names, prop::collection::vec(change, 1..6)).prop_map(|((is_lmsys, name), changes)| {
        let folder = if is_lmsys { "lmsys" } else { "wildchat" };
        let mut bytes = std::fs::read(sample_path(&format!("{folder}/{name}.parquet"))).unwrap();
        let length = bytes.len();
        let footer = u32::from_le_bytes(bytes[length - 8..][..4].try_into().unwrap()) as usize;
        for (place, byte, in_footer) in changes {
            let (start, end) =
                if in_footer { (length - 8 - footer, length) } else { (4, length - 8 - footer) };
            bytes[start + place.index(end - start)] = byte;
        }
        (is_lmsys, bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn damaged_files_never_panic((is_lmsys, bytes) in damaged()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.parquet");
        std::fs::write(&path, bytes).unwrap();
        let format = if is_lmsys { &lmsys::FORMAT } else { &wildchat::FORMAT };
        if let Ok(source) = Source::open(&path)
            && let Ok(rows) = (format.read)(source)
        {
            prop_assert!(rows.count() < 1_000);
        }
    }
}
