//! The corpus, for the tests that replay it.

use std::path::Path;

/// Puts every input of a folder through a target, which panics where something does not hold; gives
/// their number.
pub fn replay(name: &str, target: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut inputs_count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Says which input it was when the target panics.
        println!("{}", path.display());
        target(&std::fs::read(path).unwrap());
        inputs_count += 1;
    }
    inputs_count
}
