//! Whether a phased update has reached this machine: apt's draw from the machine's id (apt.conf(5), `Phased-Update-Percentage`).
//!
//! apt seeds C++'s `minstd_rand` by a `seed_seq` of `SOURCE-VERSION-MACHINEID` and draws from 0 to 100 as libstdc++
//! does; the same is done here, so that both give the same answer.

/// Tells whether the update is held back from the machine with this id.
pub(super) fn holds_back(source: &str, version: &str, machine: &str, percentage: u8) -> bool {
    let seed = format!("{source}-{version}-{machine}");
    draw(seed.as_bytes()) > u32::from(percentage)
}

/// Draws a number from 0 to 100.
fn draw(seed: &[u8]) -> u32 {
    const MODULUS: u64 = 2_147_483_647;
    const MULTIPLIER: u64 = 48_271;
    // minstd_rand takes one word of 32 bits from the sequence: the last of the four it asks for.
    let mut state = u64::from(seed_sequence(seed)[3]) % MODULUS;
    if state == 0 {
        state = 1;
    }
    let scaling = (MODULUS - 2) / 101;
    loop {
        state = state * MULTIPLIER % MODULUS;
        let drawn = state - 1;
        if drawn < 101 * scaling {
            return u32::try_from(drawn / scaling).unwrap_or(100);
        }
    }
}

/// Returns the four words that `std::seed_seq::generate` makes of a text ([rand.util.seedseq]).
fn seed_sequence(seed: &[u8]) -> [u32; 4] {
    const N: usize = 4;
    let s = seed.len();
    let t = (N - 1) / 2;
    let (p, m) = ((N - t) / 2, (s + 1).max(N));
    let q = p + t;
    let mix = |x: u32| x ^ (x >> 27);
    let mut words = [0x8b8b_8b8b_u32; N];
    let at = |words: &[u32; N], k: usize| words.get(k % N).copied().unwrap_or(0);
    let small = |n: usize| u32::try_from(n % N).unwrap_or(0);
    for k in 0..m {
        let sum = at(&words, k) ^ at(&words, k + p) ^ at(&words, k + N - 1);
        let r1 = 1_664_525_u32.wrapping_mul(mix(sum));
        let r2 = match k {
            0 => r1.wrapping_add(u32::try_from(s).unwrap_or(u32::MAX)),
            k if k <= s => {
                // C++ widens the signed char.
                let letter =
                    seed.get(k - 1).map_or(0, |b| i32::from(b.cast_signed()).cast_unsigned());
                r1.wrapping_add(small(k)).wrapping_add(letter)
            }
            k => r1.wrapping_add(small(k)),
        };
        add(&mut words, k + p, r1);
        add(&mut words, k + q, r2);
        put(&mut words, k, r2);
    }
    for k in m..m + N {
        let sum = at(&words, k).wrapping_add(at(&words, k + p)).wrapping_add(at(&words, k + N - 1));
        let r3 = 1_566_083_941_u32.wrapping_mul(mix(sum));
        let r4 = r3.wrapping_sub(small(k));
        turn(&mut words, k + p, r3);
        turn(&mut words, k + q, r4);
        put(&mut words, k, r4);
    }
    words
}

fn add(words: &mut [u32; 4], k: usize, by: u32) {
    if let Some(word) = words.get_mut(k % 4) {
        *word = word.wrapping_add(by);
    }
}

fn turn(words: &mut [u32; 4], k: usize, by: u32) {
    if let Some(word) = words.get_mut(k % 4) {
        *word ^= by;
    }
}

fn put(words: &mut [u32; 4], k: usize, value: u32) {
    if let Some(word) = words.get_mut(k % 4) {
        *word = value;
    }
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn draws_are_those_of_libstdcpp() {
        // Written by a C++ program of g++ 12 with the same three lines as apt.
        for (seed, expected) in DRAWS {
            assert_eq!(draw(seed.as_bytes()), *expected, "{seed}");
        }
    }

    const DRAWS: &[(&str, u32)] = &[
        ("", 63),
        ("a", 94),
        ("abc", 18),
        ("abcd", 2),
        ("curl-7.81.0-1ubuntu1.16-0123456789abcdef0123456789abcdef", 50),
        ("systemd-249.11-0ubuntu3.12-ffffffffffffffffffffffffffffffff", 97),
        ("linux-meta-5.15.0.100.97-b08dfa6083e7567a1921a715000001fb", 82),
        ("x-1-00000000000000000000000000000000", 38),
        ("glibc-2.35-0ubuntu3.6-8c4b0c3e9c0f4f0b9c7a0a7f7b1d2e3f", 45),
    ];
}
