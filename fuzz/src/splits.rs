//! What the targets that split their input share.

/// Ways to split the data: byte by byte, and some that depend on the data.
pub fn splits(data: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut splits = vec![data.chunks(1).collect()];
    // An FNV hash of the data begins a sequence of lengths.
    let mut random = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    for length_max in [3, 17, 200] {
        let (mut pieces, mut rest) = (Vec::new(), data);
        while !rest.is_empty() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let length = (1 + (random >> 33) as usize % length_max).min(rest.len());
            let (piece, left) = rest.split_at(length);
            pieces.push(piece);
            rest = left;
        }
        splits.push(pieces);
    }
    splits
}
