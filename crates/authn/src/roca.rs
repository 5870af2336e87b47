//! CVE-2017-15361 (ROCA): RSA keys of a faulty generator, known by the residues of their modulus.
//!
//! The generator's primes are k·M + (65537^a mod M) with M a product of the first primes. So for each
//! of those primes p, the modulus is a power of 65537 modulo p. A modulus made otherwise is that for
//! all of them with a probability below 2^-150.

const GENERATOR: u32 = 65_537;

/// The odd primes below 168: those that divide M at every size of key.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether the modulus, big-endian, bears the mark.
pub(crate) fn is_marked(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| is_power_of_generator(residue(modulus, prime), prime))
}

fn residue(modulus: &[u8], prime: u32) -> u32 {
    modulus.iter().fold(0, |rest, &byte| (rest * 256 + u32::from(byte)) % prime)
}

fn is_power_of_generator(residue: u32, prime: u32) -> bool {
    let mut power = 1;
    for _ in 1..prime {
        if power == residue {
            return true;
        }
        power = power * (GENERATOR % prime) % prime;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_the_generator_are_marked_and_others_are_not() {
        // 65537^8 is a power of the generator modulo everything.
        let mut marked = 1_u128;
        for _ in 0..7 {
            marked *= u128::from(GENERATOR);
        }
        assert!(is_marked(&marked.to_be_bytes()));
        assert!(is_marked(&[1]));
        assert!(!is_marked(&(marked + 2).to_be_bytes()));
        assert!(!is_marked(&[]));
    }

    #[test]
    fn residues_are_those_of_the_whole_number() {
        let number = 0x0123_4567_89ab_cdef_u64;
        for prime in PRIMES {
            assert_eq!(u64::from(residue(&number.to_be_bytes(), prime)), number % u64::from(prime));
        }
    }
}
