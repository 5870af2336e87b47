//! The only source of randomness: the crypto library's generator, drawn in blocks per thread.

use std::cell::RefCell;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

const BLOCK: usize = 512;

thread_local! {
    static POOL: RefCell<([u8; BLOCK], usize)> = const { RefCell::new(([0; BLOCK], BLOCK)) };
}

/// `N` unpredictable bytes, at most 512. A failing generator ends the process' use of it by
/// answering `None`; nothing predictable is ever handed out.
pub fn bytes<const N: usize>() -> Option<[u8; N]> {
    POOL.with_borrow_mut(|(block, used)| {
        if *used + N > BLOCK {
            SystemRandom::new().fill(block).ok()?;
            *used = 0;
        }
        let mut out = [0; N];
        let drawn = block.get_mut(*used..*used + N)?;
        out.copy_from_slice(drawn);
        drawn.fill(0);
        *used += N;
        Some(out)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ_and_cross_block_borders() {
        let draws: std::collections::HashSet<[u8; 24]> = (0..100).filter_map(|_| bytes()).collect();
        assert_eq!(draws.len(), 100);
    }
}
